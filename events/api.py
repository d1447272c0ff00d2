"""One's own events, in order, for those who ask instead of waiting to be told."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import View
from events import log


class FeedQuery(serializers.Serializer):
    """What every feed of this API takes."""

    after = serializers.IntegerField(
        required=False,
        default=0,
        min_value=0,
        max_value=2**63 - 1,
        help_text="上次答复中的 next；从头读取为 0 / `next` of the last answer; 0 from the beginning",
    )
    limit = serializers.IntegerField(required=False, default=100, min_value=1, max_value=1000)
    wait = serializers.FloatField(
        required=False,
        default=0,
        min_value=0,
        max_value=log.MAX_WAIT,
        help_text="没有新事件时最多等待的秒数 / seconds to wait while there is nothing new",
    )


def query(request: Request, form: type[serializers.Serializer] = FeedQuery) -> dict[str, Any]:
    wanted = form(data=request.query_params)
    wanted.is_valid(raise_exception=True)
    return dict(wanted.validated_data)


class SubjectSerializer(serializers.Serializer):
    kind = serializers.CharField()
    number = serializers.CharField()


class EventSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    position = serializers.IntegerField(help_text="全库顺序 / order in the whole log")
    type = serializers.CharField()
    subject = SubjectSerializer()
    sequence = serializers.IntegerField(help_text="对象内顺序 / order within the subject")
    occurred_at = serializers.DateTimeField()
    recorded_at = serializers.DateTimeField()
    actor = serializers.CharField()
    data = serializers.JSONField()  # type: ignore[assignment]


class FeedSerializer(serializers.Serializer):
    events = EventSerializer(many=True)
    next = serializers.IntegerField(help_text="下次请求的 after / `after` of the next request")


@extend_schema_view(
    get=extend_schema(
        summary="本单位事件流",
        parameters=[FeedQuery],
        responses=FeedSerializer,
        examples=[
            OpenApiExample(
                "released",
                {
                    "events": [
                        {
                            "id": "0199b2a4-7c1e-7d2f-9a6b-3f1f1a1f0a01",
                            "position": 4711,
                            "type": "declaration.released",
                            "subject": {"kind": "declaration", "number": "I20260000000000123"},
                            "sequence": 5,
                            "occurred_at": "2026-11-23T08:00:00+00:00",
                            "recorded_at": "2026-11-23T08:00:00.120000+00:00",
                            "actor": "officer:wang",
                            "data": {"state": "released"},
                        }
                    ],
                    "next": 4711,
                },
                response_only=True,
            )
        ],
    )
)
class Feed(View):
    """Events of the caller's own subjects in the order of publication: ask again with ``next`` as ``after``. Nothing is
    skipped, however late a transaction commits, and asking twice gives the same."""

    scopes = {"GET": "events:read"}

    def get(self, request: Request) -> Response:
        asked = query(request)
        organisation_id: int | None = getattr(request.user, "organisation_id", None)
        events = log.wait_for(
            lambda: log.read_after(asked["after"], limit=asked["limit"], organisation_id=organisation_id or 0),
            seconds=asked["wait"],
        )
        return Response(
            {
                "events": [log.as_json(event) for event in events],
                "next": events[-1].position if events else asked["after"],
            }
        )
