"""Asking customs to let an accepted declaration be amended or withdrawn, and the officer's decision (Customs Law art. 26)."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from clearance import cases, duties, inspections, references
from clearance.models import ChangeRequest
from common.problems import Fault, Problem, conflict, invalid, not_found
from common.text import T, pick
from declarations import lodgement
from declarations.decisions import require_in_charge
from declarations.fields import blocks
from declarations.models import Declaration
from declarations.moves import ASKED_FOR, move, revise, tell_former
from events.log import append
from parties.principals import Principal


def ask(
    *, number: str, kind: str, reason: str, message: dict[str, Any] | None = None, principal: Principal
) -> ChangeRequest:
    """Ask. Who may: whoever lodged it. When: from acceptance on, not once an inspection is ordered; after release, or
    pick-up, an amendment only, of what the release does not rest on.

    Raises Problem 404, 403, 409 (with what to do instead), 422."""
    seen = cases.visible(number, principal)
    with transaction.atomic():
        declaration = references.locked(seen.unified_number)
        if declaration is None:
            raise not_found()
        lodgement.require_lodger(declaration, principal)
        if kind not in ASKED_FOR:
            raise invalid([Fault("/kind", "kind", T("应为 amend 或 withdraw", "Write amend or withdraw"))])
        _possible(declaration, kind)
        faults = []
        if not reason.strip() or len(reason) > 255:
            faults.append(
                Fault(
                    "/reason",
                    "required",
                    T("须说明理由（不超过 255 字）", "A reason is needed, 255 characters at most"),
                )
            )
        difference: list[dict[str, Any]] = []
        if kind == ChangeRequest.Kind.AMEND:
            if not isinstance(message, dict):
                faults.append(
                    Fault("/message", "required", T("须附修改后的报关单", "The amended declaration is needed"))
                )
            else:
                wrong = lodgement.faults_of(message, "declare")
                # What approval would come to, said before an officer looks at it.
                wrong = wrong or ([] if _gone(declaration) else lodgement.bound_faults(message, declaration))
                faults += [one._replace(pointer=f"/message{one.pointer}") for one in wrong]
                faults += _bound(declaration, message)
                difference = lodgement.differences(declaration.message, message)
                if not faults and not difference:
                    faults.append(Fault("/message", "nothing-changed", T("内容没有变化", "Nothing has changed")))
        if faults:
            raise invalid(faults)
        if declaration.change_requests.filter(state=ChangeRequest.State.PENDING).exists():
            raise conflict("pending", T("已有待审核的申请", "A request is pending already"))
        row = ChangeRequest.objects.create(
            declaration=declaration, kind=kind, reason=reason.strip(), message=message if kind == "amend" else None,
            version=declaration.version, difference=difference[:2000], requested_by_id=principal.organisation_id or 0,
            actor=principal.actor,
        )  # fmt: skip
        _say(
            "clearance.change_requested",
            row,
            declaration,
            principal,
            changed=[one["pointer"] for one in difference[:200]],
        )
    return row


#: Members that a release rests on: the goods that went, and who answers for them.
RESTS_ON = (
    "direction", "client_reference", "customs_office", "transport_document_number", "voyage_number", "transport_mode",
    "containers", "domestic_party_code", "domestic_party_credit_code", "declarant_code", "document_type",
)  # fmt: skip


def held_to(declaration: Declaration, message: dict[str, Any] | None) -> list[Fault]:
    """Why the declarant cannot change a declaration to ``message``, or withdraw it (None), by its own hand: the goods are gone."""
    if message is not None:
        return _bound(declaration, message, "")
    text = T("货物已放行提离，不得撤销", "The goods were let go: the declaration stands")
    return [Fault("", "released-with-it", text)] if _gone(declaration) else []


def _bound(declaration: Declaration, message: dict[str, Any], pointer: str = "/message") -> list[Fault]:
    """After release, for pick-up or for good: what it rests on stays as it was."""
    if not _gone(declaration):
        return []
    now = declaration.message
    return [stays(f"{pointer}/{name}") for name in RESTS_ON if (message.get(name) or None) != (now.get(name) or None)]


def stays(pointer: str) -> Fault:
    """What is said of a member that a release rests on and that was changed."""
    text = T("放行所依据的内容不得修改", "The release rests on it; it cannot be changed")
    return Fault(pointer, "released-with-it", text)


AFTER_RELEASE = ("released", "cleared")


def _gone(declaration: Declaration) -> bool:
    """Whether customs has let the goods go, at least for pick-up."""
    return declaration.state in AFTER_RELEASE or declaration.releases.exists()


def _possible(declaration: Declaration, kind: str) -> None:
    if declaration.state in ("draft", "lodged", "under_review", "returned", "rejected"):
        raise conflict(
            "not-needed", T("尚未接受申报，可直接修改或撤销", "Not accepted yet: amend or withdraw it directly")
        )
    if declaration.state == "under_inspection":
        raise conflict(
            "inspection", T("海关已决定查验，不得修改或撤销", "An inspection is ordered: no amendment, no withdrawal")
        )
    if declaration.state not in ASKED_FOR[kind] or (kind == ChangeRequest.Kind.WITHDRAW and _gone(declaration)):
        raise conflict("over", T("报关单已放行或撤销", "The declaration is released or withdrawn"))


def decide(*, pk: int, approve: bool, note: str = "", principal: Principal) -> ChangeRequest:
    """An officer of the office of declaration decides; approval makes the new version, or withdraws. Raises Problem 404, 403,
    409."""
    found = ChangeRequest.objects.filter(pk=pk).select_related("declaration").first()
    if found is None:
        raise not_found()
    cases.visible(found.declaration.unified_number, principal)
    if not (principal.is_officer and principal.has_duty("examination")):
        raise Problem(403, "not-your-duty", T("不属您的职责", "This is not among your duties"))
    with transaction.atomic():
        declaration = references.locked(found.declaration.unified_number)
        assert declaration is not None
        require_in_charge(declaration, principal, "examination")
        row = ChangeRequest.objects.select_for_update().get(pk=pk)
        if row.state != ChangeRequest.State.PENDING:
            raise conflict("decided", T("此申请已由 {who} 审核", "{who} has decided this request", who=row.decided_by))
        if approve:
            _possible(declaration, row.kind)
            if row.version != declaration.version:
                raise conflict("changed-meanwhile", T("报关单已有新版本", "The declaration has a newer version"))
        row.state = ChangeRequest.State.APPROVED if approve else ChangeRequest.State.REFUSED
        row.decided_by, row.decided_at, row.note = principal.actor, timezone.now(), note
        row.save()
        if approve:
            _carry_out(row, declaration, principal)
        _say("clearance.change_decided", row, declaration, principal, approved=approve, note=note)
    return row


def _carry_out(row: ChangeRequest, declaration: Declaration, principal: Principal) -> None:
    """Customs gives the declaration back, and what was asked for is done with it, in the asker's name."""
    if declaration.state in AFTER_RELEASE:
        _correct(row, declaration, principal)
        return
    move(declaration, "return", principal, data={"reason_code": "declarant-asks", "note": row.reason})
    asker = Principal(actor=row.actor, organisation_id=row.requested_by_id)
    if row.kind == ChangeRequest.Kind.WITHDRAW:
        lodgement.withdraw(number=declaration.unified_number, reason=row.reason, principal=asker)
        inspections.cancel_all(declaration, principal)
        cases.give_up_goods(declaration.unified_number)
    else:
        lodgement.amend(
            number=declaration.unified_number, message=row.message or {}, reason=row.reason, principal=asker
        )
    declaration.refresh_from_db()


def _correct(row: ChangeRequest, declaration: Declaration, principal: Principal) -> None:
    """A new version of a declaration whose goods are released: no step of the life cycle, for the release stands. What it
    changes of the duties is asked for, or given back."""
    message = row.message or {}
    faults = lodgement.faults_of(message, "declare") + _bound(declaration, message)
    if faults:
        raise invalid(faults)
    former = declaration.parties
    revise(declaration, message)
    declaration.version += 1
    declaration.versions.create(version=declaration.version, message=message, reason=row.reason, actor=row.actor)
    declaration.amended_at = declaration.updated_at
    declaration.save(update_fields=["version", "amended_at"])
    append(
        type="declaration.corrected",
        subject=("declaration", declaration.unified_number),
        actor=principal.actor,
        audience=declaration.parties,
        data={
            "state": declaration.state,
            "version": declaration.version,
            "customs_office": declaration.customs_office,
            "customs_number": declaration.customs_number or "",
            "reason": row.reason,
            "changed": [one["pointer"] for one in row.difference][:200],
        },
    )
    tell_former(declaration, former, principal)
    duties.assess(declaration.unified_number, AFTER_RELEASE)


def readable(difference: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The difference in the reader's language: what the member is called, before, after."""
    names = _names()
    return [
        {
            "pointer": one["pointer"],
            "label": _label(one["pointer"], names),
            "before": one["before"],
            "after": one["after"],
        }
        for one in difference
    ]


def _names() -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for block in blocks().values():
        found[block.name] = (block.name_zh, block.name_en)
        for field in block.fields.values():
            found.setdefault(field.name, (field.name_zh, field.name_en))
    return found


def _label(pointer: str, names: dict[str, tuple[str, str]]) -> str:
    parts = []
    for step in pointer.strip("/").split("/"):
        if step.isdigit():
            parts.append(pick("第 {n} 项", "no. {n}", n=int(step) + 1))
        else:
            zh, en = names.get(step, (step, step))
            parts.append(pick(zh, en))
    return " › ".join(parts)


def _say(type_: str, row: ChangeRequest, declaration: Declaration, principal: Principal, **data: Any) -> None:
    append(
        type=type_,
        subject=("clearance", declaration.unified_number),
        actor=principal.actor,
        audience=declaration.parties,
        data={"request": row.pk, "kind": row.kind, **data},
    )
