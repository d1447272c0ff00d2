"""Duty memos (税单): what is to be paid for a declaration, by when; secured by a guarantee or settled by payment."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.backends.postgresql.psycopg_any import DateRange  # type: ignore[attr-defined]
from django.db.models import Sum
from django.utils import timezone

from common.days import today
from common.problems import Fault, Problem, conflict, invalid
from common.text import T
from events.log import append
from events.models import Event

from . import guarantees, latefees, lookup, refunds, workdays
from .fixing import latest, lock
from .models import DutyMemo, DutyRefund, Guarantee, GuaranteeDraw, QuotaDraw, RetailPurchase, StoredAssessment

State = DutyMemo.State


def issue(
    *,
    subject: str,
    payer_id: int,
    completed_on: date,
    audience: Iterable[int],
    actor: str,
    guarantee: str | None = None,
) -> DutyMemo | None:
    """Issue the memo for what the latest assessment leaves to pay; None where nothing is.

    An open memo of an earlier version is voided, unless it asks the same payer for the same taxes: that one stands, with its
    day, and is returned. What was paid already counts; too much paid makes a refund. With a guarantee's number the memo is
    drawn on it and release need not wait."""
    with transaction.atomic():
        lock(subject)
        stored = latest(subject)
        if stored is None:
            raise conflict("not-assessed", T("尚未核定税费", "nothing has been assessed yet"))
        audience = sorted({*audience, payer_id})
        paid = refunds.net_paid(subject)
        amount, lines = stored.payable - paid, _lines(stored.answer["zh-hans"], paid)
        for memo in DutyMemo.objects.select_for_update().filter(
            subject=subject, state__in=(State.OPEN, State.GUARANTEED)
        ):
            asked = State.GUARANTEED if guarantee else State.OPEN
            if (memo.state, memo.payer_id, memo.amount, memo.lines) == (asked, payer_id, amount, lines):
                return memo
            _void(memo, actor)
        refunds.settle_due(subject=subject, amount=-amount, stored=stored, audience=audience, actor=actor)
        data: dict[str, Any] = {"declaration": subject, "version": stored.number, "paid": f"{paid:f}"}
        if amount <= 0 or guarantee:
            guarantees.restore(guarantees.goods_of(subject))  # paid, not owed, or secured by the memo from now on
        if amount <= 0:
            if amount == 0:
                append(type="duty.nothing_due", subject=("duty", subject), actor=actor, audience=audience,
                       data=data | {"amount": "0.00"})  # fmt: skip
            return None
        account = _account(guarantee, payer_id, amount) if guarantee else None
        book = lookup.current()
        due_on = workdays.payment_due(
            completed_on,
            book.calendar,
            summary_guarantee=account is not None and account.summary,
            days=int(book.parameter("payment.days", completed_on)),
            working_day=int(book.parameter("payment.summary_working_day", completed_on)),
        )
        notices = []
        if not book.calendar.covers(due_on):
            notices.append({"code": "calendar-missing", "params": {"year": str(due_on.year)}})
        tax = amount - min(amount, max(Decimal(0), _fees(stored) - _fees_settled(subject)))
        serial = DutyMemo.objects.filter(subject=subject).count() + 1
        memo = DutyMemo.objects.create(
            number=f"{subject}-{serial:02d}",
            subject=subject,
            assessment=stored,
            payer_id=payer_id,
            audience=audience,
            lines=lines,
            amount=amount,
            tax=tax,
            notices=notices,
            state=State.GUARANTEED if account else State.OPEN,
            completed_on=completed_on,
            due_on=due_on,
        )
        data |= {"memo": memo.number, "amount": f"{amount:f}", "tax": f"{tax:f}", "due_on": due_on.isoformat(),
                 "notices": [notice["code"] for notice in notices]}  # fmt: skip
        append(type="duty.memo_issued", subject=("duty", subject), actor=actor, audience=audience, data=data)
        if account:
            Guarantee.objects.filter(pk=account.pk).update(drawn=account.drawn + amount)
            GuaranteeDraw.objects.create(guarantee=account, subject=subject, memo=memo, amount=amount)
            append(type="duty.guaranteed", subject=("duty", subject), actor=actor, audience=audience,
                   data=data | {"guarantee": account.number})  # fmt: skip
    return memo


def _lines(answer: dict[str, Any], paid: Decimal) -> list[dict[str, str]]:
    lines = [
        {"tax": total["tax"], "amount": total["payable"]} for total in answer["totals"] if Decimal(total["payable"]) > 0
    ]
    if Decimal(answer["late_declaration_fee"]) > 0:
        lines.append({"tax": "late-declaration-fee", "amount": answer["late_declaration_fee"]})
    # Answers stored before there was such interest do not name it.
    if Decimal(answer.get("deferred_interest", "0")) > 0:
        lines.append({"tax": "deferred-interest", "amount": answer["deferred_interest"]})
    if paid:
        lines.append({"tax": "paid-before", "amount": f"{-paid:f}"})
    return lines


def _fees(stored: StoredAssessment) -> Decimal:
    """What of an assessment is no tax."""
    answer = stored.answer["zh-hans"]
    return Decimal(answer["late_declaration_fee"]) + Decimal(answer.get("deferred_interest", "0"))


def _fees_settled(subject: str) -> Decimal:
    """What of the money that has come is no tax: paid memos and refunds leave paid just what their assessment asked for."""
    paid = DutyMemo.objects.filter(subject=subject, state=State.PAID).select_related("assessment")
    back = DutyRefund.objects.filter(subject=subject, state=DutyRefund.State.PAID).select_related("assessment")
    settled = [memo.assessment for memo in paid] + [refund.assessment for refund in back]
    return _fees(max(settled, key=lambda stored: stored.number)) if settled else Decimal(0)


def late_on(memo: DutyMemo, day: date) -> latefees.LatePayment:
    """The charge if what a memo asks is paid on that day (Tariff Law art. 43: on the tax); none where nothing waits."""
    tax = memo.tax if memo.state in (State.OPEN, State.GUARANTEED) else Decimal(0)
    return latefees.late_payment(tax, memo.due_on, day, lookup.current())


def _account(number: str, payer_id: int, amount: Decimal) -> Guarantee:
    """The account to draw on now: it is in force today, whatever day the memo counts from."""
    account = Guarantee.objects.select_for_update().filter(number=number, organisation_id=payer_id).first()
    if account is None or not account.holds_on(today()):
        raise invalid([Fault("/guarantee", "no-such-guarantee", T(
            "没有该担保或今日不在有效期内", "there is no such guarantee in force today"))])  # fmt: skip
    if account.free() < amount:
        raise invalid([Fault("/guarantee", "guarantee-too-small", T(
            "担保余额不足：余 {free} 元", "the guarantee does not suffice: {free} yuan left", free=account.free()))])  # fmt: skip
    return account


def _void(memo: DutyMemo, actor: str) -> None:
    guarantees.restore(GuaranteeDraw.objects.filter(memo=memo))
    DutyMemo.objects.filter(pk=memo.pk).update(state=State.VOID, voided_at=timezone.now())
    append(type="duty.memo_voided", subject=("duty", memo.subject), actor=actor, audience=memo.audience,
           data={"declaration": memo.subject, "memo": memo.number})  # fmt: skip


def settle(memo: DutyMemo, *, paid_on: date, late_charge: Decimal, actor: str, data: dict[str, Any]) -> None:
    """Mark a locked memo as paid, restore its guarantee, append `duty.paid`."""
    guarantees.restore(GuaranteeDraw.objects.filter(memo=memo) | guarantees.goods_of(memo.subject))
    DutyMemo.objects.filter(pk=memo.pk).update(state=State.PAID, paid_on=paid_on, late_charge=late_charge)
    append(
        type="duty.paid",
        subject=("duty", memo.subject),
        actor=actor,
        audience=memo.audience,
        data={"declaration": memo.subject, "memo": memo.number, "amount": f"{memo.amount:f}",
              "late_charge": f"{late_charge:f}", "paid_on": paid_on.isoformat()} | data,
    )  # fmt: skip


def count_in(subject: str, *, actor: str) -> None:
    """A memo that had been replaced was paid after all: ask for what is left, or make a refund of what is too much."""
    with transaction.atomic():
        lock(subject)
        stored = latest(subject)
        assert stored is not None  # a memo has an assessment
        memo = DutyMemo.objects.filter(subject=subject, state__in=(State.OPEN, State.GUARANTEED)).first()
        if memo is not None:
            draw = GuaranteeDraw.objects.filter(memo=memo, restored_at=None).select_related("guarantee").first()
            issue(
                subject=subject, payer_id=memo.payer_id, completed_on=memo.completed_on, audience=memo.audience,
                actor=actor, guarantee=draw.guarantee.number if draw is not None else None,
            )  # fmt: skip
            return
        owed = Decimal(0) if fell_away(subject) else stored.payable
        refunds.settle_due(
            subject=subject,
            amount=refunds.net_paid(subject) - owed,
            stored=stored,
            audience=stored.audience,
            actor=actor,
        )


def fell_away(subject: str) -> bool:
    """Nothing is owed any more by what was assessed last: the declaration was withdrawn or rejected since."""
    known = Event.objects.filter(
        subject_kind="duty", subject_number=subject, type__in=("duty.assessed", "duty.confirmed", "duty.fell_away")
    )
    return known.order_by("-sequence").values_list("type", flat=True).first() == "duty.fell_away"


def is_settled(subject: str) -> bool:
    """Release need not wait: what the latest assessment asks for is paid, guaranteed, or nothing."""
    stored = latest(subject)
    if stored is None:
        return False
    secured = DutyMemo.objects.filter(subject=subject, state=State.GUARANTEED).aggregate(total=Sum("amount"))["total"]
    return stored.payable <= refunds.net_paid(subject) + (secured or Decimal(0))


def withdraw(*, subject: str, actor: str) -> None:
    """The declaration fell away: void what is open, give back guarantee, quota and yearly limit."""
    with transaction.atomic():
        lock(subject)
        for memo in DutyMemo.objects.select_for_update().filter(
            subject=subject, state__in=(State.OPEN, State.GUARANTEED)
        ):
            _void(memo, actor)
        QuotaDraw.objects.filter(subject=subject).delete()
        RetailPurchase.objects.filter(subject=subject).delete()
        stored = latest(subject)
        if stored is not None:
            refunds.settle_due(
                subject=subject, amount=refunds.net_paid(subject), stored=stored, audience=stored.audience, actor=actor
            )


def open_guarantee(
    *,
    number: str,
    organisation_id: int,
    amount: Decimal,
    valid_from: date,
    last_day: date | None,
    summary: bool,
    actor: str,
) -> Guarantee:
    """Open a guarantee account (the bank's letter was accepted by customs)."""
    if amount <= 0:
        raise invalid([Fault("/amount", "not-positive", T("须大于零", "must be above zero"))])
    with transaction.atomic():
        if Guarantee.objects.filter(number=number).exists():
            raise Problem(409, "guarantee-exists", T("担保编号已存在", "This guarantee number exists already"))
        account = Guarantee.objects.create(
            number=number,
            organisation_id=organisation_id,
            amount=amount,
            summary=summary,
            valid=DateRange(valid_from, last_day + timedelta(days=1) if last_day else None),
        )
        append(type="guarantee.opened", subject=("guarantee", number), actor=actor, audience=[organisation_id],
               data={"number": number, "amount": f"{amount:f}", "summary": summary})  # fmt: skip
    return account
