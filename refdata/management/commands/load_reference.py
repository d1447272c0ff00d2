from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from refdata import loading
from refdata.files import Faulty


class Command(BaseCommand):
    help = "Load the code lists: the shipped ones, or an operator's own from a directory of the same form."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "directory", nargs="?", type=Path, default=loading.SHIPPED, help="default: the shipped lists"
        )
        parser.add_argument("--list", action="append", default=[], metavar="SLUG", help="only this list (repeatable)")
        parser.add_argument("--dry-run", action="store_true", help="show the difference, change nothing")
        parser.add_argument("--take-over", action="store_true", help="also replace lists an operator has loaded")

    def handle(self, *args: Any, **options: Any) -> None:
        console = Console(stderr=True)
        bar = Progress(
            TextColumn("{task.description:<28}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not sys.stderr.isatty() or options["verbosity"] == 0,
        )
        with bar:
            task = bar.add_task("load_reference", total=None)
            try:
                difference = loading.load(
                    options["directory"],
                    only=options["list"],
                    dry_run=options["dry_run"],
                    take_over=options["take_over"],
                    progress=lambda what, done, total: bar.update(task, description=what, completed=done, total=total),
                )
            except Faulty as error:
                lines = "\n".join(f"  {fault.pointer} {fault.text}" for fault in error.faults)
                raise CommandError(f"Nothing was loaded. file:row:column and what is wrong there:\n{lines}") from error
        if options["verbosity"] == 0:
            return
        for slug, kinds in sorted(difference.lists.items()):
            parts = ", ".join(f"{len(codes)} {kind}" for kind, codes in kinds.items())
            self.stdout.write(f"{slug}: {parts}")
            if options["dry_run"] or options["verbosity"] > 1:
                for kind, codes in kinds.items():
                    shown = " ".join(sorted(codes)[:20]) + (" …" if len(codes) > 20 else "")
                    self.stdout.write(f"  {kind}: {shown}")
        for slug in difference.kept:
            self.stdout.write(f"{slug}: kept as the operator loaded it (--take-over replaces it)")
        totals = ", ".join(
            f"{difference.count(kind)} {kind}"
            for kind in (loading.ADDED, loading.CHANGED, loading.CLOSED, loading.REMOVED)
        )
        verb = "would change" if options["dry_run"] else "loaded"
        self.stdout.write(f"reference data {verb}: {totals}; {len(difference.unchanged)} lists unchanged")
