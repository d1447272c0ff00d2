"""Hints taken up: load, call, done. What is to be done is asked of the database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from celery import shared_task

from common.work import each
from declarations import uploads
from declarations.checks import running


@shared_task
def check(events: list[dict[str, Any]]) -> None:
    each((event["subject_number"] for event in events), running.run)


@shared_task
def sweep_checks() -> None:
    each(running.waiting(timedelta(seconds=5)), running.run)


def _work_off(upload_id: Any) -> None:
    while uploads.work(upload_id):
        pass


@shared_task
def bulk_uploads(events: list[dict[str, Any]]) -> None:
    each((event["subject_number"] for event in events), _work_off)


@shared_task
def bulk_sweep_uploads() -> None:
    each(uploads.waiting(timedelta(seconds=10)), _work_off)
