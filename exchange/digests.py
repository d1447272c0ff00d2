"""Do two instances agree? Each side sums up, per kind of subject, legal day and bucket, what it gave or was given; the
sums are compared, narrowed down to the subjects that differ, and those are pulled again.

A subject's line is ``number:count:last sequence:last id`` and a line feed; a group's hash is the sha256 of its lines in
the order of the numbers' bytes. Events never change, so equal lines mean equal histories."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from datetime import date
from typing import Any, NamedTuple

from django.db import connection

from exchange.models import Partner


class Group(NamedTuple):
    kind: str
    day: date
    bucket: int | None
    count: int  # type: ignore[assignment]
    hash: str


class Line(NamedTuple):
    number: str
    count: int  # type: ignore[assignment]
    sequence: int
    last_id: str


#: Which table tells a side of the comparison: what we gave, or what we were given.
GIVEN, RECEIVED = "exchange_sharedsubject", "exchange_mirror"

_LINE = "convert_to(concat(subject_number, ':', count, ':', sequence, ':', last_id, E'\\n'), 'UTF8')"


def groups(
    side: str,
    partner: Partner,
    *,
    kinds: Iterable[str] | None = None,
    kind: str | None = None,
    day: date | None = None,
    buckets: bool = False,
) -> list[Group]:
    """Sums per kind (of ``kinds``, where they are named) and day, or, with ``buckets``, per bucket of one kind and day."""
    where = ""
    values: list[Any] = []
    if kinds is not None:
        where, values = " AND subject_kind = ANY(%s)", [list(kinds)]
    if kind is not None:
        where, values = where + " AND subject_kind = %s", [*values, kind]
    if day is not None:
        where, values = where + " AND day = %s", [*values, day]
    bucket = "bucket" if buckets else "NULL::smallint"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT subject_kind, day, {bucket}, count(*), encode(sha256(string_agg({_LINE}, ''::bytea"  # noqa: S608
            f" ORDER BY subject_number COLLATE \"C\")), 'hex') FROM {side}"
            f" WHERE partner_id = %s AND count > 0{where} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            [partner.pk, *values],
        )
        return [Group(*row) for row in cursor.fetchall()]


def lines(side: str, partner: Partner, *, kind: str, day: date, bucket: int) -> list[Line]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT subject_number, count, sequence, last_id::text"  # noqa: S608 one of two constants
            f" FROM {side} WHERE partner_id = %s AND count > 0 AND subject_kind = %s AND day = %s AND bucket = %s"
            ' ORDER BY subject_number COLLATE "C"',
            [partner.pk, kind, day, bucket],
        )
        return [Line(*row) for row in cursor.fetchall()]


def hash_of(given: Iterable[tuple[str, int, int, str]]) -> str:
    """The hash of a group as any partner can make it."""
    total = hashlib.sha256()
    for number, count, sequence, last_id in sorted(given, key=lambda line: line[0].encode()):
        total.update(f"{number}:{count}:{sequence}:{last_id}\n".encode())
    return total.hexdigest()


def bucket_of(number: str) -> int:
    return hashlib.sha256(number.encode()).digest()[0]


def as_json(group: Group) -> dict[str, Any]:
    given: dict[str, Any] = {"kind": group.kind, "day": group.day, "count": group.count, "hash": group.hash}
    return given if group.bucket is None else given | {"bucket": group.bucket}


def fewest_differing(own: Iterable[Group], theirs: Iterable[Group]) -> int:
    """How many subjects differ at least, by what the sums count of each kind."""
    more: Counter[str] = Counter()
    for group in own:
        more[group.kind] += group.count
    for group in theirs:
        more[group.kind] -= group.count
    return sum(map(abs, more.values()))


def differing(own: Iterable[Group], theirs: Iterable[Group]) -> list[tuple[str, date, int | None]]:
    """Keys of the groups that are not the same on both sides."""
    mine = {(group.kind, group.day, group.bucket): (group.count, group.hash) for group in own}
    other = {(group.kind, group.day, group.bucket): (group.count, group.hash) for group in theirs}
    return sorted(key for key in mine.keys() | other.keys() if mine.get(key) != other.get(key))
