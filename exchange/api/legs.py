"""Legs of one bill over several provinces."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from bills.models import LegEvent
from common.api import View
from exchange import legs
from parties.principals import caller


class LegReportSerializer(serializers.Serializer):
    province = serializers.RegexField(r"^[0-9]{6}$", help_text="签发省份 / the province that issued the bill")
    bill_number = serializers.CharField(max_length=80)
    kind = serializers.ChoiceField(LegEvent.Kind.values)
    occurred_at = serializers.DateTimeField()
    leg = serializers.IntegerField(min_value=1, max_value=30, required=False, allow_null=True)
    place = serializers.CharField(required=False, allow_blank=True, max_length=80)
    container = serializers.CharField(required=False, allow_blank=True, max_length=11)
    remark = serializers.CharField(required=False, allow_blank=True, max_length=500)


class LegSerializer(serializers.Serializer):
    province = serializers.CharField(help_text="报送省份 / the province that reported it")
    kind = serializers.CharField()
    leg = serializers.IntegerField(allow_null=True)
    occurred_at = serializers.DateTimeField()
    place = serializers.CharField(allow_blank=True)
    container = serializers.CharField(allow_blank=True)
    remark = serializers.CharField(allow_blank=True)


class WhereaboutsOverProvincesSerializer(serializers.Serializer):
    status = serializers.CharField()
    leg = serializers.IntegerField(allow_null=True)
    place = serializers.CharField(allow_blank=True)
    since = serializers.DateTimeField(allow_null=True)
    province = serializers.CharField(help_text="由谁报送 / which province says so")


class LegsSerializer(serializers.Serializer):
    number = serializers.CharField()
    whereabouts = WhereaboutsOverProvincesSerializer()
    events = LegSerializer(many=True)


@extend_schema_view(
    post=extend_schema(
        summary="报送外省提单的区段事件",
        request=LegReportSerializer,
        responses={201: LegReportSerializer},
        examples=[
            OpenApiExample(
                "arrived at the coast",
                {
                    "province": "500000", "bill_number": "ILSC26000000001", "kind": "arrived", "leg": 1, "place": "CNQZH",
                    "occurred_at": "2026-11-20T20:10:00+08:00",
                },
                request_only=True,
            )
        ],
    )
)  # fmt: skip
class LegReports(View):
    """An office or a carrier here reports a leg of a bill that a partner issued and told us of."""

    scopes = {"POST": "legs:write"}
    idempotent = True

    def post(self, request: Request) -> Response:
        wanted = LegReportSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        asked = dict(wanted.validated_data)
        legs.report(
            partner_code=asked.pop("province"), number=asked.pop("bill_number"), principal=caller(request), **asked
        )
        return Response(wanted.data, status=201)


@extend_schema_view(get=extend_schema(summary="提单的全程区段事件", responses=LegsSerializer))
class Legs(View):
    """Every leg event of a bill issued here, whichever province reported it, and where the goods are by all of them."""

    scopes = {"GET": "events:read"}

    def get(self, request: Request, number: str) -> Response:
        return Response(legs.of_bill(number, caller(request)))
