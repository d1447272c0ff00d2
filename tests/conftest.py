"""Real PostgreSQL and Redis; the cast that most tests need. States are reached through commands (tests/make.py)."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client

from common import redis as redis_client
from refdata import loading
from tests import make


@pytest.fixture(autouse=True)
def _own_redis_database(settings) -> None:
    """Each test process has a Redis database of its own, emptied before each test."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    base, _, _ = settings.REDIS_URL.partition("?db=")
    settings.REDIS_URL = f"{base}?db={int(worker) + 1}"
    redis_client.client.cache_clear()
    redis_client.client().flushdb()


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
