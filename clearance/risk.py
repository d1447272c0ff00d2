"""The condition language of risk rules, and the random draw.

A condition is JSON: ``{"all": [...]}``, ``{"any": [...]}``, ``{"not": {...}}`` or ``{"field": ..., "op": ..., "value": ...}``.
It is checked when it is written and turned into closures once; nothing of it is ever executed as code. A list field
(``goods.code``) meets a comparison when any of its values does."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from django.conf import settings

from common.problems import Fault
from common.text import T

Facts = dict[str, Any]
Test = Callable[[Facts], bool]

#: field -> (is it a number, what it is)
FIELDS: dict[str, tuple[bool, Any]] = {
    "direction": (False, T("进出口标志", "direction (I, E)")),
    "office": (False, T("申报地海关", "customs office")),
    "border_office": (False, T("进出境关别", "border customs office")),
    "procedure": (False, T("监管方式", "customs procedure")),
    "transport_mode": (False, T("运输方式", "transport mode")),
    "trading_country": (False, T("贸易国", "trading country")),
    "route_country": (False, T("启运/运抵国", "country of departure or arrival")),
    "border_port": (False, T("口岸", "border port")),
    "mode": (False, T("通关模式", "clearance mode")),
    "gross_weight": (True, T("毛重", "gross weight")),
    "packages": (True, T("件数", "packages")),
    "value": (True, T("总价合计（各币制之和）", "total of the invoice amounts as declared")),
    "items": (True, T("商品项数", "number of goods items")),
    "score": (True, T("检查风险分", "score of the checks")),
    "goods.code": (False, T("商品编号", "commodity codes")),
    "goods.name": (False, T("商品名称", "names of goods")),
    "goods.origin": (False, T("原产国", "countries of origin")),
    "goods.amount": (True, T("各项总价", "amounts of the items")),
    "party.firm": (False, T("境内收发货人代码", "domestic party's code")),
    "party.declarant": (False, T("申报单位代码", "declarant's code")),
    "party.credit": (False, T("信用名单", "credit list (red, black, none)")),
    "history.declarations": (True, T("该企业近一年报关单数", "declarations of the firm in the last year")),
    "history.differences": (True, T("该企业近一年查获数", "differences found at the firm in the last year")),
    "container.number": (False, T("集装箱号", "container numbers")),
}

OPERATORS = ("eq", "ne", "in", "not_in", "starts_with", "contains", "gt", "gte", "lt", "lte", "between", "exists")
MAX_DEPTH = 8
MAX_NODES = 200
MAX_VALUES = 1000


def check(condition: Any, pointer: str = "/condition") -> list[Fault]:
    """Every fault of a condition."""
    faults: list[Fault] = []
    count = _check(condition, pointer, 0, faults)
    if count > MAX_NODES:
        faults.append(Fault(pointer, "too-large", T("条件过多", "Too many conditions")))
    return faults


def _check(node: Any, at: str, depth: int, faults: list[Fault]) -> int:
    if not isinstance(node, dict) or depth > MAX_DEPTH:
        faults.append(
            Fault(
                at,
                "condition",
                T("应为条件对象，且嵌套不超过 {n} 层", "A condition is expected, nested {n} deep at most", n=MAX_DEPTH),
            )
        )
        return 1
    for name in ("all", "any"):
        if name in node:
            if len(node) != 1 or not isinstance(node[name], list) or not node[name] or len(node[name]) > MAX_NODES:
                faults.append(Fault(at, name, T("“{n}”应为非空列表", "“{n}” takes a list that is not empty", n=name)))
                return 1
            return 1 + sum(_check(one, f"{at}/{name}/{i}", depth + 1, faults) for i, one in enumerate(node[name]))
    if "not" in node:
        if len(node) != 1:
            faults.append(Fault(at, "not", T("“not”只能单独使用", "“not” stands alone")))
        return 1 + _check(node["not"], f"{at}/not", depth + 1, faults)
    faults.extend(_leaf(node, at))
    return 1


def _leaf(node: dict[str, Any], at: str) -> list[Fault]:
    if set(node) - {"field", "op", "value"}:
        return [Fault(at, "unknown-member", T("只能有 field、op、value", "Only field, op and value are allowed"))]
    if not isinstance(node.get("field"), str) or node["field"] not in FIELDS:
        return [Fault(f"{at}/field", "field", T("没有此字段", "There is no such field"))]
    op, value = node.get("op"), node.get("value")
    if not isinstance(op, str) or op not in OPERATORS:
        return [Fault(f"{at}/op", "operator", T("没有此运算", "There is no such operator"))]
    if op == "exists":
        ok = isinstance(value, bool)
    else:
        many = op in ("in", "not_in", "starts_with", "between", "contains")
        values = value if isinstance(value, list) else [value]
        ok = (many or not isinstance(value, list)) and 0 < len(values) <= MAX_VALUES
        number = FIELDS[node["field"]][0]
        ok = ok and all(
            _number(one) is not None if number else isinstance(one, str) and len(one) <= 200 for one in values
        )
        if op == "between":
            ok = ok and isinstance(value, list) and len(values) == 2
        if number and op in ("starts_with", "contains"):
            ok = False
    return (
        []
        if ok
        else [Fault(f"{at}/value", "value", T("值与字段或运算不符", "The value does not suit field or operator"))]
    )


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    try:
        found = Decimal(value)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def compile(condition: dict[str, Any]) -> Test:
    """A checked condition as one function of the facts."""
    if "all" in condition:
        tests = tuple(compile(one) for one in condition["all"])
        if len(tests) == 2:
            first, second = tests
            return lambda facts: first(facts) and second(facts)
        return lambda facts: all(test(facts) for test in tests)
    if "any" in condition:
        tests = tuple(compile(one) for one in condition["any"])
        return lambda facts: any(test(facts) for test in tests)
    if "not" in condition:
        inner = compile(condition["not"])
        return lambda facts: not inner(facts)
    return _compile_leaf(condition["field"], condition["op"], condition["value"])


def _compile_leaf(field: str, op: str, value: Any) -> Test:
    if op == "exists":
        return lambda facts: bool(facts.get(field)) is value
    number = FIELDS[field][0]

    def typed(one: Any) -> Any:
        return Decimal(one) if number else one

    if op in ("ne", "not_in"):
        inner = _compile_leaf(field, "eq" if op == "ne" else "in", value)
        return lambda facts: not inner(facts)
    if op in ("in", "starts_with", "contains"):
        values = value if isinstance(value, list) else [value]
        test = _text_test(op, frozenset(typed(one) for one in values), tuple(values))
    elif op == "between":
        low, high = (typed(one) for one in value)
        test = lambda found: low <= found <= high  # noqa: E731
    else:
        wanted = typed(value)
        test = {
            "eq": lambda found: found == wanted,
            "gt": lambda found: found > wanted,
            "gte": lambda found: found >= wanted,
            "lt": lambda found: found < wanted,
            "lte": lambda found: found <= wanted,
        }[op]
    if field.startswith(("goods.", "container.")):
        return lambda facts: any(test(one) for one in facts.get(field) or ())
    return lambda facts: (found := facts.get(field)) is not None and found != "" and test(found)


def _text_test(op: str, values: frozenset[Any], in_order: tuple[str, ...]) -> Callable[[Any], bool]:
    if op == "in":
        return lambda found: found in values
    if op == "starts_with":
        return lambda found: found.startswith(in_order)
    return lambda found: any(one in found for one in in_order)


def drawn(rule: str, number: str, share: Decimal) -> bool:
    """Whether this declaration is among the ``share`` per cent that ``rule`` takes.

    The draw hangs on rule and declaration alone, so that asking again, amending or a second worker draws nothing new; the
    secret key keeps it from being foreseen."""
    if share >= 100:
        return True
    if share <= 0:
        return False
    key = hashlib.sha256(b"risk-draw:" + settings.SECRET_KEY.encode()).digest()
    digest = hmac.digest(key, f"{rule}:{number}".encode(), "sha256")
    return int.from_bytes(digest[:8], "big") < int(share * (1 << 64) / 100)
