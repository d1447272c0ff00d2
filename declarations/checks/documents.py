from __future__ import annotations

from collections.abc import Iterator

from declarations.checks.registry import Context, Finding, Severity, register
from declarations.message import item_numbers
from declarations.models import Declaration

#: Invoice and bill of lading among the electronic documents (refdata list "edocument").
INVOICE, BILL = "00000001", "00000003"


@register(
    "documents",
    "随附单证",
    "documents required",
    {
        "document-number-missing": ("随附单证 {code} 未填编号", "The document {code} has no number"),
        "origin-certificate-missing": (
            "申报享受优惠原产地 {origin}，但未关联原产地证明",
            "Preferential origin {origin} is claimed, but no certificate of origin is linked to the item",
        ),
        "invoice-missing": ("无纸化申报未附发票", "Declared without paper, but no invoice is attached"),
    },
    order=40,
)
def documents_are_there(declaration: Declaration, context: Context) -> Iterator[Finding]:
    """What the declaration claims is proved by a document. (What the tariff asks of a commodity is tariffs' check.)"""
    for document in context.attached_documents:
        if document.document_code and not document.document_number:
            pointer = f"/attached_documents/{document.position - 1}/document_number"
            yield Finding("document-number-missing", Severity.ERROR, pointer, {"code": document.document_code})
    linked = {
        number
        for row in context.message.get("origin_certificates", ())
        for number in item_numbers(row.get("item_number"))
    }
    for item in context.items:
        if item.preferential_origin and item.item_number not in linked:
            pointer = f"/goods_items/{item.position - 1}/preferential_origin"
            yield Finding("origin-certificate-missing", Severity.ERROR, pointer, {"origin": item.preferential_origin})
    attached = {row.get("document_type", "") for row in context.message.get("electronic_documents", ())}
    if declaration.entry_type == "M" and INVOICE not in attached:
        yield Finding("invoice-missing", Severity.INFO, "/electronic_documents")
