"""manage.py load_tariff FILE: show what a file changes, and change it."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table as Grid

from common.problems import Problem
from tariffs import example, loading, maps, tables


class Command(BaseCommand):
    help = "Load commodities, measures, exchange rates, parameters and the like from CSV or XLSX."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, nargs="?", help="CSV or XLSX; or --example, --basics")
        parser.add_argument("--table", choices=sorted(tables.TABLES), help="default: recognised by the header")
        parser.add_argument("--map", choices=sorted(maps.MAPS), help="the file has columns of its own kind")
        parser.add_argument("--encoding", default="utf-8-sig")
        parser.add_argument("--dry-run", action="store_true", help="print the difference, change nothing")
        parser.add_argument("--correct-past", action="store_true", help="also change days that are past")
        parser.add_argument("--complete-from", type=date.fromisoformat, metavar="DAY",
                            help="the file is the whole table: end from DAY on what it does not hold")  # fmt: skip
        parser.add_argument("--reason", default="")
        parser.add_argument("--basics", action="store_true", help="load the dated tables that come with the system")
        parser.add_argument("--example", action="store_true", help="load the example tariff that comes with the system")

    def handle(self, *args: Any, **options: Any) -> None:
        console = Console(file=cast(IO[str], self.stdout), highlight=False, width=140)
        if options["example"] or options["basics"]:
            tables = example.FILES if options["example"] else example.BASICS
            for done in example.load_example(actor="command line", tables=tables):
                if options["verbosity"]:
                    console.print(
                        f"{done.table}: {done.added} added, {done.changed} changed, {done.unchanged} unchanged"
                    )
            return
        if options["file"] is None:
            raise CommandError("Name a file, or say --example.")
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,} rows"),
                   TimeElapsedColumn())  # fmt: skip
        with Progress(*columns, console=Console(file=sys.stderr)) as progress:
            bar = progress.add_task("read", total=None)
            try:
                done = loading.load(
                    options["file"],
                    actor="command line",
                    table=options["table"],
                    map_name=options["map"],
                    encoding=options["encoding"],
                    dry_run=options["dry_run"],
                    correct_past=options["correct_past"],
                    complete_from=options["complete_from"],
                    reason=options["reason"],
                    report=lambda phase, rows: progress.update(bar, description=phase, completed=rows),
                )
            except Problem as problem:
                for fault in problem.errors:
                    self.stderr.write(f"{fault.pointer}: {fault.text} [{fault.code}]")
                raise CommandError(str(problem.title)) from problem
        show(console, done, dry_run=options["dry_run"])


def show(console: Console, done: loading.Difference, *, dry_run: bool) -> None:
    grid = Grid(title=f"{done.table}: {done.rows:,} rows" + (" (dry run, nothing changed)" if dry_run else ""))
    for name in ("added", "changed", "ended", "unchanged"):
        grid.add_column(name, justify="right")
    grid.add_row(f"{done.added:,}", f"{done.changed:,}", f"{done.ended:,}", f"{done.unchanged:,}")
    console.print(grid)
    for name, rows in done.samples.items():
        for row in rows:
            console.print(f"  {name}: " + ", ".join(f"{key}={value}" for key, value in row.items()), markup=False)
    for missed in done.not_parsed:
        console.print(
            f"  not parsed: line {missed['row']} {missed['code']} {missed['column']}: {missed['text']}", markup=False
        )
    if done.version:
        console.print(f"tariff version {done.version}")
