"""Manifests, trips, consignments and supervision sites over the API."""

from __future__ import annotations

from typing import IO, Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import parsers, renderers, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cargo import manifests, places, voyages
from cargo.models import Category, Consignment, DesignatedSite, ManifestMessage, Voyage
from cargo.reports import MILESTONES
from cargo.schema import message_schema
from cargo.wire import manifest as wire
from common.api import View
from common.asked import asked_day
from common.days import today
from common.formats import JSONParser, JSONRenderer, read_body
from common.json import dumps
from common.problems import Fault, invalid, not_found
from common.text import T
from parties.principals import caller


class ManifestXMLParser(parsers.BaseParser):
    """WCO-named manifest XML (MTnnnn)."""

    media_type = "application/xml"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        return read_body(stream)


class ReceiptXMLRenderer(renderers.BaseRenderer):
    media_type = "application/xml"
    format = "xml"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return wire.receipt(data) if isinstance(data, dict) and "response_code" in data else dumps(data)


class BillReceiptSerializer(serializers.Serializer):
    bill_number = serializers.CharField()
    response_code = serializers.CharField(help_text="01 接受, 02 待人工审核, 03 退单, 12 拒装, T 暂存")
    code = serializers.CharField()
    text = serializers.CharField()


class ReceiptSerializer(serializers.Serializer):
    message_id = serializers.CharField()
    message_type = serializers.CharField()
    number = serializers.CharField()
    received_at = serializers.DateTimeField()
    response_code = serializers.CharField()
    text = serializers.CharField()
    consignments = BillReceiptSerializer(many=True)


class StuffingSerializer(serializers.Serializer):
    number = serializers.CharField(source="equipment_id")
    size_type = serializers.CharField(source="equipment.size_type")
    seal = serializers.CharField()
    packages = serializers.IntegerField(allow_null=True)
    gross_mass = serializers.DecimalField(max_digits=15, decimal_places=3, allow_null=True)


class ConsignmentSerializer(serializers.ModelSerializer):
    manifest = serializers.CharField(source="manifest.number")
    voyage = serializers.CharField(source="voyage.number")
    containers = StuffingSerializer(source="stuffings", many=True)

    class Meta:
        model = Consignment
        fields = [
            "id", "bill_number", "manifest", "voyage", "direction", "packages", "package_unit", "gross_mass", "value",
            "currency", "consignee", "consignor", "items", "containers", "version", "late_hours", "declaration_number",
            "arrived_at", "arrival_place", "released_at", "loaded_at", "tallied_at", "tallied_packages", "deleted_at",
        ]  # fmt: skip
        read_only_fields = fields


class VoyageSerializer(serializers.ModelSerializer):
    means = serializers.CharField(source="means.identity", default="")
    means_name = serializers.CharField(source="means.name", default="")

    class Meta:
        model = Voyage
        fields = [
            "id", "number", "mode", "direction", "means", "means_name", "loading_place", "unloading_place",
            "planned_departure", "planned_arrival", "departed_at", "arrived_at", "entry_declared_at",
        ]  # fmt: skip
        read_only_fields = fields


class PlanSerializer(serializers.Serializer):
    departure = serializers.DateTimeField(required=False)
    arrival = serializers.DateTimeField(required=False)


class VoyageReportSerializer(serializers.Serializer):
    what = serializers.ChoiceField(choices=sorted(MILESTONES))
    at = serializers.DateTimeField()
    #: Another time than was reported; the carrier's until goods of the trip are released.
    change = serializers.BooleanField(required=False, default=False)


class SiteSerializer(serializers.ModelSerializer):
    place = serializers.CharField(source="place.code")
    name = serializers.CharField(source="place.name")
    name_en = serializers.CharField(source="place.name_en")
    office = serializers.CharField(source="place.office")
    valid_from = serializers.DateField(source="valid.lower")
    valid_to = serializers.DateField(source="valid.upper", allow_null=True)

    class Meta:
        model = DesignatedSite
        fields = ["place", "name", "name_en", "office", "category", "valid_from", "valid_to", "source"]
        read_only_fields = fields


EXAMPLE = {
    "message_id": "EXAMPLE-MT1401-0001",
    "function_code": "9",
    "message_type": "MT1401",
    "sent_at": "2026-01-15T10:30:00+08:00",
    "office": "8006",
    "number": "8006202601001",
    "means_type": "3",
    "loading_at": "2026-01-16T08:00:00+08:00",
    "consignments": [
        {
            "bill_number": "CQBL20260001",
            "packages": 500,
            "package_unit": "CT",
            "gross_mass": "5200",
            "items": [{"sequence": 1, "description": "平板电脑", "gross_mass": "5200", "packages": 500}],
            "equipment": [{"number": "TCNU7200794"}],
        }
    ],
}


@extend_schema_view(
    get=extend_schema(summary="本单位舱单报文及回执", responses=ReceiptSerializer(many=True)),
    post=extend_schema(
        summary="传输舱单、运抵、理货、装载、承运确报",
        description="One message, JSON or WCO-named XML. A refused message is kept and answered with a receipt (03) that "
        "says why; a malformed one is answered 422. The same message again gets the same receipt.",
        request={"application/json": message_schema(), "application/xml": OpenApiTypes.STR},
        responses={201: ReceiptSerializer},
        examples=[OpenApiExample("original", value=EXAMPLE, request_only=True)],
    ),
)
class Manifests(View):
    scopes = {"GET": "cargo:read", "POST": "cargo:write"}
    idempotent = True
    parser_classes = [JSONParser, ManifestXMLParser]
    renderer_classes = [JSONRenderer, ReceiptXMLRenderer]

    def get(self, request: Request) -> Response:
        rows = ManifestMessage.objects.visible_to(caller(request))
        if number := request.query_params.get("number"):
            rows = rows.filter(number=number)
        return self.paged(request, rows, manifests.as_receipt, ordering=("-received_at", "-id"))

    def post(self, request: Request) -> Response:
        if isinstance(request.data, bytes):
            row = manifests.take(wire.parse(request.data), principal=caller(request))
        else:
            row = manifests.receive(request.data, principal=caller(request))
        return Response(manifests.as_receipt(row), status=201, headers={"Location": f"/api/v1/manifests/{row.pk}"})


@extend_schema_view(get=extend_schema(summary="舱单报文回执", responses=ReceiptSerializer))
class ManifestDetail(View):
    scopes = {"GET": "cargo:read"}
    renderer_classes = [JSONRenderer, ReceiptXMLRenderer]

    def get(self, request: Request, pk: int) -> Response:
        row = ManifestMessage.objects.visible_to(caller(request)).filter(pk=pk).first()
        if row is None:
            raise not_found()
        return Response(manifests.as_receipt(row))


@extend_schema_view(
    get=extend_schema(
        summary="提运单货物",
        responses=ConsignmentSerializer(many=True),
        parameters=[OpenApiParameter(name) for name in ("bill", "voyage", "container", "declaration")],
    )
)
class Consignments(View):
    scopes = {"GET": "cargo:read"}

    def get(self, request: Request) -> Response:
        rows = Consignment.objects.live().visible_to(caller(request))
        for name, field in (
            ("bill", "bill_number"), ("voyage", "voyage__number"), ("container", "stuffings__equipment_id"),
            ("declaration", "declaration_number"),
        ):  # fmt: skip
            if value := request.query_params.get(name):
                rows = rows.filter(**{field: value})
        rows = rows.select_related("manifest", "voyage").prefetch_related("stuffings__equipment")
        return self.paged(request, rows, ConsignmentSerializer)


@extend_schema_view(get=extend_schema(summary="提运单货物详情", responses=ConsignmentSerializer))
class ConsignmentDetail(View):
    scopes = {"GET": "cargo:read"}

    def get(self, request: Request, pk: int) -> Response:
        row = Consignment.objects.visible_to(caller(request)).filter(pk=pk).first()
        if row is None:
            raise not_found()
        return Response(ConsignmentSerializer(row).data)


@extend_schema_view(
    get=extend_schema(
        summary="航次（班次）", responses=VoyageSerializer(many=True), parameters=[OpenApiParameter("number")]
    )
)
class Voyages(View):
    scopes = {"GET": "cargo:read"}

    def get(self, request: Request) -> Response:
        rows = Voyage.objects.visible_to(caller(request)).select_related("means")
        if number := request.query_params.get("number"):
            rows = rows.filter(number=number)
        return self.paged(request, rows, VoyageSerializer)


@extend_schema_view(
    post=extend_schema(
        summary="更新计划离抵时间",
        request=PlanSerializer,
        responses=VoyageSerializer,
        examples=[OpenApiExample("a day later", {"arrival": "2026-11-27T08:00:00+08:00"}, request_only=True)],
    )
)
class VoyagePlan(View):
    scopes = {"POST": "cargo:write"}
    idempotent = True

    def post(self, request: Request, pk: int) -> Response:
        body = PlanSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(VoyageSerializer(voyages.plan(pk, **body.validated_data, principal=caller(request))).data)


@extend_schema_view(
    post=extend_schema(
        summary="报告实际离港、抵港、申报进境",
        request=VoyageReportSerializer,
        responses=VoyageSerializer,
        examples=[OpenApiExample("arrived", {"what": "arrived", "at": "2026-11-26T21:40:00+08:00"}, request_only=True)],
    )
)
class VoyageReports(View):
    scopes = {"POST": "cargo:write"}
    idempotent = True

    def post(self, request: Request, pk: int) -> Response:
        body = VoyageReportSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(VoyageSerializer(voyages.report(pk, **body.validated_data, principal=caller(request))).data)


@extend_schema_view(
    get=extend_schema(
        summary="指定监管场地",
        description="Sites designated on a day (`on`, default today), by `category` or for a commodity `code`.",
        responses=SiteSerializer(many=True),
        parameters=[OpenApiParameter(name) for name in ("category", "code", "on")],
    )
)
class SupervisionSites(View):
    scopes = {"GET": "cargo:read"}

    def get(self, request: Request) -> Response:
        query = request.query_params
        day = asked_day(query, "on") or today()
        category = query.get("category")
        if category is not None and category not in Category.values:
            raise invalid([Fault("/category", "category", T("类别无效", "Unknown category"))])
        if code := query.get("code"):
            category = places.categories([code], day).get(code, "-")
        rows = DesignatedSite.objects.on(day).select_related("place").order_by("category", "place__code")
        if category:
            rows = rows.filter(category=category)
        return Response({"results": SiteSerializer(rows, many=True).data})
