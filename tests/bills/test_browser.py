"""The public verification page of a bill in Chromium: in force, amended, unknown; both languages, on a phone and in the dark.
Screenshots go to var/screenshots/ for people to look at."""

from __future__ import annotations

from typing import Any

import pytest

from bills import exporting, issuing
from tests.bills.cast import issued
from tests.browsing import window
from tests.tariffs.test_browser import FAINT

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("browser")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_verification_page_tells_state_and_version_and_nothing_private(
    chromium: Any, live_server: Any, cast: Any, scheme: str
) -> None:
    bill = issued(cast)
    old = exporting.verification_url(bill).partition("/verify/")[2]
    cast.does("shipper", "SURRENDER_FOR_AMENDMENT", bill)
    content = bill.versions.get(number=1).content | {"clauses": ["said to contain"]}
    issuing.amend(number=bill.number, principal=cast.p("operator"), content=content)
    bill.refresh_from_db()
    new = exporting.verification_url(bill).partition("/verify/")[2]
    with window(chromium, live_server.url, viewport={"width": 390, "height": 844}, color_scheme=scheme) as browser:
        for name, path, zh, en in (
            ("in-force", new, "有效版本", "The version in force"),
            ("amended", old, "此版本已失效", "This version is no longer in force"),
        ):
            browser.open(f"/verify/{path}")
            assert zh in browser.text(".verdict")
            assert browser.page.evaluate(FAINT) == []
            browser.shot(f"bill-{name}-{scheme}-zh", full_page=True)
            browser.page.click("text=English")
            assert en in browser.text(".verdict")
            text = browser.text("body")
            assert bill.number in text
            for private in (cast.shipper.name, cast.operator.name, "CSQU3054383"):
                assert private not in text
            browser.shot(f"bill-{name}-{scheme}-en", full_page=True)
        answer = browser.page.request.get(f"{live_server.url}/verify/bills/{bill.number}/{'0' * 32}")
        assert answer.status == 404
        assert "请勿凭此件交付" in answer.text()
