"""Fee lists: read by everyone, drafted, checked and published by their charging body."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import date
from typing import Any

from django.db.models import Q
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import parsers, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import DayField, View
from common.asked import asked_day
from common.days import today
from common.formats import JSONParser
from common.problems import Fault, Problem, invalid, not_found
from common.text import T
from parties.principals import caller
from portfees import catalogues, sheets
from portfees.models import (
    BodyClass,
    FeeItem,
    FeeList,
)

EXAMPLE_ITEM = {
    "code": "LUMP", "name_zh": "港口作业包干费", "service_content": "装卸、堆存", "payer": "consignee", "unit": "container",
    "container_size": "20", "rate": "500", "pricing": "market", "mandatory": True,
}  # fmt: skip


class FeeItemSerializer(serializers.ModelSerializer):
    class Meta:
        model = FeeItem
        fields = ["line", *catalogues.ITEM_FIELDS]
        read_only_fields = fields


class FeeListSerializer(serializers.ModelSerializer):
    body = serializers.CharField(source="body.name", read_only=True)
    body_id = serializers.IntegerField(read_only=True)
    valid_from = serializers.DateField(source="valid.lower", read_only=True)
    valid_to = serializers.DateField(source="valid.upper", read_only=True, allow_null=True)

    class Meta:
        model = FeeList
        fields = [
            "number", "body", "body_id", "body_class", "port", "area", "version", "state", "title", "valid_from",
            "valid_to", "complaint_telephone", "is_example", "published_at",
        ]  # fmt: skip
        read_only_fields = fields


class FeeListDetailSerializer(FeeListSerializer):
    items = FeeItemSerializer(many=True, read_only=True)

    class Meta(FeeListSerializer.Meta):
        fields = [*FeeListSerializer.Meta.fields, "items"]
        read_only_fields = fields


class DraftSerializer(serializers.Serializer):
    body_class = serializers.ChoiceField(choices=BodyClass.choices)
    port = serializers.RegexField(r"^[A-Z]{2}[A-Z2-9]{3}$")
    area = serializers.CharField(required=False, allow_blank=True, max_length=80, default="")
    title = serializers.CharField(max_length=200)
    valid_from = DayField()
    valid_to = DayField(required=False, allow_null=True, default=None)
    complaint_telephone = serializers.CharField(max_length=60)
    is_example = serializers.BooleanField(required=False, default=False)
    items = serializers.ListField(
        child=serializers.DictField(child=serializers.JSONField()),
        required=False,
        default=list,
        max_length=sheets.MAX_ROWS,
    )


class DifferenceSerializer(serializers.Serializer):
    added = FeeItemSerializer(many=True)
    removed = FeeItemSerializer(many=True)
    changed = serializers.ListField(child=serializers.DictField())
    unchanged = serializers.IntegerField()


def _difference_body(found: catalogues.Difference) -> dict[str, Any]:
    return {
        "added": FeeItemSerializer(found.added, many=True).data,
        "removed": FeeItemSerializer(found.removed, many=True).data,
        "changed": [
            {
                "code": change.after.code,
                "line": change.after.line,
                "fields": {name: {"before": old, "after": new} for name, (old, new) in change.fields.items()},
            }
            for change in found.changed
        ],
        "unchanged": len(found.unchanged),
    }


def _items_from_json(rows: list[dict[str, Any]]) -> list[FeeItem]:
    """Lines given as JSON, read by the same readers as a sheet's cells."""

    def cell(value: Any) -> str:
        return sheets.tiers_text(value) if isinstance(value, list) else sheets.cell_text(value)

    unknown = [
        Fault(f"/items/{index}/{name}", "unknown-member", T("未知字段", "Unknown member"))
        for index, row in enumerate(rows)
        for name in row
        if name not in catalogues.ITEM_FIELDS
    ]
    if unknown:
        raise invalid(unknown)
    try:
        table = [[cell(row.get(name)) for name in catalogues.ITEM_FIELDS] for row in rows]
    except (KeyError, TypeError) as error:
        raise invalid([Fault("/items", "tiers-shape", T("阶梯费率格式有误", "Tiers have the wrong shape"))]) from error
    with _json_pointers():
        return sheets.items_of([list(catalogues.ITEM_FIELDS), *table])


@contextmanager
def _json_pointers() -> Iterator[None]:
    """Rows of a sheet, told by their place in the JSON: the first row below the heading is the first of ``items``."""
    try:
        yield
    except Problem as problem:
        for place, fault in enumerate(problem.errors):
            pointer = re.sub(r"^/rows/(\d+)", lambda row: f"/items/{int(row[1]) - 2}", fault.pointer)
            problem.errors[place] = fault._replace(pointer=pointer)
        raise


@extend_schema_view(
    get=extend_schema(
        summary="收费目录清单：检索 / search the catalogues",
        auth=[],
        parameters=[
            OpenApiParameter("port", str),
            OpenApiParameter("body_class", str, enum=BodyClass.values),
            OpenApiParameter("q", str, description="清单或项目名称 / words of title or items"),
            OpenApiParameter("on", OpenApiTypes.DATE, description="该日有效 / in force on that day; today by default"),
            OpenApiParameter("history", bool, description="含历史版本 / every version, whatever the day"),
        ],
        responses=FeeListSerializer(many=True),
    )
)
class Catalogues(View):
    """Published fee lists, readable without log-in."""

    public = True

    def get(self, request: Request) -> Response:
        found = search(request.query_params, asked_day(request.query_params, "on") or today())
        return self.paged(request, found, FeeListSerializer)


def search(wanted: Any, day: date) -> Any:
    """Public lists by port, class and words; those in force on ``day`` unless ``history`` is asked for."""
    found = FeeList.objects.public().select_related("body")
    if wanted.get("history") not in ("true", "1", "on"):
        found = found.on(day)
    if port := wanted.get("port"):
        found = found.filter(port=port)
    if body_class := wanted.get("body_class"):
        found = found.filter(body_class=body_class)
    if words := (wanted.get("q") or "").replace("\x00", "").strip():
        lines = FeeItem.objects.filter(Q(name_zh__icontains=words) | Q(name_en__icontains=words) | Q(code=words))
        found = found.filter(
            Q(title__icontains=words) | Q(body__name__icontains=words) | Q(pk__in=lines.values("fee_list"))
        )
    return found


def public_list(number: str) -> FeeList:
    found = FeeList.objects.public().select_related("body").prefetch_related("items").filter(number=number).first()
    if found is None:
        raise not_found()
    return found


@extend_schema_view(get=extend_schema(summary="清单详情 / one list", auth=[], responses=FeeListDetailSerializer))
class Catalogue(View):
    public = True

    def get(self, request: Request, number: str) -> Response:
        return Response(FeeListDetailSerializer(public_list(number)).data)


@extend_schema_view(
    get=extend_schema(
        summary="下载 CSV 或 XLSX / download",
        auth=[],
        responses={(200, "text/csv"): OpenApiTypes.BINARY, (200, "application/vnd.ms-excel"): OpenApiTypes.BINARY},
    )
)
class CatalogueSheet(View):
    public = True

    def get(self, request: Request, number: str, kind: str) -> HttpResponse:
        fee_list = public_list(number)
        items = list(fee_list.items.all())
        if kind == "csv":
            data, content_type = sheets.write_csv(items), "text/csv; charset=utf-8"
        elif kind == "xlsx":
            data = sheets.write_xlsx(items, fee_list.number)
            content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
        else:
            raise not_found()
        return HttpResponse(
            data, content_type=content_type, headers={"Content-Disposition": f'attachment; filename="{number}.{kind}"'}
        )


@extend_schema_view(
    get=extend_schema(
        summary="两个版本的差异 / what changed from another version", auth=[], responses=DifferenceSerializer
    )
)
class CatalogueDifference(View):
    public = True

    def get(self, request: Request, number: str, other: str) -> Response:
        before, after = public_list(other), public_list(number)
        return Response(_difference_body(catalogues.difference(list(before.items.all()), list(after.items.all()))))


@extend_schema_view(
    get=extend_schema(summary="本单位的清单 / one's own lists", responses=FeeListSerializer(many=True)),
    post=extend_schema(
        summary="起草清单的新版本 / begin a version",
        request=DraftSerializer,
        responses={201: FeeListDetailSerializer},
        examples=[
            OpenApiExample(
                "terminal",
                {
                    "body_class": "terminal", "port": "CNQZH", "title": "示例码头收费目录清单", "valid_from": "2027-01-01",
                    "complaint_telephone": "12345", "is_example": True,
                    "items": [
                        EXAMPLE_ITEM
                    ],
                },
                request_only=True,
            )
        ],
    ),
)  # fmt: skip
class OwnLists(View):
    scopes = {"GET": "portfees:write", "POST": "portfees:write"}
    idempotent = True

    def get(self, request: Request) -> Response:
        found = FeeList.objects.select_related("body").filter(body_id=caller(request).organisation_id)
        return self.paged(request, found, FeeListSerializer)

    def post(self, request: Request) -> Response:
        wanted = DraftSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        terms = dict(wanted.validated_data)
        terms["items"] = _items_from_json(terms["items"])
        fee_list = catalogues.draft(principal=caller(request), **terms)
        return Response(FeeListDetailSerializer(fee_list).data, status=201)


def _own(request: Request, number: str) -> FeeList:
    found = FeeList.objects.filter(number=number, body_id=caller(request).organisation_id).first()
    if found is None:
        raise not_found()
    return found


class ItemsSerializer(serializers.Serializer):
    items = serializers.ListField(
        child=serializers.DictField(child=serializers.JSONField()), max_length=sheets.MAX_ROWS
    )


class RedraftSerializer(serializers.Serializer):
    title = serializers.CharField(max_length=200, required=False)
    valid_from = DayField(required=False)
    valid_to = DayField(required=False, allow_null=True)
    complaint_telephone = serializers.CharField(max_length=60, required=False)


class UploadSerializer(serializers.Serializer):
    file = serializers.FileField()


@extend_schema_view(
    get=extend_schema(summary="本单位清单详情 / one of one's own", responses=FeeListDetailSerializer),
    put=extend_schema(
        summary="改写草稿的项目：JSON 或 XLSX/CSV 文件 / write a draft's lines anew",
        examples=[OpenApiExample("lines", {"items": [EXAMPLE_ITEM]}, request_only=True)],
        request={"application/json": ItemsSerializer, "multipart/form-data": UploadSerializer},
        parameters=[
            OpenApiParameter("dry_run", bool, description="只看差异与错误 / only tell the difference and the faults")
        ],
        responses=DifferenceSerializer,
    ),
    patch=extend_schema(
        summary="修改草稿的名称、期限、电话 / mend a draft",
        request=RedraftSerializer,
        examples=[OpenApiExample("first day", {"valid_from": "2027-03-01"}, request_only=True)],
        responses=FeeListDetailSerializer,
    ),
)
class OwnList(View):
    scopes = {"GET": "portfees:write", "PUT": "portfees:write", "PATCH": "portfees:write"}
    parser_classes = [JSONParser, parsers.MultiPartParser]

    def get(self, request: Request, number: str) -> Response:
        return Response(FeeListDetailSerializer(_own(request, number)).data)

    def put(self, request: Request, number: str) -> Response:
        fee_list = _own(request, number)
        upload = request.FILES.get("file")
        if upload is not None:
            items = sheets.read(upload.read(sheets.MAX_BYTES + 1))
        else:
            wanted = ItemsSerializer(data=request.data)
            wanted.is_valid(raise_exception=True)
            items = _items_from_json(wanted.validated_data["items"])
        if request.query_params.get("dry_run") in ("true", "1"):
            with nullcontext() if upload is not None else _json_pointers():
                tried = sheets.try_sheet(fee_list, items)
            return Response(_difference_body(tried.difference))
        catalogues.replace_items(number=number, items=items, principal=caller(request))
        return Response(_difference_body(sheets.compared(fee_list, items).difference))

    def patch(self, request: Request, number: str) -> Response:
        wanted = RedraftSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        catalogues.redraft(number=number, principal=caller(request), **wanted.validated_data)
        return Response(FeeListDetailSerializer(_own(request, number)).data)


_LIST_COMMANDS = {
    "check": catalogues.check, "reopen": catalogues.reopen, "publish": catalogues.publish, "discard": catalogues.discard,
}  # fmt: skip


@extend_schema_view(
    post=extend_schema(
        operation_id="port_fees_list_command",
        summary="校核、退回草稿、公布、废弃 / check, reopen, publish, discard",
        request=None,
        parameters=[OpenApiParameter("command", str, OpenApiParameter.PATH, enum=list(_LIST_COMMANDS))],
        responses=FeeListSerializer,
    )
)
class OwnListCommand(View):
    scopes = {"POST": "portfees:write"}
    idempotent = True

    def post(self, request: Request, number: str, command: str) -> Response:
        if command not in _LIST_COMMANDS:
            raise not_found()
        return Response(FeeListSerializer(_LIST_COMMANDS[command](number=number, principal=caller(request))).data)
