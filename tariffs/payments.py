"""A bank's signed word that a memo was paid. Signed as Standard Webhooks do: id, timestamp and body, HMAC-SHA256."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from common.days import legal_day
from common.problems import Fault, Problem, conflict, invalid
from common.text import T

from . import latefees, lookup, memos
from .fixing import lock
from .models import DutyMemo, Payment, PaymentChannel
from .reports import read_report, receipt_number

#: A signature older or newer than this is not taken.
TOLERANCE_SECONDS = 300


def _unsigned(detail: Any) -> Problem:
    return Problem(401, "bad-signature", T("签名不正确", "The signature is not right"), detail=detail)


def verify(channel: PaymentChannel, headers: Mapping[str, str], body: bytes, *, now: float | None = None) -> None:
    """Raise Problem 401 unless one of the channel's secrets signed this id, this time and these bytes."""
    identifier, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not identifier or not re.fullmatch(r"\d{1,12}", stamp):
        raise _unsigned(T("缺少 webhook-id 或 webhook-timestamp", "webhook-id or webhook-timestamp is missing"))
    if abs((time.time() if now is None else now) - int(stamp)) > TOLERANCE_SECONDS:
        raise _unsigned(T("时间戳超出允许范围", "the timestamp is too far off"))
    signed = f"{identifier}.{stamp}.".encode() + body
    given = [
        part.removeprefix("v1,") for part in headers.get("webhook-signature", "").split() if part.startswith("v1,")
    ]
    for secret in channel.secrets:
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"))
        except binascii.Error:
            continue
        right = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        if any(hmac.compare_digest(right, candidate) for candidate in given):
            return
    raise _unsigned(T("没有与密钥相符的签名", "no signature fits a secret"))


def usable_secret(secret: str) -> bool:
    """Base64 of at least 24 bytes, with or without the prefix of Standard Webhooks: anything else would verify nothing."""
    try:
        return len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) >= 24
    except binascii.Error:
        return False


def change_secret(*, channel_id: int, secret: str) -> None:
    """A bank signs with a new secret. The one before stays good beside it, until the next change or `end_old_secret`."""
    if not usable_secret(secret):
        raise invalid(
            [Fault("/secret", "malformed", T("须为不少于 24 字节的 Base64", "must be Base64 of at least 24 bytes"))]
        )
    with transaction.atomic():
        channel = PaymentChannel.objects.select_for_update().get(pk=channel_id)
        if secret not in channel.secrets:
            channel.secrets = [secret, *channel.secrets[:1]]
            channel.save(update_fields=["secrets"])


def end_old_secret(*, channel_id: int) -> None:
    """Of two secrets the earlier one is good no longer."""
    with transaction.atomic():
        channel = PaymentChannel.objects.select_for_update().get(pk=channel_id)
        channel.secrets = channel.secrets[:1]
        channel.save(update_fields=["secrets"])


def record(*, channel: PaymentChannel, data: Any, actor: str) -> Payment:
    """Record a payment and settle its memo. The same reference again is the same payment. What was paid before the memo was
    replaced counts: the memo of now asks for the difference, or what is too much is given back.

    Raises Problem 422 for a malformed report or a wrong sum, 409 where the reference or the memo is used up."""
    report = read_report(data, document="memo", moment="paid_at")
    reference, number, amount, paid_at = report.reference, report.document, report.amount, report.moment
    found = DutyMemo.objects.filter(number=number).only("subject").first()
    if found is None:
        raise invalid([Fault("/memo", "unknown-memo", T("没有此税单", "there is no such memo"))])
    with transaction.atomic():
        lock(found.subject)
        memo = DutyMemo.objects.select_for_update().get(number=number)
        known = Payment.objects.filter(channel=channel, reference=reference).first()
        if known is not None:
            if known.memo_id != memo.pk or known.amount != amount:
                raise conflict(
                    "reference-reused", T("流水号已用于另一笔缴款", "the reference was used for another payment")
                )
            return known
        if memo.state == DutyMemo.State.PAID:
            raise conflict("already-paid", T("税单已缴款", "the memo is paid already"))
        replaced = memo.state == DutyMemo.State.VOID
        if replaced and (memo.voided_at is None or paid_at >= memo.voided_at):
            raise conflict("memo-void", T("税单已作废", "the memo is void"))
        paid_on = legal_day(paid_at)
        if paid_at > timezone.now() + timedelta(minutes=5) or paid_on < memo.completed_on:
            raise invalid(
                [Fault("/paid_at", "out-of-range", T("缴款时间不合理", "the time of payment cannot be right"))]
            )
        late = latefees.late_payment(memo.tax, memo.due_on, paid_on, lookup.current())
        wanted = memo.amount + late.amount
        if amount != wanted:
            raise invalid([Fault("/amount", "wrong-amount", T(
                "应缴 {wanted} 元（含滞纳金 {late} 元）", "{wanted} yuan are due (with a late charge of {late})",
                wanted=wanted, late=late.amount))])  # fmt: skip
        payment = Payment.objects.create(
            channel=channel, reference=reference, memo=memo, amount=amount, paid_at=paid_at
        )
        memos.settle(
            memo, paid_on=paid_on, late_charge=late.amount, actor=actor,
            data={"bank": channel.code, "reference": reference, "days_late": late.days},
        )  # fmt: skip
        if replaced:
            memos.count_in(memo.subject, actor=actor)
    return payment


def at_counter(*, subject: str, reference: str, actor: str) -> Payment:
    """Record that the open memo was paid at the counter, now, with the late charge of today. Raises Problem 409 where none is
    open, 422 without the receipt's number."""
    reference = receipt_number(reference)
    with transaction.atomic():
        lock(subject)
        memo = DutyMemo.objects.select_for_update().filter(subject=subject, state=DutyMemo.State.OPEN).first()
        if memo is None:
            raise conflict("nothing-open", T("没有未缴的税单", "No memo of it is open"))
        now = timezone.now()
        late = memos.late_on(memo, legal_day(now))
        payment = Payment.objects.create(
            channel=None, reference=reference, memo=memo, amount=memo.amount + late.amount, paid_at=now
        )
        memos.settle(
            memo, paid_on=legal_day(now), late_charge=late.amount, actor=actor,
            data={"reference": reference, "days_late": late.days, "counter": True},
        )  # fmt: skip
    return payment
