from __future__ import annotations

import base64

import pytest
from django.test import Client

from parties import registration
from tests import make

pytestmark = pytest.mark.django_db


def ask_token(client_id: str, secret: str, **form: str):
    credentials = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    return Client().post(
        "/api/v1/oauth/token",
        {"grant_type": "client_credentials"} | form,
        headers={"Authorization": f"Basic {credentials}"},
    )


def test_client_credentials_give_a_token_that_opens_the_api(firm):
    client, secret = registration.register_client(organisation=firm, name="erp")
    answer = ask_token(client.application.client_id, secret)
    assert answer.status_code == 200
    token = answer.json()
    assert set(token["scope"].split()) == set(client.scopes)
    found = Client().get("/api/v1/organisations", headers={"Authorization": f"Bearer {token['access_token']}"})
    assert [row["id"] for row in found.json()["results"]] == [firm.pk]


def test_a_token_holds_no_more_than_the_client_was_granted(firm):
    client, secret = registration.register_client(organisation=firm, name="erp", scopes=["parties:read"])
    answer = ask_token(client.application.client_id, secret, scope="declarations:write")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


def test_a_wrong_secret_gives_no_token(firm):
    client, _ = registration.register_client(organisation=firm, name="erp")
    assert ask_token(client.application.client_id, "wrong").status_code == 401


def test_a_missing_an_unknown_and_an_expired_token_are_401_problems(firm):
    client, _ = registration.register_client(organisation=firm, name="erp")
    expired = make.token_of(client, expired=True)
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Bearer {expired}"}):
        answer = Client().get("/api/v1/organisations", headers=headers)
        assert answer.status_code == 401
        assert answer["Content-Type"] == "application/problem+json"
        assert answer["WWW-Authenticate"].startswith("Bearer")
        assert answer.json()["code"] == "not-authenticated"


def test_a_missing_scope_is_403(firm, api):
    assert api(firm, scopes=["events:read"]).get("/api/v1/organisations").status_code == 403


def test_a_stranger_does_not_find_an_organisation(firm, api):
    assert api(make.firm()).get(f"/api/v1/organisations/{firm.pk}").status_code == 404
    assert api(firm).get(f"/api/v1/organisations/{firm.pk}").status_code == 200


def test_a_firm_gives_a_mandate_and_both_sides_see_it(firm, broker, api):
    given = api(firm).post("/api/v1/mandates", {"broker": broker.pk, "valid_from": "2026-01-01"})
    assert given.status_code == 201, given.content
    for organisation, count in ((firm, 1), (broker, 1), (make.firm(), 0)):
        assert len(api(organisation).get("/api/v1/mandates").json()["results"]) == count


@pytest.mark.parametrize(("role", "all_of_them"), [("bank", False), ("carrier", False), ("port_authority", True)])
def test_people_of_a_firm_or_bank_see_no_organisation_or_mandate_of_others_in_the_console(
    firm, broker, role, all_of_them
):
    make.mandate(firm, broker)
    client = Client()
    client.force_login(make.officer(organisation=make.organisation(role), offices=(), duties=()).user)
    names = {row["name"] for row in client.get("/api/v1/organisations").json()["results"]}
    assert (firm.name in names, bool(client.get("/api/v1/mandates").json()["results"])) == (all_of_them, all_of_them)


def test_a_broker_is_named_by_the_codes_everybody_knows(firm, broker, api):
    """A firm cannot look up a broker it has nothing to do with yet; its codes stand on every paper."""
    caller = api(firm)
    for code, period in (
        (broker.social_credit_code, ("2026-01-01", "2026-02-01")),
        (broker.customs_code, ("2026-02-01", None)),
    ):
        body = {"broker": code, "valid_from": period[0], "valid_to": period[1]}
        given = caller.post("/api/v1/mandates", body)
        assert given.status_code == 201, given.content
        assert (given.json()["broker"], given.json()["broker_name"]) == (broker.pk, broker.name)
    for wrong in (make.credit_code(), make.firm().social_credit_code):
        refused = caller.post("/api/v1/mandates", {"broker": wrong})
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "broker-not-registered")
    for odd in ("x", "", None, True, 0, -1, 2**63, [], {}, 1.5):
        refused = caller.post("/api/v1/mandates", {"broker": odd})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/broker"), odd


def test_the_same_idempotency_key_gives_the_first_answer_and_another_body_is_refused(firm, broker, api):
    caller = api(firm)
    headers = {"Idempotency-Key": "k-1"}
    body = {"broker": broker.pk, "valid_from": "2026-01-01"}
    first = caller.post("/api/v1/mandates", body, headers=headers)
    again = caller.post("/api/v1/mandates", body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert again["Idempotency-Replayed"] == "true"
    other = caller.post("/api/v1/mandates", body | {"valid_from": "2026-02-01"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")


def test_a_request_that_failed_leaves_no_idempotency_key(firm, broker, api):
    caller = api(firm)
    headers = {"Idempotency-Key": "k-2"}
    refused = caller.post("/api/v1/mandates", {"broker": firm.pk}, headers=headers)
    assert refused.status_code == 404
    assert caller.post("/api/v1/mandates", {"broker": broker.pk}, headers=headers).status_code == 201


def test_problems_speak_the_callers_language(api):
    answers = {
        language: api().get("/api/v1/organisations", headers={"Accept-Language": language}).json()["title"]
        for language in ("zh-CN", "en")
    }
    assert answers == {"zh-CN": "缺少有效的访问令牌", "en": "A valid access token is missing"}
