"""Setting the house up in the console: organisations, their standing, and the machines that act for them."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from common.days import today
from declarations.checks import running
from events.models import Event
from parties import registration
from parties.models import ApiClient, Organisation
from tests import make
from tests.console.officers import Desk

pytestmark = pytest.mark.django_db

FORM = {
    "name": "重庆新企业有限公司", "name_en": "New Firm", "customs_code": "5001900001", "province": "500000",
    "roles": ["trading_firm", "customs_broker"], "email": "a@example.com", "telephone": "", "address": "",
}  # fmt: skip


@pytest.fixture
def house() -> Desk:
    """A superuser with no office and no duty, as `createsuperuser` makes one."""
    desk = Desk()
    desk.http.force_login(get_user_model().objects.create_superuser(username="house", password="a-long-password"))
    return desk


def secret_in(answer: Any) -> str:
    return re.search(r'id="secret"[^>]*>([^<]+)<', answer.content.decode())[1]


def errors(answer: Any) -> set[str]:
    return set(re.findall(r'<div class="error" id="e-(\w+)">', answer.content.decode()))


def ask_token(client_id: str, secret: str) -> Any:
    credentials = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    return Client().post(
        "/api/v1/oauth/token",
        {"grant_type": "client_credentials"},
        headers={"Authorization": f"Basic {credentials}"},
    )


def test_a_house_is_set_up_from_nothing_to_a_firms_first_call(house):
    """Registered, given a client whose secret is told once, and let in: without a demo and without a shell."""
    code = make.credit_code()
    assert house.post("organisation_new", **FORM | {"social_credit_code": code}).status_code == 200
    firm = Organisation.objects.get(social_credit_code=code)
    assert (firm.name, firm.roles, firm.province) == (FORM["name"], FORM["roles"], "500000")
    assert make.events_of("organisation", str(firm.pk)) == ["organisation.registered"]
    answer = house.post("client_new", firm.pk, name="ERP", scopes=["parties:read", "declarations:write"])
    secret = secret_in(answer)
    assert "no-store" in answer["Cache-Control"]
    assert errors(house.post("client_new", firm.pk, name="ERP")) == {"scopes"}
    assert errors(house.post("client_new", firm.pk, name="", scopes=["parties:read"])) == {"name"}
    client = ApiClient.objects.get(organisation=firm)
    assert client.scopes == ["declarations:write", "parties:read"]
    home = re.search(r'data-leave="([^"]+)"', answer.content.decode())[1]
    assert secret not in house.http.get(home).content.decode()
    token = ask_token(client.application.client_id, secret).json()["access_token"]
    found = Client().get("/api/v1/organisations", headers={"Authorization": f"Bearer {token}"})
    assert [row["name"] for row in found.json()["results"]] == [FORM["name"]]
    assert all(secret not in str(event.data) for event in Event.objects.all())
    actors = Event.objects.filter(subject_kind="organisation", subject_number=str(firm.pk)).values_list("actor")
    assert {actor for (actor,) in actors} == {"officer:house"}


def test_every_fault_stands_at_its_field_and_nothing_typed_is_lost(house):
    before = Organisation.objects.count()
    answer = house.post(
        "organisation_new",
        **FORM
        | {"name": "", "social_credit_code": "91500000MA0000001X", "customs_code": "1", "email": "no", "roles": []},
    )
    assert errors(answer) == {"name", "social_credit_code", "customs_code", "email", "roles"}
    assert 'value="91500000MA0000001X"' in answer.content.decode()
    assert Organisation.objects.count() == before
    taken = make.firm()
    answer = house.post("organisation_new", **FORM | {"social_credit_code": taken.social_credit_code})
    assert "已登记" in answer.content.decode()


def test_a_suspended_firm_is_rejected_until_it_is_reinstated(house, firm):
    path = f"/console/parties/organisation/{firm.pk}/change/"
    assert "暂停资格" in house.http.get(path).content.decode()
    house.post("organisation_act", firm.pk, "suspend", reason="", since="")
    firm.refresh_from_db()
    assert firm.suspended_since is None, "a reason is needed"
    later = today() + timedelta(days=30)
    house.post("organisation_act", firm.pk, "suspend", reason="走私", since=later.isoformat())
    firm.refresh_from_db()
    assert firm.suspended_since == later
    assert running.run(make.declaration(firm).unified_number) == "accept", "not before that day"
    house.post("organisation_act", firm.pk, "reinstate")
    house.post("organisation_act", firm.pk, "suspend", reason="走私")
    declaration = make.declaration(firm)
    assert running.run(declaration.unified_number) == "reject"
    assert declaration.check_results.get(code="party-suspended").params["since"] == str(today())
    house.post("organisation_act", firm.pk, "reinstate")
    assert running.run(make.declaration(firm, transport_document_number="AFTER").unified_number) == "accept"
    assert make.events_of("organisation", str(firm.pk))[1:] == [
        "organisation.suspended", "organisation.reinstated", "organisation.suspended", "organisation.reinstated"
    ]  # fmt: skip
    first = Event.objects.filter(type="organisation.suspended").order_by("sequence").first()
    assert (first.data, first.audience) == ({"since": later.isoformat(), "reason": "走私"}, [firm.pk])


def test_a_rotated_client_knows_the_new_secret_only(house, firm):
    client, old = registration.register_client(organisation=firm, name="erp")
    token = {"Authorization": f"Bearer {ask_token(client.application.client_id, old).json()['access_token']}"}
    new = secret_in(house.post("client_act", client.pk, "rotate"))
    assert new != old
    assert ask_token(client.application.client_id, old).status_code == 401
    assert Client().get("/api/v1/organisations", headers=token).status_code == 401
    assert ask_token(client.application.client_id, new).status_code == 200
    assert make.events_of("organisation", str(firm.pk))[-1] == "api_client.rotated"


def test_a_revoked_client_is_shut_out_for_good(house, firm):
    client, secret = registration.register_client(organisation=firm, name="erp")
    token = {"Authorization": f"Bearer {ask_token(client.application.client_id, secret).json()['access_token']}"}
    assert Client().get("/api/v1/organisations", headers=token).status_code == 200
    house.post("client_act", client.pk, "revoke")
    assert Client().get("/api/v1/organisations", headers=token).status_code == 401
    assert ask_token(client.application.client_id, secret).status_code == 401
    client.refresh_from_db()
    assert client.revoked_at is not None
    page = house.http.get(f"/console/parties/apiclient/{client.pk}/change/").content.decode()
    assert "ask-rotate" not in page
    assert 'id="secret"' not in house.post("client_act", client.pk, "rotate").content.decode()
    assert make.events_of("organisation", str(firm.pk))[-1] == "api_client.revoked"


def test_officers_look_and_superusers_alone_set_up(firm):
    desk = Desk()
    client, _ = registration.register_client(organisation=firm, name="erp")
    for path in (f"/console/parties/organisation/{firm.pk}/change/", "/console/parties/organisation/"):
        page = desk.http.get(path)
        assert page.status_code == 200
        assert "/console/organisations/" not in page.content.decode()
    for name, args in (
        ("organisation_new", ()), ("client_new", (firm.pk,)), ("organisation_act", (firm.pk, "suspend")),
        ("client_act", (client.pk, "revoke")),
    ):  # fmt: skip
        assert desk.post(name, *args, name="x", reason="x").status_code == 403, name
    firm.refresh_from_db()
    client.refresh_from_db()
    assert (firm.suspended_since, client.revoked_at) == (None, None)
