"""What terminals, carriers and agencies report: gate moves, holds; and port papers."""

from __future__ import annotations

from typing import Any, cast

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from clearance import gates, holds, papers, references
from clearance.models import GateMove, Hold, PortPaper
from common.api import View
from common.problems import CONTENT_TYPE, not_found
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


class NewPortPaperSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(choices=PortPaper.Kind.choices)
    consignment = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
    container = serializers.CharField(required=False, allow_blank=True, max_length=20, default="")
    content = serializers.DictField(required=False, default=dict)


class PortPaperListSerializer(serializers.ListSerializer):
    """A page of papers asks of all together whether their goods are released."""

    def to_representation(self, data: Any) -> Any:
        rows = list(data)
        cast(dict[str, Any], self.context)["released"] = papers.released_of(rows)
        return super().to_representation(rows)


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
        list_serializer_class = PortPaperListSerializer

    def get_state(self, row: PortPaper) -> str:
        return papers.state(row)

    def get_released(self, row: PortPaper) -> bool | None:
        known: dict[int, bool | None] | None = self.context.get("released")
        return papers.released(row) if known is None else known[row.pk]

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
            rows = rows.filter(reference=references.canonical(reference))
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
