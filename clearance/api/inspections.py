"""Inspections: orders, the one appointment, results and evidence. An agency reads and books what it ordered."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import parsers, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from clearance import files, inspections
from clearance.models import Evidence, InspectionOrder
from common.api import View
from common.formats import JSONParser
from common.problems import Fault, invalid, not_found
from common.text import T
from parties.principals import caller


class OrderSerializer(serializers.ModelSerializer):
    declaration = serializers.CharField(source="declaration.unified_number")
    place = serializers.CharField(source="appointment.place")
    starts_at = serializers.DateTimeField(source="appointment.starts_at", allow_null=True)
    ends_at = serializers.DateTimeField(source="appointment.ends_at", allow_null=True)

    class Meta:
        model = InspectionOrder
        fields = [
            "id", "declaration", "agency", "stage", "instruction", "ordered_at", "state", "appointment", "place",
            "starts_at", "ends_at", "result_note", "result_at", "follow_up",
        ]  # fmt: skip
        read_only_fields = fields


class NewOrderSerializer(serializers.Serializer):
    declaration = serializers.CharField(max_length=18)
    stage = serializers.ChoiceField(choices=InspectionOrder.Stage.choices, default="port")
    instruction = serializers.CharField(required=False, allow_blank=True, max_length=500, default="")


class BookSerializer(serializers.Serializer):
    place = serializers.CharField(max_length=17)
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()


class AppointmentSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    place = serializers.CharField()
    starts_at = serializers.DateTimeField(allow_null=True)
    ends_at = serializers.DateTimeField(allow_null=True)
    state = serializers.CharField()


class ResultSerializer(serializers.Serializer):
    passed = serializers.BooleanField()
    note = serializers.CharField(required=False, allow_blank=True, max_length=1000, default="")
    follow_up = serializers.ChoiceField(choices=["", "amendment", "penalty"], required=False, default="")


class EvidenceSerializer(serializers.ModelSerializer):
    class Meta:
        model = Evidence
        fields = ["id", "name", "content_type", "size", "sha256", "sample_number", "added_at"]
        read_only_fields = fields


def _orders(request: Request) -> QuerySet[InspectionOrder]:
    return InspectionOrder.objects.visible_to(caller(request)).select_related("declaration", "appointment")


def _order(request: Request, pk: int) -> InspectionOrder:
    row = _orders(request).filter(pk=pk).first()
    if row is None:
        raise not_found()
    return row


@extend_schema_view(
    get=extend_schema(
        summary="本单位的查验指令",
        responses=OrderSerializer(many=True),
        parameters=[OpenApiParameter("state", enum=InspectionOrder.State.values)],
    ),
    post=extend_schema(
        summary="下达查验指令",
        examples=[
            OpenApiExample(
                "example",
                value={"declaration": "I20260000000000001", "stage": "port", "instruction": "开箱查验"},
                request_only=True,
            )
        ],
        request=NewOrderSerializer,
        responses={201: OrderSerializer},
    ),
)
class InspectionOrders(View):
    scopes = {"GET": "inspections:write", "POST": "inspections:write"}
    idempotent = True

    def get(self, request: Request) -> Response:
        rows = _orders(request)
        if state := request.query_params.get("state"):
            if state not in InspectionOrder.State.values:
                raise invalid([Fault("/state", "state", T("没有此状态", "There is no such state"))])
            rows = rows.filter(state=state)
        return self.paged(request, rows, OrderSerializer, ordering=("-ordered_at", "-id"))

    def post(self, request: Request) -> Response:
        body = NewOrderSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        principal = caller(request)
        agency = principal.organisation_id if "inspection_agency" in principal.roles else None
        row = inspections.order(
            number=wanted["declaration"], agency_id=agency, stage=wanted["stage"], instruction=wanted["instruction"],
            principal=principal,
        )  # fmt: skip
        return Response(OrderSerializer(row).data, status=201)


@extend_schema_view(get=extend_schema(summary="一项查验指令及其预约", responses=OrderSerializer))
class InspectionOrderDetail(View):
    scopes = {"GET": "inspections:write"}

    def get(self, request: Request, pk: int) -> Response:
        return Response(OrderSerializer(_order(request, pk)).data)


@extend_schema_view(get=extend_schema(summary="报关单的查验指令", responses=OrderSerializer(many=True)))
class InspectionsOfDeclaration(View):
    scopes = {"GET": "clearance:read"}

    def get(self, request: Request, number: str) -> Response:
        rows = (
            InspectionOrder.objects.visible_to(caller(request))
            .filter(declaration__unified_number=number)
            .select_related("declaration", "appointment")
            .order_by("pk")
        )
        return Response({"results": OrderSerializer(rows, many=True).data})


@extend_schema_view(
    post=extend_schema(
        summary="预约查验（一次查验）",
        examples=[
            OpenApiExample(
                "example",
                value={
                    "place": "CQGYP",
                    "starts_at": "2026-11-21T09:00:00+08:00",
                    "ends_at": "2026-11-21T11:00:00+08:00",
                },
                request_only=True,
            )
        ],
        request=BookSerializer,
        responses=AppointmentSerializer,
    )
)
class Appointments(View):
    scopes = {"POST": "clearance:write"}
    idempotent = True

    def post(self, request: Request, number: str) -> Response:
        body = BookSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        row = inspections.book(number=number, **body.validated_data, principal=caller(request))
        return Response(AppointmentSerializer(row).data)


@extend_schema_view(
    post=extend_schema(
        summary="查验单位预约查验（一次查验）",
        description="The one appointment of all orders of the declaration, by an agency that has one among them.",
        examples=[
            OpenApiExample(
                "example",
                value={
                    "place": "CQGYP",
                    "starts_at": "2026-11-21T09:00:00+08:00",
                    "ends_at": "2026-11-21T11:00:00+08:00",
                },
                request_only=True,
            )
        ],
        request=BookSerializer,
        responses=AppointmentSerializer,
    )
)
class AppointmentOfOrder(View):
    scopes = {"POST": "inspections:write"}
    idempotent = True

    def post(self, request: Request, pk: int) -> Response:
        body = BookSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        number = _order(request, pk).declaration.unified_number
        row = inspections.book(number=number, **body.validated_data, principal=caller(request))
        return Response(AppointmentSerializer(row).data)


@extend_schema_view(
    post=extend_schema(
        summary="登记查验结果",
        examples=[
            OpenApiExample(
                "example", value={"passed": False, "note": "实际 390 件", "follow_up": "amendment"}, request_only=True
            )
        ],
        request=ResultSerializer,
        responses=OrderSerializer,
    )
)
class InspectionResult(View):
    scopes = {"POST": "inspections:write"}
    idempotent = True

    def post(self, request: Request, pk: int) -> Response:
        body = ResultSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        row = inspections.finish(pk=pk, **body.validated_data, principal=caller(request))
        return Response(OrderSerializer(row).data)


@extend_schema_view(
    get=extend_schema(summary="查验指令的凭证", responses=EvidenceSerializer(many=True)),
    post=extend_schema(
        summary="上传查验照片、样品单、报告",
        description="JPEG, PNG, WebP or PDF by content, 10 MB at most, as multipart field `file`.",
        request={"multipart/form-data": {"type": "object", "properties": {
            "file": {"type": "string", "format": "binary"}, "sample_number": {"type": "string"}}}},
        responses={201: EvidenceSerializer},
    ),
)  # fmt: skip
class InspectionEvidence(View):
    scopes = {"GET": "inspections:write", "POST": "inspections:write"}
    parser_classes = [parsers.MultiPartParser, JSONParser]

    def get(self, request: Request, pk: int) -> Response:
        rows = _order(request, pk).evidence.order_by("added_at", "pk")
        return Response({"results": EvidenceSerializer(rows, many=True).data})

    def post(self, request: Request, pk: int) -> Response:
        file = request.FILES.get("file") if hasattr(request, "FILES") else None
        if file is None:
            raise invalid([Fault("/file", "required", T("必须上传文件", "A file is needed"))])
        row = inspections.add_evidence(
            pk=pk,
            name=file.name or "",
            data=file.read(inspections.MAX_FILE + 1),
            sample_number=str(request.POST.get("sample_number", ""))[:40],
            principal=caller(request),
        )
        return Response(EvidenceSerializer(row).data, status=201)


@extend_schema_view(get=extend_schema(summary="下载查验凭证", responses={(200, "application/octet-stream"): bytes}))
class EvidenceFile(View):
    scopes = {"GET": "clearance:read"}

    def get(self, request: Request, pk: Any) -> Any:
        row = Evidence.objects.filter(pk=pk, order__in=InspectionOrder.objects.visible_to(caller(request))).first()
        if row is None:
            raise not_found()
        return files.served(inspections.path_of(row), row.content_type, str(row.pk))


@extend_schema_view(get=extend_schema(summary="查验单位下载凭证", responses={(200, "application/octet-stream"): bytes}))
class EvidenceOfOrder(View):
    scopes = {"GET": "inspections:write"}

    def get(self, request: Request, pk: int, evidence: Any) -> Any:
        row = _order(request, pk).evidence.filter(pk=evidence).first()
        if row is None:
            raise not_found()
        return files.served(inspections.path_of(row), row.content_type, str(row.pk))
