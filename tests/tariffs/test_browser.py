"""Tariff staff and duty officers at the console, in Chromium. Screenshots go to var/screenshots/ for people to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from tariffs import fixing, loads
from tariffs.models import Load, StoredAssessment, TariffMeasure
from tests import make
from tests.browsing import Browser
from tests.clearance.test_duties import lodged, worked_example

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("browser"),
]

ROWS = (
    "code,kind,origin,rate,valid_from,source,example\n"
    "8509801000,mfn,MFN,1%,2030-01-01,browser test,1\n"
    "8471300000,mfn,MFN,2%,2030-01-01,browser test,1\n"
)

#: Elements whose own text has less than WCAG AA's contrast with what is painted behind it.
FAINT = """() => {
  const canvas = document.createElement("canvas"); canvas.width = canvas.height = 1;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const paint = (colours) => {
    pen.clearRect(0, 0, 1, 1);
    for (const colour of colours) { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((part) => part / 255).map((part) => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const faint = [];
  for (const node of document.querySelectorAll("main *, .top *, .side *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.getClientRects().length || node.disabled || node.tagName === "OPTION") continue;
    const grounds = [];
    for (let at = node; at; at = at.parentElement) grounds.unshift(getComputedStyle(at).backgroundColor);
    const style = getComputedStyle(node);
    const behind = light(paint(["white", ...grounds])), ink = light(paint(["white", ...grounds, style.color]));
    const ratio = (Math.max(behind, ink) + .05) / (Math.min(behind, ink) + .05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) faint.push(`${ratio.toFixed(2)} ${node.outerHTML.slice(0, 100)}`);
  }
  return faint;
}"""


@pytest.fixture(autouse=True)
def _files(settings: Any, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path
    make.tariff()


def look(browser: Browser, name: str) -> None:
    """A screenshot of the whole page; nothing clipped, nothing sideways, nothing too faint."""
    browser.shot(name, full_page=True)
    assert browser.page.evaluate(FAINT) == []


def in_english(browser: Browser) -> None:
    browser.page.click("text=English")
    browser.page.wait_for_selector("text=中文")


def officer(*duties: str) -> None:
    make.officer(username="wang", name="王敏", duties=duties)


def test_an_officer_reads_an_assessment_and_overrides_a_value_and_a_rate(browser: Browser) -> None:
    officer("duties")
    firm = make.firm()
    stored = fixing.latest(lodged(firm, worked_example(firm)).unified_number)
    assert stored is not None
    page = browser.page
    browser.log_in("wang")
    browser.open(reverse("admin:tariffs_storedassessment_change", args=[stored.pk]))
    assert "157369.07" in browser.text("main")
    assert "(货价 + 运费) × 保险费率 ÷ (1 − 保险费率)" in browser.text("main")
    assert "关税法第十二条" in browser.text("main")
    look(browser, "tariff-assessment")

    page.fill("#fix-value", "200000.00")
    page.fill("#fix-rate", "8%")
    page.click("text=核定为新版本")
    assert StoredAssessment.objects.count() == 1  # the browser asks for the reason
    page.fill("#fix-reason", "价格磋商")
    page.click("text=核定为新版本")
    page.wait_for_selector("li.success")  # on the declaration's page, with the memo that follows
    page.click("text=税费核定第 2 版")
    page.wait_for_selector("text=价格磋商")
    new = StoredAssessment.objects.get(number=2)
    assert (new.customs_value, new.overrides) == (200000, {"1": {"customs_value": "200000.00", "rate": "8%"}})
    assert StoredAssessment.objects.get(number=1).answer == stored.answer
    assert "16000.00" in browser.text("main")
    assert "海关核定税率" in browser.text("main")  # and the rate the tariff gives is no longer the one taken
    assert page.locator(".chip:text-is('采用')").count() == 0
    look(browser, "tariff-override")

    page.click("text=第 1 版")  # the earlier version is still there, and says that it is superseded
    page.wait_for_selector("text=已有新版")
    assert "157369.07" in browser.text("main")
    assert page.locator("#fix-reason").count() == 0
    in_english(browser)
    assert "Insurance = (price + freight) × insurance rate ÷ (1 − insurance rate)" in browser.text("main")
    assert "Tariff Law art. 12" in browser.text("main")
    look(browser, "tariff-assessment-en")


def test_tariff_staff_see_what_changes_on_which_day_and_between_two_days(browser: Browser) -> None:
    officer("tariff")
    page = browser.page
    browser.log_in("wang")
    browser.open(reverse("admin:tariffs_changes") + "?from=2025-12-01&to=2026-02-01")
    day = page.locator("a", has_text="2026-01-01")
    assert day.count() == 1
    look(browser, "tariff-days")
    day.click()  # one day's changes: against the day before it
    page.wait_for_selector("del")
    assert (page.input_value("[name=from]"), page.input_value("[name=to]")) == ("2025-12-31", "2026-01-01")
    assert (browser.text("del"), browser.text("ins")) == ("8%", "6%")
    page.fill("[name=prefix]", "9999")
    page.click("text=比较")
    page.wait_for_selector("text=没有差异")
    browser.open(reverse("admin:tariffs_changes") + "?from=2025-12-31&to=2026-01-01")
    in_english(browser)
    assert "MFN rate" in browser.text("main") or "provisional import rate" in browser.text("main")
    look(browser, "tariff-difference-en")


def upload(browser: Browser, path: Path, *, dry_run: bool) -> Load:
    page = browser.page
    browser.open(reverse("admin:tariffs_load_add"))
    page.set_input_files("#load-file", str(path))
    page.set_checked("[name=dry_run]", dry_run)
    page.click("button.main")
    page.wait_for_selector(".chip:text-is('等待')")
    return Load.objects.latest("pk")


def test_a_file_is_tried_with_its_progress_and_then_loaded(browser: Browser, tmp_path: Path) -> None:
    officer("tariff")
    file = tmp_path / "rates-2030.csv"
    file.write_text(ROWS)
    page = browser.page
    browser.log_in("wang")
    browser.open(reverse("admin:tariffs_load_add"))
    look(browser, "tariff-upload")

    load = upload(browser, file, dry_run=True)
    assert page.get_attribute("progress", "value") == "0"
    loads.note(load.pk, "write", 123456)  # as a worker says it while it is at work
    page.wait_for_selector("progress[value='70']")  # the page asks again by itself
    assert "写入 · 123456 行" in browser.text("main")
    look(browser, "tariff-progress")
    assert loads.run_queued() == 1
    page.wait_for_selector("text=已试算")
    assert page.get_attribute("progress", "value") == "100"
    assert "新增" in browser.text("main")
    assert page.locator("table.rows tbody tr").all_inner_texts()[0].split("\t")[:3] == ["新增", "2", "2030-01-01 起"]
    assert not TariffMeasure.objects.known().filter(rate="1%", code="8509801000").exists()
    look(browser, "tariff-dry-run")

    upload(browser, file, dry_run=False)
    assert loads.run_queued() == 1
    page.wait_for_selector(".chip:text-is('完成')")
    assert TariffMeasure.objects.known().filter(rate="1%", code="8509801000").exists()
    in_english(browser)
    assert "tariff version" in browser.text("main")
    look(browser, "tariff-loaded-en")


def test_a_faulty_file_is_refused_by_row_and_column(browser: Browser, tmp_path: Path) -> None:
    officer("tariff")
    file = tmp_path / "faulty.csv"
    file.write_text(ROWS.replace("1%", "one per cent").replace("8471300000,mfn", "84713x,most-favoured"))
    before = TariffMeasure.objects.count()
    page = browser.page
    browser.log_in("wang")
    upload(browser, file, dry_run=False)
    assert loads.run_queued() == 1
    page.wait_for_selector("text=未做任何更改")
    assert page.locator("td .chip.bad").all_inner_texts() == ["row 2, rate", "row 3, code"]
    assert "税率格式不正确：one per cent" in browser.text("main")
    look(browser, "tariff-faults")
    in_english(browser)
    assert "not a rate: one per cent" in browser.text("main")
    look(browser, "tariff-faults-en")
    assert TariffMeasure.objects.count() == before
