"""The tariff out of the database, through a cache a process keeps: per code, bounded, and dropped when a load changes
anything. `current()` asks at most once a second whether the tables have changed."""

# The SQL below holds constants only.
# ruff: noqa: S608

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Max, Sum

from common.problems import conflict
from common.text import T

from . import models
from .book import ALL, FULL_CODE, Commodity, Effect, ExchangeRate, Measure, most_specific, pick_effect, prefixes
from .rates import parse
from .workdays import Calendar

#: How long a process may go on without asking for a newer version. A load is visible everywhere within 5 s.
CHECK_SECONDS = 1.0
#: Rows (measures and lines) a process keeps at most: about 150 MB with long rate texts.
MAX_ROWS = 200_000

_EMPTY: tuple[tuple[Commodity, ...], tuple[Measure, ...]] = ((), ())


class Nodes:
    """What is known of a code and only of it. Two generations: what is not asked for while the younger one fills is
    forgotten. Every step is a single dictionary operation, so threads need no lock."""

    def __init__(self, limit: int = MAX_ROWS) -> None:
        self.limit = limit // 2
        self.young: dict[str, tuple[tuple[Commodity, ...], tuple[Measure, ...]]] = {}
        self.old: dict[str, tuple[tuple[Commodity, ...], tuple[Measure, ...]]] = {}
        self.weight = 0

    def get(self, code: str) -> tuple[tuple[Commodity, ...], tuple[Measure, ...]] | None:
        found = self.young.get(code)
        if found is None:
            found = self.old.get(code)
            if found is not None:
                self.put(code, found)
        return found

    def put(self, code: str, node: tuple[tuple[Commodity, ...], tuple[Measure, ...]]) -> None:
        self.young[code] = node
        self.weight += 1 + len(node[0]) + len(node[1])
        if self.weight > self.limit:
            self.old, self.young, self.weight = self.young, {}, 0


class DatabaseBook:
    """The tables as they are known at one version."""

    def __init__(self, version: int, limit: int = MAX_ROWS) -> None:
        self.version = version
        self.nodes = Nodes(limit)
        self._members: dict[str, list[tuple[str, str, date | None, date | None]]] = {}
        self._rates: dict[str, list[ExchangeRate]] = {}
        self._parameters: dict[str, list[tuple[Decimal, date | None, date | None]]] = {}
        self._groups: dict[tuple[str, date], Mapping[str, str]] = {}
        self._effects: dict[tuple[str, str, str, date], Effect | None] = {}
        self._fill()

    def _fill(self) -> None:
        """The small tables are kept whole."""
        known = self.version
        for member in models.OriginMember.objects.known(known):
            self._members.setdefault(member.country, []).append(
                (member.group, member.agreement, member.valid.lower, member.valid.upper)
            )
        for rate in models.MonthlyRate.objects.known(known):
            self._rates.setdefault(rate.currency, []).append(
                ExchangeRate(rate.currency, rate.rate.normalize(), rate.quoted_on, rate.per, rate.inverse,
                             rate.valid.lower, rate.valid.upper, rate.example)
            )  # fmt: skip
        for row in models.Parameter.objects.known(known):
            self._parameters.setdefault(row.name, []).append((row.value, row.valid.lower, row.valid.upper))
        self._all_effects = [
            Effect(row.direction, row.regime, row.levy_nature, row.duty, row.consumption, row.vat, row.remedy,
                   row.valid.lower, row.valid.upper, row.source)
            for row in models.RegimeEffect.objects.known(known)
        ]  # fmt: skip
        days = list(models.CalendarDay.objects.known(known).values_list("valid", "working"))
        self.calendar = Calendar(
            frozenset(valid.lower for valid, working in days if not working),
            frozenset(valid.lower for valid, working in days if working),
            frozenset(valid.lower.year for valid, _ in days),
            tuple(
                (int(name[-4:-2]), int(name[-2:]), start, end)
                for name, rows in self._parameters.items()
                if re.fullmatch(r"statutory_day\.\d{4}", name)
                for _, start, end in rows
            ),
        )

    # -- codes

    def preload(self, codes: Iterable[str]) -> None:
        """Fetch what is missing of these codes and their parents with two queries."""
        missing = [code for code in {p for full in codes for p in prefixes(full)} if self.nodes.get(code) is None]
        if not missing:
            return
        lines: dict[str, list[Commodity]] = {}
        measures: dict[str, list[Measure]] = {}
        with connection.cursor() as cursor:
            cursor.execute(_LINES, [missing, self.version, self.version])
            for code, zh, en, unit1, unit2, elements, documents, inspection, start, end, example in cursor.fetchall():
                lines.setdefault(code, []).append(
                    Commodity(code, zh, en, unit1, unit2, tuple(elements), documents, inspection, start, end, example)
                )
            cursor.execute(_MEASURES, [missing, self.version, self.version])
            for (
                pk,
                code,
                kind,
                group,
                rate,
                exporter,
                agreement,
                quota,
                basis,
                start,
                end,
                example,
            ) in cursor.fetchall():
                measures.setdefault(code, []).append(
                    Measure(pk, code, kind, group, parse(rate), exporter, agreement, quota, basis, start, end, example)
                )
        for code in missing:
            self.nodes.put(code, (tuple(lines.get(code, ())), tuple(measures.get(code, ()))))

    def _node(self, code: str) -> tuple[tuple[Commodity, ...], tuple[Measure, ...]]:
        found = self.nodes.get(code)
        if found is None:
            self.preload([code])
            found = self.nodes.get(code) or _EMPTY
        return found

    def commodity(self, code: str, day: date) -> Commodity | None:
        return next((line for line in self._node(code)[0] if line.on(day)), None)

    def goods_of(self, code: str, day: date) -> list[Commodity]:
        """What a code may stand for that day: its own line, or those below it that have none below them. None where it is not known."""
        if len(code) >= FULL_CODE:
            line = self.commodity(code, day)
            return [line] if line is not None else []
        rows = models.CommodityLine.objects.known(self.version).on(day)
        rows = rows.filter(code__gte=code, code__lte=code.ljust(10, "9")).order_by("code")
        codes = list(rows.values_list("code", flat=True))
        ends = [one for one, following in zip(codes, [*codes[1:], ""], strict=True) if not following.startswith(one)]
        self.preload(ends)
        return [line for one in ends if (line := self.commodity(one, day)) is not None]

    def ended_on(self, code: str, day: date) -> date | None:
        return max((line.end for line in self._node(code)[0] if line.end and line.end <= day), default=None)

    def measures(self, code: str, day: date) -> Sequence[Measure]:
        found: list[Measure] = []
        chain = prefixes(code)
        if any(self.nodes.get(prefix) is None for prefix in chain):
            self.preload([code])  # the whole chain with two queries
        for prefix in chain:
            found += self._node(prefix)[1]
        return most_specific(found, day)

    # -- the small tables

    def groups(self, country: str, day: date) -> Mapping[str, str]:
        key = (country, day)
        found = self._groups.get(key)
        if found is None:
            found = {ALL: "", country: ""} | {
                group: agreement
                for group, agreement, start, end in self._members.get(country, ())
                if (start is None or start <= day) and (end is None or day < end)
            }
            if len(self._groups) > 5000:
                self._groups.clear()
            self._groups[key] = found
        return found

    def exchange_rate(self, currency: str, day: date) -> ExchangeRate | None:
        for rate in self._rates.get(currency, ()):
            if (rate.start is None or rate.start <= day) and (rate.end is None or day < rate.end):
                return rate
        return None

    def parameter(self, name: str, day: date) -> Decimal:
        for value, start, end in self._parameters.get(name, ()):
            if (start is None or start <= day) and (end is None or day < end):
                return value
        raise conflict(
            "tariff-not-loaded",
            T(
                "税则参数 {name} 在 {day} 没有值",
                "the tariff parameter {name} has no value on {day}",
                name=name,
                day=day,
            ),
        )

    def effect(self, direction: str, regime: str, levy_nature: str, day: date) -> Effect | None:
        key = (direction, regime, levy_nature, day)
        if key not in self._effects:
            if len(self._effects) > 5000:
                self._effects.clear()
            self._effects[key] = pick_effect(self._all_effects, direction, regime, levy_nature, day)
        return self._effects[key]

    def quota_left(self, quota: str, day: date, without: str = "") -> Decimal | None:
        """Volume less what was drawn, except by one declaration: never from the cache."""
        row = models.Quota.objects.known().on(day).filter(number=quota).first()
        if row is None:
            return None
        drawn = models.QuotaDraw.objects.filter(quota=quota, day__gte=row.valid.lower).exclude(subject=without)
        if row.valid.upper is not None:
            drawn = drawn.filter(day__lt=row.valid.upper)
        return row.volume - (drawn.aggregate(total=Sum("quantity"))["total"] or Decimal(0))


_KNOWN = " WHERE code = ANY(%s) AND since_version <= %s AND (until_version IS NULL OR until_version > %s)"
_LINES = (
    "SELECT code, name_zh, name_en, unit1, unit2, elements, documents, inspection, lower(valid), upper(valid), example"
    " FROM tariffs_commodityline" + _KNOWN
)
_MEASURES = (
    'SELECT id, code, kind, "group", rate, exporter, agreement, quota, basis, lower(valid), upper(valid), example'
    " FROM tariffs_tariffmeasure" + _KNOWN
)

_current: DatabaseBook | None = None
_checked = 0.0


def latest_version() -> int:
    return models.Version.objects.aggregate(latest=Max("pk"))["latest"] or 0


def current(clock: Callable[[], float] = time.monotonic) -> DatabaseBook:
    """The book of the newest version, at most CHECK_SECONDS old."""
    global _current, _checked
    now = clock()
    book = _current
    if book is not None and now - _checked < CHECK_SECONDS:
        return book
    version = latest_version()
    if book is None or book.version != version:
        book = DatabaseBook(version)
        _current = book
    _checked = now
    return book


def at_version(version: int) -> DatabaseBook:
    """The tables as they were known at a version, for making an old answer again."""
    book = current()
    return book if book.version == version else DatabaseBook(version, limit=20_000)


def forget() -> None:
    """Drop the process's book (tests; after a load in this process)."""
    global _current, _checked
    _current, _checked = None, 0.0


def statistics() -> dict[str, Any]:
    book = _current
    if book is None:
        return {"version": None}
    return {"version": book.version, "codes": len(book.nodes.young) + len(book.nodes.old), "rows": book.nodes.weight}
