"""``Idempotency-Key``: the key is a row of the transaction that did the work, so a rolled-back request leaves none, a
twin waits on the unique index and then gives the first answer, and nothing can stay locked after a crash.

(IETF draft-ietf-httpapi-idempotency-key-header: another body under a used key answers 422.)"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from django.db import IntegrityError, connection

from common.json import dumps, loads
from common.problems import Problem
from common.text import T

#: Keys are forgotten after this many days; a retry later than that is a new request.
KEPT_DAYS = 7

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class Taken(Exception):
    """Another request with the same key committed first."""


class Stored(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def check_key(key: str) -> None:
    if not _KEY.fullmatch(key):
        raise Problem(
            400,
            "bad-idempotency-key",
            T(
                "Idempotency-Key 须为 1–255 个可见 ASCII 字符",
                "Idempotency-Key must be 1 to 255 visible ASCII characters",
            ),
        )


def find(caller: str, key: str, fingerprint: bytes) -> Stored | None:
    """The answer given under this key, or None. Raises Problem 422 where the key was used for another request."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT fingerprint, status, headers, body FROM common_idempotencykey WHERE caller = %s AND key = %s",
            [caller, key],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    if bytes(row[0]) != fingerprint:
        raise Problem(
            422,
            "idempotency-key-reused",
            T("此 Idempotency-Key 已用于另一请求", "This Idempotency-Key was used for a different request"),
        )
    return Stored(row[1], loads(row[2]), bytes(row[3]))


def keep(caller: str, key: str, fingerprint: bytes, *, status: int, headers: dict[str, str], body: Any) -> None:
    """Record the answer in the current transaction. Raises Taken where a twin was faster."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO common_idempotencykey (caller, key, fingerprint, status, headers, body, created_at)"
                " VALUES (%s, %s, %s, %s, %s, %s, now())",
                [caller, key, fingerprint, status, dumps(headers).decode(), dumps(body)],
            )
    except IntegrityError as error:
        raise Taken from error


def forget_old() -> int:
    """Delete keys past their term; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM common_idempotencykey WHERE created_at < now() - make_interval(days => %s)", [KEPT_DAYS]
        )
        return cursor.rowcount
