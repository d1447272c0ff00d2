"""Hints taken up: load, call, done. What is to be done is asked of the database."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from celery import shared_task
from django.db import InterfaceError, OperationalError

from clearance import duties
from clearance.tasks import proceed

log = logging.getLogger(__name__)


def _each(numbers: Iterable[str], do: Callable[[str], Any]) -> None:
    """One that fails stops no other; the sweep meets it again."""
    for number in dict.fromkeys(numbers):
        try:
            do(number)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            log.exception("%s failed for %s", do.__name__, number)


@shared_task
def go_on(events: list[dict[str, Any]]) -> None:
    _each((event["subject_number"] for event in events), proceed)


@shared_task
def sweep() -> None:
    _each(duties.waiting(), proceed)


@shared_task
def fall_away(events: list[dict[str, Any]]) -> None:
    _each((event["subject_number"] for event in events), duties.fall_away)


@shared_task
def after_arrival(events: list[dict[str, Any]]) -> None:
    _each(duties.on_voyages([event["subject_number"] for event in events]), duties.assess)


@shared_task
def again(events: list[dict[str, Any]]) -> None:
    """The tariff has changed: what could not be worked out may be now."""
    _each(duties.not_assessed(), duties.assess)
