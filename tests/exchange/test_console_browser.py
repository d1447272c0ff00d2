"""The exchange at the console in Chromium. Screenshots go to var/screenshots/ for people to look at."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import connection

from events.models import Event
from exchange import conformance, endpoints, signing
from exchange.models import Endpoint
from parties.models import Officer
from tests import make
from tests.browsing import Browser
from tests.exchange.conftest import deliver, make_partner, principal_of, say
from tests.exchange.test_cooperation import SHARED
from tests.exchange.test_inbox import message, send
from tests.tariffs.test_browser import FAINT

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("browser")]


def as_worker(work: Callable[[], object]) -> None:
    """Run what a worker does in a thread of its own: Playwright's event loop runs in this one."""

    def run() -> None:
        work()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)


def look(browser: Browser, name: str) -> None:
    browser.shot(name, full_page=True)
    assert browser.page.evaluate(FAINT) == []


def test_an_endpoint_is_made_and_its_secret_rotated_by_the_keyboard(browser: Browser, receiver) -> None:
    partner, hook = make_partner(), receiver()
    make.officer(username="wang", name="王敏", duties=(Officer.Duty.EXCHANGE,))
    page = browser.page
    browser.log_in("wang")
    browser.open("/console/exchange/endpoint/")
    page.keyboard.press("n")
    page.wait_for_url("**/endpoints/new/")
    assert page.evaluate("document.activeElement.name") == "organisation"
    page.select_option("[name=partner]", partner.code)
    page.fill("[name=url]", "https://10.1.2.3/hook")
    page.fill("[name=event_types]", "*")
    page.fill("[name=headers]", "X-Tenant: 7")
    page.click("#keep")
    page.wait_for_selector("#e-url")
    assert page.evaluate("document.activeElement.name") == "url"
    assert page.input_value("[name=event_types]") == "*"
    look(browser, "exchange-endpoint-faults")
    page.fill("[name=url]", hook.url)
    page.keyboard.press("Enter")
    page.wait_for_selector("#secret")
    made = Endpoint.objects.get()
    first = browser.text("#secret")
    assert made.signing_secrets() == [first]
    look(browser, "exchange-endpoint-secret")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.keyboard.press("c")
    page.wait_for_selector("text=已复制")
    assert page.evaluate("navigator.clipboard.readText()") == first
    # Loading again shows the endpoint, tells nothing and makes nothing.
    page.reload()
    page.wait_for_selector("dialog#ask-rotate", state="attached")
    assert page.url.endswith(f"/endpoints/{made.pk}/")
    assert first not in page.content()
    assert Endpoint.objects.count() == 1

    # Rotation asks first; the answer says until when the old one signs too.
    page.keyboard.press("s")
    page.wait_for_selector("dialog#ask-rotate[open]")
    browser.shot("exchange-endpoint-rotate")
    page.click("dialog#ask-rotate button.main")
    page.wait_for_selector("#old-until")
    second = browser.text("#secret")
    assert second != first
    assert set(made.signing_secrets()) == {first, second}
    look(browser, "exchange-endpoint-rotated")
    page.reload()
    page.wait_for_selector("dialog#ask-rotate", state="attached")
    assert second not in page.content()
    assert made.secrets.count() == 2

    page.keyboard.press("t")
    page.wait_for_selector("li.success")
    assert [one.message["type"] for one in hook.received] == ["webhook_endpoint.test"]
    page.wait_for_load_state()  # keys work once the script at the page's end has run
    page.keyboard.press("y")
    page.wait_for_url("**/replay/")
    page.fill("[name=after]", "0")
    look(browser, "exchange-endpoint-replay")
    page.click("#keep")
    page.wait_for_selector("li.success")
    look(browser, "exchange-endpoint")
    page.click("button.bad[data-dialog=ask-delete]")
    page.click("dialog#ask-delete button.bad")
    page.wait_for_selector("li.success")
    made.refresh_from_db()
    assert made.state == "deleted"


def test_a_new_version_of_an_agreement_is_looked_at_and_agreed(browser: Browser) -> None:
    for code in ("450000", "500000", "510000"):
        make_partner(code)
    make_partner("520000", out=None, incoming=None)
    make.officer(username="wang", name="王敏", duties=(Officer.Duty.EXCHANGE,))
    page = browser.page
    browser.log_in("wang")
    browser.open("/console/exchange/agreements/")
    look(browser, "exchange-agreements")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/agreements/450000/out/")
    look(browser, "exchange-agreement")
    page.keyboard.press("n")
    page.wait_for_url("**/agreements/450000/out/new/")
    assert page.evaluate("document.activeElement.name") == "kinds"
    page.locator("[name=paths]").nth(1).fill("state\nport\ngoods_items.*")
    page.click("#preview")
    page.wait_for_selector(".errorlist")
    assert page.evaluate("document.activeElement.value") == "declaration.*"
    assert browser.text(".errorlist").startswith("3")
    look(browser, "exchange-agreement-faults")
    page.locator("[name=paths]").nth(1).fill("state\nport\nduty_total\nconsignee.name")
    page.fill("[name=note]", "备忘录甲")
    page.click("#preview")
    page.wait_for_selector("#leaving")
    assert page.evaluate("document.activeElement.id") == "difference"
    look(browser, "exchange-agreement-difference")
    pattern, paths = (page.locator(f"#fields [name={name}]").first.bounding_box() for name in ("pattern", "paths"))
    assert pattern["x"] + pattern["width"] <= paths["x"]
    page.click("#agree")
    page.wait_for_selector("li.success")
    assert page.locator("#versions tbody tr").count() == 2
    page.click("text=English")
    page.wait_for_selector("text=中文")
    look(browser, "exchange-agreement-agreed")
    page.click("[data-dialog=ask-end]")
    browser.shot("exchange-agreement-end")
    page.click("dialog#ask-end button.bad")
    page.wait_for_selector("text=Nothing goes out.")
    browser.open("/console/exchange/partner/")
    page.click("#result_list tbody th a")
    page.click("[data-dialog=ask-state]")
    browser.shot("exchange-partner-suspend")
    page.click("dialog#ask-state button.main")
    page.wait_for_selector("li.success")


def test_a_transit_is_opened_and_one_on_the_way_here_is_confirmed(browser: Browser, settings) -> None:
    settings.PROVINCE = "500000"
    secret = signing.new_secret()
    make_partner("450000", secret=secret, incoming=SHARED, out=SHARED)
    data = {"to_province": "500000", "from_office": "7201", "to_office": "8000", "containers": ["CSQU3054383"]}
    coming = message("ZG0002", kind="transit", type="transit.opened", data=data)
    assert send(coming, secret=secret).status_code == 200
    make.officer(username="wang", name="王敏", offices=("8000",), duties=(Officer.Duty.RELEASE,))
    page = browser.page
    browser.log_in("wang")
    browser.open("/console/exchange/transits/")
    page.keyboard.press("n")
    page.wait_for_url("**/transits/new/")
    assert page.input_value("[name=from_office]") == "8000"
    page.fill("[name=number]", "ZG0001")
    page.select_option("[name=to_province]", "450000")
    page.fill("[name=to_office]", "7201")
    page.fill("[name=containers]", "CSQU3054380")
    page.click("#keep")
    page.wait_for_selector("#e-containers")
    look(browser, "exchange-transit-faults")
    page.fill("[name=containers]", "CSQU3054383")
    page.click("#keep")
    page.wait_for_selector("li.success")
    assert "ZG0001" in browser.text("#leaving")
    page.click("#coming button")
    page.wait_for_selector("#coming .chip.ok")
    look(browser, "exchange-transits")


def test_a_failed_delivery_is_retried_by_one_click_and_by_the_keyboard(browser: Browser, receiver) -> None:
    partner, hook = make_partner(), receiver(lambda received, nth: 500)
    endpoints.create(principal=principal_of(partner.organisation), url=hook.url, event_types=["*"])
    say("D1", data={"state": "x"})
    say("D2", data={"state": "x"})
    as_worker(deliver)
    make.officer(username="wang", name="王敏", duties=(Officer.Duty.EXCHANGE,))
    page = browser.page
    browser.log_in("wang")
    browser.open("/console/exchange/delivery/")
    look(browser, "exchange-deliveries")
    page.focus("#result_list button >> nth=0")
    page.keyboard.press("Enter")
    page.wait_for_selector("li.success")
    assert "/delivery/" in page.url
    as_worker(deliver)
    page.click("#result_list tbody th a >> nth=0")
    page.wait_for_selector("[data-key=r]")
    look(browser, "exchange-delivery")
    page.wait_for_load_state()
    page.keyboard.press("r")
    page.wait_for_selector("li.success")
    browser.open(f"/console/exchange/endpoints/{Endpoint.objects.get().pk}/")
    look(browser, "exchange-endpoint-failing")
    page.click("table.rows button >> nth=0")
    page.wait_for_selector("li.success")
    assert Event.objects.filter(type="webhook_endpoint.retried").count() == 3


def test_a_partners_page_shows_how_things_stand_and_where_it_is_changed(browser: Browser, receiver) -> None:
    partner = make_partner(secret=signing.new_secret(), base_url="https://api.example.com/api/v1")
    make_partner("520000")
    endpoints.create(
        principal=principal_of(partner.organisation), url=receiver(lambda a, n: 500).url, event_types=["*"]
    )
    say("D1", data={"state": "x"})
    as_worker(deliver)
    make.officer(username="wang", name="王敏", duties=(Officer.Duty.EXCHANGE,))
    made, _ = conformance.start(principal=principal_of(partner.organisation), url=receiver().url)
    as_worker(lambda: conformance.run(made.pk))
    page = browser.page
    browser.log_in("wang")
    browser.open("/console/exchange/partner/")
    look(browser, "exchange-partners")
    browser.open(f"/console/exchange/partner/{partner.pk}/change/")
    look(browser, "exchange-partner")
    page.keyboard.press("e")
    page.wait_for_url("**/connection/")
    look(browser, "exchange-partner-connection")
    page.click("#keep")
    page.wait_for_selector("li.success")
    page.wait_for_load_state()
    page.keyboard.press("s")
    page.wait_for_url("**/secret/")
    page.fill("[name=secret]", signing.new_secret())
    page.click("#keep")
    page.wait_for_selector("li.success")
    browser.open("/console/exchange/partners/450000/secret/")
    look(browser, "exchange-partner-secret")
    browser.open(f"/console/exchange/conformancerun/{made.pk}/change/")
    look(browser, "exchange-conformance")
