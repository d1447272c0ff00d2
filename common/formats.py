"""JSON bodies in and out: size-limited, without what cannot be stored, decimals as strings."""

from __future__ import annotations

import re
from typing import IO, Any

import orjson
from rest_framework import parsers, renderers

from common.json import dumps
from common.problems import Fault, Problem, invalid, standard
from common.text import T

#: Largest JSON or XML body taken (bytes); larger ones answer 413. Uploads of files have limits of their own.
MAX_BODY = 8 * 1024 * 1024

#: Objects and lists within one another that a JSON body may hold. Nothing of this trade nests deeper than six.
MAX_DEPTH = 64


def read_body(stream: IO[bytes], limit: int = MAX_BODY) -> bytes:
    """The whole body, refused with 413 past ``limit`` without reading on."""
    body = stream.read(limit + 1)
    if len(body) > limit:
        raise standard(413)
    return body


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            child
            for node in level
            if type(node) in (dict, list)
            for child in (node.values() if type(node) is dict else node)
            if type(child) in (dict, list)
        ]
        if not level:
            return False
    return True


def _unstorable(value: Any, pointer: str = "") -> Fault | None:
    """The first value that could not be stored, or not be told again: a NUL character (PostgreSQL keeps none), or a number past 64
    bits (read as a float, kept as a whole number that no JSON of ours can hold)."""
    if isinstance(value, str) and "\x00" in value:
        return Fault(pointer, "nul-character", T("不得含有空字符（NUL）", "NUL characters are not allowed"))
    if isinstance(value, float) and abs(value) >= 2**63:
        return Fault(pointer, "number-too-large", T("数值超出 64 位", "The number does not fit into 64 bits"))
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        if isinstance(key, str) and "\x00" in key:
            return _unstorable(key, pointer)
        if (found := _unstorable(child, f"{pointer}/{key}")) is not None:
            return found
    return None


def decode(body: bytes) -> Any:
    """What a JSON body says, whatever it is. Raises Problem 400."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(
            400, "malformed-json", T("不是合法的 JSON", "This is not valid JSON"), detail=str(error)
        ) from error


def require_sound(value: Any, *, nested: bool, unstorable: bool) -> Any:
    """``value`` if it can be walked and stored; ``nested`` and ``unstorable`` say what its source leaves possible.

    Raises Problem 400 (nested too deep) or 422 (NUL characters, numbers past 64 bits)."""
    if nested and _too_deep(value):
        raise Problem(
            400,
            "too-deep",
            T("JSON 嵌套超过 {n} 层", "The JSON is nested deeper than {n} levels", n=MAX_DEPTH),
        )
    if unstorable and (fault := _unstorable(value)) is not None:
        raise invalid([fault])
    return value


#: A number that is long, or has an exponent.
_LARGE_NUMBER = re.compile(rb"[:,\[\s]-?\d(?:[\d.]{18}|[\d.]*[eE])")


def may_hold_unstorable(body: bytes) -> bool:
    """Whether a JSON text may stand for what cannot be stored: a NUL character can only be escaped."""
    return b"\\u0000" in body or _LARGE_NUMBER.search(body) is not None


def parse_json(body: bytes) -> Any:
    """Decode a JSON body. Raises Problem 400 (not JSON, or nested too deep) or 422 (NUL characters, numbers past 64 bits)."""
    value = decode(body)
    # Most bodies have fewer brackets than levels are allowed, and need no walk.
    nested = body.count(b"{") + body.count(b"[") > MAX_DEPTH
    return require_sound(value, nested=nested, unstorable=may_hold_unstorable(body))


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
