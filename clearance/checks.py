"""Checks of a declaration against what is known of its goods: the manifest bill, and where such goods may be cleared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cargo import places
from clearance import duties, goods
from clearance.conditions import manifest_required
from declarations.checks.registry import Context, Finding, Severity, register
from declarations.models import Declaration
from tariffs import lookup
from tariffs.book import FULL_CODE


@register(
    "manifest",
    "舱单比对",
    "comparison with the manifest",
    {
        "manifest-missing": ("没有提运单 {bill}（航次 {voyage}）的舱单", "No manifest has bill {bill} of voyage {voyage}"),
        "manifest-packages": (
            "件数 {declared} 与舱单 {manifest} 不符", "{declared} packages declared, the manifest says {manifest}",
        ),
        "manifest-weight": (
            "毛重 {declared} 千克与舱单 {manifest} 千克不符",
            "{declared} kg gross declared, the manifest says {manifest} kg",
        ),
        "manifest-container-missing": (
            "舱单中的集装箱 {container} 未申报", "Container {container} of the manifest is not declared",
        ),
        "manifest-container-unknown": (
            "舱单中没有集装箱 {container}", "The manifest does not have container {container}",
        ),
        "manifest-shared-packages": (
            "同一提运单 {count} 份报关单共申报 {declared} 件，舱单为 {manifest} 件",
            "The {count} declarations of the bill declare {declared} packages together, the manifest says {manifest}",
        ),
        "manifest-shared-weight": (
            "同一提运单 {count} 份报关单毛重合计 {declared} 千克，舱单为 {manifest} 千克",
            "The {count} declarations of the bill declare {declared} kg gross together, the manifest says {manifest} kg",
        ),
        "manifest-not-arrived": (
            "出口货物运抵后方可申报", "Exports are declared after their arrival report",
        ),
    },
    order=60,
)  # fmt: skip
def a_declaration_agrees_with_its_manifest(declaration: Declaration, context: Context) -> Iterator[Finding]:
    """Packages, weight and containers of a declaration, or of all declarations of one bill together, are those of the
    manifest bill (bill of lading + voyage)."""
    if not declaration.transport_document_number:
        return
    row = goods.consignment_of(declaration)
    if row is None:
        if manifest_required():
            yield Finding(
                "manifest-missing", Severity.ERROR, "/transport_document_number",
                {"bill": declaration.transport_document_number, "voyage": declaration.voyage_number},
            )  # fmt: skip
        return
    if declaration.direction == "E" and row.arrived_at is None:
        yield Finding("manifest-not-arrived", Severity.ERROR, "/transport_document_number")
    yield from goods.differences(declaration, row)


@register(
    "designated-site",
    "指定监管场地",
    "designated supervision sites",
    {
        "site-missing": (
            "商品 {code} 只能在指定监管场地（{category}）所在口岸办理",
            "Goods of code {code} are cleared only where a site for {category} is designated",
        )
    },
    order=60,
)
def goods_of_some_kinds_need_a_designated_site(declaration: Declaration, context: Context) -> Iterator[Finding]:
    """Meat, grain, fruit and other kinds are imported only through a place designated for them."""
    if declaration.direction != "I":
        return
    found = places.categories({item.commodity_code for item in context.items}, context.day)
    offices = [declaration.customs_office, declaration.border_customs_office]
    for index, item in enumerate(context.items):
        category = found.get(item.commodity_code)
        if category and not places.sites(category, context.day, offices):
            yield Finding(
                "site-missing", Severity.ERROR, f"/goods_items/{index}/commodity_code",
                {"code": item.commodity_code, "category": category}, 30,
            )  # fmt: skip


#: Supervision conditions that ask for an inspection, not for a licence (监管条件 A、B).
NOT_LICENCES = frozenset("AB")
#: What a summary says of goods to be inspected beyond their nine items, the ten-digit code and the container apart.
OF_INSPECTED = ("inspection_name", "goods_attributes", "purpose", "goods_limits")


@register(
    "summary",
    "概要申报要素",
    "what a summary declares",
    {
        "summary-licence": (
            "商品 {code} 涉证（监管条件 {documents}），概要申报未填许可证号",
            "Goods of code {code} need a licence (supervision conditions {documents}); the summary names none",
        ),
        "summary-inspection": (
            "商品 {code} 涉检，概要申报缺少：{missing}",
            "Goods of code {code} are inspected; the summary does not say: {missing}",
        ),
        "summary-code": (
            "编码 {code} 项下有涉证或涉检商品，概要申报须填十位商品编号",
            "Some goods under code {code} need a licence or are inspected; the summary must give the ten-digit code",
        ),
        "summary-container": (
            "涉证、涉检商品 {code} 未与集装箱对应",
            "No container is said to hold the goods of code {code}, which need a licence or inspection",
        ),
    },
    order=70,
)
def a_summary_says_more_of_licensed_and_inspected_goods(
    declaration: Declaration, context: Context
) -> Iterator[Finding]:
    """Beyond the nine items of every summary, restricted goods say two and goods to be inspected five more (GACC 2019 No. 127);
    which goods these are is asked of the tariff, not of the declarant: of all goods under a code of six digits. An officer looks
    at what is missing."""
    if not duties.applies() or not duties.is_summary(declaration):
        return
    book = lookup.current()
    book.preload(item.commodity_code for item in context.items)
    boxes = [
        one.replace("，", ",").split(",") for one in declaration.container_set.values_list("item_numbers", flat=True)
    ]
    held = {number.strip() for numbers in boxes for number in numbers}
    declared = context.message.get("goods_items") or []
    for index, item in enumerate(context.items):
        lines = book.goods_of(item.commodity_code, context.day)
        at, said = f"/goods_items/{index}", declared[index] if index < len(declared) else {}
        licensed = "".join(sorted({code for line in lines for code in line.documents} - NOT_LICENCES))
        inspected = any(line.inspection for line in lines)
        if (licensed or inspected) and len(item.commodity_code) < FULL_CODE:
            yield Finding("summary-code", Severity.REVIEW, f"{at}/commodity_code", {"code": item.commodity_code}, 20)
        if licensed and not _licence(declaration, context, said):
            params = {"code": item.commodity_code, "documents": licensed}
            yield Finding("summary-licence", Severity.REVIEW, at, params, 20)
        if inspected and (missing := [name for name in OF_INSPECTED if not said.get(name)]):
            params = {"code": item.commodity_code, "missing": ", ".join(missing)}
            yield Finding("summary-inspection", Severity.REVIEW, at, params, 20)
        if (licensed or inspected) and boxes and str(item.item_number) not in held:
            yield Finding("summary-container", Severity.REVIEW, at, {"code": item.commodity_code}, 20)


def _licence(declaration: Declaration, context: Context, item: dict[str, Any]) -> bool:
    """Whether a licence is named, for the declaration or for this item."""
    if declaration.licence_number or any(one.document_number for one in context.attached_documents):
        return True
    return any(one.get("licence_number") for one in item.get("goods_limits") or [])
