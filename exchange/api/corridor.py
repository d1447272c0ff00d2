"""What partner provinces use: the inbox, the feed, digests and reports."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import View
from common.problems import Fault, invalid
from common.text import T
from events.api import FeedQuery, query
from exchange import digests, feeds, inbox, messages, timelines
from exchange.models import DigestReport
from parties.principals import caller


class MessageSerializer(serializers.Serializer):
    """A CloudEvents 1.0 message (see /api/v1/standards)."""

    specversion = serializers.CharField()
    id = serializers.UUIDField()
    source = serializers.CharField()  # type: ignore[assignment]
    type = serializers.CharField()
    time = serializers.DateTimeField()
    subjectkind = serializers.CharField()
    subjectnumber = serializers.CharField()
    seq = serializers.IntegerField()
    prev = serializers.IntegerField()
    data = serializers.JSONField()  # type: ignore[assignment]


class InboxReceiptSerializer(serializers.Serializer):
    status = serializers.ChoiceField(["applied", "late", "gap", "duplicate", "quarantined"])
    seq = serializers.IntegerField(required=False, help_text="最新序号 / the latest sequence known")
    code = serializers.CharField(required=False)


def _header(name: str) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, required=True)


@extend_schema_view(
    post=extend_schema(
        summary="收件箱：协作省份推送事件",
        parameters=[_header("webhook-id"), _header("webhook-timestamp"), _header("webhook-signature")],
        request=MessageSerializer,
        responses={200: InboxReceiptSerializer, 202: InboxReceiptSerializer},
        examples=[
            OpenApiExample(
                "released",
                {
                    "specversion": "1.0",
                    "id": "0199b2a4-7c1e-7d2f-9a6b-3f1f1a1f0a01",
                    "source": "urn:singlewindow:450000",
                    "type": "declaration.released",
                    "time": "2026-11-23T08:00:00Z",
                    "subjectkind": "declaration",
                    "subjectnumber": "800020261000000123",
                    "seq": 5,
                    "prev": 4,
                    "data": {"state": "released"},
                },
                request_only=True,
            )
        ],
    )
)
class Inbox(View):
    """One signed event (Standard Webhooks). 200 once it is stored for good; 202 where an operator must look at it first.
    Sending it again is harmless; the same id with another content is refused."""

    public = True
    parser_classes = []

    def post(self, request: Request, partner: str) -> Response:
        body = request._request.read(messages.MAX_BODY + 1)  # one more than is taken: refused and counted
        answer = inbox.receive(code=partner, headers=request.headers, body=body)
        return Response(answer, status=202 if answer["status"] == "quarantined" else 200)


class PartnerFeedQuery(FeedQuery):
    subject_kind = serializers.CharField(required=False, max_length=40)
    subject_number = serializers.CharField(required=False, max_length=80)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("subject_kind" in attrs) != ("subject_number" in attrs):
            raise serializers.ValidationError(
                T("subject_kind 与 subject_number 须同时给出", "subject_kind and subject_number go together")
            )
        return attrs


class PartnerFeedSerializer(serializers.Serializer):
    events = MessageSerializer(many=True)
    next = serializers.IntegerField()


@extend_schema_view(
    get=extend_schema(summary="拉取共享事件", parameters=[PartnerFeedQuery], responses=PartnerFeedSerializer)
)
class PartnerFeed(View):
    """Everything shared with the caller, in order, from any position: for whoever missed something, or starts anew."""

    scopes = {"GET": "exchange:read"}

    def get(self, request: Request) -> Response:
        asked = query(request, PartnerFeedQuery)
        partner, terms = feeds.receiver(caller(request))
        subject = (asked["subject_kind"], asked["subject_number"]) if "subject_kind" in asked else None
        found = feeds.wait_after(
            partner, terms, asked["after"], limit=asked["limit"], seconds=asked["wait"], subject=subject
        )
        return Response(
            {
                "events": [orjson.Fragment(body) for _, body in found],
                "next": found[-1][0] if found else asked["after"],
            }
        )


class DigestQuery(serializers.Serializer):
    kind = serializers.CharField(required=False, max_length=40)
    day = serializers.DateField(required=False)
    bucket = serializers.IntegerField(required=False, min_value=0, max_value=255)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("day" in attrs and "kind" not in attrs) or ("bucket" in attrs and "day" not in attrs):
            raise serializers.ValidationError(T("须依次给出 kind、day、bucket", "Give kind, then day, then bucket"))
        return attrs


class GroupSerializer(serializers.Serializer):
    kind = serializers.CharField()
    day = serializers.DateField()
    bucket = serializers.IntegerField(required=False)
    count = serializers.IntegerField()
    hash = serializers.CharField()


class DigestLineSerializer(serializers.Serializer):
    number = serializers.CharField()
    count = serializers.IntegerField()
    seq = serializers.IntegerField()
    last_id = serializers.UUIDField()


class DigestSerializer(serializers.Serializer):
    groups = GroupSerializer(many=True, required=False)
    subjects = DigestLineSerializer(many=True, required=False)


@extend_schema_view(get=extend_schema(summary="摘要：供对账", parameters=[DigestQuery], responses=DigestSerializer))
class Digest(View):
    """What was shared with the caller, summed up: per kind and day; with ``kind`` and ``day`` per bucket; with ``bucket``
    the subjects themselves."""

    scopes = {"GET": "exchange:read"}

    def get(self, request: Request) -> Response:
        wanted = DigestQuery(data=request.query_params)
        wanted.is_valid(raise_exception=True)
        asked = wanted.validated_data
        partner, terms = feeds.receiver(caller(request))
        if "kind" in asked and not terms.shares(asked["kind"]):
            return Response({"subjects": []} if "bucket" in asked else {"groups": []})
        if "bucket" in asked:
            rows = digests.lines(digests.GIVEN, partner, kind=asked["kind"], day=asked["day"], bucket=asked["bucket"])
            return Response(
                {
                    "subjects": [
                        {"number": row.number, "count": row.count, "seq": row.sequence, "last_id": row.last_id}
                        for row in rows
                    ]
                }
            )
        groups = digests.groups(
            digests.GIVEN,
            partner,
            kinds=terms.kinds,
            kind=asked.get("kind"),
            day=asked.get("day"),
            buckets="day" in asked,
        )
        return Response({"groups": [digests.as_json(group) for group in groups]})


class ReportSerializer(serializers.ModelSerializer):
    class Meta:
        model = DigestReport
        fields = ["id", "made_by", "started_at", "seconds", "subjects", "differing", "repaired", "agrees", "details"]
        read_only_fields = ["id", "made_by"]
        extra_kwargs = {"started_at": {"required": True}, "agrees": {"required": True}}


@extend_schema_view(
    get=extend_schema(summary="对账报告", responses=ReportSerializer(many=True)),
    post=extend_schema(
        summary="报送对账报告",
        request=ReportSerializer,
        responses={201: ReportSerializer},
        examples=[
            OpenApiExample(
                "agrees",
                {
                    "started_at": "2026-11-23T18:00:00Z",
                    "seconds": 1.5,
                    "subjects": 1204,
                    "differing": 1,
                    "repaired": 1,
                    "agrees": True,
                    "details": {"differing": [["bill", "B7"]]},
                },
                request_only=True,
            )
        ],
    ),
)
class Reports(View):
    """Comparisons between the caller and this instance, made by either side."""

    scopes = {"GET": "exchange:read", "POST": "exchange:write"}
    idempotent = True

    def get(self, request: Request) -> Response:
        return self.paged(
            request, feeds.partner_of(caller(request)).reports.all(), ReportSerializer, ordering=("-started_at", "-id")
        )

    def post(self, request: Request) -> Response:
        partner = feeds.partner_of(caller(request))
        given = ReportSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        if given.validated_data["started_at"] > timezone.now() + timedelta(days=1):
            raise invalid([Fault("/started_at", "future", T("时间在将来", "In the future"))])
        if len(orjson.dumps(given.validated_data.get("details", {}), default=str)) > 100_000:
            raise invalid([Fault("/details", "too-large", T("明细过大", "Too large"))])
        report = DigestReport.objects.create(**given.validated_data, partner=partner, made_by="theirs")
        return Response(ReportSerializer(report).data, status=201)


class ProvinceMilestoneSerializer(serializers.Serializer):
    at = serializers.DateTimeField()
    province = serializers.CharField(help_text="说话的省份 / the province that says so")
    type = serializers.CharField()
    kind = serializers.CharField()
    number = serializers.CharField()
    data = serializers.JSONField()  # type: ignore[assignment]


class TimeLineSerializer(serializers.Serializer):
    milestones = ProvinceMilestoneSerializer(many=True)


@extend_schema_view(get=extend_schema(summary="跨省全程时间线", responses=TimeLineSerializer))
class TimeLine(View):
    """One time line of a number (declaration, bill, consignment, transit) over all provinces that share it."""

    scopes = {"GET": "events:read"}

    def get(self, request: Request, number: str) -> Response:
        return Response({"milestones": timelines.time_line(number, caller(request))})
