"""The answers a sender of DecMessage gets: the import response, the client's own failure, and the business receipts.

Times leave as Chinese local time without a zone, as every known receiver expects; in here they are aware datetimes.
"""

from datetime import date, datetime
from typing import NamedTuple, cast
from zoneinfo import ZoneInfo

from lxml import etree

from common.text import T
from declarations.wire.decmessage import NAMESPACE
from declarations.wire.xml import Refused, read

SHANGHAI = ZoneInfo("Asia/Shanghai")
IMPORTED = "0"


class ImportResponse(NamedTuple):
    """`DecImportResponse`: the message was taken in (code 0) or not (any other, with the reason)."""

    code: str
    message: str = ""
    client_reference: str = ""
    unified_number: str = ""
    transit_number: str = ""

    @property
    def imported(self) -> bool:
        return self.code == IMPORTED


class ClientFailure(NamedTuple):
    """`Root`: the sender's own client failed before anything was sent."""

    code: str
    text: str
    type: str = ""
    value: str = ""


class BusinessReceipt(NamedTuple):
    """`DEC_RESULT`: one step of a declaration, told by its CHANNEL."""

    channel: str
    noticed_at: datetime
    unified_number: str = ""
    customs_number: str = ""
    note: str = ""
    customs_office: str = ""
    border_crossing_date: date | None = None
    declared_on: date | None = None
    result_info: str = ""  # of the older form only


Receipt = ImportResponse | ClientFailure | BusinessReceipt


def render_import_response(response: ImportResponse) -> bytes:
    root = etree.Element("DecImportResponse", nsmap={None: NAMESPACE})  # type: ignore[dict-item]
    _put(root, "ResponseCode", response.code)
    _put(root, "ErrorMessage", response.message)
    _put(root, "ClientSeqNo", response.client_reference)
    _put(root, "SeqNo", response.unified_number)
    _put(root, "TrnPreId", response.transit_number)
    return _bytes(root)


def render_client_failure(failure: ClientFailure) -> bytes:
    root = etree.Element("Root")
    flag = etree.SubElement(root, "resultFlag")
    _put(flag, "Type", failure.type)
    _put(flag, "Value", failure.value)
    etree.SubElement(root, "failCode", version="1").text = _clean(failure.code)
    info = etree.SubElement(root, "failInfo")
    info.text = _clean(failure.text) if "]]>" in failure.text else etree.CDATA(_clean(failure.text))
    return _bytes(root)


def render_business_receipt(receipt: BusinessReceipt) -> bytes:
    """The form in use today."""
    root = etree.Element("DEC_RESULT")
    _put(root, "CUS_CIQ_NO", receipt.unified_number)
    _put(root, "ENTRY_ID", receipt.customs_number)
    _put(root, "NOTICE_DATE", receipt.noticed_at.astimezone(SHANGHAI).strftime("%Y-%m-%dT%H:%M:%S"))
    _put(root, "CHANNEL", receipt.channel)
    _put(root, "NOTE", receipt.note)
    _put(root, "CUSTOM_MASTER", receipt.customs_office)
    _put(root, "I_E_DATE", _day(receipt.border_crossing_date))
    _put(root, "D_DATE", _day(receipt.declared_on))
    return _bytes(root)


def render_business_receipt_qp(receipt: BusinessReceipt) -> bytes:
    """The older form of the quick-pass client: DEC_DATA in GB2312, its own element names and dates without dashes."""
    root = etree.Element("DEC_DATA")
    result = etree.SubElement(root, "DEC_RESULT")
    _put(result, "SEQ_NO", receipt.unified_number)
    _put(result, "ENTRY_ID", receipt.customs_number)
    at = receipt.noticed_at.astimezone(SHANGHAI)
    _put(result, "NOTICE_DATE", f"{at:%Y%m%dT%H%M%S}{at.microsecond // 10_000:02d}")
    _put(result, "CHANNEL", receipt.channel)
    _put(result, "NOTE", receipt.note)
    _put(result, "DECL_PORT", receipt.customs_office)
    _put(result, "I_E_DATE", _day(receipt.border_crossing_date).replace("-", ""))
    _put(result, "D_DATE", _day(receipt.declared_on).replace("-", ""))
    _put(root, "RESULT_INFO", receipt.result_info)
    return _bytes(root, "GB2312")


def parse_receipt(data: bytes) -> Receipt:
    """Any of the four, told apart by the root element. Raises Refused."""
    root = read(data)
    name = etree.QName(root).localname
    if name == "DecImportResponse":
        names = ("ResponseCode", "ErrorMessage", "ClientSeqNo", "SeqNo", "TrnPreId")
        return ImportResponse(*(_get(root, one) for one in names))
    if name == "Root":
        return ClientFailure(*(_get(root, one) for one in ("failCode", "failInfo", "Type", "Value")))
    if name not in ("DEC_RESULT", "DEC_DATA"):
        raise Refused("not-a-receipt", T("不是回执报文", "Not a receipt"), f"/{name}")
    return BusinessReceipt(
        channel=_get(root, "CHANNEL"),
        noticed_at=_noticed(_get(root, "NOTICE_DATE")),
        unified_number=_get(root, "CUS_CIQ_NO") or _get(root, "SEQ_NO"),
        customs_number=_get(root, "ENTRY_ID"),
        note=_get(root, "NOTE"),
        customs_office=_get(root, "CUSTOM_MASTER") or _get(root, "DECL_PORT"),
        border_crossing_date=_date(_get(root, "I_E_DATE")),
        declared_on=_date(_get(root, "D_DATE")),
        result_info=_get(root, "RESULT_INFO"),
    )


def _put(parent: etree._Element, name: str, text: str) -> None:
    space = etree.QName(parent).namespace
    etree.SubElement(parent, f"{{{space}}}{name}" if space else name).text = _clean(text)


def _clean(text: object) -> str:
    """Texts come from people: what XML cannot carry is left out."""
    return "".join(
        c
        for c in str(text)
        if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff" and not "\ud800" <= c <= "\udfff")
    )


def _bytes(root: etree._Element, encoding: str = "UTF-8") -> bytes:
    etree.indent(root)
    return cast(bytes, etree.tostring(root, xml_declaration=True, encoding=encoding))


def _get(root: etree._Element, name: str) -> str:
    for node in root.iter(etree.Element):
        if etree.QName(node).localname == name and not len(node):
            return node.text or ""
    return ""


def _noticed(text: str) -> datetime:
    """2026-11-23T10:00:00 or 20180208T15032200 (hundredths of a second), Chinese local time."""
    try:
        if "-" in text:
            return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)
        at = datetime.strptime(text[:15], "%Y%m%dT%H%M%S").replace(tzinfo=SHANGHAI)
        return at.replace(microsecond=int(text[15:17] or 0) * 10_000)
    except ValueError:
        raise Refused("notice-date", T("回执时间无效", "The receipt's time is not valid"), "NOTICE_DATE") from None


def _day(day: date | None) -> str:
    return day.isoformat() if day else ""


def _date(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise Refused("receipt-date", T("回执日期无效", "A date of the receipt is not valid")) from None
