"""What a bill needs to know of the declarations that stand under it.

The declaration app is this one's sibling and is not imported; the composition (singlewindow/apps.py) says where the answers
come from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple


class Declared(NamedTuple):
    """A declaration as it is now. ``number`` is the one its events name it by, ``bill`` is the transport document it names, ``direction`` is I or E, ``containers`` are
    those it lists; one that was withdrawn or rejected does not stand."""

    number: str
    bill: str
    direction: str
    released_at: datetime | None = None
    stands: bool = True
    containers: frozenset[str] = frozenset()


_declared: Callable[[str], Declared | None] = lambda number: None  # noqa: E731


def use(*, declared: Callable[[str], Declared | None]) -> None:
    """``declared``: number of a declaration -> what it says now, or None where nobody lodged it here or told us of it."""
    global _declared
    _declared = declared


def declared(number: str) -> Declared | None:
    return _declared(number)
