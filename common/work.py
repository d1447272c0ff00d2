"""Working off a list in a background task."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import redis
import structlog
from django.db import InterfaceError, OperationalError
from django.db.models import Q, QuerySet

from common.redis import client

#: Rows a sweep looks at in one round.
ROUND = 200

log = logging.getLogger(__name__)


def each(numbers: Iterable[str], do: Callable[[str], Any]) -> None:
    """``do`` for every number, once. One that fails stops no other; the sweep meets it again. Where the database is gone,
    the task fails as a whole: raises OperationalError or InterfaceError."""
    for number in dict.fromkeys(numbers):
        try:
            with structlog.contextvars.bound_contextvars(number=str(number)):
                do(number)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            log.exception("%s failed for %s", do.__name__, number)


def in_turn(name: str, rows: QuerySet[Any], *, number: str, since: str, size: int | None = None) -> list[str]:
    """The next ``size`` numbers of a list that working it off makes no shorter (goods that wait for days), oldest first by the
    column ``since``: a round goes on where the last one of this ``name`` ended, and begins again at the end. So what the
    hints did not reach is met, however much waits before it. Where a round ended is a hint of its own and may be lost."""
    key, size = f"sweep:{name}", size or ROUND
    after: Any = b""
    try:
        after = client().get(key) or b""
    except redis.RedisError as error:
        log.warning("the round of %s begins anew: %s", name, error)
    rows = rows.order_by(since, "pk")
    if after:
        at, _, pk = after.decode().partition("|")
        rows = rows.filter(Q(**{f"{since}__gt": at}) | Q(**{since: at, "pk__gt": int(pk)}), **{f"{since}__gte": at})
    found = list(rows.values_list(number, since, "pk")[:size])
    try:
        if len(found) == size:
            client().set(key, f"{found[-1][1].isoformat()}|{found[-1][2]}")
        else:
            client().delete(key)
    except redis.RedisError as error:
        log.warning("where the round of %s ended is not kept: %s", name, error)
    return [row[0] for row in found]
