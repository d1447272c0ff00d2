from __future__ import annotations

import pytest

from tests.bills.cast import Cast, assemble
from tests.browsing import browser, chromium  # noqa: F401


@pytest.fixture
def cast(db) -> Cast:
    return assemble()
