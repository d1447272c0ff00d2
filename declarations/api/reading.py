"""Ways to look: a declaration, its versions, events, checks and receipts; and the public's view of its way."""

from __future__ import annotations

from typing import Any

import orjson
from django.db.models.expressions import RawSQL
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import View, unchanged
from common.formats import JSONRenderer
from common.problems import Fault, Problem, invalid, not_found
from common.text import T
from declarations import checks, decisions, lodgement, receipts
from declarations.api import describe
from declarations.api.formats import ONE, DecMessageRenderer, MergePatchParser, ReceiptsRenderer, incoming
from declarations.api.lodging import IF_MATCH, changed, if_match
from declarations.lifecycle import State
from declarations.models import Declaration
from events import log
from parties.principals import Principal, caller

#: Columns of a declaration's detail, besides its message.
DETAIL = (
    "unified_number", "customs_number", "client_reference", "state", "state_since", "version", "revision", "created_at",
    "updated_at", "lodged_at", "amended_at", "accepted_at", "released_at", "cleared_at",
)  # fmt: skip

#: The present version's message, as PostgreSQL writes it: not read into Python only to be written again.
_MESSAGE = RawSQL(
    "(SELECT v.message::text FROM declarations_declarationversion v"
    " WHERE v.declaration_id = declarations_declaration.id AND v.version = declarations_declaration.version)",
    [],
)


def find(number: str, principal: Principal) -> Declaration:
    """The declaration of this number if the caller may see it. Raises Problem 404."""
    declaration = Declaration.objects.visible_to(principal).numbered(number, principal).order_by("pk").first()
    if declaration is None:
        raise not_found()
    return declaration


@extend_schema_view(
    get=extend_schema(
        summary="报关单详情",
        operation_id="declarations_read",
        responses={
            (200, "application/json"): describe.DeclarationDetailSerializer,
            (200, "application/xml"): describe.XML,
        },
    ),
    put=extend_schema(
        summary="更换草稿",
        operation_id="declarations_replace_draft",
        parameters=[IF_MATCH],
        request=describe.DRAFT,
        responses=describe.DeclarationChangedSerializer,
        examples=describe.DRAFT_EXAMPLES,
    ),
    patch=extend_schema(
        summary="修改草稿",
        operation_id="declarations_change_draft",
        parameters=[IF_MATCH],
        request={"application/merge-patch+json": describe.ANY_OBJECT, "application/json": describe.ANY_OBJECT},
        responses=describe.DeclarationChangedSerializer,
        examples=describe.PATCH_EXAMPLES,
    ),
)
class DeclarationDetail(View):
    """By unified number, customs number or one's own client reference. As JSON: state and message; as XML: the DecMessage,
    with the same value in every element that came in. Drafts may be changed, whole (PUT) or in part (PATCH, RFC 7396)."""

    parser_classes = [*ONE, MergePatchParser]
    renderer_classes = [JSONRenderer, DecMessageRenderer]
    scopes = {"GET": "declarations:read", "PUT": "declarations:write", "PATCH": "declarations:write"}
    idempotent = True

    def get(self, request: Request, number: str) -> Response:
        principal = caller(request)
        row = (
            Declaration.objects.visible_to(principal)
            .numbered(number, principal)
            .order_by("pk")
            .values_list(*DETAIL, "risk_score", _MESSAGE)
            .first()
        )
        if row is None:
            raise not_found()
        told: dict[str, Any] = dict(zip(DETAIL, row, strict=False))
        etag = f'"{told["revision"]}"'
        if unchanged(request, etag):
            return Response(status=304, headers={"ETag": etag})
        if principal.is_officer:
            told["risk_score"] = row[-2]
        if request.accepted_renderer.media_type == "application/xml":  # type: ignore[attr-defined]
            told["message"] = orjson.loads(row[-1])
        else:
            told["message"] = orjson.Fragment(row[-1])
        return Response(told, headers={"ETag": etag})

    def put(self, request: Request, number: str) -> Response:
        given = incoming(request.data)
        if given.faults:
            raise invalid(given.faults)
        return changed(
            lodgement.update_draft(
                number=number,
                message=given.message,
                principal=caller(request),
                if_match=if_match(request),
                style=given.style,
            )
        )

    def patch(self, request: Request, number: str) -> Response:
        declaration = find(number, caller(request))
        changes = request.data
        if not isinstance(changes, dict):
            raise invalid([Fault("", "not-an-object", T("应为一个对象", "An object is expected here"))])
        if declaration.state != State.DRAFT:
            raise Problem(
                409,
                "not-a-draft",
                T("已申报的报关单须通过修改办理", "A declaration that is lodged is changed by an amendment"),
            )
        return changed(
            lodgement.update_draft(
                number=declaration.unified_number,
                message=merge(declaration.message, changes),
                principal=caller(request),
                # What was read is what is changed.
                if_match=if_match(request) or declaration.etag,
            )
        )


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    made = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = merge(made.get(name), value)
    return made


@extend_schema_view(
    get=extend_schema(
        summary="版本", operation_id="declarations_versions", responses=describe.DeclarationVersionSerializer(many=True)
    )
)
class Versions(View):
    """Every version with what it changed; a party sees those that name it."""

    scopes = {"GET": "declarations:read"}

    def get(self, request: Request, number: str) -> Response:
        principal = caller(request)
        told: list[dict[str, Any]] = []
        before: Any = None
        for version in lodgement.versions_for(find(number, principal), principal):
            told.append(
                {
                    "version": version.version,
                    "created_at": version.created_at,
                    "actor": version.actor,
                    "reason": version.reason,
                    "changes": [] if before is None else lodgement.differences(before, version.message),
                }
            )
            before = version.message
        return Response(told)


@extend_schema_view(
    get=extend_schema(
        summary="某一版本",
        operation_id="declarations_version",
        responses={
            (200, "application/json"): describe.DeclarationVersionMessageSerializer,
            (200, "application/xml"): describe.XML,
        },
    )
)
class Version(View):
    """One version as it was declared."""

    renderer_classes = [JSONRenderer, DecMessageRenderer]
    scopes = {"GET": "declarations:read"}

    def get(self, request: Request, number: str, version: int) -> Response:
        principal = caller(request)
        versions = lodgement.versions_for(find(number, principal), principal)
        found = next((one for one in versions if one.version == version), None)
        if found is None:
            raise not_found()
        return Response({"version": version, "created_at": found.created_at, "message": found.message})


class EventsQuery(serializers.Serializer):
    after = serializers.IntegerField(
        required=False,
        default=0,
        min_value=0,
        max_value=2**31 - 1,
        help_text="只要此序号之后的 / only those after this sequence",
    )
    wait = serializers.FloatField(
        required=False,
        default=0,
        min_value=0,
        max_value=log.MAX_WAIT,
        help_text="没有新事件时最多等待的秒数 / seconds to wait while there is nothing new",
    )


@extend_schema_view(
    get=extend_schema(
        summary="报关单事件",
        operation_id="declarations_events",
        parameters=[EventsQuery],
        responses=describe.DeclarationEventsSerializer,
    )
)
class Events(View):
    """What happened to a declaration. With `wait` the answer comes when something happens, so that nobody need hammer."""

    scopes = {"GET": "declarations:read"}

    def get(self, request: Request, number: str) -> Response:
        asked = EventsQuery(data=request.query_params)
        asked.is_valid(raise_exception=True)
        principal = caller(request)
        declaration = find(number, principal)
        after: int = asked.validated_data["after"]
        found = log.wait_for(
            lambda: receipts.events_of(declaration, principal, after), seconds=asked.validated_data["wait"]
        )
        return Response(
            {
                "events": [log.as_json(event) for event in found],
                "next": found[-1].sequence if found else after,
            }
        )


@extend_schema_view(
    get=extend_schema(
        summary="检查结果",
        operation_id="declarations_checks",
        parameters=[OpenApiParameter("version", int, description="默认为现行版本 / the present one unless given")],
        responses=describe.ChecksSerializer,
    )
)
class Checks(View):
    """What the checks found in a version: what, where, why and since when."""

    scopes = {"GET": "declarations:read"}

    def get(self, request: Request, number: str) -> Response:
        principal = caller(request)
        declaration = find(number, principal)
        wanted = request.query_params.get("version") or str(declaration.version)
        if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 10):
            raise invalid([Fault("version", "not-an-integer", T("应为整数", "A whole number is expected"))])
        results = declaration.check_results.filter(version=int(wanted))
        if int(wanted) != declaration.version and int(wanted) not in {
            one.version for one in lodgement.versions_for(declaration, principal)
        }:
            results = results.none()
        if not principal.is_officer:
            results = results.exclude(code__in=checks.CONFIDENTIAL)
        return Response(
            {
                "version": int(wanted),
                "state": declaration.state,
                "results": [
                    {
                        "check": result.check_name,
                        "title": checks.title(result.check_name),
                        "code": result.code,
                        "severity": result.severity,
                        "pointer": result.pointer,
                        "detail": checks.render(result.code, result.params),
                        "since": result.since,
                        "found_at": result.found_at,
                    }
                    for result in results
                ],
            }
        )


@extend_schema_view(
    get=extend_schema(
        summary="回执",
        operation_id="declarations_receipts",
        responses={
            (200, "application/json"): describe.DeclarationReceiptsSerializer,
            (200, "application/xml"): describe.XML,
        },
    )
)
class Receipts(View):
    """Receipts with their CHANNEL codes, in order; as XML each a DEC_RESULT."""

    renderer_classes = [JSONRenderer, ReceiptsRenderer]
    scopes = {"GET": "declarations:read"}

    def get(self, request: Request, number: str) -> Response:
        principal = caller(request)
        declaration = find(number, principal)
        self.receipts = receipts.receipts(declaration, receipts.events_of(declaration, principal))
        return Response({"receipts": [_receipt(index, one) for index, one in enumerate(self.receipts)]})


@extend_schema_view(
    get=extend_schema(
        summary="单个回执",
        operation_id="declarations_receipt",
        responses={
            (200, "application/json"): describe.DeclarationReceiptSerializer,
            (200, "application/xml"): describe.XML,
        },
    )
)
class Receipt(View):
    """One receipt, counted from 0; as XML a DEC_RESULT document."""

    renderer_classes = [JSONRenderer, ReceiptsRenderer]
    scopes = {"GET": "declarations:read"}

    def get(self, request: Request, number: str, index: int) -> Response:
        principal = caller(request)
        declaration = find(number, principal)
        found = receipts.receipts(declaration, receipts.events_of(declaration, principal))
        if index >= len(found):
            raise not_found()
        self.receipts = [found[index]]
        return Response(_receipt(index, found[index]))


def _receipt(index: int, receipt: receipts.BusinessReceipt) -> dict[str, Any]:
    return {
        "index": index,
        "channel": receipt.channel,
        "channel_name": receipts.channel_name(receipt.channel),
        "noticed_at": receipt.noticed_at,
        "unified_number": receipt.unified_number,
        "customs_number": receipt.customs_number or None,
        "customs_office": receipt.customs_office,
        "note": receipt.note,
    }


@extend_schema_view(
    post=extend_schema(
        summary="海关审核决定",
        operation_id="declarations_decide",
        parameters=[IF_MATCH],
        request=describe.DecisionSerializer,
        responses=describe.DeclarationChangedSerializer,
        examples=describe.DECISION_EXAMPLES,
    )
)
class Decisions(View):
    """An officer's decision: one step of the life cycle, with its reason code. (Sessions of officers; the console uses the
    same command.)"""

    scopes = {"POST": "declarations:decide"}
    idempotent = True

    def post(self, request: Request, number: str) -> Response:
        wanted = describe.DecisionSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        given = dict(wanted.validated_data)
        return changed(
            decisions.decide(
                number=number,
                command=given["command"],
                principal=caller(request),
                reason_code=given.get("reason_code", ""),
                note=given.get("note", ""),
                if_match=if_match(request),
            )
        )
