"""How the console's pages write codes, quantities and ages."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from console import ages
from declarations.lifecycle import State
from declarations.models import Declaration
from refdata import codes

register = template.Library()

_TONES: dict[str, str] = {
    State.LODGED: "info", State.UNDER_REVIEW: "warn", State.ACCEPTED: "info", State.HELD: "bad",
    State.UNDER_INSPECTION: "warn", State.RETURNED: "warn", State.REJECTED: "bad", State.RELEASED: "ok",
    State.CLEARED: "ok",
}  # fmt: skip


def code_name(slug: str, value: str) -> str:
    try:
        return codes.name(slug, value) if value else ""
    except codes.NotLoaded:
        return ""


@register.simple_tag
def code(slug: str, value: str) -> str | SafeString:
    """A code with its name."""
    if not value:
        return "—"
    name = code_name(slug, value)
    return format_html('<span class="mono">{}</span> {}', value, name) if name else value


@register.simple_tag
def named(slug: str, value: str) -> str | SafeString:
    """The name alone, the code as a hint."""
    if not value:
        return "—"
    return format_html('<span title="{}">{}</span>', value, code_name(slug, value) or value)


@register.simple_tag
def state(value: str) -> SafeString:
    label = State(value).label if value in State.values else value
    return format_html('<span class="chip {}">{}</span>', _TONES.get(value, ""), label)


@register.simple_tag
def age(declaration: Declaration) -> SafeString:
    found, since = ages.age(declaration), declaration.state_since
    return format_html(
        '<span class="age {}" title="{}">{}</span>',
        found.level,
        timezone.localtime(since).strftime("%Y-%m-%d %H:%M"),
        found.text,
    )


@register.filter
def amount(value: Any) -> str:
    """A number without meaningless zeros, grouped by thousands."""
    if value in (None, ""):
        return "—"
    if isinstance(value, Decimal):
        text = f"{value:,f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:,}" if isinstance(value, int) else str(value)


@register.filter
def dash(value: Any) -> Any:
    return "—" if value in (None, "") else value


@register.filter
def clock(value: datetime | None) -> str:
    return timezone.localtime(value).strftime("%m-%d %H:%M") if value else "—"
