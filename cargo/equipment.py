"""Container numbers (ISO 6346): four letters, six digits, a check digit."""

from __future__ import annotations

import re
from typing import Any

from stdnum import iso6346

from common.problems import Fault
from common.text import T

_SHAPE = re.compile(r"[A-Z]{3}[UJZ]\d{7}")


def normal(number: str) -> str:
    """Capital letters, no spaces or hyphens."""
    return re.sub(r"[\s-]", "", number).upper()


def is_valid(number: str) -> bool:
    return bool(_SHAPE.fullmatch(number)) and bool(iso6346.is_valid(number))


def check(number: Any, pointer: str) -> list[Fault]:
    if isinstance(number, str) and is_valid(normal(number)):
        return []
    return [
        Fault(
            pointer,
            "container-number",
            T(
                "集装箱号“{number}”校验不通过（ISO 6346）",
                "Container number “{number}” fails the ISO 6346 check",
                number=str(number)[:20],
            ),
        )
    ]
