"""How every change of a declaration is made: its row locked, the step looked up in the life cycle, state and event written
together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.utils import timezone

from common import etags
from common.days import today
from common.json import dumps
from common.problems import Fault, Problem, not_found
from common.text import T
from declarations import projection
from declarations.lifecycle import DECLARANT, LIFECYCLE, OFFICER, State, commands_of, step
from declarations.lifecycle import SYSTEM as SYSTEM_SIDE
from declarations.models import Declaration
from events.log import append
from parties.principals import SYSTEM, Principal

#: Members that a revision fills from the message, to be read back after it.
_FILLED = [
    field.attname
    for field in Declaration._meta.local_concrete_fields
    if field.attname not in ("id", "unified_number", "customs_number", "state", "version", "revision")
]


def lock(number: str, principal: Principal, if_match: str | None = None) -> Declaration:
    """The declaration, its row locked until the end of the transaction. Raises Problem 404, or 412 where ``if_match`` (an
    If-Match header) names another revision."""
    found = list(
        Declaration.objects.visible_to(principal)
        .numbered(number, principal)
        .order_by("pk")
        .select_for_update(of=("self",))[:2]
    )
    if not found:
        raise not_found()
    declaration = found[0]
    if if_match and not etags.names(if_match, declaration.etag):
        raise Problem(
            412,
            "changed-meanwhile",
            T("报关单已被更改，请取最新内容后重试", "It was changed meanwhile: read it again, then decide"),
            extra={"revision": declaration.revision, "state": declaration.state},
        )
    return declaration


def revise(declaration: Declaration, message: dict[str, Any], *, counted: bool = True) -> None:
    """Make columns and lists of the locked declaration anew from ``message``."""
    columns = projection.columns(message)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT declarations_revise(%s, %s)",
            [declaration.pk, dumps(columns if columns is not None else message).decode()],
        )
    if counted:
        declaration.revision += 1
        declaration.updated_at = timezone.now()
        declaration.save(update_fields=["revision", "updated_at"])
    declaration.refresh_from_db(fields=_FILLED)


#: What customs may allow once it has accepted a declaration (Customs Law art. 26), and in which states it is asked for: not
#: while an inspection is ordered; a withdrawal not once the goods are released.
ASKED_FOR = {
    "amend": frozenset({State.ACCEPTED, State.HELD, State.RELEASED, State.CLEARED}),
    "withdraw": frozenset({State.ACCEPTED, State.HELD}),
}


def target(declaration: Declaration, command: str, principal: Principal) -> str:
    """The state ``command`` leads to. Raises Problem 409 naming what the caller's side may do instead."""
    side = SYSTEM_SIDE if principal is SYSTEM else OFFICER if principal.is_officer else DECLARANT
    try:
        return LIFECYCLE.target(declaration.state, command, commands_of(side))
    except Problem as problem:
        if side == DECLARANT and declaration.state in ASKED_FOR.get(command, ()):
            path = f"/api/v1/clearance/{declaration.unified_number}/change-requests"
            problem.errors.append(
                Fault(
                    "",
                    "ask-customs",
                    T(
                        "海关已接受申报，修改或撤销须向海关申请：POST {path}",
                        "Customs has accepted it: ask customs for the amendment or withdrawal, POST {path}",
                        path=path,
                    ),
                )
            )
        raise


def move(
    declaration: Declaration,
    command: str,
    principal: Principal,
    *,
    data: dict[str, Any] | None = None,
    former: Iterable[int] = (),
    **columns: Any,
) -> None:
    """Take the locked declaration one step: state, time stamp, revision and event; its ``former`` parties are told where
    they are none any more. Raises Problem 409."""
    row = step(command)
    now = timezone.now()
    before = declaration.state
    columns |= {
        "state": target(declaration, command, principal),
        "state_since": now,
        "updated_at": now,
        "revision": declaration.revision + 1,
    }
    if row.stamp:
        columns[row.stamp] = now
    for name, value in columns.items():
        setattr(declaration, name, value)
    declaration.save(update_fields=list(columns))
    append(
        type=row.event,
        subject=("declaration", declaration.unified_number),
        actor=principal.actor,
        audience=declaration.parties,
        data={
            "state": declaration.state,
            "from": before,
            "version": declaration.version,
            "customs_office": declaration.customs_office,
        }
        | ({"customs_number": declaration.customs_number} if declaration.customs_number else {})
        | (data or {}),
    )
    tell_former(declaration, former, principal)


def tell_former(declaration: Declaration, former: Iterable[int], principal: Principal) -> None:
    """Tell those of the ``former`` parties whom the present version does not name that it is so: what it says of others is not
    theirs to read."""
    if dropped := set(former).difference(declaration.parties):
        append(
            type="declaration.party_dropped",
            subject=("declaration", declaration.unified_number),
            actor=principal.actor,
            audience=dropped,
            data={"state": declaration.state, "version": declaration.version},
        )


def customs_number(declaration: Declaration) -> str:
    """A new customs number: office, year, 1 for import and 0 for export, nine digits of serial."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('declarations_customs_serial')")
        serial = cursor.fetchone()[0]
    way = "1" if declaration.direction == "I" else "0"
    return f"{declaration.customs_office}{today():%Y}{way}{serial:09d}"
