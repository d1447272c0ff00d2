"""What a code means, asked of this process's memory.

Lists are read from the database when first asked for and kept; every :data:`LOOK_EVERY` seconds one small query compares
versions, so that a load by any process is seen by all of them within that time."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import date
from time import monotonic
from typing import Any, NamedTuple

from django.db import connection
from django.utils.translation import get_language

from common.days import today
from common.json import loads
from common.text import pick

#: Seconds between two looks at the versions.
LOOK_EVERY = 2.0


class Meaning(NamedTuple):
    """What a code means in one period; ``start`` and ``end`` bound it half-open."""

    start: date
    end: date
    name_zh: str
    name_en: str
    attributes: Mapping[str, Any]


class NotLoaded(LookupError):
    """There is no such code list: a wrong name, or `manage.py load_reference` has not been run."""


class _List(NamedTuple):
    version: str
    complete: bool
    name_zh: str
    name_en: str
    codes: dict[str, tuple[Meaning, ...]]


_lists: dict[str, _List] = {}
_absent: set[str] = set()
_next_look = 0.0
_reading = threading.Lock()


def is_valid(slug: str, code: str, on: date | None = None) -> bool:
    """Whether ``code`` stands in the list on the legal day ``on`` (today unless given)."""
    return meaning(slug, code, on) is not None


def is_complete(slug: str) -> bool:
    """Whether a code that the list lacks is certainly wrong. A check may only warn where it is not."""
    return _list(slug).complete


def called(slug: str) -> str:
    """What people call the list, in the active language."""
    found = _list(slug)
    return pick(found.name_zh, found.name_en)


def is_known(slug: str, code: str) -> bool:
    """Whether ``code`` has ever stood in the list."""
    return code in _list(slug).codes


def meaning(slug: str, code: str, on: date | None = None) -> Meaning | None:
    found = _list(slug).codes.get(code)
    if found is None:
        return None
    day = on or today()
    for one in found:
        if one.start <= day < one.end:
            return one
    return None


def name(slug: str, code: str, lang: str | None = None, on: date | None = None) -> str:
    """The code's name in ``lang`` (the active language unless given), or "" for a code that never was.

    Outside its period a code keeps the last name it had: old declarations are still read."""
    found = _list(slug).codes.get(code)
    if found is None:
        return ""
    one = meaning(slug, code, on) or found[-1]
    if (lang or get_language() or "").startswith("en"):
        return one.name_en or one.name_zh
    return one.name_zh or one.name_en


def attribute(slug: str, code: str, key: str, on: date | None = None) -> Any:
    """An attribute of the code on that day (``minor_units``, ``alpha2``, ...), or None."""
    one = meaning(slug, code, on)
    return None if one is None else one.attributes.get(key)


def codes_of(slug: str, on: date | None = None) -> list[str]:
    """The codes in force on that day, in order."""
    day = on or today()
    return [code for code, found in _list(slug).codes.items() if any(one.start <= day < one.end for one in found)]


def forget() -> None:
    """Look at the versions again at the next question."""
    global _next_look
    _next_look = 0.0


def _list(slug: str) -> _List:
    if monotonic() >= _next_look:
        _look()
    found = _lists.get(slug)
    return found if found is not None else _read(slug)


def _look() -> None:
    """Drop what has changed since it was read."""
    global _next_look
    _next_look = monotonic() + LOOK_EVERY
    with connection.cursor() as cursor:
        cursor.execute("SELECT slug, version FROM refdata_codelist")
        versions = dict(cursor.fetchall())
    for slug, one in list(_lists.items()):
        if versions.get(slug) != one.version:
            _lists.pop(slug, None)
    _absent.clear()


def _read(slug: str) -> _List:
    if slug in _absent:
        raise NotLoaded(slug)
    with _reading:
        if (found := _lists.get(slug)) is not None:
            return found
        with connection.cursor() as cursor:
            # The version first: rows that change in between are then newer than it, and the next look reads them again.
            cursor.execute("SELECT version, complete, name_zh, name_en FROM refdata_codelist WHERE slug = %s", [slug])
            head = cursor.fetchone()
            if head is None:
                _absent.add(slug)
                raise NotLoaded(slug)
            cursor.execute(
                "SELECT code, lower(valid), upper(valid), name_zh, name_en, attributes::text = '{}', attributes"
                " FROM refdata_code WHERE list_id = %s ORDER BY code, valid",
                [slug],
            )
            codes: dict[str, tuple[Meaning, ...]] = {}
            for code, start, end, name_zh, name_en, bare, attributes in cursor.fetchall():
                one = Meaning(
                    start or date.min, end or date.max, name_zh, name_en, _NOTHING if bare else _json(attributes)
                )
                codes[code] = (*codes.get(code, ()), one)
        found = _lists[slug] = _List(head[0], head[1], head[2], head[3], codes)
        return found


_NOTHING: Mapping[str, Any] = {}


def _json(value: Any) -> Mapping[str, Any]:
    """A jsonb column as a raw cursor of Django hands it over: as text."""
    decoded: Mapping[str, Any] = loads(value) if isinstance(value, str) else value
    return decoded
