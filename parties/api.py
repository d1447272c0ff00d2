"""Organisations, mandates and tokens over the API."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field, extend_schema_view
from oauth2_provider.views import RevokeTokenView, TokenView
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import View
from common.problems import not_found
from common.text import T
from parties import registration
from parties.models import Mandate, Organisation
from parties.principals import caller


class OrganisationSerializer(serializers.ModelSerializer):
    class Meta:
        model = Organisation
        fields = ["id", "name", "name_en", "social_credit_code", "customs_code", "roles", "province"]
        read_only_fields = fields


class MandateSerializer(serializers.ModelSerializer):
    valid_from = serializers.DateField(source="valid.lower", read_only=True)
    firm_name = serializers.CharField(source="firm.name", read_only=True)
    broker_name = serializers.CharField(source="broker.name", read_only=True)
    valid_to = serializers.DateField(
        source="valid.upper", read_only=True, allow_null=True, help_text="第一个不再有效的日子 / first day without it"
    )

    class Meta:
        model = Mandate
        fields = [
            "id", "firm", "firm_name", "broker", "broker_name", "valid_from", "valid_to", "customs_procedures",
            "agreement_number",
        ]  # fmt: skip
        read_only_fields = fields


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "pattern": "^([0-9A-Z]{18}|[0-9A-Z]{10})$"},
            {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
        ],
        "description": (
            "统一社会信用代码或海关编码；亦可为本系统的单位编号 / social credit code or customs code; or the id that an"
            " organisation has here"
        ),
    }
)
class BrokerField(serializers.Field):
    """Which broker: by a code that everybody knows, or by the id here."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is int and 0 < data < 2**63:
            return data
        if isinstance(data, str) and re.fullmatch(r"[0-9A-Z]{18}|[0-9A-Z]{10}", data):
            return registration.find_broker(data)
        raise serializers.ValidationError(
            T("应为统一社会信用代码或海关编码", "A social credit code or a customs code is expected"), code="broker"
        )


class GiveMandateSerializer(serializers.Serializer):
    broker = BrokerField()
    valid_from = serializers.DateField(required=False)
    valid_to = serializers.DateField(required=False, allow_null=True)
    customs_procedures = serializers.ListField(
        child=serializers.RegexField(r"^[0-9A-Z]{4}$"), required=False, max_length=200
    )
    agreement_number = serializers.CharField(required=False, max_length=40, allow_blank=True)


class EndMandateSerializer(serializers.Serializer):
    on = serializers.DateField(required=False, help_text="自该日起不再有效 / from this day it no longer holds")


@extend_schema_view(get=extend_schema(summary="本单位及委托关系单位", responses=OrganisationSerializer(many=True)))
class Organisations(View):
    """One's own organisation and those one has a mandate with."""

    scopes = {"GET": "parties:read"}

    def get(self, request: Request) -> Response:
        return self.paged(request, Organisation.objects.visible_to(caller(request)), OrganisationSerializer)


@extend_schema_view(get=extend_schema(summary="单位详情", responses=OrganisationSerializer))
class OrganisationDetail(View):
    scopes = {"GET": "parties:read"}

    def get(self, request: Request, pk: int) -> Response:
        organisation = Organisation.objects.visible_to(caller(request)).filter(pk=pk).first()
        if organisation is None:
            raise not_found()
        return Response(OrganisationSerializer(organisation).data)


@extend_schema_view(
    get=extend_schema(summary="委托关系", responses=MandateSerializer(many=True)),
    post=extend_schema(
        summary="委托报关企业",
        request=GiveMandateSerializer,
        responses={201: MandateSerializer},
        examples=[
            OpenApiExample(
                "one year",
                {"broker": "91500000MA0000002A", "valid_from": "2026-01-01", "valid_to": "2027-01-01"},
                request_only=True,
            )
        ],
    ),
)
class Mandates(View):
    """A firm lets a broker declare for it, named by its social credit code or customs code; both sides see the mandate."""

    scopes = {"GET": "parties:read", "POST": "parties:write"}
    idempotent = True

    def get(self, request: Request) -> Response:
        return self.paged(
            request, Mandate.objects.visible_to(caller(request)).select_related("firm", "broker"), MandateSerializer
        )

    def post(self, request: Request) -> Response:
        principal = caller(request)
        wanted = GiveMandateSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        terms: dict[str, Any] = dict(wanted.validated_data)
        mandate = registration.give_mandate(
            firm_id=principal.organisation_id or 0,
            broker_id=terms.pop("broker"),
            valid_from=terms.pop("valid_from", None) or registration.today(),
            actor=principal,
            **terms,
        )
        return Response(MandateSerializer(mandate).data, status=201)


@extend_schema_view(
    post=extend_schema(
        summary="终止委托 / End a mandate",
        request=EndMandateSerializer,
        responses=MandateSerializer,
        examples=[OpenApiExample("from the new year", {"on": "2027-01-01"}, request_only=True)],
    )
)
class EndMandate(View):
    """Either side ends the mandate."""

    scopes = {"POST": "parties:write"}
    idempotent = True

    def post(self, request: Request, pk: int) -> Response:
        wanted = EndMandateSerializer(data=request.data or {})
        wanted.is_valid(raise_exception=True)
        on: date | None = wanted.validated_data.get("on")
        return Response(
            MandateSerializer(registration.end_mandate(mandate_id=pk, principal=caller(request), on=on)).data
        )


#: RFC 6749 section 4.4 and RFC 7009; their error bodies are OAuth's own (``{"error": ...}``), as clients expect.
token = TokenView.as_view()
revoke = RevokeTokenView.as_view()
