"""JSON bodies in and out: size-limited, without NUL characters, decimals as strings."""

from __future__ import annotations

from typing import IO, Any

import orjson
from rest_framework import parsers, renderers

from common.json import dumps
from common.problems import Fault, Problem, invalid, standard
from common.text import T

#: Largest JSON or XML body taken (bytes); larger ones answer 413. Uploads of files have limits of their own.
MAX_BODY = 8 * 1024 * 1024


def read_body(stream: IO[bytes], limit: int = MAX_BODY) -> bytes:
    """The whole body, refused with 413 past ``limit`` without reading on."""
    body = stream.read(limit + 1)
    if len(body) > limit:
        raise standard(413)
    return body


def _nul_pointer(value: Any, pointer: str = "") -> str | None:
    """Where a NUL character stands: PostgreSQL can store none."""
    if isinstance(value, str):
        return pointer if "\x00" in value else None
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        if isinstance(key, str) and "\x00" in key:
            return pointer
        if (found := _nul_pointer(child, f"{pointer}/{key}")) is not None:
            return found
    return None


def parse_json(body: bytes) -> Any:
    """Decode a JSON body. Raises Problem 400 (not JSON) or 422 (NUL characters)."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(
            400, "malformed-json", T("不是合法的 JSON", "This is not valid JSON"), detail=str(error)
        ) from error
    if b"\\u0000" in body and (pointer := _nul_pointer(value)) is not None:
        raise invalid([Fault(pointer, "nul-character", T("不得含有空字符（NUL）", "NUL characters are not allowed"))])
    return value


class JSONParser(parsers.BaseParser):
    media_type = "application/json"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        return parse_json(read_body(stream))


class JSONRenderer(renderers.BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return b"" if data is None else dumps(data)
