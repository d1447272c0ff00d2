"""Bringing a file into a table: read and check every row, stage, compare, and then change everything in one transaction.

A file with faults changes nothing. A row that says what is known already changes nothing. A row that says something new
about a period supersedes what was known for that period; what it does not touch stays (docs/tariffs.md has the rules).
"""

# Table and column names in the SQL come from tables.TABLES alone, never from a file.
# ruff: noqa: S608

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from common.days import today
from common.problems import Fault, Problem
from common.text import T
from events.log import append

from . import maps, reading
from .models import Version
from .tables import TABLES, CellError, Column, Table, column_of, day

MAX_FAULTS = 500
BATCH = 20_000
LOCK = 7230917  # one change of the tariff tables at a time

Report = Callable[[str, int], None]


@dataclass(slots=True)
class Difference:
    """What a load changes (or would change)."""

    table: str
    rows: int = 0
    added: int = 0
    changed: int = 0
    ended: int = 0
    unchanged: int = 0
    not_parsed: list[dict[str, Any]] = field(default_factory=list)
    samples: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    version: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def changes(self) -> int:
        return self.added + self.changed + self.ended


def _silent(phase: str, rows: int) -> None:
    pass


def load(
    path: Path,
    *,
    actor: str,
    table: str | None = None,
    map_name: str | None = None,
    encoding: str = "utf-8-sig",
    dry_run: bool = False,
    correct_past: bool = False,
    complete_from: date | None = None,
    reason: str = "",
    report: Report = _silent,
) -> Difference:
    """Load a file. Raises Problem 422 with its faults; then nothing has changed."""
    source = maps.MAPS[map_name](path) if map_name else None
    spec, rows = (TABLES[source.table], source.rows) if source else _plain(path, table, encoding)
    done = Difference(spec.name)
    with transaction.atomic():
        _stage(spec, rows, done, report)
        if source:
            done.not_parsed = source.not_parsed
        report("compare", done.rows)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        _refuse_overlaps(spec)
        _compare(spec, done, complete_from)
        if not correct_past:
            _refuse_past(spec, today())
        if dry_run or not done.changes():
            transaction.set_rollback(True)
            return done
        report("write", done.rows)
        version = Version.objects.create(table=spec.name, reason=reason or path.name, actor=actor)
        _apply(spec, version.pk)
        done.version = version.pk
        append(
            type="tariff.changed",
            subject=("tariff", str(version.pk)),
            actor=actor,
            audience=[],
            data={"table": spec.name, "version": version.pk, "file": path.name, "reason": reason, "added": done.added,
                  "changed": done.changed, "ended": done.ended, "unchanged": done.unchanged},
        )  # fmt: skip
    return done


def load_rows(
    table: str, rows: Iterable[dict[str, str]], *, actor: str, reason: str, correct_past: bool = False
) -> Difference:
    """The same for rows at hand: each a dictionary by file column name."""
    spec = TABLES[table]
    header = [column.name for column in spec.columns] + (
        ["day"] if spec.period == "day" else ["valid_from", "last_day"]
    )
    cells = ((number, [row.get(name, "") for name in header]) for number, row in enumerate(rows, 2))
    done = Difference(table)
    with transaction.atomic():
        _stage(spec, _typed(spec, header, cells), done, _silent)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        _refuse_overlaps(spec)
        _compare(spec, done, None)
        if not correct_past:
            _refuse_past(spec, today())
        if done.changes():
            version = Version.objects.create(table=table, reason=reason, actor=actor)
            _apply(spec, version.pk)
            done.version = version.pk
            append(type="tariff.changed", subject=("tariff", str(version.pk)), actor=actor, audience=[],
                   data={"table": table, "version": version.pk, "reason": reason, "added": done.added,
                         "changed": done.changed, "ended": done.ended})  # fmt: skip
    return done


def refused(faults: list[Fault], total: int | None = None) -> Problem:
    count = total if total is not None else len(faults)
    return Problem(
        422, "file-refused", T("文件有 {n} 处错误，未做任何更改", "The file has {n} faults; nothing was changed", n=count),
        errors=faults[:MAX_FAULTS],
    )  # fmt: skip


# -- reading


def _plain(path: Path, table: str | None, encoding: str) -> tuple[Table, Iterator[tuple[int, list[str] | Fault]]]:
    rows = reading.rows(path, encoding=encoding)
    try:
        _, header = next(rows)
    except StopIteration:
        raise refused([Fault("row 1", "empty", T("文件为空", "the file is empty"))]) from None
    header = [name.strip().lower() for name in header]
    spec = TABLES[table] if table else _recognise(header)
    return spec, _typed(spec, header, rows)


def _recognise(header: list[str]) -> Table:
    """The table whose required columns are all there; of several the one with most columns in common."""
    fitting = [
        table
        for table in TABLES.values()
        if {c.name for c in table.columns if c.required} <= set(header)
        and (("day" in header) == (table.period == "day"))
    ]
    if not fitting:
        raise refused(
            [Fault("row 1", "unknown-columns", T("表头与任何税则表都不符", "the header fits no tariff table"))]
        )
    return max(fitting, key=lambda table: len({c.name for c in table.columns} & set(header)))


def _typed(
    spec: Table, header: list[str], rows: Iterable[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str] | Fault]]:
    """Each row as the values COPY takes, in the order of the table's columns, then the period; or its faults."""
    place = {name: index for index, name in enumerate(header)}
    known = {column.name for column in spec.columns} | {"valid_from", "last_day", "day"}
    faults = [
        Fault(f"row 1, {name}", "unknown-column", T("没有此列", "there is no such column"))
        for name in header
        if name and name not in known
    ]
    if len(place) != len(header):
        faults.append(Fault("row 1", "doubled-column", T("列名重复", "a column name is doubled")))
    needed = [c.name for c in spec.columns if c.required] + (["day"] if spec.period == "day" else ["valid_from"])
    faults += [
        Fault(f"row 1, {name}", "missing-column", T("缺少此列", "this column is missing"))
        for name in needed
        if name not in place
    ]
    if faults:
        raise refused(faults)
    reads: list[tuple[Column, int]] = [(column, place.get(column.name, -1)) for column in spec.columns]
    starts, ends = place.get("valid_from", place.get("day", -1)), place.get("last_day", -1)
    for number, cells in rows:
        values: list[str] = []
        name = ""
        try:
            for column, index in reads:
                name = column.name
                cell = cells[index].strip() if 0 <= index < len(cells) else ""
                if cell or (not column.required and column.kind == "text" and column.default == ""):
                    values.append(column.read(cell))
                elif column.required:
                    raise CellError("missing", T("缺少此项", "this is missing"))
                else:
                    values.append(column.default)
            name = "valid_from"
            start = cells[starts].strip() if starts < len(cells) else ""
            last = cells[ends].strip() if 0 <= ends < len(cells) else ""
            values.append(_period(spec, start, last))
            if (wrong := spec.check(values)) is not None:
                name, error = wrong
                raise error
        except CellError as error:
            yield number, Fault(f"row {number}, {name}", error.code, error.text)
            continue
        yield number, values


_PERIODS: dict[tuple[str, str, str], str] = {}


def _period(spec: Table, start: str, last: str) -> str:
    key = (spec.period, start, last)
    if (known := _PERIODS.get(key)) is not None:
        return known
    begins = day(start)
    if spec.period == "day":
        text = f"[{begins},{begins + timedelta(days=1)})"
    else:
        ends = day(last) if last else None
        if ends is not None and ends < begins:
            raise CellError("backwards", T("终止早于起始", "it ends before it begins"))
        if begins.year < 1949 or (ends and ends.year > 2200):
            raise CellError("out-of-range", T("日期超出范围", "day out of range"))
        text = f"[{begins},{ends + timedelta(days=1) if ends else ''})"
    if len(_PERIODS) < 10_000:
        _PERIODS[key] = text
    return text


def _stage(spec: Table, rows: Iterable[tuple[int, list[str] | Fault]], done: Difference, report: Report) -> None:
    columns = ", ".join(f'"{column.field}" {column.kind}' for column in spec.columns)
    names = ", ".join(f'"{column.field}"' for column in spec.columns)
    faults: list[Fault] = []
    total = 0
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS tariff_stage, tariff_hit, tariff_gone")
        cursor.execute(f"CREATE TEMP TABLE tariff_stage (row_no integer, {columns}, valid daterange) ON COMMIT DROP")
        lines: list[str] = []

        def flush() -> None:
            if lines:
                cursor.copy_expert(
                    f"COPY tariff_stage (row_no, {names}, valid) FROM STDIN", io.StringIO("".join(lines))
                )
                lines.clear()

        for number, values in rows:
            if isinstance(values, Fault):
                total += 1
                if len(faults) < MAX_FAULTS:
                    faults.append(values)
                continue
            done.rows += 1
            if faults:
                continue
            line = "\t".join(values)
            if "\\" in line or "\n" in line or "\r" in line or line.count("\t") != len(values) - 1:
                line = "\t".join(
                    value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
                    for value in values
                )
            lines.append(f"{number}\t{line}\n")
            if len(lines) >= BATCH:
                flush()
                report("read", done.rows)
        if faults:
            raise refused(faults, total)
        flush()
        cursor.execute("ANALYZE tariff_stage")


# -- comparing


def _refuse_overlaps(spec: Table) -> None:
    """Two rows of the file about the same thing with overlapping periods."""
    partition = f"PARTITION BY {_list(spec.key)}" if spec.key else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT row_no, other FROM (SELECT row_no, valid, lag(row_no) OVER w AS other, lag(valid) OVER w AS before"
            f" FROM tariff_stage WINDOW w AS ({partition} ORDER BY lower(valid), row_no)) AS pairs"
            f" WHERE before && valid ORDER BY row_no LIMIT {MAX_FAULTS}"
        )
        found = cursor.fetchall()
    if found:
        raise refused([
            Fault(f"row {row}, valid_from", "overlap", T(
                "与第 {other} 行的有效期重叠", "the period overlaps that of row {other}", other=other))
            for row, other in found
        ])  # fmt: skip


def _list(names: Iterable[str], prefix: str = "") -> str:
    return ", ".join(f'{prefix}"{name}"' for name in names)


def _compare(spec: Table, done: Difference, complete_from: date | None) -> None:
    """tariff_hit: staged rows against known rows they overlap; tariff_gone: known rows that are superseded."""
    model = spec.model._meta.db_table
    on = " AND ".join(
        [f's."{name}" = t."{name}"' for name in spec.key] + ["s.valid && t.valid", "t.until_version IS NULL"]
    )
    payload = spec.payload()
    equal = " AND ".join(f's."{name}" = t."{name}"' for name in payload) or "true"
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TEMP TABLE tariff_hit ON COMMIT DROP AS SELECT s.row_no, t.id, s.valid AS stated, t.valid AS known,"
            f" ({equal}) AS alike, ({equal}) AND t.valid @> s.valid AND upper(s.valid) IS NOT DISTINCT FROM upper(t.valid)"
            f" AS same FROM tariff_stage s JOIN {model} t ON {on}"
        )
        cursor.execute("CREATE INDEX ON tariff_hit (id); CREATE INDEX ON tariff_hit (row_no); ANALYZE tariff_hit")
        cursor.execute(
            "CREATE TEMP TABLE tariff_gone ON COMMIT DROP AS SELECT id, known,"
            " datemultirange(known) - range_agg(CASE WHEN lower(stated) IS NOT DISTINCT FROM lower(known) THEN known"
            " ELSE stated END) AS rest FROM tariff_hit WHERE id IN (SELECT id FROM tariff_hit WHERE NOT same)"
            " GROUP BY id, known"
        )
        if complete_from is not None:
            cursor.execute(
                f"INSERT INTO tariff_gone SELECT t.id, t.valid, datemultirange(t.valid * daterange(NULL, %s))"
                f" FROM {model} t WHERE t.until_version IS NULL AND NOT upper(t.valid) <= %s IS TRUE"
                f" AND NOT EXISTS (SELECT 1 FROM tariff_hit h WHERE h.id = t.id)",
                [complete_from, complete_from],
            )
        cursor.execute("CREATE INDEX ON tariff_gone (id); ANALYZE tariff_gone")
        cursor.execute("DELETE FROM tariff_stage s USING tariff_hit h WHERE h.row_no = s.row_no AND h.same"
                       " AND NOT EXISTS (SELECT 1 FROM tariff_gone g WHERE g.id = h.id)")  # fmt: skip
        done.unchanged = cursor.rowcount
        cursor.execute("SELECT count(DISTINCT s.row_no) FROM tariff_stage s JOIN tariff_hit h USING (row_no)"
                       " WHERE lower(h.stated) <= lower(h.known)")  # fmt: skip
        done.changed = cursor.fetchone()[0]
        cursor.execute("SELECT count(*) FROM tariff_stage")
        done.added = cursor.fetchone()[0] - done.changed
        cursor.execute(
            "SELECT count(*) FROM tariff_gone g WHERE NOT EXISTS (SELECT 1 FROM tariff_hit h WHERE h.id = g.id"
            " AND lower(h.stated) <= lower(h.known))"
        )
        done.ended = cursor.fetchone()[0]
    _samples(spec, done)


def _samples(spec: Table, done: Difference, limit: int = 20) -> None:
    model = spec.model._meta.db_table
    shown = [column.field for column in spec.columns if column.field not in ("source", "example", "elements", "basis")]
    new, old = _list(shown, "s."), _list(shown, "t.")
    queries = {
        "added": f"SELECT s.row_no, s.valid::text, {new} FROM tariff_stage s WHERE NOT EXISTS (SELECT 1 FROM tariff_hit h"
        f" WHERE h.row_no = s.row_no AND lower(h.stated) <= lower(h.known)) ORDER BY s.row_no LIMIT {limit}",
        "changed": f"SELECT DISTINCT ON (s.row_no) s.row_no, s.valid::text, {new}, h.known::text, {old} FROM tariff_stage s"
        f" JOIN tariff_hit h USING (row_no) JOIN {model} t ON t.id = h.id WHERE lower(h.stated) <= lower(h.known)"
        f" ORDER BY s.row_no LIMIT {limit}",
        "ended": f"SELECT 0, g.rest::text, {old} FROM tariff_gone g JOIN {model} t ON t.id = g.id WHERE NOT EXISTS"
        f" (SELECT 1 FROM tariff_hit h WHERE h.id = g.id AND lower(h.stated) <= lower(h.known)) ORDER BY g.id LIMIT {limit}",
    }
    with connection.cursor() as cursor:
        for name, query in queries.items():
            cursor.execute(query)
            found = []
            for row_no, valid, *values in cursor.fetchall():
                entry = {"row": str(row_no), "valid": valid}
                entry |= {key: str(value) for key, value in zip(shown, values, strict=False) if value not in ("", None)}
                if name == "changed":
                    before = values[len(shown) :]
                    entry["before"] = ", ".join(str(value) for value in before if value not in ("", None))
                found.append(entry)
            done.samples[name] = found


def _refuse_past(spec: Table, cutoff: date) -> None:
    """Days that were answered already keep their answer, unless the load says it corrects the past."""
    model = spec.model._meta.db_table
    answered = f'SELECT t."{spec.family}" FROM {model} t'
    if spec.inherited:
        answered = f"""
            SELECT left(t.code, n) FROM (SELECT DISTINCT code FROM {model}) t, generate_series(2, length(t.code), 2) AS n
            UNION
            SELECT s.code FROM (SELECT DISTINCT code FROM tariff_stage) s, generate_series(2, 8, 2) AS n, {model} t
            WHERE n < length(s.code) AND t.code = left(s.code, n)"""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT row_no, first FROM (
                SELECT h.row_no, CASE WHEN NOT h.alike THEN lower(h.stated * h.known)
                    WHEN lower(h.stated) < lower(h.known) THEN lower(h.stated)
                    ELSE least(upper(h.stated), upper(h.known)) END AS first
                FROM tariff_hit h WHERE NOT h.same
                UNION ALL
                SELECT s.row_no, lower(s.valid) FROM tariff_stage s
                WHERE NOT EXISTS (SELECT 1 FROM tariff_hit h WHERE h.row_no = s.row_no)
                AND lower(s.valid) < %s AND s."{spec.family}" IN ({answered})
            ) AS affected WHERE first < %s ORDER BY row_no LIMIT {MAX_FAULTS}""",
            [cutoff, cutoff],
        )
        found = cursor.fetchall()
        cursor.execute("SELECT count(*) FROM tariff_gone g WHERE NOT EXISTS (SELECT 1 FROM tariff_hit h WHERE h.id = g.id)"
                       " AND upper(g.rest) < %s", [cutoff])  # fmt: skip
        if cursor.fetchone()[0]:
            found.append((0, cutoff))
    if found:
        raise refused([
            Fault(f"row {row}, valid_from", "changes-the-past", T(
                "将改变 {day} 起已适用的结果；确需更正时请使用 --correct-past",
                "would change answers from {day} on; say --correct-past if that is meant", day=first))
            for row, first in found
        ])  # fmt: skip


def _apply(spec: Table, version: int) -> None:
    model = spec.model._meta.db_table
    fields = [*spec.key, *spec.payload()]
    columns = _list(column_of(spec.model, name) for name in fields)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {model} SET until_version = %s WHERE id IN (SELECT id FROM tariff_gone)", [version])
        cursor.execute(
            f"INSERT INTO {model} ({columns}, valid, since_version) SELECT {_list(fields, 't.')}, r.part, %s"
            f" FROM tariff_gone g JOIN {model} t ON t.id = g.id, unnest(g.rest) AS r(part)",
            [version],
        )
        order = _list(spec.key) or "valid"
        cursor.execute(
            f"INSERT INTO {model} ({columns}, valid, since_version) SELECT {_list(fields)}, valid, %s FROM tariff_stage"
            f" ORDER BY {order}, valid",
            [version],
        )
        if cursor.rowcount >= BATCH:
            cursor.execute(f"ANALYZE {model}")  # the first questions after it must not be planned for an empty table
