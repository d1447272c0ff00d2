from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from clearance import times


class Command(BaseCommand):
    help = "Load the shipped time limits of operations (examples). Repeatable."

    def handle(self, *args: Any, **options: Any) -> None:
        count = times.load()
        if options["verbosity"]:
            self.stdout.write(f"{count} time limits")
