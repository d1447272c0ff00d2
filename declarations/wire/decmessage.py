"""DecMessage, the Single Window's import message, to and from the plain message of declarations.message.

Read liberally where senders differ (encoding, namespace, Version or version, ImportMessage wrapper, xml:space), written one
way. No value is touched except: a numeric country or currency code comes out as today's, and on an export the two country
elements of an item trade places, because the interface swaps them there. The interface's misspelt names stay as they are.
"""

import re
from typing import Any

from lxml import etree

from common.problems import Fault
from common.text import T
from declarations.fields import OPERATIONS, Block, Field, blocks, declaration
from declarations.message import Message, map_legacy_codes
from declarations.wire.xml import Refused, doctype, read

NAMESPACE = "http://www.chinaport.gov.cn/dec"
VERSION = "4.8"
MAX_FAULTS = 1000

_XML_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
# Some senders put one more element round these; it is read, and left out in writing.
_INNER = {"TrnContaGoodsList": "TrnContaGoods", "SddTax": "SddTaxHead"}
_BLANK = " \t\r\n"
_WORDS = OPERATIONS
_LETTERS = {word: letter for letter, word in OPERATIONS.items()}
_DATE = re.compile(r"[0-9]{8}").fullmatch
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
_WHOLE = re.compile(r"[0-9]{1,40}").fullmatch


# Reading.


def parse(data: bytes, charset: str = "") -> tuple[Message, list[Fault]]:
    """The message in a DecMessage document, and what is wrong with the document, each with its XPath.

    `charset` is what the Content-Type said, if anything; a byte order mark and the XML declaration come first. Whether the
    values are right is for `declarations.lodgement.faults_of` to say.
    """
    try:
        root = read(data, charset)
        return _Reader().read(root)
    except Refused as refused:
        return {}, [refused.fault]


def _name(element: etree._Element) -> str | None:
    """The local name, or None when it is no element or belongs to a foreign namespace."""
    tag = element.tag
    if not isinstance(tag, str):
        return None
    if tag[0] != "{":
        return tag
    space, _, name = tag[1:].partition("}")
    return name if space == NAMESPACE else None


def _shown(element: etree._Element) -> str:
    return etree.QName(element).localname if isinstance(element.tag, str) else "entity"


class _Reader:
    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def read(self, root: etree._Element) -> tuple[Message, list[Fault]]:
        message: Message = {}
        at = "/" + _shown(root)
        if _name(root) == "ImportMessage":
            inner = self._envelope(root, message)
            at, root = "/ImportMessage/SWImpData/DecMessage", inner
        elif _name(root) != "DecMessage":
            raise Refused("not-a-decmessage", T("根元素应为 DecMessage", "The root element must be DecMessage"), at)
        self._attributes(root, at, message)
        top = {block.tag: block for block in declaration().children.values() if block.name != "envelope"}
        top["DecHead"] = declaration()
        self._children(root, at, top, message, message)
        if message.get("direction") == "E":
            swap(message)
        map_legacy_codes(message)
        return message, self.faults

    def _envelope(self, root: etree._Element, message: Message) -> etree._Element:
        envelope: Message = {}
        inner = None
        for child in root:
            name = _name(child)
            at = f"/ImportMessage/{_shown(child)}"
            if name == "SWImpHead" and "envelope" not in message:
                message["envelope"] = envelope
                self._block(blocks()["envelope"], child, at, envelope, message)
            elif name == "SWImpData" and inner is None:
                inner = next((below for below in child if _name(below) == "DecMessage"), None)
                for below in child:
                    if below is not inner:
                        self._unknown(below, f"{at}/{_shown(below)}", ["DecMessage"])
            else:
                self._unknown(child, at, ["SWImpHead", "SWImpData"])
        if inner is None:
            text = T("ImportMessage 内没有 DecMessage", "There is no DecMessage inside ImportMessage")
            raise Refused("not-a-decmessage", text, "/ImportMessage/SWImpData")
        message.setdefault("envelope", envelope)
        return inner

    def _attributes(self, root: etree._Element, at: str, message: Message) -> None:
        for key, value in root.attrib.items():
            if key in ("Version", "version"):
                message["interface_version"] = str(value)
            elif key != _XML_SPACE and not str(key).startswith(_XSI):
                self._fault(
                    f"{at}/@{etree.QName(key).localname}", "unknown-attribute", T("未知属性", "Unknown attribute")
                )

    def _children(
        self, node: etree._Element, at: str, known: dict[str, Block], into: Message, message: Message
    ) -> None:
        seen: set[str] = set()
        self._stray(node, at)
        for child in node:
            name = _name(child)
            block = known.get(name) if name else None
            if block is None or name is None:
                self._unknown(child, f"{at}/{_shown(child)}", known)
                continue
            here = f"{at}/{name}"
            if name in seen and (block.wrapper or not block.repeats):
                self._fault(here, "repeated", T("元素重复出现", "The element appears more than once"))
                continue
            seen.add(name)
            inner = _INNER.get(name)
            if inner and len(child) and _name(child[0]) == inner:
                self._inner(block, child, here, into, message, inner)
            elif block is declaration():
                self._block(block, child, here, into, message)
            elif not block.repeats:
                row: Message = {}
                self._block(block, child, here, row, message)
                if row or not len(child):  # in JSON the members of some blocks stand elsewhere
                    into[block.name] = row
            elif block.wrapper:
                self._rows(block, child, here, into.setdefault(block.name, []), message)
            else:
                rows = into.setdefault(block.name, [])
                rows.append({})
                self._block(block, child, f"{here}[{len(rows)}]", rows[-1], message)

    def _inner(self, block: Block, node: etree._Element, at: str, into: Message, message: Message, inner: str) -> None:
        self._stray(node, at)
        for index, child in enumerate(node, start=1):
            if _name(child) != inner or (index > 1 and not block.repeats):
                self._unknown(child, f"{at}/{_shown(child)}", [inner])
                continue
            row: Message = {}
            self._block(block, child, f"{at}/{inner}[{index}]", row, message)
            if block.repeats:
                into.setdefault(block.name, []).append(row)
            else:
                into[block.name] = row

    def _rows(self, block: Block, wrapper: etree._Element, at: str, rows: list[Message], message: Message) -> None:
        self._stray(wrapper, at)
        self._plain(wrapper, at)
        for child in wrapper:
            if _name(child) != block.element:
                self._unknown(child, f"{at}/{_shown(child)}", [block.element])
                continue
            rows.append({})
            self._block(block, child, f"{at}/{block.element}[{len(rows)}]", rows[-1], message)

    def _block(self, block: Block, node: etree._Element, at: str, into: Message, message: Message) -> None:
        self._stray(node, at)
        self._plain(node, at)
        elements = block.elements
        for child in node:
            name = _name(child)
            member = elements.get(name) if name else None
            if member is None or name is None:
                self._unknown(child, f"{at}/{_shown(child)}", elements)
            elif isinstance(member, Block):
                self._children_of(member, child, at, into, message)
            else:
                home = message if member.place != block.name else into
                if member.name in home:
                    self._fault(f"{at}/{name}", "repeated", T("元素重复出现", "The element appears more than once"))
                else:
                    home[member.name] = self._value(member, child, f"{at}/{name}")

    def _children_of(self, block: Block, node: etree._Element, at: str, into: Message, message: Message) -> None:
        """A block inside a block: goods limits and control elements of an item, vehicles of a goods limit."""
        here = f"{at}/{block.tag}"
        if block.wrapper:
            if block.name in into:
                self._fault(here, "repeated", T("元素重复出现", "The element appears more than once"))
                return
            self._rows(block, node, here, into.setdefault(block.name, []), message)
        else:
            rows = into.setdefault(block.name, [])
            rows.append({})
            self._block(block, node, f"{here}[{len(rows)}]", rows[-1], message)

    def _value(self, member: Field, node: etree._Element, at: str) -> str | int:
        if len(node):
            self._unknown(node[0], f"{at}/{_shown(node[0])}", [])
        kept = False
        if node.attrib:
            kept = node.get(_XML_SPACE) == "preserve"
            self._plain(node, at)
        text = node.text or ""
        if not text:
            return ""
        if member.kind not in ("text", "base64"):
            return self._typed(member, text.strip(_BLANK), at)
        if not kept and not member.positional and not text.strip(_BLANK) and text.strip(" "):
            return ""  # a pretty printer's line break, not a value
        return _WORDS.get(text, text) if member.format == "oper" else text

    def _typed(self, member: Field, text: str, at: str) -> str | int:
        if member.kind == "integer" and text:
            if _WHOLE(text):
                return int(text)
            self._fault(at, "not-an-integer", T("应为整数", "A whole number is expected"))
        elif member.kind == "date" and member.format != "free" and text:
            if _DATE(text):
                return f"{text[:4]}-{text[4:6]}-{text[6:]}"
            self._fault(at, "not-a-date", T("日期应为八位数字 YYYYMMDD", "A date is eight digits, YYYYMMDD"))
            return ""
        return text if member.kind != "integer" else ""

    def _plain(self, node: etree._Element, at: str) -> None:
        for key in node.attrib:
            if key != _XML_SPACE and not str(key).startswith(_XSI):
                self._fault(
                    f"{at}/@{etree.QName(key).localname}", "unknown-attribute", T("未知属性", "Unknown attribute")
                )

    def _stray(self, node: etree._Element, at: str) -> None:
        if (node.text and node.text.strip(_BLANK)) or any(below.tail and below.tail.strip(_BLANK) for below in node):
            self._fault(at, "stray-text", T("元素之间有多余文字", "There is text between the elements"))

    def _unknown(self, node: etree._Element, at: str, known: Any) -> None:
        if not isinstance(node.tag, str):
            raise doctype()
        name = etree.QName(node).localname
        near = next((one for one in known if one.lower().replace("_", "") == name.lower().replace("_", "")), "")
        shown = name[:60]
        if near:
            told = T(
                "未知元素 {name}；接口中写作 {near}",
                "Unknown element {name}; the interface writes {near}",
                name=shown,
                near=near,
            )
            self._fault(at, "unknown-element", told)
        elif _name(node) is None:
            told = T("元素 {name} 的命名空间不属于本接口", "The namespace of {name} is not the interface's", name=shown)
            self._fault(at, "unknown-element", told)
        else:
            self._fault(at, "unknown-element", T("未知元素 {name}", "Unknown element {name}", name=shown))

    def _fault(self, pointer: str, code: str, text: Any) -> None:
        self.faults.append(Fault(pointer, code, text))
        if len(self.faults) > MAX_FAULTS:
            raise Refused("too-many-faults", T("错误过多，已停止读取", "Too many faults; reading was given up"))


def swap(message: Message) -> None:
    """Turn the items' two country members round: the interface does so on exports, in both directions alike."""
    items = message.get("goods_items")
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            origin, destination = item.pop("origin_country", None), item.pop("destination_country", None)
            if destination is not None:
                item["origin_country"] = destination
            if origin is not None:
                item["destination_country"] = origin


# Writing.


def render(message: Message, encoding: str = "UTF-8") -> bytes:
    """The message as a DecMessage document, its elements in the order of the interface."""
    out = [f'<?xml version="1.0" encoding="{encoding}"?>\n']
    envelope = message.get("envelope")
    if envelope is not None:
        out.append("<ImportMessage>\n<SWImpHead>")
        _write_members(blocks()["envelope"], envelope, envelope, False, out)
        out.append("</SWImpHead>\n<SWImpData>\n")
    version = _escape(str(message.get("interface_version", VERSION))).replace('"', "&quot;")
    out.append(f'<DecMessage Version="{version}" xmlns="{NAMESPACE}">\n')
    for block in _root_order():
        _write_block(block, message, message, out)
    out.append("</DecMessage>\n")
    if envelope is not None:
        out.append("</SWImpData>\n</ImportMessage>\n")
    return "".join(out).encode(encoding, "xmlcharrefreplace")


def _root_order() -> list[Block]:
    return [block for block in blocks().values() if not block.parent and block.name != "envelope"]


def _write_block(block: Block, node: Message, message: Message, out: list[str]) -> None:
    swapped = block.name == "goods_items" and message.get("direction") == "E"
    if block is declaration():
        out.append("<DecHead>")
        _write_members(block, message, message, False, out)
        out.append("</DecHead>\n")
        return
    found = node.get(block.name)
    if not block.repeats:
        if found is None:
            if not any(
                isinstance(m, Field) and m.place != block.name and message.get(m.name) is not None
                for m in block.members
            ):
                return
            found = {}
        out.append(f"<{block.element}>")
        _write_members(block, found, message, False, out)
        out.append(f"</{block.element}>\n")
        return
    if found is None:
        return
    if block.wrapper:
        if not found:
            out.append(f"<{block.wrapper}/>\n")
            return
        out.append(f"<{block.wrapper}>\n")
    for row in found:
        out.append(f"<{block.element}>")
        _write_members(block, row, message, swapped, out)
        out.append(f"</{block.element}>\n")
    if block.wrapper:
        out.append(f"</{block.wrapper}>\n")


_SWAPPED = {"origin_country": "destination_country", "destination_country": "origin_country"}


def _write_members(block: Block, node: Message, message: Message, swapped: bool, out: list[str]) -> None:
    for member in block.members:
        if isinstance(member, Block):
            _write_block(member, node, message, out)
            continue
        name = member.name
        if swapped and name in _SWAPPED:
            name = _SWAPPED[name]
        value = message.get(name) if member.place != block.name else node.get(name)
        if value is None:
            continue
        text = str(value)
        if not text:
            out.append(f"<{member.element}/>")
            continue
        if member.kind == "date" and member.format != "free" and _DAY(text):
            text = text.replace("-", "")
        elif member.format == "oper":
            text = _LETTERS.get(text, text)
        keep = ' xml:space="preserve"' if text[0] in _BLANK or text[-1] in _BLANK else ""
        out.append(f"<{member.element}{keep}>{_escape(text)}</{member.element}>")


def _escape(text: str) -> str:
    if "&" in text:
        text = text.replace("&", "&amp;")
    if "<" in text:
        text = text.replace("<", "&lt;")
    if ">" in text:
        text = text.replace(">", "&gt;")
    if "\r" in text:
        text = text.replace("\r", "&#13;")
    return text
