"""Ways in: one declaration, a batch, drafts, amendments, withdrawal."""

from __future__ import annotations

from typing import Any

import structlog
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import View
from common.formats import JSONRenderer
from common.problems import Fault, Problem, invalid
from common.text import T
from declarations import lodgement
from declarations.api import describe
from declarations.api.formats import (
    ONE,
    ArrayParser,
    ImportResponseRenderer,
    LinesParser,
    XmlWhereXmlCame,
    incoming,
    too_many,
)
from declarations.api.listing import listing
from declarations.lodgement import BATCH, Lodged
from declarations.models import Declaration
from parties.principals import caller


def answer(lodged: Lodged) -> Response:
    structlog.contextvars.bind_contextvars(number=lodged.unified_number)
    return Response(
        _told(lodged),
        status=201 if lodged.created else 200,
        headers={"Location": f"/api/v1/declarations/{lodged.unified_number}", "ETag": f'"{lodged.revision}"'},
    )


def _told(lodged: Lodged) -> dict[str, Any]:
    return {
        "unified_number": lodged.unified_number,
        "client_reference": lodged.client_reference,
        "state": lodged.state,
        "version": lodged.version,
        "revision": lodged.revision,
    }


def changed(declaration: Declaration) -> Response:
    """The answer to a command on one declaration."""
    return Response(
        {
            "unified_number": declaration.unified_number,
            "client_reference": declaration.client_reference,
            "customs_number": declaration.customs_number,
            "state": declaration.state,
            "version": declaration.version,
            "revision": declaration.revision,
        },
        headers={"ETag": declaration.etag},
    )


def document(request: Request) -> tuple[Any, lodgement.Style]:
    """The one message of the request's body. Raises Problem 422 where the document as such is faulty."""
    given = incoming(request.data)
    if given.faults:
        raise invalid(given.faults)
    return given.message, given.style


class XmlView(View):
    """A view that takes a declaration as JSON or DecMessage."""

    parser_classes = ONE
    renderer_classes = [JSONRenderer, ImportResponseRenderer]
    content_negotiation_class = XmlWhereXmlCame
    #: The sender's own number, for the answer in XML whatever becomes of the message.
    client_reference = ""

    def document(self, request: Request) -> tuple[Any, lodgement.Style]:
        given = incoming(request.data)
        reference = given.message.get("client_reference") if isinstance(given.message, dict) else None
        self.client_reference = reference if isinstance(reference, str) else ""
        return document(request)

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        renderer = getattr(self.request, "accepted_renderer", None)
        if renderer is not None and renderer.media_type == "application/xml":
            response.content_type = "application/xml"
        return response


@extend_schema_view(
    get=extend_schema(
        summary="报关单列表",
        operation_id="declarations_list",
        parameters=describe.FILTERS,
        responses=describe.DeclarationPageSerializer,
    ),
    post=extend_schema(
        summary="申报",
        operation_id="declarations_lodge",
        request=describe.MESSAGE,
        responses=describe.LODGED,
        examples=describe.LODGE_EXAMPLES,
    ),
)
class Declarations(XmlView):
    """One's declarations, newest first; and the way to lodge one, as JSON or DecMessage XML.

    `oper: save` keeps a draft. The same message under a client reference used before answers 200 with the declaration that
    is there; a different one answers 409, unless it meets one's own draft: then it takes the draft's place, and declares it
    where its `oper` says so (200). XML is answered with `DecImportResponse` (ResponseCode 0, or why not)."""

    scopes = {"GET": "declarations:read", "POST": "declarations:write"}
    idempotent = True

    def get(self, request: Request) -> Response:
        return listing(self, request)

    def post(self, request: Request) -> Response:
        message, style = self.document(request)
        return answer(lodgement.lodge(message, caller(request), style=style))


@extend_schema_view(
    post=extend_schema(
        summary="批量申报",
        operation_id="declarations_lodge_batch",
        request=describe.BATCH_REQUEST,
        responses=describe.BatchSerializer,
        examples=describe.BATCH_EXAMPLES,
    )
)
class Batch(View):
    """Up to 500 declarations at once, as a JSON array or one JSON object a line. Each has a result of its own, in the order
    they came; a faulty one harms no other. The answer is 200 whatever the results are. A body may have 32 MB."""

    parser_classes = [ArrayParser, LinesParser]
    scopes = {"POST": "declarations:write"}
    idempotent = True

    def post(self, request: Request) -> Response:
        entries = request.data
        if not isinstance(entries, list):
            raise invalid([Fault("", "not-a-list", T("应为一个列表", "A list is expected here"))])
        if len(entries) > BATCH:
            raise invalid([too_many(BATCH)])
        wanted = [entry for entry in entries if not isinstance(entry, Problem)]
        stored = iter(lodgement.lodge_many(wanted, caller(request)))
        results = [entry if isinstance(entry, Problem) else next(stored) for entry in entries]
        rows = [_entry(index, result) for index, result in enumerate(results)]
        lodged = sum(row["status"] < 300 for row in rows)
        return Response({"lodged": lodged, "refused": len(rows) - lodged, "results": rows})


def _entry(index: int, result: Lodged | Problem) -> dict[str, Any]:
    if isinstance(result, Problem):
        return {"index": index, "status": result.status, "problem": result.body()}
    return {"index": index, "status": 201 if result.created else 200, **_told(result)}


def if_match(request: Request) -> str | None:
    return request.headers.get("If-Match")


IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="仅当修订号（ETag）相符时执行，否则 412 / only where this is the ETag, else 412",
)


@extend_schema_view(
    post=extend_schema(
        summary="申报草稿",
        operation_id="declarations_lodge_draft",
        parameters=[IF_MATCH],
        request=None,
        responses=describe.DeclarationChangedSerializer,
    )
)
class LodgeDraft(View):
    """Declare what was kept as a draft."""

    scopes = {"POST": "declarations:write"}
    idempotent = True

    def post(self, request: Request, number: str) -> Response:
        return changed(lodgement.lodge_draft(number=number, principal=caller(request), if_match=if_match(request)))


@extend_schema_view(
    post=extend_schema(
        summary="修改报关单",
        operation_id="declarations_amend",
        parameters=[IF_MATCH],
        request=describe.AMENDMENT,
        responses={201: describe.DeclarationChangedSerializer},
        examples=describe.AMENDMENT_EXAMPLES,
    )
)
class Amendments(View):
    """A new version in place of the present one, which is kept; it is checked anew. Possible before acceptance, and after
    customs returned it; once it is accepted, ask customs: `POST /api/v1/clearance/{number}/change-requests`. As XML the whole
    body is the message, and the reason goes into `?reason=`."""

    parser_classes = ONE
    scopes = {"POST": "declarations:write"}
    idempotent = True

    def post(self, request: Request, number: str) -> Response:
        given, style = document(request)
        reason: Any = request.query_params.get("reason", "")
        message = given
        if style == "json":
            if not isinstance(given, dict) or not isinstance(given.get("message"), dict):
                raise invalid([Fault("/message", "not-an-object", T("应为一个对象", "An object is expected here"))])
            message, reason = given["message"], given.get("reason", reason)
        response = changed(
            lodgement.amend(
                number=number,
                message=message,
                reason=reason,
                principal=caller(request),
                if_match=if_match(request),
                style=style,
            )
        )
        response.status_code = 201
        return response


@extend_schema_view(
    post=extend_schema(
        summary="撤销报关单",
        operation_id="declarations_withdraw",
        parameters=[IF_MATCH],
        request=describe.WithdrawalSerializer,
        responses=describe.DeclarationChangedSerializer,
        examples=describe.WITHDRAWAL_EXAMPLES,
    )
)
class Withdrawal(View):
    """Take a declaration back, with a reason. Once it is accepted, ask customs:
    `POST /api/v1/clearance/{number}/change-requests`."""

    scopes = {"POST": "declarations:write"}
    idempotent = True

    def post(self, request: Request, number: str) -> Response:
        reason = request.data.get("reason", "") if isinstance(request.data, dict) else ""
        return changed(
            lodgement.withdraw(number=number, reason=reason, principal=caller(request), if_match=if_match(request))
        )
