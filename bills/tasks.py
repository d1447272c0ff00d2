from __future__ import annotations

from typing import Any

from celery import shared_task

from bills import departing, journey, transport


@shared_task(name="bills.tasks.send_departures")
def send_departures(events: list[dict[str, Any]] | None = None) -> None:
    departing.send_due(transport.connect)


@shared_task(name="bills.tasks.note_releases")
def note_releases(events: list[dict[str, Any]]) -> None:
    journey.note_releases(event["subject_number"] for event in events)
