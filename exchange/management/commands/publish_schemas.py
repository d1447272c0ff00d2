from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from exchange.api import published


class Command(BaseCommand):
    help = """Note the schemas of the standards desk as published (exchange/data/published.json). Each that is new, changed or
    gone must be named in an entry of the change log (exchange/data/standards.json, "changes") written for it."""

    def handle(self, *args: Any, **options: Any) -> None:
        if left := published.publish():
            told = "\n".join(f"  {address}: {what}" for address, what in sorted(left.items()))
            raise CommandError(f"no entry of the change log tells of:\n{told}")
