"""The bill as a FIATA eFBL (JSON, release 20230106) and back. Pure.

The schema's own short labels call ``carrierAcceptanceLocation`` "Place of delivery" and ``consigneeReceiptLocation``
"Place of receipt"; its full descriptions say the opposite ("where the consignment is accepted by the carrier", "received
by the consignee"), and it is those we follow. What an eFBL says that has no place in our content travels in
``carried.efbl`` (:mod:`bills.wire.overlay`), so that a document leaves as it came."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from bills.canonical import decimal_text, number
from bills.wire.overlay import difference, overlay

_LOCODE = re.compile(r"[A-Z]{2}[A-Z2-9]{3}")
_TO_ORDER = "TO ORDER"
#: UN/ECE Rec 19 main modes, with words for people.
_MODES = {"sea": ("1", "Maritime"), "rail": ("2", "Rail"), "road": ("3", "Road"), "air": ("4", "Air"),
          "inland_water": ("8", "Inland water")}  # fmt: skip
_PAYMENT = {"prepaid": "A", "collect": "B"}


def _some(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in (None, "", [], {})}


def _text(value: str | None) -> dict[str, Any] | None:
    return {"value": value} if value else None


def _amount(money: dict[str, Any] | None) -> dict[str, Any] | None:
    return {"value": number(money["amount"]), "currency": money["currency"]} if money else None


def _measure(value: str | None, unit: str) -> dict[str, Any] | None:
    return {"value": number(value), "unit": unit} if value else None


def _party(party: dict[str, Any] | None) -> dict[str, Any]:
    if not party:
        return {}
    contact, address = party.get("contact") or {}, party.get("address") or {}
    return _some(
        id=[_some(value=code["code"], identificationScheme=code.get("list"),
                  identificationSchemeAgency=code.get("provider")) for code in party.get("identifiers", ())],
        name=_text(party["name"]),
        definedContactDetails=_some(
            personName=_text(contact.get("name")), telephone=_text(contact.get("telephone")),
            mobileTelephone=_text(contact.get("mobile")), emailAddress=_text(contact.get("email")),
        ),
        postalAddress=_some(
            postcode=address.get("postcode"), streetName=address.get("street"), cityName=address.get("city"),
            countryCode=address.get("country"), countryName=address.get("country_name"),
            countrySubDivisionName=address.get("subdivision"),
        ),
        taxRegistration=[_some(value=row["value"], identificationScheme=row.get("type")) for row in party.get("tax", ())],
    )  # fmt: skip


def _place(place: dict[str, Any] | None) -> dict[str, Any]:
    if not place:
        return {}
    code = place.get("unlocode")
    return _some(id=code, name=_text(place.get("name")), countryCode=place.get("country") or (code or "")[:2])


def to_efbl(
    content: dict[str, Any], *, number_: str = "", status: str = "draft", issued_at: datetime | None = None,
    signature: str = "", carry: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """The eFBL. ``signature`` is the checksum of the signed ISSUE act. With ``carry``, what came in another eFBL and has
    no place in our content is put back."""
    at = issued_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if issued_at else ""
    places, people = content.get("places", {}), content["parties"]
    insurance = content.get("insurance") or {}
    terms = content.get("terms")
    exchanged = {
        **_some(id=number_, contractualClause=_some(text=_text(terms))),
        "issueDateTime": {"value": at},
        "originalIssuedQuantity": content.get("originals", "0"),
        **({"copyIssuedQuantity": int(content["copies"])} if content.get("copies") else {}),
        "documentStatus": {"value": status},
        "issueLocation": _place(places.get("issue")),
        "firstSignatoryAuthentication": {
            "actualDateTime": {"value": at}, "id": signature, "statement": {"value": "JWS" if signature else ""},
        },
    }  # fmt: skip
    consignee = people.get("consignee")
    consignment = _some(
        totalChargeAmount=_amount(content.get("total_charge")),
        insurancePolicyNumber=insurance.get("policy"),
        insurancePolicyCompany=insurance.get("insurer"),
        declaredValueForCarriageAmount=_amount(content.get("declared_value")),
        consignor=_party(people.get("consignor")),
        consignee=_party(consignee) if consignee else {"name": {"value": _TO_ORDER}},
        ctoAgent=_party(people.get("delivery_agent")),
        cto=_party(people.get("operator")),
        notifiedParty=[_party(party) for party in people.get("notify", ())],
        carrierAcceptanceLocation=_place(places.get("receipt")),
        consigneeReceiptLocation=_place(places.get("delivery")),
        loadingBaseportLocation=_place(places.get("loading")),
        unloadingBaseportLocation=_place(places.get("discharge")),
        includedConsignmentItem=[_item(goods, content) for goods in content["goods"]],
        mainCarriageTransportMovement=[
            _some(
                typeCode=_text(_MODES[leg["mode"]][0]), typeText=_text(_MODES[leg["mode"]][1]),
                name=_text(leg.get("means")), voyageNumber=_text(leg.get("voyage")), stageCode={"value": str(place)},
            )
            for place, leg in enumerate(content["legs"], 1)
        ],
    )  # fmt: skip
    if "by_operator" in insurance:
        consignment["cargoInsuranceProvidedByCTO"] = insurance["by_operator"]
    if content["goods"] and (packages := sum(int(goods["packages"]) for goods in content["goods"])):
        consignment["numberOfPackages"] = packages
    if content.get("freight"):
        consignment["applicableServiceCharge"] = [
            {"paymentArrangementCode": {"value": _PAYMENT[content["freight"]], "agency": "UN/EDIFACT"}}
        ]
    made = {"exchanged_document": exchanged, "supply_chain_consignment": consignment}
    return overlay(made, content.get("carried", {}).get("efbl", [])) if carry else made  # type: ignore[no-any-return]


def _item(goods: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    boxes = {box["number"]: box for box in content.get("containers", ())}
    stowed = [boxes[part["container"]] for part in goods.get("stowage", ()) if part["container"] in boxes]
    packages = _some(
        itemQuantity=int(goods["packages"]), typeCode=_text(goods.get("package_code")),
        typeText=goods.get("package_text"), shippingMarks=goods.get("marks"),
    )  # fmt: skip
    return _some(
        goodsTypeCode=_text(goods.get("hs_code")),
        grossWeight=_measure(goods["gross_weight_kg"], "KGM") if goods["gross_weight_kg"] != "0" else None,
        grossVolume=_measure(goods.get("volume_m3"), "MTQ"),
        cargoNatureIdentification=_some(identificationText=[{"value": line} for line in goods["description"] if line]),
        transportDangerousGoods=[
            _some(undgId=_text(danger["un_number"]), hazardClassificationId=_text(danger["class"]))
            for danger in goods.get("dangerous", ())
        ],
        associatedTransportEquipment=[
            _some(
                id={"value": box["number"]}, affixedSeal=[{"value": seal["number"]} for seal in box.get("seals", ())],
                tareWeight=_measure(box.get("tare_kg"), "KGM"),
            )
            for box in stowed
        ],
        transportPackage=[packages] if packages else [],
        originTradeCountry=goods.get("origin"),
    )  # fmt: skip


# Back -------------------------------------------------------------------------------------------------------------
def _value(node: Any, limit: int = 1000) -> str:
    value = node.get("value") if isinstance(node, dict) else None
    return value if isinstance(value, str) and len(value) <= limit else ""


def _clean(text: Any, limit: int, pattern: str = "") -> str:
    """``text`` where our content can hold it as it is; what it cannot is carried."""
    if not isinstance(text, str) or len(text) > limit or (pattern and not re.fullmatch(pattern, text)):
        return ""
    return text


def _decimal(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)) or value < 0:
        return ""
    text = decimal_text(value)
    return text if re.fullmatch(r"\d{1,12}(\.\d{1,3})?", text) else ""


def _money(node: Any) -> dict[str, str]:
    if not isinstance(node, dict):
        return {}
    amount, currency = _decimal(node.get("value")), _clean(node.get("currency"), 3, "[A-Z]{3}")
    if not (amount and currency and re.fullmatch(r"\d{1,13}(\.\d{1,2})?", amount)):
        return {}
    return {"amount": amount, "currency": currency}


def _party_of(node: Any) -> dict[str, Any]:
    if not isinstance(node, dict):
        return {}
    contact, address = node.get("definedContactDetails") or {}, node.get("postalAddress") or {}
    return _some(
        name=_clean(_value(node.get("name")), 70, r"\S(?:.*\S)?"),
        identifiers=[
            _some(provider=_clean(code.get("identificationSchemeAgency"), 100),
                  list=_clean(code.get("identificationScheme"), 100), code=_clean(code.get("value"), 150))
            for code in node.get("id", ())
        ],
        contact=_some(
            name=_value(contact.get("personName"), 35), telephone=_value(contact.get("telephone"), 30),
            mobile=_value(contact.get("mobileTelephone"), 30), email=_value(contact.get("emailAddress"), 100),
        ),
        address=_some(
            street=_clean(address.get("streetName"), 70), city=_clean(address.get("cityName"), 35),
            postcode=_clean(address.get("postcode"), 10), subdivision=_clean(address.get("countrySubDivisionName"), 65),
            country=_clean(address.get("countryCode"), 2, "[A-Z]{2}"), country_name=_clean(address.get("countryName"), 70),
        ),
        tax=[_some(type=_clean(row.get("identificationScheme"), 50), value=_clean(row.get("value"), 35))
             for row in node.get("taxRegistration", ())],
    )  # fmt: skip


def _place_of(node: Any) -> dict[str, Any]:
    if not isinstance(node, dict):
        return {}
    code = node.get("id")
    code = code if isinstance(code, str) and _LOCODE.fullmatch(code) else ""
    return _some(unlocode=code, name=_value(node.get("name"), 100), country=_clean(node.get("countryCode"), 2))


def _goods_of(node: dict[str, Any]) -> dict[str, Any]:
    packages: dict[str, Any] = next(iter(node.get("transportPackage", ())), {})
    weight, volume = node.get("grossWeight") or {}, node.get("grossVolume") or {}
    quantity = _decimal(packages.get("itemQuantity"))
    cargo = node.get("cargoNatureIdentification") or {}
    lines = [_value(line, 512) for line in cargo.get("identificationText", ())]
    boxes = [_clean(_value(box.get("id")), 11) for box in node.get("associatedTransportEquipment", ())]
    return {
        "description": [line for line in lines if line][:50] or ["-"],
        "packages": quantity if re.fullmatch(r"\d{1,9}", quantity) else "0",
        "gross_weight_kg": (_decimal(weight.get("value")) if weight.get("unit") in ("kg", "KGM") else "") or "0",
        **_some(
            hs_code=_clean(_value(node.get("goodsTypeCode")), 10, r"\d{4,10}"),
            origin=_clean(node.get("originTradeCountry"), 2, "[A-Z]{2}"),
            volume_m3=_decimal(volume.get("value")) if volume.get("unit") in ("m^3", "m3", "MTQ") else "",
            package_code=_clean(_value(packages.get("typeCode")), 2, "[0-9A-Z]{2}"),
            package_text=_clean(packages.get("typeText"), 100),
            marks=[mark for mark in packages.get("shippingMarks", ()) if _clean(mark, 100)][:50],
            stowage=[{"container": boxes[0], "packages": quantity,
                      "gross_weight_kg": _decimal(weight.get("value"))}]
            if len(boxes) == 1 and boxes[0] and quantity and _decimal(weight.get("value")) else [],
        ),
    }  # fmt: skip


def from_efbl(document: dict[str, Any]) -> dict[str, Any]:
    """A draft's content of an eFBL that is valid by its schema (or as near as FIATA's own examples are), everything
    else in ``carried.efbl``. A draft from a foreign document may well be unfinished: issuing checks that."""
    exchanged, consignment = document["exchanged_document"], document["supply_chain_consignment"]
    consignee = _party_of(consignment.get("consignee"))
    if consignee.get("name", "").upper() == _TO_ORDER:
        consignee = {}
    places = _some(
        receipt=_place_of(consignment.get("carrierAcceptanceLocation")),
        delivery=_place_of(consignment.get("consigneeReceiptLocation")),
        loading=_place_of(consignment.get("loadingBaseportLocation")),
        discharge=_place_of(consignment.get("unloadingBaseportLocation")),
        issue=_place_of(exchanged.get("issueLocation")),
    )
    modes = {code: mode for mode, (code, _) in _MODES.items()}
    legs = [
        _some(mode=modes.get(_value(node.get("typeCode")), "sea"), means=_value(node.get("name"), 50),
              voyage=_value(node.get("voyageNumber"), 50)) | {"from": {}, "to": {}}
        for node in consignment.get("mainCarriageTransportMovement", ())
    ]  # fmt: skip
    if legs:
        legs[0]["from"], legs[-1]["to"] = places.get("receipt", {}), places.get("delivery", {})
    seals: dict[str, dict[str, Any]] = {}
    goods = [_goods_of(node) for node in consignment.get("includedConsignmentItem", ())]
    for node, item in zip(consignment.get("includedConsignmentItem", ()), goods, strict=True):
        for box in node.get("associatedTransportEquipment", ()):
            if item.get("stowage"):
                name = _value(box.get("id"))
                seals[name] = _some(
                    number=name,
                    seals=[{"number": _value(seal, 15)} for seal in box.get("affixedSeal", ()) if _value(seal, 15)],
                    tare_kg=_decimal((box.get("tareWeight") or {}).get("value")),
                )
    payments = {code: ours for ours, code in _PAYMENT.items()}
    charges = consignment.get("applicableServiceCharge", ())
    originals, copies = exchanged.get("originalIssuedQuantity"), _decimal(exchanged.get("copyIssuedQuantity"))
    provided = consignment.get("cargoInsuranceProvidedByCTO")
    insurance = _some(
        insurer=_clean(consignment.get("insurancePolicyCompany"), 100),
        policy=_clean(consignment.get("insurancePolicyNumber"), 50),
    )
    if insurance or provided is not None:
        insurance["by_operator"] = bool(provided)
    content = _some(
        kind="multimodal",
        # "Consigned to order of": a named consignee of an eFBL is the one to whose order it is made out.
        negotiability="order",
        parties=_some(
            consignor=_named(_party_of(consignment.get("consignor"))),
            consignee=consignee if consignee.get("name") else None,
            operator=_named(_party_of(consignment.get("cto"))) if consignment.get("cto") else None,
            delivery_agent=_only_named(_party_of(consignment.get("ctoAgent"))),
            notify=[p for p in map(_party_of, consignment.get("notifiedParty", ())) if p.get("name")][:3],
        ),
        freight=next((payments.get(_value(row.get("paymentArrangementCode"))) for row in charges), None),
        total_charge=_money(consignment.get("totalChargeAmount")),
        declared_value=_money(consignment.get("declaredValueForCarriageAmount")),
        insurance=insurance,
        originals=_clean(originals, 9, r"\d{1,9}"),
        copies=copies if re.fullmatch(r"\d{1,9}", copies) else "",
        terms=_value((exchanged.get("contractualClause") or {}).get("text"), 50000),
        containers=list(seals.values()),
    ) | {"places": places, "legs": legs, "goods": goods}  # fmt: skip
    content["carried"] = {"efbl": difference(to_efbl(content, carry=False), document)}
    return content


def _named(party: dict[str, Any]) -> dict[str, Any]:
    return party if party.get("name") else {**party, "name": "-"}


def _only_named(party: dict[str, Any]) -> dict[str, Any] | None:
    return party if party.get("name") else None


def as_schema_wants(document: dict[str, Any]) -> dict[str, Any]:
    """Two of FIATA's own examples say ``cargoInsuranceNotProvidedByCTO``, which its schema does not know: said the way
    the schema says it. Everything else as it is."""
    consignment = dict(document["supply_chain_consignment"])
    denied = consignment.pop("cargoInsuranceNotProvidedByCTO", None)
    if denied is not None and "cargoInsuranceProvidedByCTO" not in consignment:
        consignment["cargoInsuranceProvidedByCTO"] = not denied
    return {**document, "supply_chain_consignment": consignment}
