"""The duties of a declaration over the API: the assessment, in the shape of a quotation's answer, and how it came about."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from clearance import duties
from common.api import View
from common.problems import Fault, invalid
from common.text import T
from parties.principals import caller
from tariffs import fixing
from tariffs.schemas import AssessmentSerializer, ExplanationSerializer


class SettledByHandSerializer(serializers.Serializer):
    reason = serializers.CharField(max_length=duties.REASON)


class SettledSerializer(serializers.Serializer):
    unified_number = serializers.CharField()
    state = serializers.CharField()


class Assessment(View):
    scopes = {"GET": "declarations:read", "POST": "declarations:decide"}
    idempotent = True

    @extend_schema(
        operation_id="declarations_assessment",
        summary="报关单税费核定 / The assessment of a declaration",
        description=(
            "与税费试算同一算法、同一结果格式；尚未核定时为 404 `not-assessed`，系统不能核定而须人工处理时为 409 "
            "`duty-needs-officer`。\n\nThe arithmetic and the answer of a quotation. 404 `not-assessed` as long as there is "
            "none, 409 `duty-needs-officer` with its reasons where the system cannot work it out."
        ),
        responses=AssessmentSerializer,
    )
    def get(self, request: Request, number: str) -> Response:
        return Response(fixing.answer(duties.answer(number, caller(request))))

    @extend_schema(
        operation_id="declarations_assessment_by_hand",
        summary="人工核定 / Duties that cannot be worked out have been seen to by an officer",
        request=SettledByHandSerializer,
        responses=SettledSerializer,
        examples=[
            OpenApiExample("by hand", {"reason": "Duties settled on paper memo 2026-17"}, request_only=True),
        ],
    )
    def post(self, request: Request, number: str) -> Response:
        data: Any = request.data
        if not isinstance(data, dict):
            raise invalid([Fault("", "not-an-object", T("应为一个对象", "An object is expected here"))])
        declaration = duties.settle_by_hand(number=number, reason=data.get("reason", ""), principal=caller(request))
        return Response({"unified_number": declaration.unified_number, "state": declaration.state})


class Explanation(View):
    scopes = {"GET": "declarations:read"}

    @extend_schema(
        operation_id="declarations_assessment_explain",
        summary="税费核定的逐步说明 / Each figure of the assessment with formula, inputs, rounding and legal basis",
        responses=ExplanationSerializer,
    )
    def get(self, request: Request, number: str) -> Response:
        stored = duties.answer(number, caller(request))
        return Response({"id": stored.pk, "version": stored.number, "steps": fixing.explanation(stored)})
