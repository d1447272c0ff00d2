"""GET of declarations: who sees what, in which form."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from lxml import etree

from declarations import lodgement
from declarations.checks import running
from declarations.models import Declaration
from events.models import Event
from tests import make

pytestmark = pytest.mark.django_db
URL = "/api/v1/declarations"


def test_owner_broker_and_officer_see_it_a_stranger_does_not(firm, broker, api, officer_client):
    make.mandate(firm, broker)
    path = f"{URL}/{make.declaration(firm, lodger=broker).unified_number}"
    for suffix in ("", "/events", "/checks", "/receipts", "/versions", "/versions/1", "/receipts/0"):
        assert api(firm).get(path + suffix).status_code == 200
        assert api(broker).get(path + suffix).status_code == 200
        assert api(make.firm()).get(path + suffix).status_code == 404
        assert api().get(path + suffix).status_code == 401
        assert officer_client.get(path + suffix).status_code == 200


def test_an_officer_of_another_office_does_not_see_it(firm, client):
    declaration = make.declaration(firm)
    client.force_login(make.officer(offices=("5300",)).user)
    assert client.get(f"{URL}/{declaration.unified_number}").status_code == 404
    client.force_login(make.officer(offices=("7200",)).user)  # the office of the border
    assert client.get(f"{URL}/{declaration.unified_number}").status_code == 200


def test_a_draft_stays_its_declarants_alone_when_it_is_withdrawn(firm, broker, api, officer_client):
    owner = make.firm()
    declaration = make.declaration(firm, "draft", lodger=broker, owner_credit_code=owner.social_credit_code)
    number = declaration.unified_number
    lodgement.withdraw(number=number, reason="never mind", principal=make.principal(broker))
    assert api(broker).get(f"{URL}/{number}").json()["state"] == "withdrawn"
    for stranger in (api(firm), api(owner), officer_client):
        assert stranger.get(f"{URL}/{number}").status_code == 404
        assert stranger.get(f"{URL}/{number}/events").status_code == 404
        assert stranger.get(URL).json()["results"] == []
    superuser = make.officer_principal(make.officer(superuser=True))
    assert not Declaration.objects.visible_to(superuser).exists()
    for event in Event.objects.filter(subject_number=number):
        assert event.audience == [broker.pk], event.type


def test_what_was_declared_and_then_withdrawn_is_told_to_all_it_names(firm, broker, api, officer_client):
    make.mandate(firm, broker)
    declaration = make.declaration(firm, "withdrawn", lodger=broker)
    for caller in (api(firm), api(broker), officer_client):
        assert caller.get(f"{URL}/{declaration.unified_number}").json()["state"] == "withdrawn"
    event = Event.objects.get(subject_number=declaration.unified_number, type="declaration.withdrawn")
    assert event.audience == sorted([firm.pk, broker.pk])


def test_a_party_reads_the_versions_that_name_it(firm, api, officer_client):
    """Who was taken in by an amendment does not read what was declared before of others, nor they what came after."""
    first, second = make.firm(), make.firm()
    declaration = make.declaration(firm, owner_credit_code=first.social_credit_code, owner_name="A")
    path = f"{URL}/{declaration.unified_number}"
    changes = {"owner_credit_code": second.social_credit_code, "owner_name": "B"}
    lodgement.amend(
        number=declaration.unified_number, message=declaration.message | changes, reason="x",
        principal=make.principal(firm),
    )  # fmt: skip
    event = Event.objects.get(subject_number=declaration.unified_number, type="declaration.amended")
    assert event.audience == sorted([firm.pk, second.pk])
    told = Event.objects.filter(subject_number=declaration.unified_number, audience__contains=[first.pk])
    assert [(event.type, event.audience) for event in told.order_by("sequence")] == [
        ("declaration.lodged", sorted([firm.pk, first.pk])), ("declaration.party_dropped", [first.pk]),
    ], "the former owner is told that it is one no more"  # fmt: skip
    assert told.last().data == {"state": "lodged", "version": 2}, "and nothing of what is declared now"
    for caller in (api(firm), officer_client):
        assert [row["version"] for row in caller.get(f"{path}/versions").json()] == [1, 2]
    told = api(second).get(f"{path}/versions").json()
    assert [(row["version"], row["changes"]) for row in told] == [(2, [])]
    assert api(second).get(f"{path}/versions/1").status_code == 404
    assert api(second).get(f"{path}/versions/2").status_code == 200
    assert api(first).get(path).status_code == 404


def test_it_is_found_by_each_of_its_numbers(firm, api):
    declaration = make.declaration(firm, "accepted", client_reference="MINE-1")
    for number in (declaration.unified_number, declaration.customs_number, "MINE-1"):
        assert api(firm).get(f"{URL}/{number}").json()["unified_number"] == declaration.unified_number
    assert api(make.firm()).get(f"{URL}/MINE-1").status_code == 404


def test_an_unchanged_declaration_is_304(firm, api):
    path = f"{URL}/{make.declaration(firm).unified_number}"
    etag = api(firm).get(path)["ETag"]
    for sent in (etag, f"W/{etag}", f'"other", {etag}', "*"):  # what compresses in front weakens the tag
        assert api(firm).get(path, headers={"If-None-Match": sent}).status_code == 304, sent
    assert api(firm).get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_the_risk_score_is_for_officers(firm, api, officer_client):
    declaration = make.declaration(firm)
    running.run(declaration.unified_number)
    path = f"{URL}/{declaration.unified_number}"
    assert "risk_score" not in api(firm).get(path).json()
    assert officer_client.get(path).json()["risk_score"] == 5
    codes = [row["code"] for row in api(firm).get(f"{path}/checks").json()["results"]]
    assert codes == ["invoice-missing"]
    assert len(officer_client.get(f"{path}/checks").json()["results"]) == 2


def test_check_results_speak_the_callers_language(firm, api):
    declaration = make.declaration(firm, customs_procedure="9998")
    running.run(declaration.unified_number)
    path = f"{URL}/{declaration.unified_number}/checks"
    texts = {}
    for language in ("zh", "en"):
        rows = api(firm).get(path, headers={"Accept-Language": language}).json()["results"]
        texts[language] = next(row["detail"] for row in rows if row["code"] == "code-unknown")
    assert texts == {
        "zh": "代码 9998 不在代码表“监管方式”中",
        "en": "The code 9998 is not in the list “Customs procedures (supervision modes)”",
    }


def test_receipts_tell_the_way_with_their_channels(firm, api):
    declaration = make.declaration(firm, "cleared")
    path = f"{URL}/{declaration.unified_number}/receipts"
    rows = api(firm).get(path).json()["receipts"]
    assert [row["channel"] for row in rows] == ["7", "L", "J", "P", "R"]
    assert rows[0]["customs_number"] is None
    assert {row["customs_number"] for row in rows[1:]} == {declaration.customs_number}
    root = etree.fromstring(api(firm).get(path, headers={"Accept": "application/xml"}).content)
    assert [one.findtext("CHANNEL") for one in root.iter("DEC_RESULT")] == ["7", "L", "J", "P", "R"]
    one = etree.fromstring(api(firm).get(f"{path}/2", headers={"Accept": "application/xml"}).content)
    assert (one.tag, one.findtext("CHANNEL"), one.findtext("ENTRY_ID")) == (
        "DEC_RESULT",
        "J",
        declaration.customs_number,
    )
    assert api(firm).get(f"{path}/9").status_code == 404
    assert api(firm).get(f"{path}/9", headers={"Accept": "application/xml"}).json()["code"] == "not-found"


def test_a_return_says_why(firm, api):
    declaration = make.declaration(firm, "returned")
    row = api(firm).get(f"{URL}/{declaration.unified_number}/receipts").json()["receipts"][-1]
    assert (row["channel"], row["note"]) == ("Z", "系统检查发现须更正之处")


def test_events_after_a_sequence_and_waiting_for_more(firm, api):
    declaration = make.declaration(firm, "accepted")
    path = f"{URL}/{declaration.unified_number}/events"
    told = api(firm).get(path).json()
    assert [event["type"] for event in told["events"]] == ["declaration.lodged", "declaration.accepted"]
    assert told["next"] == 2
    assert api(firm).get(f"{path}?after=2&wait=0.05").json() == {"events": [], "next": 2}
    assert api(firm).get(f"{path}?after=x").status_code == 422


def test_the_public_sees_milestones_without_prices_or_parties(firm, api):
    declaration = make.declaration(firm, "released")
    for number in (declaration.unified_number, declaration.customs_number):
        told = api().get(f"/api/v1/tracking/{number}").json()
        assert told["state"] == "released"
        assert [row["milestone"] for row in told["milestones"]] == ["lodged", "accepted", "released"]
        assert firm.name not in str(told)
        assert set(told) >= {"number", "state", "state_name", "since", "milestones"}
        assert told["detail"] == "milestones"
    assert api().get("/api/v1/tracking/I20260000000000000").status_code == 404
    assert api().get(f"/api/v1/tracking/{make.declaration(firm, 'draft').unified_number}").status_code == 404


def test_lists_filter_and_turn_pages(firm, broker, api, officer_client):
    make.mandate(firm, broker)
    for _ in range(3):
        make.declaration(firm)
    make.declaration(firm, "accepted", lodger=broker, transport_document_number="LISTED")
    make.declaration(make.firm())
    make.declaration(firm, "draft")

    def numbers(caller, query="") -> int:
        answer = caller.get(f"{URL}?{query}")
        assert answer.status_code == 200, answer.content
        return len(answer.json()["results"])

    assert (numbers(api(firm)), numbers(api(broker)), numbers(officer_client)) == (5, 1, 5)
    assert numbers(api(firm), "state=accepted") == 1
    assert numbers(api(firm), "state=accepted,draft") == 2
    assert numbers(api(firm), "transport_document_number=LISTED") == 1
    assert numbers(api(firm), "customs_office=5300") == 0
    assert numbers(api(firm), "lodged_from=2020-01-01&lodged_to=2099-12-31") == 4
    assert numbers(api(firm), "lodged_to=2020-01-01") == 0
    assert numbers(api(firm), "updated_since=2020-01-01T00:00:00Z") == 5
    assert numbers(api(firm), "updated_since=2099-01-01T00:00:00%2B08:00") == 0
    assert numbers(api(firm), "transport_mode=2") == 5
    assert numbers(api(firm), "transport_mode=5") == 0
    assert numbers(api(firm), "container_number=CSQU3054383") == 5
    assert numbers(api(firm), "container_number=CSQU3054384") == 0
    assert numbers(api(broker), f"domestic_party_credit_code={firm.social_credit_code}") == 1
    assert numbers(api(broker), f"domestic_party_credit_code={broker.social_credit_code}") == 0
    contract = api(firm).get(f"{URL}?transport_document_number=LISTED").json()["results"][0]["unified_number"]
    contract = api(firm).get(f"{URL}/{contract}").json()["message"]["contract_number"]
    assert numbers(api(firm), f"contract_number={contract}") == 1
    refused = api(firm).get(f"{URL}?custom_office=8000&state=accepted&x=1")
    assert refused.status_code == 422
    assert [(fault["pointer"], fault["code"]) for fault in refused.json()["errors"]] == [
        ("/custom_office", "unknown-parameter"), ("/x", "unknown-parameter")
    ]  # fmt: skip
    assert "customs_office" in refused.json()["errors"][0]["detail"]
    for faulty in ("state=x", "lodged_from=20260101", "updated_since=yesterday", "lodged_to=0001-01-01"):
        assert api(firm).get(f"{URL}?{faulty}").status_code == 422
    seen, path, caller = [], f"{URL}?page_size=2", api(firm)
    while path:
        page = caller.get(path).json()
        seen += [row["unified_number"] for row in page["results"]]
        path = page["next"] and page["next"].removeprefix("http://testserver")
    assert len(seen) == len(set(seen)) == 5


def test_an_officer_decides_over_the_api(firm, api, officer_client):
    declaration = make.declaration(firm, "under_review")
    path = f"{URL}/{declaration.unified_number}/decisions"
    assert api(firm).post(path, {"command": "accept"}).status_code == 403

    def decide(body, **headers):
        return officer_client.post(path, body, content_type="application/json", headers=headers)

    assert decide({"command": "return"}).json()["errors"][0]["pointer"] == "/reason_code"
    assert decide({"command": "amend"}).status_code == 422
    assert decide({"command": "accept"}, **{"If-Match": '"99"'}).status_code == 412
    told = decide({"command": "accept"})
    assert told.status_code == 200, told.content
    assert told.json()["state"] == "accepted"
    assert len(told.json()["customs_number"]) == 18
    assert decide({"command": "accept"}).status_code == 409


def test_the_numbers_of_a_search_are_each_looked_up_in_an_index(firm, officer_client):
    declaration = make.declaration(firm, client_reference="FIND-ME-1")
    with CaptureQueriesContext(connection) as queries:
        answer = officer_client.get("/console/find/?q=FIND-ME-1")
    assert answer["Location"].endswith(f"/{declaration.unified_number}/")
    sql = next(one["sql"] for one in queries if '"client_reference" = ' in one["sql"])
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {sql}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "declaration_by_reference" in plan, plan
