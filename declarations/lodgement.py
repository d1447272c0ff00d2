"""Declaring: from a message to a declaration with a number. One path for one declaration and for five hundred."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from django.db import DataError, connection, transaction

from common.days import today
from common.json import dumps
from common.problems import Fault, Problem, conflict, invalid
from common.text import T
from declarations import message as messages
from declarations import projection, rules
from declarations.lifecycle import State
from declarations.models import Declaration, DeclarationVersion
from declarations.moves import lock, move, revise, target
from events import nudge
from events.log import append
from parties.models import Organisation
from parties.principals import SYSTEM, Principal
from parties.registration import find_registered, may_declare_for

Message = dict[str, Any]
Style = Literal["json", "xpath"]

#: Declarations one batch may hold.
BATCH = 500
#: What holds a declaration to what it says, entered by higher apps: (declaration, the new message or None where it is withdrawn)
#: -> what stands in the way.
HELD_TO: list[Callable[[Declaration, Message | None], list[Fault]]] = []


class Lodged(NamedTuple):
    """A declaration as lodgement answers it. ``created`` is False where this very message had been lodged before."""

    id: int
    unified_number: str
    client_reference: str | None
    state: str
    version: int
    revision: int
    created: bool


def faults_of(message: Any, purpose: messages.Purpose | None = None, style: Style = "json") -> list[Fault]:
    """Everything that stands in the way of storing this message for its purpose, all at once: shape, and sense
    where the shape there is right."""
    if type(message) is dict:
        messages.map_legacy_codes(message)
    faults = messages.check(message, purpose)
    if type(message) is dict:
        told = {fault.pointer for fault in faults}
        faults += [fault for fault in rules.check(message, purpose) if fault.pointer not in told]
    if style == "xpath":
        return [fault._replace(pointer=messages.xpath(fault.pointer, message)) for fault in faults]
    return faults


def lodge(message: Message, principal: Principal, *, style: Style = "json") -> Lodged:
    """Lodge one declaration, or keep it as a draft where its ``oper`` says so. Raises Problem 422, 403 or 409."""
    if faults := faults_of(message, style=style):
        raise invalid(faults)
    (result,) = store([message], principal)
    if isinstance(result, Problem):
        raise result
    return result


def lodge_many(entries: Sequence[Any], principal: Principal, *, style: Style = "json") -> list[Lodged | Problem]:
    """Lodge up to :data:`BATCH` declarations; a result for each, in their order. A faulty one harms no other."""
    results: list[Lodged | Problem | None] = []
    good: list[int] = []
    for index, message in enumerate(entries):
        faults = faults_of(message, style=style)
        results.append(invalid(faults) if faults else None)
        if not faults:
            good.append(index)
    for index, result in zip(good, store([entries[index] for index in good], principal), strict=True):
        results[index] = result
    return [result for result in results if result is not None]


_LODGE = (
    "SELECT o_entry, o_outcome, o_id, o_number, o_reference, o_state, o_version, o_revision"
    " FROM declarations_lodge(%s, %s, %s, %s)"
)


def store(entries: Sequence[Message], principal: Principal) -> list[Lodged | Problem]:
    """Faultless messages into the database, in one call."""
    if not entries:
        return []
    rows = []
    for message in entries:
        row: dict[str, Any] = {"message": message, "event": projection.facts(message)}
        if (columns := projection.columns(message)) is not None:
            row["columns"] = columns
        if messages.purpose_of(message) == "save":
            row["draft"] = True
        rows.append(row)
    results: list[Lodged | Problem] = [_UNSTORABLE] * len(entries)
    drafts: list[tuple[int, str]] = []
    try:
        with connection.cursor() as cursor:
            cursor.execute(_LODGE, [principal.organisation_id, principal.actor, today(), dumps(rows).decode()])
            for entry, outcome, *stored in cursor.fetchall():
                if outcome in ("created", "same"):
                    results[entry] = Lodged._make((*stored, outcome == "created"))
                elif outcome == "different" and stored[3] == State.DRAFT:
                    drafts.append((entry, stored[1]))
                else:
                    results[entry] = _refusal(outcome, stored[1])
    except DataError as error:
        # Checked messages fit the columns; should one not, it must not take the others with it.
        if connection.in_atomic_block:
            raise _UNSTORABLE from error
        if len(entries) > 1:
            return [result for message in entries for result in store([message], principal)]
    for entry, number in drafts:
        results[entry] = _over_draft(number, entries[entry], principal)
    transaction.on_commit(nudge.relay)
    return results


def _over_draft(number: str, message: Message, principal: Principal) -> Lodged | Problem:
    """A message under the reference of one's own draft takes the draft's place, and declares it where that is what it
    asks for: a sender that only speaks DecMessage saves (G) and declares (C) in no other way."""
    try:
        with transaction.atomic():
            declaration = lock(number, principal)
            if declaration.versions.filter(message=message).exists():
                pass  # while this one waited for the lock, a twin of it did what it asks for
            elif declaration.state != State.DRAFT:
                return _refusal("different", number)
            elif faults := _same_document(message, declaration):
                return invalid(faults)
            elif messages.purpose_of(message) == "save":
                _replace_draft(declaration, message, principal)
            else:
                declaration.versions.filter(version=declaration.version).update(message=message)
                _declare_draft(declaration, message, principal)
    except DataError:
        return _UNSTORABLE
    except Problem as problem:
        return problem
    return Lodged(
        declaration.pk, number, declaration.client_reference, declaration.state, declaration.version,
        declaration.revision, False,
    )  # fmt: skip


_UNSTORABLE = invalid(
    [Fault("", "unstorable", T("报文中有无法保存的值", "The message holds a value that cannot be stored"))]
)


def _refusal(outcome: str, number: str | None) -> Problem:
    if outcome == "different":
        return Problem(
            409,
            "client-reference-used",
            T("此客户端编号已用于另一份报关单", "This client reference was used for a different declaration"),
            extra={"unified_number": number},
        )
    if outcome == "unregistered":
        return invalid([_unregistered()])
    return not_mandated()


def _unregistered() -> Fault:
    return Fault(
        "/domestic_party_credit_code",
        "party-not-registered",
        T(
            "境内收发货人未在本窗口登记（按信用代码和海关编码均未找到）",
            "The domestic party is not registered here, by credit code or by customs code",
        ),
    )


def not_mandated() -> Problem:
    return Problem(
        403,
        "no-mandate",
        T("无权代该企业申报", "You may not declare for this firm"),
        detail=T(
            "须为境内收发货人本身，或持有当日有效、包含该监管方式的委托",
            "It takes the domestic party itself, or a mandate from it that holds today and includes the procedure",
        ),
        errors=[
            Fault("/domestic_party_credit_code", "no-mandate", T("没有有效的报关委托", "There is no mandate in force"))
        ],
    )


# Drafts, amendments, withdrawal.


def _may(message: Message, declaration: Declaration, principal: Principal) -> None:
    """Whether the caller may declare this for the firm it names; the declaration's columns are already of the message."""
    if declaration.firm_id is None:
        raise invalid([_unregistered()])
    if not may_declare_for(
        declarant_id=principal.organisation_id or 0,
        firm_id=declaration.firm_id,
        customs_procedure=message.get("customs_procedure", ""),
        on=today(),
    ):
        raise not_mandated()


def _own(number: str, principal: Principal, if_match: str | None) -> Declaration:
    declaration = lock(number, principal, if_match)
    require_lodger(declaration, principal)
    return declaration


def require_lodger(declaration: Declaration, principal: Principal) -> None:
    """Raises Problem 403 where the caller is not the organisation that lodged it."""
    if declaration.lodged_by_id != principal.organisation_id:
        raise Problem(403, "not-the-lodger", T("只有原申报方可以更改", "Only the one who lodged it may change it"))


#: Members that name a party.
NAMING = tuple(
    f"{role}_{code}" for role in ("domestic_party", "owner", "declarant") for code in ("credit_code", "code")
)


def _same_document(message: Message, declaration: Declaration) -> list[Fault]:
    """What a number stands for cannot change under it."""
    faults = []
    if message.get("direction") != declaration.direction:
        faults.append(Fault("/direction", "changed", T("不得更改进出口标志", "Import cannot become export, nor back")))
    reference = message.get("client_reference") or None
    if reference != declaration.client_reference:
        if reference is None and declaration.client_reference is not None:
            message["client_reference"] = declaration.client_reference
        else:
            faults.append(
                Fault("/client_reference", "changed", T("不得更改客户端编号", "The client reference cannot change"))
            )
    return faults


@transaction.atomic
def update_draft(
    *, number: str, message: Message, principal: Principal, if_match: str | None = None, style: Style = "json"
) -> Declaration:
    """Put another message in a draft's place. Raises Problem 404, 403, 409 (no draft any more), 412 or 422."""
    declaration = _own(number, principal, if_match)
    if declaration.state != "draft":
        raise Problem(
            409,
            "not-a-draft",
            T("已申报的报关单须通过修改办理", "A declaration that is lodged is changed by an amendment"),
        )
    if faults := faults_of(message, "save", style) or _same_document(message, declaration):
        raise invalid(faults)
    _replace_draft(declaration, message, principal)
    return declaration


def _replace_draft(declaration: Declaration, message: Message, principal: Principal) -> None:
    if message == declaration.message:
        return
    revise(declaration, message)
    declaration.versions.filter(version=declaration.version).update(message=message)
    append(
        type="declaration.draft_changed",
        subject=("declaration", declaration.unified_number),
        actor=principal.actor,
        audience=[declaration.lodged_by_id],
        data={"revision": declaration.revision},
    )


@transaction.atomic
def lodge_draft(*, number: str, principal: Principal, if_match: str | None = None) -> Declaration:
    """Declare what was kept as a draft. Raises Problem 404, 403, 409, 412 or 422."""
    declaration = _own(number, principal, if_match)
    target(declaration, "lodge", principal)
    message = declaration.message
    if faults := faults_of(message, "declare"):
        raise invalid(faults)
    _declare_draft(declaration, message, principal)
    return declaration


def _declare_draft(declaration: Declaration, message: Message, principal: Principal) -> None:
    revise(declaration, message, counted=False)
    _may(message, declaration, principal)
    move(declaration, "lodge", principal, data=projection.facts(message))


@transaction.atomic
def amend(
    *,
    number: str,
    message: Message,
    reason: str,
    principal: Principal,
    if_match: str | None = None,
    style: Style = "json",
) -> Declaration:
    """A new version in place of the present one, which is kept. Raises Problem 404, 403, 409, 412 or 422."""
    declaration = _own(number, principal, if_match)
    target(declaration, "amend", principal)
    reason = _reason(reason)
    faults = faults_of(message, "declare", style) or [
        *_same_document(message, declaration),
        *bound_faults(message, declaration),
        *(fault for holds in HELD_TO for fault in holds(declaration, message)),
    ]
    if faults:
        raise invalid(faults)
    before, former = declaration.message, declaration.parties
    changes = differences(before, message)
    if not changes:
        raise invalid([Fault("", "nothing-changed", T("内容没有变化", "Nothing has changed"))])
    revise(declaration, message, counted=False)
    _may(message, declaration, principal)
    declaration.version += 1
    declaration.versions.create(version=declaration.version, message=message, reason=reason, actor=principal.actor)
    move(
        declaration,
        "amend",
        principal,
        data=projection.facts(message) | {"reason": reason, "changed": [change["pointer"] for change in changes][:200]},
        former=former,
        version=declaration.version,
        risk_score=None,
    )
    return declaration


def bound_faults(message: Message, declaration: Declaration) -> list[Fault]:
    """What else cannot change once there is a customs number, which is formed of the office, and with which customs
    accepted the declaration of this domestic party. Other codes may name the same party."""
    if declaration.customs_number is None:
        return []
    party = find_registered(message.get("domestic_party_credit_code"), message.get("domestic_party_code"))
    text = T("海关编号已给出，不得更改", "The customs number is given: this cannot change any more")
    return [
        Fault(pointer, "bound-by-number", text)
        for pointer, same in (
            ("/customs_office", message.get("customs_office") == declaration.customs_office),
            ("/domestic_party_credit_code", party == declaration.firm_id),
        )
        if not same
    ]


def versions_for(declaration: Declaration, principal: Principal) -> list[DeclarationVersion]:
    """The versions the caller may read, in order: whoever lodged it and officers all, a party those that name it."""
    versions = list(declaration.versions.all())
    own = principal.organisation_id
    if principal is SYSTEM or principal.is_officer or own == declaration.lodged_by_id:
        return versions
    codes = {
        code for code in Organisation.objects.values_list("social_credit_code", "customs_code").get(pk=own or 0) if code
    }
    return [one for one in versions if any(one.message.get(member) in codes for member in NAMING)]


@transaction.atomic
def withdraw(*, number: str, reason: str, principal: Principal, if_match: str | None = None) -> Declaration:
    """Take a declaration back. Raises Problem 404, 403, 409 (accepted: customs must be asked), 412 or 422."""
    declaration = _own(number, principal, if_match)
    target(declaration, "withdraw", principal)
    if faults := [fault for holds in HELD_TO for fault in holds(declaration, None)]:
        raise conflict(faults[0].code, faults[0].text)
    move(declaration, "withdraw", principal, data={"reason": _reason(reason)})
    return declaration


def _reason(reason: Any) -> str:
    if not isinstance(reason, str) or not reason.strip() or len(reason) > 255:
        raise invalid(
            [
                Fault(
                    "/reason",
                    "required",
                    T("须说明原因（不超过 255 字）", "A reason is needed, of at most 255 characters"),
                )
            ]
        )
    return reason.strip()


def differences(before: Any, after: Any, pointer: str = "") -> list[dict[str, Any]]:
    """What changed between two versions, value by value, as ``{"pointer", "before", "after"}``."""
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            change
            for key in [*before, *(key for key in after if key not in before)]
            for change in differences(before.get(key), after.get(key), f"{pointer}/{key}")
        ]
    if isinstance(before, list) and isinstance(after, list):
        return [
            change
            for index in range(max(len(before), len(after)))
            for change in differences(
                before[index] if index < len(before) else None,
                after[index] if index < len(after) else None,
                f"{pointer}/{index}",
            )
        ]
    return [{"pointer": pointer, "before": before, "after": after}]
