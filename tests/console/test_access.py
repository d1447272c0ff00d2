"""Every page of the console × every duty. A page that is missing here fails; models say their duties themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.contrib.auth import get_user_model
from django.test import Client, RequestFactory
from django.urls import URLPattern

from common.admin import DutyAdmin
from console.site import principal_of
from console.urls import pages_of
from parties.models import Officer
from tests.console.officers import ALL, Desk

pytestmark = pytest.mark.django_db

ANY = frozenset(ALL)
GET, POST = "GET", "POST"

#: name -> method -> duties of which one opens the page. What lies behind a number is a matter of ``visible_to``: 404.
PAGES: dict[str, tuple[str, frozenset[str]]] = {
    "find": (GET, ANY),
    "audit": (GET, frozenset({"supervision"})),
    "queue": (GET, ANY),
    "inspections": (GET, ANY),
    "inspection": (GET, ANY),
    "inspection_act": (POST, frozenset({"inspection"})),
    "risk": (GET, frozenset({"risk"})),
    "risk_edit": ("GET POST", frozenset({"risk"})),
    "risk_act": (POST, frozenset({"risk"})),
    "times": (GET, ANY),
    "manifest_changes": (GET, frozenset({"examination"})),
    "voyage_correct": ("GET POST", frozenset({"examination"})),
    "manifest_decide": (POST, frozenset({"examination"})),
    "review": (POST, ANY),
    "confirm_step": (POST, ANY),
    "place_hold": (POST, ANY),
    "lift_hold": (POST, ANY),
    "see_to_duties": (POST, ANY),
    "departure": ("GET POST", frozenset({"exchange"})),
    "document": (GET, ANY),
    "evidence": (GET, ANY),
    "decide_request": (POST, ANY),
    "take_next": (POST, frozenset({"examination"})),  # of the desk asked for here: review
    "bulk_release": (POST, frozenset({"release"})),
    "declaration": (GET, ANY),
    "give_back": (POST, ANY),
    "decide": (POST, ANY),
    # Rights to fees follow from the organisation, not from a duty.
    "fee_lists": ("GET POST", ANY),
    "fee_list": ("GET POST", ANY),
    "fee_list_act": (POST, ANY),
    "fee_figures": ("GET POST", ANY),
    "complaints": (GET, ANY),
    "complaint": ("GET POST", ANY),
    # Rights are given by superusers alone: no duty opens these.
    "organisation_new": ("GET POST", frozenset()),
    "organisation_act": (POST, frozenset()),
    "client_new": ("GET POST", frozenset()),
    "client_act": (POST, frozenset()),
    "agreements": (GET, frozenset({"exchange"})),
    "agreement": (GET, frozenset({"exchange"})),
    "agreement_new": ("GET POST", frozenset({"exchange"})),
    "agreement_end": (POST, frozenset({"exchange"})),
    "partner_act": (POST, frozenset({"exchange"})),
    "partner_connection": ("GET POST", frozenset({"exchange"})),
    "partner_secret": ("GET POST", frozenset({"exchange"})),
    "delivery_retry": (POST, frozenset({"exchange"})),
    "transits": (GET, frozenset({"release"})),
    "transit_new": ("GET POST", frozenset({"release"})),
    "transit_confirm": (POST, frozenset({"release"})),
    "endpoint_new": ("GET POST", frozenset({"exchange"})),
    "endpoint": (GET, frozenset({"exchange"})),
    "endpoint_change": ("GET POST", frozenset({"exchange"})),
    "endpoint_rotate": (POST, frozenset({"exchange"})),
    "endpoint_replay": ("GET POST", frozenset({"exchange"})),
    "endpoint_act": (POST, frozenset({"exchange"})),
}
SAMPLES = {
    "str": "I20260000000000000", "slug": "accept", "int": "999999", "uuid": "00000000-0000-4000-8000-000000000000",
}  # fmt: skip


def own_pages() -> Iterator[URLPattern]:
    yield from pages_of(admin.site)


def address(pattern: URLPattern) -> str:
    return "/console/" + re.sub(r"<(\w+):\w+>", lambda m: SAMPLES[m[1]], str(pattern.pattern))


def call(client: Client, pattern: URLPattern) -> int:
    method = PAGES[str(pattern.name)][0].split()[0]
    data = {"desk": "review", "number": "I20260000000000000"}
    return client.generic(
        method, address(pattern), "&".join(f"{k}={v}" for k, v in data.items()), "application/x-www-form-urlencoded"
    ).status_code


def test_every_page_stands_in_the_table() -> None:
    assert sorted(str(pattern.name) for pattern in own_pages()) == sorted(PAGES)


@pytest.mark.parametrize("duty", [*ALL, ""])
def test_a_page_opens_for_its_duties_only(duty: str) -> None:
    desk = Desk(duties=(duty,) if duty else ())
    for pattern in own_pages():
        name = str(pattern.name)
        _, duties = PAGES[name]
        status = call(desk.http, pattern)
        if duties == ANY or duty in duties:
            assert status in (200, 302, 404), (name, duty, status)
        else:
            assert status == 403, (name, duty, status)


def test_nobody_comes_in_without_a_log_in() -> None:
    for pattern in own_pages():
        response = Client().get(address(pattern))
        assert response.status_code == 302
        assert response["Location"].startswith("/console/login/")


def test_a_user_who_is_no_officer_stays_outside() -> None:
    client = Client()
    client.force_login(get_user_model().objects.create_user("clerk", is_staff=True))
    for pattern in own_pages():
        assert client.get(address(pattern))["Location"].startswith("/console/login/")
    assert "无权进入工作台" in client.get("/console/", follow=True).content.decode()


def test_a_page_answers_to_its_method_only() -> None:
    desk = Desk()
    for pattern in own_pages():
        if " " in PAGES[str(pattern.name)][0]:
            continue
        wrong = GET if PAGES[str(pattern.name)][0] == POST else POST
        assert desk.http.generic(wrong, address(pattern)).status_code == 405


def may_view(model_admin: ModelAdmin, duty: str) -> bool:
    return isinstance(model_admin, DutyAdmin) and (not model_admin.view_duties or duty in model_admin.view_duties)


def may_add(model_admin: ModelAdmin, duty: str) -> bool:
    return (
        isinstance(model_admin, DutyAdmin)
        and model_admin.change_duties is not None
        and (not model_admin.change_duties or duty in model_admin.change_duties)
    )


def test_a_models_pages_open_for_its_duties_only() -> None:
    for duty in [*ALL, ""]:
        request = RequestFactory().get("/console/")
        request.user = Desk(duties=(duty,) if duty else ()).officer.user
        assert principal_of(request) is not None
        for model, model_admin in admin.site._registry.items():
            assert model_admin.has_view_permission(request) == may_view(model_admin, duty), (model, duty)
            assert not model_admin.has_add_permission(request) or may_add(model_admin, duty), (model, duty)
            assert not model_admin.has_delete_permission(request), (model, duty)


@pytest.mark.slow
def test_a_models_pages_answer_as_the_duties_say() -> None:
    desk = Desk(duties=("examination",))
    for model, model_admin in admin.site._registry.items():
        url = f"/console/{model._meta.app_label}/{model._meta.model_name}/"
        assert desk.http.get(url).status_code == (200 if may_view(model_admin, "examination") else 403), url
        if not may_add(model_admin, "examination"):
            assert desk.http.get(url + "add/").status_code == 403, url


def test_superusers_alone_give_rights() -> None:
    desk = Desk(superuser=True)
    assert desk.http.get("/console/parties/officer/").status_code == 200
    assert desk.http.get(f"/console/parties/officer/{desk.officer.pk}/change/").status_code == 200
    assert Desk().http.get(f"/console/parties/officer/{Officer.objects.first().pk}/change/").status_code == 403


def test_the_sidebar_shows_what_may_be_opened() -> None:
    assert "/console/parties/officer/" not in Desk().http.get("/console/").content.decode()
    page = Desk().http.get("/console/queue/").content.decode()
    assert "报关单" in page
    assert 'aria-current="true"' in page
