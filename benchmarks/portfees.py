"""``quotation_20x40_p99_ms``: quoting 20 groups of containers by 40 lines, CPU time in process (limit 15 ms).
``catalogue_page_ms``: the public search page over 10 000 items, over HTTP (limit 200 ms)."""

from __future__ import annotations

import statistics
import time
import urllib.request
from datetime import date
from decimal import Decimal

from portfees.models import FeeItem
from portfees.quotation import Containers, Journey, quote
from singlewindow.processes import scratch_instance

_FILL = """
import datetime
from decimal import Decimal
from psycopg2.extras import DateRange
from django.utils import timezone
from parties.registration import register_organisation
from portfees.models import FeeItem, FeeList
for number in range(100):
    body = register_organisation(name=f"Body {number}", roles=["charging_body"])
    fee_list = FeeList.objects.create(
        number=f"B{number}", body=body, body_class="terminal", port=("CNQZH", "CNZNG", "CNCKG")[number % 3], version=1,
        title=f"List {number}", valid=DateRange(datetime.date(2026, 1, 1), None), complaint_telephone="1",
        published_at=timezone.now())
    FeeItem.objects.bulk_create(FeeItem(
        fee_list=fee_list, line=line, code=f"C{line}", name_zh=f"项目{line}", name_en=f"Item {line}", service_content="x",
        payer="consignee", unit="container", rate=Decimal(line), pricing="market", mandatory=True)
        for line in range(1, 101))
    FeeList.objects.filter(pk=fee_list.pk).update(state="checked")
    FeeList.objects.filter(pk=fee_list.pk).update(state="published")
"""


def items() -> list[FeeItem]:
    """40 lines: 8 services, each for any container and at four more specific cases."""
    cases = (("", ""), ("20", ""), ("40", ""), ("40", "reefer"), ("20", "dangerous"))
    return [
        FeeItem(
            code=f"S{service}", unit="container", container_size=size, condition=condition, rate=Decimal(100 + service),
            currency="CNY", tax_included=True, mandatory=True, tiers=[],
        )
        for service in range(8)
        for size, condition in cases
    ]  # fmt: skip


def run() -> dict[str, float]:
    lines = items()
    journey = Journey(
        port="CNQZH",
        day=date(2026, 6, 1),
        direction="import",
        containers=tuple(
            Containers(("20", "40")[number % 2], number + 1, ("ordinary", "reefer", "dangerous")[number % 3])
            for number in range(20)
        ),
    )
    times = []
    for _ in range(400):
        started = time.process_time()
        quote(lines, journey)
        times.append((time.process_time() - started) * 1000)
    with scratch_instance("bench_portfees", redis_database=14, worker=False) as instance:
        instance.manage("shell", "--verbosity", "0", "-c", _FILL)
        pages = []
        for _ in range(12):
            started = time.perf_counter()
            with urllib.request.urlopen(f"{instance.url}/port-fees/?q=Item%2099") as answer:
                answer.read()
            pages.append((time.perf_counter() - started) * 1000)
    return {
        "quotation_20x40_p99_ms": statistics.quantiles(times, n=100)[98],
        "catalogue_page_ms": statistics.median(pages),
    }
