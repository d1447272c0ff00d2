"""Duty paid too much: what is to be given back, and the bank's word that it was.

A newer version of the assessment that comes to less than was paid, or a declaration that falls away after payment, makes a
refund (应退税款). The bank that took the payment confirms it with a signed report, as it does payments: the same reference is
the same refund, and a wrong sum changes nothing. What was paid at the counter is given back there. What facts.md is silent on is in docs/tariffs.md under what is assumed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from common.days import legal_day
from common.problems import Fault, conflict, invalid
from common.text import T
from events.log import append

from .fixing import lock
from .models import DutyMemo, DutyRefund, Payment, PaymentChannel, RefundConfirmation, StoredAssessment
from .reports import read_report, receipt_number

State = DutyRefund.State


def net_paid(subject: str) -> Decimal:
    """What was paid for a declaration and not given back."""
    paid = DutyMemo.objects.filter(subject=subject, state=DutyMemo.State.PAID).aggregate(total=Sum("amount"))["total"]
    back = DutyRefund.objects.filter(subject=subject, state=State.PAID).aggregate(total=Sum("amount"))["total"]
    return (paid or Decimal(0)) - (back or Decimal(0))


def settle_due(
    *, subject: str, amount: Decimal, stored: StoredAssessment, audience: Iterable[int], actor: str
) -> DutyRefund | None:
    """Make the refund of a locked declaration what it is now: `amount` yuan, or none. An earlier one still due is voided."""
    for held in DutyRefund.objects.select_for_update().filter(subject=subject, state=State.DUE):
        if held.amount == amount and held.assessment_id == stored.pk:
            return held
        DutyRefund.objects.filter(pk=held.pk).update(state=State.VOID)
        append(type="duty.refund_voided", subject=("duty", subject), actor=actor, audience=held.audience,
               data={"declaration": subject, "refund": held.number})  # fmt: skip
    if amount <= 0:
        return None
    last = Payment.objects.filter(memo__subject=subject).order_by("recorded_at").last()
    paid = DutyMemo.objects.filter(subject=subject, state=DutyMemo.State.PAID).latest("pk")
    refund = DutyRefund.objects.create(
        number=f"{subject}-R{DutyRefund.objects.filter(subject=subject).count() + 1:02d}",
        subject=subject,
        assessment=stored,
        payee_id=paid.payer_id,
        channel=last.channel if last is not None else None,  # before counter payments were recorded there was none
        audience=sorted(set(audience)),
        amount=amount,
    )
    append(
        type="duty.refund_due",
        subject=("duty", subject),
        actor=actor,
        audience=refund.audience,
        data={"declaration": subject, "version": stored.number, "refund": refund.number, "amount": f"{amount:f}"},
    )
    return refund


def confirm(*, channel: PaymentChannel, data: Any, actor: str) -> RefundConfirmation:
    """Record that the bank gave a refund back. The same reference again is the same confirmation.

    Raises Problem 422 for a malformed report or a wrong sum, 409 where the reference or the refund is used up."""
    report = read_report(data, document="refund", moment="refunded_at")
    found = DutyRefund.objects.filter(number=report.document, channel=channel).only("subject").first()
    if found is None:
        raise invalid([Fault("/refund", "unknown-refund", T("没有此笔退税", "there is no such refund"))])
    with transaction.atomic():
        lock(found.subject)
        refund = DutyRefund.objects.select_for_update().get(pk=found.pk)
        known = RefundConfirmation.objects.filter(channel=channel, reference=report.reference).first()
        if known is not None:
            if known.refund_id != refund.pk or known.amount != report.amount:
                raise conflict(
                    "reference-reused", T("流水号已用于另一笔退税", "the reference was used for another refund")
                )
            return known
        if refund.state == State.PAID:
            raise conflict("already-refunded", T("该笔税款已退", "this was given back already"))
        if refund.state == State.VOID:
            raise conflict("refund-void", T("该笔退税已作废", "the refund is void"))
        refunded_on = legal_day(report.moment)
        if report.moment > timezone.now() + timedelta(minutes=5) or refunded_on < legal_day(refund.created_at):
            raise invalid(
                [Fault("/refunded_at", "out-of-range", T("退税时间不合理", "the time of the refund cannot be right"))]
            )
        if report.amount != refund.amount:
            raise invalid([Fault("/amount", "wrong-amount", T(
                "应退 {wanted} 元", "{wanted} yuan are to be given back", wanted=refund.amount))])  # fmt: skip
        confirmation = RefundConfirmation.objects.create(
            channel=channel, reference=report.reference, refund=refund, amount=report.amount, refunded_at=report.moment
        )
        _given_back(refund, on=refunded_on, actor=actor, data={"bank": channel.code, "reference": report.reference})
    return confirmation


def at_counter(*, subject: str, reference: str, actor: str) -> RefundConfirmation:
    """Record that what is due was given back at the counter, now. Raises Problem 409 where no refund waits for the counter, 422
    without the voucher's number."""
    reference = receipt_number(reference)
    with transaction.atomic():
        lock(subject)
        refund = DutyRefund.objects.select_for_update().filter(subject=subject, state=State.DUE, channel=None).first()
        if refund is None:
            raise conflict("no-refund-due", T("没有须在柜台退还的税款", "Nothing is to be given back at the counter"))
        now = timezone.now()
        confirmation = RefundConfirmation.objects.create(
            channel=None, reference=reference, refund=refund, amount=refund.amount, refunded_at=now
        )
        _given_back(refund, on=legal_day(now), actor=actor, data={"reference": reference, "counter": True})
    return confirmation


def _given_back(refund: DutyRefund, *, on: date, actor: str, data: dict[str, Any]) -> None:
    DutyRefund.objects.filter(pk=refund.pk).update(state=State.PAID, refunded_on=on)
    append(
        type="duty.refunded",
        subject=("duty", refund.subject),
        actor=actor,
        audience=refund.audience,
        data={"declaration": refund.subject, "refund": refund.number, "amount": f"{refund.amount:f}",
              "refunded_on": on.isoformat()} | data,
    )  # fmt: skip
