"""Attached documents and certificates."""

import re
from collections.abc import Iterator

from declarations.message import Message, rows
from declarations.rules.registry import Hit, exports, imports, rule, text_of


def _document_codes(message: Message) -> Iterator[tuple[str, str]]:
    for index, row in enumerate(rows(message, "attached_documents")):
        yield f"/attached_documents/{index}/document_code", text_of(row, "document_code")


@rule(
    "processing-document",
    "监管方式 {regime} 须随附单证 K（深加工结转申请表）",
    "Regime {regime} needs document K",
    summary=False,
)
def deep_processing_transfers_need_document_k(message: Message) -> Iterator[Hit]:
    """Processing regimes 0255 and 0654 need document K. A logic check seen in working systems."""
    regime = text_of(message, "customs_procedure")
    if regime in ("0255", "0654") and "K" not in {code for _, code in _document_codes(message)}:
        yield "/attached_documents", {"regime": regime}


@rule(
    "import-prohibited",
    "随附单证代码 {value} 表示禁止进口",
    "Document code {value} marks goods whose import is prohibited",
)
def prohibited_goods_are_not_imported(message: Message) -> Iterator[Hit]:
    """Code 6 (used electromechanical goods) and 9 are import-prohibited, as in the public document code table."""
    if imports(message):
        for at, code in _document_codes(message):
            if code in ("6", "9"):
                yield at, {"value": code}


@rule("export-prohibited", "随附单证代码 8 表示禁止出口", "Document code 8 marks goods whose export is prohibited")
def prohibited_goods_are_not_exported(message: Message) -> Iterator[Hit]:
    """Code 8 of the document code table."""
    if exports(message):
        for at, code in _document_codes(message):
            if code == "8":
                yield at, {}


@rule(
    "origin-documents",
    "随附原产地证明（Y）时须附发票和提运单",
    "A certificate of origin (Y) needs invoice and transport document attached",
    summary=False,
)
def a_certificate_of_origin_comes_with_invoice_and_bill(message: Message) -> Iterator[Hit]:
    """Licence Y needs invoice (00000001) and bill of lading (00000003). Seen in working systems."""
    if "Y" in {code for _, code in _document_codes(message)}:
        there = {text_of(row, "document_type") for row in rows(message, "electronic_documents")}
        if not {"00000001", "00000003"} <= there:
            yield "/electronic_documents", {}


@rule("certificate-type", "单证代码应为 Y 加协定代码", "The certificate type is Y and the agreement's code")
def a_certificate_of_origin_names_its_agreement(message: Message) -> Iterator[Hit]:
    """EcoRelation CertType is Y + agreement code. (Interface comments.)"""
    for index, row in enumerate(rows(message, "origin_certificates")):
        value = text_of(row, "certificate_type")
        if value and not re.fullmatch(r"Y[0-9A-Z]{0,2}", value):
            yield f"/origin_certificates/{index}/certificate_type", {}


@rule(
    "packages-contradict",
    "已勾选无其他包装，却列有其他包装",
    "There are other packages although the declaration says there are none",
)
def no_other_packages_means_none(message: Message) -> Iterator[Hit]:
    """NoOtherPack 1: there are no other packages (2018 element list)."""
    if text_of(message, "no_other_packages") == "1" and rows(message, "other_packages"):
        yield "/other_packages", {}
