"""For those who run it: is it alive, is it ready, what does it measure."""

from __future__ import annotations

from collections.abc import Iterator

import redis
import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from kombu import Connection
from kombu.exceptions import OperationalError
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from common.redis import client

log = structlog.get_logger(__name__)

#: Not ready while the oldest unpublished event is older than this (seconds).
MAX_RELAY_LAG = 60.0

_migrated = False


def livez(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "alive"})


def relay_lag() -> float:
    """Seconds since the oldest committed event that the relay has not handed on was recorded; 0 when there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(recorded_at)), 0) FROM ("
            " (SELECT recorded_at FROM events_event WHERE position IS NULL ORDER BY entry LIMIT 1)"
            " UNION ALL (SELECT recorded_at FROM events_event WHERE position >"
            "  coalesce((SELECT position FROM events_reader WHERE name = 'relay'), 0) ORDER BY position LIMIT 1)) waiting"
        )
        return max(0.0, float(cursor.fetchone()[0]))


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "ok"


def _redis() -> str:
    client().ping()
    return "ok"


def _migrations() -> str:
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if pending:
            return f"{len(pending)} pending"
        _migrated = True
    return "ok"


def _relay() -> str:
    lag = relay_lag()
    return "ok" if lag <= MAX_RELAY_LAG else f"{lag:.0f} s behind"


def readyz(request: HttpRequest) -> HttpResponse:
    """200 when requests can be served; 503 and what is wrong otherwise."""
    answers = {}
    for name, probe in (("database", _database), ("redis", _redis), ("migrations", _migrations), ("relay", _relay)):
        try:
            answers[name] = probe()
        except (DatabaseError, redis.RedisError) as error:
            answers[name] = type(error).__name__
    ready = all(answer == "ok" for answer in answers.values())
    return JsonResponse({"status": "ready" if ready else "not ready", **answers}, status=200 if ready else 503)


#: Over the last so many published events: from lodgement to the outcome of the checks, in seconds.
_CHECK_LATENCY = """
SELECT percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY extract(epoch FROM done.recorded_at - lodged.recorded_at))
FROM events_event done
JOIN events_event lodged ON lodged.subject_kind = done.subject_kind AND lodged.subject_number = done.subject_number
  AND lodged.type = 'declaration.lodged' AND lodged.sequence = done.sequence - 1
WHERE done.type IN ('declaration.accepted', 'declaration.rejected', 'declaration.returned', 'declaration.sent_to_review')
  AND done.position > (SELECT coalesce(max(position), 0) - 5000 FROM events_event)
"""


def queue_depths() -> dict[str, int]:
    """Tasks waiting per queue, as the broker tells, whichever it is; nothing while it does not answer: what the database
    knows is to be seen all the same."""
    found: dict[str, int] = {}
    broker = Connection(
        settings.CELERY_BROKER_URL, connect_timeout=2, transport_options=settings.CELERY_BROKER_TRANSPORT_OPTIONS
    )
    try:
        with broker:
            for queue in settings.QUEUES:
                try:
                    with broker.channel() as channel:
                        found[queue] = channel.queue_declare(queue, passive=True).message_count
                except broker.channel_errors:
                    found[queue] = 0  # nobody has put anything there yet
    except (*broker.connection_errors, OperationalError, OSError) as error:
        log.warning("the broker does not tell what waits", error=str(error))
        return {}
    return found


class FromTheDatabase(Collector):
    """Read from the database and the broker at the moment of scraping, so that every process tells the same."""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("singlewindow_relay_lag_seconds", "Age of the oldest event not relayed", relay_lag())
        depth = GaugeMetricFamily("singlewindow_queue_depth", "Tasks waiting per queue", labels=["queue"])
        for queue, waiting in queue_depths().items():
            depth.add_metric([queue], waiting)
        yield depth
        events = CounterMetricFamily("singlewindow_events", "Events published, by type", labels=["type"])
        with connection.cursor() as cursor:
            cursor.execute("SELECT type, number FROM events_tally ORDER BY type")
            for event_type, number in cursor.fetchall():
                events.add_metric([event_type], number)
            cursor.execute(_CHECK_LATENCY)
            latencies = cursor.fetchone()[0]
        yield events
        latency = GaugeMetricFamily(
            "singlewindow_check_latency_seconds", "From lodgement to the checks' outcome, recently", labels=["quantile"]
        )
        for quantile, seconds in zip(("0.5", "0.95"), latencies or (), strict=False):
            latency.add_metric([quantile], float(seconds))
        yield latency

    def describe(self) -> list[Metric]:
        return []


REGISTRY.register(FromTheDatabase())


def metrics(request: HttpRequest) -> HttpResponse:
    return HttpResponse(generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)
