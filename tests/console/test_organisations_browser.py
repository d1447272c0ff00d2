"""Setting the house up in Chromium. Screenshots go to var/screenshots/ for people to look at."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model

from parties.models import ApiClient, Organisation
from tests import make
from tests.browsing import Browser
from tests.tariffs.test_browser import FAINT

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("browser")]


def look(browser: Browser, name: str) -> None:
    browser.shot(name, full_page=True)
    assert browser.page.evaluate(FAINT) == []


def test_a_firm_is_registered_given_a_client_and_suspended(browser: Browser) -> None:
    get_user_model().objects.create_superuser(username="house", password="a-long-password")
    page = browser.page
    browser.log_in("house")
    browser.open("/console/parties/organisation/")
    page.keyboard.press("n")
    page.wait_for_url("**/organisations/new/")
    page.fill("[name=name]", "重庆新企业有限公司")
    page.fill("[name=social_credit_code]", "91500000MA0000001X")
    page.click("#keep")
    page.wait_for_selector("#e-roles")
    assert page.input_value("[name=name]") == "重庆新企业有限公司"
    look(browser, "organisation-form")
    page.fill("[name=social_credit_code]", make.credit_code())
    page.check("[name=roles][value=trading_firm]")
    page.click("#keep")
    page.wait_for_url("**/parties/organisation/*/change/")
    firm = Organisation.objects.get(name="重庆新企业有限公司")
    page.keyboard.press("n")
    page.wait_for_url("**/clients/new/")
    page.fill("[name=name]", "ERP")
    look(browser, "client-form")
    page.click("#keep")
    page.wait_for_selector("#secret")
    look(browser, "client-secret")
    assert page.url.endswith(f"/console/parties/apiclient/{ApiClient.objects.get(organisation=firm).pk}/change/")
    browser.open(f"/console/parties/organisation/{firm.pk}/change/")
    page.click("[data-dialog=ask-standing]")
    page.fill("#reason", "走私")
    look(browser, "organisation-suspend")
    page.click("#ask-standing button.main")
    page.wait_for_selector("button.good[data-dialog=ask-standing]")
    look(browser, "organisation-suspended")
    firm.refresh_from_db()
    assert firm.suspended_since is not None
