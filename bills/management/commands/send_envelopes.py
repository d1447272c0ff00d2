from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from bills import departing, transport
from bills.models import Departure


class Command(BaseCommand):
    help = "Send the eBL envelopes that are due (the worker does so by itself)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--now", action="store_true", help="all that wait, whenever they are due")

        parser.add_argument("--show", metavar="BILL", help="print the envelopes made of this bill instead, one a line")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["show"]:
            for departure in Departure.objects.filter(bill__number=options["show"]).order_by("pk"):
                self.stdout.write(departure.body)
            return
        if options["now"]:
            Departure.objects.filter(state=Departure.State.WAITING).update(next_attempt_at=timezone.now())
        count = 0
        while sent := departing.send_due(transport.connect):
            count += sent
        self.stdout.write(f"{count} sent")
