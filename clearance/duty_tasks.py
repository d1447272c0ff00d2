"""Hints taken up: load, call, done. What is to be done is asked of the database."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from clearance import duties
from clearance.tasks import proceed
from common.work import each


@shared_task
def go_on(events: list[dict[str, Any]]) -> None:
    each((event["subject_number"] for event in events), proceed)


@shared_task
def sweep() -> None:
    each(duties.waiting(), proceed)


@shared_task
def fall_away(events: list[dict[str, Any]]) -> None:
    each((event["subject_number"] for event in events), duties.fall_away)


@shared_task
def after_arrival(events: list[dict[str, Any]]) -> None:
    each(duties.on_voyages([event["subject_number"] for event in events]), duties.assess)


@shared_task
def again(events: list[dict[str, Any]]) -> None:
    """The tariff has changed: what could not be worked out may be now."""
    each(duties.not_assessed(), duties.assess)
