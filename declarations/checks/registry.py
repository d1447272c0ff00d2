"""What is checked is a list that any app above may add to (from its AppConfig.ready): lodgement knows none of the checks by
name. A check is a function of the declaration and a context that returns all it found; it reads, and writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, NamedTuple

from common.text import T
from declarations.models import AttachedDocument, Declaration, GoodsItem, Severity
from refdata import codes


class Finding(NamedTuple):
    """One thing a check found. The text is the one registered for ``code``, filled with ``params``."""

    code: str
    severity: str
    pointer: str = ""
    params: dict[str, Any] = {}
    risk_points: int = 0


@dataclass
class Context:
    """What the checks of one run share, each part read once."""

    declaration: Declaration
    message: dict[str, Any]
    #: The legal day whose law applies: of the first acceptance, or of the sending where it was never accepted.
    day: date
    #: The legal day this version was sent: who may take part is judged as of it.
    sent: date
    found: list[Finding] = field(default_factory=list)

    @cached_property
    def attached_documents(self) -> list[AttachedDocument]:
        return list(self.declaration.attacheddocument_set.all())

    @cached_property
    def items(self) -> list[GoodsItem]:
        return list(self.declaration.goodsitem_set.all())


Function = Callable[[Declaration, Context], Iterable[Finding]]


class Check(NamedTuple):
    name: str
    title: Any
    function: Function
    order: int


_checks: dict[str, Check] = {}
_texts: dict[str, tuple[str, str]] = {}

#: Codes shown to officers only: they would tell how risk is judged.
CONFIDENTIAL: set[str] = set()


def register(
    name: str, zh: str, en: str, texts: dict[str, tuple[str, str]], *, order: int = 50, confidential: bool = False
) -> Callable[[Function], Function]:
    """Enter a check. ``texts``: code -> Chinese and English text with {params}. Higher ``order`` runs later."""

    def enter(function: Function) -> Function:
        _checks[name] = Check(name, T(zh, en), function, order)
        _texts.update(texts)
        if confidential:
            CONFIDENTIAL.update(texts)
        return function

    return enter


def checks() -> list[Check]:
    return sorted(_checks.values(), key=lambda check: (check.order, check.name))


def title(name: str) -> str:
    return str(_checks[name].title) if name in _checks else name


def render(code: str, params: dict[str, Any]) -> str:
    """The text of a finding in the active language. ``list`` among the params is a code list, told by its name."""
    zh, en = _texts.get(code, (code, code))
    if "list" in params:
        params = params | {"list": codes.called(params["list"])}
    try:
        return str(T(zh, en, **params))
    except (KeyError, IndexError):
        return str(T(zh, en))


__all__ = ["CONFIDENTIAL", "Check", "Context", "Finding", "Severity", "checks", "register", "render", "title"]
