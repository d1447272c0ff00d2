"""What terminals, carriers and agencies report: gate moves, holds, inspections; and port papers."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import parsers, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from clearance import files, gates, holds, inspections, papers
from clearance.models import Evidence, GateMove, Hold, InspectionOrder, PortPaper
from common.api import View
from common.formats import JSONParser
from common.problems import CONTENT_TYPE, Fault, invalid, not_found
from common.text import T
from parties.principals import caller


class GateMoveSerializer(serializers.ModelSerializer):
    class Meta:
        model = GateMove
        fields = [
            "id", "message_id", "container", "move", "fullness", "place", "truck", "seal", "at", "permitted", "reasons",
        ]  # fmt: skip
        read_only_fields = ["id", "permitted", "reasons"]
        validators: list[Any] = []


class HoldSerializer(serializers.ModelSerializer):
    class Meta:
        model = Hold
        fields = [
            "id", "reference", "kind", "reason", "holder_reference", "placed_at", "after_release", "lifted_at",
        ]  # fmt: skip
        read_only_fields = ["id", "placed_at", "after_release", "lifted_at"]
        validators: list[Any] = []


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


class NewPortPaperSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(choices=PortPaper.Kind.choices)
    consignment = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
    container = serializers.CharField(required=False, allow_blank=True, max_length=20, default="")
    content = serializers.DictField(required=False, default=dict)


class PortPaperSerializer(serializers.ModelSerializer):
    state = serializers.SerializerMethodField()
    released = serializers.SerializerMethodField()
    verification_url = serializers.SerializerMethodField()

    class Meta:
        model = PortPaper
        fields = [
            "number", "version", "kind", "container", "content", "code", "issued_at", "state", "released",
            "verification_url",
        ]  # fmt: skip
        read_only_fields = fields

    def get_state(self, row: PortPaper) -> str:
        return papers.state(row)

    def get_released(self, row: PortPaper) -> bool | None:
        return papers.released(row)

    def get_verification_url(self, row: PortPaper) -> str:
        return papers.verification_url(row)


@extend_schema_view(
    get=extend_schema(
        summary="闸口记录", responses=GateMoveSerializer(many=True), parameters=[OpenApiParameter("container")]
    ),
    post=extend_schema(
        summary="报送闸口进出；未放行的重箱不准出闸",
        description="Answers 201 where the container may pass, 409 with every reason where it may not; both are recorded.",
        examples=[
            OpenApiExample(
                "example",
                value={
                    "message_id": "G-0001",
                    "container": "CSQU3054383",
                    "move": "GTOT",
                    "fullness": "LADEN",
                    "place": "QZHDL",
                    "truck": "渝A00001",
                    "at": "2026-11-20T08:00:00+08:00",
                },
                request_only=True,
            )
        ],
        request=GateMoveSerializer,
        responses={201: GateMoveSerializer},
    ),
)
class GateMoves(View):
    scopes = {"GET": "clearance:read", "POST": "gates:write"}
    idempotent = True

    def get(self, request: Request) -> Response:
        rows = GateMove.objects.visible_to(caller(request))
        if container := request.query_params.get("container"):
            rows = rows.filter(container=container)
        return self.paged(request, rows, GateMoveSerializer, ordering=("-recorded_at", "-id"))

    def post(self, request: Request) -> Response:
        body = GateMoveSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        row = gates.record(**body.validated_data, principal=caller(request))
        if row.permitted:
            return Response(GateMoveSerializer(row).data, status=201)
        return Response(gates.refusal(row).body(), status=409, content_type=CONTENT_TYPE)


@extend_schema_view(
    get=extend_schema(summary="扣留", responses=HoldSerializer(many=True)),
    post=extend_schema(
        summary="扣留货物或箱",
        examples=[
            OpenApiExample(
                "example",
                value={
                    "reference": "container:CSQU3054383",
                    "kind": "terminal",
                    "reason": "堆存费未结",
                    "holder_reference": "H-0001",
                },
                request_only=True,
            )
        ],
        request=HoldSerializer,
        responses={201: HoldSerializer},
    ),
)
class Holds(View):
    scopes = {"GET": "clearance:read", "POST": "gates:write"}
    idempotent = True

    def get(self, request: Request) -> Response:
        rows = Hold.objects.visible_to(caller(request))
        if reference := request.query_params.get("reference"):
            rows = rows.filter(reference=reference)
        return self.paged(request, rows, HoldSerializer, ordering=("-placed_at", "-id"))

    def post(self, request: Request) -> Response:
        body = HoldSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        row = holds.place(**body.validated_data, principal=caller(request))
        return Response(HoldSerializer(row).data, status=201)


@extend_schema_view(post=extend_schema(summary="解除扣留", request=None, responses=HoldSerializer))
class LiftHold(View):
    scopes = {"POST": "gates:write"}
    idempotent = True

    def post(self, request: Request, pk: Any) -> Response:
        return Response(HoldSerializer(holds.lift(pk=str(pk), principal=caller(request))).data)


@extend_schema_view(
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
    )
)
class InspectionOrders(View):
    scopes = {"POST": "inspections:write"}
    idempotent = True

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
    post=extend_schema(
        summary="上传查验照片、样品单、报告",
        description="JPEG, PNG, WebP or PDF by content, 10 MB at most, as multipart field `file`.",
        request={"multipart/form-data": {"type": "object", "properties": {
            "file": {"type": "string", "format": "binary"}, "sample_number": {"type": "string"}}}},
        responses={201: EvidenceSerializer},
    )
)  # fmt: skip
class InspectionEvidence(View):
    scopes = {"POST": "inspections:write"}
    parser_classes = [parsers.MultiPartParser, JSONParser]

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


@extend_schema_view(
    get=extend_schema(summary="港口单证", responses=PortPaperSerializer(many=True)),
    post=extend_schema(
        summary="签发港口单证（设备交接单、装箱单、提货单）",
        examples=[
            OpenApiExample(
                "example",
                value={
                    "kind": "DO",
                    "consignment": 1,
                    "content": {"consignee": "示例进出口有限公司", "free_until": "2026-12-01"},
                },
                request_only=True,
            )
        ],
        request=NewPortPaperSerializer,
        responses={201: PortPaperSerializer},
    ),
)
class PortPapers(View):
    scopes = {"GET": "cargo:read", "POST": "gates:write"}
    idempotent = True

    def get(self, request: Request) -> Response:
        rows = PortPaper.objects.visible_to(caller(request)).select_related("consignment")
        for name in ("container", "kind", "number"):
            if value := request.query_params.get(name):
                rows = rows.filter(**{name: value})
        return self.paged(request, rows, PortPaperSerializer, ordering=("-issued_at", "-id"))

    def post(self, request: Request) -> Response:
        body = NewPortPaperSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        row = papers.issue(
            kind=wanted["kind"], consignment_id=wanted.get("consignment"), container=wanted["container"],
            content=wanted["content"], principal=caller(request),
        )  # fmt: skip
        return Response(PortPaperSerializer(row).data, status=201)


@extend_schema_view(post=extend_schema(summary="作废港口单证", request=None, responses=PortPaperSerializer))
class CancelPaper(View):
    scopes = {"POST": "gates:write"}
    idempotent = True

    def post(self, request: Request, number: str) -> Response:
        return Response(PortPaperSerializer(papers.cancel(number=number, principal=caller(request))).data)


@extend_schema_view(
    get=extend_schema(
        summary="港口单证 PDF", responses={(200, "application/pdf"): bytes},
        parameters=[OpenApiParameter("version", OpenApiTypes.INT), OpenApiParameter("lang", enum=["zh", "en"])],
    )
)  # fmt: skip
class PaperPdf(View):
    scopes = {"GET": "cargo:read"}

    def get(self, request: Request, number: str) -> Any:
        rows = PortPaper.objects.visible_to(caller(request)).filter(number=number)
        version = request.query_params.get("version", "")
        if version.isdigit() and len(version) < 9:
            rows = rows.filter(version=int(version))
        row = rows.select_related("issuer", "consignment").order_by("-version").first()
        if row is None:
            raise not_found()
        return HttpResponse(papers.pdf(row, request.query_params.get("lang", "zh")), content_type="application/pdf")


@extend_schema_view(get=extend_schema(summary="凭验证码查验港口单证真伪", responses=dict))
class VerifyPaper(View):
    public = True

    def get(self, request: Request, code: str) -> Response:
        return Response(papers.verify(code))
