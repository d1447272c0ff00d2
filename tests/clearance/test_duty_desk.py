"""What an officer does about duties reaches the money: fixed values and rates, payments and refunds at the counter."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from clearance import duties, duty_desk
from common.days import today
from common.problems import Problem
from declarations import decisions, lodgement
from declarations.models import Declaration
from parties.principals import SYSTEM
from tariffs import fixing, loading, lookup, memos, refunds
from tariffs.models import DutyMemo, DutyRefund, Guarantee, QuotaDraw, StoredAssessment
from tests import make
from tests.clearance.test_duties import lodged, worked_example

pytestmark = pytest.mark.django_db
OWED = Decimal("32016.74")


@pytest.fixture(autouse=True)
def _tariff(db):
    make.tariff()


@pytest.fixture
def officer(db):
    return make.officer_principal(make.officer(duties=("duties",)))


def fixed(number: str, officer: Any, *, version: int = 1, item: str = "1", **values: str) -> StoredAssessment:
    return duty_desk.override(
        number=number, changes={item: values}, reason="价格磋商", version=version, principal=officer
    )


def memos_of(number: str) -> list[tuple[str, Decimal]]:
    return list(DutyMemo.objects.filter(subject=number).order_by("pk").values_list("state", "amount"))


def state_of(number: str) -> str:
    return str(Declaration.objects.values_list("state", flat=True).get(unified_number=number))


@pytest.mark.parametrize("value", ["200000", "100000"])
def test_what_an_officer_fixes_before_payment_is_what_the_memo_asks(firm, officer, value):
    number = lodged(firm, worked_example(firm)).unified_number
    stored = fixed(number, officer, customs_value=value)
    assert memos_of(number) == [("void", OWED), ("open", stored.payable)]
    assert make.events_of("declaration", number).count("declaration.duty_due") == 2
    duty_desk.pay_by_hand(number=number, reference="R-1", principal=officer)
    make.settle()
    assert state_of(number) in ("released", "cleared")


def test_a_value_raised_after_payment_asks_for_the_difference_and_release_waits_for_it(firm, officer):
    number = lodged(firm, worked_example(firm)).unified_number
    duty_desk.pay_by_hand(number=number, reference="R-1", principal=officer)
    stored = fixed(number, officer, customs_value="200000")
    make.settle()
    assert memos_of(number) == [("paid", OWED), ("open", stored.payable - OWED)]
    assert state_of(number) == "accepted"
    duty_desk.pay_by_hand(number=number, reference="R-2", principal=officer)
    make.settle()
    assert state_of(number) in ("released", "cleared")


def test_a_value_lowered_after_release_gives_the_difference_back_at_the_counter(firm, officer):
    number = lodged(firm, worked_example(firm)).unified_number
    duty_desk.pay_by_hand(number=number, reference="R-1", principal=officer)
    make.settle()
    assert state_of(number) in ("released", "cleared")
    stored = fixed(number, officer, customs_value="100000")
    assert DutyRefund.objects.get(subject=number).amount == OWED - stored.payable
    duty_desk.give_back_by_hand(number=number, reference="T-1", principal=officer)
    assert refunds.net_paid(number) == stored.payable
    make.settle()
    assert state_of(number) in ("released", "cleared")


def test_an_override_draws_on_a_guarantee_where_release_was_asked_against_one(firm, officer):
    memos.open_guarantee(
        number="G1", organisation_id=firm.pk, amount=Decimal(100000), valid_from=today(), last_day=None, summary=True,
        actor="tests",
    )  # fmt: skip
    number = lodged(firm, worked_example(firm, guarantee_release="1")).unified_number
    stored = fixed(number, officer, customs_value="200000")
    assert memos_of(number) == [("void", OWED), ("guaranteed", stored.payable)]
    assert Guarantee.objects.get().drawn == stored.payable


def test_nothing_is_fixed_for_a_declaration_that_fell_away_or_that_another_officer_has_fixed_meanwhile(firm, officer):
    number = lodged(firm, worked_example(firm)).unified_number
    fixed(number, officer, rate="10%")
    with pytest.raises(Problem) as told:
        fixed(number, officer, version=1, rate="20%")
    assert (told.value.status, told.value.code) == (409, "version-superseded")
    decisions.decide(command="return", number=number, principal=SYSTEM, reason_code="checks-failed")
    lodgement.withdraw(number=number, reason="not needed", principal=make.principal(firm))
    make.settle()
    with pytest.raises(Problem) as told:
        fixed(number, officer, version=2, rate="20%")
    assert (told.value.status, told.value.code) == (409, "not-for-fixing")
    assert StoredAssessment.objects.filter(subject=number).count() == 2
    assert not QuotaDraw.objects.exists()


def test_only_an_officer_for_duties_fixes_a_value(firm):
    number = lodged(firm, worked_example(firm)).unified_number
    for principal, status in (
        (make.officer_principal(make.officer(duties=("examination",))), 403),
        (make.principal(firm), 403),
        (make.principal(make.firm()), 404),
    ):
        with pytest.raises(Problem) as told:
            fixed(number, principal, rate="10%")
        assert told.value.status == status
    assert StoredAssessment.objects.filter(subject=number).count() == 1


def test_a_rate_the_schedule_only_points_at_is_fixed_by_an_officer(firm, officer):
    """Nothing could be worked out, so there is no version yet: what the officer fixes is the first."""
    row = {"code": "3902100090", "kind": "mfn", "origin": "MFN", "rate": "see(the rate of the parts)",
           "valid_from": "2020-01-01"}  # fmt: skip
    message = worked_example(firm)
    row["code"] = message["goods_items"][0]["commodity_code"]
    loading.load_rows("measures", [row], actor="tests", reason="x", correct_past=True)
    lookup.forget()
    number = lodged(firm, message).unified_number
    assert make.events_of("duty", number) == ["duty.not_assessed"]
    stored = fixed(number, officer, version=0, rate="6.5%")
    assert stored.payable == OWED
    memo = DutyMemo.objects.get(subject=number)
    assert (memo.amount, memo.state) == (OWED, "open")
    assert duties.answer(number, officer) == stored
    make.settle()
    assert StoredAssessment.objects.filter(subject=number).count() == 1


def test_the_days_to_pay_of_what_customs_worked_out_late_run_from_then(firm):
    """Tariff Law art. 43 counts from the completed declaration; that no memo is overdue when it is issued is assumed."""
    message = worked_example(firm)
    message["goods_items"][0]["invoice_currency"] = "CHF"
    number = lodged(firm, message).unified_number
    completed = today()
    row = {"currency": "CHF", "rate": "8.5", "quoted_on": "2026-09-16", "valid_from": "2020-01-01"}
    with time_machine.travel(timezone.now() + timedelta(days=20), tick=True):
        loading.load_rows("exchange-rates", [row], actor="tests", reason="x")
        lookup.forget()
        make.settle()
        memo = DutyMemo.objects.get(subject=number)
        assert fixing.latest(number).request["completed_on"] == completed.isoformat()
        assert memo.completed_on == today()
        assert memo.due_on > today()


def test_in_the_console_what_is_left_blank_stays_and_what_is_ticked_is_taken_back(client, firm):
    number = lodged(firm, worked_example(firm)).unified_number
    client.force_login(make.officer(duties=("duties",)).user)
    address = reverse("admin:see_to_duties", args=[number, "override"])
    form = {"item": "1", "reason": "磋商"}
    first = StoredAssessment.objects.get(subject=number)
    assert address in client.get(reverse("admin:tariffs_storedassessment_change", args=[first.pk])).content.decode()
    client.post(address, form | {"version": "1", "customs_value": "200000"})
    client.post(address, form | {"version": "2", "rate": "10%"})
    client.post(address, form | {"version": "2", "rate": "20%"})  # of a page that is out of date
    assert fixing.latest(number).overrides == {"1": {"customs_value": "200000", "rate": "10%"}}
    client.post(address, form | {"version": "3", "take_back": ["customs_value"]})
    assert fixing.latest(number).overrides == {"1": {"rate": "10%"}}
    client.post(address, form | {"version": "4", "rate": "1%", "reason": ""})
    assert StoredAssessment.objects.filter(subject=number).count() == 4
    page = client.get(reverse("admin:declaration", args=[number])).content.decode()
    assert reverse("admin:tariffs_storedassessment_change", args=[fixing.latest(number).pk]) in page


def test_a_quotation_that_was_kept_is_nobodys_to_fix(client):
    quotation = fixing.keep_quotation(subject="Q1", request=make.assessment_request(), audience=[1], actor="tests")
    client.force_login(make.officer(duties=("duties",)).user)
    form = {"item": "1", "reason": "x", "version": "1", "rate": "1%"}
    assert client.post(reverse("admin:see_to_duties", args=["Q1", "override"]), form).status_code == 404
    assert (
        'name="take_back"'
        not in client.get(reverse("admin:tariffs_storedassessment_change", args=[quotation.pk])).content.decode()
    )
    assert fixing.latest("Q1") == quotation


def test_in_the_console_a_refund_is_given_back_at_the_counter_even_of_a_released_declaration(client, firm, officer):
    number = lodged(firm, worked_example(firm)).unified_number
    duty_desk.pay_by_hand(number=number, reference="R-1", principal=officer)
    make.settle()
    fixed(number, officer, customs_value="100000")
    client.force_login(make.officer(duties=("duties",)).user)
    address = reverse("admin:see_to_duties", args=[number, "give-back"])
    assert address in client.get(reverse("admin:declaration", args=[number])).content.decode()
    client.post(address, {"reference": "T-9"})
    assert DutyRefund.objects.get(subject=number).state == "paid"
    assert address not in client.get(reverse("admin:declaration", args=[number])).content.decode()


def test_in_the_console_what_is_asked_for_after_release_is_paid_at_the_counter(client, firm, officer):
    number = lodged(firm, worked_example(firm)).unified_number
    duty_desk.pay_by_hand(number=number, reference="R-1", principal=officer)
    make.settle()
    assert state_of(number) in ("released", "cleared")
    fixed(number, officer, customs_value="200000")
    client.force_login(make.officer(duties=("duties",)).user)
    address = reverse("admin:see_to_duties", args=[number, "pay"])
    assert address in client.get(reverse("admin:declaration", args=[number])).content.decode()
    client.post(address, {"reference": "R-2", "etag": Declaration.objects.get(unified_number=number).etag})
    assert [state for state, _ in memos_of(number)] == ["paid", "paid"]


def test_in_the_console_an_overdue_memo_shows_what_it_costs_today(client, firm):
    number = lodged(firm, worked_example(firm)).unified_number
    client.force_login(make.officer(duties=("duties",)).user)
    address = reverse("admin:declaration", args=[number])
    assert "今日滞纳金" not in client.get(address).content.decode()
    DutyMemo.objects.filter(subject=number).update(due_on=today() - timedelta(days=10))
    assert "已滞纳 10 天，今日滞纳金 160.08 元" in client.get(address).content.decode()
    assert "32176.82" in client.get(reverse("admin:tariffs_dutymemo_changelist")).content.decode()


def test_an_amendment_of_a_declaration_under_a_quota_may_use_its_own_draw(firm):
    volume = {"number": "EX-WHEAT-2026", "volume": "50000", "valid_from": "2026-01-01", "last_day": "2026-12-31"}
    loading.load_rows("quotas", [volume], actor="tests", reason="x", correct_past=True)
    certificate = [{"document_code": "t", "document_number": "Q-1"}]
    message = worked_example(firm, attached_documents=certificate, gross_weight="60000", net_weight="45000")

    def goods(kilograms: str, amount: str) -> list[dict[str, Any]]:
        return [message["goods_items"][0] | {
            "commodity_code": "1001990000", "origin_country": "AUS", "quantity": kilograms, "unit_price": "0.5000",
            "first_statutory_quantity": kilograms, "invoice_amount": amount,
        }]  # fmt: skip

    number = lodged(firm, message | {"goods_items": goods("40000", "20000")}).unified_number
    assert QuotaDraw.objects.get(subject=number).quantity == 40000
    decisions.decide(command="return", number=number, principal=SYSTEM, reason_code="checks-failed")
    more = message | {"goods_items": goods("45000", "22500")}
    lodgement.amend(number=number, message=more, reason="weight", principal=make.principal(firm))
    make.settle()
    assert state_of(number) == "accepted"
    assert QuotaDraw.objects.get(subject=number).quantity == 45000


def test_a_guarantee_opened_after_the_memo_secures_it(firm, officer):
    number = lodged(firm, worked_example(firm)).unified_number
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=True):
        memos.open_guarantee(
            number="G1", organisation_id=firm.pk, amount=Decimal(100000), valid_from=today(), last_day=None,
            summary=False, actor="tests",
        )  # fmt: skip
        offered = duty_desk.guarantees(DutyMemo.objects.get(subject=number))
        assert [account.number for account in offered] == ["G1"]
        duty_desk.secure(number=number, guarantee="G1", principal=officer)
        make.settle()
    assert memos_of(number) == [("void", OWED), ("guaranteed", OWED)]
    assert Guarantee.objects.get().drawn == OWED
    assert state_of(number) in ("released", "cleared")


def test_a_guarantee_that_has_ended_secures_no_memo_of_its_time(firm, officer):
    number = lodged(firm, worked_example(firm)).unified_number
    memos.open_guarantee(
        number="G1", organisation_id=firm.pk, amount=Decimal(100000), valid_from=today(), last_day=today(),
        summary=False, actor="tests",
    )  # fmt: skip
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=True), pytest.raises(Problem) as told:
        duty_desk.secure(number=number, guarantee="G1", principal=officer)
    assert [fault.code for fault in told.value.errors] == ["no-such-guarantee"]
    assert memos_of(number) == [("open", OWED)]


def rejected(number: str, firm: Any, message: dict[str, Any]) -> None:
    decisions.decide(command="return", number=number, principal=SYSTEM, reason_code="checks-failed")
    lodgement.amend(
        number=number, message=message | {"goods_location": "另一堆场"}, reason="place", principal=make.principal(firm)
    )
    decisions.decide(command="reject", number=number, principal=SYSTEM, reason_code="checks-failed")
    make.settle()


def accepted_again(number: str, firm: Any, message: dict[str, Any]) -> None:
    """Amended in what no duty depends on."""
    lodgement.amend(
        number=number, message=message | {"goods_location": "第三堆场"}, reason="place", principal=make.principal(firm)
    )
    make.settle()


def test_what_is_accepted_again_after_a_rejection_owes_its_duties_anew(firm, officer):
    message = worked_example(firm)
    number = lodged(firm, message).unified_number
    rejected(number, firm, message)
    assert memos_of(number) == [("void", OWED)]
    accepted_again(number, firm, message)
    assert memos_of(number) == [("void", OWED), ("open", OWED)]
    assert state_of(number) == "accepted"
    duty_desk.pay_by_hand(number=number, reference="R-1", principal=officer)
    make.settle()
    assert state_of(number) in ("released", "cleared")


def test_what_was_paid_before_a_rejection_is_not_given_back_once_the_declaration_is_accepted_again(firm, officer):
    message = worked_example(firm)
    number = lodged(firm, message).unified_number
    with transaction.atomic():  # the hint to release is not taken up before the declaration is returned
        duty_desk.pay_by_hand(number=number, reference="R-1", principal=officer)
    rejected(number, firm, message)
    assert DutyRefund.objects.get().state == "due"
    accepted_again(number, firm, message)
    assert state_of(number) in ("released", "cleared")
    assert DutyRefund.objects.get().state == "void"
    assert refunds.net_paid(number) == OWED


def test_what_was_given_back_after_a_rejection_is_asked_for_again_when_the_declaration_is_accepted(firm, officer):
    message = worked_example(firm)
    number = lodged(firm, message).unified_number
    duty_desk.pay_by_hand(number=number, reference="R-1", principal=officer)
    rejected(number, firm, message)
    duty_desk.give_back_by_hand(number=number, reference="T-1", principal=officer)
    accepted_again(number, firm, message)
    assert memos_of(number) == [("paid", OWED), ("open", OWED)]
    assert state_of(number) == "accepted"


def test_why_a_version_is_new_and_what_fell_away_with_it_is_said_in_both_languages(firm, officer):
    message = worked_example(firm)
    number = lodged(firm, message).unified_number
    fixed(number, officer, customs_value="200000")
    decisions.decide(command="return", number=number, principal=SYSTEM, reason_code="checks-failed")
    goods = [message["goods_items"][0] | {"unit_price": "1.2000", "invoice_amount": "24000.0000"}]
    lodgement.amend(
        number=number, message=message | {"goods_items": goods}, reason="price", principal=make.principal(firm)
    )
    make.settle()
    assert fixing.latest(number).reason == (
        "报关单第 2 版；1 项商品已变更，其海关核定内容失效 / "
        "declaration version 2; what customs had fixed fell away for 1 changed item(s)"
    )
