"""One running instance (web, worker, beat, a database of its own) for the tests of whole ways through the system."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from singlewindow.demo.story import Demo
from singlewindow.processes import scratch_instance


@pytest.fixture(scope="session")
def story() -> Iterator[Demo]:
    with scratch_instance("e2e", redis_database=13) as instance:
        instance.manage("prepare", "--quiet")
        yield Demo(instance)
