"""Agreements on what may be shared: a new version closes the old one, every step is in the log."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.db import transaction
from django.db.backends.postgresql.psycopg_any import DateRange  # type: ignore[attr-defined]

from common.days import today
from common.problems import Fault, conflict, invalid
from common.text import T
from events.log import append
from exchange import terms
from exchange.models import Agreement, Partner
from parties.principals import Principal

MOST_NOTE = 300


def faults(
    kinds: list[str], types: list[str], fields: Any, valid_from: date, valid_to: date | None = None, note: str = ""
) -> list[Fault]:
    """Everything wrong with a proposed version."""
    found = terms.faults(kinds, types, fields)
    if valid_to is not None and valid_to <= valid_from:
        found.append(Fault("/valid_to", "period", T("止期须晚于起期", "The end must be after the start")))
    if len(note) > MOST_NOTE:
        found.append(Fault("/note", "too-long", T("最多 {n} 字", "At most {n} characters", n=MOST_NOTE)))
    return found


@transaction.atomic
def agree(
    *,
    partner: Partner,
    direction: str,
    kinds: list[str],
    types: list[str],
    fields: dict[str, list[str]],
    actor: Principal,
    valid_from: date | None = None,
    valid_to: date | None = None,
    note: str = "",
    after: int | None = None,
) -> Agreement:
    """The next version, in force from ``valid_from`` (today) on; the one before ends there. ``after`` is the version it was
    written against (0: none). Raises Problem 422 or 409."""
    start = valid_from or today()
    found = faults(kinds, types, fields, start, valid_to, note)
    if direction not in Agreement.Direction.values:
        found.append(Fault("/direction", "direction", T("须为 in 或 out", "Must be in or out")))
    if found:
        raise invalid(found)
    Partner.objects.select_for_update().get(pk=partner.pk)
    earlier = list(Agreement.objects.filter(partner=partner, direction=direction).order_by("-version"))
    if after is not None and after != (earlier[0].version if earlier else 0):
        raise conflict(
            "other-version", T("其间已另有新版本，请重新核对", "Another version was agreed meanwhile; look at it first")
        )
    for row in earlier:
        if row.valid.isempty or (row.valid.upper is not None and row.valid.upper <= start):
            continue
        if row.valid.lower is not None and row.valid.lower > start:
            raise conflict("later-agreement", T("已有更晚起效的协议", "An agreement that starts later exists already"))
        row.valid = DateRange(row.valid.lower, start)
        row.save(update_fields=["valid"])
    made = Agreement.objects.create(
        partner=partner,
        direction=direction,
        version=earlier[0].version + 1 if earlier else 1,
        kinds=kinds,
        types=types,
        fields=fields,
        valid=DateRange(start, valid_to),
        agreed_by=actor.actor,
        note=note,
    )
    _say("made", made, actor)
    return made


@transaction.atomic
def end(*, agreement: Agreement, actor: Principal, on: date | None = None) -> Agreement:
    """Nothing is shared any more from ``on`` (today)."""
    found = Agreement.objects.select_for_update().get(pk=agreement.pk)
    day = on or today()
    if day < today():
        raise invalid([Fault("/on", "past", T("日期不得早于今天", "The day must not lie in the past"))])
    if found.valid.isempty or (found.valid.upper is not None and found.valid.upper <= day):
        raise conflict("agreement-ended", T("协议已终止", "The agreement has ended"))
    found.valid = DateRange(found.valid.lower, max(day, found.valid.lower or day))
    found.save(update_fields=["valid"])
    _say("ended", found, actor)
    return found


def _say(what: str, agreement: Agreement, actor: Principal) -> None:
    data: dict[str, Any] = {
        "direction": agreement.direction,
        "version": agreement.version,
        "kinds": agreement.kinds,
        "types": agreement.types,
        "fields": agreement.fields,
        "from": agreement.valid.lower,
        "to": agreement.valid.upper,
    }
    append(
        type=f"agreement.{what}",
        subject=("agreement", f"{agreement.partner.code}/{agreement.direction}"),
        actor=actor.actor,
        audience=[agreement.partner.organisation_id],
        data=data,
    )


def in_force(partner_id: int, direction: str) -> Agreement | None:
    return Agreement.objects.filter(partner_id=partner_id, direction=direction).on(today()).first()  # type: ignore[attr-defined, no-any-return]
