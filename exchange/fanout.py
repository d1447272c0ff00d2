"""From the log to those who may know: each event's body is made once, a delivery is written per endpoint, and each
partner's feed grows, all in the transaction that moves the reader ``exchange`` on.

One reader at a time (the log's cursor is locked), so "the event shared before this one" has one answer."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from common.days import legal_day
from events import log
from events.models import Event
from exchange import messages
from exchange.models import Agreement, Endpoint
from exchange.terms import Terms, is_draft, matches

READER = "exchange"
BATCH = 500

_NOBODY = """
INSERT INTO events_reader AS r (name, position)
SELECT %s, coalesce(max(position), 0) FROM events_event
HAVING NOT EXISTS (SELECT 1 FROM exchange_endpoint WHERE state <> 'deleted')
  AND NOT EXISTS (SELECT 1 FROM exchange_agreement WHERE direction = 'out')
ON CONFLICT (name) DO UPDATE SET position = greatest(r.position, excluded.position)
"""

#: Endpoints of firms get the events of their organisation's feed; those of partners what was shared with the partner.
_FIRMS = """
SELECT a.position, ep.id FROM events_audience a
JOIN events_event e ON e.position = a.position
JOIN exchange_endpoint ep ON ep.organisation_id = a.organisation_id AND ep.partner_id IS NULL
WHERE a.position BETWEEN %(first)s AND %(last)s AND ep.queued_to IS NULL AND ep.state IN ('active', 'paused')
  AND EXISTS (SELECT 1 FROM unnest(ep.event_types) t WHERE e.type LIKE replace(replace(t, '_', '\\_'), '*', '%%'))
"""

# What is there is touched: whoever made it just now is waited for, and nobody prunes it meanwhile.
_PAYLOADS = """
WITH given AS (
  SELECT * FROM unnest(%s::bigint[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bytea[], %s::bigint[])
  WITH ORDINALITY AS g(position, event_id, type, kind, number, body, digest, terms, nth)
), made AS (
  INSERT INTO exchange_payload (position, event_id, type, subject_kind, subject_number, body, digest, terms, created_at)
  SELECT position, event_id, type, kind, number, body, digest, terms, now() FROM given ORDER BY nth
  ON CONFLICT (position, event_id, digest) DO UPDATE SET digest = excluded.digest
  RETURNING id, position, event_id, digest
)
SELECT g.nth, m.id FROM given g JOIN made m USING (position, event_id, digest) ORDER BY g.nth
"""

# Those in front are locked before we look whether there are any: their completion either waits for us and then finds
# ours to make ready, or is over and no longer stands in front.
_LOCK_LINES = """
SELECT id FROM exchange_delivery WHERE id IN (
  SELECT max(d.id) FROM exchange_delivery d WHERE d.line = ANY(%s) AND d.state IN ('pending', 'parked') GROUP BY d.line
) ORDER BY id FOR SHARE
"""

_DELIVERIES = """
WITH given AS (
  SELECT g.*, row_number() OVER (PARTITION BY line ORDER BY position) AS nth
  FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[]) AS g(endpoint, payload, position, line)
)
INSERT INTO exchange_delivery (endpoint_id, payload_id, position, line, state, ready_at, tries, created_at, last_error)
SELECT g.endpoint, g.payload, g.position, g.line, 'pending',
  CASE WHEN g.nth = 1 AND NOT EXISTS (
    SELECT 1 FROM exchange_delivery d WHERE d.line = g.line AND d.state IN ('pending', 'parked')
  ) THEN now() END, 0, now(), ''
FROM given g ORDER BY g.position
"""

_LINES = """
SELECT hashtextextended(concat_ws(' ', e, k, n), 0)
FROM unnest(%s::text[], %s::text[], %s::text[]) WITH ORDINALITY AS g(e, k, n, nth) ORDER BY nth
"""

_SUMMARIES = """
INSERT INTO exchange_sharedsubject AS s
  (partner_id, subject_kind, subject_number, day, bucket, count, sequence, last_id, changed_at)
SELECT p, k, n, d, exchange_bucket(n), c, q, i, now()
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::date[], %s::integer[], %s::integer[], %s::uuid[])
  AS g(p, k, n, d, c, q, i)
ON CONFLICT (partner_id, subject_kind, subject_number) DO UPDATE
SET count = s.count + excluded.count, sequence = excluded.sequence, last_id = excluded.last_id, changed_at = now()
"""


class Body(NamedTuple):
    """A body made, and what it tells of."""

    event: Event
    text: str
    digest: bytes
    #: Fingerprint of the terms it was made under; None for an organisation's own events.
    terms: int | None = None


def nobody_listens() -> bool:
    """Whether there is neither endpoint nor agreement to hand events to. The reader then goes to the end of the log: what
    is agreed later is shared from then on."""
    with connection.cursor() as cursor:
        cursor.execute(_NOBODY, [READER])
        return cursor.rowcount > 0


def run(limit: int = BATCH) -> int:
    """Hand out the next events of the log; returns how many were looked at."""
    return log.follow(READER, hand_out, limit=limit) + catch_up(limit)


@transaction.atomic
def catch_up(limit: int = BATCH) -> int:
    """Queue the next ``limit`` events for an endpoint that is new or back, until it stands where everybody stands; returns how
    many places of the log it came on. Nothing is handed out meanwhile, so that no event falls between the two."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM exchange_endpoint WHERE queued_to IS NOT NULL AND state = 'active')"
        )
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute("SELECT position FROM events_reader WHERE name = %s FOR UPDATE SKIP LOCKED", [READER])
        if (row := cursor.fetchone()) is None:
            return 0
        endpoint = (
            Endpoint.objects.select_for_update(no_key=True, skip_locked=True)
            .filter(queued_to__isnull=False, state=Endpoint.State.ACTIVE)
            .order_by("queued_to")
            .first()
        )
        if endpoint is None:
            return 0
        assert endpoint.queued_to is not None
        wanted, seen = missed(endpoint, after=endpoint.queued_to, upto=row[0], limit=limit, cursor=cursor)
        if wanted:
            queue(wanted, cursor)
        whole = seen is None
        Endpoint.objects.filter(pk=endpoint.pk).update(queued_to=None if whole else seen)
        return len(wanted) if whole else limit


def position(cursor: Any) -> int:
    """How far the log has been handed out."""
    cursor.execute("SELECT coalesce((SELECT position FROM events_reader WHERE name = %s), 0)", [READER])
    return int(cursor.fetchone()[0])


def missed(
    endpoint: Endpoint, *, after: int, upto: int, limit: int, cursor: Any
) -> tuple[list[tuple[UUID, Event, int]], int | None]:
    """(endpoint, event, payload) of the next ``limit`` events of the log that ``endpoint`` may have between two positions, and the
    position to go on after where there are more. Payloads that exist are sent as they were; events handed out to nobody
    then get theirs now."""
    if endpoint.partner_id:
        cursor.execute(
            "SELECT position, payload_id FROM exchange_share WHERE partner_id = %s AND position > %s"
            " AND position <= %s ORDER BY position LIMIT %s",
            [endpoint.partner_id, after, upto, limit],
        )
        payloads = dict(cursor.fetchall())
        seen = list(payloads)
        events = {event.position: event for event in Event.objects.filter(position__in=seen)}
    else:
        told = list(
            Event.objects.raw(
                "SELECT e.* FROM events_audience a JOIN events_event e ON e.position = a.position"
                " WHERE a.organisation_id = %s AND a.position > %s AND a.position <= %s"
                " ORDER BY a.position LIMIT %s",
                [endpoint.organisation_id, after, upto, limit],
            )
        )
        seen = [event.position for event in told if event.position is not None]
        events = {
            event.position: event
            for event in told
            if any(matches(pattern, event.type) for pattern in endpoint.event_types)
        }
        payloads = _whole_payloads(events, cursor)
    rows = [(endpoint.pk, events[place], payload) for place, payload in sorted(payloads.items())]
    return rows, seen[-1] if len(seen) == limit else None


def _whole_payloads(events: dict[int | None, Event], cursor: Any) -> dict[int, int]:
    if not events:
        return {}
    bodies = {}
    for event in events.values():
        text = messages.body(event, data=event.data)
        key = (event.position or 0, messages.digest(text))
        bodies[key] = Body(event, text, key[1])
    return {key[0]: payload for key, payload in store_payloads(bodies, cursor).items()}


def hand_out(events: list[Event]) -> None:
    """Share ``events`` (in order of the log) with everyone who may know them."""
    bodies: dict[tuple[int, bytes], Body] = {}
    wanted: list[tuple[UUID, tuple[int, bytes]]] = []  # endpoint, body
    by_position = {event.position: event for event in events}
    with connection.cursor() as cursor:
        cursor.execute(_FIRMS, {"first": events[0].position, "last": events[-1].position})
        whole: dict[int, tuple[int, bytes]] = {}
        for position, endpoint in cursor.fetchall():
            if position not in whole:
                event = by_position[position]
                text = messages.body(event, data=event.data)
                whole[position] = (position, messages.digest(text))
                bodies[whole[position]] = Body(event, text, whole[position][1])
            wanted.append((endpoint, whole[position]))
        shares = _shares(events, bodies, cursor)
        endpoints = _partner_endpoints(cursor)
        for partner, _, key in shares:
            wanted += [(endpoint, key) for endpoint in endpoints[partner]]
        if not bodies:
            return
        payloads = store_payloads(bodies, cursor)
        if shares:
            _store_shares(shares, bodies, payloads, cursor)
        if wanted:
            queue([(endpoint, bodies[key].event, payloads[key]) for endpoint, key in wanted], cursor)


def _shares(
    events: list[Event], bodies: dict[tuple[int, bytes], Body], cursor: Any
) -> list[tuple[int, int, tuple[int, bytes]]]:
    """(partner, position, body) of what the agreements let out; partners with the same terms share a body."""
    agreements = list(Agreement.objects.filter(direction="out"))
    if not agreements:
        return []
    terms = {agreement.pk: agreement.terms() for agreement in agreements}
    fingerprints = {one: one.fingerprint() for one in set(terms.values())}
    let_out: list[tuple[int, Event, Terms]] = []
    for event in events:
        if is_draft(event.type, event.data):
            continue
        day = legal_day(event.recorded_at)
        let_out += [
            (agreement.partner_id, event, terms[agreement.pk])
            for agreement in agreements
            if terms[agreement.pk].covers(event.subject_kind, event.type) and _in_force(agreement, day)
        ]
    last = _last_shared({(partner, event.subject_kind, event.subject_number) for partner, event, _ in let_out}, cursor)
    made: dict[tuple[int, int, Terms], tuple[int, bytes]] = {}
    shares = []
    for partner, event, agreed in let_out:
        subject = (partner, event.subject_kind, event.subject_number)
        previous = last.get(subject, 0)
        last[subject] = event.sequence
        position = event.position or 0
        same = (position, previous, agreed)
        if same not in made:
            text = messages.body(event, data=agreed.view(event.type, event.data), previous=previous)
            made[same] = (position, messages.digest(text))
            bodies[made[same]] = Body(event, text, made[same][1], fingerprints[agreed])
        shares.append((partner, position, made[same]))
    return shares


def _in_force(agreement: Agreement, day: Any) -> bool:
    period = agreement.valid
    return (
        not period.isempty
        and (period.lower is None or period.lower <= day)
        and (period.upper is None or day < period.upper)
    )


def _last_shared(subjects: set[tuple[int, str, str]], cursor: Any) -> dict[tuple[int, str, str], int]:
    if not subjects:
        return {}
    cursor.execute(
        "SELECT s.partner_id, s.subject_kind, s.subject_number, s.sequence FROM exchange_sharedsubject s"
        " JOIN unnest(%s::bigint[], %s::text[], %s::text[]) AS g(p, k, n)"
        " ON s.partner_id = g.p AND s.subject_kind = g.k AND s.subject_number = g.n",
        [list(column) for column in zip(*subjects, strict=True)],
    )
    return {(partner, kind, number): sequence for partner, kind, number, sequence in cursor.fetchall()}


def _partner_endpoints(cursor: Any) -> dict[int, list[UUID]]:
    cursor.execute(
        "SELECT partner_id, id FROM exchange_endpoint"
        " WHERE partner_id IS NOT NULL AND queued_to IS NULL AND state IN ('active', 'paused')"
    )
    found: dict[int, list[UUID]] = defaultdict(list)
    for partner, endpoint in cursor.fetchall():
        found[partner].append(endpoint)
    return found


def store_payloads(bodies: dict[tuple[int, bytes], Body], cursor: Any) -> dict[tuple[int, bytes], int]:
    rows = [
        (
            body.event.position or 0,
            str(body.event.id),
            body.event.type,
            body.event.subject_kind,
            body.event.subject_number,
            body.text,
            body.digest,
            body.terms,
        )
        for body in bodies.values()
    ]
    cursor.execute(_PAYLOADS, [list(column) for column in zip(*rows, strict=True)])
    return dict(zip(bodies, (payload for _, payload in cursor.fetchall()), strict=True))


def _store_shares(
    shares: list[tuple[int, int, tuple[int, bytes]]],
    bodies: dict[tuple[int, bytes], Body],
    payloads: dict[tuple[int, bytes], int],
    cursor: Any,
) -> None:
    rows = []
    news: dict[tuple[int, str, str], tuple[Any, int, int, str]] = {}
    for partner, position, key in shares:
        event = bodies[key].event
        rows.append((partner, position, payloads[key], event.subject_kind, event.subject_number))
        subject = (partner, event.subject_kind, event.subject_number)
        first, count = news[subject][:2] if subject in news else (legal_day(event.occurred_at), 0)
        news[subject] = (first, count + 1, event.sequence, str(event.id))
    cursor.execute(
        "INSERT INTO exchange_share (partner_id, position, payload_id, subject_kind, subject_number)"
        " SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[])",
        [list(column) for column in zip(*rows, strict=True)],
    )
    summary = sorted((*subject, *values) for subject, values in news.items())
    cursor.execute(_SUMMARIES, [list(column) for column in zip(*summary, strict=True)])


def queue(wanted: list[tuple[UUID, Event, int]], cursor: Any) -> None:
    """Write deliveries of (endpoint, event, payload), each at the end of its line."""
    cursor.execute(
        _LINES,
        [
            [str(endpoint) for endpoint, _, _ in wanted],
            [event.subject_kind for _, event, _ in wanted],
            [event.subject_number for _, event, _ in wanted],
        ],
    )
    lines = [line for (line,) in cursor.fetchall()]
    cursor.execute(_LOCK_LINES, [sorted(set(lines))])
    cursor.execute(
        _DELIVERIES,
        [
            [str(endpoint) for endpoint, _, _ in wanted],
            [payload for _, _, payload in wanted],
            [event.position or 0 for _, event, _ in wanted],
            lines,
        ],
    )
