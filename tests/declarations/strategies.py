"""Messages generated from the field table: every member, every block, right in shape though not in sense."""

from datetime import date

from hypothesis import strategies as st

from declarations.fields import OPERATIONS, Block, Field, blocks, declaration, legacy_codes

_CHARACTERS = st.characters(
    codec="utf-8", exclude_categories=["Cs", "Cc", "Cn"], exclude_characters="\ufffe\uffff\u2028\u2029"
)
_TODAYS = {kind: sorted(set(codes.values())) for kind, codes in legacy_codes().items()}


def value(one: Field) -> st.SearchStrategy:
    if one.kind == "integer":
        return st.integers(0, 10**one.length - 1) | st.just("")
    if one.kind == "decimal":
        text = st.decimals(
            0, 10 ** (one.length - one.scale) - 1, allow_nan=False, allow_infinity=False, places=one.scale
        )
        return text.map(lambda number: f"{number:f}") | st.just("")
    if one.kind == "date":
        return st.dates(date(1990, 1, 1), date(2100, 1, 1)).map(date.isoformat) | st.just("")
    if one.kind == "base64":
        return st.just("aGVsbG8=")
    if one.format in _TODAYS:
        return st.sampled_from(_TODAYS[one.format]) | st.just("")
    if one.format == "direction":
        return st.sampled_from("IE")
    if one.format == "oper":
        return st.sampled_from(sorted(OPERATIONS.values()))
    if one.format in ("office", "commodity", "digits"):
        size = {"office": 4, "commodity": 10}.get(one.format, one.length)
        return st.text("0123456789", min_size=size, max_size=size)
    if one.element == "Type":
        return st.text("0156MLSD ", max_size=6)
    if one.positional:
        return st.text("019 ", max_size=min(one.length, 10))
    return st.text(_CHARACTERS, max_size=min(one.length, 12))


def _members(block: Block, depth: int) -> dict[str, st.SearchStrategy]:
    found: dict[str, st.SearchStrategy] = {one.name: value(one) for one in block.fields.values()}
    for child in block.children.values():
        below = node(child, depth + 1)
        # An empty list can stand on the wire only where it has an element of its own.
        found[child.name] = st.lists(below, min_size=not child.wrapper, max_size=2) if child.repeats else below
    return found


def node(block: Block, depth: int = 0) -> st.SearchStrategy:
    """A block with any of its members left out."""
    return st.fixed_dictionaries({}, optional=_members(block, depth))


def messages() -> st.SearchStrategy:
    return node(declaration())


def full() -> dict:
    """One message with every member of the table filled in, by rule, not by chance."""

    def fill(block: Block) -> dict:
        filled: dict = {}
        for one in block.fields.values():
            filled[one.name] = sample(one)
        for child in block.children.values():
            filled[child.name] = [fill(child)] if child.repeats else fill(child)
        return filled

    return fill(declaration())


def sample(one: Field) -> str | int:
    fixed = {"direction": "I", "oper": "declare", "office": "8000", "commodity": "3902100090", "country": "SGP"}
    fixed |= {"currency": "USD", "digits": "2026112310000000"}
    if one.format in fixed:
        return fixed[one.format][: one.length or 99] if one.format != "oper" else "declare"
    if one.kind == "integer":
        return 7
    if one.kind == "decimal":
        return "1.50"
    if one.kind == "date":
        return "2026-11-20"
    if one.kind == "base64":
        return "aGVsbG8="
    return "  0   " if one.element == "Type" else "测试字段A1"[: one.length]


__all__ = ["blocks", "full", "messages", "node", "sample"]
