"""What a caller says of the version it read: If-Match and If-None-Match (RFC 9110, section 13)."""

from __future__ import annotations

from django.utils.http import parse_etags


def names(header: str, tag: str) -> bool:
    """Whether ``header`` names ``tag``, or any. What stands in front may have weakened the tag on its way to the caller
    (nginx does, when it compresses): it names the same version."""
    given = parse_etags(header)
    return "*" in given or tag in (one.removeprefix("W/") for one in given)
