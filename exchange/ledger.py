"""What PostgreSQL knows of deliveries: which are due, what became of them, what comes next. No HTTP here.

Endpoints are spread over shards; one process at a time works a shard off, holding its advisory lock. So what is under
way is that process's own memory: when it dies, the lock goes, and everything it had not written down is due again."""

from __future__ import annotations

import json
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from common.days import today
from events.log import append
from exchange import vault
from exchange.models import Endpoint
from exchange.terms import Terms, of_row

#: Seconds to wait before the 2nd, 3rd, … try, each ± 10 %.
SCHEDULE = tuple(settings.EXCHANGE_SCHEDULE)
#: Longest Retry-After that is honoured.
MAX_RETRY_AFTER = 86_400
#: An endless failure is parked after the schedule's tries, but not before its time is over: an endpoint that goes and
#: comes uses up tries early.
PARK_AFTER = sum(SCHEDULE) * 0.9
#: Failures in a row (what was in the air together counts once) after which an endpoint is spared, for how long at most
#: (seconds), and after which its first success wakes what waits for a later try.
BREAK_AFTER = 5
WAKE_AFTER = 2
SPARE_MOST = settings.EXCHANGE_SPARE_MOST
SPARE_FIRST = min(10.0, SPARE_MOST)
#: An endpoint that failed without one success for this long is disabled.
TERM_SECONDS = 5 * 86_400

_LOCK = 7230917


class Target(NamedTuple):
    """An endpoint with something due."""

    id: UUID
    url: str
    headers: dict[str, str]
    rate_limit: int | None
    timeout: int
    failures: int
    secrets: list[str]
    #: Whether it ever answered with 2xx.
    proven: bool = True
    organisation_id: int = 0
    #: What may be shared with a partner today; None for an organisation's own endpoint, which gets its events whole.
    terms: Terms | None = None


class Due(NamedTuple):
    id: int
    endpoint: UUID
    message_id: str
    body: bytes
    #: Fingerprint of the terms the body was made under.
    terms: int | None = None


class Outcome(NamedTuple):
    """What came of one try. ``delivered``: 2xx; ``gone``: 410; ``wait``: seconds the receiver asked for; ``news``: it was sent
    when every earlier failure of this endpoint was known, so that it says something new about the endpoint."""

    delivery: int
    endpoint: UUID
    status: int | None
    error: str
    milliseconds: int
    answer: str
    delivered: bool
    gone: bool = False
    wait: float | None = None
    news: bool = True


def own(shard: int) -> bool:
    """Whether this connection now holds the shard (until it is given up or the connection ends)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCK, shard])
        return bool(cursor.fetchone()[0])


def disown(shard: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCK, shard])


def taken(shard: int) -> bool:
    """Whether some process holds the shard now. It looks once more after giving it back, so a hint may be dropped."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid = %s"
            " AND objsubid = 2 AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
            [_LOCK, shard],
        )
        return bool(cursor.fetchone()[0])


_TARGETS = """
SELECT e.id, e.url, e.headers::text, e.rate_limit, e.timeout, e.failures,
  ARRAY(SELECT s.sealed FROM exchange_endpointsecret s WHERE s.endpoint_id = e.id
    AND (s.expires_at IS NULL OR s.expires_at > now()) ORDER BY s.created_at DESC),
  e.last_success_at IS NOT NULL, e.organisation_id, a.kinds, a.types, a.fields::text
FROM exchange_endpoint e LEFT JOIN exchange_partner p ON p.id = e.partner_id
LEFT JOIN exchange_agreement a ON a.partner_id = p.id AND a.direction = 'out' AND a.valid @> %s::date
WHERE e.state = 'active' AND (p.id IS NULL OR p.state = 'active' AND a.id IS NOT NULL)
  AND (e.spared_until IS NULL OR e.spared_until <= now())
  AND abs(hashtext(e.id::text)) %% %s = %s
  AND EXISTS (SELECT 1 FROM exchange_delivery d
    WHERE d.endpoint_id = e.id AND d.state = 'pending' AND d.ready_at <= now())
"""


def targets(shard: int) -> list[Target]:
    """Endpoints of the shard that may be called and have something due. One whose secrets do not open waits."""
    with connection.cursor() as cursor:
        cursor.execute(_TARGETS, [today(), settings.EXCHANGE_SHARDS, shard])
        return [
            Target(
                endpoint,
                url,
                json.loads(headers),
                rate_limit,
                timeout,
                failures,
                secrets,
                proven,
                organisation,
                None if kinds is None else of_row(kinds, types, fields),
            )
            for (
                endpoint,
                url,
                headers,
                rate_limit,
                timeout,
                failures,
                sealed,
                proven,
                organisation,
                kinds,
                types,
                fields,
            ) in cursor.fetchall()
            if (secrets := vault.openable(sealed))
        ]


# Each endpoint gets its own small share of a batch, so that one with a million waiting does not starve the others.
_DUE = """
SELECT x.id, x.endpoint_id, p.event_id, p.body, p.terms
FROM unnest(%s::uuid[], %s::integer[]) AS e(id, slots)
CROSS JOIN LATERAL (
  SELECT d.id, d.endpoint_id, d.payload_id FROM exchange_delivery d
  WHERE d.endpoint_id = e.id AND d.state = 'pending' AND d.ready_at <= now() AND d.id <> ALL(%s)
  ORDER BY d.ready_at LIMIT e.slots
) x
JOIN exchange_payload p ON p.id = x.payload_id
"""


def due(slots: dict[UUID, int], under_way: list[int]) -> list[Due]:
    """The next deliveries of each endpoint, as many as it has slots, without those ``under_way``."""
    if not slots:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_DUE, [[str(endpoint) for endpoint in slots], list(slots.values()), under_way])
        return [Due(row[0], row[1], str(row[2]), row[3].encode(), row[4]) for row in cursor.fetchall()]


def something_due(shard: int) -> bool:
    """Whether the shard has a delivery to make now, or the log an event that was not handed out."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM events_event WHERE position >"
            " coalesce((SELECT position FROM events_reader WHERE name = 'exchange'), 0))"
            " OR EXISTS (SELECT 1 FROM exchange_endpoint WHERE queued_to IS NOT NULL AND state = 'active')"
        )
        if cursor.fetchone()[0]:
            return True
        cursor.execute(f"SELECT EXISTS ({_TARGETS})", [today(), settings.EXCHANGE_SHARDS, shard])
        return bool(cursor.fetchone()[0])


# Endpoints before their deliveries, here as in every command (exchange.endpoints).
_LOCK_ENDPOINTS = """
SELECT id FROM exchange_endpoint WHERE id = ANY(%s::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""

# Done ones and the ends of their lines, in one order: the fan-out locks line ends in the same order.
_LOCK_DONE = """
SELECT id FROM exchange_delivery WHERE id IN (
  SELECT unnest(%(ids)s::bigint[])
  UNION SELECT max(o.id) FROM exchange_delivery d JOIN exchange_delivery o ON o.line = d.line
    AND o.state IN ('pending', 'parked') WHERE d.id = ANY(%(ids)s) GROUP BY o.line
) ORDER BY id FOR UPDATE
"""

_SETTLE = """
WITH outcome AS (
  SELECT * FROM unnest(%(ids)s::bigint[], %(statuses)s::integer[], %(errors)s::text[], %(times)s::integer[],
    %(answers)s::text[], %(delivered)s::boolean[], %(waits)s::float8[])
    AS o(id, status, error, milliseconds, answer, delivered, wait)
), settled AS (
  UPDATE exchange_delivery d SET
    tries = d.tries + 1, last_status = o.status, last_error = o.error,
    state = CASE WHEN o.delivered THEN 'delivered' WHEN d.tries >= %(most)s
      AND d.created_at < now() - make_interval(secs => %(park_after)s) THEN 'parked' ELSE 'pending' END,
    done_at = CASE WHEN o.delivered THEN now() END,
    ready_at = CASE WHEN NOT o.delivered AND NOT (d.tries >= %(most)s
      AND d.created_at < now() - make_interval(secs => %(park_after)s)) THEN
      now() + make_interval(secs => greatest((%(schedule)s::float8[])[least(d.tries + 1, %(most)s)]
        * (0.9 + random() * 0.2), coalesce(o.wait, 0))) END
  FROM outcome o WHERE d.id = o.id AND d.state IN ('pending', 'parked')
  RETURNING d.id, d.line, d.tries, d.state
), tried AS (
  INSERT INTO exchange_attempt (delivery_id, number, at, status, error, milliseconds, answer)
  SELECT s.id, s.tries, now(), o.status, o.error, o.milliseconds, o.answer FROM settled s JOIN outcome o USING (id)
)
SELECT line FROM settled WHERE state = 'delivered'
"""

#: Makes the first open delivery of each line ready.
ADVANCE = """
UPDATE exchange_delivery SET ready_at = now() WHERE id IN (
  SELECT f.id FROM unnest(%s::bigint[]) AS l(line) CROSS JOIN LATERAL (
    SELECT d.id, d.ready_at, d.state FROM exchange_delivery d
    WHERE d.line = l.line AND d.state IN ('pending', 'parked') ORDER BY d.position, d.id LIMIT 1
  ) f WHERE f.ready_at IS NULL AND f.state = 'pending'
)
"""

# What the circuit breaker spared is spared no longer; a receiver that asked for time gets it.
_HEALTHY = """
UPDATE exchange_endpoint SET failures = 0, failing_since = NULL, last_success_at = now(),
  spared_until = CASE WHEN failures < %s THEN spared_until END
WHERE id = ANY(%s::uuid[]) AND (failures > 0 OR failing_since IS NOT NULL OR last_success_at IS NULL
  OR last_success_at < now() - interval '10 seconds')
"""

#: An endpoint that failed is back: what waits for its next try is tried now, spread over a few seconds. Not what has used up the
#: schedule's tries: that fails by itself, and is tried when the schedule says.
_WAKE = """
UPDATE exchange_delivery d SET ready_at = now() + make_interval(secs => random() * 5)
WHERE d.endpoint_id IN (SELECT id FROM exchange_endpoint WHERE id = ANY(%s::uuid[]) AND failures >= %s)
  AND d.state = 'pending' AND d.ready_at > now() + interval '5 seconds' AND d.tries < %s
"""

_FAILING = """
UPDATE exchange_endpoint e SET failures = e.failures + f.failed,
  failing_since = CASE WHEN f.failed > 0 THEN coalesce(e.failing_since, now()) ELSE e.failing_since END,
  spared_until = CASE
    WHEN f.wait > 0 THEN greatest(e.spared_until, now() + make_interval(secs => f.wait))
    WHEN f.failed > 0 AND e.failures + f.failed >= %(break_after)s THEN now() + make_interval(secs =>
      least(%(spare_first)s * power(2, least(e.failures + f.failed - %(break_after)s, 20) / 2), %(spare_most)s)
      * (0.9 + random() * 0.2))
    ELSE e.spared_until END
FROM unnest(%(endpoints)s::uuid[], %(failed)s::integer[], %(waits)s::float8[]) AS f(id, failed, wait)
WHERE e.id = f.id
"""


@transaction.atomic
def settle(outcomes: list[Outcome]) -> None:
    """Write down what came of a batch of tries and make ready what was waiting behind the delivered ones."""
    ids = [outcome.delivery for outcome in outcomes]
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_ENDPOINTS, [sorted({str(outcome.endpoint) for outcome in outcomes})])
        cursor.execute(_LOCK_DONE, {"ids": ids})
        cursor.execute(
            _SETTLE,
            {
                "ids": ids,
                "statuses": [outcome.status for outcome in outcomes],
                "errors": [outcome.error for outcome in outcomes],
                "times": [outcome.milliseconds for outcome in outcomes],
                "answers": [outcome.answer for outcome in outcomes],
                "delivered": [outcome.delivered for outcome in outcomes],
                "waits": [outcome.wait for outcome in outcomes],
                "most": len(SCHEDULE),
                "park_after": PARK_AFTER,
                "schedule": list(SCHEDULE),
            },
        )
        lines = [line for (line,) in cursor.fetchall()]
        if lines:
            cursor.execute(ADVANCE, [lines])
        worked = {outcome.endpoint for outcome in outcomes if outcome.delivered}
        failed = {outcome.endpoint for outcome in outcomes} - worked
        if worked:
            cursor.execute(_WAKE, [[str(endpoint) for endpoint in worked], WAKE_AFTER, len(SCHEDULE)])
            cursor.execute(_HEALTHY, [BREAK_AFTER, [str(endpoint) for endpoint in worked]])
        if told := [outcome for outcome in outcomes if outcome.endpoint in failed or outcome.wait]:
            _note_failures(told, failed, cursor)
        for endpoint in sorted({str(outcome.endpoint) for outcome in outcomes if outcome.gone}):
            disable(UUID(endpoint), Endpoint.Reason.GONE.value)


@transaction.atomic
def withdraw(deliveries: list[Due]) -> None:
    """Give up what the agreement of today shares no longer, so that what stands behind it goes on."""
    ids = [delivery.id for delivery in deliveries]
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_ENDPOINTS, [sorted({str(delivery.endpoint) for delivery in deliveries})])
        cursor.execute(_LOCK_DONE, {"ids": ids})
        cursor.execute(
            "UPDATE exchange_delivery SET state = 'skipped', ready_at = NULL, done_at = now(),"
            " last_error = 'no longer agreed' WHERE id = ANY(%s) AND state = 'pending' RETURNING line",
            [ids],
        )
        cursor.execute(ADVANCE, [[line for (line,) in cursor.fetchall()]])


def _note_failures(outcomes: list[Outcome], failed: set[UUID], cursor: object) -> None:
    """Count a round of failures of the ``failed`` endpoints, and give every endpoint the time it asked for."""
    waits: dict[UUID, float] = {}
    news: dict[UUID, bool] = {}
    for outcome in outcomes:
        waits[outcome.endpoint] = max(waits.get(outcome.endpoint, 0.0), outcome.wait or 0.0)
        news[outcome.endpoint] = news.get(outcome.endpoint, False) or (outcome.news and outcome.endpoint in failed)
    cursor.execute(  # type: ignore[attr-defined]
        _FAILING,
        {
            "endpoints": [str(endpoint) for endpoint in waits],
            "failed": [int(news[endpoint]) for endpoint in waits],
            "waits": list(waits.values()),
            "break_after": BREAK_AFTER,
            "spare_first": SPARE_FIRST,
            "spare_most": SPARE_MOST,
        },
    )


@transaction.atomic
def contacted(partner_id: int) -> None:
    """A partner is heard of again after a silence: if we were sparing its endpoint, try it now with what waits longest. The
    first success wakes the rest."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE exchange_endpoint SET spared_until = CASE WHEN failures < %s THEN spared_until END"
            " WHERE partner_id = %s AND state = 'active' AND failures > 0 RETURNING id",
            [BREAK_AFTER, partner_id],
        )
        failing = [str(endpoint) for (endpoint,) in cursor.fetchall()]
        if not failing:
            return
        cursor.execute(
            "UPDATE exchange_delivery SET ready_at = now() WHERE id IN (SELECT x.id FROM unnest(%s::uuid[]) AS e(id)"
            " CROSS JOIN LATERAL (SELECT d.id FROM exchange_delivery d WHERE d.endpoint_id = e.id"
            " AND d.state = 'pending' AND d.ready_at IS NOT NULL ORDER BY d.ready_at LIMIT 2) x)"
            " AND ready_at > now()",
            [failing],
        )


def disable(endpoint: UUID, reason: str) -> bool:
    """Stop calling an endpoint and tell its owner; False where it was not active."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE exchange_endpoint SET state = 'disabled', state_reason = %s, queued_to = coalesce(queued_to,"
            " (SELECT position FROM events_reader WHERE name = 'exchange'), 0) WHERE id = %s AND state = 'active'"
            " RETURNING organisation_id, url",
            [reason, str(endpoint)],
        )
        row = cursor.fetchone()
        if row is None:
            return False
        append(
            type="webhook_endpoint.disabled",
            subject=("webhook_endpoint", str(endpoint)),
            actor="system",
            audience=[row[0]],
            data={"url": row[1], "reason": reason},
        )
        return True


def disable_dead() -> int:
    """Disable endpoints that failed past their term without one success; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            # Failing still: what is not tried (nothing waits, the partner is suspended) proves nothing.
            "SELECT e.id FROM exchange_endpoint e WHERE e.state = 'active'"
            " AND e.failing_since < now() - make_interval(secs => %(term)s)"
            " AND EXISTS (SELECT 1 FROM exchange_delivery d JOIN exchange_attempt a ON a.delivery_id = d.id"
            "  WHERE d.endpoint_id = e.id AND d.state IN ('pending', 'parked')"
            "  AND a.at BETWEEN now() - make_interval(secs => %(recent)s) AND now())",
            {"term": TERM_SECONDS, "recent": max(SCHEDULE) * 1.1 + 3600},
        )
        dead = [endpoint for (endpoint,) in cursor.fetchall()]
    return sum(disable(endpoint, Endpoint.Reason.DEAD.value) for endpoint in dead)


def unblock() -> int:
    """The sweep behind :data:`ADVANCE`: make ready any first-in-line that nothing made ready; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE exchange_delivery SET ready_at = now() WHERE id IN (SELECT f.id FROM ("
            " SELECT DISTINCT ON (line) id, ready_at, state FROM exchange_delivery"
            " WHERE state IN ('pending', 'parked') ORDER BY line, position, id) f"
            " WHERE f.ready_at IS NULL AND f.state = 'pending')"
        )
        return cursor.rowcount
