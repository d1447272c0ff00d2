from __future__ import annotations

from typing import Any

from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand, CommandParser

from singlewindow.demo import cast

#: What an instance needs before its first declaration, in order: (command, arguments).
STEPS: list[tuple[str, tuple[str, ...]]] = [
    ("load_reference", ()),
    ("load_places", ()),
    ("load_clearance", ()),
    ("load_port_fees", ()),
    ("load_tariff", ("--basics",)),
]
#: What the demonstration has on top, once its cast is there.
EXAMPLES: list[tuple[str, tuple[str, ...]]] = [
    ("load_port_fees", ("--lists",)),
    ("load_tariff", ("--example",)),
]


class Command(BaseCommand):
    help = "Load the reference data the system ships; outside production also the example organisations and log-ins."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--quiet", action="store_true")
        parser.add_argument("--no-cast", action="store_true", help="without the example organisations and log-ins")

    def handle(self, *args: Any, **options: Any) -> None:
        known = get_commands()
        for command, arguments in STEPS:
            if command in known:
                call_command(command, *arguments, verbosity=0 if options["quiet"] else 1)
        if not options["no_cast"]:
            cast.assemble()
            for command, arguments in EXAMPLES:
                call_command(command, *arguments, verbosity=0 if options["quiet"] else 1)
