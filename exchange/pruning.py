"""Old deliveries are forgotten: what was settled long enough ago, its attempts, and bodies that nothing names any more. What is
not delivered stays, however old; so do the partners' feeds, from which a mirror can be rebuilt. Of what came in the raw messages
are forgotten later still; the events in them stay."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.db import connection, transaction


class Pruned(NamedTuple):
    deliveries: int
    attempts: int
    payloads: int


_OLD = "state NOT IN ('pending', 'parked') AND done_at < %(before)s"

_PRUNE = f"""
WITH old AS (
  SELECT id FROM exchange_delivery WHERE {_OLD} ORDER BY done_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED
), attempts AS (
  DELETE FROM exchange_attempt WHERE delivery_id IN (SELECT id FROM old) RETURNING 1
), deliveries AS (
  DELETE FROM exchange_delivery WHERE id IN (SELECT id FROM old) RETURNING payload_id
)
SELECT (SELECT count(*) FROM deliveries), (SELECT count(*) FROM attempts), ARRAY(SELECT DISTINCT payload_id FROM deliveries)
"""  # noqa: S608 constants

_BODIES = """
DELETE FROM exchange_payload p WHERE p.id = ANY(%s)
  AND NOT EXISTS (SELECT 1 FROM exchange_delivery d WHERE d.payload_id = p.id)
  AND NOT EXISTS (SELECT 1 FROM exchange_share s WHERE s.payload_id = p.id)
"""


_PRUNE_INBOX = """
WITH old AS (
  SELECT m.id FROM exchange_inboxmessage m LEFT JOIN exchange_quarantine q ON q.message_id = m.id
  WHERE m.received_at < %(before)s AND q.state IS DISTINCT FROM 'waiting' LIMIT %(batch)s
), settled AS (
  DELETE FROM exchange_quarantine WHERE message_id IN (SELECT id FROM old)
)
DELETE FROM exchange_inboxmessage WHERE id IN (SELECT id FROM old)
"""


def prune(before: datetime, *, batch: int = 5000, most: int = 200_000) -> Pruned:
    """Forget what was settled before a moment, in small transactions, ``most`` deliveries at a time."""
    total = Pruned(0, 0, 0)
    while total.deliveries < most:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_PRUNE, {"before": before, "batch": batch})
            deliveries, attempts, payloads = cursor.fetchone()
            cursor.execute(_BODIES, [payloads])
            bodies = cursor.rowcount
        total = Pruned(total.deliveries + deliveries, total.attempts + attempts, total.payloads + bodies)
        if deliveries < batch:
            break
    return total


def prune_inbox(before: datetime, *, batch: int = 5000, most: int = 200_000) -> int:
    """Forget partners' raw messages that came before a moment, but none that waits in quarantine; returns how many."""
    total = 0
    while total < most:
        with connection.cursor() as cursor:
            cursor.execute(_PRUNE_INBOX, {"before": before, "batch": batch})
            total += cursor.rowcount
            if cursor.rowcount < batch:
                break
    return total


def count(before: datetime) -> int:
    """How many deliveries :func:`prune` would forget."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM exchange_delivery WHERE {_OLD}", {"before": before})  # noqa: S608
        return int(cursor.fetchone()[0])
