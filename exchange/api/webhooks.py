"""Webhook endpoints for subscribers: make, test, rotate, pause, replay, and read what was delivered."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import View
from common.problems import not_found
from exchange import endpoints, feeds, replays
from exchange.endpoints import BOUNDS, MOST_DESCRIPTION, MOST_TYPES
from exchange.models import Attempt, Delivery, Endpoint
from parties.principals import caller


class EndpointSerializer(serializers.ModelSerializer):
    state_reason = serializers.CharField(
        read_only=True, help_text="停用原因 / why it is disabled: gone (410), no-success; else empty"
    )

    class Meta:
        model = Endpoint
        fields = [
            "id", "url", "description", "event_types", "headers", "rate_limit", "timeout", "state", "state_reason",
            "failures", "failing_since", "spared_until", "last_success_at", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class ChangeEndpointSerializer(serializers.Serializer):
    url = serializers.CharField(max_length=500)
    description = serializers.CharField(max_length=MOST_DESCRIPTION, required=False, allow_blank=True)
    event_types = serializers.ListField(child=serializers.CharField(max_length=80), max_length=MOST_TYPES)
    headers = serializers.DictField(child=serializers.CharField(max_length=500, allow_blank=True), required=False)
    rate_limit = serializers.IntegerField(
        min_value=BOUNDS["rate_limit"][0], max_value=BOUNDS["rate_limit"][1], required=False, allow_null=True
    )
    timeout = serializers.IntegerField(min_value=BOUNDS["timeout"][0], max_value=BOUNDS["timeout"][1], required=False)


class NewEndpointSerializer(ChangeEndpointSerializer):
    signature = serializers.ChoiceField(["v1", "v1a"], required=False, default="v1")
    secret = serializers.CharField(max_length=120, required=False)


class CreatedEndpointSerializer(EndpointSerializer):
    secret = serializers.CharField(
        allow_null=True,
        help_text="仅此一次给出，重复请求时为空 / told only now (whsec_… or whpk_…); null where the request is repeated",
    )

    class Meta(EndpointSerializer.Meta):
        fields = [*EndpointSerializer.Meta.fields, "secret"]
        read_only_fields = fields


class SecretSerializer(serializers.Serializer):
    secret = serializers.CharField(allow_null=True)


class RotateSerializer(serializers.Serializer):
    signature = serializers.ChoiceField(["v1", "v1a"], required=False, default="v1")


class ReplaySerializer(serializers.Serializer):
    after = serializers.IntegerField(
        min_value=0, max_value=2**62, required=False, allow_null=True, help_text="自此位置之后 / after this position"
    )
    before = serializers.IntegerField(min_value=1, max_value=2**62, required=False, allow_null=True)
    from_time = serializers.DateTimeField(
        required=False, allow_null=True, help_text="或：自此时间（记录时间）/ or from this time of recording on"
    )
    to_time = serializers.DateTimeField(
        required=False, allow_null=True, help_text="至此时间，不含 / to this time, excluded"
    )


class ReplayedSerializer(serializers.Serializer):
    deliveries = serializers.IntegerField()
    next = serializers.IntegerField(
        allow_null=True, help_text="未完时：从此位置之后继续 / where to go on after, if there is more"
    )


class AttemptSerializer(serializers.ModelSerializer):
    class Meta:
        model = Attempt
        fields = ["number", "at", "status", "error", "milliseconds", "answer"]


class DeliverySerializer(serializers.ModelSerializer):
    endpoint = serializers.UUIDField(source="endpoint_id")
    event_id = serializers.UUIDField(source="payload.event_id")
    type = serializers.CharField(source="payload.type")
    subject_kind = serializers.CharField(source="payload.subject_kind")
    subject_number = serializers.CharField(source="payload.subject_number")
    next_try = serializers.DateTimeField(source="ready_at", allow_null=True)

    class Meta:
        model = Delivery
        fields = [
            "id", "endpoint", "event_id", "type", "subject_kind", "subject_number", "position", "state", "tries",
            "last_status", "last_error", "created_at", "done_at", "next_try",
        ]  # fmt: skip


class DeliveryDetailSerializer(DeliverySerializer):
    body = serializers.SerializerMethodField()
    attempts = AttemptSerializer(many=True)

    class Meta(DeliverySerializer.Meta):
        fields = [*DeliverySerializer.Meta.fields, "body", "attempts"]

    def get_body(self, delivery: Delivery) -> str:
        return feeds.body_for(delivery)


def _checked(form: type[serializers.Serializer], request: Request, **options: Any) -> dict[str, Any]:
    given = form(data=request.data or {}, **options)
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


@extend_schema_view(
    get=extend_schema(summary="推送端点", responses=EndpointSerializer(many=True)),
    post=extend_schema(
        summary="建立推送端点",
        request=NewEndpointSerializer,
        responses={201: CreatedEndpointSerializer},
        examples=[
            OpenApiExample(
                "declarations",
                {"url": "https://erp.example.com/hooks", "event_types": ["declaration.*"]},
                request_only=True,
            )
        ],
    ),
)
class Endpoints(View):
    """Where the caller's events are sent. The secret is told once, in the answer to the creation."""

    scopes = {"GET": "webhooks:write", "POST": "webhooks:write"}
    idempotent = True
    told_once = ("secret",)

    def get(self, request: Request) -> Response:
        found = Endpoint.objects.visible_to(caller(request)).exclude(state=Endpoint.State.DELETED)
        return self.paged(request, found, EndpointSerializer)

    def post(self, request: Request) -> Response:
        made, secret = endpoints.create(principal=caller(request), **_checked(NewEndpointSerializer, request))
        return Response(EndpointSerializer(made).data | {"secret": secret}, status=201)


@extend_schema_view(
    get=extend_schema(summary="端点详情", responses=EndpointSerializer),
    patch=extend_schema(
        summary="变更端点",
        request=ChangeEndpointSerializer,
        responses=EndpointSerializer,
        examples=[OpenApiExample("fewer types", {"event_types": ["declaration.released"]}, request_only=True)],
    ),
    delete=extend_schema(summary="删除端点", responses={204: None}),
)
class EndpointDetail(View):
    scopes = {"GET": "webhooks:write", "PATCH": "webhooks:write", "DELETE": "webhooks:write"}
    idempotent = True

    def get(self, request: Request, pk: UUID) -> Response:
        found = Endpoint.objects.visible_to(caller(request)).exclude(state=Endpoint.State.DELETED).filter(pk=pk).first()
        if found is None:
            raise not_found()
        return Response(EndpointSerializer(found).data)

    def patch(self, request: Request, pk: UUID) -> Response:
        values = _checked(ChangeEndpointSerializer, request, partial=True)
        return Response(EndpointSerializer(endpoints.change(endpoint_id=pk, principal=caller(request), **values)).data)

    def delete(self, request: Request, pk: UUID) -> Response:
        endpoints.delete(endpoint_id=pk, principal=caller(request))
        return Response(status=204)


@extend_schema_view(
    post=extend_schema(summary="发送测试消息（不重试）", request=None, responses=DeliveryDetailSerializer)
)
class TestEndpoint(View):
    """One test message, tried once; the answer shows what came back."""

    scopes = {"POST": "webhooks:write"}

    def post(self, request: Request, pk: UUID) -> Response:
        return Response(DeliveryDetailSerializer(endpoints.test(endpoint_id=pk, principal=caller(request))).data)


@extend_schema_view(
    post=extend_schema(
        summary="更换密钥（旧密钥并行一天）",
        request=RotateSerializer,
        responses=SecretSerializer,
        examples=[OpenApiExample("shared secret", {"signature": "v1"}, request_only=True)],
    )
)
class RotateEndpoint(View):
    scopes = {"POST": "webhooks:write"}
    idempotent = True
    told_once = ("secret",)

    def post(self, request: Request, pk: UUID) -> Response:
        wanted = _checked(RotateSerializer, request)
        return Response({"secret": endpoints.rotate(endpoint_id=pk, principal=caller(request), **wanted)})


@extend_schema_view(post=extend_schema(summary="暂停端点", request=None, responses=EndpointSerializer))
class PauseEndpoint(View):
    scopes = {"POST": "webhooks:write"}
    idempotent = True

    def post(self, request: Request, pk: UUID) -> Response:
        return Response(EndpointSerializer(endpoints.pause(endpoint_id=pk, principal=caller(request))).data)


@extend_schema_view(post=extend_schema(summary="恢复端点", request=None, responses=EndpointSerializer))
class ResumeEndpoint(View):
    """An endpoint that was disabled also gets what it missed meanwhile."""

    scopes = {"POST": "webhooks:write"}
    idempotent = True

    def post(self, request: Request, pk: UUID) -> Response:
        return Response(EndpointSerializer(endpoints.resume(endpoint_id=pk, principal=caller(request))).data)


@extend_schema_view(
    post=extend_schema(
        summary="重放",
        request=ReplaySerializer,
        responses={202: ReplayedSerializer},
        examples=[
            OpenApiExample("after a position", {"after": 4711}, request_only=True),
            OpenApiExample("from a time", {"from_time": "2026-11-23T08:00:00+08:00"}, request_only=True),
        ],
    )
)
class ReplayEndpoint(View):
    """Send again what lies between two positions or times, at most 2 000 events a time; the ids are the same as before. It begins
    either after a position or at a time."""

    scopes = {"POST": "webhooks:write"}
    idempotent = True

    def post(self, request: Request, pk: UUID) -> Response:
        after, before = replays.between(**_checked(ReplaySerializer, request))
        done = endpoints.replay(endpoint_id=pk, principal=caller(request), after=after, before=before)
        return Response(done._asdict(), status=202)


class DeliveryQuery(serializers.Serializer):
    state = serializers.ChoiceField(Delivery.State.choices, required=False)
    subject_number = serializers.CharField(required=False, max_length=80)


@extend_schema_view(
    get=extend_schema(summary="端点的投递", parameters=[DeliveryQuery], responses=DeliverySerializer(many=True))
)
class Deliveries(View):
    scopes = {"GET": "webhooks:write"}

    def get(self, request: Request, pk: UUID) -> Response:
        if not Endpoint.objects.visible_to(caller(request)).filter(pk=pk).exists():
            raise not_found()
        asked = DeliveryQuery(data=request.query_params)
        asked.is_valid(raise_exception=True)
        found = Delivery.objects.visible_to(caller(request)).filter(endpoint_id=pk).select_related("payload")
        if "state" in asked.validated_data:
            found = found.filter(state=asked.validated_data["state"])
        if "subject_number" in asked.validated_data:
            found = found.filter(payload__subject_number=asked.validated_data["subject_number"])
        return self.paged(request, found, DeliverySerializer, ordering=("-id",))


@extend_schema_view(get=extend_schema(summary="投递详情及每次尝试", responses=DeliveryDetailSerializer))
class DeliveryDetail(View):
    scopes = {"GET": "webhooks:write"}

    def get(self, request: Request, pk: int) -> Response:
        found = Delivery.objects.visible_to(caller(request)).select_related("payload", "endpoint").filter(pk=pk).first()
        if found is None:
            raise not_found()
        return Response(DeliveryDetailSerializer(found).data)


@extend_schema_view(post=extend_schema(summary="立即重试", request=None, responses=DeliverySerializer))
class RetryDelivery(View):
    scopes = {"POST": "webhooks:write"}
    idempotent = True

    def post(self, request: Request, pk: int) -> Response:
        return Response(DeliverySerializer(endpoints.retry(delivery_id=pk, principal=caller(request))).data)


@extend_schema_view(post=extend_schema(summary="放弃此投递", request=None, responses=DeliverySerializer))
class SkipDelivery(View):
    """Give it up, so that later events of the same subject go on."""

    scopes = {"POST": "webhooks:write"}
    idempotent = True

    def post(self, request: Request, pk: int) -> Response:
        principal = caller(request)
        return Response(
            DeliverySerializer(endpoints.skip(delivery_id=pk, principal=principal, actor=principal.actor)).data
        )
