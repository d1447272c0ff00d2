"""From the log to the workers: publish what was committed, look up who reacts, send one hint per reaction and batch."""

from __future__ import annotations

import time
from collections import defaultdict
from fnmatch import fnmatchcase
from typing import Any

from celery import current_app

from events import log, nudge
from events.models import Event
from singlewindow.reactions import REACTIONS


def reactions_to(event_type: str) -> list[str]:
    """Names of the tasks that react to ``event_type``."""
    return [task for pattern, tasks in REACTIONS.items() if fnmatchcase(event_type, pattern) for task in tasks]


def hints(events: list[Event]) -> dict[str, list[dict[str, Any]]]:
    """task name -> the events it should look at."""
    work: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        for task in reactions_to(event.type):
            work[task].append(
                {
                    "id": str(event.id),
                    "position": event.position,
                    "type": event.type,
                    "subject_kind": event.subject_kind,
                    "subject_number": event.subject_number,
                }
            )
    return work


#: Events a single hint carries at most: a worker that dies redoes no more than these.
HINT_SIZE = 20
#: Events taken from the log at a time.
BATCH = 500


def _send(events: list[Event]) -> None:
    for task, items in hints(events).items():
        for start in range(0, len(items), HINT_SIZE):
            current_app.send_task(task, args=[items[start : start + HINT_SIZE]], ignore_result=True)


#: While events keep coming, how often they are gathered (seconds), and how long one run goes on at most.
GATHER, LONGEST = 0.1, 10.0


def run() -> int:
    """Relay until nothing is left; returns the number of events relayed.

    The first event goes at once. Under a stream one run stays, and gathers what comes into few and larger hints: no nudge
    is sent as long as it does."""
    deadline = time.monotonic() + LONGEST
    relayed = _once()
    if relayed and nudge.stay():
        found = relayed
        while found and time.monotonic() < deadline:
            time.sleep(GATHER)
            nudge.still_here()
            found = _once()
            relayed += found
        nudge.gone()
    nudge.taken()
    return relayed + _once()


def _once() -> int:
    relayed = 0
    while True:
        log.publish()
        followed = log.follow("relay", _send, limit=BATCH)
        relayed += followed
        if followed < BATCH:
            return relayed
