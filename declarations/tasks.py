"""Hints taken up: load, call, done. What is to be done is asked of the database."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from celery import shared_task
from django.db import InterfaceError, OperationalError

from declarations import uploads
from declarations.checks import running

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
def check(events: list[dict[str, Any]]) -> None:
    _each((event["subject_number"] for event in events), running.run)


@shared_task
def sweep_checks() -> None:
    _each(running.waiting(timedelta(seconds=5)), running.run)


def _work_off(upload_id: Any) -> None:
    while uploads.work(upload_id):
        pass


@shared_task
def bulk_uploads(events: list[dict[str, Any]]) -> None:
    _each((event["subject_number"] for event in events), _work_off)


@shared_task
def bulk_sweep_uploads() -> None:
    _each(uploads.waiting(timedelta(seconds=10)), _work_off)
