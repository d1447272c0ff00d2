"""An officer at the console, in Chromium. Screenshots go to var/screenshots/ for people to look at."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from clearance import cases, inspections, selection, times
from common.days import today
from common.pdf import Document
from declarations.models import Declaration
from events.models import Event
from tariffs import memos
from tests import make
from tests.browsing import Browser
from tests.cargo.cargo_make import container
from tests.clearance import states

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("browser"),
]


def test_an_officers_morning(browser: Browser) -> None:
    broker = make.broker(name="重庆通关报关有限公司（示例）")
    firms = [make.firm(name=f"{name}（示例）") for name in ("重庆渝新欧进出口有限公司", "四川盆地果品进出口有限公司")]
    for firm in firms:
        make.mandate(firm, broker)
    first = make.declaration(firms[0], "under_review", lodger=broker, items=3)
    second = make.declaration(firms[1], "under_review", lodger=broker, direction="E")
    make.declaration(firms[0], "accepted", lodger=broker)
    officer = make.officer(username="wang", name="王敏")
    page = browser.page

    browser.open("/console/")
    browser.shot("login")
    browser.log_in("wang")
    assert browser.text("#user-tools").startswith("王敏")
    browser.shot("workbench")

    # The queue, by the keyboard: down to the second row and back, then take the next case.
    browser.open("/console/queue/")
    assert page.locator("tr[data-href]").count() == 2
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert second.unified_number in browser.text("tr.at")
    page.keyboard.press("k")
    assert first.unified_number in browser.text("tr.at")
    browser.shot("queue")
    page.keyboard.press("n")
    page.wait_for_url(f"**/declarations/{first.unified_number}/?desk=review")
    assert "我正在办理" in browser.text(".dossier")
    browser.shot("declaration")

    # Accept: the decision asks first, and Escape leaves it unmade.
    page.keyboard.press("a")
    page.wait_for_selector("dialog#ask-accept[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog#ask-accept:not([open])", state="attached")
    assert Declaration.objects.get(pk=first.pk).state == "under_review"
    page.keyboard.press("a")
    page.wait_for_selector("dialog#ask-accept[open]")
    page.fill("#note-accept", "单证齐全")
    browser.shot("accept")
    page.click("dialog#ask-accept button[type=submit], dialog#ask-accept .actions button.main")
    page.wait_for_selector("li.success")
    assert "已接受申报" in browser.text("li.success")
    accepted = Declaration.objects.get(pk=first.pk)
    assert accepted.state == "accepted"
    event = Event.objects.get(subject_number=first.unified_number, type="declaration.accepted")
    assert event.actor == "officer:wang"
    assert accepted.customs_number in browser.text("h1")
    assert "单证齐全" in browser.text("ol.line")
    browser.shot("accepted")

    # Open the other from the queue with Enter; return it, for a reason.
    browser.open("/console/queue/?desk=review")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/declarations/{second.unified_number}/?desk=review")
    page.keyboard.press("r")
    page.select_option("#reason-return", "documents")
    page.fill("#note-return", "请补传发票")
    page.click("dialog#ask-return .actions button.bad")
    page.wait_for_selector("li.success")
    assert Declaration.objects.get(pk=second.pk).state == "returned"
    assert "随附单证不全或不符" in browser.text("ol.line")

    # Search finds it again; the keyboard list; a wide and dark window in English.
    page.keyboard.press("/")
    page.keyboard.type(accepted.customs_number)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/declarations/{first.unified_number}/")
    page.keyboard.press("?")
    page.wait_for_selector("dialog#keys[open]")
    browser.shot("keys")
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 1920, "height": 1080})
    page.click("text=English")
    page.click("[data-switch-theme]")
    browser.open("/console/queue/?desk=accepted")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert "To release" in browser.text(".tabs .here")
    browser.shot("queue-dark-en")
    page.click("#logout-form button")
    assert officer.user.username == "wang"


#: A dialog closes and the next key comes before the browser has drawn a frame: two keys of one burst.
BURST = """(key) => {
  const dialog = document.querySelector("dialog[open]");
  dialog.close();
  document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  return [document.activeElement.closest("dialog")?.id, document.querySelector("dialog[open]")?.id];
}"""


def test_keys_pressed_faster_than_frames_are_drawn_are_heard(browser: Browser) -> None:
    case = make.declaration(state="under_review")
    make.officer(username="wang", name="王敏")
    browser.log_in("wang")
    browser.open(f"/console/declarations/{case.unified_number}/")
    page = browser.page
    page.keyboard.press("a")
    page.wait_for_selector("dialog#ask-accept[open]")
    assert page.evaluate("document.activeElement.id") == "reason-accept"
    assert page.evaluate(BURST, "a") == ["ask-accept", "ask-accept"]
    assert page.evaluate(BURST, "r") == ["ask-return", "ask-return"]
    assert page.evaluate("document.activeElement.id") == "reason-return"
    # In an open field the same key is a letter.
    page.focus("#note-return")
    page.keyboard.type("ar")
    assert page.input_value("#note-return") == "ar"


def test_a_stale_page_is_refused_and_shows_what_is_true_now(browser: Browser) -> None:
    case = make.declaration(state="accepted")
    make.officer(username="wang", name="王敏")
    browser.log_in("wang")
    browser.open(f"/console/declarations/{case.unified_number}/")
    make.decisions.decide(
        number=case.unified_number, command="hold", principal=make.SYSTEM, reason_code="risk-analysis"
    )
    browser.page.keyboard.press("f")
    browser.page.click("dialog#ask-release .actions button.main")
    browser.page.wait_for_selector("li.error")
    assert "已被更改" in browser.text("li.error")
    assert "挂起" in browser.text(".dossier .chip")
    assert Declaration.objects.get(pk=case.pk).state == "held"
    browser.shot("stale")


def test_bulk_release_with_a_second_look(browser: Browser) -> None:
    cases = [make.declaration(state="accepted") for _ in range(3)]
    Declaration.objects.filter(pk__in=[case.pk for case in cases]).update(risk_score=3)
    for case in cases:
        selection.select(case.unified_number)
    make.officer(username="wang", name="王敏")
    browser.log_in("wang")
    browser.open("/console/queue/?desk=accepted")
    browser.page.click("[data-all]")
    assert browser.text("[data-ticked]") == "3"
    browser.page.click("button[value=look]")
    browser.page.wait_for_selector("input[value=release]", state="attached")
    browser.shot("bulk-release")
    browser.page.keyboard.press("f")
    browser.page.wait_for_selector("li.success")
    assert set(Declaration.objects.values_list("state", flat=True)) == {"released"}


def test_the_other_floors_documents_duties_steps_calendar_lists(browser: Browser, settings: Any, tmp_path: Any) -> None:
    """Screens that are looked at: nothing clipped, nothing sideways, the document itself in the page."""
    from tests.console.test_floors import INVOICE, LIST, attach
    from tests.console.test_floors import owing as owing_case

    settings.MEDIA_ROOT = tmp_path
    box = container()
    goods = states.goods(states.carrier(), f"BL{box}", boxes=[box])
    case = states.declared(
        goods, firm=make.firm(name="重庆渝新欧进出口有限公司（示例）"), package_count=goods.packages + 2,
        electronic_documents=[one | {"document_format": "US"} for one in (INVOICE, LIST)],
    )  # fmt: skip
    page_of_list = Document("装箱单 Packing list")
    page_of_list.rows([("件数 Packages", str(goods.packages)), ("毛重 Gross weight", f"{goods.gross_mass:f} kg")])
    attach(case, LIST, {"packages": str(goods.packages), "gross_weight": f"{goods.gross_mass:f}"}, page_of_list.bytes())
    cases.choose_mode(number=case.unified_number, mode="two_stage", principal=make.principal(case.firm))
    inspections.order(number=case.unified_number, principal=make.SYSTEM, instruction="开箱核对唛头与件数")
    start = timezone.now() + timedelta(hours=2)
    inspections.book(
        number=case.unified_number, place="CNCKG1", starts_at=start, ends_at=start + timedelta(hours=1),
        principal=make.SYSTEM,
    )  # fmt: skip
    times.load()
    debtor, memo = owing_case()
    memos.open_guarantee(
        number="G-2026-1", organisation_id=debtor.firm_id, amount=memo.amount * 2, valid_from=today(), last_day=None,
        summary=False, actor="officer:x",
    )  # fmt: skip
    make.officer(username="wang", name="王敏")
    browser.log_in("wang")
    page = browser.page
    browser.open(f"/console/declarations/{case.unified_number}/?view=compare")
    assert "1 处不符" in browser.text("main")
    page.click("summary")
    page.wait_for_selector("details[open] iframe")
    page.evaluate("scrollTo(0, 0)")
    browser.shot("compare", full_page=True)
    browser.open(f"/console/declarations/{case.unified_number}/")
    assert "准许入境" in browser.text("main")
    browser.shot("steps", full_page=True)
    browser.open(f"/console/inspections/{case.unified_number}/")
    browser.shot("inspection", full_page=True)
    browser.open("/console/inspections/")
    browser.shot("calendar", full_page=True)
    browser.open(f"/console/declarations/{debtor.unified_number}/")
    browser.shot("duties", full_page=True)
    page.select_option("select[name=guarantee]", "G-2026-1")
    assert page.locator("li.success").count() == 0, "choosing is not deciding"
    page.click("form[action$='/duties/guarantee/'] button")
    page.wait_for_selector("li.success")
    browser.shot("duties-secured", full_page=True)
    for name in ("clearance/case", "clearance/hold", "clearance/inspectionorder", "clearance/timelimit"):
        browser.open(f"/console/{name}/")
        browser.shot(f"list-{name.split('/')[1]}")
    page.click("text=English")
    browser.open(f"/console/declarations/{case.unified_number}/?view=compare")
    browser.shot("compare-en", full_page=True)
    browser.open("/console/clearance/case/")
    browser.shot("list-case-en")
