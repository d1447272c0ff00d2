"""Selection of declarations by risk rules, and the time line of a container among many."""

from __future__ import annotations

import random
import time
from datetime import date
from typing import Any

from django.db import connection, transaction

from clearance import risk, selection
from declarations.models import Declaration

DECLARATIONS = 1000
RULES = 200
BIG = 1_000_000


class _Undo(Exception):
    pass


def run() -> dict[str, float]:
    return selecting() | tracking()


def _rules() -> list[selection.Rule]:
    """200 rules as risk staff write them: codes, origins, values, parties, some nested."""
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
        from decimal import Decimal

        made.append(
            selection.Rule(f"r{n}", "inspect", Decimal(dice.choice([1, 5, 100])), (), "", risk.compile(condition))
        )
    return made


def _fill(count: int, *, containers: bool) -> None:
    """Declarations and their parts, straight into the tables: as many as a year of a busy office."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO parties_organisation (name, name_en, roles, province, address, telephone, email, created_at)"
            " VALUES ('bench', '', '{trading_firm}', '', '', '', '', now()) RETURNING id"
        )
        firm = cursor.fetchone()[0]
        columns = {f.column: f for f in Declaration._meta.local_concrete_fields if not f.null and f.column != "id"}
        fixed = {
            "unified_number": "'I2099' || lpad(n::text, 13, '0')", "state": "'accepted'", "lodged_by_id": str(firm),
            "direction": "CASE WHEN mod(n, 2) = 0 THEN 'I' ELSE 'E' END", "transport_document_number": "'BENCH' || n",
            "version": "1", "revision": "1", "customs_office": "'8000'", "document_type": "'  0   '",
        }  # fmt: skip
        values = []
        for name, field in columns.items():
            kind = field.get_internal_type()
            values.append(
                fixed.get(name) or ("now()" if kind == "DateTimeField" else "0" if "Integer" in kind else "''")
            )
        cursor.execute("SET LOCAL session_replication_role = replica")
        names = ", ".join(f'"{name}"' for name in columns)
        cursor.execute(
            f"INSERT INTO declarations_declaration ({names}) SELECT {', '.join(values)} FROM generate_series(1, %s) n",
            [count],
        )
        if not containers:
            cursor.execute(
                "INSERT INTO declarations_goodsitem (declaration_id, position, item_number, commodity_code, goods_name,"
                " specification, quantity_unit, first_statutory_unit, second_statutory_unit, invoice_amount,"
                " invoice_currency, origin_country, destination_country, domestic_district, duty_mode,"
                " preferential_origin)"
                " SELECT d.id, p, p, lpad(mod(d.id * 7919 + p * 104729, 99999999)::text, 8, '0') || '00', 'x', '', '', '',"
                " '', mod(d.id * 31 + p, 90000), 'USD', (ARRAY['SGP','USA','DEU','VNM'])[1 + mod(d.id, 4)], 'CHN', '', '1', ''"
                " FROM declarations_declaration d, generate_series(1, 5) p WHERE starts_with(d.unified_number, 'I2099')"
            )
        else:
            cursor.execute(
                "INSERT INTO declarations_container (declaration_id, position, container_number, container_type,"
                " item_numbers, shared_load) SELECT id, 1, 'BNCU' || lpad((substr(unified_number, 6)::bigint)::text, 7,"
                " '0'), '11', '1', '0' FROM declarations_declaration WHERE starts_with(unified_number, 'I2099')"
            )
            cursor.execute(
                "INSERT INTO events_event (id, entry, position, type, subject_kind, subject_number, sequence,"
                " occurred_at, recorded_at, actor, audience, data) SELECT common_uuid7(), -n * 3 - s, NULL,"
                " (ARRAY['declaration.lodged','declaration.accepted','declaration.released'])[s], 'declaration',"
                " 'I2099' || lpad(n::text, 13, '0'), s, now(), now(), 'system', '{}', '{}'"
                " FROM generate_series(1, %s) n, generate_series(1, 3) s",
                [count],
            )
        cursor.execute("ANALYZE declarations_declaration")


def selecting() -> dict[str, float]:
    """1 000 declarations of five items against 200 rules: facts read from the database, every rule tried."""
    rules = _rules()
    seconds = 0.0
    try:
        with transaction.atomic():
            _fill(DECLARATIONS, containers=False)
            started = time.perf_counter()
            rows = list(Declaration.objects.filter(unified_number__startswith="I2099"))
            facts = selection.facts_of(rows, date.today())  # noqa: DTZ011
            hits = 0
            for row in rows:
                known, factor = facts[row.pk]
                hits += len(selection.hits(rules, row.unified_number, known, factor))
            seconds = time.perf_counter() - started
            print(f"   {len(rows)} declarations x {len(rules)} rules, {hits} hits")
            raise _Undo
    except _Undo:
        pass
    return {"selection_1000x200_s": seconds}


def tracking() -> dict[str, float]:
    """The time line by container over a million declarations with three events each."""
    from stdnum import iso6346

    from clearance.tracking import timeline

    times: list[float] = []
    try:
        with transaction.atomic():
            _fill(BIG, containers=True)
            with connection.cursor() as cursor:
                # ISO 6346: the last digit is made right for those that are asked for
                numbers = []
                for n in random.Random(1).sample(range(1, BIG), 500):
                    stem = f"BNCU{n % 1_000_000:06d}"
                    numbers.append((stem + iso6346.calc_check_digit(stem), f"BNCU{n:07d}"))
                cursor.executemany(
                    "UPDATE declarations_container SET container_number = %s WHERE container_number = %s", numbers
                )
                cursor.execute("ANALYZE declarations_container")
                cursor.execute("ANALYZE events_event")
            for index, (number, _) in enumerate(numbers):
                started = time.perf_counter()
                line = timeline(number, full=True)
                if index >= 20:  # the first ones warm the caches
                    times.append(time.perf_counter() - started)
                assert len(line["entries"]) == 3
            raise _Undo
    except _Undo:
        pass
    times.sort()
    return {
        "tracking_p99_ms": times[int(len(times) * 0.99)] * 1000,
        "tracking_median_ms": times[len(times) // 2] * 1000,
    }
