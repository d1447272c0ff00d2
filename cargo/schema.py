"""The JSON Schema of a manifest message, made from the tables of its members, so that what is published is what is read."""

from __future__ import annotations

from typing import Any

from cargo.fields import FUNCTIONS, MANIFEST, TRANSPORT_MODES, Block, Field
from cargo.message import ALWAYS, MAX_ROWS, NUMBER

Schema = dict[str, Any]

_BY_KIND: dict[str, Schema] = {
    "integer": {"type": "integer", "minimum": 0, "maximum": 99_999_999},
    "decimal": {"type": "string", "pattern": r"^[0-9]{1,14}(\.[0-9]{1,5})?$"},
    "time": {
        "anyOf": [
            {"type": "string", "format": "date-time"},
            {"type": "string", "pattern": "^[0-9]{14}([0-9]{3})?$", "description": "Asia/Shanghai"},
        ]
    },
    "container": {"type": "string", "pattern": "^[A-Z]{3}[UJZ][0-9]{7}$", "description": "ISO 6346"},
}
_BY_NAME: dict[str, Schema] = {
    "function_code": {"enum": list(FUNCTIONS)},
    "message_type": {"pattern": "^MT[1-5][1-4][0-9]{2}$"},
    "means_type": {"enum": list(TRANSPORT_MODES)},
    "bill_number": {"pattern": f"^{NUMBER.pattern}$"},
}


def message_schema() -> Schema:
    """A manifest message in its JSON shape. What depends on the message type (packages, mass) the reader asks for."""
    whole = _block(MANIFEST, required=ALWAYS)
    whole["properties"]["number"]["pattern"] = f"^{NUMBER.pattern}$"
    return {"description": "舱单报文 / manifest message (MTnnnn)"} | whole


def _block(block: Block, *, required: tuple[str, ...] = ()) -> Schema:
    properties: Schema = {field.name: _field(field) for field in block.fields}
    for child in block.blocks:
        must = ("number",) if child.name == "equipment" else ()
        properties[child.name] = {"type": "array", "maxItems": MAX_ROWS, "items": _block(child, required=must)}
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": list(required)} if required else {})


def _field(field: Field) -> Schema:
    text = {"type": "string", "maxLength": field.length} | _BY_NAME.get(field.name, {})
    return dict(_BY_KIND.get(field.kind, text)) | {"x-element": field.path}
