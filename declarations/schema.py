"""The JSON Schema of a declaration, made from the field table, so that what OpenAPI says is what is checked."""

from functools import cache
from typing import Any

from declarations.fields import Block, Field, Need, blocks, declaration
from declarations.message import MAX_ROWS, max_items

Schema = dict[str, Any]

# What even the smallest draft must hold; the rest depends on purpose, direction and two-step stage.
_ALWAYS = Need("save", "", True)


def message_schema() -> Schema:
    """The whole message as one object schema, blocks as references to `component_schemas()`."""
    return _block_schema(declaration())


@cache
def component_schemas() -> dict[str, Schema]:
    """One schema for each nested block, by its component name: GoodsItem, Container, ..."""
    return {component_name(block): _block_schema(block) for block in blocks().values() if block is not declaration()}


def component_name(block: Block) -> str:
    name = "".join(part.capitalize() for part in block.name.split("_"))
    if block.repeats and name.endswith("ies"):
        name = name[:-3] + "y"
    elif block.repeats and name.endswith("s"):
        name = name[:-1]
    return f"Declaration{name}"


def _block_schema(block: Block) -> Schema:
    properties: Schema = {name: field_schema(one) for name, one in block.fields.items()}
    for child in block.children.values():
        below: Schema = {"$ref": f"#/components/schemas/{component_name(child)}"}
        if child.repeats:
            most = max_items() if child.name == "goods_items" else MAX_ROWS
            below = {"type": "array", "items": below, "maxItems": most}
        properties[child.name] = below | {"description": f"{child.name_zh} / {child.name_en}"}
    schema: Schema = {
        "type": "object",
        "description": f"{block.name_zh} / {block.name_en}",
        "properties": properties,
        "additionalProperties": False,
    }
    required = [name for name in block.required[_ALWAYS] if name in properties]
    return schema | ({"required": required} if required else {})


def field_schema(one: Field) -> Schema:
    described = f"{one.name_zh} / {one.name_en}"
    if one.note:
        described += f". {one.note}"
    common: Schema = {"description": described, "x-element": f"{blocks()[one.block].element}/{one.element}"}
    if one.element == "Version" and one.block == "declaration":
        common["x-element"] = "@Version"
    if one.kind == "integer":
        return {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 10**one.length - 1}, {"const": ""}]} | common
    text: Schema = {"type": "string", "pattern": f"^{one.pattern}$"}
    if one.kind == "decimal":
        bound = 10 ** (one.length - one.scale) - 1
        low = -bound if one.format == "signed" else 0
        return {"anyOf": [text, {"type": "integer", "minimum": low, "maximum": bound}]} | common
    if one.kind == "text":
        text["maxLength"] = max(one.length, _longest_word(one))
    if one.kind == "date" and one.format != "free":
        text["examples"] = ["2026-11-20"]
    return text | common


def _longest_word(one: Field) -> int:
    """`oper` is one letter on the wire and a word in JSON."""
    return 20 if one.format == "oper" else 0
