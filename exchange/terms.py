"""What an agreement lets through: kinds of subject, event types, and fields, named one by one.

A path names a value (``state``), one inside an object (``port.code``) or one in every element of a list
(``goods_items.commodity_code``). Only values travel: a path that ends at an object shares nothing of it, so that a field
added later is out until somebody names it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from common.problems import Fault
from common.text import T

PATTERN = re.compile(r"\*|[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*(\.\*)?")
PATH = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*")
KIND = re.compile(r"[a-z][a-z0-9_]*")

#: Subjects that are this instance's own business, whatever an agreement says.
NEVER_SHARED = frozenset({"organisation", "mandate", "webhook_endpoint", "agreement", "partner", "officer"})

#: What is not said to anybody yet, whatever an agreement says: drafts are their maker's alone.
DRAFTS = frozenset({
    "declaration.drafted", "declaration.draft_changed", "bill.drafted", "fee_list.drafted", "fee_list.checked",
    "fee_list.reopened",
})  # fmt: skip


def is_draft(event_type: str, data: dict[str, Any]) -> bool:
    """Whether an event tells of a draft: one that is made, or thrown away before anybody else was to see it."""
    return event_type in DRAFTS or (event_type == "declaration.withdrawn" and data.get("from") == "draft")


def matches(pattern: str, event_type: str) -> bool:
    """``declaration.*`` meets every type that begins with ``declaration.``; ``*`` meets all."""
    return pattern in ("*", event_type) or (pattern.endswith(".*") and event_type.startswith(pattern[:-1]))


class Terms(NamedTuple):
    kinds: tuple[str, ...]
    types: tuple[str, ...]
    #: event type or pattern -> paths
    fields: tuple[tuple[str, tuple[str, ...]], ...]

    def shares(self, kind: str) -> bool:
        return kind in self.kinds and kind not in NEVER_SHARED

    def covers(self, kind: str, event_type: str) -> bool:
        return self.shares(kind) and any(matches(one, event_type) for one in self.types)

    def fingerprint(self) -> int:
        """The same for the same terms, whatever the version (63 bits)."""
        return int.from_bytes(hashlib.sha256(json.dumps(self).encode()).digest()[:8], "big") >> 1

    def view(self, event_type: str, data: Any) -> dict[str, Any]:
        """What of ``data`` may be seen."""
        tree: dict[str, Any] = {}
        for pattern, paths in self.fields:
            if matches(pattern, event_type):
                for path in paths:
                    branch = tree
                    for name in path.split("."):
                        branch = branch.setdefault(name, {})
        picked = _pick(data, tree)
        return picked if isinstance(picked, dict) else {}

    def let_through(self, kind: str, event_type: str, data: Any) -> dict[str, Any]:
        """What of an event of a kind that is shared may be known. Of one whose type is not covered (any more) only the frame is
        left: without it every later event of its subject would look like a gap."""
        return self.view(event_type, data) if self.covers(kind, event_type) else {}


def of_row(kinds: list[str], types: list[str], fields: str | dict[str, list[str]]) -> Terms:
    """Terms out of a row's columns; ``fields`` as JSON or read already."""
    named = json.loads(fields) if isinstance(fields, str) else fields
    return Terms(tuple(kinds), tuple(types), tuple((name, tuple(paths)) for name, paths in sorted(named.items())))


_NOTHING = object()


def _pick(value: Any, tree: dict[str, Any]) -> Any:
    if not tree:  # the end of a path: a value, or a list of values
        if isinstance(value, dict):
            return _NOTHING
        if isinstance(value, list):
            return [item for item in value if not isinstance(item, (dict, list))]
        return value
    if isinstance(value, dict):
        found = {name: _pick(value[name], branch) for name, branch in tree.items() if name in value}
        return {name: child for name, child in found.items() if child is not _NOTHING}
    if isinstance(value, list):
        return [child for item in value if (child := _pick(item, tree)) is not _NOTHING]
    return _NOTHING


def faults(kinds: Iterable[Any], types: Iterable[Any], fields: Any) -> list[Fault]:
    """Everything wrong with proposed terms."""
    found = []
    for n, kind in enumerate(kinds):
        if not isinstance(kind, str) or len(kind) > 40 or not KIND.fullmatch(kind):
            found.append(Fault(f"/kinds/{n}", "kind", T("不是对象类别", "Not a kind of subject")))
        elif kind in NEVER_SHARED:
            found.append(Fault(f"/kinds/{n}", "never-shared", T("此类对象从不共享", "This kind is never shared")))
    found += pattern_faults(types, "/types")
    if not isinstance(fields, dict):
        return [*found, Fault("/fields", "fields", T("应为“事件类型 → 字段列表”", "Must map event types to fields"))]
    found += pattern_faults(fields, "/fields")
    for pattern, paths in fields.items():
        if not isinstance(paths, list):
            found.append(Fault(f"/fields/{pattern}", "fields", T("应为列表", "Must be a list")))
            continue
        for n, path in enumerate(paths):
            if not isinstance(path, str) or not PATH.fullmatch(path):
                found.append(
                    Fault(
                        f"/fields/{pattern}/{n}",
                        "field-path",
                        T("字段须逐一列出，不得用通配符", "Fields are named one by one; no wildcards"),
                    )
                )
    return found


def pattern_faults(patterns: Iterable[Any], pointer: str) -> list[Fault]:
    return [
        Fault(f"{pointer}/{n}", "event-type", T("不是事件类型或其通配", "Not an event type or a pattern of them"))
        for n, pattern in enumerate(patterns)
        if not isinstance(pattern, str) or len(pattern) > 80 or not PATTERN.fullmatch(pattern)
    ]
