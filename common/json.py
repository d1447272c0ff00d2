"""JSON as the API speaks it: decimals and dates as strings, no floats where money or quantity is meant."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
from django.db.backends.postgresql.psycopg_any import Range  # type: ignore[attr-defined]
from django.utils.functional import Promise


def _default(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Promise):
        return str(value)
    if isinstance(value, Range):
        return {"from": value.lower, "to": value.upper}
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, bytes):
        return value.decode()
    raise TypeError(type(value).__name__)


def dumps(value: Any) -> bytes:
    return orjson.dumps(value, default=_default, option=orjson.OPT_NON_STR_KEYS)


def loads(data: bytes | str) -> Any:
    return orjson.loads(data)
