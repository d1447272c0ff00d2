"""What stands in a bill: one JSON Schema, which the API takes, the PDF prints and the mappings read. Pure.

The list follows what JT/T 1244-2019 (the waybill), JT/T 1245-2019 (its electronic form) and GB/T 44430-2024 are known to
ask for, and articles 73 and 80 of the Maritime Code; the standards' own texts were not at hand (docs/one-bill.md)."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import jsonschema

DECIMAL = {"type": "string", "pattern": r"^\d{1,12}(\.\d{1,3})?$"}
COUNT = {"type": "string", "pattern": r"^\d{1,9}$"}
TEMPERATURE = {"type": "string", "pattern": r"^-?\d{1,3}(\.\d)?$"}
DAY = {"type": "string", "format": "date"}
MOMENT = {"type": "string", "format": "date-time"}


def _text(length: int, **more: Any) -> dict[str, Any]:
    return {"type": "string", "maxLength": length, **more}


def _object(required: tuple[str, ...] = (), **members: Any) -> dict[str, Any]:
    return {"type": "object", "properties": members, "required": list(required), "additionalProperties": False}


def _list(items: dict[str, Any], most: int, least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, "maxItems": most, "minItems": least}


_NAME = _text(70, pattern=r"^\S(?:.*\S)?$")

PARTY = _object(
    ("name",),
    name=_NAME,
    #: The register's own number of the organisation, where it is registered here.
    organisation={"type": "integer"},
    identifiers=_list(_object(("code",), provider=_text(100), list=_text(100), code=_text(150)), 10),
    address=_object(
        street=_text(70), city=_text(35), postcode=_text(10), subdivision=_text(65),
        country=_text(2, pattern="^[A-Z]{2}$"), country_name=_text(70),
    ),
    contact=_object(name=_text(35), telephone=_text(30), mobile=_text(30), email=_text(100)),
    tax=_list(_object(("value",), type=_text(50), country=_text(2), value=_text(35)), 10),
)  # fmt: skip
PLACE = _object((), unlocode=_text(5, pattern="^[A-Z]{2}[A-Z2-9]{3}$"), name=_text(100), country=_text(2))
MONEY = _object(
    ("amount", "currency"), amount={"type": "string", "pattern": r"^\d{1,13}(\.\d{1,2})?$"},
    currency=_text(3, pattern="^[A-Z]{3}$"),
)  # fmt: skip
LEG = _object(
    ("mode", "from", "to"),
    mode={"enum": ["sea", "rail", "road", "inland_water", "air"]},
    **{"from": PLACE, "to": PLACE},
    carrier=PARTY, means=_text(50), voyage=_text(50), planned_departure=MOMENT, planned_arrival=MOMENT,
)  # fmt: skip
GOODS = _object(
    ("description", "packages", "gross_weight_kg"),
    description=_list(_text(512), 50, 1),
    hs_code=_text(10, pattern=r"^\d{4,10}$"),
    origin=_text(2, pattern="^[A-Z]{2}$"),
    marks=_list(_text(100), 50),
    packages=COUNT, package_code=_text(2, pattern="^[0-9A-Z]{2}$"), package_text=_text(100),
    gross_weight_kg=DECIMAL, net_weight_kg=DECIMAL, volume_m3=DECIMAL,
    dangerous=_list(
        _object(("un_number", "class", "name"), un_number=_text(4, pattern=r"^\d{4}$"),
                **{"class": _text(4), "name": _text(250), "packing_group": {"enum": [1, 2, 3]}}), 10),
    temperature=_object(("minimum", "maximum"), minimum=TEMPERATURE, maximum=TEMPERATURE),
    #: Which container holds how much of it.
    stowage=_list(_object(("container", "packages", "gross_weight_kg"), container=_text(11), packages=COUNT,
                          gross_weight_kg=DECIMAL, volume_m3=DECIMAL), 1000),
)  # fmt: skip
CONTAINER = _object(
    ("number",),
    number=_text(11), size_type=_text(4), shipper_owned={"type": "boolean"}, tare_kg=DECIMAL,
    seals=_list(_object(("number",), number=_text(15), source={"enum": ["carrier", "shipper", "customs", "veterinary"]}), 20),
)  # fmt: skip
CHARGE = _object(
    ("name", "amount", "currency", "payment"),
    name=_text(50), amount=MONEY["properties"]["amount"], currency=MONEY["properties"]["currency"],
    payment={"enum": ["prepaid", "collect"]}, basis=_text(50), unit_price=MONEY["properties"]["amount"],
    quantity=DECIMAL, payable_at=PLACE,
)  # fmt: skip

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    **_object(
        ("kind", "negotiability", "parties", "places", "legs", "goods"),
        kind={"enum": ["multimodal", "rail", "sea"]},
        negotiability={"enum": ["straight", "order", "bearer"]},
        parties=_object(
            ("consignor",),
            consignor=PARTY, consignee=PARTY, notify=_list(PARTY, 3), operator=PARTY, delivery_agent=PARTY,
        ),
        places=_object((), receipt=PLACE, loading=PLACE, discharge=PLACE, delivery=PLACE, issue=PLACE),
        legs=_list(LEG, 30),
        goods=_list(GOODS, 500),
        containers=_list(CONTAINER, 1000),
        service=_object((), receipt={"enum": ["CY", "SD", "CFS"]}, delivery={"enum": ["CY", "SD", "CFS"]},
                        load={"enum": ["FCL", "LCL"]}),
        #: When the operator took the goods in charge, and when they were on board (Maritime Code art. 73). One is needed to issue.
        received_on=DAY, shipped_on=DAY,
        originals=COUNT, copies=COUNT,
        freight={"enum": ["prepaid", "collect"]},
        charges=_list(CHARGE, 100),
        total_charge=MONEY,
        declared_value=MONEY,
        insurance=_object(("by_operator",), by_operator={"type": "boolean"}, insurer=_text(100), policy=_text(50),
                          amount=MONEY),
        references=_list(_object(("type", "value"), type=_text(3), value=_text(35)), 50),
        booking=_text(35),
        clauses=_list(_text(2000), 50),
        terms=_text(50000),
        #: What a foreign format said that has no place here, carried so that it leaves as it came.
        carried={"type": "object"},
    ),
}  # fmt: skip


_FORMATS = jsonschema.FormatChecker()


@_FORMATS.checks("date-time", raises=ValueError)
def _is_moment(text: object) -> bool:
    """RFC 3339, its offset aside: that one is missing is told by rules of its own. jsonschema checks this format only
    where another package is installed."""
    pattern = r"[12]\d{3}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?"
    if not isinstance(text, str):
        return True
    return bool(re.fullmatch(pattern, text, re.ASCII)) and bool(datetime.fromisoformat(text))


@functools.cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(SCHEMA, format_checker=_FORMATS)


def shape_faults(content: Any) -> list[tuple[str, str]]:
    """Where ``content`` is not shaped as the schema says: (JSON pointer, message), all of them (at most 200)."""
    found = []
    for error in _validator().iter_errors(content):
        pointer = "".join(f"/{part}" for part in error.absolute_path)
        if error.validator == "required" and isinstance(error.instance, dict):
            pointer += f"/{next(name for name in error.validator_value if name not in error.instance)}"
        found.append((pointer, error.message[:200]))
        if len(found) == 200:
            break
    return found


#: The parties that stand alone, besides those to notify and the legs' carriers.
ROLES = ("consignor", "consignee", "operator", "delivery_agent")


def parties(content: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every party that ``content`` names, with what it is."""
    people = content.get("parties", {})
    found = [(role, people.get(role)) for role in ROLES]
    found += [("notify", party) for party in people.get("notify", ())]
    found += [("carrier", leg.get("carrier")) for leg in content.get("legs", ())]
    return [(role, party) for role, party in found if party]


def with_parties(content: dict[str, Any], change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """``content`` with every party of it as ``change`` makes it."""
    people = dict(content["parties"])
    people |= {role: change(people[role]) for role in ROLES if people.get(role)}
    if people.get("notify"):
        people["notify"] = [change(party) for party in people["notify"]]
    legs = [leg | ({"carrier": change(leg["carrier"])} if leg.get("carrier") else {}) for leg in content["legs"]]
    return content | {"parties": people, "legs": legs}


#: What the JT/T and GB/T lists call each part: Chinese, English, where it stands here.
PARTS: tuple[tuple[str, str, str], ...] = (
    ("托运人", "Consignor", "/parties/consignor"),
    ("收货人", "Consignee", "/parties/consignee"),
    ("通知方", "Notify party", "/parties/notify"),
    ("多式联运经营人", "Multimodal transport operator", "/parties/operator"),
    ("目的地提货代理", "Agent for delivery", "/parties/delivery_agent"),
    ("接收地", "Place of receipt", "/places/receipt"),
    ("装货港（站）", "Port or station of loading", "/places/loading"),
    ("卸货港（站）", "Port or station of discharge", "/places/discharge"),
    ("交付地", "Place of delivery", "/places/delivery"),
    ("签发地", "Place of issue", "/places/issue"),
    ("接收货物日期", "Date of receipt", "/received_on"),
    ("装船日期", "Date on board", "/shipped_on"),
    ("运输区段", "Legs", "/legs"),
    ("货物", "Goods", "/goods"),
    ("集装箱与封志", "Containers and seals", "/containers"),
    ("运费支付方式", "Freight payment", "/freight"),
    ("运费及其他费用", "Freight and charges", "/charges"),
    ("声明价值", "Declared value", "/declared_value"),
    ("保险", "Insurance", "/insurance"),
    ("正本份数", "Number of originals", "/originals"),
    ("可转让性", "Negotiability", "/negotiability"),
    ("参考号", "References", "/references"),
    ("批注", "Clauses", "/clauses"),
    ("条款", "Terms", "/terms"),
)
