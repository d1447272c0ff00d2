"""Who has read what: a row for each page of a case that a person opened. Written beside the event log, not into it,
because a reading changes nothing and must not be told to the parties of the case."""

from __future__ import annotations

from django.http import HttpRequest

from common.models import ReadRecord


def record(*, actor: str, kind: str, number: str, page: str, request: HttpRequest) -> None:
    ReadRecord.objects.create(
        actor=actor,
        kind=kind,
        number=number,
        page=page,
        request_id=getattr(request, "request_id", ""),
        address=(request.META.get("REMOTE_ADDR") or "")[:45],
    )
