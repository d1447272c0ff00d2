"""DecMessage in and out: nothing is lost, nothing harmful is let in, nothing but faults comes out of rubbish."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from common.problems import Fault
from declarations import fields
from declarations.message import Purpose, check, xpath
from declarations.wire.decmessage import NAMESPACE, parse, render
from declarations.wire.xml import MAX_BYTES
from tests.declarations.strategies import full, messages

EXAMPLES = fields.DATA / "examples"
XML = sorted(EXAMPLES.glob("*.xml"))


def leaves(data: bytes) -> list[tuple[str, str]]:
    """Every element that holds no other element: its path and its text, sorted."""

    def walk(node: etree._Element, at: str) -> list[tuple[str, str]]:
        at = f"{at}/{etree.QName(node).localname}"
        return [
            leaf for child in node.iter(etree.Element) if child.getparent() is node for leaf in walk(child, at)
        ] or [(at, node.text or "")]

    return sorted(walk(etree.fromstring(data), ""))


def document(head: str = "", rest: str = "", root: str = f'DecMessage xmlns="{NAMESPACE}"') -> bytes:
    return f"<{root}><DecHead>{head}</DecHead>{rest}</{root.split()[0]}>".encode()


def xpaths(message: dict, purpose: Purpose) -> list[Fault]:
    """The faults of a message, as a sender of XML is told of them."""
    return [fault._replace(pointer=xpath(fault.pointer, message)) for fault in check(message, purpose)]


def codes(data: bytes) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.code) for fault in parse(data)[1]]


# Nothing is lost.


@pytest.mark.parametrize("path", XML, ids=lambda path: path.name)
def test_an_example_goes_out_as_it_came_in(path: Path) -> None:
    data = path.read_bytes()
    message, faults = parse(data)
    assert faults == []
    assert leaves(render(message)) == leaves(data)


def test_every_one_of_the_407_elements_goes_in_and_comes_out() -> None:
    message = full()
    written = render(message)
    assert parse(written) == (message, [])
    table = [row["xpath"] for row in fields.rows("message_fields.csv") if row["xpath"].startswith("DecMessage")]
    assert len(table) == 407
    inner = {path.removeprefix("/ImportMessage/SWImpData/") for path, _ in leaves(written)}
    assert set(table) - inner == {"DecMessage/@Version"}


def test_elements_come_out_in_the_order_of_the_interface() -> None:
    order = [row["xpath"].split("/")[1] for row in fields.rows("message_fields.csv")]
    written = [etree.QName(e).localname for e in etree.fromstring(render(full()))[1][0]]
    assert written == list(dict.fromkeys(name for name in order if name in written))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(messages(), st.sampled_from(["UTF-8", "GB18030", "UTF-16"]))
def test_any_message_survives_the_wire(message: dict, encoding: str) -> None:
    written = render(message, encoding)
    read, faults = parse(written)
    assert faults == []
    for block, hoisted in (("free_text", ["voyage_number"]), ("signature", ["oper", "client_reference"])):
        if message.get(block) == {} and any(name in message for name in hoisted):
            del message[block]  # the element is there either way
    assert read == {"interface_version": "4.8"} | message
    assert render(read, encoding) == written


def test_an_empty_element_comes_back_empty_and_an_absent_one_absent() -> None:
    message, _ = parse(document("<BillNo/><ContrNo></ContrNo>", "<DecContainers/>"))
    assert message == {"transport_document_number": "", "contract_number": "", "containers": []}
    assert b"<BillNo/><ContrNo/>" in render(message)
    assert b"<DecContainers/>" in render(message)


def test_blanks_of_positional_elements_are_kept() -> None:
    message, _ = parse(document('<Type xml:space="preserve">  5   </Type><PromiseItmes>9 9  </PromiseItmes>'))
    assert message["document_type"] == "  5   "
    assert message["price_confirmations"] == "9 9  "
    assert b'<Type xml:space="preserve">  5   </Type>' in render(message)


def test_a_pretty_printers_line_break_is_no_value() -> None:
    message, faults = parse(document("\n  <BillNo>\n  </BillNo>\n  <PackNo>\n 12 </PackNo>"))
    assert (message, faults) == ({"transport_document_number": "", "package_count": 12}, [])


def test_decimals_stay_as_they_were_written() -> None:
    assert parse(document("<GrossWet>0020500.10000</GrossWet>"))[0]["gross_weight"] == "0020500.10000"


def test_a_date_is_iso_in_json_and_eight_digits_on_the_wire() -> None:
    message, _ = parse(document("<IEDate>20261120</IEDate>"))
    assert message["border_crossing_date"] == "2026-11-20"
    assert b"<IEDate>20261120</IEDate>" in render(message)


def test_an_impossible_date_is_a_fault_with_its_xpath() -> None:
    message, faults = parse(document("<IEDate>20260230</IEDate>"))
    assert faults == []
    found = [(f.pointer, f.code) for f in xpaths(message, "save") if f.code == "not-a-date"]
    assert found == [("/DecMessage/DecHead/IEDate", "not-a-date")]


# Senders differ.


@pytest.mark.parametrize("spelling", ["Version", "version"])
def test_both_spellings_of_version_are_read_and_one_is_written(spelling: str) -> None:
    message, faults = parse(document(root=f'DecMessage {spelling}="3.1"'))
    assert (message, faults) == ({"interface_version": "3.1"}, [])
    assert b'<DecMessage Version="3.1" ' in render(message)


def test_a_message_without_namespace_or_with_a_prefix_is_read() -> None:
    assert parse(document("<IEFlag>I</IEFlag>", root="DecMessage"))[0] == {"direction": "I"}
    prefixed = f'<d:DecMessage xmlns:d="{NAMESPACE}"><d:DecHead><d:IEFlag>I</d:IEFlag></d:DecHead></d:DecMessage>'
    assert parse(prefixed.encode())[0] == {"direction": "I"}


def test_the_old_wrapper_is_kept_when_it_came() -> None:
    inner = document("<IEFlag>I</IEFlag>", root='DecMessage Version="3.1"').decode()
    wrapped = f"<ImportMessage><SWImpHead><MsgType>SWDEC001</MsgType></SWImpHead><SWImpData>{inner}</SWImpData></ImportMessage>"
    message, faults = parse(wrapped.encode())
    assert faults == []
    assert message == {"interface_version": "3.1", "direction": "I", "envelope": {"message_type": "SWDEC001"}}
    assert parse(render(message)) == (message, [])
    assert b"<SWImpHead><MsgType>SWDEC001</MsgType></SWImpHead>" in render(message)


@pytest.mark.parametrize(
    ("declared", "codec"),
    [
        ("UTF-8", "utf-8"),
        ("UTF-8", "utf-8-sig"),
        ("GB18030", "gb18030"),
        ("GBK", "gbk"),
        ("gb2312", "gb2312"),
        ("UTF-16", "utf-16"),
    ],
)
def test_the_encoding_that_is_declared_is_read(declared: str, codec: str) -> None:
    text = f'<?xml version="1.0" encoding="{declared}"?><DecMessage><DecHead><AgentName>重庆</AgentName></DecHead></DecMessage>'
    assert parse(text.encode(codec)) == ({"declarant_name": "重庆"}, [])


def test_the_charset_of_the_content_type_counts_when_the_document_says_nothing() -> None:
    text = "<DecMessage><DecHead><AgentName>重庆</AgentName></DecHead></DecMessage>"
    assert parse(text.encode("gb18030"), "GB18030") == ({"declarant_name": "重庆"}, [])


def test_numeric_country_and_currency_codes_come_out_as_todays() -> None:
    item = "<DecLists><DecList><OriginCountry>132</OriginCountry><TradeCurr>502</TradeCurr></DecList></DecLists>"
    message, _ = parse(document("<IEFlag>I</IEFlag><TradeAreaCode>142</TradeAreaCode><FeeCurr>142</FeeCurr>", item))
    assert message["trading_country"] == "CHN"
    assert message["freight_currency"] == "CNY"
    assert message["goods_items"] == [{"origin_country": "SGP", "invoice_currency": "USD"}]


def test_an_old_code_nobody_knows_is_a_fault() -> None:
    message, _ = parse(document("<TradeAreaCode>998</TradeAreaCode>"))
    assert ("/DecMessage/DecHead/TradeAreaCode", "unknown-legacy-code") in [
        (f.pointer, f.code) for f in xpaths(message, "save")
    ]


def test_the_extra_element_some_senders_put_round_transit_goods_and_tax_is_read() -> None:
    rest = (
        "<TrnContaGoodsList><TrnContaGoods><GNo>1</GNo></TrnContaGoods><TrnContaGoods><GNo>2</GNo></TrnContaGoods>"
        "</TrnContaGoodsList><SddTax><SddTaxHead><DDate>2026-11-20</DDate></SddTaxHead></SddTax>"
    )
    message, faults = parse(document(rest=rest))
    assert faults == []
    assert message["transit_goods"] == [{"item_number": 1}, {"item_number": 2}]
    assert message["self_assessed_tax"] == {"expected_declaration_date": "2026-11-20"}
    assert parse(render(message))[0] == message | {"interface_version": "4.8"}


def test_on_an_export_the_wire_swaps_origin_and_destination() -> None:
    item = "<DecLists><DecList><OriginCountry>DEU</OriginCountry><DestinationCountry>CHN</DestinationCountry></DecList></DecLists>"
    exported, _ = parse(document("<IEFlag>E</IEFlag>", item))
    imported, _ = parse(document("<IEFlag>I</IEFlag>", item))
    assert exported["goods_items"] == [{"origin_country": "CHN", "destination_country": "DEU"}]
    assert imported["goods_items"] == [{"origin_country": "DEU", "destination_country": "CHN"}]
    assert b"<OriginCountry>DEU</OriginCountry>" in render(exported)
    fault = xpaths({"direction": "E", "goods_items": [{"origin_country": "1"}]}, "save")[0]
    assert fault.pointer == "/DecMessage/DecLists/DecList[1]/DestinationCountry"


# What does not belong.


def test_an_unknown_element_is_a_fault_with_its_xpath_and_the_right_name() -> None:
    message, faults = parse(document("<GrossWt>1</GrossWt><promiseitmes>0</promiseitmes>"))
    assert message == {}
    assert [(f.pointer, f.code) for f in faults] == [
        ("/DecMessage/DecHead/GrossWt", "unknown-element"),
        ("/DecMessage/DecHead/promiseitmes", "unknown-element"),
    ]
    assert "PromiseItmes" in str(faults[1].text)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (document("<BillNo>1</BillNo><BillNo>2</BillNo>"), ("/DecMessage/DecHead/BillNo", "repeated")),
        (document(rest="<DecSign/><DecSign/>"), ("/DecMessage/DecSign", "repeated")),
        (document("stray"), ("/DecMessage/DecHead", "stray-text")),
        (document("<BillNo><b/></BillNo>"), ("/DecMessage/DecHead/BillNo/b", "unknown-element")),
        (document('<BillNo lang="en">1</BillNo>'), ("/DecMessage/DecHead/BillNo/@lang", "unknown-attribute")),
        (document('<o:BillNo xmlns:o="urn:x">1</o:BillNo>'), ("/DecMessage/DecHead/BillNo", "unknown-element")),
        (document("<PackNo>1.5</PackNo>"), ("/DecMessage/DecHead/PackNo", "not-an-integer")),
        (document("<IEDate>2026-11-20</IEDate>"), ("/DecMessage/DecHead/IEDate", "not-a-date")),
        (b"<Order/>", ("/Order", "not-a-decmessage")),
        (b"<ImportMessage><SWImpData/></ImportMessage>", ("/ImportMessage/SWImpData", "not-a-decmessage")),
        (b"", ("", "empty")),
        (b"<DecMessage>", ("", "malformed-xml")),
        (b"{}", ("", "malformed-xml")),
        (document("<BillNo>a\x00b</BillNo>"), ("", "malformed-xml")),
        (document("<BillNo>&#0;</BillNo>"), ("", "malformed-xml")),
        ("<DecMessage><BillNo>重庆</BillNo></DecMessage>".encode("gb18030"), ("", "encoding-wrong")),
        (b'<?xml version="1.0" encoding="EBCDIC-CP-US"?><DecMessage/>', ("", "encoding-unknown")),
        (b"<DecMessage>" + b"<a>" * 400 + b"</a>" * 400 + b"</DecMessage>", ("", "malformed-xml")),
        (b" " * (MAX_BYTES + 1), ("", "too-large")),
        (b"<DecMessage>" + b"<DecList/>" * 300_000 + b"</DecMessage>", ("", "too-much-markup")),
        (b"<DecMessage " + b"".join(b'a%d="" ' % n for n in range(50_000)) + b"/>", ("", "too-much-markup")),
        (b"<DecMessage " + b"".join(b"a%d= '' " % n for n in range(50_000)) + b"/>", ("", "too-much-markup")),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_what_is_wrong_with_a_document_is_said(data: bytes, expected: tuple[str, str]) -> None:
    assert expected in codes(data)


LAUGHS = "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12))
BOMB = f"<!DOCTYPE b [<!ENTITY a0 'ha'>{LAUGHS}]><DecMessage><DecHead><BillNo>&a11;</BillNo></DecHead></DecMessage>"


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><DecMessage><DecHead><BillNo>&x;</BillNo></DecHead></DecMessage>",
        "<!DOCTYPE d SYSTEM 'http://127.0.0.1:9/x.dtd'><DecMessage/>",
        "<!-- <a> --><!DOCTYPE d [<!ENTITY x 'y'>]><DecMessage><DecHead><BillNo>&x;</BillNo></DecHead></DecMessage>",
    ],
    ids=["bomb", "external", "remote-dtd", "behind-a-comment"],
)
def test_entities_and_document_types_are_refused(text: str) -> None:
    assert parse(text.encode()) == ({}, [parse(text.encode())[1][0]])
    assert codes(text.encode()) == [("", "doctype")]


# Rubbish.


def test_a_flood_of_faults_is_cut_short() -> None:
    assert codes(document("<x/>" * 200_000)) == [("", "too-many-faults")]


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing(data: bytes) -> None:
    message, faults = parse(data)
    assert faults or message is not None
    check(message)


def test_mutilated_examples_raise_nothing() -> None:
    chance = random.Random(20261123)
    pieces = [
        b"<",
        b">",
        b"&",
        b"]]>",
        b"<![CDATA[",
        b"\x00",
        b"\xff",
        b"<DecHead>",
        b"</DecList>",
        b'="',
        b"&#x1F;",
        b"<?x?>",
    ]
    for path in XML:
        original = path.read_bytes()
        for _ in range(400):
            data = bytearray(original)
            for _ in range(chance.randint(1, 4)):
                at = chance.randrange(len(data))
                match chance.randrange(4):
                    case 0:
                        del data[at : at + chance.randint(1, 60)]
                    case 1:
                        data[at:at] = chance.choice(pieces)
                    case 2:
                        data[at] = chance.randrange(256)
                    case _:
                        data[at:at] = data[chance.randrange(len(data)) :][: chance.randint(1, 80)]
            message, _ = parse(bytes(data))
            for fault in xpaths(message, "declare"):
                str(fault.text)
            render(message)
