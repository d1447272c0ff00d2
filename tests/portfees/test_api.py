from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from portfees import sheets, sources
from portfees.models import BodyClass
from tests import make
from tests.portfees.conftest import item
from tests.portfees.test_catalogues import draft, published

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("parameters")]

BASE = "/api/v1/port-fees"
JOURNEY = {"ports": ["CNQZH"], "direction": "import", "day": "2026-06-01", "containers": [{"size": "20", "count": 2}]}


@pytest.fixture
def dollar(monkeypatch):
    monkeypatch.setattr(sources, "_yuan", lambda code, day: {"USD": Decimal(7)}.get(code))


def test_anyone_finds_a_published_list_by_port_and_words(terminal, api):
    fee_list = published(terminal, is_example=True)
    for query in ("port=CNQZH", "q=包干", "q=示例", "body_class=terminal"):
        found = api().get(f"{BASE}/catalogues?on=2026-06-01&{query}").json()["results"]
        assert [(row["number"], row["is_example"]) for row in found] == [(fee_list.number, True)], query
    assert api().get(f"{BASE}/catalogues?on=2026-06-01&q=nothing").json()["results"] == []
    assert api().get(f"{BASE}/catalogues?on=2025-01-01").json()["results"] == []


def test_a_draft_is_its_bodys_alone(terminal, api):
    body = {
        "body_class": "terminal", "port": "CNQZH", "title": "t", "valid_from": "2027-01-01", "complaint_telephone": "1",
        "items": [{"code": "A", "name_zh": "n", "service_content": "c", "payer": "consignee", "unit": "container_day",
                   "rate": "1.5", "pricing": "market", "mandatory": True, "free_days": 7,
                   "tiers": [{"from_day": 1, "rate": "5"}]}],
    }  # fmt: skip
    owner = api(terminal)
    made = owner.post(f"{BASE}/lists", body)
    assert made.status_code == 201, made.content
    number = made.json()["number"]
    assert made.json()["items"][0]["tiers"] == [{"from_day": 1, "rate": "5"}]
    assert api(make.organisation("terminal")).get(f"{BASE}/lists/{number}").status_code == 404
    assert api().get(f"{BASE}/catalogues/{number}").status_code == 404
    for command, state in (("check", "checked"), ("reopen", "draft"), ("check", "checked"), ("publish", "published")):
        answer = owner.post(f"{BASE}/lists/{number}/{command}")
        assert (answer.status_code, answer.json().get("state")) == (200, state), answer.content
    assert api().get(f"{BASE}/catalogues/{number}").status_code == 200
    assert owner.post(f"{BASE}/lists/{number}/publish").json()["code"] == "state-conflict"


def put(owner, fee_list, sheet: bytes, query: str = ""):
    upload = SimpleUploadedFile("list.xlsx", sheet)
    client = Client(headers=owner.headers)
    return client.put(
        f"{BASE}/lists/{fee_list.number}{query}", encode_multipart(BOUNDARY, {"file": upload}), MULTIPART_CONTENT
    )


def test_an_upload_is_tried_before_it_is_taken(terminal, api):
    """The difference is the one from the list in force, whatever the draft held before."""
    published(terminal)
    fee_list = draft(terminal, item("OLD"), valid_from=date(2030, 1, 1))
    owner = api(terminal)
    sheet = sheets.write_xlsx([item(rate=Decimal(700)), item("NEW")], "x")
    tried = put(owner, fee_list, sheet, "?dry_run=true")
    assert tried.status_code == 200, tried.content
    assert [row["code"] for row in tried.json()["added"]] == ["NEW"]
    assert tried.json()["changed"][0]["fields"]["rate"] == {"before": "500.0000", "after": "700"}
    assert [line.code for line in fee_list.items.all()] == ["OLD"]
    taken = put(owner, fee_list, sheet)
    assert (taken.status_code, taken.json()["changed"]) == (200, tried.json()["changed"])
    assert [line.rate for line in fee_list.items.order_by("line")] == [700, 500]


def test_a_dry_run_puts_the_sheet_to_the_rules_and_names_its_rows(terminal, api):
    fee_list = draft(terminal)
    owner = api(terminal)
    lines = [item(), item("A", unit="piece"), item("B", tax_included=False)]
    tried = put(owner, fee_list, sheets.write_xlsx(lines, "x"), "?dry_run=true")
    assert tried.status_code == 422
    assert [(fault["pointer"], fault["code"]) for fault in tried.json()["errors"]] == [
        ("/rows/3/unit", "unknown-unit"), ("/rows/4/tax_rate", "tax-rate-missing"),
    ]  # fmt: skip
    row = {"code": "A", "name_zh": "n", "service_content": "c", "payer": "consignee", "unit": "piece", "rate": "1.5",
           "pricing": "market", "mandatory": True}  # fmt: skip
    path = f"{BASE}/lists/{fee_list.number}?dry_run=true"
    told = owner.put(path, {"items": [row | {"unit": "container"}, row | {"code": "B"}]}).json()
    assert [fault["pointer"] for fault in told["errors"]] == ["/items/1/unit"]
    told = owner.put(path, {"items": [row | {"rate": "x"}]}).json()
    assert [fault["pointer"] for fault in told["errors"]] == ["/items/0/rate"]
    for tiers in ("[1]", [1], [[1]], [{"from_day": 1}], "[" * 5000):
        assert owner.put(path, {"items": [row | {"unit": "container_day", "tiers": tiers}]}).status_code == 422, tiers


@pytest.mark.parametrize("rate", ["100", "1000", "6.125", "1e9", "NaN"])
def test_a_tax_rate_is_a_percentage_with_two_places(terminal, api, rate):
    path = f"{BASE}/lists/{draft(terminal).number}"
    row = {"code": "A", "name_zh": "n", "service_content": "c", "payer": "consignee", "unit": "container", "rate": "1.5",
           "pricing": "market", "mandatory": True, "tax_included": False, "tax_rate": rate}  # fmt: skip
    answer = api(terminal).put(path, {"items": [row]})
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/items/0/tax_rate"]


def test_a_draft_is_mended_and_discarded_over_the_api(terminal, api):
    fee_list, owner = draft(terminal), api(terminal)
    path = f"{BASE}/lists/{fee_list.number}"
    mended = owner.patch(path, {"valid_from": "2027-03-01", "title": "新名称"})
    assert (mended.status_code, mended.json()["valid_from"], mended.json()["title"]) == (200, "2027-03-01", "新名称")
    assert owner.patch(path, {"valid_to": "2027-01-01"}).status_code == 422
    assert api(make.organisation("terminal")).patch(path, {"title": "x"}).status_code == 404
    assert owner.post(f"{path}/discard").json()["state"] == "discarded"


def test_sheets_come_down_as_they_go_up(terminal, api):
    fee_list = published(terminal)
    for kind in ("csv", "xlsx"):
        answer = api().get(f"{BASE}/catalogues/{fee_list.number}/sheet.{kind}")
        assert [line.code for line in sheets.read(answer.content)] == ["LUMP"]


def test_a_quotation_shows_lines_arithmetic_and_the_target(terminal, api, firm, dollar):
    fee_list = published(terminal, item(rate=Decimal(1400)), item("WASH", mandatory=False, rate=Decimal(80)))
    answer = api(firm).post(f"{BASE}/quotations", JOURNEY | {"services": ["WASH"]})
    assert answer.status_code == 200, answer.content
    (found,) = answer.json()["quotations"]
    assert found["mandatory"][0] | {"name_en": ""} == {
        "list_number": fee_list.number, "list_version": 1, "body": terminal.name, "body_id": terminal.pk,
        "body_class": "terminal", "code": "LUMP",
        "name_zh": "港口作业包干费", "name_en": "", "unit": "container", "quantity": "2", "rate": "1400", "currency": "CNY",
        "amount": "2800.00", "arithmetic": "2 × 1400 = 2800.00", "is_example": False,
    }  # fmt: skip
    assert [row["amount"] for row in found["optional"]] == ["160.00"]
    assert (found["total_cny"], found["per_container_usd"]) == ("2960.00", "211.43")
    assert (found["target_usd_per_container"], found["within_target"]) == ("400", True)


def quoted(api, firm, **changes):
    answer = api(firm).post(f"{BASE}/quotations", JOURNEY | changes)
    assert answer.status_code == 200, answer.content
    return answer.json()["quotations"]


def test_two_terminals_of_a_port_are_alternatives_and_do_not_add_up(terminal, api, firm, dollar):
    other = make.organisation("terminal")
    published(terminal)
    published(other, item(rate=Decimal(300)))
    customs = make.organisation("terminal")
    published(customs, item("DUES", rate=Decimal(50)), body_class="government")
    (found,) = quoted(api, firm)
    assert (found["problem"]["code"], found["total_cny"], found["within_target"]) == ("choose-body", None, None)
    assert [row["body_id"] for row in found["problem"]["choices"]] == [terminal.pk, other.pk]
    (found,) = quoted(api, firm, bodies=[other.pk])
    assert (found["total_cny"], "problem" in found) == ("700.00", False)


def test_the_area_decides_between_the_lists_of_a_body(terminal, api, firm, dollar):
    published(terminal)
    published(terminal, item(rate=Decimal(300)), area="East")
    assert quoted(api, firm, area="East")[0]["total_cny"] == "600.00"
    assert quoted(api, firm, area="West")[0]["total_cny"] == "1000.00"
    assert quoted(api, firm)[0]["total_cny"] == "1000.00", "the list of the whole port, as for an invoice"


@pytest.mark.parametrize("body_class", [BodyClass.TERMINAL, BodyClass.GOVERNMENT])
def test_of_a_body_with_lists_of_areas_alone_the_area_is_asked_for(terminal, api, firm, dollar, body_class):
    for area, rate in (("West", 500), ("East", 300)):
        published(terminal, item(rate=Decimal(rate)), area=area, body_class=body_class)
    found = quoted(api, firm)[0]["problem"]
    assert (found["code"], {one["area"] for one in found["choices"]}) == ("choose-body", {"West", "East"})
    assert quoted(api, firm, area="East")[0]["total_cny"] == "600.00"


def test_a_port_without_a_whole_price_says_why_beside_the_others(terminal, api, firm, dollar):
    published(terminal, item(container_size="20"))
    ports = {"ports": ["CNQZH", "CNZNG"]}
    whole, none = quoted(api, firm, **ports)
    assert (whole["total_cny"], none["problem"]["code"]) == ("1000.00", "no-list-in-force")
    (found,) = quoted(api, firm, containers=[{"size": "45", "count": 1}], services=["WSAH"])
    assert found["problem"]["code"] == "quotation-incomplete"
    assert (found["not_covered"], found["unknown_services"]) == ([{"size": "45", "condition": "ordinary"}], ["WSAH"])
    assert found["within_target"] is None


def test_two_ports_stand_side_by_side(terminal, api, firm, dollar):
    published(terminal)
    published(terminal, item(rate=Decimal(300)), port="CNZNG")
    answer = api(firm).post(f"{BASE}/quotations", JOURNEY | {"ports": ["CNQZH", "CNZNG"]}).json()
    assert [(one["port"], one["total_cny"]) for one in answer["quotations"]] == [
        ("CNQZH", "1000.00"),
        ("CNZNG", "600.00"),
    ]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"day": "2019-06-01"}, 404, "no-list-in-force"),
        ({"containers": []}, 422, "validation-failed"),
        ({"containers": [{"size": "53", "count": 1}]}, 422, "validation-failed"),
        ({"containers": [{"size": "20", "count": -1}]}, 422, "validation-failed"),
        ({"ports": ["nowhere"]}, 422, "validation-failed"),
        ({"tonnes": "NaN"}, 422, "validation-failed"),
        ({"day": "9999-12-31"}, 422, "validation-failed"),
        ({"day": "0001-01-01"}, 422, "validation-failed"),
    ],
)
def test_a_quotation_that_cannot_be_made_says_why(terminal, api, firm, change, status, code):
    published(terminal)
    answer = api(firm).post(f"{BASE}/quotations", JOURNEY | change)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


LINE = {"code": "LUMP", "service_day": "2026-06-01", "quantity": "2", "amount": "1000.00"}


def report(api, terminal, firm, *lines, number="INV-1"):
    return api(terminal).post(
        f"{BASE}/invoices",
        {"number": number, "payer": firm.pk, "port": "CNQZH", "issued_on": "2026-06-02", "lines": list(lines)},
    )


def test_every_line_is_checked_against_the_list_of_its_service_day(terminal, api, firm, authority):
    published(terminal)
    answer = report(
        api, terminal, firm, LINE, LINE | {"amount": "999"}, LINE | {"amount": "1000.01"}, LINE | {"code": "OTHER"},
        LINE | {"service_day": "2025-06-01"},
    )  # fmt: skip
    assert answer.status_code == 201, answer.content
    assert [(row["finding"], row["listed_amount"]) for row in answer.json()["lines"]] == [
        ("as_listed", "1000.00"), ("below", "1000.00"), ("above", "1000.00"), ("not_listed", None), ("no_list", None),
    ]  # fmt: skip
    from events import log

    log.publish()
    for organisation in (terminal, firm, authority):
        told = [
            event for event in log.read_after(0, organisation_id=organisation.pk) if event.type == "invoice.deviated"
        ]
        assert [row["line"] for row in told[0].data["deviations"]] == [3, 4, 5]


def test_an_invoice_is_reported_once_and_a_stranger_does_not_see_it(terminal, api, firm):
    published(terminal)
    assert report(api, terminal, firm, LINE).status_code == 201
    assert report(api, terminal, firm, LINE).json()["code"] == "invoice-exists"
    for organisation, count in ((terminal, 1), (firm, 1), (make.firm(), 0)):
        assert len(api(organisation).get(f"{BASE}/invoices").json()["results"]) == count


def findings(answer) -> list[tuple[str, str | None]]:
    assert answer.status_code == 201, answer.content
    return [(row["finding"], row["listed_amount"]) for row in answer.json()["lines"]]


def test_the_list_of_the_whole_port_binds_where_the_area_has_none(terminal, api, firm):
    published(terminal)
    published(terminal, item(rate=Decimal(300)), area="East")

    def charged(area, number):
        body = {"number": number, "payer": firm.pk, "port": "CNQZH", "area": area, "issued_on": "2026-06-02"}
        return api(terminal).post(f"{BASE}/invoices", body | {"lines": [LINE | {"quantity": "1"}]})

    assert findings(charged("West", "1")) == [("above", "500.00")]
    assert findings(charged("East", "2")) == [("above", "300.00")]
    assert findings(charged("", "3")) == [("above", "500.00")]


def test_a_body_with_lists_of_several_areas_only_has_to_name_one(terminal, api, firm):
    for area in ("East", "West"):
        published(terminal, area=area)
    answer = report(api, terminal, firm, LINE)
    assert [fault["code"] for fault in answer.json()["errors"]] == ["area-missing"]


def test_free_days_of_an_invoice_are_counted_as_the_list_counts_them(terminal, api, firm):
    """Thursday 4 to Wednesday 10 June 2026, three working days free: to Monday 8 June; two days are charged."""
    storage = {"unit": "container_day", "free_days": 3, "free_days_counted": "working", "rate": Decimal(10)}
    published(terminal, item("STORAGE", **storage))
    line = {"code": "STORAGE", "service_day": "2026-06-10", "quantity": "1", "amount": "20.00", "days": 7}
    assert findings(report(api, terminal, firm, line)) == [("as_listed", "20.00")]
    del line["days"]
    answer = report(api, terminal, firm, line, number="2")
    assert [(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]] == [
        ("/lines/0/days", "days-missing")
    ]


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_days_lie_where_days_can_be_reckoned_from(terminal, api, firm, day):
    published(terminal, item("STORAGE", unit="container_day", free_days=3, rate=Decimal(10)))
    line = {"code": "STORAGE", "service_day": day, "quantity": "1", "amount": "20.00", "days": 7}
    answer = report(api, terminal, firm, line)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/lines/0/service_day")
    asked = {
        "list_number": "FL1-CNQZH-1",
        "code": "STORAGE",
        "size": "40",
        "direction": "import",
        "start": day,
        "end": day,
    }
    assert api(firm).post(f"{BASE}/free-time", asked).status_code == 422
    assert api(terminal).patch(f"{BASE}/lists/{draft(terminal).number}", {"valid_from": day}).status_code == 422


def test_an_invoice_is_corrected_by_another_or_cancelled(terminal, api, firm):
    published(terminal)
    first = report(api, terminal, firm, LINE | {"amount": "1200"}).json()["id"]
    again = {"number": "INV-2", "payer": firm.pk, "port": "CNQZH", "issued_on": "2026-06-03", "lines": [LINE]}
    second = api(terminal).post(f"{BASE}/invoices", again | {"replaces": "INV-1"})
    assert (second.status_code, second.json()["replaces"]) == (201, "INV-1")
    old = api(firm).get(f"{BASE}/invoices/{first}").json()
    assert (old["cancelled_at"] is not None, "INV-2" in old["cancel_reason"]) == (True, True)
    third = api(terminal).post(f"{BASE}/invoices", again | {"number": "INV-3", "replaces": "INV-1"})
    assert third.json()["code"] == "invoice-cancelled"
    complaint = api(firm).post(f"{BASE}/invoices/{first}/complaints", {"line": 1, "text": "?"})
    assert complaint.json()["code"] == "invoice-cancelled"
    path = f"{BASE}/invoices/{second.json()['id']}"
    assert api(firm).post(f"{path}/cancel", {"reason": "x"}).status_code in (403, 404)
    assert api(terminal).post(f"{path}/cancel", {"reason": "重复"}).json()["cancel_reason"] == "重复"
    assert api(make.firm()).get(path).status_code == 404
    assert make.events_of("invoice", f"{terminal.pk}:INV-2") == ["invoice.reported", "invoice.cancelled"]


def test_a_complaint_is_opened_answered_and_decided(terminal, api, firm, authority):
    published(terminal)
    invoice = report(api, terminal, firm, LINE | {"amount": "1200"}).json()["id"]
    stranger = api(make.firm()).post(f"{BASE}/invoices/{invoice}/complaints", {"line": 1, "text": "?"})
    assert stranger.status_code == 404
    opened = api(firm).post(f"{BASE}/invoices/{invoice}/complaints", {"line": 1, "text": "高于清单"})
    assert opened.status_code == 201, opened.content
    number = opened.json()["number"]
    again = api(firm).post(f"{BASE}/invoices/{invoice}/complaints", {"line": 1, "text": "again"})
    assert again.json()["code"] == "complaint-open"

    def follow(organisation, command):
        return api(organisation).post(f"{BASE}/complaints/{number}/{command}", {"text": "……"})

    assert follow(firm, "uphold").status_code == 404
    assert follow(terminal, "answer").json()["state"] == "answered"
    assert follow(authority, "uphold").json()["state"] == "upheld"
    assert follow(firm, "withdraw").json()["code"] == "state-conflict"
    read = api(firm).get(f"{BASE}/complaints/{number}").json()
    assert [(step["step"], step["text"]) for step in read["said"]] == [
        ("opened", "高于清单"), ("answered", "……"), ("upheld", "……"),
    ]  # fmt: skip
    assert api(make.firm()).get(f"{BASE}/complaints/{number}").status_code == 404
    assert make.events_of("complaint", number) == ["complaint.opened", "complaint.answered", "complaint.upheld"]


def test_a_list_in_the_future_is_told_of_by_its_first_day(terminal, api):
    fee_list = published(terminal, valid_from=date(2030, 1, 1))
    assert api().get(f"{BASE}/catalogues").json()["results"] == []
    history = api().get(f"{BASE}/catalogues?history=true").json()["results"]
    assert [(row["number"], row["valid_from"]) for row in history] == [(fee_list.number, "2030-01-01")]
