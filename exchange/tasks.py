"""Doors for Celery. Hints only: each command asks the database what is to be done."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.conf import settings

from exchange import delivery, ledger


@shared_task(name="exchange.tasks.deliver")
def deliver(events: list[dict[str, Any]] | None = None) -> None:
    for shard in range(settings.EXCHANGE_SHARDS):
        delivery.run(shard=shard, seconds=240 / settings.EXCHANGE_SHARDS)


@shared_task(name="exchange.tasks.housekeeping")
def housekeeping() -> None:
    ledger.unblock()
    ledger.disable_dead()
    ledger.forget_delivered()
