"""The public fee pages as people read them, in Chromium: search, history, the difference of two versions, both languages, on a
phone and in the dark. Screenshots go to var/screenshots/ for people to look at."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from parties.models import OrganisationRole
from portfees import catalogues
from portfees.models import FeeList
from tests import make
from tests.browsing import Browser, window
from tests.portfees.conftest import item, principal
from tests.tariffs.test_browser import FAINT

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("browser")]


@pytest.fixture
def published(parameters: None) -> tuple[FeeList, FeeList]:
    """Two versions of a terminal's list, and the list of a railway station elsewhere."""
    body = make.organisation(OrganisationRole.TERMINAL, name="钦州港集装箱码头有限公司（示例）")
    tiers = [{"from_day": 1, "rate": "20"}, {"from_day": 8, "rate": "40"}]
    storage = {
        "name_zh": "堆存费", "name_en": "Storage", "unit": "container_day", "free_days": 7, "tiers": tiers,
        "service_content": "重箱堆存，免费期后按箱按天分段计收", "rate": Decimal(20), "container_size": "40",
    }  # fmt: skip
    made = []
    for first, published_on, rate, more in (
        (date(2026, 1, 1), date(2025, 11, 1), "500", [item("SEAL", name_zh="封志费", name_en="Seals", rate=Decimal(20))]),
        (date(2026, 6, 1), date(2026, 3, 1), "480.5", [item("VGM", name_zh="称重费", name_en="Weighing (VGM)", rate=Decimal("35"), mandatory=False)]),
    ):  # fmt: skip
        lump = item(name_en="Lump handling charge", rate=Decimal(rate), legal_basis="交水规〔2019〕2号（示例引用）")
        fee_list = catalogues.draft(
            principal=principal(body), body_class="terminal", port="CNQZH", title="钦州港集装箱码头收费目录清单",
            complaint_telephone="0777-0000000", valid_from=first, is_example=True, items=[lump, item("STORAGE", **storage), *more],
        )  # fmt: skip
        catalogues.check(number=fee_list.number, principal=principal(body))
        made.append(catalogues.publish(number=fee_list.number, principal=principal(body), on=published_on))
    yard = make.organisation(OrganisationRole.TERMINAL, name="团结村中心站（示例）")
    other = catalogues.draft(
        principal=principal(yard), body_class="railway", port="CNCKG", title="团结村中心站收费目录清单",
        complaint_telephone="023-00000000", valid_from=date(2026, 1, 1), is_example=True, items=[item("LIFT", name_zh="吊装费")],
    )  # fmt: skip
    catalogues.check(number=other.number, principal=principal(yard))
    catalogues.publish(number=other.number, principal=principal(yard), on=date(2025, 12, 1))
    return made[0], made[1]


def readable(browser: Browser, name: str) -> None:
    """Nothing cut off, nothing beside the page, nothing too faint to read."""
    browser.shot(name, full_page=True)
    assert browser.page.evaluate(FAINT) == []


def test_people_search_a_list_read_its_history_and_what_changed(
    chromium: Any, live_server: Any, published: tuple[FeeList, FeeList]
) -> None:
    with window(chromium, live_server.url, locale="zh-CN") as browser:
        search_and_read(browser, *published)


def search_and_read(browser: Browser, before: FeeList, after: FeeList) -> None:
    page = browser.page
    browser.open("/port-fees/")
    readable(browser, "fees-index-zh")
    assert page.locator("tbody tr").count() == 2
    page.fill("input[name=q]", "称重")
    page.click(".search button")
    assert page.locator("tbody tr").count() == 1
    page.fill("input[name=q]", "没有这样的项目")
    page.click(".search button")
    assert "没有符合条件的清单" in browser.text("tbody")
    page.fill("input[name=q]", "")
    page.select_option("select[name=port]", "CNQZH")
    page.fill("input[name=on]", "2026-02-01")
    page.click(".search button")
    assert [text.strip() for text in page.locator("tbody td.number").all_inner_texts()] == ["1"]
    page.check("input[name=history]")
    page.click(".search button")
    assert page.locator("tbody tr").count() == 2
    page.click(f"a[href$='/{after.number}/']")
    text = browser.text("main")
    assert "480.5 CNY" in text
    assert "免 7" in text
    assert "示例数据，非真实收费" in text
    readable(browser, "fees-list-zh")
    page.click("text=与本版差异")
    page.wait_for_url(f"**/{after.number}/difference/{before.number}/")
    text = browser.text("main")
    for words in ("新增 (1)", "称重费", "取消 (1)", "封志费", "变更 (1)", "未变：1"):
        assert words in text
    assert page.locator("del").inner_text() == "500"
    assert page.locator("ins").inner_text() == "480.5"
    readable(browser, "fees-difference-zh")
    page.click("text=English")
    assert "Added (1)" in browser.text("main")
    assert page.evaluate("document.documentElement.lang") == "en"
    readable(browser, "fees-difference-en")
    browser.open(f"/port-fees/{after.number}/")
    assert "Lump handling charge" in browser.text("main")
    readable(browser, "fees-list-en")


def test_the_fee_pages_fit_a_phone_and_the_dark(
    chromium: Any, live_server: Any, published: tuple[FeeList, FeeList]
) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "color_scheme": "dark"}
    with window(chromium, live_server.url, **phone) as browser:
        for name, path in (
            ("index", "/port-fees/?history=1"), ("list", f"/port-fees/{published[1].number}/"),
            ("difference", f"/port-fees/{published[1].number}/difference/{published[0].number}/"),
        ):  # fmt: skip
            browser.open(path)
            readable(browser, f"fees-{name}-phone")
