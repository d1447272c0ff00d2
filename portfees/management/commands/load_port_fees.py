from __future__ import annotations

import csv
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.db.backends.postgresql.psycopg_any import DateRange  # type: ignore[attr-defined]

from parties.models import ApiClient
from parties.principals import Principal
from portfees import catalogues, sheets
from portfees.models import FeeList, Parameter

DATA = Path(__file__).resolve().parents[2] / "data"

#: The examples count as published on their first day, so that journeys of this year can be quoted.
EXAMPLES_SINCE = date(2026, 1, 1)
#: (client id of the charging body, class, port, file, title)
EXAMPLES = (
    ("demo-terminal", "terminal", "CNQZH", "example_terminal_CNQZH.csv", "示例码头收费目录清单"),
    ("demo-carrier", "carrier", "CNQZH", "example_carrier_CNQZH.csv", "示例船公司收费目录清单"),
    ("demo-railway", "railway", "CNCKG", "example_railway_CNCKG.csv", "示例铁路场站收费目录清单"),
)


class Command(BaseCommand):
    help = "Load the port-fee parameters; with --lists also the example fee lists (never in production)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--lists", action="store_true")

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        with (DATA / "parameters.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                start, end = date.fromisoformat(row["valid_from"]), row["valid_to"]
                Parameter.objects.get_or_create(
                    name=row["name"],
                    valid=DateRange(start, date.fromisoformat(end) if end else None),
                    defaults={"value": Decimal(row["value"]), "basis": row["basis"]},
                )
        if options["lists"]:
            if settings.PRODUCTION:
                raise CommandError("example fee lists are not for production")
            for example in EXAMPLES:
                self._load(*example)

    def _load(self, client_id: str, body_class: str, port: str, file: str, title: str) -> None:
        client = ApiClient.objects.select_related("organisation").filter(application__client_id=client_id).first()
        if client is None or FeeList.objects.filter(body=client.organisation, port=port).exists():
            return
        principal = Principal(actor="system", organisation_id=client.organisation_id)
        fee_list = catalogues.draft(
            principal=principal,
            body_class=body_class,
            port=port,
            title=title,
            valid_from=EXAMPLES_SINCE,
            complaint_telephone="示例电话 000",
            items=sheets.read_csv((DATA / file).read_bytes()),
            is_example=True,
        )
        catalogues.check(number=fee_list.number, principal=principal)
        catalogues.publish(number=fee_list.number, principal=principal, on=EXAMPLES_SINCE)
