"""A transit opened inland and confirmed at the coast; one search and one time line over several provinces."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from common.problems import Problem
from exchange import cooperation, merged, signing
from parties.models import OrganisationRole
from parties.principals import SYSTEM
from tests import make
from tests.bills import cast as bills_cast
from tests.cargo import cargo_make
from tests.clearance import states
from tests.exchange.conftest import make_partner, say
from tests.exchange.test_inbox import message, send
from tests.make import events_of

pytestmark = pytest.mark.django_db

SHARED = {
    "kinds": ["transit", "transit_confirmation", "bill", "consignment", "declaration", "fee_list", "site"],
    "types": ["transit.*", "bill.*", "consignment.*", "declaration.*", "fee_list.*", "site.*"],
    "fields": {
        "transit.*": [
            "state", "to_province", "to_office", "from_office", "containers", "declaration_number", "place", "province",
        ],
        "bill.*": ["place", "leg", "bill_number", "container"],
        "consignment.*": ["bill_number", "place", "declaration_number"],
        "declaration.*": ["state", "transport_document_number"],
        "fee_list.*": ["port", "title", "body", "valid_from", "valid_to", "items.code", "items.name_zh", "items.rate"],
        "site.*": ["code", "name", "port", "category", "valid_from"],
    },
}  # fmt: skip


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


def test_transits_of_two_provinces_with_one_number_are_confirmed_each_for_itself(settings, customs):
    """Each province numbers its transits itself: ours, and those of two others, may all be called ZG0001."""
    settings.PROVINCE = "450000"
    secrets = {code: connected(code) for code in ("620000", "520000")}
    for code, secret in secrets.items():
        given = message(
            "ZG0001", kind="transit", type="transit.opened", data={"state": "opened", "to_province": "450000"}
        )
        assert send(given, code=code, secret=secret).json()["status"] == "applied"
    path = "/api/v1/exchange/transits/ZG0001/confirmations"
    for province, step in (("620000", "arrived"), ("520000", "arrived"), ("520000", "departure_confirmed")):
        answer = customs.post(path, {"province": province, "step": step})
        said = {name: answer.json()[name] for name in ("opened_by", "state")}
        assert (answer.status_code, said) == (201, {"opened_by": province, "state": step})
    for province, state in (("620000", "arrived"), ("520000", "departure_confirmed")):
        one = customs.get(f"/api/v1/exchange/transits/ZG0001?opened_by={province}").json()
        assert (one["opened_by"], one["state"]) == (province, state)
    assert customs.get("/api/v1/exchange/transits/ZG0001?opened_by=450000").status_code == 404
    assert customs.post(path, {"province": "620000", "step": "arrived"}).json()["code"] == "already-confirmed"
    assert states_of(customs) == {("in", "620000"): "arrived", ("in", "520000"): "departure_confirmed"}
    ours = {"number": "ZG0001", "to_province": "520000", "from_office": "7201", "to_office": "8301", "containers": []}
    assert customs.post("/api/v1/exchange/transits", ours).status_code == 201
    for seq, (province, step) in enumerate((("620000", "arrived"), ("450000", "arrived")), start=1):
        told = message(
            "ZG0001",
            seq,
            kind="transit_confirmation",
            type=f"transit.{step}",
            data={"state": step, "province": province},
        )
        assert send(told, code="520000", secret=secrets["520000"]).json()["status"] == "applied"
        assert states_of(customs)["out", "450000"] == ("opened" if province == "620000" else "arrived")


def states_of(customs) -> dict[tuple[str, str], str]:
    found = customs.get("/api/v1/exchange/transits").json()["results"]
    return {(one["direction"], one["opened_by"]): one["state"] for one in found}


def pages(caller, path: str, size: int) -> list[dict]:
    """The rows of all pages, in order; each page but the last is full."""
    read, following = [], f"{path}{'&' if '?' in path else '?'}page_size={size}"
    while following:
        answer = caller.get(following.removeprefix("http://testserver")).json()
        following = answer["next"]
        assert len(answer["results"]) == size or not following
        read += answer["results"]
    return read


def test_transits_come_page_by_page_both_ways_the_newest_first(settings, customs):
    settings.PROVINCE = "450000"
    secret = connected("620000")
    for nth in range(1, 6):
        given = message(
            f"IN{nth:02}", kind="transit", type="transit.opened", time=f"2030-01-0{nth}T00:00:00Z",
            data={"to_province": "450000"},
        )  # fmt: skip
        assert send(given, code="620000", secret=secret).status_code == 200
        wanted = {"number": f"OUT{nth:02}", "to_province": "620000", "from_office": "7201", "to_office": "8301"}
        assert customs.post("/api/v1/exchange/transits", wanted | {"containers": []}).status_code == 201
    whole = [one["number"] for one in customs.get("/api/v1/exchange/transits").json()["results"]]
    assert whole == ["IN05", "IN04", "IN03", "IN02", "IN01", "OUT05", "OUT04", "OUT03", "OUT02", "OUT01"]
    assert [one["number"] for one in pages(customs, "/api/v1/exchange/transits", 3)] == whole
    assert customs.get("/api/v1/exchange/transits?cursor=abc").status_code == 422
    for place in (
        ["x", "out", 1],
        ["2026-01-01T00:00:00", "out", 1],
        ["2026-01-01T00:00:00Z", "out\x00", 1],
        ["x"],
        {},
    ):
        assert customs.get(f"/api/v1/exchange/transits?cursor={merged.write(place)}").status_code == 422, place


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


def tell(*told: tuple[str, str, str, str, dict]) -> None:
    """(province, number, kind, type, data) of what partners say, a day apart."""
    secrets: dict[str, str] = {}
    for nth, (code, number, kind, type_, data) in enumerate(told):
        secrets[code] = secrets.get(code) or connected(code)
        said = message(number, kind=kind, type=type_, time=f"2030-01-0{nth + 1}T00:00:00Z", data=data)
        assert send(said, code=code, secret=secrets[code]).status_code == 200


#: A leg of its bill departs in Guizhou, it arrives in Guangxi, and Hainan's declaration goes on with it.
ABROAD = (
    ("520000", "NLSC26000000001", "bill", "bill.leg_departed", {"place": "贵阳", "leg": 2}),
    ("450000", "C-9", "consignment", "consignment.arrived", {"bill_number": "NLSC26000000001", "place": "钦州"}),
    ("460000", "D46", "declaration", "declaration.lodged", {"transport_document_number": "NLSC26000000001"}),
    ("460000", "D47", "declaration", "declaration.lodged", {"transport_document_number": "OTHER"}),
)


def test_one_time_line_over_four_provinces_by_any_of_the_consignments_keys(api):
    """Declared here; the carrier's manifest names the firm as consignee of the bill."""
    firm = make.firm()
    cargo_make.consignment(
        make.organisation(OrganisationRole.CARRIER),
        consignments=[cargo_make.bill("NLSC26000000001", consignee_id=firm.social_credit_code)],
    )
    declared = make.declaration(firm, transport_document_number="NLSC26000000001")
    tell(*ABROAD)
    by_declaration = api(firm).get(f"/api/v1/exchange/timeline/{declared.unified_number}").json()["milestones"]
    abroad = [
        ("520000", "bill.leg_departed"), ("450000", "consignment.arrived"), ("460000", "declaration.lodged"),
    ]  # fmt: skip
    assert [(step["province"], step["type"]) for step in by_declaration if step["province"] != "500000"] == abroad
    by_bill = api(firm).get("/api/v1/exchange/timeline/NLSC26000000001").json()["milestones"]
    assert [(step["province"], step["type"]) for step in by_bill if step["province"] != "500000"] == abroad
    assert "declaration.lodged" in [step["type"] for step in by_declaration if step["province"] == "500000"]
    assert api(make.firm()).get("/api/v1/exchange/timeline/NLSC26000000001").status_code == 404
    assert api(make.firm()).get(f"/api/v1/exchange/timeline/{declared.unified_number}").status_code == 404


def test_a_firm_that_declares_a_competitors_bill_or_container_is_told_nothing_of_them(api, customs):
    spy, owner = make.firm(), make.firm()
    goods = states.goods(states.carrier(), "NLSC26000000001", boxes=["CSQU3054383"])
    mine = states.declared(goods, state="accepted", firm=spy)  # by its own word also of the manifest's consignment
    make.settle()
    tell(
        *ABROAD,
        ("520000", "G-1", "bill", "bill.leg_arrived", {"container": "CSQU3054383", "place": "贵阳"}),
    )  # fmt: skip
    for asked in ("NLSC26000000001", "CSQU3054383", mine.unified_number):
        told = api(spy).get(f"/api/v1/exchange/timeline/{asked}").json().get("milestones", [])
        assert {step["province"] for step in told} <= {"500000"}, (asked, told)
    seen = customs.get("/api/v1/exchange/timeline/NLSC26000000001").json()["milestones"]
    assert {"520000", "450000", "460000"} <= {step["province"] for step in seen}
    assert api(owner).get("/api/v1/exchange/timeline/NLSC26000000001").status_code == 404


def test_what_another_province_declared_under_the_same_number_is_told_to_nobody(settings, api, customs):
    """Numbers did not always name the province: then ours and theirs both began at 1."""
    firm, home = make.firm(), settings.PROVINCE
    settings.PROVINCE = ""
    number = make.declaration(firm, transport_document_number="OURS1").unified_number
    settings.PROVINCE = home
    assert number[5:].startswith("0000")
    goods = {"bill_number": "THEIRS1", "declaration_number": number}
    tell(
        ("450000", number, "declaration", "declaration.lodged", {"transport_document_number": "THEIRS1"}),
        ("450000", "C-9", "consignment", "consignment.arrived", goods),
    )
    for caller in (api(firm), customs):
        line = caller.get(f"/api/v1/exchange/timeline/{number}").json()["milestones"]
        assert [(step["province"], step["type"]) for step in line] == [(home, "declaration.lodged")]
    theirs = customs.get("/api/v1/exchange/timeline/THEIRS1").json()["milestones"]
    assert [(step["province"], step["type"]) for step in theirs] == [
        ("450000", "declaration.lodged"), ("450000", "consignment.arrived"),
    ]  # fmt: skip


def test_what_another_province_says_of_a_declaration_whose_number_names_ours_is_told_to_its_firm(api):
    firm = make.firm()
    number = make.declaration(firm).unified_number
    tell(("450000", "C-9", "consignment", "consignment.arrived", {"declaration_number": number}))
    line = api(firm).get(f"/api/v1/exchange/timeline/{number}").json()["milestones"]
    assert ("450000", "consignment.arrived") in [(step["province"], step["type"]) for step in line]


def test_whoever_has_to_do_with_a_one_bill_sees_what_other_provinces_say_of_it(api):
    cast = bills_cast.assemble()
    bill = bills_cast.issued(cast)
    tell(("520000", "R-1", "bill", "bill.leg_departed", {"bill_number": bill.number, "place": "贵阳", "leg": 2}))
    line = api(cast.shipper).get(f"/api/v1/exchange/timeline/{bill.number}").json()["milestones"]
    assert ("520000", "bill.leg_departed") in [(step["province"], step["type"]) for step in line]
    assert api(cast.third).get(f"/api/v1/exchange/timeline/{bill.number}").status_code == 404


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


def told_list(number: str, seq: int, secret: str, *, last: str = "published", **data) -> None:
    given = message(
        number, seq, kind="fee_list", type=f"fee_list.{last}", data={"port": "CNQZH", "title": f"清单 {number}"} | data
    )  # fmt: skip
    assert send(given, secret=secret).json()["status"] == "applied"


def test_a_fee_list_is_found_until_its_successor_begins_though_that_is_published_before(api):
    secret, caller = connected("450000"), api(make.firm())
    told_list("F1", 1, secret, valid_from="2026-01-01", valid_to=None)
    told_list("F1", 2, secret, last="superseded", valid_from="2026-01-01", valid_to="2027-01-01")
    told_list("F2", 1, secret, valid_from="2027-01-01", valid_to=None)
    for day, expected in (("2026-12-31", ["F1"]), ("2027-01-01", ["F2"]), ("2025-12-31", [])):
        found = caller.get(f"/api/v1/exchange/search/fee-lists?port=CNQZH&on={day}").json()["results"]
        assert [one["number"] for one in found] == expected, day


def test_of_a_superseded_list_whose_end_was_not_shared_nothing_is_claimed(api):
    secret = connected("450000")
    told_list("F1", 1, secret, valid_from="2026-01-01")
    told_list("F1", 2, secret, last="superseded", valid_from="2026-01-01")
    assert api(make.firm()).get("/api/v1/exchange/search/fee-lists?port=CNQZH").json()["results"] == []


def test_both_searches_come_page_by_page_and_only_what_is_in_force_counts(api):
    call_command("load_places", verbosity=0)
    secret, caller = connected("450000"), api(make.firm())
    for nth in range(4):
        told_list(f"OLD{nth}", 1, secret, valid_from="2020-01-01", valid_to="2021-01-01")
        told_list(f"NOW{nth}", 1, secret, valid_from="2021-01-01", valid_to=None)
        site = {"code": f"S{nth}", "port": "CNQZH", "category": "meat", "valid_from": "2026-01-01"}
        told = message(f"S{nth}/meat", kind="site", type="site.designated", data=site)
        assert send(told, secret=secret).status_code == 200
    for path in ("fee-lists?port=CNQZH", "sites?category=meat"):
        address = f"/api/v1/exchange/search/{path}&on=2026-11-23"
        whole = caller.get(address).json()
        assert whole["next"] is None
        assert pages(caller, address, 3) == whole["results"]
        shown = [one.get("number") or one["code"] for one in whole["results"] if not one["own"]]
        assert shown == (["NOW0", "NOW1", "NOW2", "NOW3"] if "port" in path else ["S0", "S1", "S2", "S3"])
    assert {one["own"] for one in whole["results"]} == {True, False}
    assert caller.get("/api/v1/exchange/search/sites?cursor=%5B").status_code == 422
    assert caller.get("/api/v1/exchange/search/fee-lists?cursor=WzFd").status_code == 422
