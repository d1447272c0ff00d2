"""Provinces at work together: goods that set out inland under customs control are confirmed at the coast, where they arrive and
leave the country. Each office says only what it did itself; the other province knows it by the exchange."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q

from cargo import equipment
from common.days import today
from common.problems import Fault, Problem, conflict, invalid, not_found
from common.text import T
from declarations.models import Declaration
from events.log import append
from events.models import Event
from exchange import merged
from exchange.messages import stamp
from exchange.models import Agreement, Mirror, MirrorEvent, Partner
from parties.principals import Principal

#: How the number of a transit and the code of an office are written.
NUMBER, OFFICE = "[A-Za-z0-9-]{4,40}", "[0-9]{4}"
FORMS = {
    NUMBER: T("4–40 个字母、数字或连字符", "4 to 40 letters, digits or hyphens"),
    OFFICE: T("4 位关区代码", "The four digits of an office"),
}

#: Steps the office of departure may confirm, in order.
STEPS = ("arrived", "departure_confirmed")


_ANOTHERS = T("不属您所在海关", "It is another customs office's")


def acts_for(office: str, principal: Principal) -> bool:
    """Whether the caller acts for an office: officers for those they are assigned to, customs' own systems for any."""
    return not principal.is_officer or principal.is_superuser or office in principal.offices


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
    """Say that goods set out under customs control for an office of another province, which must be a partner that our
    agreement tells of transits. An officer opens them from an office of his or her own. Raises Problem 409 or 422."""
    containers = [equipment.normal(container) for container in containers]
    faults = _faults(to_province, containers)
    for name, value, form in (
        ("number", number, NUMBER),
        ("from_office", from_office, OFFICE),
        ("to_office", to_office, OFFICE),
    ):
        if not re.fullmatch(form, value):
            faults.append(Fault(f"/{name}", "form", FORMS[form]))
        elif name == "from_office" and not acts_for(value, principal):
            faults.append(Fault(f"/{name}", "not-your-office", _ANOTHERS))
    if declaration_number:
        declared = Declaration.objects.declared().filter(unified_number=declaration_number).first()
        if declared is None:
            faults.append(Fault("/declaration_number", "not-found", T("没有此报关单", "There is no such declaration")))
        else:
            audience = (*audience, *declared.parties)
    if faults:
        raise invalid(faults)
    lock(f"transit/{number}")
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
    """The office that the goods were sent to, where that was shared, confirms: they arrived, they left the country. Ours to say, so
    it is an event of ours, which goes back to the province that opened the transit. Raises Problem 403, 404, 409 or 422."""
    if step not in STEPS:
        raise invalid([Fault("/step", "step", T("须为 {s} 之一", "Must be one of {s}", s=", ".join(STEPS)))])
    lock(f"transit_confirmation/{partner_code}/{number}")
    opened = Mirror.objects.filter(
        partner__code=partner_code, subject_kind="transit", subject_number=number, data__to_province=settings.PROVINCE
    ).first()
    if opened is None:
        raise not_found()
    office = opened.data.get("to_office")
    if office and not acts_for(office, principal):
        raise Problem(403, "not-your-office", _ANOTHERS)
    said = confirmed(partner_code, number)
    if step in said:
        raise conflict("already-confirmed", T("已确认", "This was confirmed already"))
    if step == "departure_confirmed" and "arrived" not in said:
        raise conflict("not-arrived", T("尚未确认运抵", "The arrival was not confirmed yet"))
    append(
        type=f"transit.{step}",
        subject=("transit_confirmation", number),
        actor=principal.actor,
        audience=[],
        data={
            "state": step,
            "province": partner_code,
            "conveyance": conveyance,
            "place": place,
            # The keys of the goods, so that a time line finds what we confirmed.
            "containers": containers_of(opened.data),
            "declaration_number": opened.data.get("declaration_number") or "",
        },
    )


def containers_of(data: dict[str, Any]) -> list[str]:
    """Those of a transit, whatever shape a partner gave them."""
    given = data.get("containers")
    return [str(one) for one in given] if isinstance(given, list) else []


def confirmed(partner_code: str, number: str) -> list[str]:
    """The steps of a partner's transit that were confirmed here, in order. Provinces number their transits each for itself:
    whose one is confirmed stands in the event."""
    said = set(
        Event.objects.filter(
            subject_kind="transit_confirmation", subject_number=number, data__province=partner_code
        ).values_list("type", flat=True)
    )
    return [step for step in STEPS if f"transit.{step}" in said]


def provinces() -> list[Partner]:
    """Partners that our agreement tells of transits."""
    agreed = Agreement.objects.filter(partner__state=Partner.State.ACTIVE, direction=Agreement.Direction.OUT)
    found = agreed.on(today()).select_related("partner__organisation").order_by("partner__code")  # type: ignore[attr-defined]
    return [one.partner for one in found if one.terms().covers("transit", "transit.opened")]


def _faults(to_province: str, containers: list[str]) -> list[Fault]:
    faults = []
    if to_province not in [partner.code for partner in provinces()]:
        faults.append(
            Fault(
                "/to_province",
                "not-a-partner",
                T("与该省份没有共享转关信息的协议", "No agreement shares transits with this province"),
            )
        )
    for n, container in enumerate(containers):
        if not equipment.is_valid(container):
            faults.append(Fault(f"/containers/{n}", "container", T("箱号有误", "Not a container number")))
    return faults


def lock(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


#: type of a confirmation -> what it makes of a transit
_STATES = {"transit.arrived": "arrived", "transit.departure_confirmed": "departure_confirmed"}


def answers_to_us() -> Q:
    """Mirrored confirmations that do not say they are of another province's transit: its number may be the same as ours."""
    ours = Q(data__province=settings.PROVINCE) | ~Q(data__has_key="province")
    return Q(subject_kind="transit_confirmation") & ours


def transits(
    principal: Principal,
    *,
    number: str | None = None,
    opened_by: str | None = None,
    cursor: str = "",
    most: int = merged.PAGE,
) -> merged.Page:
    """Transits opened here ("out") and for here ("in"), the newest first, each with what was confirmed. Whoever is no customs
    office sees those opened here for its own goods. Raises Problem 422 where ``cursor`` is none of ours."""
    own = Event.objects.filter(subject_kind="transit", type="transit.opened")
    theirs = Mirror.objects.filter(subject_kind="transit", count__gt=0, data__to_province=settings.PROVINCE)
    if number is not None:
        own, theirs = own.filter(subject_number=number), theirs.filter(subject_number=number)
    if opened_by is not None:
        theirs = theirs.filter(partner__code=opened_by)
        own = own if opened_by == settings.PROVINCE else own.none()
    if not principal.is_customs:
        own, theirs = own.filter(audience__contains=[principal.organisation_id or 0]), theirs.none()
    if place := merged.read(cursor, str, str, int):
        own = own.filter(_older("occurred_at", "entry", "out", *place))
        theirs = theirs.filter(_older("last_time", "pk", "in", *place))
    # Key of the order over both ways -> the transit.
    found: list[tuple[tuple[str, str, int], Event | Mirror]]
    found = [
        ((stamp(row.occurred_at), "out", row.entry), row) for row in own.order_by("-occurred_at", "-entry")[: most + 1]
    ]
    found += [
        ((stamp(row.last_time), "in", row.pk), row)
        for row in theirs.select_related("partner").order_by("-last_time", "-pk")[: most + 1]
    ]
    found.sort(key=lambda one: one[0], reverse=True)
    shown, said = found[:most], _said([row for _, row in found[:most]])
    results = []
    for _, row in shown:
        if isinstance(row, Event):
            steps = said.get((row.data["to_province"], settings.PROVINCE, row.subject_number), [])
            results.append(_transit("out", settings.PROVINCE, row.subject_number, row.occurred_at, row.data, steps))
        else:
            steps = said.get((settings.PROVINCE, row.partner.code, row.subject_number), [])
            results.append(_transit("in", row.partner.code, row.subject_number, row.last_time, row.data, steps))
    return merged.Page(results, merged.write(list(shown[-1][0])) if len(found) > most else None)


def _older(time: str, key: str, direction: str, at: str, last: str, pk: int) -> Q:
    """What comes after the place (``at``, ``last``, ``pk``) of a list that runs backwards."""
    try:
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError
    except ValueError:
        raise invalid([Fault("/cursor", "cursor", T("不是本接口给出的游标", "Not a cursor of this list"))]) from None
    tie = Q(**{time: moment})
    if direction == last:
        tie &= Q(**{f"{key}__lt": pk})
    return Q(**{f"{time}__lt": moment}) | (tie if direction <= last else Q(pk__in=[]))


#: who confirmed, whose transit, its number -> type, time and content of each confirmation
_Said = dict[tuple[str, str, str], list[tuple[str, datetime, dict[str, Any]]]]


def _said(rows: list[Event | Mirror]) -> _Said:
    """What was confirmed of these transits, each by the province it was opened for."""
    said: _Said = {}
    answers = MirrorEvent.objects.filter(
        answers_to_us(), subject_number__in=[row.subject_number for row in rows if isinstance(row, Event)]
    )
    for answer in answers.select_related("partner").order_by("sequence"):
        key = (answer.partner.code, settings.PROVINCE, answer.subject_number)
        said.setdefault(key, []).append((answer.type, answer.occurred_at, answer.data))
    ours = Event.objects.filter(
        subject_kind="transit_confirmation",
        subject_number__in=[row.subject_number for row in rows if isinstance(row, Mirror)],
    )
    for event in ours.order_by("sequence"):
        key = (settings.PROVINCE, event.data.get("province", ""), event.subject_number)
        said.setdefault(key, []).append((event.type, event.occurred_at, event.data))
    return said


def _transit(
    direction: str, opened_by: str, number: str, at: Any, data: dict[str, Any],
    steps: list[tuple[str, Any, dict[str, Any]]],
) -> dict[str, Any]:  # fmt: skip
    confirmed = {_STATES[type_]: moment for type_, moment, _ in steps if type_ in _STATES}
    return {
        "number": number,
        "direction": direction,
        "opened_by": opened_by,
        "to_province": data.get("to_province", ""),
        "from_office": data.get("from_office", ""),
        "to_office": data.get("to_office", ""),
        "declaration_number": data.get("declaration_number", ""),
        "containers": containers_of(data),
        "state": next((step for step in reversed(STEPS) if step in confirmed), "opened"),
        "opened_at": at,
        "arrived_at": confirmed.get("arrived"),
        "departed_at": confirmed.get("departure_confirmed"),
    }
