"""Manifest messages and receipts as WCO-named XML (MTnnnn, ``urn:Declaration:datamodel:standard:CN:...``)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from lxml import etree

from cargo.fields import MANIFEST, Block
from cargo.message import Message, read
from common.days import LEGAL_ZONE
from common.problems import Fault, Problem, invalid
from common.text import T

NAMESPACE = "urn:Declaration:datamodel:standard:CN:{type}:1"


def parse(body: bytes) -> Message:
    """The message. Raises Problem 400 (no XML, document type) or 422 (every fault with its XPath)."""
    message, faults = parse_with_faults(body)
    if faults:
        raise invalid(faults)
    return message


def parse_with_faults(body: bytes) -> tuple[Message, list[Fault]]:
    root = _root(body)
    return read(_node(MANIFEST, root), xpath)


def _root(body: bytes) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Problem(
            400, "malformed-xml", T("不是合法的 XML", "This is not well-formed XML"), detail=str(error)[:300]
        ) from error
    if getattr(root.getroottree().docinfo, "doctype", ""):
        raise Problem(
            400,
            "document-type",
            T("报文不得含有文档类型声明", "A document type declaration is not allowed in a message"),
        )
    if etree.QName(root).localname != "Manifest":
        raise Problem(422, "not-a-manifest", T("根元素应为 Manifest", "The root element must be Manifest"))
    return root


def _find(node: etree._Element, path: str) -> list[etree._Element]:
    found = [node]
    for step in path.split("/"):
        found = [
            child
            for one in found
            for child in one
            if isinstance(child.tag, str) and etree.QName(child).localname == step
        ]
    return found


def _node(block: Block, node: etree._Element) -> dict[str, Any]:
    raw: dict[str, Any] = {}
    for field in block.fields:
        path, _, attribute = field.path.partition("/@")
        found = _find(node, path)
        if found:
            value = found[0].get(attribute) if attribute else (found[0].text or "").strip()
            if value:
                raw[field.name] = value
    for child in block.blocks:
        path = f"Declaration/{child.path}" if block is MANIFEST else child.path
        raw[child.name] = [_node(child, one) for one in _find(node, path)]
    return raw


def xpath(pointer: str) -> str:
    """The XPath of a member the tables name by JSON pointer."""
    block, path = MANIFEST, "/Manifest"
    steps = [step for step in pointer.split("/") if step]
    while steps:
        step = steps.pop(0)
        child = next((one for one in block.blocks if one.name == step), None)
        if child is not None:
            path += f"/Declaration/{child.path}" if block is MANIFEST else f"/{child.path}"
            block = child
            if steps:
                path += f"[{int(steps.pop(0)) + 1}]"
            continue
        field = next((one for one in block.fields if one.name == step), None)
        path += f"/{field.path if field else step}"
    return path


def write(message: Message) -> bytes:
    """The message as XML; what :func:`parse` reads back unchanged."""
    root = etree.Element("Manifest", nsmap={None: NAMESPACE.format(type=message["message_type"])})  # type: ignore[dict-item]
    _fill(MANIFEST, message, root)
    return _bytes(root)


def _fill(block: Block, message: Message, root: etree._Element) -> None:
    for field in block.fields:
        value = message.get(field.name)
        if value is None or value == "":
            continue
        path, _, attribute = field.path.partition("/@")
        node = _at(root, path)
        text = (
            value.astimezone(LEGAL_ZONE).strftime("%Y%m%d%H%M%S%f")[:17] if isinstance(value, datetime) else str(value)
        )
        if attribute:
            node.set(attribute, text)
        else:
            node.text = text
    for child in block.blocks:
        parent = _at(root, "Declaration") if block is MANIFEST else root
        for row in message.get(child.name, []):
            node = etree.SubElement(parent, child.path)
            _fill(child, row, node)


def _at(root: etree._Element, path: str) -> etree._Element:
    node = root
    for step in path.split("/"):
        found = node.find(step)
        node = found if found is not None else etree.SubElement(node, step)
    return node


def _bytes(root: etree._Element) -> bytes:
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def receipt(answer: dict[str, Any]) -> bytes:
    """A receipt (回执): the head of the message it answers and a response code for the whole and for each bill."""
    root = etree.Element("Manifest")
    head = etree.SubElement(root, "Head")
    for name, key in (("MessageID", "message_id"), ("FunctionCode", ""), ("MessageType", "message_type")):
        etree.SubElement(head, name).text = str(answer[key]) if key else "11"
    response = etree.SubElement(root, "Response")
    etree.SubElement(response, "ID").text = answer["number"]
    for bill in answer["consignments"]:
        node = etree.SubElement(response, "Consignment")
        _statement(node, bill["response_code"], bill["text"])
        if bill["bill_number"]:
            etree.SubElement(etree.SubElement(node, "TransportContractDocument"), "ID").text = bill["bill_number"]
    _statement(response, answer["response_code"], answer["text"])
    return _bytes(root)


def _statement(parent: etree._Element, code: str, text: str) -> None:
    node = etree.SubElement(parent, "AdditionalInformation")
    etree.SubElement(node, "StatementCode").text = code
    etree.SubElement(node, "StatementDescription").text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "", text)[:512]
