"""The standards desk: schemas, change log, conformance check."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery import current_app
from django.db import transaction
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import View
from common.problems import not_found
from exchange import conformance, standards
from exchange.api import trade_documents
from exchange.models import ConformanceRun
from parties.principals import caller


class StandardsSerializer(serializers.Serializer):
    versions = serializers.ListField(child=serializers.CharField())
    events = serializers.ListField(child=serializers.CharField())
    documents = serializers.ListField(child=serializers.CharField())
    families = serializers.DictField(child=serializers.CharField())
    changes = serializers.ListField(child=serializers.DictField(child=serializers.CharField()))


class SchemaSerializer(serializers.Serializer):
    title = serializers.CharField(required=False)
    type = serializers.CharField(required=False)


@extend_schema_view(get=extend_schema(summary="标准目录", responses=StandardsSerializer))
class Standards(View):
    """What there are schemas of, in which versions, and what changed when."""

    public = True

    def get(self, request: Request) -> Response:
        return Response(
            {
                "versions": sorted(standards.VERSIONS),
                "events": standards.event_types(),
                "documents": sorted([*standards.documents(), *trade_documents.PLACES]),
                "families": {name: described["text"] for name, described in standards.table()["families"].items()},
                "changes": standards.change_log(),
            }
        )


@extend_schema_view(get=extend_schema(summary="事件的 JSON Schema", responses=SchemaSerializer))
class EventSchema(View):
    public = True

    def get(self, request: Request, type: str, version: str) -> Response:
        schema = standards.event_schema(type) if version in standards.VERSIONS else None
        if schema is None:
            raise not_found()
        return Response(schema)


@extend_schema_view(get=extend_schema(summary="单证的 JSON Schema", responses=SchemaSerializer))
class DocumentSchema(View):
    public = True

    def get(self, request: Request, name: str, version: str) -> Response:
        if version not in standards.VERSIONS:
            raise not_found()
        if name in trade_documents.PLACES:
            return Response(trade_documents.schema(name))
        if (schema := standards.documents().get(name)) is None:
            raise not_found()
        return Response(schema)


class NewRunSerializer(serializers.Serializer):
    url = serializers.CharField(max_length=500)
    secret = serializers.CharField(
        max_length=120,
        required=False,
        help_text="检查专用密钥 whsec_ 或 whsk_ / made for the test; ours where not given",
    )
    signature = serializers.ChoiceField(
        ["v1", "v1a"], required=False, help_text="未给密钥时 / where no secret is given"
    )


class BothLanguagesSerializer(serializers.Serializer):
    zh = serializers.CharField()
    en = serializers.CharField()


class ConformanceStepSerializer(serializers.Serializer):
    check = serializers.CharField()
    title = BothLanguagesSerializer()
    verdict = serializers.ChoiceField(
        ["passed", "failed", "not-shown"],
        help_text="not-shown: 2xx，但看不出是否做对 / 2xx alone does not show the effect",
    )
    expected = serializers.CharField()
    seen = serializers.CharField()
    milliseconds = serializers.IntegerField()
    advice = BothLanguagesSerializer(allow_null=True)


class RunSerializer(serializers.ModelSerializer):
    state = serializers.ChoiceField(["waiting", "running", "finished", "lost"])
    passed = serializers.BooleanField(
        allow_null=True, help_text="null：未结束，或有步骤看不出 / not ended, or a step could not be seen"
    )
    results = ConformanceStepSerializer(many=True)

    class Meta:
        model = ConformanceRun
        fields = ["id", "url", "state", "started_at", "finished_at", "passed", "results"]
        read_only_fields = fields


class CreatedRunSerializer(RunSerializer):
    secret = serializers.CharField(
        allow_null=True,
        help_text="用它验证本次检查的消息；仅此一次 / verifies the messages of this run (whsec_ or whpk_); told once: null"
        " where the request is repeated",
    )

    class Meta(RunSerializer.Meta):
        fields = [*RunSerializer.Meta.fields, "secret"]
        read_only_fields = fields


@extend_schema_view(
    post=extend_schema(
        summary="发起符合性检查",
        request=NewRunSerializer,
        responses={202: CreatedRunSerializer},
        examples=[OpenApiExample("test endpoint", {"url": "https://test.example.com/inbox"}, request_only=True)],
    )
)
class ConformanceRuns(View):
    """Check a partner's test endpoint: signing, ordering, duplicates, gaps, replay, slow answers. One check at a time."""

    scopes = {"POST": "exchange:write"}
    idempotent = True
    told_once = ("secret",)

    def post(self, request: Request) -> Response:
        given = NewRunSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        values: dict[str, Any] = dict(given.validated_data)
        made, secret = conformance.start(principal=caller(request), **values)
        # Robust: where the hint is lost with its broker, the sweep finds the run; the secret is told only here.
        transaction.on_commit(
            lambda: current_app.send_task("exchange.tasks.check_conformance", args=[str(made.pk)], ignore_result=True),
            robust=True,
        )
        return Response(RunSerializer(made).data | {"secret": secret}, status=202)


@extend_schema_view(get=extend_schema(summary="符合性检查报告", responses=RunSerializer))
class ConformanceReport(View):
    scopes = {"GET": "exchange:read"}

    def get(self, request: Request, pk: UUID) -> Response:
        found = ConformanceRun.objects.visible_to(caller(request)).filter(pk=pk).first()
        if found is None:
            raise not_found()
        return Response(RunSerializer(found).data)
