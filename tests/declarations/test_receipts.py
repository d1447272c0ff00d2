"""Receipts are read as senders' clients read them, and written so that they can."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from lxml import etree

from declarations.wire import receipts
from declarations.wire.receipts import BusinessReceipt, ClientFailure, ImportResponse
from declarations.wire.xml import Refused

SAMPLES = Path(__file__).parent / "receipts"


def values(data: bytes) -> list[tuple[str, str]]:
    return [(etree.QName(e).localname, (e.text or "").strip()) for e in etree.fromstring(data).iter(etree.Element)]


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.xml")), ids=lambda path: path.stem)
def test_a_sample_is_written_as_it_was_read(path: Path) -> None:
    receipt = receipts.parse_receipt(path.read_bytes())
    write = {
        ImportResponse: receipts.render_import_response,
        ClientFailure: receipts.render_client_failure,
        BusinessReceipt: receipts.render_business_receipt,
    }[type(receipt)]
    assert values(write(receipt)) == values(path.read_bytes())


def test_a_business_receipt_leaves_in_chinese_local_time() -> None:
    receipt = BusinessReceipt(
        channel="J",
        noticed_at=datetime(2026, 11, 23, 16, 30, 0, 250_000, tzinfo=UTC),
        unified_number="I20260000000000001",
        customs_number="800020261000000001",
        note="海关已接受申报 <J> & more",
        customs_office="8000",
        declared_on=date(2026, 11, 24),
    )
    today, older = receipts.render_business_receipt(receipt), receipts.render_business_receipt_qp(receipt)
    assert b"<NOTICE_DATE>2026-11-24T00:30:00</NOTICE_DATE>" in today
    assert b"<NOTICE_DATE>20261124T00300025</NOTICE_DATE>" in older
    assert older.startswith(b"<?xml version='1.0' encoding='GB2312'?>")
    assert "海关已接受申报".encode("gb2312") in older
    assert receipts.parse_receipt(today) == receipt._replace(noticed_at=receipt.noticed_at.replace(microsecond=0))
    assert receipts.parse_receipt(older) == receipt


def test_a_failure_text_with_anything_in_it_stays_xml() -> None:
    failure = ClientFailure(code="C134", text="]]> <b> \x00\ud800 重庆", type="1", value="11")
    assert receipts.parse_receipt(receipts.render_client_failure(failure)) == failure._replace(text="]]> <b>  重庆")


@pytest.mark.parametrize(
    "data",
    [
        b"<x/>",
        b"",
        b"<DEC_RESULT/>",
        b"<DEC_RESULT><NOTICE_DATE>soon</NOTICE_DATE></DEC_RESULT>",
        b"<!DOCTYPE a><Root/>",
    ],
)
def test_what_is_no_receipt_is_refused(data: bytes) -> None:
    with pytest.raises(Refused):
        receipts.parse_receipt(data)
