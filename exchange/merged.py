"""Lists made of our own records and of mirrors, page by page: the next page begins where the last one ended, whatever was added
meanwhile."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson
from django.db.models import Q, QuerySet

from common.problems import Fault, invalid
from common.text import T

#: Rows of a page.
PAGE = 100


class Page(NamedTuple):
    results: list[dict[str, Any]]
    #: What to ask the next page with; None on the last.
    next: str | None


class Source(NamedTuple):
    """One of the lists that are read one after the other."""

    rows: QuerySet[Any]
    #: Fields that order the rows, no two of which have the same values.
    order: tuple[str, ...]
    show: Callable[[Any], dict[str, Any]]

    def after(self, place: list[Any]) -> QuerySet[Any]:
        further, same = Q(pk__in=[]) if place else Q(), Q()
        for name, value in zip(self.order, place, strict=False):
            further |= same & Q(**{f"{name}__gt": value})
            same &= Q(**{name: value})
        return self.rows.filter(further).order_by(*self.order)

    def place(self, row: Any) -> list[Any]:
        return [_value(row, name) for name in self.order]


def _value(row: Any, name: str) -> Any:
    for part in name.split("__"):
        row = getattr(row, part)
    return row


def page(*sources: Source, cursor: str = "", most: int = PAGE) -> Page:
    """A page of ``sources``, one after the other. Raises Problem 422 where ``cursor`` is none of ours."""
    nth, *place = read(cursor, int, str, str) or [0]
    found: list[tuple[int, Source, Any]] = []
    for n, source in enumerate(sources):
        if n >= nth and len(found) <= most:
            rows = source.after(place if n == nth else [])[: most + 1 - len(found)]
            found += [(n, source, row) for row in rows]
    shown = found[:most]
    last = [shown[-1][0], *shown[-1][1].place(shown[-1][2])] if len(found) > most else None
    return Page([source.show(row) for _, source, row in shown], write(last) if last else None)


def write(place: list[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def read(cursor: str, *types: type) -> list[Any] | None:
    """The place a cursor stands for; None for the beginning. Raises Problem 422."""
    if not cursor:
        return None
    try:
        place = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        place = None
    wellformed = isinstance(place, list) and [type(value) for value in place] == list(types)
    if not wellformed or any(isinstance(value, str) and "\x00" in value for value in place):
        raise invalid([Fault("/cursor", "cursor", T("不是本接口给出的游标", "Not a cursor of this list"))])
    return place
