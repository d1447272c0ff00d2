from __future__ import annotations

from collections.abc import Iterator

from declarations import rules
from declarations.checks.registry import Context, Finding, Severity, register
from declarations.models import Declaration


@register("sense", "逻辑提示", "what looks wrong but may be right", {"rule-warning": ("{zh}", "{en}")}, order=45)
def rules_that_warn(declaration: Declaration, context: Context) -> Iterator[Finding]:
    """The rules of the message that warn and refuse nothing."""
    for one, pointer, params in rules.broken(context.message, "warning"):
        told = {"rule": one.code, "zh": one.zh.format(**params), "en": one.en.format(**params)}
        yield Finding("rule-warning", Severity.WARNING, pointer, told, 2)
