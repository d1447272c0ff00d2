"""Bring the loaded code lists to what their files say. A load is one transaction: all of it or nothing.

A code that a file no longer names is closed on the day of the load, not deleted: what was declared under it keeps its
meaning. A row of a code that the file still names follows the file."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from django.db import connection, transaction
from django.utils import timezone

from common.days import today
from common.json import dumps
from refdata import codes
from refdata.files import SHIPPED, ListFile, count, read_directory
from refdata.models import CodeList

log = structlog.get_logger(__name__)

ADDED, CHANGED, CLOSED, REMOVED = "added", "changed", "closed", "removed"


@dataclass
class Difference:
    """What a load changed (or would change): list -> kind of change -> codes. ``kept`` are lists left to an operator."""

    lists: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    unchanged: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    def count(self, kind: str) -> int:
        return sum(len(kinds.get(kind, ())) for kinds in self.lists.values())

    def __bool__(self) -> bool:
        return bool(self.lists)


def load(
    directory: Path = SHIPPED,
    *,
    only: Iterable[str] = (),
    dry_run: bool = False,
    take_over: bool = False,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Difference:
    """Load the files of ``directory``; with ``dry_run`` only say what would change.

    Files outside the shipped directory become the operator's own: the shipped ones leave such a list alone from then on,
    unless ``take_over`` is given. Raises :class:`refdata.files.Faulty` before anything is touched."""
    shipped = directory.resolve() == SHIPPED
    total = count(directory)
    lists: list[ListFile] = []
    for number, one in enumerate(read_directory(directory, only), start=1):
        lists.append(one)
        progress(one.slug, number, total)
    with transaction.atomic():
        difference = _apply(lists, shipped=shipped, take_over=take_over)
        if dry_run:
            transaction.set_rollback(True)
    if not dry_run:
        codes.forget()
        if difference:
            log.info(
                "reference_data_loaded", **{kind: difference.count(kind) for kind in (ADDED, CHANGED, CLOSED, REMOVED)}
            )
    return difference


def _apply(lists: list[ListFile], *, shipped: bool, take_over: bool) -> Difference:
    difference = Difference()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('refdata.loading'))")
        known = {row.slug: row for row in CodeList.objects.all()}
        changed = []
        for one in lists:
            row = known.get(one.slug)
            if row and shipped and not row.shipped and not take_over:
                difference.kept.append(one.slug)
            elif row and row.checksum == one.checksum and row.shipped == shipped:
                difference.unchanged.append(one.slug)
            else:
                changed.append(one)
        if not changed:
            return difference
        _save_heads(changed, known, shipped=shipped)
        _copy(cursor, changed)
        for kind, sql in _STEPS:
            cursor.execute(sql, {"today": today()})
            for slug, code in cursor.fetchall():
                difference.lists.setdefault(slug, {}).setdefault(kind, []).append(code)
        cursor.execute("DROP TABLE refdata_incoming")
        _set_versions(cursor, [one.slug for one in changed])
    difference.unchanged += [one.slug for one in changed if one.slug not in difference.lists]
    return difference


def _save_heads(lists: list[ListFile], known: dict[str, CodeList], *, shipped: bool) -> None:
    heads = [
        CodeList(
            slug=one.slug,
            name_zh=one.name_zh,
            name_en=one.name_en,
            pattern=one.pattern,
            complete=one.complete,
            trust=one.trust,
            rests_on=one.rests_on,
            columns=one.columns,
            checksum=one.checksum,
            shipped=shipped,
            version=known[one.slug].version if one.slug in known else "",
            loaded_at=timezone.now(),
        )
        for one in lists
    ]
    fields = [f.name for f in CodeList._meta.concrete_fields if f.name not in ("slug", "size")]
    CodeList.objects.bulk_create(heads, update_conflicts=True, unique_fields=["slug"], update_fields=fields)


def _copy(cursor: Any, lists: list[ListFile]) -> None:
    """All rows of the files into a temporary table, in one COPY."""
    cursor.execute(
        'CREATE TEMPORARY TABLE refdata_incoming (list_id text, code text COLLATE "C", name_zh text, name_en text,'
        " attributes jsonb, valid daterange) ON COMMIT DROP"
    )
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    for one in lists:
        for row in one.rows:
            valid = f"[{row.valid_from or ''},{row.valid_to or ''})"
            writer.writerow((one.slug, row.code, row.name_zh, row.name_en, dumps(row.attributes).decode(), valid))
    buffer.seek(0)
    cursor.copy_expert("COPY refdata_incoming FROM STDIN (FORMAT csv, FORCE_NOT_NULL (name_zh, name_en))", buffer)
    cursor.execute("CREATE INDEX ON refdata_incoming (list_id, code)")
    cursor.execute("ANALYZE refdata_incoming")


#: In this order, so that periods make room before others move into it. A row is known by its list, code and first day.
_STEPS = (
    (
        REMOVED,
        """
        DELETE FROM refdata_code c USING (SELECT DISTINCT list_id FROM refdata_incoming) l
        WHERE c.list_id = l.list_id
          AND NOT EXISTS (SELECT FROM refdata_incoming i WHERE i.list_id = c.list_id AND i.code = c.code
                          AND lower(i.valid) IS NOT DISTINCT FROM lower(c.valid))
          AND (lower(c.valid) >= %(today)s
               OR EXISTS (SELECT FROM refdata_incoming i WHERE i.list_id = c.list_id AND i.code = c.code))
        RETURNING c.list_id, c.code
        """,
    ),
    (
        CLOSED,
        """
        UPDATE refdata_code c SET valid = daterange(lower(c.valid), %(today)s)
        FROM (SELECT DISTINCT list_id FROM refdata_incoming) l
        WHERE c.list_id = l.list_id AND c.valid @> %(today)s::date
          AND NOT EXISTS (SELECT FROM refdata_incoming i WHERE i.list_id = c.list_id AND i.code = c.code)
        RETURNING c.list_id, c.code
        """,
    ),
    (
        CHANGED,
        """
        UPDATE refdata_code c
        SET name_zh = i.name_zh, name_en = i.name_en, attributes = i.attributes, valid = i.valid
        FROM refdata_incoming i
        WHERE i.list_id = c.list_id AND i.code = c.code AND lower(i.valid) IS NOT DISTINCT FROM lower(c.valid)
          AND (c.name_zh, c.name_en, c.attributes, c.valid)
              IS DISTINCT FROM (i.name_zh, i.name_en, i.attributes, i.valid)
        RETURNING c.list_id, c.code
        """,
    ),
    (
        ADDED,
        """
        INSERT INTO refdata_code (list_id, code, name_zh, name_en, attributes, valid)
        SELECT i.list_id, i.code, i.name_zh, i.name_en, i.attributes, i.valid FROM refdata_incoming i
        WHERE NOT EXISTS (SELECT FROM refdata_code c WHERE c.list_id = i.list_id AND c.code = i.code
                          AND lower(i.valid) IS NOT DISTINCT FROM lower(c.valid))
        RETURNING list_id, code
        """,
    ),
)


def _set_versions(cursor: Any, slugs: list[str]) -> None:
    """A list's version is a digest of what the list says, so equal content has equal versions everywhere."""
    cursor.execute(
        """
        SELECT l.slug, concat_ws('|', l.name_zh, l.name_en, l.complete, l.trust, l.rests_on, l.columns), count(c.id),
               coalesce(string_agg(concat_ws('|', c.code, c.valid, c.name_zh, c.name_en, c.attributes), E'\\n'
                                   ORDER BY c.code, c.valid), '')
        FROM refdata_codelist l LEFT JOIN refdata_code c ON c.list_id = l.slug
        WHERE l.slug = ANY(%s) GROUP BY l.slug
        """,
        [slugs],
    )
    digests = [
        (slug, size, hashlib.sha256(f"{head}\n{rows}".encode()).hexdigest())
        for slug, head, size, rows in cursor.fetchall()
    ]
    cursor.executemany(
        "UPDATE refdata_codelist SET size = %s, version = %s WHERE slug = %s",
        [(size, digest, slug) for slug, size, digest in digests],
    )
