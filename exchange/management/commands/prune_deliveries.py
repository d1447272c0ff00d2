from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from common.days import LEGAL_ZONE, today
from exchange import pruning


class Command(BaseCommand):
    help = """Forget deliveries settled before a legal day, with their attempts and the bodies nothing names any more. What is
    not delivered is kept, and so are the feeds of partners. The worker does the same by itself after EXCHANGE_KEEP_DAYS."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--before", required=True, metavar="YYYY-MM-DD")
        parser.add_argument("--dry-run", action="store_true", help="only say how many")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            day = date.fromisoformat(options["before"])
        except ValueError as error:
            raise CommandError("--before: write the day as YYYY-MM-DD") from error
        if day > today():
            raise CommandError("--before: this day has not come yet")
        moment = datetime.combine(day, time(), LEGAL_ZONE)
        if options["dry_run"]:
            self.stdout.write(f"{pruning.count(moment)} deliveries were settled before {day}")
            return
        total = pruning.Pruned(0, 0, 0)
        while (done := pruning.prune(moment)).deliveries:
            total = pruning.Pruned(*(a + b for a, b in zip(total, done, strict=True)))
        self.stdout.write(
            f"forgotten: {total.deliveries} deliveries, {total.attempts} attempts, {total.payloads} bodies"
        )
