"""Where a declaration stands, its mode and its steps, requests to change it, the full declaration of a summary."""

from __future__ import annotations

from typing import Any, cast

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from clearance import cases, conditions, requests, two_step
from clearance.models import Case, ChangeRequest
from clearance.modes import MODES, STEPS
from common.api import View
from declarations.models import Declaration
from parties.principals import caller


class FaultSerializer(serializers.Serializer):
    pointer = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()


class CaseSerializer(serializers.Serializer):
    declaration = serializers.CharField()
    customs_number = serializers.CharField(allow_null=True)
    state = serializers.CharField()
    mode = serializers.ChoiceField(choices=sorted(MODES))
    mode_text = serializers.CharField()
    place = serializers.CharField()
    advance = serializers.BooleanField()
    releases = serializers.ListField(child=serializers.DictField())
    confirmations = serializers.ListField(child=serializers.DictField())
    waiting_for = FaultSerializer(many=True)


class ModeSerializer(serializers.Serializer):
    mode = serializers.ChoiceField(choices=sorted(MODES))
    place = serializers.CharField(required=False, allow_blank=True, max_length=17, default="")


class ConfirmationSerializer(serializers.Serializer):
    step = serializers.ChoiceField(choices=sorted(STEPS))
    at = serializers.DateTimeField()
    place = serializers.CharField(required=False, allow_blank=True, max_length=17, default="")


class AskSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(choices=ChangeRequest.Kind.choices)
    reason = serializers.CharField(max_length=255)
    message = serializers.DictField(required=False)


class ChangeRequestSerializer(serializers.ModelSerializer):
    declaration = serializers.CharField(source="declaration.unified_number")
    difference = serializers.SerializerMethodField()

    class Meta:
        model = ChangeRequest
        fields = [
            "id",
            "declaration",
            "kind",
            "reason",
            "state",
            "version",
            "difference",
            "requested_at",
            "decided_at",
            "note",
        ]
        read_only_fields = fields

    def get_difference(self, row: ChangeRequest) -> list[dict[str, Any]]:
        return requests.readable(row.difference)


def _case(declaration: Declaration) -> dict[str, Any]:
    row = Case.objects.filter(declaration=declaration).select_related("declaration", "consignment__voyage").first()
    if row is None:
        row = Case(declaration=declaration)
        return {
            "declaration": declaration.unified_number, "customs_number": declaration.customs_number,
            "state": declaration.state, "mode": row.mode, "mode_text": str(MODES[row.mode].label), "place": "",
            "advance": False, "releases": [], "confirmations": [],
            "waiting_for": [conditions.NOT_SELECTED.as_json()] if declaration.state == "accepted" else [],
        }  # fmt: skip
    answer = cases.as_json(row)
    del answer["lane"]  # how a declaration was selected is not for its declarant
    answer["waiting_for"] = [{key: one[key] for key in ("pointer", "code", "detail")} for one in answer["waiting_for"]]
    return answer


@extend_schema_view(get=extend_schema(summary="通关状态：还差哪些条件", responses=CaseSerializer))
class CaseDetail(View):
    """Where a declaration stands and what release still waits for."""

    scopes = {"GET": "clearance:read"}

    def get(self, request: Request, number: str) -> Response:
        return Response(_case(cases.visible(number, caller(request))))


@extend_schema_view(
    post=extend_schema(
        summary="选择通关模式",
        examples=[OpenApiExample("example", value={"mode": "ship_side_pickup", "place": "QZHDL"}, request_only=True)],
        request=ModeSerializer,
        responses=CaseSerializer,
    )
)
class ChooseMode(View):
    scopes = {"POST": "clearance:write"}
    idempotent = True

    def post(self, request: Request, number: str) -> Response:
        body = ModeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        row = cases.choose_mode(number=number, **body.validated_data, principal=caller(request))
        return Response(_case(row.declaration))


@extend_schema_view(
    post=extend_schema(
        summary="确认通关步骤（离港、转关、两段准入等）",
        examples=[
            OpenApiExample(
                "example",
                value={"step": "departure_confirmed", "at": "2026-11-20T08:00:00+08:00", "place": "SHYSP"},
                request_only=True,
            )
        ],
        request=ConfirmationSerializer,
        responses={201: ConfirmationSerializer},
    )
)
class Confirmations(View):
    scopes = {"POST": "gates:write"}
    idempotent = True

    def post(self, request: Request, number: str) -> Response:
        body = ConfirmationSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        row = cases.confirm(number=number, **body.validated_data, principal=caller(request))
        return Response({"step": row.step, "at": row.at, "place": row.place}, status=201)


@extend_schema_view(
    post=extend_schema(
        summary="两步申报：完整申报",
        description="The full declaration of an accepted summary, under the same number (document type digit 6).",
        examples=[
            OpenApiExample("example", value={"document_type": "  6   ", "customs_office": "8000"}, request_only=True)
        ],
        request=dict,
        responses=CaseSerializer,
    )
)
class FullDeclaration(View):
    scopes = {"POST": "declarations:write"}
    idempotent = True

    def post(self, request: Request, number: str) -> Response:
        declaration = two_step.complete(number=number, message=cast(Any, request.data), principal=caller(request))
        return Response(_case(declaration))


@extend_schema_view(
    get=extend_schema(summary="修撤单申请", responses=ChangeRequestSerializer(many=True)),
    post=extend_schema(
        summary="申请修改或撤销",
        examples=[OpenApiExample("example", value={"kind": "withdraw", "reason": "客户取消订单"}, request_only=True)],
        request=AskSerializer,
        responses={201: ChangeRequestSerializer},
    ),
)
class ChangeRequests(View):
    scopes = {"GET": "clearance:read", "POST": "clearance:write"}
    idempotent = True

    def get(self, request: Request, number: str) -> Response:
        rows = cases.visible(number, caller(request)).change_requests.order_by("-pk")[:100]
        return Response({"results": ChangeRequestSerializer(rows, many=True).data})

    def post(self, request: Request, number: str) -> Response:
        body = AskSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        row = requests.ask(number=number, **body.validated_data, principal=caller(request))
        return Response(ChangeRequestSerializer(row).data, status=201)
