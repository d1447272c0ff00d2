"""Real PostgreSQL and Redis; the cast that most tests need. States are reached through commands (tests/make.py)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import hypothesis
import pytest
from django.db import connection
from django.test import Client
from django.utils import translation

from common import redis as redis_client
from events.models import Event
from exchange import standards
from refdata import loading
from tariffs import lookup
from tests import make

# How long an example takes says nothing on a machine that others use as well; what it finds does.
hypothesis.settings.register_profile("shared", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("shared")

#: What the browser tests drive. Playwright's own download is not used: Debian's Chromium is one package.
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM is None:
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason="Chromium is not installed: run `make browser`"))


def pytest_terminal_summary(terminalreporter) -> None:
    """Say in the last lines what a machine without Chromium left out, how many worked cases of duty and tax arithmetic
    held (tests/tariffs/golden), and the tally of the corridor (tests/faults)."""
    held = [report for report in terminalreporter.stats.get("passed", []) if "test_golden[" in report.nodeid]
    if held:
        terminalreporter.line(f"{len(held)} golden cases of duty and tax arithmetic passed")
    for report in terminalreporter.stats.get("passed", []) + terminalreporter.stats.get("failed", []):
        for name, value in report.user_properties:
            if name == "tally":
                terminalreporter.line(value)
    skipped = terminalreporter.stats.get("skipped", [])
    without_node = [report.nodeid for report in skipped if "node is not installed" in str(report.longrepr)]
    if without_node:
        terminalreporter.section("example receivers left out", yellow=True)
        terminalreporter.line(
            f"{len(without_node)} example(s) were not run: node is not installed (18 or later). Nothing else runs"
            " examples/partner/receiver.mjs."
        )
    left_out = [report.nodeid for report in skipped if "browser" in report.keywords]
    if left_out:
        terminalreporter.section("browser tests left out", yellow=True)
        for name in left_out:
            terminalreporter.line(f"  {name}")
        terminalreporter.line(
            f"{len(left_out)} browser test(s) were left out: Chromium is not installed."
            " To get them: `make browser` (Debian, as root), then `make test`."
        )


@pytest.fixture(autouse=True)
def _own_redis_database(settings) -> None:
    """Each test process has a Redis database of its own, emptied before each test."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    base, _, _ = settings.REDIS_URL.partition("?db=")
    settings.REDIS_URL = f"{base}?db={int(worker) + 1}"
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": settings.REDIS_URL}}
    redis_client.client.cache_clear()
    redis_client.client().flushdb()


@pytest.fixture(autouse=True)
def _no_tariff_of_another_test() -> None:
    """The tariff is cached in the process, by a version that a test rolled back may have had."""
    lookup.forget()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker) -> None:
    """The shipped code lists stand in the test database; the flush after a transactional test leaves them there."""
    introspection = type(connection.introspection)
    all_tables = introspection.django_table_names

    def without_code_lists(self, *args, **kwargs):
        return [name for name in all_tables(self, *args, **kwargs) if not name.startswith("refdata_")]

    introspection.django_table_names = without_code_lists
    with django_db_blocker.unblock():
        loading.load()


#: Who says something in tests of the log itself, of types that are nobody's.
OF_THE_LOG = ("t", "test")


@pytest.fixture(autouse=True)
def _no_event_without_a_schema(request) -> Iterator[None]:
    """Whatever a test made the system say, however the type came about: the standards desk has a schema of it."""
    names = request.fixturenames
    uses = next((name for name in ("transactional_db", "db") if name in names), None)
    if uses:  # set up before this fixture, it is there when this one ends
        request.getfixturevalue(uses)
    yield
    if not (uses or request.node.get_closest_marker("django_db")) or connection.needs_rollback:
        return
    types = set(Event.objects.exclude(actor__in=OF_THE_LOG).values_list("type", flat=True).distinct())
    assert {event_type for event_type in types if not standards.is_known(event_type)} == set()


@pytest.fixture(autouse=True)
def _default_language(settings) -> None:
    """A request of an earlier test may have left its language active in this thread."""
    translation.activate(settings.LANGUAGE_CODE)


@pytest.fixture
def firm(db):
    return make.firm()


@pytest.fixture
def broker(db):
    return make.broker()


@pytest.fixture
def api(db) -> Callable[..., make.Api]:
    """``api(organisation, scopes=...)`` is an HTTP client with that organisation's token; ``api()`` has none."""
    return make.Api


@pytest.fixture
def officer_client(db) -> Client:
    """A console session of an officer of Chongqing (8000, 8001, 8010)."""
    officer = make.officer()
    client = Client()
    client.force_login(officer.user)
    return client
