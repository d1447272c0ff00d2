"""What a journey costs by the published lists."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import DayField, View
from common.days import today
from common.problems import Problem, not_found
from common.text import T
from portfees import catalogues, sources
from portfees.models import Condition, Direction, FeeItem, FeeList, Unit
from portfees.quotation import NOTE, Charge, Containers, Journey, Quotation, free_time, most_specific, quote, total


class ContainersSerializer(serializers.Serializer):
    size = serializers.ChoiceField(choices=["20", "40", "45"])
    count = serializers.IntegerField(min_value=1, max_value=10_000)
    condition = serializers.ChoiceField(choices=Condition.choices, default=Condition.ORDINARY)
    days = serializers.IntegerField(
        min_value=0, max_value=3650, default=0, help_text="预计在场天数 / expected days on site"
    )


class PortFeeQuotationRequestSerializer(serializers.Serializer):
    ports = serializers.ListField(
        child=serializers.RegexField(r"^[A-Z]{2}[A-Z2-9]{3}$"), min_length=1, max_length=5,
        help_text="一个或几个口岸，并列比较 / one port, or several side by side",
    )  # fmt: skip
    day = DayField(required=False)
    area = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=80,
        default="",
        help_text="港区 / port area",
    )
    bodies = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1),
        default=list,
        max_length=50,
        help_text="同类有多家时选定的收费主体 / the bodies chosen where several of a class charge",
    )
    direction = serializers.ChoiceField(choices=[Direction.IMPORT, Direction.EXPORT])
    trade_lane = serializers.CharField(required=False, allow_blank=True, max_length=40, default="")
    containers = ContainersSerializer(many=True, allow_empty=False)
    bills = serializers.IntegerField(min_value=0, max_value=10_000, default=1)
    declarations = serializers.IntegerField(min_value=0, max_value=10_000, default=1)
    tonnes = serializers.DecimalField(max_digits=14, decimal_places=3, min_value=0, default=Decimal(0))
    cubic_metres = serializers.DecimalField(max_digits=14, decimal_places=3, min_value=0, default=Decimal(0))
    services = serializers.ListField(child=serializers.CharField(max_length=40), default=list, max_length=200)


class ChargeSerializer(serializers.Serializer):
    list_number = serializers.CharField()
    list_version = serializers.IntegerField()
    body = serializers.CharField()
    body_id = serializers.IntegerField()
    body_class = serializers.CharField()
    code = serializers.CharField()
    name_zh = serializers.CharField()
    name_en = serializers.CharField()
    unit = serializers.CharField()
    quantity = serializers.CharField()
    rate = serializers.CharField()
    currency = serializers.CharField()
    amount = serializers.CharField()
    arithmetic = serializers.CharField()
    is_example = serializers.BooleanField()


class PortQuotationSerializer(serializers.Serializer):
    port = serializers.CharField()
    day = serializers.DateField()
    mandatory = ChargeSerializer(many=True)
    optional = ChargeSerializer(many=True)
    totals = serializers.DictField(child=serializers.CharField())
    total_cny = serializers.CharField(allow_null=True)
    total_usd = serializers.CharField(allow_null=True)
    per_container_cny = serializers.CharField(allow_null=True)
    per_container_usd = serializers.CharField(allow_null=True)
    target_usd_per_container = serializers.CharField()
    within_target = serializers.BooleanField(allow_null=True)
    not_covered = serializers.ListField(
        child=serializers.DictField(), help_text="没有适用项目的箱 / containers no line is for"
    )
    unknown_services = serializers.ListField(
        child=serializers.CharField(), help_text="未能报价的服务 / wanted services without a price"
    )
    problem = serializers.DictField(
        required=False, help_text="该口岸无法（完整）报价的原因 / why this port has no (whole) price"
    )


class PortFeeQuotationsSerializer(serializers.Serializer):
    note = serializers.CharField()
    quotations = PortQuotationSerializer(many=True)


def _charge_body(found: Charge) -> dict[str, Any]:
    item: FeeItem = found.item
    return {
        "list_number": item.fee_list.number,
        "list_version": item.fee_list.version,
        "body": item.fee_list.body.name,
        "body_id": item.fee_list.body_id,
        "body_class": item.fee_list.body_class,
        "code": item.code,
        "name_zh": item.name_zh,
        "name_en": item.name_en,
        "unit": item.unit,
        "quantity": f"{found.quantity.normalize():f}",
        "rate": f"{item.rate.normalize():f}",
        "currency": item.currency,
        "amount": found.amount,
        "arithmetic": found.arithmetic,
        "is_example": item.fee_list.is_example,
    }


def _quotation_body(quotation: Quotation) -> dict[str, Any]:
    summed = total(quotation, sources.yuan_for)
    target = catalogues.parameter("target_usd_per_container", quotation.journey.day)
    whole = not (quotation.not_covered or quotation.unknown_services)
    return {
        "port": quotation.journey.port,
        "day": quotation.journey.day,
        "mandatory": [_charge_body(found) for found in quotation.mandatory],
        "optional": [_charge_body(found) for found in quotation.optional],
        "totals": quotation.totals,
        "total_cny": summed.cny,
        "total_usd": summed.usd,
        "per_container_cny": summed.cny_per_container,
        "per_container_usd": summed.usd_per_container,
        "target_usd_per_container": f"{target.value.normalize():f}",
        "within_target": summed.usd_per_container <= target.value
        if whole and summed.usd_per_container is not None
        else None,
        "not_covered": [{"size": one.size, "condition": one.condition} for one in quotation.not_covered],
        "unknown_services": quotation.unknown_services,
        **({} if whole else {"problem": _INCOMPLETE.body()}),
    }


_INCOMPLETE = Problem(
    409,
    "quotation-incomplete",
    T(
        "部分箱或服务没有适用的收费项目，合计不完整",
        "Some containers or services have no line: the sums are not the whole price",
    ),
)


def _without_a_price(port: str, day: date, problem: Problem) -> dict[str, Any]:
    nothing: dict[str, Any] = dict.fromkeys(
        ("total_cny", "total_usd", "per_container_cny", "per_container_usd", "within_target")
    )
    target = catalogues.parameter("target_usd_per_container", day)
    return {
        "port": port, "day": day, "mandatory": [], "optional": [], "totals": {}, **nothing,
        "target_usd_per_container": f"{target.value.normalize():f}", "not_covered": [], "unknown_services": [],
        "problem": problem.body(),
    }  # fmt: skip


@extend_schema_view(
    post=extend_schema(
        summary="试算口岸费用 / what a journey costs",
        request=PortFeeQuotationRequestSerializer,
        responses=PortFeeQuotationsSerializer,
        examples=[
            OpenApiExample(
                "two ports side by side",
                {
                    "ports": ["CNQZH", "CNZNG"], "direction": "import",
                    "containers": [{"size": "40", "count": 2, "days": 9}], "services": ["REEFER-POWER"],
                },
                request_only=True,
            )
        ],
    )
)  # fmt: skip
class Quotations(View):
    """Mandatory and optional charges apart, with list version and arithmetic; several ports side by side. Where several
    bodies of one class charge at a port, it has no price until one is chosen: ``problem`` names them (``choices``)."""

    scopes = {"POST": "portfees:read"}

    def post(self, request: Request) -> Response:
        wanted = PortFeeQuotationRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        terms = dict(wanted.validated_data)
        containers = tuple(Containers(**group) for group in terms.pop("containers"))
        services = frozenset(terms.pop("services"))
        day = terms.pop("day", None) or today()
        area, bodies, ports = terms["area"], terms.pop("bodies"), terms.pop("ports")
        made = []
        for port in ports:
            try:
                items = catalogues.in_force(port, day, area, bodies)
            except catalogues.ChooseBody as problem:
                made.append(_without_a_price(port, day, problem))
                continue
            except Problem as problem:
                if len(ports) == 1:
                    raise
                made.append(_without_a_price(port, day, problem))
                continue
            journey = Journey(port=port, day=day, containers=containers, services=services, **terms)
            made.append(_quotation_body(quote(items, journey, sources.is_working)))
        return Response({"note": NOTE, "quotations": made})


class FreeTimeRequestSerializer(serializers.Serializer):
    list_number = serializers.CharField(max_length=40)
    code = serializers.CharField(max_length=40)
    size = serializers.ChoiceField(choices=["20", "40", "45"])
    condition = serializers.ChoiceField(choices=Condition.choices, default=Condition.ORDINARY)
    direction = serializers.ChoiceField(choices=[Direction.IMPORT, Direction.EXPORT])
    trade_lane = serializers.CharField(required=False, allow_blank=True, max_length=40, default="")
    start = DayField(help_text="计时首日 / first day, counted")
    end = DayField(help_text="提离日 / last day, counted")
    count = serializers.IntegerField(min_value=1, max_value=10_000, default=1)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not 0 <= (attrs["end"] - attrs["start"]).days <= 3650:
            raise serializers.ValidationError({"end": str(T("须不早于首日", "Must not lie before the first day"))})
        return attrs


class FreeTimeSerializer(serializers.Serializer):
    list_number = serializers.CharField()
    code = serializers.CharField()
    free_days = serializers.IntegerField()
    counted = serializers.CharField()
    last_free_day = serializers.DateField()
    days = serializers.IntegerField()
    charged_days = serializers.IntegerField()
    amount = serializers.CharField()
    currency = serializers.CharField()
    arithmetic = serializers.CharField()


@extend_schema_view(
    post=extend_schema(
        summary="免费期与超期费用 / free time and what it costs after",
        request=FreeTimeRequestSerializer,
        responses=FreeTimeSerializer,
        examples=[
            OpenApiExample(
                "nine days",
                {
                    "list_number": "FL1-CNQZH-1", "code": "STORAGE", "size": "40", "direction": "import",
                    "start": "2026-11-02", "end": "2026-11-12",
                },
                request_only=True,
            )
        ],
    )
)  # fmt: skip
class FreeTime(View):
    """The last free day on the legal calendar, and the charge for the days after it, by one line of a published list."""

    scopes = {"POST": "portfees:read"}

    def post(self, request: Request) -> Response:
        wanted = FreeTimeRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        terms = wanted.validated_data
        lines = FeeItem.objects.filter(
            fee_list__in=FeeList.objects.public().on(terms["start"]).filter(number=terms["list_number"]),
            code=terms["code"],
            unit=Unit.CONTAINER_DAY,
        )
        item = most_specific(
            lines,
            size=terms["size"],
            condition=terms["condition"],
            direction=terms["direction"],
            lane=terms["trade_lane"],
        )
        if item is None:
            raise not_found()
        found = free_time(
            item, start=terms["start"], end=terms["end"], count=terms["count"], is_working=sources.is_working
        )
        return Response(
            {
                "list_number": terms["list_number"],
                "code": item.code,
                "free_days": item.free_days or 0,
                "counted": item.free_days_counted,
                "last_free_day": found.last_free_day,
                "days": found.days,
                "charged_days": found.charged_days,
                "amount": found.charge.amount,
                "currency": item.currency,
                "arithmetic": found.charge.arithmetic,
            }
        )
