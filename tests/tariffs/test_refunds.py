"""Duty paid too much: a record, given back by the bank that took it, and confirmed with its signed word."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone
from standardwebhooks import Webhook

from common.problems import Problem
from tariffs import memos, payments, refunds
from tariffs.models import DutyRefund, RefundConfirmation
from tests import make
from tests.tariffs.test_fixing import NUMBER, SECRET, channel, fix, issue, report

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("tariff")]


@pytest.fixture
def bank():
    return channel()


@pytest.fixture
def overpaid(bank):
    """22 000 dollars were paid for, 20 000 was the price."""
    fix()
    payments.record(channel=bank, data=report(issue()), actor="bank")
    fix(item={"total": "20000"})
    assert issue() is None
    return DutyRefund.objects.get()


def told(refund, /, **changes):
    return {"reference": "B1", "refund": refund.number, "amount": f"{refund.amount:f}",
            "refunded_at": timezone.now().isoformat()} | changes  # fmt: skip


def test_a_lower_version_after_payment_makes_a_refund_and_the_bank_confirms_it(overpaid, bank):
    paid = Decimal("32016.74")
    from tariffs.fixing import latest

    assert overpaid.amount == paid - latest(NUMBER).payable
    assert (overpaid.state, overpaid.channel, overpaid.payee_id) == ("due", bank, 1)
    assert memos.is_settled(NUMBER)  # release does not wait for it
    refunds.confirm(channel=bank, data=told(overpaid), actor="bank")
    overpaid.refresh_from_db()
    assert (overpaid.state, overpaid.refunded_on is not None) == ("paid", True)
    assert refunds.net_paid(NUMBER) == latest(NUMBER).payable
    assert make.events_of("duty", NUMBER)[-2:] == ["duty.refund_due", "duty.refunded"]
    assert memos.is_settled(NUMBER)


def test_an_officer_sees_the_refund_beside_the_versions_and_the_banks_word_on_its_page(officer_client, overpaid, bank):
    from tariffs.models import StoredAssessment

    refunds.confirm(channel=bank, data=told(overpaid), actor="bank")
    newest = StoredAssessment.objects.get(number=2)
    page = officer_client.get(reverse("admin:tariffs_storedassessment_change", args=[newest.pk])).content.decode()
    assert f"−{overpaid.amount}" in page
    detail = reverse("admin:tariffs_dutyrefund_change", args=[overpaid.pk])
    assert detail in page
    assert "B1" in officer_client.get(detail).content.decode()


def test_the_same_confirmation_reported_twice_is_one(overpaid, bank):
    once = refunds.confirm(channel=bank, data=told(overpaid), actor="bank")
    assert refunds.confirm(channel=bank, data=told(overpaid), actor="bank").pk == once.pk
    assert make.events_of("duty", NUMBER).count("duty.refunded") == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount": "1.00"}, "wrong-amount"),
        ({"amount": 1.5}, "not-an-amount"),
        ({"refund": "NONE"}, "unknown-refund"),
        ({"refunded_at": "2026-10-20T10:00:00"}, "not-a-time"),
        ({"refunded_at": "2020-10-20T10:00:00+08:00"}, "out-of-range"),
        ({"refunded_at": (timezone.now() + timedelta(days=2)).isoformat()}, "out-of-range"),
        ({"reference": ""}, "missing"),
    ],
)
def test_a_wrong_report_gives_nothing_back(overpaid, bank, changes, code):
    with pytest.raises(Problem) as caught:
        refunds.confirm(channel=bank, data=told(overpaid, **changes), actor="bank")
    assert (caught.value.status, caught.value.errors[0].code) == (422, code)
    assert RefundConfirmation.objects.count() == 0


def test_another_bank_knows_nothing_of_it(overpaid):
    from tariffs.models import PaymentChannel

    other = PaymentChannel.objects.create(code="other", name="x", organisation_id=77, secrets=[SECRET])
    with pytest.raises(Problem) as caught:
        refunds.confirm(channel=other, data=told(overpaid), actor="bank")
    assert caught.value.errors[0].code == "unknown-refund"


def test_a_newer_version_makes_the_refund_another_or_none(overpaid, bank):
    fix(item={"total": "21000"})
    issue()
    smaller = DutyRefund.objects.get(state="due")
    assert smaller.amount < overpaid.amount
    overpaid.refresh_from_db()
    assert overpaid.state == "void"
    with pytest.raises(Problem) as caught:
        refunds.confirm(channel=bank, data=told(overpaid), actor="bank")
    assert (caught.value.status, caught.value.code) == (409, "refund-void")
    fix(item={"total": "22000"})
    assert issue() is None
    assert not DutyRefund.objects.filter(state="due").exists()
    assert make.events_of("duty", NUMBER)[-1] == "duty.nothing_due"


def test_what_was_given_back_is_owed_again_when_the_value_rises(overpaid, bank):
    refunds.confirm(channel=bank, data=told(overpaid), actor="bank")
    fix()
    memo = issue()
    assert memo.amount == overpaid.amount
    assert not memos.is_settled(NUMBER)
    with pytest.raises(Problem) as caught:
        refunds.confirm(channel=bank, data=told(overpaid, reference="B2"), actor="bank")
    assert (caught.value.status, caught.value.code) == (409, "already-refunded")


def test_a_declaration_that_falls_away_gets_all_of_it_back_once(overpaid, bank):
    memos.withdraw(subject=NUMBER, actor="test")
    memos.withdraw(subject=NUMBER, actor="test")
    whole = DutyRefund.objects.get(state="due")
    assert whole.amount == Decimal("32016.74")
    assert make.events_of("duty", NUMBER).count("duty.refund_due") == 2
    refunds.confirm(channel=bank, data=told(whole), actor="bank")
    assert refunds.net_paid(NUMBER) == 0


def test_what_was_paid_at_the_counter_is_given_back_there(bank):
    fix()
    memo = issue()
    payments.at_counter(subject=NUMBER, reference="2026-17", actor="officer")
    memo.refresh_from_db()
    assert memo.state == "paid"
    fix(item={"total": "20000"})
    assert issue() is None
    due = DutyRefund.objects.get()
    assert (due.channel, due.payee_id, due.state) == (None, 1, "due")
    with pytest.raises(Problem) as caught:
        refunds.confirm(channel=bank, data=told(due), actor="bank")
    assert caught.value.errors[0].code == "unknown-refund"
    refunds.at_counter(subject=NUMBER, reference="T-3", actor="officer")
    due.refresh_from_db()
    assert due.state == "paid"
    with pytest.raises(Problem) as caught:
        refunds.at_counter(subject=NUMBER, reference="T-4", actor="officer")
    assert caught.value.code == "no-refund-due"
    memos.withdraw(subject=NUMBER, actor="test")
    assert DutyRefund.objects.get(state="due").amount == memo.amount - due.amount


def test_the_counter_needs_the_number_of_what_it_wrote_out(bank):
    fix()
    issue()
    for number in (" ", "x" * 65):
        with pytest.raises(Problem) as caught:
            payments.at_counter(subject=NUMBER, reference=number, actor="officer")
        assert [fault.code for fault in caught.value.errors] == ["required"]


def test_over_http_the_firm_sees_it_and_only_a_signed_report_confirms_it(api, bank, overpaid):
    owner, stranger = make.firm(), make.firm()
    DutyRefund.objects.update(audience=[owner.pk])
    assert [row["number"] for row in api(owner).get("/api/v1/tariff/refunds?state=due").json()["results"]] == [
        overpaid.number
    ]
    assert api(owner).get(f"/api/v1/tariff/refunds/{overpaid.number}").json()["amount"] == f"{overpaid.amount:f}"
    assert api(stranger).get(f"/api/v1/tariff/refunds/{overpaid.number}").status_code == 404
    assert api(stranger).get("/api/v1/tariff/refunds").json()["results"] == []

    house = make.organisation("bank")
    type(bank).objects.filter(pk=bank.pk).update(organisation_id=house.pk)
    body = json.dumps(told(overpaid))
    now = timezone.now()

    def send(content, secret=SECRET):
        headers = {"webhook-id": "m1", "webhook-timestamp": str(int(now.timestamp())),
                   "webhook-signature": Webhook(secret).sign("m1", now, body)}  # fmt: skip
        client = api(house)
        return client.post("/api/v1/tariff/refund-confirmations", content, headers=headers)

    assert send(body.replace("B1", "B2").encode()).status_code == 401
    answer = send(body.encode())
    assert (answer.status_code, answer.json()["refund"]) == (200, overpaid.number)
    assert send(body.encode()).json() == answer.json()
    assert DutyRefund.objects.get().state == "paid"
