"""A print of the bill in Chinese or English, with a QR code to the verification page. Not an original: every page says
so."""

from __future__ import annotations

from typing import Any

from django.utils.translation import override

from bills import exporting
from bills.chain import NEW_VERSION
from bills.models import Act, Bill, BillState
from common.days import legal_day
from common.pdf import Page

WORDS = {
    "title": ("多式联运提单", "MULTIMODAL TRANSPORT BILL OF LADING"),
    "rail": ("铁路提单", "RAIL BILL OF LADING"),
    "print": (
        "打印件，非正本。以二维码页面所示状态为准。",
        "Printed copy, not an original. The page behind the QR code tells its state.",
    ),
    "draft": ("草稿 DRAFT", "DRAFT"),
    "number": ("提单号", "Bill No."),
    "version": ("版本", "Version"),
    "state": ("状态", "State"),
    "consignor": ("托运人", "Consignor"),
    "consignee": ("收货人", "Consignee"),
    "to_order": ("凭指示", "TO ORDER"),
    "to_order_of": ("凭指示：", "To order of "),
    "bearer": ("不记名（凭单）", "TO BEARER"),
    "notify": ("通知方", "Notify party"),
    "operator": ("多式联运经营人", "Multimodal transport operator"),
    "receipt": ("接收地", "Place of receipt"),
    "loading": ("装货港（站）", "Loading"),
    "discharge": ("卸货港（站）", "Discharge"),
    "delivery": ("交付地", "Place of delivery"),
    "legs": ("运输区段", "Legs"),
    "goods": ("货物", "Goods"),
    "packages": ("件数", "Packages"),
    "gross": ("毛重（千克）", "Gross weight (kg)"),
    "volume": ("体积（立方米）", "Volume (m3)"),
    "containers": ("集装箱与封志", "Containers and seals"),
    "charges": ("运费及费用", "Freight and charges"),
    "prepaid": ("预付", "prepaid"),
    "collect": ("到付", "collect"),
    "insurance": ("保险", "Insurance"),
    "originals": ("正本份数", "Originals"),
    "issued": ("签发", "Issued"),
    "received_on": ("接收货物日期", "Received on"),
    "shipped_on": ("装船日期", "On board on"),
    "clauses": ("批注", "Clauses"),
    "terms": ("条款", "Terms"),
    "signed": ("经营人电子签名（签发行为摘要）", "Operator's electronic signature (checksum of the act of issue)"),
    "checksum": ("单证摘要（SHA-256）", "Document checksum (SHA-256)"),
}
MODES = {"sea": ("海运", "Sea"), "rail": ("铁路", "Rail"), "road": ("公路", "Road"),
         "inland_water": ("内河", "Inland water"), "air": ("航空", "Air")}  # fmt: skip


class Print(Page):
    """A page with the bill's head and foot."""

    def __init__(self, language: str, foot: str) -> None:
        super().__init__()
        self.language, self.foot = language, foot
        self.set_auto_page_break(True, 18)
        self.set_margins(14, 12)

    def word(self, name: str) -> str:
        return WORDS[name][0 if self.language == "zh" else 1]

    def footer(self) -> None:
        self.set_y(-15)
        self.set_font("text", size=7)
        self.multi_cell(0, 3.4, f"{self.word('print')}  {self.foot}   {self.page_no()}/{{nb}}", align="C")

    def label(self, name: str, text: str, width: float = 0) -> None:
        """A small caption over its text; the next one stands below it, in the same column."""
        column = self.get_x()
        self.set_font("text", size=7)
        self.set_text_color(90)
        self.multi_cell(width, 3.6, name, new_x="LEFT", new_y="NEXT")
        self.set_text_color(0)
        self.set_font("text", size=9)
        self.multi_cell(width, 4.4, text or "-", new_x="LEFT", new_y="NEXT")
        self.set_xy(column, self.get_y() + 0.8)


#: Acts that put a version in force; its issuer signed them.
_ISSUING = ("ISSUE", *NEW_VERSION)


def _party(party: dict[str, Any] | None) -> str:
    if not party:
        return ""
    address = party.get("address") or {}
    place = ", ".join(address[name] for name in ("street", "city", "postcode", "country") if address.get(name))
    return "\n".join(line for line in (party["name"], place) if line)


def _place(place: dict[str, Any] | None) -> str:
    return " ".join(
        part for part in ((place or {}).get("name", ""), f"({(place or {}).get('unlocode', '')})") if part.strip("()")
    )


def _issued(bill: Bill, places: dict[str, Any]) -> str:
    """Place and day of issue; the day is that of the signed document."""
    day = legal_day(bill.issued_at).isoformat() if bill.issued_at else ""
    return f"{_place(places.get('issue'))}  {day}".strip()


def render(bill: Bill, language: str = "zh") -> bytes:
    """The PDF. Raises Problem 503 where no font has Chinese glyphs."""
    draft = bill.state == BillState.DRAFT or not bill.version
    content = bill.draft if draft else bill.versions.get(number=bill.version).content
    content = content or {}
    page = Print(language, bill.checksum[:32])
    page.set_title(bill.number)
    page.set_creator("Corridor Single Window")
    page.add_page()
    half = page.epw / 2 - 2
    page.set_font("text", size=15)
    page.cell(page.epw - 32, 9, page.word("rail" if bill.kind == "rail" else "title"), new_x="LMARGIN", new_y="NEXT")
    if not draft:
        page.qr(exporting.verification_url(bill), x=page.w - 14 - 30, y=10, side=30)
    page.set_font("text", size=10)
    state = page.word("draft") if draft else _state_word(bill.state, language)
    page.multi_cell(
        page.epw - 34, 5.5,
        f"{page.word('number')} {bill.number}   {page.word('version')} {bill.version}   {page.word('state')} {state}",
        new_x="LMARGIN", new_y="NEXT",
    )  # fmt: skip
    page.set_y(max(page.get_y(), 43))
    people, places = content.get("parties", {}), content.get("places", {})
    top = page.get_y()
    page.label(page.word("consignor"), _party(people.get("consignor")), half)
    page.label(page.word("consignee"), _consignee(page, content), half)
    page.label(page.word("notify"), "\n".join(_party(party) for party in people.get("notify", ())), half)
    left = page.get_y()
    page.set_xy(page.l_margin + half + 4, top)
    page.label(page.word("operator"), _party(people.get("operator")), half)
    for name in ("receipt", "loading", "discharge", "delivery"):
        page.label(page.word(name), _place(places.get(name)), half)
    page.set_xy(page.l_margin, max(left, page.get_y()))
    _lists(page, content)
    page.label(page.word("originals"), content.get("originals", "1"))
    page.label(page.word("issued"), _issued(bill, places))
    for name in ("received_on", "shipped_on"):
        if content.get(name):
            page.label(page.word(name), content[name])
    if content.get("clauses"):
        page.label(page.word("clauses"), "\n".join(content["clauses"]))
    if content.get("terms"):
        page.label(page.word("terms"), content["terms"][:6000])
    if not draft:
        page.label(page.word("checksum"), bill.checksum)
        act = Act.objects.filter(bill=bill, version=bill.version, code__in=_ISSUING).order_by("sequence").first()
        if act is not None:
            signer = act.actor.name if act.actor else ""
            page.label(page.word("signed"), "  ".join(part for part in (signer, act.checksum) if part))
    return bytes(page.output())


def _consignee(page: Print, content: dict[str, Any]) -> str:
    consignee = content.get("parties", {}).get("consignee")
    match content.get("negotiability"):
        case "straight":
            return _party(consignee)
        case "bearer":
            return page.word("bearer")
    return page.word("to_order_of") + _party(consignee) if consignee else page.word("to_order")


def _lists(page: Print, content: dict[str, Any]) -> None:
    """Legs, goods, containers, charges, insurance."""
    column = 0 if page.language == "zh" else 1
    legs = [
        f"{number}. {MODES[leg['mode']][column]}  {_place(leg['from'])} → {_place(leg['to'])}  "
        f"{leg.get('means', '')} {leg.get('voyage', '')}  {leg.get('carrier', {}).get('name', '')}"
        for number, leg in enumerate(content.get("legs", ()), 1)
    ]
    page.label(page.word("legs"), "\n".join(legs))
    goods = []
    for item in content.get("goods", ()):
        lines = [" / ".join(item["description"]) + (f"  HS {item['hs_code']}" if item.get("hs_code") else "")]
        lines.append(
            f"   {page.word('packages')} {item['packages']} {item.get('package_text', '')}   "
            f"{page.word('gross')} {item['gross_weight_kg']}   {page.word('volume')} {item.get('volume_m3', '-')}"
        )
        if item.get("marks"):
            lines.append("   " + "; ".join(item["marks"]))
        goods.append("\n".join(lines))
    page.label(page.word("goods"), "\n".join(goods))
    boxes = [
        f"{box['number']}  {box.get('size_type', '')}  {', '.join(seal['number'] for seal in box.get('seals', ()))}"
        for box in content.get("containers", ())
    ]
    page.label(page.word("containers"), "\n".join(boxes))
    charges = [
        f"{charge['name']}  {charge['amount']} {charge['currency']}  {page.word(charge['payment'])}"
        for charge in content.get("charges", ())
    ]
    page.label(page.word("charges"), "\n".join(charges))
    insurance = content.get("insurance") or {}
    amount = insurance.get("amount") or {}
    if insurance:
        page.label(
            page.word("insurance"),
            "  ".join(
                part
                for part in (
                    insurance.get("insurer"),
                    insurance.get("policy"),
                    amount.get("amount"),
                    amount.get("currency"),
                )
                if part
            ),
        )


def _state_word(state: str, language: str) -> str:
    with override("en" if language == "en" else "zh-hans"):
        return str(BillState(state).label)
