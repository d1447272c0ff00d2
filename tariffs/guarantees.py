"""What a guarantee account secures: a memo, or goods that were let go before their duties were fixed (a summary's), until a memo
that is secured or paid takes their place."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from django.db import transaction
from django.db.models import Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from common.days import today
from events.log import append

from .fixing import lock
from .models import Guarantee, GuaranteeDraw


def covering(organisations: Iterable[int], amount: Decimal | None, *, subject: str = "") -> list[Guarantee]:
    """Their accounts in force today that cover the amount (where it is not known: that have something free), those of summary
    payment first. What ``subject`` has drawn on an account itself does not count against it."""
    own = Sum("guaranteedraw__amount", filter=Q(guaranteedraw__restored_at=None, guaranteedraw__subject=subject))
    accounts = Guarantee.objects.filter(organisation_id__in=organisations).annotate(own=Coalesce(own, Decimal(0)))
    return [
        account
        for account in accounts.order_by("-summary", "number")
        if account.holds_on(today()) and _covers(account.free() + account.own, amount)
    ]


def _covers(free: Decimal, amount: Decimal | None) -> bool:
    return free > 0 if amount is None else free >= amount


def secure_goods(
    *, subject: str, organisations: Iterable[int], amount: Decimal | None, audience: Iterable[int], actor: str
) -> bool:
    """Draw on an account for goods that are let go now; an amount that is not known takes all that is free. False where none
    covers it."""
    with transaction.atomic():
        lock(subject)
        for offered in covering(organisations, amount):
            account = Guarantee.objects.select_for_update().get(pk=offered.pk)
            if not _covers(account.free(), amount):  # drawn by another meanwhile
                continue
            drawn = account.free() if amount is None else amount
            Guarantee.objects.filter(pk=account.pk).update(drawn=account.drawn + drawn)
            GuaranteeDraw.objects.create(guarantee=account, subject=subject, amount=drawn)
            append(
                type="duty.goods_guaranteed",
                subject=("duty", subject),
                actor=actor,
                audience=sorted(audience),
                data={"declaration": subject, "guarantee": account.number, "amount": f"{drawn:f}"},
            )
            return True
    return False


def goods_of(subject: str) -> QuerySet[GuaranteeDraw]:
    """What was drawn for goods that were let go before there was a memo."""
    return GuaranteeDraw.objects.filter(subject=subject, memo=None)


def restore(draws: QuerySet[GuaranteeDraw]) -> None:
    """Give back what these draws took and still hold."""
    for draw in draws.filter(restored_at=None).select_for_update():
        account = Guarantee.objects.select_for_update().get(pk=draw.guarantee_id)
        Guarantee.objects.filter(pk=account.pk).update(drawn=account.drawn - draw.amount)
        GuaranteeDraw.objects.filter(pk=draw.pk).update(restored_at=timezone.now())
