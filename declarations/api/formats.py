"""The formats declarations come and go in: JSON, newline-delimited JSON and DecMessage XML."""

from __future__ import annotations

from collections.abc import Callable
from email.message import Message as Headers
from typing import IO, Any, NamedTuple

from lxml import etree
from rest_framework import parsers, renderers
from rest_framework.negotiation import DefaultContentNegotiation

from common.formats import JSONParser, JSONRenderer, decode, may_hold_unstorable, parse_json, read_body, require_sound
from common.json import dumps
from common.problems import Fault, Problem
from common.text import T
from declarations.lodgement import Style
from declarations.wire import decmessage
from declarations.wire.receipts import BusinessReceipt, ImportResponse, render_business_receipt, render_import_response


class Incoming(NamedTuple):
    """A message as it came in. ``faults`` are of the document itself, before anything is known of its values."""

    message: Any
    faults: list[Fault]
    style: Style


def _charset(media_type: str | None) -> str:
    headers = Headers()
    headers["Content-Type"] = media_type or ""
    return str(headers.get_content_charset() or "")


class DecMessageParser(parsers.BaseParser):
    media_type = "application/xml"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        message, faults = decmessage.parse(read_body(stream), _charset(media_type))
        return Incoming(message, faults, "xpath")


class TextXmlParser(DecMessageParser):
    media_type = "text/xml"


class MergePatchParser(JSONParser):
    media_type = "application/merge-patch+json"


#: Largest body of a batch (bytes): five hundred declarations of fifty items are some 13 MB.
MAX_BATCH = 32 * 1024 * 1024


def _each(entries: list[Any], read: Callable[[Any], Any]) -> list[Any]:
    """What is read of each entry; one that cannot be is a Problem in its place, so that it harms no other."""
    found: list[Any] = []
    for entry in entries:
        try:
            found.append(read(entry))
        except Problem as problem:
            found.append(problem)
    return found


class ArrayParser(parsers.BaseParser):
    """A JSON array of declarations, each judged by itself."""

    media_type = "application/json"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        body = read_body(stream, MAX_BATCH)
        value, unstorable = decode(body), may_hold_unstorable(body)
        if not isinstance(value, list):
            return value
        return _each(value, lambda entry: require_sound(entry, nested=True, unstorable=unstorable))


class LinesParser(parsers.BaseParser):
    """One JSON value a line."""

    media_type = "application/x-ndjson"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        return _each([line for line in read_body(stream, MAX_BATCH).split(b"\n") if line.strip()], parse_json)


def incoming(data: Any) -> Incoming:
    """``request.data`` of a view that takes one declaration."""
    return data if isinstance(data, Incoming) else Incoming(data, [], "json")


class XmlWhereXmlCame(DefaultContentNegotiation):
    """A caller that sends XML and does not say what it accepts is answered in XML."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: str | None = None) -> Any:
        came = (request.content_type or "").partition(";")[0].strip().lower()
        if came in ("application/xml", "text/xml") and request.headers.get("Accept", "*/*") == "*/*":
            for renderer in renderers:
                if renderer.media_type == "application/xml":
                    return renderer, renderer.media_type
        return super().select_renderer(request, renderers, format_suffix)


class DecMessageRenderer(renderers.BaseRenderer):
    """A declaration (its detail, see api.reading) as DecMessage; ``Accept: application/xml; charset=gb18030`` gives that."""

    media_type = "application/xml"
    format = "xml"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        if not isinstance(data, dict) or "message" not in data:
            return b"" if data is None else dumps(data)  # a problem stays what it is
        encoding = "GB18030" if _charset(accepted_media_type) in ("gb18030", "gbk", "gb2312") else "UTF-8"
        return decmessage.render(data["message"], encoding)


class ImportResponseRenderer(renderers.BaseRenderer):
    """The answer to a lodgement as DecImportResponse: 0 and the number, or why not."""

    media_type = "application/xml"
    format = "xml"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        view = (renderer_context or {}).get("view")
        return import_response(data, getattr(view, "client_reference", ""))


def import_response(data: Any, client_reference: str = "") -> bytes:
    """``data`` is an answer of ours or a problem; ``client_reference`` is what the sender wrote."""
    data = data if isinstance(data, dict) else {}
    reference = data.get("client_reference") or client_reference
    number = data.get("unified_number") or ""
    if "code" in data and "status" in data:
        faults = "; ".join(f"{fault['pointer']}: {fault['detail']}" for fault in data.get("errors", ()))
        text = " ".join(part for part in (data["title"], data.get("detail", ""), faults) if part)
        return render_import_response(
            ImportResponse(code=data["code"], message=text, client_reference=reference, unified_number=number)
        )
    return render_import_response(
        ImportResponse(code="0", message="OK", client_reference=reference, unified_number=number)
    )


class ReceiptsRenderer(renderers.BaseRenderer):
    """Receipts as DEC_RESULT; several stand one after another in a DEC_RESULTS of ours (each its own file elsewhere)."""

    media_type = "application/xml"
    format = "xml"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        context = renderer_context or {}
        receipts: list[BusinessReceipt] | None = getattr(context.get("view"), "receipts", None)
        if receipts is None:
            return dumps(data)  # a problem stays what it is
        if "index" in context.get("kwargs", {}):
            return render_business_receipt(receipts[0])
        root = etree.Element("DEC_RESULTS")
        for receipt in receipts:
            root.append(etree.fromstring(render_business_receipt(receipt)))
        return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


#: Parsers of a view that takes one declaration.
ONE = [JSONParser, DecMessageParser, TextXmlParser]


def too_many(most: int) -> Fault:
    return Fault("", "too-many", T("一次最多 {n} 份", "At most {n} at a time", n=most))


__all__ = [
    "ONE",
    "ArrayParser",
    "DecMessageRenderer",
    "ImportResponseRenderer",
    "JSONRenderer",
    "LinesParser",
    "ReceiptsRenderer",
]
