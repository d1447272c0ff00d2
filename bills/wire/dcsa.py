"""The bill as a DCSA transport document (the model of PINT 3.0.0): the document that is signed, hashed and sent. What the
model has no place for (legs by rail and road, insurance, pledge of the container, ...) stands in full in its member
``oneBill``; a reader who knows only DCSA's model may pass over that. Pure."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from bills.canonical import decimal_text, number
from bills.content import shape_faults

_PAYMENT = {"prepaid": "PRE", "collect": "COL"}
_SEALS = {"carrier": "CAR", "shipper": "SHI", "customs": "CUS", "veterinary": "VET"}
_MODES = {"sea": "VESSEL", "rail": "RAIL", "road": "TRUCK", "inland_water": "BARGE", "air": "AIR"}

#: What stands where DCSA asks for a code of a carrier that has none in either list it allows.
NO_CARRIER_CODE = "ZZZ"


def _address(address: dict[str, Any] | None) -> dict[str, Any]:
    """``address`` where it is complete in DCSA's sense, else its lines."""
    if not address:
        return {}
    if address.get("street") and address.get("city") and address.get("country"):
        whole = {
            "street": address["street"], "city": address["city"], "countryCode": address["country"],
            "postCode": address.get("postcode", "")[:10], "stateRegion": address.get("subdivision", ""),
        }  # fmt: skip
        return {"address": {name: value for name, value in whole.items() if value}}
    lines = [
        address[name][:35] for name in ("street", "city", "postcode", "country_name", "country") if address.get(name)
    ]
    return {"addressLines": lines[:5]} if lines else {}


def identifying_codes(party: dict[str, Any]) -> list[dict[str, str]]:
    made = []
    for code in party.get("identifiers", ()):
        entry = {"codeListProvider": code.get("provider") or "ZZZ", "partyCode": code["code"]}
        if code.get("list"):
            entry["codeListName"] = code["list"]
        made.append(entry)
    return made


def _contacts(party: dict[str, Any]) -> list[dict[str, str]]:
    contact = party.get("contact") or {}
    phone, email = contact.get("telephone") or contact.get("mobile"), contact.get("email")
    if not (phone or email):
        return []
    made = {"name": (contact.get("name") or party["name"])[:35]}
    return [made | ({"phone": phone} if phone else {}) | ({"email": email} if email else {})]


def _party(party: dict[str, Any], *, platform: str = "", contacts: bool = True) -> dict[str, Any]:
    made: dict[str, Any] = {"partyName": party["name"], **_address(party.get("address"))}
    if codes := identifying_codes(party):
        made["identifyingCodes"] = codes
    if platform:
        made["eblPlatform"] = platform
    if contacts and (found := _contacts(party)):
        made["partyContactDetails"] = found
    return made


def _place(place: dict[str, Any] | None) -> dict[str, Any]:
    made = {}
    if place and place.get("name"):
        made["locationName"] = place["name"]
    if place and place.get("unlocode"):
        made["UNLocationCode"] = place["unlocode"]
    return made


def _transports(content: dict[str, Any]) -> dict[str, Any]:
    legs, places = content["legs"], content["places"]
    main = next((index for index, leg in enumerate(legs) if leg["mode"] == "sea"), 0)
    departures = [leg["planned_departure"] for leg in legs if leg.get("planned_departure")]
    arrivals = [leg["planned_arrival"] for leg in legs if leg.get("planned_arrival")]
    made: dict[str, Any] = {
        # 1900-01-01 stands in versions of before these days were asked for (bills/rules.py, dated).
        "plannedDepartureDate": departures[0][:10] if departures else "1900-01-01",
        "plannedArrivalDate": arrivals[-1][:10] if arrivals else "1900-01-01",
        "portOfLoading": _place(places.get("loading") or legs[main]["from"]),
        "portOfDischarge": _place(places.get("discharge") or legs[main]["to"]),
        "placeOfReceipt": _place(places.get("receipt")),
        "placeOfDelivery": _place(places.get("delivery")),
        "vesselVoyages": [
            {
                "vesselName": legs[main].get("means") or "UNKNOWN",
                "carrierExportVoyageNumber": legs[main].get("voyage") or "UNKNOWN",
            }
        ],
    }
    if main > 0:
        made["preCarriageBy"] = _MODES[legs[0]["mode"]]
    if main < len(legs) - 1:
        made["onCarriageBy"] = _MODES[legs[-1]["mode"]]
    return made


def _items(content: dict[str, Any], reference: str) -> list[dict[str, Any]]:
    boxes = content.get("containers", [])
    items = []
    for goods in content["goods"]:
        stowage = goods.get("stowage") or [
            {"container": boxes[0]["number"] if boxes else "", **{k: goods[k] for k in ("packages", "gross_weight_kg")}}
        ]
        cargo = []
        for part in stowage:
            packaging: dict[str, Any] = {
                "numberOfPackages": int(part["packages"]),
                "description": (goods.get("package_text") or goods.get("package_code") or "packages"),
            }
            if goods.get("package_code"):
                packaging["packageCode"] = goods["package_code"]
            if goods.get("dangerous"):
                packaging["dangerousGoods"] = [
                    {
                        "UNNumber": danger["un_number"], "imoClass": danger["class"], "properShippingName": danger["name"],
                        **({"packingGroup": danger["packing_group"]} if danger.get("packing_group") else {}),
                    }
                    for danger in goods["dangerous"]
                ]  # fmt: skip
            item = {
                "equipmentReference": part["container"],
                "cargoGrossWeight": {"value": number(part["gross_weight_kg"]), "unit": "KGM"},
                "outerPackaging": packaging,
            }
            if part.get("volume_m3"):
                item["cargoGrossVolume"] = {"value": number(part["volume_m3"]), "unit": "MTQ"}
            cargo.append(item)
        made: dict[str, Any] = {
            "carrierBookingReference": reference,
            "descriptionOfGoods": goods["description"],
            "HSCodes": [goods["hs_code"]] if goods.get("hs_code") else [],
            "cargoItems": cargo,
        }
        if goods.get("marks"):
            made["shippingMarks"] = goods["marks"]
        items.append(made)
    return items


def to_document(
    content: dict[str, Any], *, reference: str, version: int, issued_on: date, platform: str,
    endorsee: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The transport document of one version. Raises NotCanonical for a number no double holds."""
    service, people = content.get("service", {}), content["parties"]
    parties: dict[str, Any] = {
        "shipper": _party(people["consignor"]),
        "issuingParty": _party(people["operator"]),
    }
    if content["negotiability"] == "straight":
        parties["consignee"] = _party(people["consignee"])
    elif content["negotiability"] == "order" and endorsee:
        parties["endorsee"] = _party(endorsee)
    if people.get("notify"):
        parties["notifyParties"] = [_party(party) for party in people["notify"]]
    if (agent := people.get("delivery_agent")) and _contacts(agent) and "address" in _address(agent.get("address")):
        made = _party(agent)
        parties["carriersAgentAtDestination"] = {k: v for k, v in made.items() if k != "identifyingCodes"}
    document: dict[str, Any] = {
        "transportDocumentReference": reference,
        "transportDocumentSubReference": f"Version_{version}",
        "transportDocumentStatus": "ISSUED",
        "transportDocumentTypeCode": "BOL",
        "isShippedOnBoardType": bool(content.get("shipped_on")),
        "isElectronic": True,
        "isToOrder": content["negotiability"] != "straight",
        "numberOfOriginalsWithoutCharges": int(content.get("originals", "1")),
        "issueDate": issued_on.isoformat(),
        "termsAndConditions": content.get("terms") or "-",
        "receiptTypeAtOrigin": service.get("receipt", "CY"),
        "deliveryTypeAtDestination": service.get("delivery", "CY"),
        "cargoMovementTypeAtOrigin": service.get("load", "FCL"),
        "cargoMovementTypeAtDestination": service.get("load", "FCL"),
        "carrierCode": NO_CARRIER_CODE,
        "carrierCodeListProvider": "SMDG",
        "transports": _transports(content),
        "placeOfIssue": {"UNLocationCode": content["places"]["issue"]["unlocode"]},
        "invoicePayableAt": {"UNLocationCode": content["places"]["issue"]["unlocode"]},
        "partyContactDetails": _contacts(people["operator"]),
        "documentParties": parties,
        "consignmentItems": _items(content, content.get("booking") or reference),
        "utilizedTransportEquipments": [
            {
                "isShipperOwned": box.get("shipper_owned", False),
                "equipment": {"equipmentReference": box["number"]}
                | ({"ISOEquipmentCode": box["size_type"]} if box.get("size_type") else {})
                | ({"tareWeight": {"value": number(box["tare_kg"]), "unit": "KGM"}} if box.get("tare_kg") else {}),
                "seals": [
                    {"number": seal["number"]} | ({"source": _SEALS[seal["source"]]} if seal.get("source") else {})
                    for seal in box.get("seals", ())
                ],
            }
            for box in content.get("containers", ())
        ],
        "oneBill": content,
    }
    # Exactly one of the two stands in DCSA's document.
    if content.get("shipped_on"):
        document["shippedOnBoardDate"] = content["shipped_on"]
    elif content.get("received_on"):
        document["receivedForShipmentDate"] = content["received_on"]
    if content.get("freight"):
        document["freightPaymentTermCode"] = _PAYMENT[content["freight"]]
    if content.get("charges"):
        document["charges"] = [
            {
                "chargeName": charge["name"],
                "currencyAmount": number(charge["amount"]),
                "currencyCode": charge["currency"],
                "paymentTermCode": _PAYMENT[charge["payment"]],
                "calculationBasis": charge.get("basis") or "Per bill",
                "unitPrice": number(charge.get("unit_price") or charge["amount"]),
                "quantity": number(charge.get("quantity") or "1"),
            }
            for charge in content["charges"]
        ]
    if content.get("declared_value"):
        document["declaredValue"] = number(content["declared_value"]["amount"])
        document["declaredValueCurrency"] = content["declared_value"]["currency"]
    if content.get("clauses"):
        document["carrierClauses"] = content["clauses"]
    if content.get("references"):
        document["references"] = [{"type": row["type"], "value": row["value"]} for row in content["references"]]
    return document


# From a document that came ----------------------------------------------------------------------------------------
def _back(name: str, table: dict[str, str]) -> str:
    return next((ours for ours, theirs in table.items() if theirs == name), "")


def _some(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in (None, "", [], {})}


def party_of(party: dict[str, Any]) -> dict[str, Any]:
    """A party of a DCSA document or PINT transaction as ours."""
    address, lines = party.get("address"), party.get("addressLines")
    contact: dict[str, Any] = next(iter(party.get("partyContactDetails", ())), {})
    return _some(
        name=party["partyName"],
        identifiers=[
            _some(provider=code["codeListProvider"], list=code.get("codeListName"), code=code["partyCode"])
            for code in party.get("identifyingCodes", ())
        ],
        address=_some(
            street=address.get("street"), city=address.get("city"), postcode=address.get("postCode"),
            subdivision=address.get("stateRegion"), country=address.get("countryCode"),
        ) if address else _some(street=", ".join(lines)[:70]) if lines else None,
        contact=_some(name=contact.get("name"), telephone=contact.get("phone"), email=contact.get("email")),
        tax=[
            _some(type=row["type"], country=row["countryCode"], value=row["value"])
            for row in party.get("taxLegalReferences", ())
        ],
    )  # fmt: skip


def _place_of(place: dict[str, Any] | None) -> dict[str, Any]:
    return _some(unlocode=place.get("UNLocationCode"), name=place.get("locationName")) if place else {}


def from_document(document: dict[str, Any]) -> dict[str, Any]:
    """Our content of a transport document from anywhere. Its ``oneBill`` is believed only where it is shaped as a bill and
    says what the rest of the document says; the document itself is kept as it came in any case."""
    own = document.get("oneBill")
    if isinstance(own, dict) and not shape_faults(own) and _is_projection(document, own):
        return own
    transports, parties = document["transports"], document["documentParties"]
    places = _some(
        receipt=_place_of(transports.get("placeOfReceipt")),
        loading=_place_of(transports["portOfLoading"]),
        discharge=_place_of(transports["portOfDischarge"]),
        delivery=_place_of(transports.get("placeOfDelivery")),
        issue=_place_of(document.get("placeOfIssue")),
    )
    voyage = transports["vesselVoyages"][0]
    straight = not document["isToOrder"]
    named = parties.get("consignee") if straight else parties.get("endorsee")
    goods = []
    for item in document["consignmentItems"]:
        stowage = [
            _some(
                container=part["equipmentReference"],
                packages=str(part["outerPackaging"].get("numberOfPackages", 0)),
                gross_weight_kg=_kilograms(part["cargoGrossWeight"]),
            )
            for part in item["cargoItems"]
        ]
        packaging = item["cargoItems"][0]["outerPackaging"]
        goods.append(
            _some(
                description=item["descriptionOfGoods"],
                hs_code=next(iter(item["HSCodes"]), None),
                marks=item.get("shippingMarks"),
                packages=str(sum(int(part["packages"]) for part in stowage)),
                package_code=packaging.get("packageCode"),
                package_text=packaging.get("description"),
                gross_weight_kg=decimal_text(sum((Decimal(part["gross_weight_kg"]) for part in stowage), Decimal(0))),
                stowage=stowage,
            )
        )
    return _some(
        kind="sea",
        negotiability="straight" if straight else "order" if named else "bearer",
        parties=_some(
            consignor=party_of(parties["shipper"]),
            consignee=party_of(named) if named else None,
            notify=[party_of(party) for party in parties.get("notifyParties", ())],
            operator=party_of(parties["issuingParty"]),
        ),
        places=places,
        legs=[
            _some(
                mode="sea", means=voyage["vesselName"], voyage=voyage["carrierExportVoyageNumber"],
                **{"from": places.get("loading", {}), "to": places.get("discharge", {})},
            )
        ],
        goods=goods,
        containers=[
            _some(
                number=box["equipment"]["equipmentReference"],
                size_type=box["equipment"].get("ISOEquipmentCode"),
                shipper_owned=box["isShipperOwned"],
                seals=[_some(number=s["number"], source=_back(s.get("source", ""), _SEALS)) for s in box["seals"]],
            )
            for box in document["utilizedTransportEquipments"]
        ],
        received_on=document.get("receivedForShipmentDate"),
        shipped_on=document.get("shippedOnBoardDate"),
        freight=_back(document.get("freightPaymentTermCode", ""), _PAYMENT),
        originals=str(document.get("numberOfOriginalsWithoutCharges", 1)),
        clauses=document.get("carrierClauses"),
        terms=document["termsAndConditions"],
    )  # fmt: skip


def _kilograms(weight: dict[str, Any]) -> str:
    value = weight["value"] if weight["unit"] == "KGM" else weight["value"] * 0.45359237
    return decimal_text(round(value, 3))


def _is_projection(document: dict[str, Any], content: dict[str, Any]) -> bool:
    """Whether ``oneBill`` and the rest of ``document`` tell one story."""
    try:
        endorsee = document["documentParties"].get("endorsee")
        made = to_document(
            content,
            reference=document["transportDocumentReference"],
            version=int(str(document.get("transportDocumentSubReference", "Version_1")).removeprefix("Version_")),
            issued_on=date.fromisoformat(document["issueDate"]),
            platform="",
            endorsee=party_of(endorsee) if endorsee else None,
        )
    except (LookupError, TypeError, ValueError, AttributeError):
        return False
    return {**made, "oneBill": None} == {**document, "oneBill": None}
