"""Steps of the exchange's benchmarks that run inside a process on the benchmark's database; the last line is JSON.

``python -m benchmarks._exchange backlog 1000000 3600 URL...`` alone drains the whole of it."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "singlewindow.settings")
django.setup()

from django.db import connection, transaction  # noqa: E402

from events import log  # noqa: E402
from exchange import agreements, delivery, digests, endpoints, fanout, partners, signing  # noqa: E402
from parties import registration  # noqa: E402
from parties.models import Organisation, OrganisationRole  # noqa: E402
from parties.principals import SYSTEM  # noqa: E402


def _owner() -> Organisation:
    found = Organisation.objects.filter(pk=1).first()
    return found or registration.register_organisation(name="Example firm", roles=[OrganisationRole.TRADING_FIRM])


def subscribe(*urls: str) -> dict[str, Any]:
    owner = _owner()
    for url in urls:
        endpoints.create(principal=SYSTEM, organisation_id=owner.pk, url=url, event_types=["declaration.*"], timeout=15)
    return {"organisation": owner.pk}


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def drain(count: str, *urls: str) -> dict[str, Any]:
    """Queue ``count`` deliveries, then deliver them all in this one process."""
    subscribe(*urls)
    events = int(count) // len(urls)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM (SELECT events_append('declaration.lodged', 'declaration', 'D' || (n % 5000), 'bench',"
            " ARRAY[1]::bigint[], jsonb_build_object('state', 'released', 'text', repeat('x', 200)))"
            f" FROM generate_series(1, {events}) n) x"
        )
    while log.publish():
        pass
    while fanout.run():
        pass
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE exchange_delivery, exchange_payload, exchange_endpoint")
    return {"deliveries": delivery.run(seconds=60, linger=0.2)}


_BODIES = """
INSERT INTO exchange_payload (position, event_id, type, subject_kind, subject_number, body, digest, created_at)
SELECT n, common_uuid7(), 'declaration.lodged', 'declaration', 'D' || n,
  '{"data":{"state":"released","text":"' || repeat('x', 300) || '"}}', sha256(n::text::bytea), now()
FROM generate_series(1000001, 1001000) n
"""
#: Every endpoint gets every body again and again, each body in a line of its own; the first of a line is ready.
_BACKLOG = """
INSERT INTO exchange_delivery (endpoint_id, payload_id, position, line, state, ready_at, tries, created_at, last_error)
SELECT e.id, p.id, round * 1000 + p.nth, e.nth * 1000 + p.nth, 'pending', CASE WHEN round = 1 THEN now() END, 0, now(), ''
FROM generate_series(1, %(count)s / 1000 / (SELECT count(*) FROM exchange_endpoint)) round
CROSS JOIN (SELECT id, row_number() OVER () AS nth FROM exchange_endpoint) e
CROSS JOIN (SELECT id, row_number() OVER (ORDER BY id) AS nth FROM exchange_payload WHERE position > 1000000) p
"""


def backlog(count: str, seconds: str, *urls: str) -> dict[str, Any]:
    """Have ``count`` deliveries wait (a thousand lines at each endpoint), and deliver for ``seconds`` while watching
    the process's memory: after the first second, and at the end."""
    subscribe(*urls)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
        cursor.execute(_BODIES)
        cursor.execute(_BACKLOG, {"count": int(count)})
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE exchange_delivery")
    delivery.run(seconds=1)
    early, started = _resident_mb(), time.perf_counter()
    tries = delivery.run(seconds=float(seconds)) or 0
    return {
        "deliveries_per_s": tries / (time.perf_counter() - started),
        "rss_mb": _resident_mb(),
        "rss_growth": _resident_mb() / early,
    }


def prepare(count: str, *urls: str) -> dict[str, Any]:
    """Endpoints, and a partner with messages."""
    return subscribe(*urls) | messages(count)


def messages(count: str) -> dict[str, Any]:
    """A partner, and signed messages of it: ``[headers, body]``."""
    secret = signing.new_secret()
    organisation = registration.register_organisation(name="Example province", roles=["partner_province"])
    partner = partners.connect(organisation=organisation, code="450000", actor=SYSTEM, secret=secret)
    agreements.agree(
        partner=partner, direction="in", actor=SYSTEM, kinds=["declaration"], types=["declaration.*"],
        fields={"*": ["state"]},
    )  # fmt: skip
    made = []
    for nth in range(int(count)):
        identifier = str(uuid4())
        body = json.dumps(
            {
                "specversion": "1.0", "id": identifier, "source": "urn:singlewindow:450000", "seq": 1, "prev": 0,
                "type": "declaration.lodged", "time": "2026-11-23T08:00:00Z", "subjectkind": "declaration",
                "subjectnumber": f"D{nth}", "position": str(nth + 1), "data": {"state": "lodged"},
            }
        )  # fmt: skip
        headers = signing.headers([secret], identifier, body.encode()) | {"Content-Type": "application/json"}
        made.append([headers, body])
    return {"partner": partner.pk, "messages": made}


def digest(count: str) -> dict[str, Any]:
    """Sum up ``count`` subjects as a comparison does: by kind and day, one day by bucket, one bucket by subject."""
    organisation = registration.register_organisation(name="Example province", roles=["partner_province"])
    partner = partners.connect(organisation=organisation, code="450000", actor=SYSTEM)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO exchange_sharedsubject (partner_id, subject_kind, subject_number, day, bucket, count, sequence,"
            " last_id, changed_at) SELECT %s, 'declaration', 'D' || n, current_date - (n %% 30), exchange_bucket('D' || n),"
            " 3, 5, gen_random_uuid(), now() FROM generate_series(1, %s) n",
            [partner.pk, int(count)],
        )
        cursor.execute("ANALYZE exchange_sharedsubject")
    started = time.perf_counter()
    days = digests.groups(digests.GIVEN, partner)
    day = days[0].day
    buckets = digests.groups(digests.GIVEN, partner, kind="declaration", day=day, buckets=True)
    lines = digests.lines(digests.GIVEN, partner, kind="declaration", day=day, bucket=buckets[0].bucket or 0)
    assert sum(group.count for group in days) == int(count)
    assert lines
    return {"seconds": time.perf_counter() - started}


if __name__ == "__main__":
    step = {"subscribe": subscribe, "prepare": prepare, "drain": drain, "backlog": backlog, "digest": digest}[
        sys.argv[1]
    ]
    print(json.dumps(step(*sys.argv[2:])))
