"""Hints taken up: load, call, done. What is to be done is asked of the database."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.db import transaction
from django.db.models import QuerySet

from clearance import cases, deadlines, duties, inspections, references, release, selection, times
from clearance.models import Case
from clearance.references import declarations as declarations_of
from common.work import each, in_turn
from declarations.models import Declaration


def proceed(number: str) -> None:
    """Match with the manifest, fix the duties and select if need be, release as far as can be, close what is through.

    The manifest comes first: the day its means declared entry decides on the late declaration fee."""
    with transaction.atomic():
        declaration = references.locked(number, state="accepted")
        if declaration is None:
            duties.assess(number)
            return
        case = cases.open_case(declaration)
        duties.assess(number)
        selection.select_locked(declaration, case)
        if release.attempt_locked(declaration, case) == "final":
            release.close_locked(declaration, case)


def _numbers(event: dict[str, Any]) -> list[str]:
    """The declarations an event is about."""
    kind, number = event["subject_kind"], event["subject_number"]
    if kind in ("declaration", "clearance", "duty"):
        return [number]
    if kind == "consignment":
        pk = number.rpartition("/")[2]
        return list(Case.objects.filter(consignment_id=pk).values_list("declaration__unified_number", flat=True)) or [
            one.unified_number for one in declarations_of(f"bill:{number.rpartition('/')[0]}")
        ]
    if kind == "voyage":
        return list(
            Case.objects.filter(consignment__voyage_id=number.rpartition("/")[2]).values_list(
                "declaration__unified_number", flat=True
            )
        )
    if kind == "hold":
        from clearance.models import Hold

        hold = Hold.objects.filter(pk=number).first()
        return [one.unified_number for one in declarations_of(hold.reference)] if hold else []
    if kind == "gate_move":
        from clearance.models import GateMove

        move = GateMove.objects.filter(pk=number).first()
        return list(move.declarations) if move else []
    return []


@shared_task
def go_on(events: list[dict[str, Any]]) -> None:
    each((number for event in events for number in _numbers(event)), proceed)


@shared_task
def close(events: list[dict[str, Any]]) -> None:
    each((number for event in events for number in _numbers(event)), release.close)


@shared_task
def tidy(events: list[dict[str, Any]]) -> None:
    each((event["subject_number"] for event in events), put_away)


def put_away(number: str) -> None:
    """What a declaration that left clearance still holds: inspections that were ordered, and goods."""
    inspections.tidy(number)
    cases.give_up_goods(number)


@shared_task
def sweep() -> None:
    each(selection.waiting(), proceed)
    each(_in_turn("release", release.waiting()), proceed)
    each(_in_turn("close", release.to_close()), release.close)


def _in_turn(name: str, rows: QuerySet[Declaration]) -> list[str]:
    return in_turn(name, rows, number="unified_number", since="state_since")


@shared_task
def sweep_deadlines() -> None:
    deadlines.sweep()


@shared_task
def reckon_limits(events: list[dict[str, Any]]) -> None:
    each((event["subject_number"] for event in events), lambda number: deadlines.entered_anew(_pk(number)))


def _pk(number: str) -> int:
    """The row that an event's "number/pk" stands for."""
    return int(number.rpartition("/")[2])


@shared_task
def follow_times() -> None:
    while times.follow():
        pass
