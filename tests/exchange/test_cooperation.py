"""A transit opened inland and confirmed at the coast; one search and one time line over several provinces."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from common.problems import Problem
from exchange import cooperation, signing
from parties.models import OrganisationRole
from parties.principals import SYSTEM
from tests import make
from tests.exchange.conftest import make_partner, say
from tests.exchange.test_inbox import message, send
from tests.make import events_of

pytestmark = pytest.mark.django_db

SHARED = {
    "kinds": ["transit", "transit_confirmation", "bill", "consignment", "declaration", "fee_list", "site"],
    "types": ["transit.*", "bill.*", "consignment.*", "declaration.*", "fee_list.*", "site.*"],
    "fields": {
        "transit.*": ["state", "to_province", "to_office", "from_office", "containers", "declaration_number", "place"],
        "bill.*": ["place", "leg", "bill_number", "container"],
        "consignment.*": ["bill_number", "place"],
        "declaration.*": ["state", "transport_document_number"],
        "fee_list.*": ["port", "title", "body", "valid_from", "items.code", "items.name_zh", "items.rate"],
        "site.*": ["code", "name", "port", "category", "valid_from"],
    },
}


def connected(code: str) -> str:
    secret = signing.new_secret()
    make_partner(code, secret=secret, incoming=SHARED, out=SHARED)
    return secret


@pytest.fixture
def customs(api):
    return api(make.organisation(OrganisationRole.CUSTOMS_OFFICE))


def opened_for_us(settings, number="T001", to="450000", **data) -> None:
    settings.PROVINCE = "450000"
    given = message(
        number, kind="transit", type="transit.opened", data={"state": "opened", "to_province": to, "to_office": "7201"} | data
    )  # fmt: skip
    assert send(given, code="620000", secret=connected("620000")).json()["status"] == "applied"


def test_the_coast_confirms_what_was_opened_for_it_in_order_and_once(settings, customs):
    opened_for_us(settings)
    path = "/api/v1/exchange/transits/T001/confirmations"
    early = customs.post(path, {"province": "620000", "step": "departure_confirmed"})
    assert (early.status_code, early.json()["code"]) == (409, "not-arrived")
    assert customs.post(path, {"province": "620000", "step": "arrived", "place": "钦州港"}).json()["state"] == "arrived"
    left = customs.post(path, {"province": "620000", "step": "departure_confirmed", "conveyance": "MV EXAMPLE"})
    assert (left.status_code, left.json()["state"], left.json()["opened_by"]) == (201, "departure_confirmed", "620000")
    again = customs.post(path, {"province": "620000", "step": "departure_confirmed"})
    assert (again.status_code, again.json()["code"]) == (409, "already-confirmed")
    assert events_of("transit_confirmation", "T001") == ["transit.arrived", "transit.departure_confirmed"]


def test_a_transit_that_was_opened_for_somebody_else_is_not_ours_to_confirm(settings, customs):
    opened_for_us(settings, to="460000")
    with pytest.raises(Problem):
        cooperation.confirm_transit(partner_code="620000", number="T001", step="arrived", principal=SYSTEM)
    assert customs.get("/api/v1/exchange/transits").json()["results"] == []
    assert customs.get("/api/v1/exchange/transits/T001").status_code == 404


def test_an_inland_office_opens_a_transit_and_sees_what_the_coast_confirmed(customs, api):
    secret, firm = connected("450000"), make.firm()
    number = make.declaration(firm).unified_number
    wanted = {
        "number": "ZG0001", "to_province": "450000", "from_office": "8000", "to_office": "7201",
        "containers": ["CSQU3054383"], "declaration_number": number,
    }  # fmt: skip
    assert customs.post("/api/v1/exchange/transits", wanted).json()["state"] == "opened"
    assert customs.post("/api/v1/exchange/transits", wanted).status_code == 409
    for seq, step in enumerate(("arrived", "departure_confirmed"), start=1):
        told = message("ZG0001", seq, kind="transit_confirmation", type=f"transit.{step}", data={"state": step})
        assert send(told, secret=secret).status_code == 200
    seen = api(firm).get("/api/v1/exchange/transits/ZG0001").json()
    assert (seen["state"], seen["direction"], seen["departed_at"]) == (
        "departure_confirmed",
        "out",
        "2026-11-02T08:00:00+00:00",
    )
    assert api(make.firm()).get("/api/v1/exchange/transits/ZG0001").status_code == 404
    line = api(firm).get(f"/api/v1/exchange/timeline/{number}").json()["milestones"]
    everything = {"declaration.lodged", "transit.opened", "transit.arrived", "transit.departure_confirmed"}
    assert {step["type"] for step in line} == everything
    by_transit = customs.get("/api/v1/exchange/timeline/ZG0001").json()["milestones"]
    assert {step["type"] for step in by_transit} == everything - {"declaration.lodged"}


def test_what_one_transaction_said_stands_in_the_order_it_was_said(api):
    firm = make.firm()
    number = make.declaration(firm, "cleared", direction="E").unified_number
    line = api(firm).get(f"/api/v1/exchange/timeline/{number}").json()["milestones"]
    said = [step["type"] for step in line if step["kind"] == "declaration"]
    assert said == ["declaration.lodged", "declaration.accepted", "declaration.released", "declaration.cleared"]


def test_a_transit_names_a_partner_real_containers_and_a_declaration_that_exists(customs):
    wanted = {
        "number": "ZG0002", "to_province": "460000", "from_office": "8000", "to_office": "6400",
        "containers": ["CSQU3054384"], "declaration_number": "I0000000000000001",
    }  # fmt: skip
    answer = customs.post("/api/v1/exchange/transits", wanted)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [
        "/to_province", "/containers/0", "/declaration_number",
    ]  # fmt: skip


def test_one_time_line_over_four_provinces_by_any_of_the_consignments_keys(api):
    """Declared here, a leg of its bill departs in Guizhou, it arrives in Guangxi, and Hainan's declaration goes on with it."""
    firm = make.firm()
    declared = make.declaration(firm, transport_document_number="NLSC26000000001")
    told = (
        ("520000", "NLSC26000000001", "bill", "bill.leg_departed", {"place": "贵阳", "leg": 2}),
        ("450000", "C-9", "consignment", "consignment.arrived", {"bill_number": "NLSC26000000001", "place": "钦州"}),
        ("460000", "D46", "declaration", "declaration.lodged", {"transport_document_number": "NLSC26000000001"}),
        ("460000", "D47", "declaration", "declaration.lodged", {"transport_document_number": "OTHER"}),
    )
    secrets: dict[str, str] = {}
    for nth, (code, number, kind, type_, data) in enumerate(told):
        secrets[code] = secrets.get(code) or connected(code)
        leg = message(number, kind=kind, type=type_, time=f"2030-01-0{nth + 1}T00:00:00Z", data=data)
        assert send(leg, code=code, secret=secrets[code]).status_code == 200
    by_declaration = api(firm).get(f"/api/v1/exchange/timeline/{declared.unified_number}").json()["milestones"]
    assert [(step["province"], step["type"]) for step in by_declaration] == [
        ("500000", "declaration.lodged"), ("520000", "bill.leg_departed"), ("450000", "consignment.arrived"),
        ("460000", "declaration.lodged"),
    ]  # fmt: skip
    by_bill = api(firm).get("/api/v1/exchange/timeline/NLSC26000000001").json()["milestones"]
    assert by_bill == by_declaration
    assert api(make.firm()).get("/api/v1/exchange/timeline/NLSC26000000001").status_code == 404
    assert api(make.firm()).get(f"/api/v1/exchange/timeline/{declared.unified_number}").status_code == 404


def test_of_our_own_events_a_firm_sees_in_the_time_line_only_what_it_may(api):
    firm, other = make.firm(), make.firm()
    say("B1", kind="bill", type="bill.issued", audience=[firm.pk])
    say("B1", kind="bill", type="bill.pledged", audience=[other.pk])
    assert [step["type"] for step in api(firm).get("/api/v1/exchange/timeline/B1").json()["milestones"]] == [
        "bill.issued"
    ]


def test_fee_lists_and_sites_of_all_ports_come_in_one_search_each_with_its_source(api):
    call_command("load_places", verbosity=0)
    secret, firm = connected("450000"), make.firm()
    theirs = {
        "port": "CNQZH", "title": "钦州示例清单", "body": "示例码头", "valid_from": "2026-01-01",
        "items": [{"code": "LUMP", "name_zh": "港口作业包干费", "rate": "500", "internal_note": "SECRET"}],
    }  # fmt: skip
    assert (
        send(message("F1", kind="fee_list", type="fee_list.published", data=theirs), secret=secret).status_code == 200
    )
    site = {"code": "QZ-EX", "name": "示例指定场地", "port": "CNQZH", "category": "meat", "valid_from": "2026-01-01"}
    assert send(message("QZ-EX/meat", kind="site", type="site.designated", data=site), secret=secret).status_code == 200
    caller = api(firm)
    found = caller.get("/api/v1/exchange/search/fee-lists?port=CNQZH&q=包干").json()["results"]
    assert [(one["source"], one["own"], one["number"]) for one in found] == [("450000", False, "F1")]
    assert found[0]["items"] == [{"code": "LUMP", "name_zh": "港口作业包干费", "rate": "500"}]
    assert caller.get("/api/v1/exchange/search/fee-lists?port=CNQZH&on=2025-12-31").json()["results"] == []
    sites = caller.get("/api/v1/exchange/search/sites?category=meat&on=2026-11-23").json()["results"]
    assert ("450000", False, "QZ-EX") in [(one["source"], one["own"], one["code"]) for one in sites]
    assert {one["own"] for one in sites} == {True, False}
    assert caller.get("/api/v1/exchange/search/sites?category=gold").status_code == 422
