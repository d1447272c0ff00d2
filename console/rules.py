"""Risk rules as risk staff edit them: drafted, tried against the last month, switched on; never changed in place."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from clearance import risk, riskrules
from clearance.models import RiskRule
from common.asked import asked_day
from common.days import today
from common.problems import Fault, Problem, invalid, not_found, standard
from common.text import T, pick
from console.pages import page, who
from parties.models import Organisation, OrganisationRole
from parties.principals import Principal

DUTY = "risk"
LINES = 6
OPERATORS = {
    "eq": T("等于", "is"), "ne": T("不等于", "is not"), "in": T("属于（逗号分隔）", "is one of (commas)"),
    "not_in": T("不属于（逗号分隔）", "is none of (commas)"), "starts_with": T("开头为", "starts with"),
    "contains": T("包含", "contains"), "gt": T("大于", "greater than"), "gte": T("不小于", "at least"),
    "lt": T("小于", "less than"), "lte": T("不大于", "at most"), "between": T("介于（逗号分隔）", "between (comma)"),
}  # fmt: skip
LISTS = frozenset({"in", "not_in", "between"})


def _risk_officer(request: HttpRequest) -> Principal:
    principal = who(request)
    if not principal.has_duty(DUTY):
        raise standard(403)
    return principal


def described(node: Any) -> str:
    """A condition as a sentence."""
    if not isinstance(node, dict):
        return str(node)
    for name, zh, en in (("all", " 且 ", " and "), ("any", " 或 ", " or ")):
        if name in node:
            return pick(zh, en).join(
                f"（{described(one)}）" if isinstance(one, dict) and {"all", "any"} & one.keys() else described(one)
                for one in node[name]
            )
    if "not" in node:
        return pick("非（{c}）", "not ({c})", c=described(node["not"]))
    value = node.get("value")
    text = "、".join(map(str, value)) if isinstance(value, list) else str(value)
    field = risk.FIELDS.get(str(node.get("field")), (False, node.get("field")))[1]
    verb = str(OPERATORS.get(str(node.get("op")), node.get("op"))).partition("（")[0].partition(" (")[0]
    return f"{field} {verb} {text}"


@require_GET
def show(request: HttpRequest) -> HttpResponse:
    _risk_officer(request)
    day = today()
    rows = RiskRule.objects.order_by("-active", "code", "-valid")[:500]
    return page(
        request,
        "console/rules.html",
        title=T("风险规则", "Risk rules"),
        rules=[
            {
                "row": row,
                "condition": described(row.condition),
                "now": day in row.valid if not row.valid.isempty else False,
            }
            for row in rows
        ],
    )


def _condition(form: Any) -> Any:
    """What the form asks: the lines joined by all or any, or the JSON where that was written."""
    written = form.get("json", "").strip()
    if written:
        try:
            return json.loads(written)
        except (ValueError, RecursionError):
            raise invalid([Fault("/condition", "json", T("不是有效的 JSON", "Not valid JSON"))]) from None
    leaves = []
    for n in range(LINES):
        field, op, value = (form.get(f"{name}-{n}", "").strip() for name in ("field", "op", "value"))
        if not field:
            continue
        parts = [part.strip() for part in value.replace("，", ",").split(",") if part.strip()] if op in LISTS else value
        leaves.append({"field": field, "op": op, "value": parts})
    if not leaves:
        raise invalid([Fault("/condition", "required", T("至少写一个条件", "Write one condition at least"))])
    return leaves[0] if len(leaves) == 1 else {"any" if form.get("join") == "any" else "all": leaves}


def _lines(condition: Any) -> tuple[list[dict[str, Any]], str, str]:
    """A stored condition as lines of the form, how they are joined, and as JSON where lines cannot say it."""
    join = "any" if isinstance(condition, dict) and "any" in condition else "all"
    leaves = condition.get(join, [condition]) if isinstance(condition, dict) else []
    if (
        not leaves
        or len(leaves) > LINES
        or not all(isinstance(one, dict) and one.get("op") in OPERATORS for one in leaves)
    ):
        return [], join, json.dumps(condition, ensure_ascii=False, indent=1)
    return [
        one | {"value": ", ".join(map(str, one["value"])) if isinstance(one["value"], list) else one["value"]}
        for one in leaves
    ], join, ""  # fmt: skip


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest) -> HttpResponse:
    """Write a rule, new or in the place of one, which stays in force until the new one is switched on."""
    principal = _risk_officer(request)
    form: Any = request.POST
    faults: list[Fault] = []
    lines: list[dict[str, Any]] = []
    join, written = "all", ""
    #: Who inspects where the rule says so: customs, where nothing else is ticked.
    agencies = request.POST.getlist("agencies") or ["customs"]
    if request.POST.get("action", "inspect") != "inspect":
        agencies = []
    if request.method == "POST":
        try:
            row = riskrules.draft(
                code=form.get("code", "").strip()[:40],
                name=form.get("name", "").strip()[:120],
                condition=_condition(form),
                action=form.get("action", ""),
                basis=form.get("basis", "").strip()[:300],
                share=_share(form.get("share", "")),
                instruction=form.get("instruction", "").strip()[:500],
                agencies=agencies,
                valid_from=asked_day(form, "valid_from"),
                valid_to=asked_day(form, "valid_to"),
                principal=principal,
            )
            messages.success(
                request, T("规则已保存（未启用）。请先试算。", "The rule is kept, switched off. Try it first.")
            )
            return redirect(f"/console/risk/#rule-{row.pk}")
        except Problem as problem:
            faults = problem.errors or [Fault("", problem.code, problem.detail or problem.title)]
        lines = [{name: form.get(f"{name}-{n}", "") for name in ("field", "op", "value")} for n in range(LINES)]
        join, written = form.get("join", "all"), form.get("json", "")
    elif (pk := request.GET.get("of", "")).isdigit():
        old = RiskRule.objects.filter(pk=int(pk[:18])).first()
        if old is None:
            raise not_found()
        form = {"code": old.code, "name": old.name, "action": old.action, "basis": old.basis,
                "share": f"{old.share.normalize():f}", "instruction": old.instruction,
                "valid_to": old.valid.upper.isoformat() if old.valid.upper else ""}  # fmt: skip
        agencies = old.agencies
        lines, join, written = _lines(old.condition)
    lines += [{}] * (LINES - len(lines))
    return page(
        request,
        "console/rule.html",
        title=T("编辑风险规则", "Edit a risk rule"),
        form=form,
        faults=faults,
        lines=lines,
        join=join,
        written=written,
        fields=[(name, text) for name, (_, text) in risk.FIELDS.items()],
        operators=OPERATORS.items(),
        actions=RiskRule.Action.choices,
        agencies=[
            {"code": code, "name": name, "on": code in agencies}
            for code, name in (("customs", T("海关", "customs")), *_agencies())
        ],
        today=today(),
    )


def _agencies() -> list[tuple[str, Any]]:
    found = Organisation.objects.filter(roles__contains=[OrganisationRole.INSPECTION_AGENCY]).order_by("name")
    return [(str(one.pk), one) for one in found]


def _share(text: str) -> Decimal:
    try:
        share = Decimal(text.strip() or "100")
    except InvalidOperation:
        share = Decimal("NaN")
    if not share.is_finite():
        raise invalid([Fault("/share", "share", T("比例应为 0 到 100 的数", "A share is a number from 0 to 100"))])
    return share


@require_POST
def act(request: HttpRequest, pk: int, act: str) -> HttpResponse:
    """Try a rule, switch it on or off."""
    principal = _risk_officer(request)
    try:
        if act == "try":
            found = riskrules.trial(pk=pk, principal=principal)
            messages.success(
                request,
                T(
                    "试算：近 {days} 日 {all} 票中命中 {hit} 票，抽中 {drawn} 票。",
                    "Trial: of {all} declarations in {days} days it hits {hit} and draws {drawn}.",
                    days=found["days"], all=found["declarations"], hit=found["hit"], drawn=found["drawn"],
                ),
            )  # fmt: skip
            if not found["complete"]:
                messages.warning(
                    request,
                    T(
                        "近一个月报关单过多，只试算了最近 {n} 票。",
                        "The month has more declarations; only the latest {n} were looked at.",
                        n=found["declarations"],
                    ),
                )
        elif act in ("on", "off"):
            riskrules.switch(pk=pk, on=act == "on", principal=principal)
            messages.success(
                request, T("规则已启用。", "Switched on.") if act == "on" else T("规则已停用。", "Switched off.")
            )
        else:
            raise not_found()
    except Problem as problem:
        if problem.status in (403, 404):
            raise
        messages.error(request, str(problem))
    return redirect(f"/console/risk/#rule-{pk}")
