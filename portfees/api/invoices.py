"""Reported invoices, what their check found, and complaints about their lines."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    extend_schema,
    extend_schema_field,
    extend_schema_view,
)
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import DayField, View
from common.problems import not_found
from events.models import Event
from parties.principals import caller
from portfees import invoices
from portfees.models import (
    Complaint,
    Condition,
    Direction,
    Invoice,
    InvoiceLine,
)


class InvoiceLineInput(serializers.Serializer):
    code = serializers.CharField(max_length=40)
    service_day = DayField()
    quantity = serializers.DecimalField(max_digits=14, decimal_places=4)
    amount = serializers.DecimalField(max_digits=16, decimal_places=2)
    currency = serializers.RegexField(r"^[A-Z]{3}$", default="CNY")
    container_size = serializers.ChoiceField(choices=["", "20", "40", "45"], default="")
    condition = serializers.ChoiceField(choices=Condition.choices, default="")
    direction = serializers.ChoiceField(choices=Direction.choices, default="")
    trade_lane = serializers.CharField(max_length=40, allow_blank=True, default="")
    days = serializers.IntegerField(min_value=0, max_value=3650, required=False, allow_null=True)


class InvoiceInput(serializers.Serializer):
    number = serializers.CharField(max_length=60)
    payer = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
    port = serializers.RegexField(r"^[A-Z]{2}[A-Z2-9]{3}$")
    area = serializers.CharField(max_length=80, allow_blank=True, default="")
    issued_on = DayField()
    reference = serializers.CharField(max_length=60, allow_blank=True, default="")
    replaces = serializers.CharField(
        max_length=60,
        allow_blank=True,
        default="",
        help_text="所更正的账单号 / number of the invoice this one corrects",
    )
    lines = InvoiceLineInput(many=True, allow_empty=False)


class InvoiceLineSerializer(serializers.ModelSerializer):
    class Meta:
        model = InvoiceLine
        fields = ["line", "code", "service_day", "quantity", "days", "amount", "currency", "finding", "listed_amount"]
        read_only_fields = fields


class InvoiceSerializer(serializers.ModelSerializer):
    lines = InvoiceLineSerializer(many=True, read_only=True)
    body = serializers.CharField(source="body.name", read_only=True)
    payer = serializers.CharField(source="payer.name", read_only=True)
    replaces = serializers.CharField(source="replaces.number", read_only=True, allow_null=True)

    class Meta:
        model = Invoice
        fields = [
            "id", "number", "body", "payer", "port", "area", "issued_on", "reference", "replaces", "cancelled_at",
            "cancel_reason", "lines",
        ]  # fmt: skip
        read_only_fields = fields


@extend_schema_view(
    get=extend_schema(
        summary="账单与核对结果 / invoices and findings",
        parameters=[OpenApiParameter("deviating", bool, description="只看有偏差的 / only those that deviate")],
        responses=InvoiceSerializer(many=True),
    ),
    post=extend_schema(
        summary="报送账单 / report an invoice",
        request=InvoiceInput,
        responses={201: InvoiceSerializer},
        examples=[
            OpenApiExample(
                "one line",
                {
                    "number": "INV-2026-1",
                    "payer": 1,
                    "port": "CNQZH",
                    "issued_on": "2026-11-20",
                    "lines": [{"code": "LUMP", "service_day": "2026-11-18", "quantity": "2", "amount": "1000.00"}],
                },
                request_only=True,
            )
        ],
    ),
)
class Invoices(View):
    scopes = {"GET": "portfees:read", "POST": "portfees:write"}
    idempotent = True

    def get(self, request: Request) -> Response:
        found = Invoice.objects.visible_to(caller(request)).select_related(*WITH).prefetch_related("lines")
        if request.query_params.get("deviating") in ("true", "1"):
            wrong = InvoiceLine.objects.filter(finding__in=["above", "not_listed", "no_list"])
            found = found.filter(pk__in=wrong.values("invoice"))
        return self.paged(request, found, InvoiceSerializer)

    def post(self, request: Request) -> Response:
        wanted = InvoiceInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        terms = dict(wanted.validated_data)
        invoice = invoices.report(
            principal=caller(request),
            payer_id=terms.pop("payer"),
            lines=[invoices.Line(**line) for line in terms.pop("lines")],
            **terms,
        )
        return Response(InvoiceSerializer(invoice).data, status=201)


#: What an invoice is shown with.
WITH = ("body", "payer", "replaces")


@extend_schema_view(get=extend_schema(summary="一份账单 / one invoice", responses=InvoiceSerializer))
class OneInvoice(View):
    scopes = {"GET": "portfees:read"}

    def get(self, request: Request, pk: int) -> Response:
        return Response(InvoiceSerializer(_invoice(request, pk)).data)


def _invoice(request: Request, pk: int) -> Invoice:
    found = Invoice.objects.visible_to(caller(request)).select_related(*WITH).filter(pk=pk).first()
    if found is None:
        raise not_found()
    return found


class CancelInput(serializers.Serializer):
    reason = serializers.CharField(max_length=200)


@extend_schema_view(
    post=extend_schema(
        summary="作废账单 / take an invoice back",
        request=CancelInput,
        responses=InvoiceSerializer,
        examples=[OpenApiExample("double", {"reason": "重复开具"}, request_only=True)],
    )
)
class CancelInvoice(View):
    scopes = {"POST": "portfees:write"}
    idempotent = True

    def post(self, request: Request, pk: int) -> Response:
        wanted = CancelInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        invoices.cancel(number=_invoice(request, pk).number, principal=caller(request), **wanted.validated_data)
        return Response(InvoiceSerializer(_invoice(request, pk)).data)


class ComplaintInput(serializers.Serializer):
    line = serializers.IntegerField(min_value=1, max_value=100_000)
    text = serializers.CharField(max_length=2000)


class FollowUpInput(serializers.Serializer):
    text = serializers.CharField(max_length=2000)


class ComplaintSerializer(serializers.ModelSerializer):
    invoice = serializers.CharField(source="line.invoice.number", read_only=True)
    line = serializers.IntegerField(source="line.line", read_only=True)

    class Meta:
        model = Complaint
        fields = ["number", "invoice", "line", "text", "state", "created_at"]
        read_only_fields = fields


@extend_schema_view(
    post=extend_schema(
        summary="投诉一行收费 / object to a line",
        request=ComplaintInput,
        responses={201: ComplaintSerializer},
        examples=[OpenApiExample("above the list", {"line": 1, "text": "高于公布的费率"}, request_only=True)],
    )
)
class InvoiceComplaints(View):
    scopes = {"POST": "portfees:read"}
    idempotent = True

    def post(self, request: Request, pk: int) -> Response:
        wanted = ComplaintInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        complaint = invoices.complain(invoice_id=pk, principal=caller(request), **wanted.validated_data)
        return Response(ComplaintSerializer(complaint).data, status=201)


@extend_schema_view(get=extend_schema(summary="投诉 / complaints", responses=ComplaintSerializer(many=True)))
class Complaints(View):
    scopes = {"GET": "portfees:read"}

    def get(self, request: Request) -> Response:
        found = Complaint.objects.visible_to(caller(request)).select_related("line__invoice")
        return self.paged(request, found, ComplaintSerializer)


class SaidSerializer(serializers.Serializer):
    """One step of a complaint."""

    step = serializers.CharField()
    at = serializers.DateTimeField()
    text = serializers.CharField()


class ComplaintDetailSerializer(ComplaintSerializer):
    said = serializers.SerializerMethodField()

    class Meta(ComplaintSerializer.Meta):
        fields = [*ComplaintSerializer.Meta.fields, "said"]
        read_only_fields = fields

    @extend_schema_field(SaidSerializer(many=True))
    def get_said(self, complaint: Complaint) -> list[dict[str, Any]]:
        events = Event.objects.filter(subject_kind="complaint", subject_number=complaint.number).order_by("sequence")
        return [
            {"step": event.type.partition(".")[2], "at": event.occurred_at, "text": event.data.get("text", "")}
            for event in events
        ]


@extend_schema_view(
    get=extend_schema(summary="一件投诉与答复 / a complaint and its answers", responses=ComplaintDetailSerializer)
)
class OneComplaint(View):
    scopes = {"GET": "portfees:read"}

    def get(self, request: Request, number: str) -> Response:
        seen = Complaint.objects.visible_to(caller(request)).select_related("line__invoice")
        found = seen.filter(number=number).first()
        if found is None:
            raise not_found()
        return Response(ComplaintDetailSerializer(found).data)


@extend_schema_view(
    post=extend_schema(
        summary="答复、撤回、认定 / answer, withdraw, uphold, dismiss",
        request=FollowUpInput,
        examples=[OpenApiExample("answer", {"text": "将退还多收部分"}, request_only=True)],
        parameters=[
            OpenApiParameter("command", str, OpenApiParameter.PATH, enum=["answer", "withdraw", "uphold", "dismiss"])
        ],
        responses=ComplaintSerializer,
    )
)
class ComplaintCommand(View):
    scopes = {"POST": "portfees:read"}
    idempotent = True

    def post(self, request: Request, number: str, command: str) -> Response:
        if command not in invoices.MAY:
            raise not_found()
        wanted = FollowUpInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        complaint = invoices.follow_up(
            number=number, command=command, principal=caller(request), **wanted.validated_data
        )
        return Response(ComplaintSerializer(complaint).data)
