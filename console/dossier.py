"""The declaration as an officer reads it: everything known about it on one page, and the decisions it allows."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from common import casework, reading
from common.problems import not_found
from common.text import T
from console import clearing, compare, content, decisions, queue
from console.pages import came_from, page, who
from declarations.lifecycle import LIFECYCLE
from declarations.models import Declaration, Severity
from events.models import Event
from parties.models import Officer
from parties.principals import Principal

VIEWS = {
    "content": T("申报内容", "Declaration"),
    "compare": T("单证比对", "Side by side"),
    "message": T("全部要素", "All elements"),
    "versions": T("版本差异", "Versions"),
    "readers": T("查看记录", "Who has read it"),
}

_TONE: dict[str, str] = {
    Severity.FATAL: "bad", Severity.ERROR: "bad", Severity.REVIEW: "warn", Severity.WARNING: "warn", Severity.INFO: "info",
}  # fmt: skip
_ORDER: list[str] = [Severity.FATAL, Severity.ERROR, Severity.REVIEW, Severity.WARNING, Severity.INFO]


def find(number: str, principal: Principal) -> Declaration:
    """The declaration of this number that the officer may see. Raises Problem 404."""
    declaration = Declaration.objects.visible_to(principal).numbered(number, principal).first()
    if declaration is None:
        raise not_found()
    return declaration


@require_GET
def show(request: HttpRequest, number: str) -> HttpResponse:
    principal = who(request)
    declaration = find(number, principal)
    view = request.GET.get("view", "")
    view = view if view in VIEWS else "content"
    reading.record(
        actor=principal.actor, kind=queue.KIND, number=declaration.unified_number, page=view, request=request
    )
    mine = declaration.unified_number in casework.held_by(queue.KIND, principal.actor)
    if mine:  # who looks at a case keeps it
        casework.take(kind=queue.KIND, numbers=[declaration.unified_number], holder=principal.actor)
    lease = casework.held(queue.KIND, [declaration.unified_number]).get(declaration.unified_number)
    context = PARTS[view](declaration)
    if view == "content":
        context |= clearing.beside(declaration, principal)
    return page(
        request,
        f"console/declaration_{view}.html",
        title=str(declaration),
        d=declaration,
        view=view,
        views=VIEWS,
        lease=lease,
        mine=mine,
        buttons=decisions.buttons(declaration, principal),
        goes_on=mine,
        came_from=came_from(request.GET),
        **context,
    )


def _content(declaration: Declaration) -> dict[str, Any]:
    checks: list[dict[str, Any]] = [
        {"result": row, "text": decisions.check_text(row), "tone": _TONE.get(row.severity, ""), "label": row.get_severity_display(),
         "title": content.title_of(row.pointer), "anchor": content.anchor(row.pointer)}
        for row in declaration.check_results.filter(version=declaration.version)
    ]  # fmt: skip
    checks.sort(key=lambda check: _ORDER.index(check["result"].severity))
    marks: dict[str, str] = {}
    for check in reversed(checks):
        marks[check["result"].pointer] = check["tone"]
    message = declaration.message
    return {
        "items": [
            {"row": row, "anchor": f"goods_items-{n}", "marks": _marks_of(marks, f"/goods_items/{n}")}
            for n, row in enumerate(declaration.goodsitem_set.all())
        ],
        "containers": declaration.container_set.all(),
        "documents": declaration.attacheddocument_set.all(),
        "files": message.get("electronic_documents") or [],
        "certificates": message.get("origin_certificates") or [],
        "marks": {pointer.strip("/") for pointer in marks},
        "totals": _totals(declaration),
        "checks": checks,
        "line": time_line(declaration),
    }


def _marks_of(marks: dict[str, str], prefix: str) -> set[str]:
    return {pointer.removeprefix(prefix + "/") for pointer in marks if pointer.startswith(prefix + "/")}


def _totals(declaration: Declaration) -> list[tuple[str, Any]]:
    sums: dict[str, Any] = {}
    for row in declaration.goodsitem_set.all():
        if row.invoice_amount is not None:
            sums[row.invoice_currency] = sums.get(row.invoice_currency, 0) + row.invoice_amount
    return sorted(sums.items())


def _message(declaration: Declaration) -> dict[str, Any]:
    return {"groups": list(content.groups(declaration.message))}


def _versions(declaration: Declaration) -> dict[str, Any]:
    versions = list(declaration.versions.order_by("version"))
    return {
        "versions": [
            {"row": after, "differences": content.differences(before.message, after.message)}
            for before, after in pairwise(versions)
        ][::-1],
        "first": versions[0] if versions else None,
    }


def _compare(declaration: Declaration) -> dict[str, Any]:
    found = compare.compare(declaration)
    titles = (T("提运与货物", "Transport and goods"), T("集装箱", "Containers"), T("商品", "Goods items"))
    return found | {"tables": list(zip(titles, (found["rows"], found["boxes"], found["items"]), strict=True))}


def _readers(declaration: Declaration) -> dict[str, Any]:
    from common.models import ReadRecord

    return {
        "readings": ReadRecord.objects.filter(kind=queue.KIND, number=declaration.unified_number)[:200],
        "names": actor_names(),
        "pages": READ,
    }


#: Pages without a tab whose reading is recorded too.
READ = VIEWS | {
    "inspection": T("查验", "Inspection"), "document": T("随附单证", "An attached document"),
    "evidence": T("查验凭证", "Evidence of an inspection"), "case": T("通关案件", "Clearance case"),
    "release": T("放行", "Release"), "selection": T("选查结果", "Selection"), "penaltycase": T("处罚案件", "Penalty case"),
    "changerequest": T("修撤单申请", "Change request"), "appointment": T("查验预约", "Inspection appointment"),
    "inspectionorder": T("查验指令", "Inspection order"),
}  # fmt: skip

PARTS = {"content": _content, "compare": _compare, "message": _message, "versions": _versions, "readers": _readers}

_EVENTS: dict[str, Any] = {
    "declaration.drafted": T("暂存", "Saved as a draft"),
    "declaration.checked": T("检查完成", "Checks done"),
    "declaration.duty_due": T("应缴税款", "Duties are due"),
    "declaration.corrected": T("放行后修改", "Corrected after release"),
    "declaration.party_dropped": T("已告知不再列名的单位", "Those no longer named were told"),
} | {row.event: row.label for row in LIFECYCLE.transitions.values()}
_GOOD = {"declaration.accepted", "declaration.released", "declaration.cleared"}
_BAD = {"declaration.rejected", "declaration.returned", "declaration.held", "declaration.withdrawn"}


def actor_names() -> dict[str, str]:
    """``officer:wang`` -> 王敏."""
    return {f"officer:{row.user.get_username()}": str(row) for row in Officer.objects.select_related("user")}


def actor_text(actor: str, names: dict[str, str]) -> str:
    if actor in names:
        return names[actor]
    if actor == "system":
        return str(T("系统", "system"))
    return str(T("接口", "API")) if actor.startswith("client:") else actor


def time_line(declaration: Declaration) -> list[dict[str, Any]]:
    """The declaration's events, the latest first."""
    names = actor_names()
    return [
        {
            "event": event,
            "title": event_title(event.type),
            "tone": "ok" if event.type in _GOOD else "bad" if event.type in _BAD else "",
            "actor": actor_text(event.actor, names),
            "reason": decisions.reason_text(event.data),
            "note": event.data.get("note") or "",
        }
        for event in Event.objects.filter(
            subject_kind="declaration", subject_number=declaration.unified_number
        ).order_by("-sequence")[:100]
    ]


def event_title(type_: str) -> Any:
    return _EVENTS.get(type_, type_)
