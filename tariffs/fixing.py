"""Fixing what a declaration owes: an assessment is stored as a version, and versions are only added.

Every command takes the subject's lock first, so versions, draws and memos of one declaration come one after another.
Events have the subject ("duty", declaration number).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Sum
from django.utils import translation

from common.json import dumps, loads
from common.problems import Fault, Problem, invalid
from common.text import T
from events.log import append

from . import answers, inputs, lookup, retail
from .assessed import Assessment
from .assessment import assess
from .inputs import AssessmentInput
from .models import QuotaDraw, RetailPurchase, StoredAssessment
from .quotas import KILOGRAM
from .rates import RateTextError, fen, parse

LANGUAGES = ("zh-hans", "en")
#: How a stored request names its buyer.
_DIGEST = "digest:"
Overrides = Mapping[str, Mapping[str, str]]


def lock(subject: str) -> None:
    """One command at a time about one declaration's duties, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 7230918))", [f"duty:{subject}"])


def quote(request: AssessmentInput, *, subject: str = "") -> Assessment:
    """The arithmetic on the tables of now; nothing is stored. What ``subject`` has drawn on a quota is its own to use again."""
    book = lookup.current()
    book.preload(item.code for item in request.items)
    return assess(request, book, subject)


def buyer_digest(reference: str) -> str:
    """A buyer's number is personal: only this keyed digest is kept. What is a digest already stays one."""
    if reference.startswith(_DIGEST):
        return reference.removeprefix(_DIGEST)
    return hmac.new(settings.SECRET_KEY.encode(), reference.encode(), hashlib.sha256).hexdigest()


def fix(
    *,
    subject: str,
    request: AssessmentInput,
    audience: Iterable[int],
    actor: str,
    reason: str = "",
    overrides: Overrides | None = None,
) -> StoredAssessment:
    """Store the assessment of a declaration as its next version and append `duty.assessed`.

    Draws quotas and a retail buyer's yearly limit anew. Raises Problem 422 with all faults; then nothing is stored."""
    overrides = overrides or {}
    with transaction.atomic():
        lock(subject)
        previous = latest(subject)
        QuotaDraw.objects.filter(subject=subject).delete()
        RetailPurchase.objects.filter(subject=subject).delete()
        _lock_limits(request)
        asked = _with_yearly_use(request)
        found = quote(_with_overrides(asked, overrides))
        _draw(subject, found)
        number = previous.number + 1 if previous else 1
        stored = _store(
            subject, number, asked, found, audience=audience, actor=actor, reason=reason, overrides=overrides
        )
        append(
            type="duty.assessed",
            subject=("duty", subject),
            actor=actor,
            audience=stored.audience,
            data={
                "declaration": subject,
                "version": stored.number,
                "payable": f"{found.payable:f}",
                "customs_value": f"{found.customs_value:f}",
                "late_declaration_fee": f"{found.late_declaration_fee:f}",
                "taxes": {
                    tax: f"{found.total(tax):f}"
                    for tax in dict.fromkeys(line.tax for result in found.items for line in result.taxes)
                },
                "reason": reason,
            },
        )
    return stored


def keep_quotation(*, subject: str, request: AssessmentInput, audience: Iterable[int], actor: str) -> StoredAssessment:
    """Store a quotation so that it can be read and explained later. It draws nothing and is no event."""
    request = _with_yearly_use(request)
    found = quote(request)
    return _store(subject, 1, request, found, audience=audience, actor=actor, reason="quotation", overrides={})


def _store(
    subject: str,
    number: int,
    request: AssessmentInput,
    found: Assessment,
    *,
    audience: Iterable[int],
    actor: str,
    reason: str,
    overrides: Overrides,
) -> StoredAssessment:
    return StoredAssessment.objects.create(
        subject=subject,
        number=number,
        audience=sorted(set(audience)),
        request=inputs.to_json(request),
        answer=_in_languages(lambda: answers.as_json(found)),
        explanation=_in_languages(lambda: answers.explanation(found)),
        payable=found.payable,
        customs_value=found.customs_value,
        tariff_version=found.version,
        rate_day=found.rate_day,
        reason=reason,
        overrides={number: dict(values) for number, values in overrides.items()},
        actor=actor,
    )


def override(
    *, subject: str, request: AssessmentInput, changes: Overrides, reason: str, audience: Iterable[int], actor: str
) -> StoredAssessment:
    """An officer fixes a customs value, a rate or a reduction, with a reason: a new version of what is asked now, the earlier
    ones stay, and what was fixed before and is not named stands.

    `changes`: item number -> {"customs_value": yuan, "rate": canonical text, "reduction": per cent still levied in a special
    case (duty mode 4)}; a blank value takes the override back."""
    if not reason.strip():
        raise invalid([Fault("/reason", "missing", T("须说明理由", "a reason is needed"))])
    with transaction.atomic():
        lock(subject)
        before = kept(latest(subject), request)
        faults = _check(changes, len(request.items))
        if faults:
            raise invalid(faults)
        merged = {number: dict(values) for number, values in before.items()}
        for number, values in changes.items():
            held = merged.setdefault(number, {})
            for name, value in values.items():
                if value:
                    held[name] = value
                else:
                    held.pop(name, None)
        merged = {number: values for number, values in merged.items() if values}
        if merged == before:
            raise invalid(
                [Fault("/changes", "nothing-fixed", T("没有改动任何核定内容", "nothing is fixed that was not before"))]
            )
        return fix(subject=subject, request=request, audience=audience, actor=actor, reason=reason, overrides=merged)


def kept(previous: StoredAssessment | None, request: AssessmentInput) -> dict[str, dict[str, str]]:
    """An officer's values and rates go on with the items they were fixed for: those asked about in the same words, in the same
    place or where they have moved to. What was fixed for an item that is another now is dropped."""
    if previous is None:
        return {}
    before, now = previous.request["items"], inputs.to_json(request)["items"]
    found = {}
    for number, values in previous.overrides.items():
        item = before[int(number) - 1]
        places = [place for place, row in enumerate(now) if row == item]
        moved = [place for place in places if place >= len(before) or before[place] != item]
        place = int(number) - 1 if int(number) - 1 in places else next(iter(moved), None)
        if place is not None:
            found[str(place + 1)] = dict(values)
    return found


def _check(changes: Overrides, count: int) -> list[Fault]:
    faults = []
    for number, values in changes.items():
        if not number.isdigit() or not 1 <= int(number) <= count:
            faults.append(Fault(f"/{number}", "unknown-item", T("没有该项商品", "there is no such item")))
        if rate := values.get("rate"):
            try:
                parse(rate)
            except RateTextError:
                faults.append(Fault(f"/{number}/rate", "not-a-rate", T("税率格式不正确", "this is not a rate")))
        if share := values.get("reduction"):
            try:
                wrong = not 0 <= Decimal(share) <= 100
            except ArithmeticError:
                wrong = True
            if wrong:
                faults.append(Fault(f"/{number}/reduction", "not-a-share", T("须为 0 至 100", "must be 0 to 100")))
        if value := values.get("customs_value"):
            try:
                wrong = not 0 < Decimal(value) < Decimal(10) ** 14 or fen(Decimal(value)) != Decimal(value)
            except ArithmeticError:
                wrong = True
            if wrong:
                faults.append(
                    Fault(f"/{number}/customs_value", "not-an-amount", T("须为大于零的金额（到分）", "an amount above zero, to the fen"))
                )  # fmt: skip
    return faults


def _with_overrides(request: AssessmentInput, overrides: Overrides) -> AssessmentInput:
    if not overrides:
        return request
    items = []
    for item in request.items:
        fixed = overrides.get(str(item.number), {})
        value, share = fixed.get("customs_value"), fixed.get("reduction")
        item = replace(item, fixed_value=Decimal(value) if value else None, fixed_rate=fixed.get("rate", ""))
        items.append(replace(item, reduction=Decimal(share)) if share else item)
    return replace(request, items=tuple(items))


def _lock_limits(request: AssessmentInput) -> None:
    """Quotas and a buyer's year are shared between declarations: take their locks in one order."""
    keys = ["quota"] if any(item.quota for item in request.items) else []
    if request.buyer is not None and request.buyer.reference:
        keys.append(f"buyer:{buyer_digest(request.buyer.reference)}")
    with connection.cursor() as cursor:
        for key in keys:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 7230919))", [key])


def _with_yearly_use(request: AssessmentInput) -> AssessmentInput:
    """What a known buyer bought this year through this system, where the request does not say more."""
    buyer = request.buyer
    if buyer is None or not buyer.reference or not retail.applies(request):
        return request
    used = RetailPurchase.objects.filter(buyer=buyer_digest(buyer.reference), year=request.rate_day().year).aggregate(
        total=Sum("value")
    )["total"] or Decimal(0)
    return replace(
        request,
        buyer=replace(
            buyer,
            reference=f"{_DIGEST}{buyer_digest(buyer.reference)}",
            used_this_year=max(used, buyer.used_this_year),
        ),
    )


def _draw(subject: str, found: Assessment) -> None:
    for result in found.items:
        if quota := result.quota():
            QuotaDraw.objects.create(
                quota=quota, subject=subject, day=found.rate_day, quantity=result.goods.quantity(KILOGRAM, "")
            )
    buyer = found.request.buyer
    if buyer is not None and buyer.reference and retail.applies(found.request):
        RetailPurchase.objects.create(
            subject=subject, buyer=buyer_digest(buyer.reference), year=found.rate_day.year, value=found.customs_value
        )


def _in_languages(make: Any) -> dict[str, Any]:
    made = {}
    for language in LANGUAGES:
        with translation.override(language):
            made[language] = loads(dumps(make()))
    return made


def _here(texts: dict[str, Any]) -> Any:
    return texts["en" if (translation.get_language() or "").startswith("en") else "zh-hans"]


def latest(subject: str) -> StoredAssessment | None:
    return StoredAssessment.objects.filter(subject=subject).order_by("-number").first()


def answer(stored: StoredAssessment, *, explain: bool = False) -> dict[str, Any]:
    """A stored assessment in the shape of a quotation's answer, in the active language."""
    body = {
        **_here(stored.answer),
        "id": stored.pk,
        "declaration": stored.subject,
        "version": stored.number,
        "fixed_at": stored.created_at,
        "reason": stored.reason,
        "overrides": stored.overrides,
    }
    if explain:
        body["explanation"] = _here(stored.explanation)
    return body


def explanation(stored: StoredAssessment) -> list[dict[str, Any]]:
    return list(_here(stored.explanation))


def answer_for(subject: str, *, explain: bool = False) -> dict[str, Any]:
    """What `GET /declarations/{number}/assessment` gives. Raises Problem 404 where nothing was assessed yet."""
    stored = latest(subject)
    if stored is None:
        raise Problem(404, "not-assessed", T("尚未核定税费", "Nothing has been assessed yet"))
    return answer(stored, explain=explain)
