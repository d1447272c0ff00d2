"""Containers, means of transport, direction and dates."""

from collections import Counter
from collections.abc import Iterator

from stdnum import iso6346

from declarations.message import Message, document_type, is_summary, rows
from declarations.rules.registry import Hit, exports, imports, items, rule, text_of


@rule("import-only", "该字段仅进口填写", "This member is for imports only")
def some_members_are_for_imports_only(message: Message) -> Iterator[Hit]:
    """Port and date of departure and discharge are left empty on exports by working senders."""
    if not exports(message):
        return
    for name in ("departure_port", "departure_date", "discharge_date"):
        if text_of(message, name):
            yield f"/{name}", {}


@rule("export-only", "该字段仅出口填写", "This member is for exports only", severity="warning")
def some_members_are_for_exports_only(message: Message) -> Iterator[Hit]:
    """MnufctrRegNo and MnufctrRegName: export only, says the 2018 element list."""
    if not imports(message):
        return
    for at, item in items(message):
        for name in ("producer_registration", "producer_name"):
            if text_of(item, name):
                yield f"{at}/{name}", {}


@rule("two-step-import-only", "两步申报仅适用于进口", "Two-step declarations are for imports only")
def two_step_declarations_are_imports(message: Message) -> Iterator[Hit]:
    """Two-step declaration was opened for imports."""
    if exports(message) and document_type(message).stage in ("5", "6"):
        yield "/document_type", {}


@rule("two-stage-entry-import-only", "两段准入仅适用于进口", "Two-stage entry is for imports only")
def two_stage_entry_is_for_imports(message: Message) -> Iterator[Hit]:
    """Two-stage entry is about what may come in."""
    block = message.get("two_stage_entry")
    if exports(message) and isinstance(block, dict):
        for name, value in block.items():
            if value == "1":
                yield f"/two_stage_entry/{name}", {}


@rule("transfer-site-required", "申请转场须填写转入场所", "A transfer request names the site")
def a_transfer_request_names_its_site(message: Message) -> Iterator[Hit]:
    """TransitionSite is required when TransitionApply is ticked. (Interface comments.)"""
    block = message.get("two_stage_entry")
    if isinstance(block, dict) and block.get("transfer_requested") == "1" and not text_of(block, "transfer_site"):
        yield "/two_stage_entry/transfer_site", {}


@rule(
    "transport-document-required",
    "水路、铁路运输须填写提运单号",
    "Sea and rail need a bill of lading or waybill number",
)
def sea_and_rail_need_a_transport_document(message: Message) -> Iterator[Hit]:
    """A logic check seen in working systems."""
    if text_of(message, "transport_mode") in ("2", "3") and not text_of(message, "transport_document_number"):
        yield "/transport_document_number", {}


@rule("summary-transport", "概要申报须填写运输工具与航次", "A summary declaration names means of transport and voyage")
def a_summary_names_its_transport(message: Message) -> Iterator[Hit]:
    """Mode, means and voyage are among the nine official items (GACC 2019 No. 127 and 216, general knowledge)."""
    if is_summary(message) and text_of(message, "transport_mode") in ("2", "3", "4", "5"):
        for name in ("transport_means", "voyage_number"):
            if not text_of(message, name):
                yield f"/{name}", {}


@rule(
    "home-as-destination",
    "出口商品的最终目的国为中国，请确认未与原产国互换",
    "An export bound for China: were origin and destination swapped?",
    severity="warning",
)
def an_export_does_not_end_at_home(message: Message) -> Iterator[Hit]:
    """On the wire an export carries the destination in OriginCountry; some senders forget it."""
    if exports(message):
        for at, item in items(message):
            if text_of(item, "destination_country") == "CHN":
                yield f"{at}/destination_country", {}


@rule("dates-order", "启运日期晚于进境日期", "The departure is after the entry")
def departure_is_not_after_entry(message: Message) -> Iterator[Hit]:
    """Goods leave before they arrive."""
    left, came = text_of(message, "departure_date"), text_of(message, "border_crossing_date")
    if imports(message) and left and came and left > came:
        yield "/departure_date", {}


@rule("discharge-before-entry", "卸毕日期早于进境日期", "The discharge is before the entry")
def discharge_is_not_before_entry(message: Message) -> Iterator[Hit]:
    """Goods are discharged after the means of transport has entered."""
    done, came = text_of(message, "discharge_date"), text_of(message, "border_crossing_date")
    if imports(message) and done and came and done < came:
        yield "/discharge_date", {}


# Containers.


def _containers(message: Message) -> Iterator[tuple[str, str]]:
    for name in ("containers", "transit_containers"):
        for index, row in enumerate(rows(message, name)):
            if number := text_of(row, "container_number"):
                yield f"/{name}/{index}/container_number", number


@rule("container-number", "集装箱号 {number} 校验不通过", "The container number {number} fails its check digit")
def a_container_number_passes_its_check_digit(message: Message) -> Iterator[Hit]:
    """ISO 6346."""
    for at, number in _containers(message):
        if iso6346.compact(number) != number or not iso6346.is_valid(number):
            yield at, {"number": number[:32]}


@rule("container-repeated", "集装箱 {number} 重复", "Container {number} appears more than once")
def a_container_appears_once(message: Message) -> Iterator[Hit]:
    """One row per container; the row names all its items."""
    for name in ("containers", "transit_containers"):
        counted = Counter(text_of(row, "container_number") for row in rows(message, name))
        for number, times in counted.items():
            if number and times > 1:
                yield f"/{name}", {"number": number[:32]}
