"""Provinces at work together: a transit opened inland is confirmed at the coast, and one time line tells what all of them
said of a consignment."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import connection, transaction

from common.problems import Fault, conflict, invalid, not_found
from common.text import T
from events.log import append
from events.models import Event
from exchange.models import Mirror, MirrorEvent
from parties.principals import Principal

#: Steps the office of departure may confirm, in order.
STEPS = ("arrived", "departure_confirmed")


@transaction.atomic
def open_transit(
    *,
    number: str,
    to_province: str,
    to_office: str,
    from_office: str,
    containers: list[str],
    principal: Principal,
    declaration_number: str = "",
    audience: tuple[int, ...] = (),
) -> None:
    """Say that goods set out under customs control for an office of another province."""
    _lock(f"transit/{number}")
    if Event.objects.filter(subject_kind="transit", subject_number=number).exists():
        raise conflict("transit-exists", T("该转关已存在", "This transit exists already"))
    append(
        type="transit.opened",
        subject=("transit", number),
        actor=principal.actor,
        audience=audience,
        data={
            "state": "opened",
            "from_office": from_office,
            "to_office": to_office,
            "to_province": to_province,
            "declaration_number": declaration_number,
            "containers": containers,
        },
    )


@transaction.atomic
def confirm_transit(
    *, partner_code: str, number: str, step: str, principal: Principal, conveyance: str = "", place: str = ""
) -> None:
    """The office that the goods were sent to confirms: they arrived, they left the country. Ours to say, so it is an event of
    ours, which goes back to the province that opened the transit."""
    if step not in STEPS:
        raise invalid([Fault("/step", "step", T("须为 {s} 之一", "Must be one of {s}", s=", ".join(STEPS)))])
    _lock(f"transit/{number}")
    opened = Mirror.objects.filter(
        partner__code=partner_code, subject_kind="transit", subject_number=number, data__to_province=settings.PROVINCE
    ).first()
    if opened is None:
        raise not_found()
    said = set(
        Event.objects.filter(subject_kind="transit_confirmation", subject_number=number).values_list("type", flat=True)
    )
    if f"transit.{step}" in said:
        raise conflict("already-confirmed", T("已确认", "This was confirmed already"))
    if step == "departure_confirmed" and "transit.arrived" not in said:
        raise conflict("not-arrived", T("尚未确认运抵", "The arrival was not confirmed yet"))
    append(
        type=f"transit.{step}",
        subject=("transit_confirmation", number),
        actor=principal.actor,
        audience=[],
        data={"state": step, "province": partner_code, "conveyance": conveyance, "place": place},
    )


def _lock(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def time_line(number: str, principal: Principal) -> list[dict[str, Any]]:
    """What this and the other provinces said of ``number``, in order of time. A caller who is no officer must be one who
    may see something of ours about it. Raises Problem 404."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT subject_kind FROM exchange_sharedsubject UNION SELECT unnest(%s)", [list(KINDS)]
        )
        kinds = [kind for (kind,) in cursor.fetchall()]
    own = Event.objects.filter(subject_kind__in=kinds, subject_number=number)
    if not principal.is_officer:
        own = own.filter(audience__contains=[principal.organisation_id or 0])
        if not own.exists():
            raise not_found()
    theirs = MirrorEvent.objects.filter(links__contains=[number]).select_related("partner")
    line = [
        (event.occurred_at, settings.PROVINCE, event.type, event.subject_kind, event.subject_number, event.data)
        for event in own
    ] + [
        (event.occurred_at, event.partner.code, event.type, event.subject_kind, event.subject_number, event.data)
        for event in theirs
    ]
    return [
        {"at": at, "province": province, "type": type_, "kind": kind, "number": subject, "data": data}
        for at, province, type_, kind, subject, data in sorted(line, key=lambda row: (row[0], row[1], row[2]))
    ]


#: Kinds of subject a number is looked up under.
KINDS = (
    "declaration", "bill", "consignment", "manifest", "voyage", "transit", "transit_confirmation", "equipment",
)  # fmt: skip
