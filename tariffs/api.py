"""The tariff over the API: look up, search, quote, explain, memos, a bank's word that one was paid or given back."""

from __future__ import annotations

import uuid
from datetime import date
from decimal import Decimal
from typing import Any

from django.utils.translation import get_language
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import View
from common.asked import asked_day
from common.days import today
from common.problems import Fault, Problem, conflict, invalid, not_found
from common.text import T, side
from parties.principals import caller
from refdata import codes

from . import answers, changes, fixing, inputs, lookup, memos, payments, rates, refunds, search
from .assessment import assess
from .basis import Notice
from .book import Commodity, Measure, prefixes
from .models import CommodityLine, DutyMemo, DutyRefund, Payment, PaymentChannel, StoredAssessment
from .schemas import (
    AssessmentSerializer,
    ChangesSerializer,
    CommoditySerializer,
    ExplanationSerializer,
    FoundSerializer,
    MemoPageSerializer,
    MemoSerializer,
    PaymentSerializer,
    QuotationRequestSerializer,
    RefundConfirmationSerializer,
    RefundPageSerializer,
    RefundSerializer,
)
from .selection import KIND_NAMES, Claim, select_import

ON = OpenApiParameter("on", OpenApiTypes.DATE, description="法定日，默认今日 / legal day, default today")


def day_of(request: Request, name: str = "on") -> date:
    return asked_day(request.query_params, name) or today()


def english() -> bool:
    return (get_language() or "").startswith("en")


def name_of(line: Commodity | CommodityLine) -> str:
    return (line.name_en or line.name_zh) if english() else (line.name_zh or line.name_en)


# -- commodities


class Commodities(View):
    scopes = {"GET": "tariff:read"}

    @extend_schema(
        operation_id="tariff_search",
        summary="按词语或编号前缀查找商品 / Find commodities by words or by the beginning of the code",
        parameters=[
            OpenApiParameter(
                "q", OpenApiTypes.STR, required=True, description="中英文词语或编号前缀 / words or digits"
            ),
            ON,
            OpenApiParameter("limit", OpenApiTypes.INT, description="1–50"),
        ],
        responses=FoundSerializer,
    )
    def get(self, request: Request) -> Response:
        query = request.query_params.get("q", "")
        limit = request.query_params.get("limit", "20")
        faults = []
        if not query.strip() or len(query) > 100 or "\x00" in query:
            faults.append(Fault("/q", "missing", T("须有 1–100 个字符的检索词", "1 to 100 characters are needed")))
        if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit[:6]) <= 50:
            faults.append(Fault("/limit", "out-of-range", T("须为 1–50", "must be 1 to 50")))
        if faults:
            raise invalid(faults)
        found = search.find(query, day_of(request), limit=int(limit))
        return Response(
            {
                "results": [
                    {
                        "code": line.code,
                        "name": name_of(line),
                        "name_zh": line.name_zh,
                        "name_en": line.name_en,
                        "unit1": line.unit1,
                        "unit2": line.unit2,
                        "example": line.example,
                    }
                    for line in found
                ]
            }
        )


class CommodityDetail(View):
    scopes = {"GET": "tariff:read"}

    @extend_schema(
        operation_id="tariff_commodity",
        summary="一个商品编号：单位、要素、监管条件、全部税率 / One commodity code with units, elements, documents, rates",
        description="`origin` 给出该原产地在不申报享惠时适用的税率。\n\nWith `origin`, `applicable` is the rate without a claim.",
        parameters=[ON, OpenApiParameter("origin", OpenApiTypes.STR, description="ISO 3166 alpha-3")],
        responses=CommoditySerializer,
    )
    def get(self, request: Request, code: str) -> Response:
        day = day_of(request)
        origin = request.query_params.get("origin", "")
        if origin and not (len(origin) == 3 and origin.isascii() and origin.isalpha() and origin.isupper()):
            raise invalid([Fault("/origin", "malformed", T("须为三位字母代码", "must be a three-letter code"))])
        if not code.isascii() or not code.isdigit():
            raise not_found()
        book = lookup.current()
        line = book.commodity(code, day)
        if line is None:
            ended = book.ended_on(code, day)
            if ended is not None:
                raise Problem(404, "code-ended", T("该商品编号已停用", "This commodity code has ended"),
                              detail=T("自 {day} 起停用", "since {day}", day=ended))  # fmt: skip
            raise not_found()
        measures = book.measures(code, day)
        answer = {
            "code": line.code,
            "name": name_of(line),
            "name_zh": line.name_zh,
            "name_en": line.name_en,
            "on": day,
            "path": [
                {"code": above.code, "name": name_of(above)}
                for prefix in prefixes(code)[:-1]
                if (above := book.commodity(prefix, day)) is not None
            ],
            "units": [{"code": unit, "name": codes.name("unit", unit)} for unit in (line.unit1, line.unit2) if unit],
            "elements": list(line.elements),
            "documents": [{"code": one, "name": codes.name("licence_document", one)} for one in line.documents],
            "inspection": line.inspection,
            "valid_from": line.start,
            "valid_to": line.end,
            "example": line.example or any(measure.example for measure in measures),
            "tariff_version": book.version,
            "measures": [measure_json(measure) for measure in sorted(measures, key=lambda m: (m.kind, m.group))],
            "applicable": None,
        }
        if origin:
            chosen = select_import(measures, book.groups(origin, day), Claim(origin), rates.Goods(Decimal(100)))
            answer["applicable"] = {
                "origin": origin,
                "groups": sorted(book.groups(origin, day)),
                "duty": None if chosen.duty is None else measure_json(chosen.duty),
                "reason": chosen.reason,
                "remedies": [measure_json(measure) for measure in chosen.remedies],
            }
        return Response(answer)


def measure_json(measure: Measure) -> dict[str, Any]:
    return {
        "kind": measure.kind,
        "name": str(T(*KIND_NAMES[measure.kind])),
        "code": measure.code,
        "origin": measure.group,
        "agreement": measure.agreement,
        "exporter": measure.exporter,
        "rate": str(measure.rate),
        "units": rates.units(measure.rate),
        "quota": measure.quota,
        "legal_basis": measure.basis,
        "valid_from": measure.start,
        "valid_to": measure.end,
        "example": measure.example,
    }


class Changes(View):
    scopes = {"GET": "tariff:read"}

    @extend_schema(
        operation_id="tariff_changes",
        summary="两日之间税率的差异 / What differs between two days",
        parameters=[
            OpenApiParameter("from", OpenApiTypes.DATE, required=True),
            OpenApiParameter("to", OpenApiTypes.DATE, required=True),
            OpenApiParameter("prefix", OpenApiTypes.STR, description="编号前缀 / beginning of the code"),
        ],
        responses=ChangesSerializer,
    )
    def get(self, request: Request) -> Response:
        first, second = day_of(request, "from"), day_of(request, "to")
        prefix = request.query_params.get("prefix", "")
        if prefix and not (prefix.isascii() and prefix.isdigit()):
            raise invalid([Fault("/prefix", "malformed", T("须为数字", "must be digits"))])
        return Response(changes.between(first, second, prefix=prefix[:10]))


# -- quotations and assessments

EXAMPLE = {
    "direction": "I",
    "completed_on": "2026-10-12",
    "regime": "0110",
    "levy_nature": "101",
    "trade_terms": "3",
    "freight": {"mark": "3", "value": "1200", "currency": "USD"},
    "insurance": {"mark": "1", "value": "0.3"},
    "items": [{"code": "8509801000", "total": "22000", "currency": "USD", "origin": "DEU"}],
}


class Assessments(View):
    """A quotation changes nothing, so it needs no Idempotency-Key; under one, a quotation to be kept is kept once."""

    scopes = {"POST": "tariff:read"}
    idempotent = True

    @extend_schema(
        operation_id="tariff_quotation",
        summary="税费试算 / Quotation of duties and taxes",
        description=(
            "与报关单税费核定同一算法、同一结果格式。`explain: true` 附逐步说明；`keep: true` 保存试算并给出编号。\n\n"
            "The arithmetic and the answer of a declaration's assessment. `explain: true` adds the steps, `keep: true` "
            "stores the quotation and gives it an id."
        ),
        request=QuotationRequestSerializer,
        responses={200: AssessmentSerializer},
        examples=[OpenApiExample("FOB", value=EXAMPLE, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        data: Any = request.data
        asked = inputs.from_json(data)
        explain, keep = (data.get(name, False) for name in ("explain", "keep"))
        for name, value in (("explain", explain), ("keep", keep)):
            if not isinstance(value, bool):
                raise invalid([Fault(f"/{name}", "not-a-flag", T("须为 true 或 false", "must be true or false"))])
        if keep:
            principal = caller(request)
            stored = fixing.keep_quotation(
                subject=f"Q{uuid.uuid4().hex}", request=asked, audience=[principal.organisation_id or 0],
                actor=principal.actor,
            )  # fmt: skip
            return Response(fixing.answer(stored, explain=explain))
        book = lookup.current()
        book.preload(item.code for item in asked.items)
        return Response(answers.as_json(assess(asked, book), explain=explain))


def stored_for(request: Request, pk: int) -> StoredAssessment:
    found = StoredAssessment.objects.visible_to(caller(request)).filter(pk=pk).first()
    if found is None:
        raise not_found()
    return found


class AssessmentDetail(View):
    scopes = {"GET": "tariff:read"}

    @extend_schema(
        operation_id="tariff_assessment", summary="一次税费核定 / One stored assessment", responses=AssessmentSerializer
    )
    def get(self, request: Request, pk: int) -> Response:
        return Response(fixing.answer(stored_for(request, pk)))


class Explain(View):
    scopes = {"GET": "tariff:read"}

    @extend_schema(
        operation_id="tariff_explanation",
        summary="每个数字的公式、输入、取整和法律依据 / Formula, inputs, rounding and legal basis of each figure",
        responses=ExplanationSerializer,
    )
    def get(self, request: Request, pk: int) -> Response:
        stored = stored_for(request, pk)
        return Response({"id": stored.pk, "version": stored.number, "steps": fixing.explanation(stored)})


# -- memos and payments


def memo_json(memo: DutyMemo) -> dict[str, Any]:
    """With what it comes to when it is paid today: the sum a bank's report must have."""
    waits = memo.state in (DutyMemo.State.OPEN, DutyMemo.State.GUARANTEED)
    late = memos.late_on(memo, today())
    return {
        "number": memo.number,
        "declaration": memo.subject,
        "assessment": memo.assessment_id,
        "state": memo.state,
        "state_text": str(DutyMemo.State(memo.state).label),
        "lines": memo.lines,
        "amount": memo.amount,
        "tax": memo.tax,
        "currency": "CNY",
        "issued_at": memo.issued_at,
        "completed_on": memo.completed_on,
        "due_on": memo.due_on,
        "paid_on": memo.paid_on,
        "late_charge": memo.late_charge,
        "days_late": late.days,
        "late_charge_today": late.amount,
        "late_charge_line": late.step.line(side()) if late.step is not None else "",
        "payable_today": memo.amount + late.amount if waits else Decimal("0.00"),
        "notices": [Notice(notice["code"], params=notice["params"]).as_json(side()) for notice in memo.notices],
    }


class Memos(View):
    scopes = {"GET": "tariff:read"}

    @extend_schema(
        operation_id="tariff_memos",
        summary="本单位税单 / Duty memos one may see",
        parameters=[
            OpenApiParameter("declaration", OpenApiTypes.STR),
            OpenApiParameter("state", OpenApiTypes.STR, enum=DutyMemo.State.values),
            OpenApiParameter("cursor", OpenApiTypes.STR),
            OpenApiParameter("page_size", OpenApiTypes.INT),
        ],
        responses=MemoPageSerializer,
    )
    def get(self, request: Request) -> Response:
        rows = DutyMemo.objects.visible_to(caller(request))
        if declaration := request.query_params.get("declaration"):
            rows = rows.filter(subject=declaration)
        if state := request.query_params.get("state"):
            rows = rows.filter(state=state)
        return self.paged(request, rows, memo_json, ordering=("-issued_at", "-id"))


class MemoDetail(View):
    scopes = {"GET": "tariff:read"}

    @extend_schema(operation_id="tariff_memo", summary="一张税单 / One duty memo", responses=MemoSerializer)
    def get(self, request: Request, number: str) -> Response:
        memo = DutyMemo.objects.visible_to(caller(request)).filter(number=number).first()
        if memo is None:
            raise not_found()
        return Response(memo_json(memo))


_SIGNATURE = [
    OpenApiParameter(name, OpenApiTypes.STR, OpenApiParameter.HEADER)
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
]


def _bank(request: Request) -> PaymentChannel:
    """The caller's channel, where the body is signed with one of its secrets."""
    body = request._request.body
    channel = PaymentChannel.objects.filter(organisation_id=caller(request).organisation_id or 0, active=True).first()
    if channel is None:
        raise conflict("no-payment-channel", T("本单位未登记缴款渠道", "no payment channel is registered for you"))
    payments.verify(channel, request.headers, body)
    return channel


class Payments(View):
    """Idempotent by the bank's own reference; the signature covers the very bytes of the body."""

    scopes = {"POST": "payments:write"}

    @extend_schema(
        operation_id="tariff_payment",
        summary="银行回传缴款结果 / A bank reports a payment",
        description=(
            "除访问令牌外须按 Standard Webhooks 签名（webhook-id、webhook-timestamp、webhook-signature）。同一流水号重复回传，"
            "结果相同。\n\nBesides the token the body is signed as Standard Webhooks do. The same reference reported again is "
            "the same payment."
        ),
        request=OpenApiTypes.OBJECT,
        responses={200: PaymentSerializer},
        parameters=_SIGNATURE,
        examples=[
            OpenApiExample(
                "paid",
                value={"reference": "2026102000001", "memo": "800020261000000001-01", "amount": "31127.60",
                       "paid_at": "2026-10-20T10:00:00+08:00"},
                request_only=True,
            )
        ],
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        payment = payments.record(channel=_bank(request), data=request.data, actor=caller(request).actor)
        return Response(payment_json(payment))


def payment_json(payment: Payment) -> dict[str, Any]:
    memo = payment.memo
    return {
        "reference": payment.reference,
        "memo": memo.number,
        "amount": payment.amount,
        "paid_at": payment.paid_at,
        "late_charge": DutyMemo.objects.values_list("late_charge", flat=True).get(pk=memo.pk),
        "settled": memos.is_settled(memo.subject),
    }


def refund_json(refund: DutyRefund) -> dict[str, Any]:
    return {
        "number": refund.number,
        "declaration": refund.subject,
        "assessment": refund.assessment_id,
        "state": refund.state,
        "state_text": str(DutyRefund.State(refund.state).label),
        "amount": refund.amount,
        "currency": "CNY",
        "bank": refund.channel.code if refund.channel is not None else None,
        "created_at": refund.created_at,
        "refunded_on": refund.refunded_on,
    }


class Refunds(View):
    scopes = {"GET": "tariff:read"}

    @extend_schema(
        operation_id="tariff_refunds",
        summary="本单位应退税款 / Refunds one may see",
        parameters=[
            OpenApiParameter("declaration", OpenApiTypes.STR),
            OpenApiParameter("state", OpenApiTypes.STR, enum=DutyRefund.State.values),
            OpenApiParameter("cursor", OpenApiTypes.STR),
            OpenApiParameter("page_size", OpenApiTypes.INT),
        ],
        responses=RefundPageSerializer,
    )
    def get(self, request: Request) -> Response:
        rows = DutyRefund.objects.visible_to(caller(request)).select_related("channel")
        if declaration := request.query_params.get("declaration"):
            rows = rows.filter(subject=declaration)
        if state := request.query_params.get("state"):
            rows = rows.filter(state=state)
        return self.paged(request, rows, refund_json, ordering=("-created_at", "-id"))


class RefundDetail(View):
    scopes = {"GET": "tariff:read"}

    @extend_schema(operation_id="tariff_refund", summary="一笔应退税款 / One refund", responses=RefundSerializer)
    def get(self, request: Request, number: str) -> Response:
        rows = DutyRefund.objects.visible_to(caller(request)).select_related("channel")
        refund = rows.filter(number=number).first()
        if refund is None:
            raise not_found()
        return Response(refund_json(refund))


class RefundConfirmations(View):
    """As with payments: the bank's own reference makes it idempotent, the signature covers the bytes."""

    scopes = {"POST": "payments:write"}

    @extend_schema(
        operation_id="tariff_refund_confirmation",
        summary="银行回传退税结果 / A bank reports that a refund was given back",
        request=OpenApiTypes.OBJECT,
        responses={200: RefundConfirmationSerializer},
        parameters=_SIGNATURE,
        examples=[
            OpenApiExample(
                "given back",
                value={"reference": "2026110300007", "refund": "800020261000000001-R01", "amount": "2910.11",
                       "refunded_at": "2026-11-03T10:00:00+08:00"},
                request_only=True,
            )
        ],
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        done = refunds.confirm(channel=_bank(request), data=request.data, actor=caller(request).actor)
        return Response(
            {"reference": done.reference, "refund": done.refund.number, "amount": done.amount,
             "refunded_at": done.refunded_at}
        )  # fmt: skip
