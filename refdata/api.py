"""Code lists over the API: public, cached by version, searchable in both languages, and as CSV."""

from __future__ import annotations

import csv
import hashlib
import io
from datetime import date, datetime
from typing import Any

from django.db.models import Case, CharField, F, Q, QuerySet, Value, When
from django.db.models.functions import Concat
from django.utils.translation import get_language
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import renderers, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import View, unchanged
from common.days import today
from common.formats import JSONRenderer
from common.pagination import CursorPagination
from common.problems import Fault, invalid, not_found
from common.text import T
from refdata.files import COLUMNS
from refdata.models import Code, CodeList


class CodeListSerializer(serializers.Serializer):
    list = serializers.CharField(help_text="代码表标识 / the list's name in addresses")
    name = serializers.CharField(help_text="当前语言的名称 / name in the caller's language")
    name_zh = serializers.CharField()
    name_en = serializers.CharField()
    size = serializers.IntegerField()
    complete = serializers.BooleanField(
        help_text="表外代码是否必错 / whether a code that is not in the list is certainly wrong"
    )
    trust = serializers.CharField(help_text="good, fair")
    rests_on = serializers.CharField(help_text="依据 / what the list rests on")
    version = serializers.CharField(help_text="内容的摘要 / digest of the content")
    loaded_at = serializers.DateTimeField()


class CodeListsSerializer(serializers.Serializer):
    results = CodeListSerializer(many=True)


class CodeSerializer(serializers.Serializer):
    code = serializers.CharField()
    name = serializers.CharField(help_text="当前语言的名称 / name in the caller's language")
    name_zh = serializers.CharField(allow_blank=True)
    name_en = serializers.CharField(allow_blank=True)
    valid_from = serializers.DateField(allow_null=True)
    valid_to = serializers.DateField(allow_null=True, help_text="第一个不再有效的日子 / first day without it")
    attributes = serializers.DictField(
        child=serializers.JSONField(), help_text="各表自有的附加列 / the list's own columns"
    )


class CodePageSerializer(serializers.Serializer):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = CodeSerializer(many=True)


class PeriodsSerializer(CodeSerializer):
    list = serializers.CharField()
    in_force = serializers.BooleanField(help_text="在所问之日是否有效 / whether it holds on the day asked for")
    periods = CodeSerializer(many=True, help_text="历次有效期，先后为序 / every period, in order")


class CSVRenderer(renderers.BaseRenderer):
    """Rows of a list as the loader reads them, with a byte order mark so that spreadsheets know the encoding."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        if not isinstance(data, list):  # a problem
            return JSONRenderer().render(data)
        out = io.StringIO()
        csv.writer(out, lineterminator="\r\n").writerows(data)
        return out.getvalue().encode("utf-8-sig")


ON = OpenApiParameter(
    "on",
    OpenApiTypes.STR,
    description="法定日（YYYY-MM-DD，默认今日），any 为历次全部 / legal day (default today); `any` gives every period",
    examples=[OpenApiExample("day", value="2026-01-01"), OpenApiExample("every period", value="any")],
)
IF_NONE_MATCH = OpenApiParameter("If-None-Match", OpenApiTypes.STR, OpenApiParameter.HEADER)
NOT_MODIFIED = OpenApiResponse(description="内容未变 / unchanged since the ETag given")
COUNTRY = {
    "code": "SGP",
    "name": "新加坡",
    "name_zh": "新加坡",
    "name_en": "Singapore",
    "valid_from": None,
    "valid_to": None,
    "attributes": {"alpha2": "SG", "numeric": "702", "legacy_customs": "132", "legacy_ciq": "702"},
}


class CodeLists(View):
    public = True

    @extend_schema(
        operation_id="reference_lists",
        summary="代码表目录 / Code lists",
        parameters=[IF_NONE_MATCH],
        responses={200: CodeListsSerializer, 304: NOT_MODIFIED},
        auth=[],
    )
    def get(self, request: Request) -> Response:
        lists = list(CodeList.objects.all())
        tag = etag(*(one.version for one in lists))
        if unchanged(request, tag):
            return not_modified(tag)
        return cached(Response({"results": [render_list(one) for one in lists]}), tag)


class Codes(View):
    public = True
    renderer_classes = [JSONRenderer, CSVRenderer]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        if request.query_params.get("format") == "csv":
            return CSVRenderer(), CSVRenderer.media_type
        return super().perform_content_negotiation(request, force)

    @extend_schema(
        operation_id="reference_codes",
        summary="一张代码表 / One code list",
        description=(
            "按代码前缀或中英文名称查找（`q`），按法定日取值（`on`）；`Accept: text/csv` 或 `format=csv` 下载整张表。\n\n"
            "Search by the beginning of the code or any part of a Chinese or English name (`q`), as of a legal day (`on`); "
            "`Accept: text/csv` or `format=csv` downloads the whole list."
        ),
        parameters=[
            OpenApiParameter("q", OpenApiTypes.STR, description="代码或名称 / code or name"),
            ON,
            OpenApiParameter("cursor", OpenApiTypes.STR),
            OpenApiParameter("page_size", OpenApiTypes.INT),
            OpenApiParameter("format", OpenApiTypes.STR, enum=["json", "csv"]),
            IF_NONE_MATCH,
        ],
        responses={
            (200, "application/json"): CodePageSerializer,
            (200, "text/csv"): OpenApiTypes.STR,
            304: NOT_MODIFIED,
        },
        examples=[
            OpenApiExample(
                "search",
                value={"next": None, "previous": None, "results": [COUNTRY]},
                response_only=True,
                media_type="application/json",
                status_codes=["200"],
            )
        ],
        auth=[],
    )
    def get(self, request: Request, slug: str) -> Response:
        day, q = read_day(request), read_q(request)
        one = find_list(slug)
        as_csv = isinstance(request.accepted_renderer, CSVRenderer)
        tag = etag(one.version, request.get_full_path(), str(day), "csv" if as_csv else str(get_language()))
        if unchanged(request, tag):
            return not_modified(tag)
        found = search(one, day, q)
        if as_csv:
            response = Response(table(one, found))
            response["Content-Disposition"] = f'attachment; filename="{slug}.csv"'
        else:
            pages = Pages()
            page = pages.paginate_queryset(found, request, view=self) or []
            response = pages.get_paginated_response([render_code(code) for code in page])
        return cached(response, tag)


class CodeDetail(View):
    public = True

    @extend_schema(
        operation_id="reference_code",
        summary="一个代码 / One code",
        parameters=[ON, IF_NONE_MATCH],
        responses={200: PeriodsSerializer, 304: NOT_MODIFIED},
        examples=[
            OpenApiExample(
                "country",
                value=COUNTRY | {"list": "country", "in_force": True, "periods": [COUNTRY]},
                response_only=True,
                status_codes=["200"],
            )
        ],
        auth=[],
    )
    def get(self, request: Request, slug: str, code: str) -> Response:
        day = read_day(request) or today()
        one = find_list(slug)
        tag = etag(one.version, code, str(day), str(get_language()))
        if unchanged(request, tag):
            return not_modified(tag)
        periods = list(one.codes.filter(code=code).order_by("valid"))
        if not periods:
            raise not_found()
        now = [period for period in periods if day in period.valid]
        body = render_code((now or periods)[-1])
        body |= {"list": slug, "in_force": bool(now), "periods": [render_code(period) for period in periods]}
        return cached(Response(body), tag)


class Pages(CursorPagination):
    #: ``place`` puts an exact code first, then codes and names that begin with what was asked for.
    ordering = ("place", "id")


def search(one: CodeList, day: date | None, q: str) -> QuerySet[Code]:
    found = one.codes.all()
    if day is not None:
        found = found.filter(valid__contains=day)
    if not q:
        return found.annotate(place=F("code")).order_by("place", "id")
    rank = Case(
        When(code__iexact=q, then=Value("0")),
        When(code__istartswith=q, then=Value("1")),
        When(Q(name_zh__istartswith=q) | Q(name_en__istartswith=q), then=Value("2")),
        default=Value("3"),
        output_field=CharField(db_collation="C"),
    )
    return (
        found.filter(Q(code__istartswith=q) | Q(name_zh__icontains=q) | Q(name_en__icontains=q))
        .annotate(place=Concat(rank, F("code"), output_field=CharField(db_collation="C")))
        .order_by("place", "id")
    )


def find_list(slug: str) -> CodeList:
    if (one := CodeList.objects.filter(slug=slug).first()) is None:
        raise not_found()
    return one


def read_day(request: Request) -> date | None:
    """The day of ``?on=``; None for ``any``."""
    text = request.query_params.get("on", "")
    if text == "any":
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").date() if text else today()  # noqa: DTZ007
    except ValueError:
        fault = Fault("/on", "date", T("应为 YYYY-MM-DD 或 any", "Must be YYYY-MM-DD or any"))
        raise invalid([fault]) from None


def read_q(request: Request) -> str:
    q = request.query_params.get("q", "").strip()
    if len(q) > 100:
        fault = Fault("/q", "search-text", T("最多 100 个字符", "At most 100 characters"))
        raise invalid([fault])
    return q


def render_list(one: CodeList) -> dict[str, Any]:
    return {
        "list": one.slug,
        "name": str(one),
        "name_zh": one.name_zh,
        "name_en": one.name_en,
        "size": one.size,
        "complete": one.complete,
        "trust": one.trust,
        "rests_on": one.rests_on,
        "version": one.version,
        "loaded_at": one.loaded_at,
    }


def render_code(code: Code) -> dict[str, Any]:
    return {
        "code": code.code,
        "name": code.name,
        "name_zh": code.name_zh,
        "name_en": code.name_en,
        "valid_from": code.valid.lower,
        "valid_to": code.valid.upper,
        "attributes": code.attributes,
    }


def table(one: CodeList, codes: QuerySet[Code]) -> list[list[Any]]:
    """Heading and rows in the form of the list's file: what is downloaded can be loaded again."""
    names = [(column.partition(":")[0], column.endswith(":bool")) for column in one.columns]
    rows: list[list[Any]] = [[*COLUMNS, *one.columns]]
    for code in codes.order_by("code", "valid"):
        extra = [
            int(value) if flag and value is not None else value
            for value, flag in ((code.attributes.get(name), flag) for name, flag in names)
        ]
        rows.append([code.code, code.name_zh, code.name_en, code.valid.lower, code.valid.upper, *extra])
    return rows


def etag(*parts: str) -> str:
    return f'"{hashlib.sha256("|".join(parts).encode()).hexdigest()[:32]}"'


def not_modified(tag: str) -> Response:
    return cached(Response(status=304), tag)


def cached(response: Response, tag: str) -> Response:
    """Let anyone keep it, and ask before using it again: a load is seen at once."""
    response["ETag"] = tag
    response["Cache-Control"] = "public, no-cache"
    return response
