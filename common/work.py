"""Working off a list in a background task."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from django.db import InterfaceError, OperationalError

log = logging.getLogger(__name__)


def each(numbers: Iterable[str], do: Callable[[str], Any]) -> None:
    """``do`` for every number, once. One that fails stops no other; the sweep meets it again. Where the database is gone,
    the task fails as a whole: raises OperationalError or InterfaceError."""
    for number in dict.fromkeys(numbers):
        try:
            do(number)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            log.exception("%s failed for %s", do.__name__, number)
