"""Planned and actual times of a trip, reported outside manifests."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from cargo import reports
from cargo.models import Voyage
from common.problems import Fault, Problem, conflict, invalid, not_found
from common.text import T
from events.log import append
from parties.models import Officer
from parties.principals import Principal


def plan(
    pk: int, *, departure: datetime | None = None, arrival: datetime | None = None, principal: Principal
) -> Voyage:
    """New planned times; what has happened already is not planned any more. Raises Problem 404."""
    with transaction.atomic():
        voyage = _locked(pk, principal)
        before = (voyage.planned_departure, voyage.planned_arrival)
        voyage.planned_departure = departure or voyage.planned_departure
        voyage.planned_arrival = arrival or voyage.planned_arrival
        if before != (voyage.planned_departure, voyage.planned_arrival):
            voyage.save()
            append(
                type="voyage.planned",
                subject=("voyage", voyage.reference),
                actor=principal.actor,
                audience=[voyage.carrier_id],
                data={
                    "voyage": voyage.number,
                    "planned_departure": voyage.planned_departure,
                    "planned_arrival": voyage.planned_arrival,
                },
            )
    return voyage


def report(pk: int, *, what: str, at: datetime, change: bool = False, principal: Principal) -> Voyage:
    """The actual time of departure, arrival or entry declaration; with ``change`` another than was reported. Raises Problem
    404, 409 (reported otherwise, or goods released since), 422."""
    _check(what, at)
    with transaction.atomic():
        voyage = _locked(pk, principal)
        code, reason, zh, en = reports.record(voyage, what, at, principal, change=change)
        if code != "01":
            raise conflict(reason, T(zh, en))
    return voyage


def correct(pk: int, *, what: str, at: datetime, principal: Principal) -> Voyage:
    """An officer puts a reported time right, also once goods are released. Raises Problem 403, 404, 409 (nothing reported), 422."""
    if not (principal.is_officer and principal.has_duty(Officer.Duty.EXAMINATION)):
        raise Problem(403, "not-your-duty", T("不属您的职责", "This is not among your duties"))
    _check(what, at)
    with transaction.atomic():
        voyage = Voyage.objects.select_for_update(of=("self",)).filter(pk=pk).first()
        if voyage is None:
            raise not_found()
        if getattr(voyage, reports.MILESTONES[what][0]) is None:
            raise conflict("not-reported", T("尚无此项报告", "Nothing of the kind was reported"))
        reports.record(voyage, what, at, principal, change=True)
    return voyage


def _check(what: str, at: datetime) -> None:
    faults = []
    if what not in reports.MILESTONES:
        faults.append(Fault("/what", "unknown", T("未知的报告内容", "Unknown kind of report")))
    if at > timezone.now() + reports.TOLERANCE:
        faults.append(Fault("/at", "in-the-future", T("发生时间晚于当前时间", "Says it happened in the future")))
    if faults:
        raise invalid(faults)


def _locked(pk: int, principal: Principal) -> Voyage:
    voyage = Voyage.objects.select_for_update(of=("self",)).filter(pk=pk, carrier_id=principal.organisation_id).first()
    if voyage is None:
        raise not_found()
    return voyage
