from __future__ import annotations

import pytest

from tests import make


@pytest.fixture
def tariff(db) -> None:
    make.tariff()
