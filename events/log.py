"""The append-only log: append in the transaction of the change, read in the order of publication. Nothing else.

Positions are given after the commit, by one publisher at a time (:func:`publish`). So a transaction that stays open for
minutes delays only its own events, and a reader who follows ``position`` never skips one that commits late."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from django.db import connection, transaction

from common.json import dumps
from events import nudge
from events.models import Event, Reader

#: Longest time a reader over HTTP may wait for news (seconds), and how often it looks.
MAX_WAIT = 25.0
LOOK_EVERY = 0.2

#: Requests of one process that may wait for news at a time: the other half of its eight threads keep answering.
WAITERS = 4
_waiting = threading.BoundedSemaphore(WAITERS)

Found = TypeVar("Found")


class Appended(NamedTuple):
    id: UUID
    sequence: int


def append(
    *,
    type: str,
    subject: tuple[str, str],
    actor: str,
    audience: Iterable[int],
    data: dict[str, Any],
    occurred_at: datetime | None = None,
) -> Appended:
    """Say what happened to ``subject`` (kind, number), whose row the caller has locked.

    ``audience`` are the organisations that may read it. Raises TransactionManagementError outside a transaction: an
    event without its change, or the other way round, must not be possible."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT o_id, o_sequence FROM {APPEND}",  # noqa: S608
            parameters(type=type, subject=subject, actor=actor, audience=audience, data=data, occurred_at=occurred_at),
        )
        row = cursor.fetchone()
    return Appended(*row)


#: The function that appends, for a statement that writes the change and its event at once; with :func:`parameters`.
APPEND = "events_append(%s, %s, %s, %s, %s, %s::jsonb, %s)"


def parameters(
    *,
    type: str,
    subject: tuple[str, str],
    actor: str,
    audience: Iterable[int],
    data: dict[str, Any],
    occurred_at: datetime | None = None,
) -> list[Any]:
    """What :data:`APPEND` takes; the relay is told of the event after the commit. Raises TransactionManagementError."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("events.log.append must run in the transaction of the change")
    transaction.on_commit(nudge.relay)
    return [type, subject[0], subject[1], actor, sorted(set(audience)), dumps(data).decode(), occurred_at]


def publish(limit: int = 5000) -> int:
    """Give committed events their positions; returns how many. Cheap when there is nothing to do."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT events_publish(%s)", [limit])
        return int(cursor.fetchone()[0])


def read_after(position: int, *, limit: int = 500, organisation_id: int | None = None) -> list[Event]:
    """Published events after ``position``, in order; only those ``organisation_id`` may see where it is given."""
    if organisation_id is None:
        return list(Event.objects.filter(position__gt=position).order_by("position")[:limit])
    return list(
        Event.objects.raw(
            "SELECT e.* FROM events_audience a JOIN events_event e ON e.position = a.position"
            " WHERE a.organisation_id = %s AND a.position > %s ORDER BY a.position LIMIT %s",
            [organisation_id, position, limit],
        )
    )


def wait_for(look: Callable[[], list[Found]], *, seconds: float) -> list[Found]:
    """What ``look`` finds, looked for again until it finds something or ``seconds`` are over. Where too many wait already,
    the answer is what there is now: an empty page, after which the caller asks again."""
    found = look()
    if found or seconds <= 0 or not _waiting.acquire(blocking=False):
        return found
    try:
        deadline = time.monotonic() + min(seconds, MAX_WAIT)
        while not found and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(LOOK_EVERY, left))
            found = look()
        return found
    finally:
        _waiting.release()


def follow(name: str, handle: Callable[[list[Event]], None], *, limit: int = 500) -> int:
    """Hand the reader ``name`` its next events and remember how far it came, in one transaction; returns how many.

    A second process of the same name gets nothing while the first is at work. ``handle`` may see events again after a
    crash: it must be idempotent."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT position FROM events_reader WHERE name = %s FOR UPDATE SKIP LOCKED", [name])
        row = cursor.fetchone()
        if row is not None:
            events = read_after(row[0], limit=limit)
            if events:
                handle(events)
                cursor.execute("UPDATE events_reader SET position = %s WHERE name = %s", [events[-1].position, name])
            return len(events)
    _, made = Reader.objects.get_or_create(name=name)
    return follow(name, handle, limit=limit) if made else 0


def as_json(event: Event) -> dict[str, Any]:
    """An event as the API and the exchange give it."""
    return {
        "id": event.id,
        "position": event.position,
        "type": event.type,
        "subject": {"kind": event.subject_kind, "number": event.subject_number},
        "sequence": event.sequence,
        "occurred_at": event.occurred_at,
        "recorded_at": event.recorded_at,
        "actor": event.actor,
        "data": event.data,
    }
