"""RFC 8785 canonical JSON and SHA-256 checksums, as DCSA PINT 3.0.0 asks for. Needs no Django: the offline verifier and
the register share these functions."""

from __future__ import annotations

import hashlib
import json
import re
from decimal import Decimal
from typing import Any

import rfc8785

#: Deeper nesting is refused before any parser meets it.
MAX_DEPTH = 64


class NotCanonical(ValueError):
    """The text has no canonical form: not JSON, a name given twice, a number past a double, a lone surrogate."""


def canonical(value: Any) -> bytes:
    """RFC 8785 form. Raises NotCanonical where there is none."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise NotCanonical(str(error)) from error


def checksum(data: bytes | str) -> str:
    """SHA-256 in lower-case hexadecimal; of a JWS it is taken over its compact serialisation."""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def document_checksum(document: Any) -> str:
    """The checksum that names one version of a bill: SHA-256 over the canonical form."""
    return checksum(canonical(document))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        raise NotCanonical(f"name given twice: {next(name for name in names if names.count(name) > 1)!r}")
    return value


def _no_constant(name: str) -> Any:
    raise NotCanonical(f"{name} is not JSON")


def _integer(text: str) -> float:
    """RFC 8785 knows doubles only: a whole number past 2**53 is taken where it is written as its double is."""
    if len(text) < 17 and -(2**53) < (value := int(text)) < 2**53:
        return value
    as_double = float(text)
    if as_double in (float("inf"), float("-inf")) or rfc8785.dumps(as_double).decode() != text:
        raise NotCanonical(f"{text[:40]} is past what a double holds")
    return as_double


#: A string, to the end of the text where it has no end of its own. Never tried a second time at the same place.
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


def _depth(text: str) -> int:
    deepest = depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        if bracket in "[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant, parse_int=_integer)


def parse(data: bytes | str) -> Any:
    """JSON read as I-JSON: a name given twice, NaN or a lone surrogate has no single meaning and is refused, since two
    readers could compute two checksums of it."""
    try:
        text = data.decode() if isinstance(data, bytes) else data
        if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
            raise NotCanonical("nested too deeply")
        value = _DECODER.decode(text)
        text.encode()
        return value
    except NotCanonical:
        raise
    except (ValueError, RecursionError) as error:
        raise NotCanonical(str(error)) from error


def number(value: Decimal | str | int) -> int | float:
    """A decimal as the JSON number of formats that know no decimal strings. Raises NotCanonical past the 15 digits
    which a double keeps."""
    decimal = Decimal(value)
    if len(decimal.normalize().as_tuple().digits) > 15:
        raise NotCanonical(f"{value} has more than 15 digits")
    return int(decimal) if decimal == decimal.to_integral_value() else float(decimal)


def decimal_text(value: float | Decimal) -> str:
    """The decimal string of a JSON number: ``12000.0`` is ``12000``."""
    decimal = Decimal(repr(value) if isinstance(value, float) else value)
    if decimal == decimal.to_integral_value():
        return format(decimal.quantize(Decimal(1)), "f") if abs(decimal) < Decimal(10) ** 27 else str(decimal)
    return format(decimal.normalize(), "f")
