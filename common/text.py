"""Two languages side by side in the source: ``T("报关单", "Declaration")`` is lazy and picks the caller's language."""

from __future__ import annotations

from typing import Any

from django.utils.functional import lazy
from django.utils.translation import get_language


def pick(zh: str, en: str, /, **params: Any) -> str:
    """Return the text of the active language (Chinese unless English is active), with ``params`` filled in."""
    text = en if (get_language() or "").startswith("en") else zh
    return text.format(**params) if params else text


T = lazy(pick, str)
