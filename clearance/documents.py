"""The documents a declaration names (随附单证), themselves: sent by its declarant, shown to officers beside what was declared."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db import transaction

from clearance import cases, files, references
from clearance.models import AttachedFile
from common.problems import Fault, conflict, invalid, not_found
from common.text import T, pick
from declarations import lodgement
from declarations.models import Declaration
from events.log import append
from parties.principals import Principal

#: Largest file taken: that of the front ends in use.
MAX_FILE = 4 * 1024 * 1024
MAX_FILES = 100

#: What a document may be said to state, and the longest text of each.
MEMBERS = {
    "bill_number": 35, "voyage_number": 32, "packages": 9, "gross_weight": 20, "net_weight": 20, "consignee": 200,
    "consignor": 200, "contract_number": 32, "amount": 24, "currency": 3, "issued_on": 10,
}  # fmt: skip


#: What they are called, for people.
LABELS = {
    "bill_number": ("提运单号", "bill"), "voyage_number": ("航次号", "voyage"), "packages": ("件数", "packages"),
    "gross_weight": ("毛重", "gross weight"), "net_weight": ("净重", "net weight"), "consignee": ("收货人", "consignee"),
    "consignor": ("发货人", "consignor"), "contract_number": ("合同号", "contract"), "amount": ("金额", "amount"),
    "currency": ("币制", "currency"), "issued_on": ("签发日", "issued on"),
}  # fmt: skip


def told(row: AttachedFile) -> list[tuple[str, str]]:
    """What stands in a document, labelled in the reader's language."""
    return [(pick(*LABELS[name]), str(value)) for name, value in row.states.items() if name in LABELS]


def named_by(declaration: Declaration) -> dict[str, str]:
    """The documents the declaration names: number -> type (code of "edocument", "" for licences and certificates)."""
    message = declaration.message
    found = {str(one.get("certificate_number", "")): "" for one in message.get("origin_certificates") or []}
    found |= {one.document_number: "" for one in declaration.attacheddocument_set.all()}
    found |= {
        str(one.get("document_id", "")): str(one.get("document_type", ""))
        for one in message.get("electronic_documents") or []
    }
    found.pop("", None)
    return found


def attach(
    *, number: str, document_id: str, name: str, data: bytes, states: Any = None, principal: Principal
) -> AttachedFile:
    """Keep a document. The same file of the same document again is the same one. Raises Problem 404, 403, 409, 413, 415,
    422."""
    seen = cases.visible(number, principal)
    kind = files.kind_of(data, MAX_FILE)
    faults = _faults(states)
    with transaction.atomic():
        declaration = references.locked(seen.unified_number)
        if declaration is None:
            raise not_found()
        lodgement.require_lodger(declaration, principal)
        named = named_by(declaration)
        if document_id not in named:
            faults.append(
                Fault("/document_id", "not-named", T("报关单未列此单证", "The declaration names no such document"))
            )
        if faults:
            raise invalid(faults)
        digest = hashlib.sha256(data).hexdigest()
        known = declaration.attached_files.filter(document_id=document_id, sha256=digest).first()
        if known is not None:
            return known
        if declaration.state in cases.OVER:
            raise conflict("over", T("报关单已放行或撤销", "The declaration is released or withdrawn"))
        if declaration.attached_files.count() >= MAX_FILES:
            raise conflict("too-many", T("文件数量已达上限", "There are too many files"))
        row = AttachedFile.objects.create(
            declaration=declaration, document_id=document_id, document_type=named[document_id],
            name=files.plain_name(name), content_type=kind, size=len(data), sha256=digest, states=states or {},
            added_by=principal.actor,
        )  # fmt: skip
        files.keep(path_of(row), data)
        append(
            type="clearance.document_attached",
            subject=("clearance", declaration.unified_number),
            actor=principal.actor,
            audience=declaration.parties,
            data={"document_id": document_id, "document_type": row.document_type, "sha256": digest},
        )
    return row


def _faults(states: Any) -> list[Fault]:
    if states is None:
        return []
    if not isinstance(states, dict):
        return [Fault("/states", "not-an-object", T("应为一个对象", "An object is expected here"))]
    faults = []
    for name, value in states.items():
        if name not in MEMBERS:
            faults.append(Fault(f"/states/{name}", "unknown-member", T("未知数据项", "Unknown member")))
        elif not isinstance(value, str) or len(value) > MEMBERS[name] or "\x00" in value:
            faults.append(
                Fault(
                    f"/states/{name}", "text",
                    T("应为不超过 {n} 字的文本", "A text of at most {n} characters", n=MEMBERS[name]),
                )
            )  # fmt: skip
    return faults


def latest(declaration: Declaration) -> dict[str, AttachedFile]:
    """The file that counts of each document."""
    return {row.document_id: row for row in declaration.attached_files.order_by("added_at")}


def same(one: Any, other: Any) -> bool:
    """Whether two hands wrote the same: numbers by value, texts without regard to case and spaces."""
    texts = [str("" if value is None else value).strip() for value in (one, other)]
    try:
        return Decimal(texts[0].replace(",", "")) == Decimal(texts[1].replace(",", ""))
    except ArithmeticError:
        return "".join(texts[0].split()).casefold() == "".join(texts[1].split()).casefold()


def path_of(row: AttachedFile) -> Path:
    return files.path("documents", row.pk)
