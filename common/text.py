"""Two languages side by side in the source: ``T("报关单", "Declaration")`` is lazy and picks the caller's language."""

from __future__ import annotations

from typing import Any

from django.utils.functional import lazy
from django.utils.translation import get_language


def side() -> int:
    """Which of two texts the active language takes: the first, Chinese, unless English is active. What picks hundreds of texts
    at once asks a single time."""
    return int((get_language() or "").startswith("en"))


def pick(zh: str, en: str, /, **params: Any) -> str:
    """Return the text of the active language (Chinese unless English is active), with ``params`` filled in."""
    text = (zh, en)[side()]
    return text.format(**params) if params else text


T = lazy(pick, str)
