"""What provinces do together: transits and their confirmations, and one search over all of them."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from cargo.models import Category
from common.api import View
from common.asked import asked_day
from common.days import today
from common.problems import Fault, invalid, not_found
from common.text import T
from exchange import cooperation, merged, search
from parties.principals import caller


class OpenTransitSerializer(serializers.Serializer):
    number = serializers.RegexField(
        f"^{cooperation.NUMBER}$", help_text="转关申报单号 / number of the transit declaration"
    )
    to_province = serializers.RegexField(r"^[0-9]{6}$", help_text="GB/T 2260")
    from_office = serializers.RegexField(f"^{cooperation.OFFICE}$", help_text="启运地海关 / office of departure")
    to_office = serializers.RegexField(
        f"^{cooperation.OFFICE}$", help_text="指运地（出境地）海关 / office of exit or destination"
    )
    containers = serializers.ListField(child=serializers.CharField(max_length=20), required=False, max_length=100)
    declaration_number = serializers.CharField(required=False, allow_blank=True, max_length=18)


class TransitSerializer(serializers.Serializer):
    number = serializers.CharField()
    direction = serializers.ChoiceField(["out", "in"], help_text="本省发出或发往本省 / opened here, or for here")
    opened_by = serializers.CharField(help_text="发起省份 / the province that opened it")
    to_province = serializers.CharField()
    from_office = serializers.CharField()
    to_office = serializers.CharField()
    declaration_number = serializers.CharField(allow_blank=True)
    containers = serializers.ListField(child=serializers.CharField())
    state = serializers.ChoiceField(["opened", *cooperation.STEPS])
    opened_at = serializers.DateTimeField()
    arrived_at = serializers.DateTimeField(allow_null=True)
    departed_at = serializers.DateTimeField(allow_null=True)


#: Rows of a page at most.
MOST = 200


class PageSerializer(serializers.Serializer):
    next = serializers.CharField(allow_null=True, help_text="下一页地址 / address of the next page; null on the last")


class TransitsSerializer(PageSerializer):
    results = TransitSerializer(many=True)


class ConfirmSerializer(serializers.Serializer):
    province = serializers.RegexField(r"^[0-9]{6}$", help_text="发起省份 / the province that opened it")
    step = serializers.ChoiceField(list(cooperation.STEPS))
    conveyance = serializers.CharField(required=False, allow_blank=True, max_length=80)
    place = serializers.CharField(required=False, allow_blank=True, max_length=80)


_PAGED = [
    OpenApiParameter("cursor", str, description="上一页给出 / as the page before gave it"),
    OpenApiParameter("page_size", int, description=f"1–{MOST}"),
]


def _asked(request: Request) -> dict[str, Any]:
    """Which page is asked for. A size that is none is as good as no size, as in every list."""
    size = request.query_params.get("page_size", "")
    known = size.isascii() and size.isdecimal() and int(size[:9]) > 0
    return {
        "cursor": request.query_params.get("cursor", ""),
        "most": min(int(size[:9]), MOST) if known else merged.PAGE,
    }


def _page(request: Request, page: merged.Page) -> Response:
    here = request.build_absolute_uri()
    following = replace_query_param(here, "cursor", page.next) if page.next else None
    return Response({"next": following, "results": page.results})


def _one(request: Request, number: str, opened_by: str | None = None) -> dict[str, Any]:
    """The transit of this number that a province opened; the newest where it is not said which."""
    for found in cooperation.transits(caller(request), number=number, opened_by=opened_by, most=1).results:
        return found
    raise not_found()


_OPENED_BY = OpenApiParameter(
    "opened_by", str, description="发起省份，各省自行编号 / the province that opened it: each numbers its own"
)


@extend_schema_view(
    get=extend_schema(
        operation_id="exchange_transits_list", summary="跨省转关", parameters=_PAGED, responses=TransitsSerializer
    ),
    post=extend_schema(
        summary="发起跨省转关",
        request=OpenTransitSerializer,
        responses={201: TransitSerializer},
        examples=[
            OpenApiExample(
                "to Qinzhou",
                {
                    "number": "ZG2026110001",
                    "to_province": "450000",
                    "from_office": "8000",
                    "to_office": "7201",
                    "containers": ["CSQU3054383"],
                },
                request_only=True,
            )
        ],
    ),
)
class Transits(View):
    """Goods on their way under customs control from an office here to one of another province, and the other way round."""

    scopes = {"GET": "transits:read", "POST": "transits:write"}
    idempotent = True

    def get(self, request: Request) -> Response:
        return _page(request, cooperation.transits(caller(request), **_asked(request)))

    def post(self, request: Request) -> Response:
        wanted = OpenTransitSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        asked: Any = {"containers": []} | wanted.validated_data
        cooperation.open_transit(principal=caller(request), **asked)
        return Response(_one(request, asked["number"], settings.PROVINCE), status=201)


@extend_schema_view(get=extend_schema(summary="一票转关", parameters=[_OPENED_BY], responses=TransitSerializer))
class TransitDetail(View):
    scopes = {"GET": "transits:read"}

    def get(self, request: Request, number: str) -> Response:
        return Response(_one(request, number, request.query_params.get("opened_by")))


@extend_schema_view(
    post=extend_schema(
        summary="确认运抵、确认离境",
        request=ConfirmSerializer,
        responses={201: TransitSerializer},
        examples=[
            OpenApiExample(
                "left the country",
                {"province": "500000", "step": "departure_confirmed", "conveyance": "MV EXAMPLE STAR 012N"},
                request_only=True,
            )
        ],
    )
)
class TransitConfirmations(View):
    """The office that a transit was opened for says that the goods arrived, and that they left the country. It goes back to the
    province that opened it."""

    scopes = {"POST": "transits:write"}
    idempotent = True

    def post(self, request: Request, number: str) -> Response:
        wanted = ConfirmSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        asked: Any = dict(wanted.validated_data)
        province = asked.pop("province")
        cooperation.confirm_transit(partner_code=province, number=number, principal=caller(request), **asked)
        return Response(_one(request, number, province), status=201)


class FoundListSerializer(serializers.Serializer):
    source = serializers.CharField(help_text="来源省份 / the province it comes from")  # type: ignore[assignment]
    own = serializers.BooleanField(help_text="本省记录，或外省镜像 / our own record, or a mirror")
    as_of = serializers.DateTimeField(allow_null=True)
    number = serializers.CharField()
    body = serializers.CharField(allow_null=True)
    port = serializers.CharField(allow_null=True)
    area = serializers.CharField(allow_null=True)
    title = serializers.CharField(allow_null=True)
    valid_from = serializers.DateField(allow_null=True)
    valid_to = serializers.DateField(allow_null=True)
    items = serializers.ListField(child=serializers.DictField())


class FoundListsSerializer(PageSerializer):
    results = FoundListSerializer(many=True)


_ON = OpenApiParameter("on", date, description="日期，默认今天 / the day, today if not given")
_PORT = OpenApiParameter("port", str, description="UN/LOCODE")


@extend_schema_view(
    get=extend_schema(
        summary="全通道港口收费清单",
        parameters=[_PORT, OpenApiParameter("q", str, description="关键词 / words"), _ON, *_PAGED],
        responses=FoundListsSerializer,
    )
)
class FeeLists(View):
    """Published fee lists of all ports of the corridor: our own and those that partners share, each with its source."""

    scopes = {"GET": "portfees:read"}

    def get(self, request: Request) -> Response:
        asked = request.query_params
        found = search.fee_lists(
            day=asked_day(asked, "on") or today(),
            port=asked.get("port", ""),
            words=asked.get("q", ""),
            **_asked(request),
        )
        return _page(request, found)


class FoundSiteSerializer(serializers.Serializer):
    source = serializers.CharField()  # type: ignore[assignment]
    own = serializers.BooleanField()
    code = serializers.CharField(allow_null=True)
    name = serializers.CharField(allow_null=True)
    port = serializers.CharField(allow_null=True)
    office = serializers.CharField(allow_null=True)
    category = serializers.CharField(allow_null=True)
    valid_from = serializers.DateField(allow_null=True)
    valid_to = serializers.DateField(allow_null=True)


class FoundSitesSerializer(PageSerializer):
    results = FoundSiteSerializer(many=True)


@extend_schema_view(
    get=extend_schema(
        summary="全通道指定监管场地",
        parameters=[
            OpenApiParameter("category", str, enum=Category.values),
            OpenApiParameter("code", str, description="商品编号 / commodity code"),
            _PORT,
            _ON,
            *_PAGED,
        ],
        responses=FoundSitesSerializer,
    )
)
class Sites(View):
    """Designated supervision sites of all ports of the corridor, each with its source."""

    scopes = {"GET": "cargo:read"}

    def get(self, request: Request) -> Response:
        asked = request.query_params
        if (category := asked.get("category", "")) and category not in Category.values:
            raise invalid([Fault("/category", "category", T("类别无效", "Unknown category"))])
        found = search.sites(
            day=asked_day(asked, "on") or today(),
            category=category,
            code=asked.get("code", ""),
            port=asked.get("port", ""),
            **_asked(request),
        )
        return _page(request, found)
