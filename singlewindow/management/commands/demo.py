from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from singlewindow import demo as package
from singlewindow.demo.story import Demo
from singlewindow.processes import scratch_instance


def steps(only: str | None = None) -> list[str]:
    """Names of the demonstration's steps, in order: the modules ``step_NN_name`` of singlewindow/demo."""
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.name.startswith("step_"))
    return [name for name in names if not only or only in name]


class Command(BaseCommand):
    help = "Start the whole system on a database of its own, tell its story with real requests, and stop it again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--only", help="run only the steps whose name contains this")

    def handle(self, *args: Any, **options: Any) -> None:
        loopback = {"EXCHANGE_ALLOW_NETWORKS": "127.0.0.1/32"}  # the second province runs on this machine
        with scratch_instance("demo", redis_database=15, environment=loopback) as instance:
            instance.manage("prepare", "--quiet")
            story = Demo(instance)
            try:
                for name in steps(options["only"]):
                    importlib.import_module(f"{package.__name__}.{name}").run(story)
            except AssertionError as error:
                raise CommandError(f"demo: failed: {error} (logs: {instance.logs})") from error
        self.stdout.write("\ndemo: ok")
