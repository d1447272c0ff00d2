"""What has to be right in a bill before it is issued: pure functions that return all violations, each with a JSON
pointer, a stable code and the text in both languages. A rule's docstring says what it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from bills.content import shape_faults


class Violation(NamedTuple):
    pointer: str
    code: str
    zh: str
    en: str


_VALUES = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", [n for n in range(10, 39) if n % 11], strict=True))
_VALUES |= {str(digit): digit for digit in range(10)}


def container_check_digit(number: str) -> str | None:
    """ISO 6346: the check digit of the first ten characters, or None where they are not those of a container."""
    if len(number) < 10 or not (number[:4].isalpha() and number[:4].isupper() and number[4:10].isdigit()):
        return None
    if number[3] not in "UJZ" or not number[:10].isascii():
        return None
    return str(sum(_VALUES[character] << place for place, character in enumerate(number[:10])) % 11 % 10)


def containers(content: dict[str, Any]) -> Iterator[Violation]:
    """A container number has four letters, six digits and the ISO 6346 check digit, and stands once in the list; a
    container that goods are stowed in stands in the list."""
    listed = Counter(container["number"] for container in content.get("containers", ()))
    for index, container in enumerate(content.get("containers", ())):
        number = container["number"]
        pointer = f"/containers/{index}/number"
        if len(number) != 11 or container_check_digit(number) != number[10]:
            yield Violation(
                pointer, "container-check-digit", f"箱号 {number} 校验位不符（ISO 6346）",
                f"Container number {number} fails its check digit (ISO 6346)",
            )  # fmt: skip
        if listed[number] > 1:
            yield Violation(pointer, "container-twice", f"箱号 {number} 重复", f"Container {number} is listed twice")
    for index, goods in enumerate(content["goods"]):
        for place, stowed in enumerate(goods.get("stowage", ())):
            if stowed["container"] not in listed:
                yield Violation(
                    f"/goods/{index}/stowage/{place}/container", "container-unknown",
                    f"箱号 {stowed['container']} 不在箱单中", f"Container {stowed['container']} is not in the list",
                )  # fmt: skip


def _same_place(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if one.get("unlocode") and other.get("unlocode"):
        return bool(one["unlocode"] == other["unlocode"])
    return bool(one.get("name")) and one.get("name") == other.get("name")


def legs_join(content: dict[str, Any]) -> Iterator[Violation]:
    """Each leg begins where the last one ended, the first at the place of receipt, the last ends at the place of
    delivery; a leg does not arrive before it departs, nor depart before the one before it arrived."""
    legs, places = content["legs"], content["places"]
    if not legs:
        yield Violation("/legs", "legs-missing", "至少要有一个运输区段", "A bill has at least one leg")
        return
    if places.get("receipt") and not _same_place(places["receipt"], legs[0]["from"]):
        yield Violation(
            "/legs/0/from", "leg-does-not-join", "第一区段不从接收地出发", "The first leg does not begin at the place of receipt"
        )  # fmt: skip
    if places.get("delivery") and not _same_place(places["delivery"], legs[-1]["to"]):
        yield Violation(
            f"/legs/{len(legs) - 1}/to", "leg-does-not-join", "最后区段不到达交付地",
            "The last leg does not end at the place of delivery",
        )  # fmt: skip
    previous: datetime | None = None
    for index, leg in enumerate(legs):
        if index and not _same_place(legs[index - 1]["to"], leg["from"]):
            yield Violation(
                f"/legs/{index}/from", "leg-does-not-join", f"第 {index + 1} 区段与前一区段不衔接",
                f"Leg {index + 1} does not begin where leg {index} ends",
            )  # fmt: skip
        for name in ("planned_departure", "planned_arrival"):
            if leg.get(name):
                moment = datetime.fromisoformat(leg[name])
                if moment.tzinfo is None:
                    yield Violation(
                        f"/legs/{index}/{name}", "time-without-zone", "时间须带时区", "A time needs its offset from UTC"
                    )
                    continue
                if previous is not None and moment < previous:
                    yield Violation(
                        f"/legs/{index}/{name}", "leg-out-of-time", "计划时间早于前一时间",
                        "Planned before what comes before it",
                    )  # fmt: skip
                previous = moment


def quantities(content: dict[str, Any]) -> Iterator[Violation]:
    """There are goods; packages and gross weight are above zero; net is not above gross; what is stowed in containers
    sums to the item."""
    if not content["goods"]:
        yield Violation("/goods", "goods-missing", "至少要有一项货物", "A bill names at least one item of goods")
    for index, goods in enumerate(content["goods"]):
        gross = Decimal(goods["gross_weight_kg"])
        if int(goods["packages"]) == 0 or gross == 0:
            yield Violation(
                f"/goods/{index}", "nothing", "件数和毛重须大于零", "Packages and gross weight must be above zero"
            )
        if "net_weight_kg" in goods and Decimal(goods["net_weight_kg"]) > gross:
            yield Violation(
                f"/goods/{index}/net_weight_kg", "net-above-gross", "净重大于毛重", "Net weighs more than gross"
            )
        if stowed := goods.get("stowage"):
            for name, zh, en in (("packages", "件数", "packages"), ("gross_weight_kg", "毛重", "gross weight")):
                if sum(Decimal(part[name]) for part in stowed) != Decimal(goods[name]):
                    yield Violation(
                        f"/goods/{index}/stowage", "stowage-sum", f"各箱{zh}之和与货物不符",
                        f"The containers' {en} do not sum to the item's",
                    )  # fmt: skip


def parties(content: dict[str, Any]) -> Iterator[Violation]:
    """A straight bill names its consignee; a bearer bill names none."""
    consignee = content["parties"].get("consignee")
    if content["negotiability"] == "straight" and not consignee:
        yield Violation(
            "/parties/consignee", "consignee-missing", "记名提单须载明收货人", "A straight bill names its consignee"
        )
    if content["negotiability"] == "bearer" and consignee:
        yield Violation(
            "/parties/consignee", "bearer-with-consignee", "不记名提单不载收货人", "A bearer bill names no consignee"
        )


def required_to_issue(content: dict[str, Any]) -> Iterator[Violation]:
    """To be issued, a bill names the four places it is known by, with their UN/LOCODE."""
    for name, zh, en in (("receipt", "接收地", "place of receipt"), ("delivery", "交付地", "place of delivery"),
                         ("issue", "签发地", "place of issue")):  # fmt: skip
        if not content["places"].get(name, {}).get("unlocode"):
            yield Violation(f"/places/{name}/unlocode", "place-missing", f"缺少{zh}", f"The {en} is missing")


def dated(content: dict[str, Any], today: date) -> list[Violation]:
    """A bill says when the goods were received or on board (Maritime Code art. 73), not later than the day it is issued; and when the
    journey is planned to begin and to end, which DCSA's document asks for. Not asked of what older versions said."""
    found = []
    given = {name: date.fromisoformat(content[name]) for name in ("received_on", "shipped_on") if content.get(name)}
    if not given:
        found.append(
            Violation(
                "/received_on", "receipt-undated", "缺少接收货物或装船日期（海商法第七十三条）",
                "The day the goods were received or on board is missing (Maritime Code art. 73)",
            )
        )  # fmt: skip
    found += [
        Violation(f"/{name}", "in-the-future", "日期晚于签发日", "Later than the day of issue")
        for name, day in given.items()
        if day > today
    ]
    if len(given) == 2 and given["shipped_on"] < given["received_on"]:
        found.append(
            Violation("/shipped_on", "shipped-before-received", "装船早于接收", "On board before it was received")
        )
    legs = content["legs"]
    for index, name in ((0, "planned_departure"), (len(legs) - 1, "planned_arrival")):
        if not legs[index].get(name):
            found.append(
                Violation(
                    f"/legs/{index}/{name}", "journey-undated", "缺少首段计划出发或末段计划到达时间",
                    "The planned departure of the first leg, or arrival of the last, is missing",
                )
            )  # fmt: skip
    return found


RULES: tuple[Callable[[dict[str, Any]], Iterator[Violation]], ...] = (
    containers, legs_join, quantities, parties, required_to_issue,
)  # fmt: skip


def check(content: Any) -> list[Violation]:
    """Every violation. Shape comes first: where that is wrong, the rules cannot be asked."""
    if faults := shape_faults(content):
        return [Violation(pointer, "shape", f"内容不合规范：{message}", message) for pointer, message in faults]
    return [violation for rule in RULES for violation in rule(content)]


def check_draft(content: Any) -> list[Violation]:
    """A draft may be unfinished, but what is there has the right shape."""
    return [
        Violation(pointer, "shape", f"内容不合规范：{message}", message) for pointer, message in shape_faults(content)
    ]


def codes_of(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every UN/LOCODE with its pointer, for the register to look up."""
    for name, place in content["places"].items():
        if place.get("unlocode"):
            yield f"/places/{name}/unlocode", place["unlocode"]
    for index, leg in enumerate(content["legs"]):
        for end in ("from", "to"):
            if leg[end].get("unlocode"):
                yield f"/legs/{index}/{end}/unlocode", leg[end]["unlocode"]


MEASURES = ("packages", "gross_weight_kg", "net_weight_kg", "volume_m3")


def sums(contents: list[dict[str, Any]]) -> dict[tuple[str, str], Decimal]:
    """Quantities over several bills, by what the goods are: what splitting and combining must preserve."""
    totals: Counter[tuple[str, str]] = Counter()
    for content in contents:
        for goods in content["goods"]:
            name = f"{goods.get('hs_code', '')} {' '.join(goods['description'])}"
            for measure in MEASURES:
                totals[name, measure] += Decimal(goods.get(measure, "0"))  # type: ignore[assignment]
    return {key: value for key, value in totals.items() if value}  # type: ignore[misc]


def money(contents: list[dict[str, Any]]) -> dict[tuple[str, str, str], Decimal]:
    """Sums of money over several bills, by what they are for, their name and currency: splitting and combining must preserve
    these as well."""
    found: Counter[tuple[str, str, str]] = Counter()
    for content in contents:
        for charge in content.get("charges", ()):
            found["charges", f"{charge['name']} {charge['payment']}", charge["currency"]] += Decimal(charge["amount"])  # type: ignore[assignment]
        for name in ("total_charge", "declared_value"):
            if value := content.get(name):
                found[name, "", value["currency"]] += Decimal(value["amount"])  # type: ignore[assignment]
        if value := content.get("insurance", {}).get("amount"):
            found["insurance", "", value["currency"]] += Decimal(value["amount"])  # type: ignore[assignment]
    return {key: value for key, value in found.items() if value}  # type: ignore[misc]


def preserved(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[Violation]:
    """Splitting and combining lose and add nothing, no money either, and each container stays whole in one bill."""
    was, now = sums(before), sums(after)
    found = [
        Violation(
            "/parts", "sum-not-preserved",
            f"“{name}”的 {measure} 之和不守恒：原 {was.get((name, measure), 0)}，现 {now.get((name, measure), 0)}",
            f"{measure} of “{name}” is not preserved: {was.get((name, measure), 0)} before, {now.get((name, measure), 0)} after",
        )
        for name, measure in sorted(set(was) | set(now))
        if was.get((name, measure), 0) != now.get((name, measure), 0)
    ]  # fmt: skip
    paid, pays = money(before), money(after)
    found += [
        Violation(
            f"/parts/{kind}", "money-not-preserved",
            f"“{kind} {name}”{currency} 金额不守恒：原 {paid.get((kind, name, currency), 0)}，现 {pays.get((kind, name, currency), 0)}",
            f"{kind} {name} in {currency} is not preserved: {paid.get((kind, name, currency), 0)} before,"
            f" {pays.get((kind, name, currency), 0)} after",
        )
        for kind, name, currency in sorted(set(paid) | set(pays))
        if paid.get((kind, name, currency), 0) != pays.get((kind, name, currency), 0)
    ]  # fmt: skip
    boxes = [
        Counter(container["number"] for content in contents for container in content.get("containers", ()))
        for contents in (before, after)
    ]
    if set(boxes[0]) != set(boxes[1]) or any(count > 1 for count in boxes[1].values()):
        found.append(
            Violation("/parts", "containers-not-preserved", "集装箱未一一归属", "Containers are lost, added or divided")
        )
    return found
