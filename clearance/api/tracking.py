"""One key: the time line, its sharing, its DCSA form; and clearance times."""

from __future__ import annotations

import csv
import io
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from clearance import dcsa, times, tracking
from common.api import View
from common.asked import asked_day
from common.problems import not_found
from parties.principals import caller


class EntrySerializer(serializers.Serializer):
    at = serializers.DateTimeField()
    planned = serializers.BooleanField()
    type = serializers.CharField()
    text = serializers.CharField()
    said_by = serializers.CharField(required=False)
    about = serializers.DictField(required=False)


class MilestoneSerializer(serializers.Serializer):
    milestone = serializers.CharField()
    name = serializers.CharField()
    at = serializers.DateTimeField()


class TimelineSerializer(serializers.Serializer):
    """``number`` to ``milestones`` where a declaration was asked for by its number; ``declarations`` to ``containers`` in
    full detail."""

    reference = serializers.CharField()
    detail = serializers.ChoiceField(choices=["full", "milestones"])
    entries = EntrySerializer(many=True)
    next = serializers.DictField(allow_null=True)
    number = serializers.CharField(required=False)
    state = serializers.CharField(required=False)
    state_name = serializers.CharField(required=False)
    since = serializers.DateTimeField(required=False)
    milestones = MilestoneSerializer(many=True, required=False)
    declarations = serializers.ListField(child=serializers.DictField(), required=False)
    bills = serializers.ListField(child=serializers.CharField(), required=False)
    voyages = serializers.ListField(child=serializers.CharField(), required=False)
    containers = serializers.ListField(child=serializers.CharField(), required=False)


class ShareSerializer(serializers.Serializer):
    hours = serializers.IntegerField(min_value=1, max_value=tracking.MAX_HOURS, default=72)


class SharedSerializer(serializers.Serializer):
    token = serializers.CharField()
    url = serializers.CharField()
    expires_at = serializers.DateTimeField()


def sees(request: Any, reference: str) -> tuple[bool, int | None]:
    """Whether in full, and through whose eyes: by a link somebody shared, or by one's own rights."""
    if token := request.query_params.get("share", ""):
        return True, tracking.opens(reference, token)
    principal = caller(request)
    return tracking.may_see_all(reference, principal), tracking.viewer_of(principal)


@extend_schema_view(
    get=extend_schema(
        summary="一键跟踪",
        description="A declaration number, bill, container, voyage or one-bill number. Everything for those whose goods they "
        "are and for holders of a link they shared (`share`): of declarations, what the log tells them of; milestones only "
        "for anybody else.",
        responses=TimelineSerializer,
        parameters=[OpenApiParameter("share", description="token of a shared link")],
    )
)
class Tracking(View):
    public = True

    def get(self, request: Request, reference: str) -> Response:
        full, viewer = sees(request, reference)
        return Response(tracking.timeline(reference, full=full, viewer=viewer))


@extend_schema_view(
    post=extend_schema(
        summary="生成限时分享链接",
        examples=[OpenApiExample("example", value={"hours": 72}, request_only=True)],
        request=ShareSerializer,
        responses={201: SharedSerializer},
    )
)
class TrackingLinks(View):
    scopes = {"POST": "clearance:read"}

    def post(self, request: Request, reference: str) -> Response:
        body = ShareSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        made = tracking.share(reference, hours=body.validated_data["hours"], principal=caller(request))
        from django.conf import settings

        made["url"] = f"{settings.PUBLIC_URL}/track/{reference}?share={made['token']}"
        return Response(made, status=201)


@extend_schema_view(
    get=extend_schema(
        summary="DCSA Track & Trace 3 事件",
        description="The time line as DCSA T&T 3 events, for the holders of the goods.",
        responses=dict,
        parameters=[OpenApiParameter("share")],
    )
)
class DcsaEvents(View):
    public = True

    def get(self, request: Request, reference: str) -> Response:
        full, viewer = sees(request, reference)
        if not full:
            raise not_found()
        return Response(dcsa.events(reference, viewer=viewer), headers={"API-Version": "3.0.0"})


@extend_schema_view(
    get=extend_schema(
        summary="通关时间统计",
        description="Count, median, mean and P90 hours of a stage, and how many kept the published limit; JSON or CSV "
        "(`format=csv`). Stages: declaration, acceptance, release, gate_out, overall.",
        responses=dict,
        parameters=[
            OpenApiParameter(name)
            for name in ("operation", "by", "since", "until", "direction", "office", "mode", "advance", "format")
        ],
    )
)
class ClearanceTimes(View):
    scopes = {"GET": "clearance:read"}

    def get_format_suffix(self, **kwargs: Any) -> None:
        return None

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        renderer = self.get_renderers()[0]
        return renderer, renderer.media_type

    def get(self, request: Request) -> Any:
        asked = request.query_params
        rows = times.statistics(
            operation=asked.get("operation", "overall"),
            by=[one for one in asked.get("by", "month").split(",") if one],
            since=asked_day(asked, "since"),
            until=asked_day(asked, "until"),
            direction=asked.get("direction", ""),
            office=asked.get("office", ""),
            mode=asked.get("mode", ""),
            with_advance=asked.get("advance", "true") != "false",
        )
        if asked.get("format") != "csv":
            return Response({"results": rows})
        out = io.StringIO()
        writer = csv.DictWriter(out, rows[0].keys() if rows else ["operation"])
        writer.writeheader()
        writer.writerows(rows)
        return HttpResponse(out.getvalue(), content_type="text/csv; charset=utf-8")
