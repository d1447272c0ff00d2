"""Every error code of the API and what it means, read from the places that raise it: nothing to keep in step by hand.

A code is written where it is raised, as a literal right before its text: ``Problem(409, "stale", T("…", "…"))``,
``conflict("stale", T(…))``, ``Fault(pointer, "code", T(…))``, ``@rule("code", "…", "…")``; in modules that need no Django
``Refusal("code", "…", "…")``, ``Violation(pointer, "code", "…", "…")``, ``Fails("code", "…", "…")``. The source is read once
per process, when somebody asks."""

from __future__ import annotations

import ast
import itertools
import re
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
Text = tuple[str, str]


@dataclass
class Entry:
    code: str
    #: HTTP statuses it comes with; none for the code of a single fault within ``errors``.
    statuses: set[int] = field(default_factory=set)
    #: (Chinese, English), each wording once.
    texts: list[Text] = field(default_factory=list)
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


#: Calls whose name holds one of these say "code, then text"; what they raise or return is a fault unless named in STATUS.
_SAYING = ("fault", "problem", "conflict", "refuse")
#: Calls that say "code, Chinese, English": of faults, or of what keeps a whole request from being done (with its status).
_PLAIN: dict[str, int | None] = {"Refusal": 409, "Violation": None, "Fails": None}
_CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def _literal(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _pattern(node: ast.expr) -> str | None:
    """A literal, or an f-string with dots for what it puts in."""
    if not isinstance(node, ast.JoinedStr):
        return _literal(node)
    return "".join("…" if isinstance(part, ast.FormattedValue) else _literal(part) or "" for part in node.values)


def _pair(nodes: list[ast.expr]) -> Text | None:
    """Two texts, Chinese and English."""
    zh, en = (_pattern(node) for node in nodes[:2]) if len(nodes) >= 2 else (None, None)
    return (zh, en) if zh and en else None


def _text(node: ast.expr | None) -> Text | None:
    """The texts of ``T("…", "…")``."""
    is_text = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "T"
    return _pair(node.args) if is_text and isinstance(node, ast.Call) else None


def _name(call: ast.Call) -> str:
    return str(getattr(call.func, "id", getattr(call.func, "attr", "")))


def _raised(source: str) -> Iterator[tuple[str, int | None, Text | None]]:
    """(code, status or None for a fault, texts) of each place in ``source`` that names a code."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name, args = _name(node), list(node.args)
        if name in ("rule", "register"):
            if any(keyword.arg == "confidential" for keyword in node.keywords):
                continue  # for officers only
            # @rule("code", "中文", "English") and @register(…, {"code": ("中文", "English")}) of the declarations' checks
            if name == "rule" and (code := _literal(args[0] if args else None)) and (text := _pair(args[1:3])):
                yield code, None, text
            for table in args:
                for key, value in zip(table.keys, table.values, strict=True) if isinstance(table, ast.Dict) else ():
                    if (code := _literal(key)) and isinstance(value, ast.Tuple) and (text := _pair(value.elts)):
                        yield code, None, text
            continue
        if name in _PLAIN:
            for index, argument in enumerate(args[:2]):
                code, text = _literal(argument), _pair(args[index + 1 :])
                if code and text and _CODE.fullmatch(code):
                    yield code, _PLAIN[name], text
                    break
            continue
        if not any(word in name.lower() for word in _SAYING):
            continue
        texts = [*args[1:], *(keyword.value for keyword in node.keywords)]
        for before, after in itertools.zip_longest(args, args[1:]):
            if (code := _literal(before)) and _CODE.fullmatch(code) and (_text(after) or name in STATUS):
                yield code, _status(name, args), next(filter(None, map(_text, texts)), None)
                break


#: Calls that answer a whole request with a problem, and the status they give it (None: it is their first argument).
STATUS: dict[str, int | None] = {"Problem": None, "conflict": 409}


def _status(name: str, args: list[ast.expr]) -> int | None:
    if name not in STATUS:
        return None
    first = args[0] if args else None
    given = first.value if isinstance(first, ast.Constant) and isinstance(first.value, int) else 400
    return STATUS[name] or given


@cache
def catalogue() -> dict[str, Entry]:
    """code -> entry, problems and faults together, in alphabetical order."""
    found: dict[str, Entry] = {}

    def add(code: str, status: int | None, text: Text | None, app: str) -> None:
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
            if "migrations" not in path.parts:
                for code, status, text in _raised(source):
                    add(code, status, text, config.label)
    return dict(sorted(found.items()))


def both(title: object) -> Text:
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
