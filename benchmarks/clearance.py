"""Selection of declarations by risk rules, and the time line of a container among a million declarations.

`selection_1000x200_s`  1 000 declarations of five items against 200 rules: facts read, every rule tried (limit 2)
`tracking_p99_ms`       by container over 1 000 000 declarations, time in the database: what the server itself says it
                        took to plan and execute the statements of one answer, warm, 99th percentile (limit 20)
`tracking_wall_p99_ms`  the same answer from call to return, Python and the way to the server included
`tracking_statements`   how many statements an answer takes at most
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from benchmarks import _database
from singlewindow.processes import BASE_DIR

if TYPE_CHECKING:
    from clearance import selection

DECLARATIONS = 1000
RULES = 200
BIG = 1_000_000
#: Of these the manifest is here as well: voyage, bill, container on it.
MANIFESTED = 100_000
ASKED = 300
NAME = "bench_clearance"


def run() -> dict[str, float]:
    found = _database.environment(NAME)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.clearance"], cwd=BASE_DIR, env=found, check=True,
            stdout=subprocess.PIPE,
        )  # fmt: skip
    finally:
        _database.drop(NAME)
    *said, last = done.stdout.decode().splitlines()
    print("\n".join(said))
    return dict(json.loads(last))


def _rules() -> list[selection.Rule]:
    """200 rules as risk staff write them: codes, origins, values, parties, some nested."""
    from clearance import risk, selection

    dice = random.Random(4)
    made = []
    for n in range(RULES):
        codes = [f"{dice.randrange(1, 98):02d}{dice.randrange(1, 90):02d}" for _ in range(dice.randrange(1, 20))]
        condition: dict[str, Any] = {
            "all": [
                {"field": "direction", "op": "eq", "value": dice.choice("IE")},
                {"any": [
                    {"field": "goods.code", "op": "starts_with", "value": codes},
                    {"field": "goods.origin", "op": "in", "value": ["SGP", "VNM", "THA"]},
                ]},
                {"field": "value", "op": "gt", "value": dice.randrange(1000, 1_000_000)},
                {"not": {"field": "party.credit", "op": "eq", "value": "red"}},
            ]
        }  # fmt: skip
        assert not risk.check(condition)
        made.append(
            selection.Rule(f"r{n}", "inspect", Decimal(dice.choice([1, 5, 100])), (), "", risk.compile(condition))
        )
    return made


def _columns(model: Any) -> dict[str, str]:
    """A plain value for every column that must have one."""
    found = {}
    for field in model._meta.local_concrete_fields:
        kind = field.get_internal_type()
        if field.null or field.column == "id":
            continue
        found[field.column] = (
            "now()" if kind == "DateTimeField" else "false" if kind == "BooleanField" else "'{}'" if kind == "ArrayField"
            else "'[]'" if kind == "JSONField" else "0" if kind in ("DecimalField",) or "Integer" in kind else "''"
        )  # fmt: skip
    return found


def _insert(model: Any, source: str, **values: str) -> str:
    columns = _columns(model) | values
    return (
        f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) SELECT {', '.join(columns.values())} FROM {source}"
    )


def _fill(database: _database.Filling) -> None:
    """A million declarations of one firm, each with a container, a case and three events; manifests for a part of them;
    goods items for those that selection looks at."""
    from cargo.models import Consignment, Manifest, Stuffing, TransportEquipment, Voyage
    from clearance.models import Case
    from declarations.models import Container, Declaration, GoodsItem
    from events.models import Event
    from parties.models import Organisation

    every, part, trips = (
        f"generate_series({n}) n" for n in (f"1, {BIG}", f"1, {MANIFESTED}", f"0, {MANIFESTED // 50}")
    )
    number, box, ago = "'I2099' || lpad(n::text, 13, '0')", _box("(n - 1)"), "now() - n * interval '30 seconds'"
    events = [
        _insert(
            Event, f"{every}, generate_series(1, 3) s", subject_kind="'declaration'", subject_number=number, data="'{}'",
            id="('00000000-0000-7000-8000-' || lpad(to_hex(n * 3 + s), 12, '0'))::uuid", entry="n * 3 + s",
            position="n * 3 + s", sequence="s", actor="'client:1/bench'",
            type="(ARRAY['declaration.lodged','declaration.accepted','declaration.released'])[s]",
        ),
    ]  # fmt: skip
    rest = [
        _insert(Organisation, "(SELECT 1) one", id="1", name="'示例'", roles="'{trading_firm}'"),
        _insert(
            Declaration, every, id="n", unified_number=number, lodged_by_id="1", firm_id="1", direction="'I'",
            state="CASE mod(n, 3) WHEN 0 THEN 'accepted' ELSE 'released' END", customs_office="'8000'",
            transport_document_number="'BENCH' || n", voyage_number="'V' || n / 50", document_type="'  0   '",
            created_at=ago, updated_at=ago, state_since=ago, lodged_at=ago, accepted_at=ago, client_reference="'B' || n",
        ),
        _insert(Container, every, declaration_id="n", position="1", container_number=box, item_numbers="'1'"),
        _insert(
            Case, every, declaration_id="n", mode="'ordinary'", selected_version="1", lane="'release'",
            consignment_id=f"CASE WHEN n <= {MANIFESTED} THEN n END",
        ),
        _insert(
            GoodsItem, f"generate_series(1, {DECLARATIONS}) n, generate_series(1, 5) p", declaration_id="n", position="p",
            item_number="p", goods_name="'x'", invoice_currency="'USD'", invoice_amount="mod(n * 31 + p, 90000)",
            commodity_code="lpad(mod(n * 7919 + p * 104729, 99999999)::text, 8, '0') || '00'",
            origin_country="(ARRAY['SGP','USA','DEU','VNM'])[1 + mod(n, 4)]", destination_country="'CHN'", duty_mode="'1'",
        ),
        _insert(
            Voyage, trips, id="n", number="'V' || n", mode="'2'", direction="'I'", carrier_id="1", arrived_at="now()",
            entry_declared_at="now()",
        ),
        _insert(Manifest, trips, id="n", number="'M' || n", kind="'original'", sender_id="1", voyage_id="n"),
        _insert(
            Consignment, part, id="n", manifest_id="n / 50", voyage_id="n / 50", direction="'I'", packages="1",
            bill_number="'BENCH' || n", declaration_number=number, version="1",
        ),
        _insert(TransportEquipment, part, number=box),
        _insert(Stuffing, part, consignment_id="n", equipment_id=box),
    ]  # fmt: skip
    database.together(events, rest)


def _box(n: str) -> str:
    """SQL for the n-th container number: ISO 6346, with its check digit."""
    digits = [f"{n} / {10**power} % 10 * {2 ** (9 - power)}" for power in range(6)]
    owner = sum(value * 2**place for place, value in enumerate((12, 25, 13, 32)))  # B N C U
    return f"'BNCU' || lpad(({n})::text, 6, '0') || ({owner} + {' + '.join(digits)}) % 11 % 10"


def selecting() -> dict[str, float]:
    """Facts read from the database, every rule tried."""
    from clearance import selection
    from declarations.models import Declaration

    rules = _rules()
    rows = list(Declaration.objects.filter(pk__lte=DECLARATIONS))
    started = time.perf_counter()
    facts = selection.facts_of(rows, date.today())  # noqa: DTZ011
    hits = 0
    for row in rows:
        known, factor = facts[row.pk]
        hits += len(selection.hits(rules, row.unified_number, known, factor))
    seconds = time.perf_counter() - started
    print(f"   {len(rows)} declarations x {len(rules)} rules, {hits} hits")
    return {"selection_1000x200_s": seconds}


class Server:
    """Counts the statements of an answer, and has the server tell what each takes."""

    def __init__(self) -> None:
        self.statements: list[tuple[str, Any]] = []

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.statements.append((sql, params))
        return execute(sql, params, many, context)

    def milliseconds(self) -> float:
        """Planning and execution of the statements met since the last time, as the server measures them."""
        from django.db import connection

        spent = 0.0
        with connection.cursor() as cursor:
            for sql, params in self.statements:
                cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", params)
                [plan] = cursor.fetchone()[0]
                spent += plan["Planning Time"] + plan["Execution Time"]
        self.statements = []
        return spent


def tracking() -> dict[str, float]:
    """The time line by container over a million declarations with three events each."""
    from django.db import connection

    from clearance.tracking import timeline
    from declarations.models import Container

    dice = random.Random(1)
    picked = dice.sample(range(1, MANIFESTED), ASKED // 2) + dice.sample(range(MANIFESTED, BIG), ASKED // 2)
    asked = list(Container.objects.filter(declaration_id__in=picked).values_list("container_number", flat=True))
    inside, wall, most = [], [], 0
    server = Server()
    for warm in (False, True):
        for number in asked:
            server.statements = []
            with connection.execute_wrapper(server):
                started = time.perf_counter()
                line = timeline(number, full=True)
                took = time.perf_counter() - started
            assert len(line["entries"]) == 3, line
            most = max(most, len(server.statements))
            if warm:
                wall.append(took * 1000)
                inside.append(server.milliseconds())
    inside.sort()
    wall.sort()
    return {
        "tracking_p99_ms": inside[int(len(inside) * 0.99)],
        "tracking_median_ms": inside[len(inside) // 2],
        "tracking_wall_p99_ms": wall[int(len(wall) * 0.99)],
        "tracking_statements": float(most),
    }


TABLES = (
    "events_event", "declarations_declaration", "declarations_goodsitem", "declarations_container", "clearance_case",
    "cargo_voyage", "cargo_manifest", "cargo_consignment", "cargo_transportequipment", "cargo_stuffing",
)  # fmt: skip


def measure() -> dict[str, float]:
    import django

    django.setup()
    started = time.monotonic()
    with _database.Filling(os.environ["DATABASE_URL"], *TABLES) as database:
        _fill(database)
        filled = time.monotonic()
    print(f"   filled in {filled - started:.0f} s, indexes and statistics {time.monotonic() - filled:.0f} s")
    return selecting() | tracking()


if __name__ == "__main__":
    print(json.dumps(measure()))
