"""The manifest message as tables: for each member its JSON name, where it stands in the WCO-named XML, and its kind.

Both formats are read by the same walk (cargo/message.py) and written from the same rows (cargo/wire/manifest.py)."""

from __future__ import annotations

from typing import NamedTuple

#: Manifest messages count the modes as UN/ECE Recommendation 19 does; declarations use customs' own codes (运输方式).
TRANSPORT_MODES = {"1": "2", "8": "2", "2": "3", "3": "4", "4": "5"}

FUNCTIONS = {"9": "add", "2": "add", "0": "supplement", "5": "change", "3": "delete", "T": "draft"}


class Field(NamedTuple):
    name: str
    #: Element path below the block; ``a/@b`` is attribute b of element a.
    path: str
    #: text, integer, decimal, time, container
    kind: str = "text"
    length: int = 100


class Block(NamedTuple):
    name: str
    path: str
    fields: tuple[Field, ...]
    #: Lists below this block.
    blocks: tuple[Block, ...] = ()


ITEM = Block(
    "items",
    "ConsignmentItem",
    (
        Field("sequence", "SequenceNumeric", "integer"),
        Field("description", "Commodity/CargoDescription", length=250),
        Field("code", "Commodity/Classification/ID", length=18),
        Field("un_number", "Commodity/UNDGCode", length=4),
        Field("gross_mass", "GoodsMeasure/GrossMassMeasure", "decimal"),
        Field("packages", "Packaging/QuantityQuantity", "integer"),
        Field("package_unit", "Packaging/QuantityQuantity/@unitCode", length=3),
    ),
)
EQUIPMENT = Block(
    "equipment",
    "TransportEquipment",
    (
        Field("number", "ID", "container", 11),
        Field("size_type", "CharacteristicCode", length=10),
        Field("fullness", "FullnessCode", length=1),
        Field("seal", "Seal/ID", length=35),
        Field("tare", "TareWeight", "decimal"),
        Field("gross_mass", "GrossMassMeasure", "decimal"),
        Field("packages", "PackageQuantity", "integer"),
    ),
)
CONSIGNMENT = Block(
    "consignments",
    "Consignment",
    (
        Field("packages", "TotalPackageQuantity", "integer"),
        Field("package_unit", "TotalPackageQuantity/@unitCode", length=3),
        Field("value", "ValueAmount", "decimal"),
        Field("currency", "ValueAmount/@currencyID", length=3),
        Field("means_id", "BorderTransportMeans/ID", length=35),
        Field("means_name", "BorderTransportMeans/Name", length=70),
        Field("occurred_at", "BorderTransportMeans/ArrivalDateTime", "time"),
        Field("consignee", "Consignee/Name", length=200),
        Field("consignee_id", "Consignee/ID", length=18),
        Field("consignor", "Consignor/Name", length=200),
        Field("freight_payment", "Freight/PaymentMethodCode", length=3),
        Field("gross_mass", "GovernmentAgencyGoodsItem/GoodsMeasure/GrossMassMeasure", "decimal"),
        Field("customs_procedure", "GovernmentProcedure/CurrentCode", length=10),
        Field("bill_number", "TransportContractDocument/ID", length=35),
        Field("change_reason", "TransportContractDocument/Amendment/ChangeReasonCode", length=3),
        Field("change_text", "TransportContractDocument/Amendment/ChangeInformation/Reason", length=256),
        Field("change_contact", "TransportContractDocument/Amendment/ChangeInformation/Contact", length=70),
        Field("change_telephone", "TransportContractDocument/Amendment/ChangeInformation/Phone", length=30),
    ),
    (ITEM, EQUIPMENT),
)
MANIFEST = Block(
    "",
    "",
    (
        Field("message_id", "Head/MessageID", length=64),
        Field("function_code", "Head/FunctionCode", length=2),
        Field("message_type", "Head/MessageType", length=6),
        Field("sent_at", "Head/SendTime", "time"),
        Field("office", "Declaration/DeclarationOfficeID", length=4),
        Field("number", "Declaration/ID", length=32),
        Field("means_type", "Declaration/BorderTransportMeans/TypeCode", length=1),
        Field("means_id", "Declaration/BorderTransportMeans/ID", length=35),
        Field("means_name", "Declaration/BorderTransportMeans/Name", length=70),
        Field("voyage_number", "Declaration/BorderTransportMeans/JourneyID", length=17),
        Field("arrival_at", "Declaration/BorderTransportMeans/ArrivalDateTime", "time"),
        Field("loading_place", "Declaration/LoadingLocation/ID", length=17),
        Field("loading_at", "Declaration/LoadingLocation/LoadingDateTime", "time"),
        Field("agent", "Declaration/RepresentativePerson/Name", length=200),
        Field("unloading_place", "Declaration/UnloadingLocation/ID", length=17),
    ),
    (CONSIGNMENT,),
)


class MessageType(NamedTuple):
    """What a message type stands for. ``kind``: original, advance, arrival, loading, conveyance, tally."""

    kind: str
    #: I or E
    direction: str
    #: Customs transport mode code; "" where the message itself says it.
    mode: str


_MODE_DIGIT = {"1": "2", "2": "5", "3": "3", "4": "4"}


def message_type(code: str) -> MessageType | None:
    """Pattern MT + document + mode + nn; None for what this system does not take (diversion, shut-out, packing list).

    Road "conveyance" messages (MT44nn) end in an odd number inbound and in an even one outbound; tallies likewise."""
    if len(code) != 6 or not code.startswith("MT") or not code[2:].isdigit():
        return None
    mode = _MODE_DIGIT.get(code[3])
    number = int(code[4:])
    if mode is None or number == 0:
        return None
    even = number % 2 == 0
    match code[2]:
        case "1" if number == 1:
            return MessageType("original", "I", mode)
        case "2" if number == 1:
            return MessageType("advance", "E", mode)
        case "3" if number in (1, 2):
            return MessageType("arrival", "E", mode)
        case "4" if mode == "4" and number <= 6:
            return MessageType("conveyance", "E" if even else "I", mode)
        case "4" if number == 1:
            return MessageType("loading", "E", mode)
        case "5" if number in (1, 2):
            return MessageType("tally", "E" if even else "I", mode)
    return None
