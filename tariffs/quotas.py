"""Tariff quotas: what the items of a declaration import within one, against what is left of it."""

from __future__ import annotations

from decimal import Decimal

from common.problems import Fault
from common.text import T

from .assessed import ItemResult
from .basis import Notice
from .rates import ZERO, RateMissing, plain
from .run import Run

#: What quotas are kept in.
KILOGRAM = "035"


def check(run: Run, results: list[ItemResult]) -> None:
    """Tariff Law art. 14: what the items import within a quota, taken together, is left of it."""
    wanted: dict[str, Decimal] = {}
    lefts: dict[str, Decimal | None] = {}
    for result in results:
        if (quota := result.quota()) is None:
            continue
        if not quota:
            run.notices.append(Notice("quota-volume-unknown", result.item.number))
            continue
        try:
            quantity = result.goods.quantity(KILOGRAM, "")
        except RateMissing as missing:
            run.missing(result.item, missing)
            continue
        if quota not in wanted:
            wanted[quota] = ZERO
            lefts[quota] = run.book.quota_left(quota, run.day, run.subject)
            if lefts[quota] is None:
                run.notices.append(Notice("quota-volume-unknown", result.item.number))
        wanted[quota] += quantity
        left = lefts[quota]
        if left is not None and wanted[quota] > left:
            run.faults.append(
                Fault(f"{result.item.pointer}/quota", "quota-exhausted", T(
                    "关税配额余量不足：余 {left} 千克", "the quota does not suffice: {left} kg left", left=plain(left)
                ))
            )  # fmt: skip
