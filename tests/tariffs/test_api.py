"""The tariff over HTTP."""

from __future__ import annotations

import base64
from datetime import date, timedelta
from decimal import Decimal

import orjson
import pytest
from django.utils import timezone
from standardwebhooks import Webhook

from common.days import today
from tariffs import fixing, memos, payments
from tariffs.models import DutyMemo, PaymentChannel, StoredAssessment
from tests import make

pytestmark = pytest.mark.usefixtures("tariff")
NUMBER = "800020261000000001"
FOB = {
    "completed_on": "2026-10-12",
    "trade_terms": "3",
    "freight": {"mark": "3", "value": "1200", "currency": "USD"},
    "insurance": {"mark": "1", "value": "0.3"},
    "items": [{"code": "8509801000", "total": "22000", "currency": "USD", "origin": "DEU"}],
}


def body(response):
    return orjson.loads(response.content)


def test_a_quotation_gives_the_figures_of_the_worked_example(api, firm):
    response = api(firm).post("/api/v1/tariff/assessments", FOB | {"explain": True})
    answer = body(response)
    assert response.status_code == 200
    assert answer["customs_value"] == "157369.07"
    assert {total["tax"]: total["payable"] for total in answer["totals"]} == {"duty": "10228.99", "vat": "21787.75"}
    assert answer["payable"] == "32016.74"
    assert answer["example"] is True
    assert [step["code"] for step in answer["explanation"]][-1] == "vat"
    assert "增值税法" in answer["explanation"][-1]["line"]


def test_a_quotation_reads_in_english(api, firm):
    response = api(firm).post("/api/v1/tariff/assessments", FOB, headers={"Accept-Language": "en"})
    assert body(response)["totals"][0]["name"] == "Customs duty"


def test_a_kept_quotation_is_read_and_explained_by_its_owner_alone(api, firm, broker):
    kept = body(api(firm).post("/api/v1/tariff/assessments", FOB | {"keep": True}))
    path = f"/api/v1/tariff/assessments/{kept['id']}"
    assert body(api(firm).get(path))["payable"] == kept["payable"]
    steps = body(api(firm).get(f"{path}/explain"))["steps"]
    assert {"formula", "inputs", "rounding", "basis", "line"} <= set(steps[0])
    for address in (path, f"{path}/explain"):
        assert api(broker).get(address).status_code == 404


def test_every_fault_of_a_quotation_at_once(api, firm):
    response = api(firm).post(
        "/api/v1/tariff/assessments",
        {"completed_on": "12 Oct", "trade_terms": "9", "items": [{"code": "85", "total": "-1", "origin": "de"}]},
    )
    assert response.status_code == 422
    assert [(fault["pointer"], fault["code"]) for fault in body(response)["errors"]] == [
        ("/completed_on", "not-a-day"),
        ("/items/0/code", "malformed"),
        ("/items/0/total", "not-positive"),
        ("/items/0/origin", "malformed"),
        ("/trade_terms", "unknown-code"),
    ]


@pytest.mark.parametrize(
    ("item", "pointer", "code"),
    [
        ({"code": "9999999999"}, "/items/0/code", "unknown-code"),
        ({"currency": "CHF"}, "/items/0/currency", "exchange-rate-missing"),
        ({"total": "0"}, "/items/0/total", "not-positive"),
        ({"total": "-0.01"}, "/items/0/total", "not-positive"),
        ({"total": 1.5}, "/items/0/total", "not-a-decimal"),
        ({"total": "NaN"}, "/items/0/total", "not-a-decimal"),
        ({"total": "1e5"}, "/items/0/total", "not-a-decimal"),
    ],
)
def test_bad_items_are_answered_with_a_pointer(api, firm, item, pointer, code):
    request = FOB | {"items": [FOB["items"][0] | item]}
    response = api(firm).post("/api/v1/tariff/assessments", request)
    assert response.status_code == 422
    assert [(fault["pointer"], fault["code"]) for fault in body(response)["errors"]] == [(pointer, code)]


def test_a_commodity_with_units_elements_and_all_rates(api, firm):
    answer = body(api(firm).get("/api/v1/tariff/commodities/2204210000?on=2026-10-12&origin=AUS"))
    assert [unit["code"] for unit in answer["units"]] == ["095", "035"]
    assert answer["elements"][0] == "品名"
    assert {"mfn", "general", "conventional", "consumption"} <= {measure["kind"] for measure in answer["measures"]}
    assert [above["code"] for above in answer["path"]] == ["22", "2204", "220421"]
    assert answer["applicable"]["duty"]["kind"] == "mfn"
    assert "AUS-FTA" in answer["applicable"]["groups"]
    assert answer["example"] is True


def test_unknown_codes_and_days_before_the_tariff_are_not_found(api, firm):
    for path in ("commodities/0000000000", "commodities/2204210000?on=1990-01-01", "commodities/abc"):
        assert api(firm).get(f"/api/v1/tariff/{path}").status_code == 404


@pytest.mark.parametrize(
    ("query", "code"), [("手机", "851713"), ("laptop", "847130"), ("8471 30", "847130"), ("榴莲", "081060")]
)
def test_search_finds_everyday_goods_and_prefixes(api, firm, query, code):
    found = body(api(firm).get(f"/api/v1/tariff/commodities?q={query}"))["results"]
    assert any(line["code"].startswith(code) for line in found[:3])


def test_what_differs_between_two_days(api, firm):
    answer = body(api(firm).get("/api/v1/tariff/changes?from=2025-12-31&to=2026-01-01&prefix=0203"))
    assert [(change["kind"], change["before"], change["after"]) for change in answer["changes"]] == [
        ("provisional", "8%", "6%")
    ]


def test_what_differs_in_the_other_tables_is_told_where_no_prefix_is_asked_for(api, firm):
    from tariffs import loading

    for table, row in (
        ("parameters", {"name": "payment.days", "value": "20", "basis": "新法", "valid_from": "2031-01-01"}),
        ("exchange-rates", {"currency": "NOK", "rate": "0.7", "quoted_on": "2030-12-18", "valid_from": "2031-01-01"}),
        ("measures", {"code": "8509801000", "kind": "mfn", "origin": "MFN", "rate": "1%", "valid_from": "2031-01-01"}),
    ):
        loading.load_rows(table, [row], actor="test", reason="x")
    asked = "/api/v1/tariff/changes?from=2030-12-31&to=2031-01-01"
    answer = body(api(firm).get(asked))
    assert [(row["table"], row["key"], row["before"], row["after"]) for row in answer["others"]] == [
        ("exchange-rates", "NOK", None, "0.70000000 · 1 · false · 2030-12-18"),
        ("parameters", "payment.days", "15.000000 · 关税法第四十三条", "20.000000 · 新法"),
    ]
    assert [(row["code"], row["after"]) for row in answer["changes"]] == [("8509801000", "1%")]
    assert body(api(firm).get(f"{asked}&prefix=85"))["others"] == []


def test_a_quotation_asked_to_be_kept_under_a_key_is_kept_once(api, firm):
    client = api(firm)
    first, second = (
        client.post("/api/v1/tariff/assessments", FOB | {"keep": True}, headers={"Idempotency-Key": "k1"})
        for _ in range(2)
    )
    assert body(first)["id"] == body(second)["id"] is not None
    assert StoredAssessment.objects.count() == 1


def memo_for(firm):
    fixing.fix(subject=NUMBER, request=make.assessment_request(), audience=[firm.pk], actor="test")
    return memos.issue(
        subject=NUMBER, payer_id=firm.pk, completed_on=date(2026, 10, 12), audience=[firm.pk], actor="test"
    )


def test_a_memo_is_seen_by_its_payer_alone(api, firm, broker):
    memo = memo_for(firm)
    assert body(api(firm).get(f"/api/v1/tariff/memos/{memo.number}"))["due_on"] == "2026-10-27"
    assert [row["number"] for row in body(api(firm).get(f"/api/v1/tariff/memos?declaration={NUMBER}"))["results"]] == [
        memo.number
    ]
    assert api(broker).get(f"/api/v1/tariff/memos/{memo.number}").status_code == 404
    assert body(api(broker).get("/api/v1/tariff/memos"))["results"] == []


def test_a_memo_says_what_it_comes_to_today(api, firm):
    """Tariff Law art. 43: 0.05 % a day on the tax."""
    memo = memo_for(firm)
    DutyMemo.objects.filter(pk=memo.pk).update(due_on=today() - timedelta(days=10))
    client = api(firm)
    late = body(client.get(f"/api/v1/tariff/memos/{memo.number}"))
    assert (late["days_late"], late["late_charge_today"], late["payable_today"]) == (10, "160.08", "32176.82")
    assert "32016.74 × 0.05% × 10" in late["late_charge_line"]
    DutyMemo.objects.filter(pk=memo.pk).update(due_on=today())
    (row,) = body(client.get(f"/api/v1/tariff/memos?declaration={NUMBER}"))["results"]
    assert (row["days_late"], row["payable_today"], row["late_charge_line"]) == (0, "32016.74", "")
    payments.at_counter(subject=NUMBER, reference="R-1", actor="officer")
    paid = body(client.get(f"/api/v1/tariff/memos/{memo.number}"))
    assert (paid["state"], paid["payable_today"], paid["late_charge"]) == ("paid", "0.00", "0.00")


def test_a_memo_whose_due_day_is_not_certain_says_so(api, firm):
    fixing.fix(subject=NUMBER, request=make.assessment_request(), audience=[firm.pk], actor="test")
    memo = memos.issue(
        subject=NUMBER, payer_id=firm.pk, completed_on=date(2026, 12, 18), audience=[firm.pk], actor="test"
    )
    (notice,) = body(api(firm).get(f"/api/v1/tariff/memos/{memo.number}"))["notices"]
    assert notice["code"] == "calendar-missing"
    assert "2027" in notice["text"]


def test_a_bank_reports_a_payment_with_its_token_and_its_signature(api, firm):
    memo = memo_for(firm)
    bank = make.organisation("bank")
    secret = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
    client = api(bank)
    paid_at = timezone.now()
    DutyMemo.objects.filter(pk=memo.pk).update(completed_on=date(2020, 1, 1), due_on=date(2100, 1, 1))
    content = orjson.dumps(
        {"reference": "R1", "memo": memo.number, "amount": str(memo.amount), "paid_at": paid_at.isoformat()}
    )

    def send(signature):
        headers = {
            "webhook-id": "m1",
            "webhook-timestamp": str(int(paid_at.timestamp())),
            "webhook-signature": signature,
        }
        return client.post("/api/v1/tariff/payments", content, headers=headers)

    right = Webhook(secret).sign("m1", paid_at, content.decode())
    assert send(right).status_code == 409
    PaymentChannel.objects.create(code="bank", name="Bank", organisation_id=bank.pk, secrets=[secret])
    assert send("v1,AAAA").status_code == 401
    assert DutyMemo.objects.get().state == "open"
    first, second = send(right), send(right)
    assert first.status_code == second.status_code == 200
    assert body(first) == body(second)
    assert body(first)["settled"] is True
    assert Decimal(body(first)["amount"]) == memo.amount


def test_interest_on_suspended_duty_needs_the_rate_that_an_operator_loads(api, firm):
    from tariffs import loading, lookup

    asked = {"completed_on": "2026-10-12", "deferred_since": "2026-04-15",
             "items": [{"code": "8509801000", "total": "100000", "origin": "DEU"}]}  # fmt: skip
    client = api(firm)
    refused = client.post("/api/v1/tariff/assessments", asked)
    assert refused.status_code == 422
    assert [(fault["pointer"], fault["code"]) for fault in body(refused)["errors"]] == [
        ("/deferred_since", "parameter-missing")
    ]
    row = {"name": "deferred_interest.daily_percent", "value": "0.001", "valid_from": "2026-01-01", "source": "made up"}
    loading.load_rows("parameters", [row], actor="test", reason="rate", correct_past=True)
    lookup.forget()
    answer = body(client.post("/api/v1/tariff/assessments", asked))
    assert (answer["days_deferred"], answer["deferred_interest"]) == (180, "36.62")
    late = client.post("/api/v1/tariff/assessments", asked | {"deferred_since": "2026-10-13"})
    assert body(late)["errors"][0]["pointer"] == "/deferred_since"
