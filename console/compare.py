"""Side by side: what was declared, what the carrier's manifest says, and the attached documents themselves."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from django.http import FileResponse, HttpRequest
from django.urls import reverse
from django.views.decorators.http import require_GET

from cargo import equipment
from clearance import cases, documents, files
from clearance import goods as clearance_goods
from clearance.models import AttachedFile
from common import reading
from common.problems import not_found
from common.text import pick
from console import queue
from console.pages import who
from declarations.models import Declaration


@require_GET
def document(request: HttpRequest, number: str, pk: UUID) -> FileResponse:
    """The document itself, in the browser; that it was looked at is recorded."""
    principal = who(request)
    declaration = cases.visible(number, principal)
    row = AttachedFile.objects.filter(pk=pk, declaration=declaration).first()
    if row is None:
        raise not_found()
    reading.record(
        actor=principal.actor, kind=queue.KIND, number=declaration.unified_number, page="document", request=request
    )
    return files.served(documents.path_of(row), row.content_type, str(row.pk), inline=True)


class Paper(NamedTuple):
    """What an attached document says of a row."""

    number: str
    #: Where the file is looked at; empty where the declaration names it but nobody sent it.
    url: str
    states: str
    differs: bool


class Row(NamedTuple):
    title: str
    declared: Any
    manifest: Any
    documents: list[Paper]
    differs: bool


def _plain(value: Decimal | None) -> str:
    return "" if value is None else f"{value.normalize():f}"


#: Attached documents that speak of the same thing as a row: electronic document codes (refdata list "edocument").
INVOICE, PACKING_LIST, BILL, CONTRACT = "00000001", "00000002", "00000003", "00000004"


def compare(declaration: Declaration) -> dict[str, Any]:
    """Declaration, manifest and attached documents side by side, what differs marked."""
    goods = clearance_goods.consignment_of(declaration)
    message = declaration.message
    sent = documents.latest(declaration)
    named = documents.named_by(declaration)

    def papers(declared: Any, member: str, *kinds: str, judged: bool = True) -> list[Paper]:
        """The documents of these kinds, and any other that states the member."""
        found = []
        for number, kind in named.items():
            row = sent.get(number)
            states = str(row.states.get(member, "")) if row else ""
            if kind in kinds or states:
                differs = judged and bool(states) and not documents.same(declared, states)
                found.append(_paper(declaration, number, row, states, differs))
        return found

    def row(zh: str, en: str, declared: Any, manifest: Any, member: str, *kinds: str) -> Row:
        told = papers(declared, member, *kinds)
        differs = goods is not None and str(declared or "") != str(manifest or "")
        return Row(pick(zh, en), declared, manifest, told, differs or any(one.differs for one in told))

    g = goods
    rows = [
        row("提运单号", "Bill", declaration.transport_document_number, g and g.bill_number, "bill_number", BILL),
        row("航次号", "Voyage", declaration.voyage_number, g and g.voyage.number, "voyage_number", BILL),
        row("件数", "Packages", declaration.package_count, g and g.packages, "packages", PACKING_LIST),
        row(
            "毛重（千克）",
            "Gross weight (kg)",
            _plain(declaration.gross_weight),
            g and _plain(g.gross_mass),
            "gross_weight",
            PACKING_LIST,
        ),
    ]
    # Names are written in two languages and by two hands: shown side by side, not judged.
    party = declaration.domestic_party_name
    rows += [
        Row(pick("收货人", "Consignee"), party if declaration.direction == "I" else declaration.overseas_consignee_foreign_name, g and g.consignee, papers("", "consignee", INVOICE, CONTRACT, judged=False), False),
        Row(pick("发货人", "Consignor"), declaration.overseas_consignor_foreign_name if declaration.direction == "I" else party, g and g.consignor, papers("", "consignor", INVOICE, CONTRACT, judged=False), False),
    ]  # fmt: skip
    listed = {one.equipment_id: one for one in g.stuffings.all()} if g else {}
    declared = {equipment.normal(one.container_number): one for one in declaration.container_set.all()}
    boxes = [
        Row(
            number,
            number if number in declared else "",
            f"{number} {listed[number].seal}".strip() if number in listed else "",
            [],
            g is not None and (number in declared) != (number in listed),
        )
        for number in sorted({*listed, *declared})
    ]
    certified: dict[str, list[str]] = {}
    for one in message.get("origin_certificates") or []:
        certified.setdefault(str(one.get("item_number", "")), []).append(str(one.get("certificate_number", "")))
    numbers = {str(item.item_number) for item in declaration.goodsitem_set.all()}
    items = [
        Row(
            str(item.item_number or item.position),
            f"{item.commodity_code} {item.goods_name}",
            _manifest_goods(g.items[item.position - 1]) if g and len(g.items) >= item.position else "",
            [_paper(declaration, one, sent.get(one)) for one in certified.get(str(item.item_number), [])],
            False,
        )
        for item in declaration.goodsitem_set.all()
    ] + [
        Row(number, "", "", [_paper(declaration, one, sent.get(one)) for one in names], True)
        for number, names in certified.items()
        if number not in numbers
    ]
    return {
        "attached": [
            (number, kind, row, documents.told(row) if row else [])
            for number, kind in named.items()
            for row in [sent.get(number)]
        ],
        "goods": goods,
        "rows": rows,
        "boxes": boxes,
        "items": items,
        "differing": sum(one.differs for one in (*rows, *boxes, *items)),
        "expected": [(code, code in named.values()) for code in (INVOICE, PACKING_LIST, BILL, CONTRACT)],
    }


def _paper(
    declaration: Declaration, number: str, row: AttachedFile | None, states: str = "", differs: bool = False
) -> Paper:
    url = reverse("admin:document", args=[declaration.unified_number, row.pk]) if row else ""
    return Paper(number, url, states, differs)


def _manifest_goods(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    return " ".join(
        str(item[name]) for name in ("commodity_code", "description", "goods_name", "name") if item.get(name)
    )
