"""Every route × every kind of caller. See tests/permission_matrix.py."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from common.api import View
from parties.authentication import OFFICER_SCOPES
from parties.models import OrganisationRole
from parties.scopes import SCOPES
from tests import make
from tests.permission_matrix import ELSEWHERE, PUBLIC, ROUTES, SESSION

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SAMPLE = {"int": "999999999", "uuid": "00000000-0000-7000-8000-000000000000", "str": "X0", "slug": "x0", "path": "x"}


def routes(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in (resolver or get_resolver()).url_patterns:
        path = prefix + str(pattern.pattern)
        if path.startswith(ELSEWHERE):
            continue
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, path)
        elif isinstance(pattern, URLPattern):
            yield path, getattr(pattern.callback, "view_class", getattr(pattern.callback, "cls", None))


def sample(path: str) -> str:
    return "/" + re.sub(r"<(?:(\w+):)?\w+>", lambda match: SAMPLE.get(match[1] or "str", "X0"), path)


def test_the_matrix_names_every_route_and_nothing_else():
    assert sorted({path for path, _ in routes()}) == sorted(ROUTES)


def test_every_view_is_opened_by_what_the_matrix_says():
    declared, written = {}, {}
    for path, view in routes():
        if view is None or not issubclass(view, View):
            continue
        declared[path] = {
            method: PUBLIC if view.public else view.scopes.get(method, "closed")
            for method in METHODS
            if hasattr(view, method.lower())
        }
        written[path] = ROUTES.get(path)
    assert declared == written


def test_every_scope_of_the_matrix_exists_and_every_scope_opens_something():
    used = {opener for methods in ROUTES.values() for opener in methods.values()} - {PUBLIC, SESSION}
    assert used <= set(SCOPES)


@pytest.fixture(scope="module")
def tokens(django_db_setup, django_db_blocker) -> Iterator[dict[str, str]]:
    """One token per role, with every scope the role may hold; made once, in a transaction around all these tests."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield {role: make.token(make.organisation(role)) for role in OrganisationRole.values}
        transaction.set_rollback(True)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "method", "opener"),
    [(path, method, opener) for path, methods in ROUTES.items() for method, opener in methods.items()],
)
def test_the_door_opens_to_those_it_should_and_to_nobody_else(path, method, opener, tokens):
    if opener == SESSION:
        pytest.skip("console sessions are tested with the console")
    client = Client(raise_request_exception=False)

    def status(headers: dict[str, str]) -> int:
        return client.generic(method, sample(path), b"{}", content_type="application/json", headers=headers).status_code

    if opener == PUBLIC:
        assert status({}) not in (403, 500)
        assert status({}) != 401 or "oauth" in path
        return
    assert status({}) == 401
    for role, token in tokens.items():
        answer = status({"Authorization": f"Bearer {token}"})
        if role in SCOPES[opener].roles:
            assert answer not in (401, 403, 500), f"{role} is refused: {answer}"
        else:
            assert answer == 403, f"{role} gets {answer}"


@pytest.fixture(scope="module")
def sessions(django_db_setup, django_db_blocker) -> Iterator[dict[str, Client]]:
    """Console sessions: an officer with every duty, and a superuser who is no officer."""
    with django_db_blocker.unblock(), transaction.atomic():
        found = {}
        superuser = get_user_model().objects.create_superuser(username="house", password="a-long-password")
        for name, user in (("officer", make.officer().user), ("superuser", superuser)):
            found[name] = Client(raise_request_exception=False)
            found[name].force_login(user)
        yield found
        transaction.set_rollback(True)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "method", "opener"),
    [(path, method, opener) for path, methods in ROUTES.items() for method, opener in methods.items()],
)
def test_a_console_session_opens_what_officers_do_over_the_api_and_nothing_else(path, method, opener, sessions):
    """An officer's session has the scopes of officers; who sets the house up has none here: the console is for that."""
    if opener == SESSION:
        pytest.skip("pages of the console: tests/console")

    def status(name: str) -> int:
        answer = sessions[name].generic(method, sample(path), b"{}", content_type="application/json")
        return answer.status_code

    if opener == PUBLIC:
        assert status("officer") not in (403, 500)
        return
    assert status("superuser") == 401
    if opener in OFFICER_SCOPES:
        assert status("officer") not in (401, 403, 500)
    else:
        assert status("officer") == 403
