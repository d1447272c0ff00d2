from __future__ import annotations

import pytest

from tests import make
from tests.browsing import browser, chromium  # noqa: F401


@pytest.fixture
def tariff(db) -> None:
    make.tariff()
