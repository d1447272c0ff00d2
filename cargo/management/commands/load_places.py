from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from cargo import places


class Command(BaseCommand):
    help = "Load the shipped places, designated supervision sites, services and manifest limits. Repeatable."

    def handle(self, *args: Any, **options: Any) -> None:
        counts = places.load()
        if options["verbosity"]:
            self.stdout.write(", ".join(f"{number} {name}" for name, number in counts.items()))
