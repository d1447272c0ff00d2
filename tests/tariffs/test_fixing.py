"""Storing what a declaration owes: versions, overrides, memos, payments, guarantees, quotas, yearly limits."""

from __future__ import annotations

import base64
from datetime import date, timedelta
from decimal import Decimal
from importlib import import_module

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation
from standardwebhooks import Webhook

from common.problems import Problem
from events.log import append
from events.models import Event
from tariffs import fixing, inputs, loading, lookup, memos, payments
from tariffs.models import (
    DutyMemo,
    DutyRefund,
    Guarantee,
    Payment,
    PaymentChannel,
    QuotaDraw,
    StoredAssessment,
)
from tests import make

pytestmark = pytest.mark.usefixtures("tariff")
NUMBER = "800020261000000001"
SECRET = "whsec_" + base64.b64encode(b"a bank's secret of 32 bytes.....").decode()


def fix(subject=NUMBER, **changes):
    return fixing.fix(subject=subject, request=make.assessment_request(**changes), audience=[1], actor="test")


def issue(subject=NUMBER, **more):
    return memos.issue(
        **{"subject": subject, "payer_id": 1, "completed_on": date(2026, 10, 12), "audience": [1], "actor": "test"}
        | more
    )


def guarantee(amount="100000", **more):
    return memos.open_guarantee(
        **{"number": "G1", "organisation_id": 1, "amount": Decimal(amount), "valid_from": date(2026, 1, 1),
           "last_day": date(2026, 12, 31), "summary": False, "actor": "test"} | more
    )  # fmt: skip


def channel():
    return PaymentChannel.objects.create(code="bank", name="Bank", organisation_id=9, secrets=[SECRET])


def report(memo, /, **changes):
    return {
        "reference": "R1", "memo": memo.number, "amount": str(memo.amount), "paid_at": "2026-10-20T10:00:00+08:00",
    } | changes  # fmt: skip


@pytest.fixture(autouse=True)
def _in_late_october(time_machine_on):
    time_machine_on("2026-11-20T10:00:00+08:00")


@pytest.fixture
def time_machine_on():
    import time_machine

    travels = []

    def travel(moment):
        traveller = time_machine.travel(moment, tick=True)
        traveller.start()
        travels.append(traveller)

    yield travel
    for traveller in travels:
        traveller.stop()


def test_each_fixing_is_a_new_version_and_none_is_changed():
    first = fix()
    second = fix(item={"total": "23000"})
    assert [first.number, second.number] == [1, 2]
    assert StoredAssessment.objects.get(pk=first.pk).payable == first.payable
    assert second.payable > first.payable
    assert make.events_of("duty", NUMBER) == ["duty.assessed", "duty.assessed"]


def test_a_stored_assessment_has_the_shape_and_the_figures_of_a_quotation():
    from tariffs import answers

    request = make.assessment_request()
    stored = fixing.answer_for(fix().subject, explain=True)
    quoted = orjson.loads(
        orjson.dumps(answers.as_json(fixing.quote(request), explain=True), default=lambda value: f"{value}")
    )
    assert set(quoted) <= set(stored)
    assert stored["totals"] == quoted["totals"]
    assert stored["payable"] == quoted["payable"]
    assert len(stored["explanation"]) == len(quoted["explanation"])


def test_an_assessment_reads_in_both_languages():
    stored = fix()
    with translation.override("en"):
        english = fixing.explanation(stored)[-1]["line"]
    assert "VAT" in english
    assert "增值税" in fixing.explanation(stored)[-1]["line"]


def override(subject=NUMBER, *, request=None, reason="x", **changes):
    """``changes`` of item 1, or of those named; of what was asked last, or of another request."""
    return fixing.override(
        subject=subject, request=request or inputs.from_json(fixing.latest(subject).request), audience=[1],
        changes=changes.pop("items", {"1": changes}), reason=reason, actor="officer",
    )  # fmt: skip


def test_an_officer_fixes_value_and_rate_with_a_reason_and_both_versions_stay():
    first = fix()
    second = override(customs_value="200000", rate="10%", reason="价格磋商")
    assert second.number == 2
    assert second.reason == "价格磋商"
    assert second.customs_value == 200000
    assert fixing.answer(second)["items"][0]["taxes"][0]["payable"] == "20000.00"
    assert StoredAssessment.objects.get(pk=first.pk).customs_value == first.customs_value
    third = override(customs_value="", rate="", reason="恢复申报价格")
    assert third.payable == first.payable


def test_what_an_officer_fixes_later_leaves_what_was_fixed_before():
    fix()
    override(customs_value="200000")
    second = override(rate="10%")
    assert second.overrides == {"1": {"customs_value": "200000", "rate": "10%"}}
    assert override(customs_value="").overrides == {"1": {"rate": "10%"}}
    with pytest.raises(Problem) as caught:
        override(rate="10%")
    assert [fault.code for fault in caught.value.errors] == ["nothing-fixed"]


def test_what_was_fixed_goes_with_its_item_and_is_dropped_when_the_item_is_another():
    rows = [{"code": "8509801000", "total": total, "currency": "USD", "origin": "DEU"} for total in ("1", "2", "3")]
    fixing.fix(subject=NUMBER, request=make.assessment_request(items=rows), audience=[1], actor="test")
    override(items={"2": {"rate": "10%"}, "3": {"rate": "20%"}})
    without_the_first = make.assessment_request(items=rows[1:])
    assert fixing.kept(fixing.latest(NUMBER), without_the_first) == {"1": {"rate": "10%"}, "2": {"rate": "20%"}}
    dearer = make.assessment_request(items=[rows[0], rows[1] | {"total": "9"}, rows[2]])
    assert fixing.kept(fixing.latest(NUMBER), dearer) == {"3": {"rate": "20%"}}
    twins = make.assessment_request(items=[rows[1] | {"total": "9"}, rows[2], rows[2]])
    assert fixing.kept(fixing.latest(NUMBER), twins) == {"3": {"rate": "20%"}}


def test_an_override_without_reason_or_with_a_wrong_rate_is_refused():
    fix()
    for changes, reason, code in (
        ({"1": {"rate": "10%"}}, " ", "missing"),
        ({"1": {"rate": "ten"}}, "x", "not-a-rate"),
        ({"2": {"rate": "10%"}}, "x", "unknown-item"),
        ({"1": {"customs_value": "-1"}}, "x", "not-an-amount"),
    ):
        with pytest.raises(Problem) as caught:
            override(items=changes, reason=reason)
        assert [fault.code for fault in caught.value.errors] == [code]
    assert StoredAssessment.objects.count() == 1


def test_a_memo_is_due_fifteen_days_after_completion():
    fix()
    memo = issue()
    assert memo.due_on == date(2026, 10, 27)
    assert memo.amount == fixing.latest(NUMBER).payable
    assert not memos.is_settled(NUMBER)


def test_a_due_day_in_a_holiday_moves_to_the_next_working_day():
    fix()
    assert issue(completed_on=date(2026, 9, 18)).due_on == date(2026, 10, 8)


def test_with_a_summary_guarantee_the_fifth_working_day_of_the_next_month():
    fix()
    guarantee(summary=True)
    # October 2026: 1 to 7 off; 8, 9, 10 (make-up Saturday), 12, 13 are the first five working days.
    assert issue(completed_on=date(2026, 9, 18), guarantee="G1").due_on == date(2026, 10, 13)


def test_which_working_day_of_the_month_summary_payment_is_due_is_a_dated_parameter():
    row = {"name": "payment.summary_working_day", "value": "3", "valid_from": "2024-12-01"}
    loading.load_rows("parameters", [row], actor="test", reason="x", correct_past=True)
    lookup.forget()
    fix()
    guarantee(summary=True)
    assert issue(completed_on=date(2026, 9, 18), guarantee="G1").due_on == date(2026, 10, 10)


def test_nothing_to_pay_makes_no_memo_and_release_need_not_wait():
    fix(regime="0615", levy_nature="503")
    assert issue() is None
    assert memos.is_settled(NUMBER)
    assert make.events_of("duty", NUMBER)[-1] == "duty.nothing_due"


def test_a_guarantee_is_drawn_and_restored_by_payment():
    fix()
    guarantee()
    memo = issue(guarantee="G1")
    assert memos.is_settled(NUMBER)
    assert Guarantee.objects.get().drawn == memo.amount
    payments.record(channel=channel(), data=report(memo), actor="bank")
    assert Guarantee.objects.get().drawn == 0
    assert make.events_of("duty", NUMBER) == [
        "duty.assessed", "duty.memo_issued", "duty.guaranteed", "duty.paid",
    ]  # fmt: skip


def test_a_guarantee_too_small_or_not_in_force_is_refused(time_machine_on):
    fix()
    guarantee(amount="100")
    for day, code in (("2026-12-31", "guarantee-too-small"), ("2027-01-01", "no-such-guarantee")):
        time_machine_on(f"{day}T10:00:00+08:00")
        with pytest.raises(Problem) as caught:
            issue(guarantee="G1")
        assert [fault.code for fault in caught.value.errors] == [code]
    assert DutyMemo.objects.count() == 0


def test_a_new_version_voids_the_open_memo_and_asks_for_the_difference_once_paid():
    fix()
    first = issue()
    fix(item={"total": "23000"})
    second = issue()
    first.refresh_from_db()
    assert first.state == DutyMemo.State.VOID
    payments.record(channel=channel(), data=report(second), actor="bank")
    fix(item={"total": "24000"})
    third = issue()
    assert third.amount == fixing.latest(NUMBER).payable - second.amount
    assert not memos.is_settled(NUMBER)
    fix(item={"total": "20000"})
    assert issue() is None
    assert make.events_of("duty", NUMBER)[-1] == "duty.refund_due"
    assert memos.is_settled(NUMBER)


def test_the_same_payment_reported_twice_is_one_payment():
    fix()
    memo = issue()
    bank = channel()
    once = payments.record(channel=bank, data=report(memo), actor="bank")
    again = payments.record(channel=bank, data=report(memo), actor="bank")
    assert once.pk == again.pk
    assert Payment.objects.count() == 1
    assert make.events_of("duty", NUMBER).count("duty.paid") == 1


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"amount": "1.00"}, 422, "wrong-amount"),
        ({"amount": 1.5}, 422, "not-an-amount"),
        ({"memo": "NONE"}, 422, "unknown-memo"),
        ({"paid_at": "2026-10-20T10:00:00"}, 422, "not-a-time"),
        ({"paid_at": "2030-10-20T10:00:00+08:00"}, 422, "out-of-range"),
    ],
)
def test_a_wrong_payment_report_settles_nothing(changes, status, code):
    fix()
    memo = issue()
    with pytest.raises(Problem) as caught:
        payments.record(channel=channel(), data=report(memo, **changes), actor="bank")
    assert (caught.value.status, caught.value.errors[0].code) == (status, code)
    assert DutyMemo.objects.get().state == DutyMemo.State.OPEN


def test_a_reference_used_for_another_memo_and_a_second_payment_conflict():
    fix()
    fix(subject="800020261000000002")
    one, two, bank = issue(), issue(subject="800020261000000002"), channel()
    payments.record(channel=bank, data=report(one), actor="bank")
    for data, code in ((report(two), "reference-reused"), (report(one, reference="R2"), "already-paid")):
        with pytest.raises(Problem) as caught:
            payments.record(channel=bank, data=data, actor="bank")
        assert (caught.value.status, caught.value.code) == (409, code)


def test_paying_late_costs_half_a_per_mille_a_day():
    fix()
    memo, bank = issue(), channel()  # 32 016.74 due on 2026-10-27
    with pytest.raises(Problem):
        payments.record(channel=bank, data=report(memo, paid_at="2026-10-31T09:00:00+08:00"), actor="bank")
    payments.record(
        channel=bank, data=report(memo, paid_at="2026-10-31T09:00:00+08:00", amount="32080.77"), actor="bank"
    )
    memo.refresh_from_db()
    assert memo.late_charge == Decimal("64.03")  # 32 016.74 x 0.0005 x 4 = 64.03348


LATE = {"entered_on": "2026-09-01", "completed_on": "2026-10-12"}


def test_the_late_charge_is_reckoned_on_the_tax_and_not_on_the_late_declaration_fee():
    """Tariff Law art. 43: 0.05 % a day on the tax. The fee is of the customs value."""
    fix(**LATE)
    memo = issue()
    fee = {line["tax"]: Decimal(line["amount"]) for line in memo.lines}["late-declaration-fee"]
    assert fee > 0
    assert (memo.amount, memo.tax) == (Decimal("32016.74") + fee, Decimal("32016.74"))
    assert memos.late_on(memo, date(2026, 10, 27)).days == 0
    late = memos.late_on(memo, date(2026, 10, 31))
    assert (late.days, late.amount) == (4, Decimal("64.03"))
    paid = {"paid_at": "2026-10-31T09:00:00+08:00", "amount": f"{memo.amount + late.amount}"}
    payments.record(channel=channel(), data=report(memo, **paid), actor="bank")
    fix(item={"total": "23000"}, **LATE)  # the fee rises with the value: only the difference of both is asked
    more = issue()
    fees = [Decimal(stored.answer["en"]["late_declaration_fee"]) for stored in StoredAssessment.objects.order_by("pk")]
    assert more.tax == more.amount - (fees[1] - fees[0])
    assert memos.late_on(more, date(2027, 12, 31)).amount > 0
    more.refresh_from_db()
    payments.at_counter(subject=NUMBER, reference="R", actor="officer")
    more.refresh_from_db()
    assert memos.late_on(more, date(2027, 12, 31)).amount == 0


def test_memos_of_before_this_was_kept_get_their_tax_from_their_lines():
    from django.apps import apps

    fix(**LATE)
    first = issue()
    payments.at_counter(subject=NUMBER, reference="R", actor="officer")
    fix(item={"total": "23000"}, **LATE)
    more = issue()
    DutyMemo.objects.update(tax=0)
    import_module("tariffs.migrations.0005_money_of_a_memo")._fill_tax(apps, None)
    assert dict(DutyMemo.objects.values_list("pk", "tax")) == {first.pk: Decimal("32016.74"), more.pk: more.amount}


def test_a_due_day_in_a_year_without_a_calendar_is_said_in_memo_and_event():
    fix()
    sure, unsure = issue(), issue(completed_on=date(2026, 12, 18), payer_id=2)
    assert sure.notices == []
    assert unsure.due_on == date(2027, 1, 4)  # 2 January is a Saturday
    assert unsure.notices == [{"code": "calendar-missing", "params": {"year": "2027"}}]
    told = [event.data["notices"] for event in Event.objects.filter(type="duty.memo_issued").order_by("sequence")]
    assert told == [[], ["calendar-missing"]]


def test_what_was_paid_for_a_memo_before_it_was_replaced_counts():
    fix()
    first, bank = issue(), channel()
    fix(item={"total": "23000"})
    second = issue()
    before = (timezone.now() - timedelta(hours=1)).isoformat()
    late = memos.late_on(first, timezone.now().date())
    payments.record(
        channel=bank, data=report(first, paid_at=before, amount=f"{first.amount + late.amount}"), actor="bank"
    )
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == ("paid", "void")
    rest = DutyMemo.objects.get(state="open")
    assert rest.amount == second.amount - first.amount
    with pytest.raises(Problem) as caught:
        payments.record(
            channel=bank, data=report(second, reference="R2", paid_at=timezone.now().isoformat()), actor="bank"
        )
    assert (caught.value.status, caught.value.code) == (409, "memo-void")
    assert not memos.is_settled(NUMBER)


def test_what_was_paid_for_a_memo_of_what_fell_away_meanwhile_is_given_back():
    fix()
    first, bank = issue(), channel()
    memos.withdraw(subject=NUMBER, actor="test")
    append(type="duty.fell_away", subject=("duty", NUMBER), actor="test", audience=[1], data={})
    before = (timezone.now() - timedelta(hours=1)).isoformat()
    late = memos.late_on(DutyMemo(state="open", tax=first.tax, due_on=first.due_on), timezone.now().date())
    payments.record(
        channel=bank, data=report(first, paid_at=before, amount=f"{first.amount + late.amount}"), actor="bank"
    )
    assert DutyRefund.objects.get().amount == first.amount


def test_what_was_paid_for_a_memo_before_a_guarantee_secured_it_frees_the_guarantee():
    fix()
    guarantee()
    first, bank = issue(), channel()
    issue(guarantee="G1")
    assert Guarantee.objects.get().drawn == first.amount
    before = (timezone.now() - timedelta(hours=1)).isoformat()
    late = memos.late_on(DutyMemo(state="open", tax=first.tax, due_on=first.due_on), timezone.now().date())
    payments.record(
        channel=bank, data=report(first, paid_at=before, amount=f"{first.amount + late.amount}"), actor="bank"
    )
    assert Guarantee.objects.get().drawn == 0
    assert memos.is_settled(NUMBER)


def test_a_late_charge_below_fifty_yuan_is_not_levied():
    fix()
    memo = issue()
    payments.record(channel=channel(), data=report(memo, paid_at="2026-10-30T09:00:00+08:00"), actor="bank")
    memo.refresh_from_db()
    assert memo.late_charge == 0  # 32 016.74 x 0.0005 x 3 = 48.03


def test_only_a_signature_with_the_banks_secret_is_taken():
    bank = channel()
    body = b'{"reference":"R1"}'
    now = timezone.now()
    signed = {
        "webhook-id": "m1", "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("m1", now, body.decode()),
    }  # fmt: skip
    payments.verify(bank, signed, body)
    old = now - timedelta(minutes=6)
    for headers, content in (
        (signed, body + b" "),
        (signed | {"webhook-signature": "v1,AAAA"}, body),
        ({}, body),
        (signed | {"webhook-timestamp": str(int(old.timestamp())),
                   "webhook-signature": Webhook(SECRET).sign("m1", old, body.decode())}, body),
    ):  # fmt: skip
        with pytest.raises(Problem) as caught:
            payments.verify(bank, headers, content)
        assert caught.value.status == 401


WHEAT = {"code": "1001990000", "origin": "AUS", "currency": "CNY", "total": "1000000", "quota": "CERT-1"}


def wheat(kilograms):
    from tariffs.lookup import current

    codes = [code for code in ("1001990100", "1001990000") if current().commodity(code, date(2026, 10, 12))]
    return {"trade_terms": "1", "freight": None, "insurance": None,
            "item": WHEAT | {"code": codes[0], "quantities": {"035": kilograms}}}  # fmt: skip


def test_a_quota_is_drawn_once_a_declaration_and_runs_out():
    fix(**wheat("30000000"))
    fix(**wheat("40000000"))  # the next version replaces the draw
    assert QuotaDraw.objects.get().quantity == 40000000
    with pytest.raises(Problem) as caught:
        fix(subject="800020261000000002", **wheat("10000001"))
    assert [fault.code for fault in caught.value.errors] == ["quota-exhausted"]
    memos.withdraw(subject=NUMBER, actor="test")
    assert fix(subject="800020261000000002", **wheat("10000001")).number == 1


def test_items_of_a_declaration_draw_on_a_quota_together():
    """Tariff Law art. 14."""
    more = wheat("30000000")
    item = more.pop("item")
    with pytest.raises(Problem) as caught:
        fix(items=[item, item], **more)
    assert [(fault.pointer, fault.code) for fault in caught.value.errors] == [("/items/1/quota", "quota-exhausted")]
    fix(items=[item, item | {"quantities": {"036": "20000000000"}}], **more)  # 20 000 t in grams
    assert sum(QuotaDraw.objects.values_list("quantity", flat=True)) == 50000000


def test_a_quota_is_asked_about_once_however_many_items_come_in_under_it():
    """Two queries a quota and declaration: its volume, and what was drawn."""
    more = wheat("1000")
    item = more.pop("item")

    def asked(count):
        with CaptureQueriesContext(connection) as queries:
            fixing.quote(make.assessment_request(items=[item] * count, **more))
        return len([one for one in queries if 'FROM "tariffs_quota' in one["sql"]])

    assert asked(1) == asked(20) == 2


def test_goods_within_a_quota_need_their_weight():
    more = wheat("1")
    more["item"]["quantities"] = {"001": "7"}
    with pytest.raises(Problem) as caught:
        fix(**more)
    assert [(fault.pointer, fault.code) for fault in caught.value.errors] == [
        ("/items/0/quantities/035", "quantity-missing")
    ]


def test_a_quota_without_a_volume_is_said():
    from tariffs.models import Quota

    Quota.objects.all().delete()
    stored = fix(**wheat("1"))
    assert "quota-volume-unknown" in [notice["code"] for notice in stored.answer["en"]["notices"]]


def test_what_a_declaration_has_drawn_on_a_quota_does_not_count_against_its_amendment():
    fix(**wheat("40000000"))  # of 50 million
    amended = make.assessment_request(**wheat("45000000"))
    with pytest.raises(Problem):
        fixing.quote(amended)
    assert fixing.quote(amended, subject=NUMBER).payable > 0


def test_a_retail_buyers_year_is_counted_over_declarations_without_keeping_the_number():
    def buy(subject, total):
        return fix(subject=subject, regime="9610", trade_terms="1", freight=None, insurance=None,
                   buyer={"reference": "500101199001011234"}, item={"currency": "CNY", "total": total})  # fmt: skip

    for number in range(5):
        buy(f"retail-{number}", "5000")
    with pytest.raises(Problem) as caught:
        buy("retail-6", "1000.01")
    assert [fault.code for fault in caught.value.errors] == ["retail-annual-limit"]
    assert buy("retail-6", "1000").payable > 0
    from tariffs.models import RetailPurchase

    assert RetailPurchase.objects.values("buyer").distinct().count() == 1
    kept = StoredAssessment.objects.filter(subject="retail-1").get()
    assert "500101199001011234" not in str(kept.request)
    again = override("retail-1", customs_value="4000")
    assert again.request["buyer"]["reference"] == kept.request["buyer"]["reference"]
    assert RetailPurchase.objects.values("buyer").distinct().count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_payment_reported_by_many_at_once_is_one_payment(transactional_db):
    from concurrent.futures import ThreadPoolExecutor

    make.tariff()
    fix()
    memo, bank = issue(), channel()

    def send(_):
        try:
            return payments.record(channel=bank, data=report(memo), actor="bank").pk
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        numbers = set(pool.map(send, range(12)))
    assert len(numbers) == 1
    assert Payment.objects.count() == 1
    assert make.events_of("duty", NUMBER).count("duty.paid") == 1


@pytest.mark.django_db(transaction=True)
def test_versions_fixed_at_once_come_one_after_another(transactional_db):
    from concurrent.futures import ThreadPoolExecutor

    make.tariff()

    def again(_):
        try:
            return fix().number
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(again, range(8))) == [1, 2, 3, 4, 5, 6, 7, 8]
