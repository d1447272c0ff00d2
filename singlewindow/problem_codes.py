"""Every error code of the API and what it means, read from the places that raise it: nothing to keep in step by hand.

A code is written where it is raised, as a literal: ``Problem(409, "stale", T("…", "…"))``, ``conflict("stale", T(…))``,
``Fault(pointer, "code", T(…))``. The source is read once per process, when somebody asks."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import override
from django.views.decorators.http import require_safe

from common.problems import STANDARD, http, standard
from common.text import pick

TYPE = "/api/problems/"


@dataclass
class Entry:
    code: str
    #: HTTP statuses it comes with; none for the code of a single fault within ``errors``.
    statuses: set[int] = field(default_factory=set)
    #: (Chinese, English), each wording once.
    texts: list[tuple[str, str]] = field(default_factory=list)
    #: Apps that raise it.
    apps: set[str] = field(default_factory=set)

    @property
    def text(self) -> str:
        return " · ".join(pick(*text) for text in self.texts)

    def as_json(self) -> dict[str, object]:
        return {
            "code": self.code,
            "type": f"{TYPE}{self.code}",
            "status": sorted(self.statuses),
            "texts": [{"zh": zh, "en": en} for zh, en in self.texts],
            "apps": sorted(self.apps),
        }


def _literal(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _text(call: ast.Call) -> tuple[str, str] | None:
    """The texts of the first ``T("…", "…")`` among the arguments."""
    for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
        if isinstance(argument, ast.Call) and getattr(argument.func, "id", "") == "T" and len(argument.args) >= 2:
            zh, en = _literal(argument.args[0]), _literal(argument.args[1])
            if zh and en:
                return zh, en
    return None


def _raised(source: str) -> Iterator[tuple[str, int | None, tuple[str, str] | None]]:
    """(code, status or None for a fault, texts) of each place in ``source`` that names a code."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        named = {keyword.arg: keyword.value for keyword in node.keywords}
        if name == "conflict":
            code = _literal(node.args[0] if node.args else named.get("code"))
            status: int | None = 409
        elif name == "Problem":
            code = _literal(node.args[1] if len(node.args) > 1 else named.get("code"))
            first = node.args[0] if node.args else named.get("status")
            status = first.value if isinstance(first, ast.Constant) and isinstance(first.value, int) else 400
        elif name == "Fault":
            code, status = _literal(node.args[1] if len(node.args) > 1 else named.get("code")), None
        else:
            continue
        if code:
            yield code, status, _text(node)


@cache
def catalogue() -> dict[str, Entry]:
    """code -> entry, problems and faults together, in alphabetical order."""
    found: dict[str, Entry] = {}

    def add(code: str, status: int | None, text: tuple[str, str] | None, app: str) -> None:
        entry = found.setdefault(code, Entry(code))
        entry.apps.add(app)
        if status:
            entry.statuses.add(status)
        if text and text not in entry.texts:
            entry.texts.append(text)

    for standard_status, (code, title) in STANDARD.items():
        add(code, standard_status, both(title), "common")
    for config in apps.get_app_configs():
        if Path(config.path).parent != settings.BASE_DIR:
            continue
        for path in sorted(Path(config.path).rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            if "migrations" not in path.parts and ("Problem(" in source or "conflict(" in source or "Fault(" in source):
                for code, status, text in _raised(source):
                    add(code, status, text, config.label)
    return dict(sorted(found.items()))


def both(title: object) -> tuple[str, str]:
    """A lazy text in Chinese and in English."""
    with override("zh-hans"):
        zh = str(title)
    with override("en"):
        return zh, str(title)


def problems() -> list[Entry]:
    return [entry for entry in catalogue().values() if entry.statuses]


def faults() -> list[Entry]:
    return [entry for entry in catalogue().values() if not entry.statuses]


@require_safe
def page(request: HttpRequest, code: str = "") -> HttpResponse:
    """What the ``type`` of a problem points at: one code, or all of them, as a page or (for ``Accept: json``) as JSON."""
    if code and code not in catalogue():
        return http(standard(404), request)
    asked = [catalogue()[code]] if code else list(catalogue().values())
    if not request.accepts("text/html"):
        body = asked[0].as_json() if code else {"results": [entry.as_json() for entry in asked]}
        return JsonResponse(body, json_dumps_params={"ensure_ascii": False})
    context = {
        "code": code,
        "groups": [
            ("错误", "Problems", [entry for entry in asked if entry.statuses]),
            ("逐项错误（errors[].code）", "Faults (errors[].code)", [entry for entry in asked if not entry.statuses]),
        ],
    }
    return render(request, "singlewindow/problems.html", context)
