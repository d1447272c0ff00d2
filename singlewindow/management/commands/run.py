from __future__ import annotations

import signal
import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from singlewindow.demo.cast import MEMBERS, OFFICERS, PASSWORD
from singlewindow.processes import Instance


class Command(BaseCommand):
    help = "The whole system in the foreground: web, worker, beat. Ctrl-C stops it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        instance = Instance(port=options["port"])
        instance.manage("migrate", "--verbosity", "0")
        instance.manage("prepare")
        with instance:
            officers, clients = ", ".join(OFFICERS), ", ".join(member.client_id for member in MEMBERS)
            self.stdout.write(
                f"\n  Console    {instance.url}/console/\n  API pages  {instance.url}/api/docs\n"
                f"  Officers   {officers}\n  Clients    {clients}\n  Password and client secret of all: {PASSWORD}\n"
                f"  Logs       {instance.logs}\n\n  Ctrl-C stops the system.\n"
            )
            try:
                while all(process.poll() is None for process in instance.processes.values()):
                    time.sleep(0.5)
                self.stderr.write("a process ended by itself; stopping (see the logs)")
                sys.exit(1)
            except KeyboardInterrupt:
                self.stdout.write("stopping…")
