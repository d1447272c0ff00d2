"""DCSA PINT 3.0.0, receiving side. Bodies are read as bytes: what is signed must be parsed by the strict reader."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from bills import interchange
from bills.api.bills import shown
from bills.interchange import Said
from common.api import View
from common.formats import read_body
from parties.principals import caller

VERSION = "3.0.0"


class Bytes(BaseParser):
    """The body as it came."""

    media_type = "application/json"
    largest = 16 * 1024 * 1024

    def parse(self, stream, media_type=None, parser_context=None):  # type: ignore[no-untyped-def]
        return read_body(stream, self.largest)


class DocumentBytes(Bytes):
    largest = interchange.LARGEST_DOCUMENT * 4 // 3 + 1024


def _response(said: Said) -> Response:
    return Response(said.body, status=said.status, headers={"API-Version": VERSION})


def _raw(request: Request) -> bytes:
    return request.data if isinstance(request.data, bytes) else b""


#: Signed answers are a JWS as a JSON string; 400 and 404 are unsigned ErrorResponses.
_SIGNED = {
    200: OpenApiTypes.STR, 409: OpenApiTypes.STR, 422: OpenApiTypes.STR, 400: OpenApiTypes.OBJECT, 404: OpenApiTypes.OBJECT,
}  # fmt: skip


@extend_schema_view(
    post=extend_schema(
        summary="PINT: start envelope transfer",
        examples=[
            shown({"transportDocument": {}, "envelopeManifestSignedContent": "…", "envelopeTransferChain": ["…"]})
        ],
        request=OpenApiTypes.OBJECT,
        responses={**_SIGNED, 201: OpenApiTypes.OBJECT},
    )
)
class Envelopes(View):
    scopes = {"POST": "bills:exchange"}
    parser_classes = [Bytes]

    def post(self, request: Request) -> Response:
        return _response(interchange.start(_raw(request), caller(request)))


@extend_schema_view(
    put=extend_schema(
        summary="PINT: transfer additional document",
        examples=[shown("UmF3IGNvbnRlbnQ=")],
        request=OpenApiTypes.STR,
        responses={**_SIGNED, 204: None},
    )
)
class AdditionalDocument(View):
    scopes = {"PUT": "bills:exchange"}
    parser_classes = [DocumentBytes]

    def put(self, request: Request, reference: str, checksum: str) -> Response:
        return _response(interchange.document(reference, checksum, _raw(request), caller(request)))


@extend_schema_view(put=extend_schema(summary="PINT: finish envelope transfer", request=None, responses=_SIGNED))
class FinishTransfer(View):
    scopes = {"PUT": "bills:exchange"}
    parser_classes = [Bytes]

    def put(self, request: Request, reference: str) -> Response:
        return _response(interchange.finish(reference, caller(request)))


@extend_schema_view(
    post=extend_schema(
        summary="PINT: receiver validation",
        examples=[shown({"codeListProvider": "ZZZ", "codeListName": "USCC", "partyCode": "91500000MA0000001X"})],
        request=OpenApiTypes.OBJECT,
        responses={200: OpenApiTypes.OBJECT, 400: OpenApiTypes.OBJECT, 404: OpenApiTypes.OBJECT},
    )
)
class ReceiverValidation(View):
    scopes = {"POST": "bills:exchange"}
    parser_classes = [Bytes]

    def post(self, request: Request) -> Response:
        return _response(interchange.receiver(_raw(request)))
