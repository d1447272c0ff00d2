"""What customs decides about a declaration. Console, API and the system's own reactions all come through here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import transaction

from common.problems import Fault, Problem, invalid
from common.text import T
from declarations import reasons
from declarations.lifecycle import LIFECYCLE, OFFICER, SYSTEM, step
from declarations.models import Declaration
from declarations.moves import customs_number, lock, move, target
from parties import principals
from parties.principals import Principal

#: What a note may hold.
NOTE = 500


#: command -> what else must be asked before it, entered by apps above (AppConfig.ready); each returns what is missing.
GUARDS: dict[str, list[Callable[[Declaration], list[Fault]]]] = {}


#: command -> what apps above do in the same transaction, after it.
FOLLOWERS: dict[str, list[Callable[[Declaration, Principal], None]]] = {}


def allowed(declaration: Declaration, principal: Principal) -> list[str]:
    """Commands an officer may give for this declaration now (buttons of the console, ``actions`` of the API)."""
    return [
        command
        for command in LIFECYCLE.allowed(declaration.state)
        if OFFICER in step(command).by
        and principal.has_duty(step(command).duty)
        and in_charge(declaration, principal, step(command).duty)
    ]


def in_charge(declaration: Declaration, principal: Principal, duty: str) -> bool:
    """Whether this officer's office decides what ``duty`` has to decide: the one it was declared at. The office of entry or
    exit sees it too, and has a say in the inspection of the goods that lie there."""
    if principal.is_superuser or declaration.customs_office in principal.offices:
        return True
    return duty == "inspection" and declaration.border_customs_office in principal.offices


def require_in_charge(declaration: Declaration, principal: Principal, duty: str) -> None:
    """Raises Problem 403 where another office decides."""
    if not in_charge(declaration, principal, duty):
        raise Problem(
            403,
            "not-your-office",
            T("由申报地海关决定", "The customs office of declaration decides this"),
        )


@transaction.atomic
def decide(
    *,
    number: str,
    command: str,
    principal: Principal,
    reason_code: str = "",
    note: str = "",
    if_match: str | None = None,
    data: dict[str, Any] | None = None,
    **columns: Any,
) -> Declaration:
    """Take one step of the life cycle in the name of customs.

    Raises Problem 404, 403 (not this officer's duty, or another office's declaration), 409 (not from this state), 412 or 422 (no such reason)."""
    declaration = lock(number, principal, if_match)
    if command not in LIFECYCLE.transitions:
        raise invalid([Fault("/command", "unknown", T("没有此操作", "There is no such command"))])
    row = step(command)
    if principal is principals.SYSTEM:
        permitted = SYSTEM in row.by
    else:
        permitted = OFFICER in row.by and principal.is_officer and principal.has_duty(row.duty)
    if not permitted:
        raise Problem(403, "not-your-duty", T("不属您的职责", "This is not among your duties"))
    if principal is not principals.SYSTEM:
        require_in_charge(declaration, principal, row.duty)
    target(declaration, command, principal)
    if standing := [fault for guard in GUARDS.get(command, ()) for fault in guard(declaration)]:
        raise Problem(
            409,
            f"not-ready-to-{command}",
            T("尚有条件未满足", "Something is still in the way"),
            errors=standing,
        )
    faults = []
    if row.reason and not reason_code:
        faults.append(Fault("/reason_code", "required", T("须选择原因", "A reason is needed")))
    if reason_code and reasons.find(command, reason_code) is None:
        faults.append(Fault("/reason_code", "reason", T("原因代码无效", "No such reason for this command today")))
    if len(note) > NOTE:
        faults.append(Fault("/note", "too-long", T("最长 {n} 个字符", "At most {n} characters", n=NOTE)))
    if faults:
        raise invalid(faults)
    if command == "accept" and declaration.customs_number is None:
        columns["customs_number"] = customs_number(declaration)
    told = dict(data or {})
    if reason_code:
        told["reason_code"] = reason_code
    if note:
        told["note"] = note
    move(declaration, command, principal, data=told, **columns)
    for follow in FOLLOWERS.get(command, ()):
        follow(declaration, principal)
    return declaration
