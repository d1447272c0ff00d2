"""Doors for Celery. Hints only: each command asks the database what is to be done."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from exchange import conformance, delivery, fanout, inbox, ledger, pruning, reconciliation


@shared_task(name="exchange.tasks.deliver")
def deliver(events: list[dict[str, Any]] | None = None) -> None:
    """Runs while something is due, a short while at most, and then hands over to the next."""
    if fanout.nobody_listens():
        return
    for shard in range(settings.EXCHANGE_SHARDS):
        if not ledger.taken(shard):
            delivery.run(shard=shard, seconds=20, hand_over=deliver.delay)


@shared_task(name="exchange.tasks.attend")
def attend() -> None:
    reconciliation.attend(nightly=settings.EXCHANGE_COMPARE_AT, every=settings.EXCHANGE_COMPARE_EVERY)


@shared_task(name="exchange.tasks.check_conformance")
def check_conformance(run_id: str) -> None:
    conformance.run(UUID(run_id))


@shared_task(name="exchange.tasks.obey")
def obey() -> None:
    inbox.obey()


@shared_task(name="exchange.tasks.housekeeping")
def housekeeping() -> None:
    ledger.unblock()
    ledger.disable_dead()
    for run in conformance.sweep():
        check_conformance.delay(str(run))
    now = timezone.now()
    pruning.prune(now - timedelta(days=settings.EXCHANGE_KEEP_DAYS))
    pruning.prune_inbox(now - timedelta(days=settings.EXCHANGE_KEEP_RAW_DAYS))
