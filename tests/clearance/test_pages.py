"""The public pages in Chromium: the time line on a phone and on a desk, a port paper behind its QR code, and its print."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from cargo import places
from clearance import gates, papers, tracking
from tests import make
from tests.browsing import SHOTS, window
from tests.cargo.cargo_make import acting_for, container
from tests.clearance import states

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("browser"),
]

SIZES = {"phone": {"width": 360, "height": 740}, "desk": {"width": 1440, "height": 900}}
LONG = "重庆渝新欧国际铁路联运进出口贸易有限责任公司（示例）"

#: Contrast of every text against the background it stands on, below WCAG's 4.5.
FAINT = r"""() => {
  const parse = (text) => (text.match(/[\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    if (![...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim())) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(ground(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${node.outerHTML.slice(0, 80)}`);
  }
  return found;
}"""


def through() -> tuple[Any, str, Any]:
    """An import that left by the gate, of a firm with a long name."""
    places.load()
    carrier = states.carrier()
    box = container()
    goods = states.goods(carrier, "BLPAGE-2026-000000000000000001", boxes=[box])
    declaration = states.declared(goods, firm=make.firm(name=LONG))
    states.proceed(declaration)
    gates.record(
        message_id="G1", container=box, move="GTOT", fullness="LADEN", place="QZHDL", at=timezone.now(),
        principal=acting_for(carrier),
    )  # fmt: skip
    return declaration, box, acting_for(carrier)


@pytest.mark.parametrize(
    ("size", "language", "scheme"),
    [("phone", "zh", "light"), ("phone", "en", "dark"), ("desk", "zh", "dark"), ("desk", "en", "light")],
)
def test_the_time_line_is_read_on_a_phone_and_on_a_desk(
    chromium: Any,
    live_server: Any,
    size: str,
    language: str,
    scheme: str,
) -> None:
    declaration, box, _ = through()
    link = tracking.share(box, hours=1, principal=make.principal(declaration.firm))
    options: dict[str, Any] = {"viewport": SIZES[size], "color_scheme": scheme}
    if size == "phone":
        options |= {"is_mobile": True, "has_touch": True}
    with window(chromium, live_server.url, **options) as browser:
        page = browser.page
        browser.open("/track/" + ("?lang=en" if language == "en" else "?lang=zh"))
        page.fill("input[name=reference]", box)
        page.click("form button")
        page.wait_for_selector("ol li")
        released = "Released by customs" if language == "en" else "海关放行"
        assert released in browser.text("ol")
        assert LONG not in browser.text("main"), "milestones only"
        assert page.evaluate(FAINT) == []
        browser.shot(f"track-{size}-{language}-{scheme}", full_page=True)
        browser.open(f"/track/{box}?lang={language}&share={link['token']}")
        assert page.locator("ol li .who").count() > 0
        browser.shot(f"track-shared-{size}-{language}-{scheme}", full_page=True)
        # The other language is a tap away and keeps the link's rights.
        page.click("header a")
        page.wait_for_selector("html[lang=zh-Hans] .who" if language == "en" else "html[lang=en] .who")
        assert ("海关放行" if language == "en" else "Released by customs") in browser.text("ol")


def test_an_unknown_reference_and_an_old_link_are_told_plainly(chromium: Any, live_server: Any) -> None:
    _, box, _ = through()
    with window(chromium, live_server.url, viewport=SIZES["phone"]) as browser:
        browser.open("/track/?reference=NOTHING&lang=en")
        assert browser.page.locator("[role=alert]").count() == 1
        browser.shot("track-unknown")
        browser.open(f"/track/{box}?share=forged")
        assert browser.page.locator("ol li").count() == 0
        # the browser reports the statuses themselves
        assert [re.sub(r".*status of (\d+).*", r"\1", one) for one in browser.complaints] == ["404", "403"]
        browser.complaints.clear()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_papers_code_leads_to_its_verification(
    chromium: Any, live_server: Any, caplog: pytest.LogCaptureFixture, language: str
) -> None:
    declaration, box, principal = through()
    goods = declaration.case.consignment
    eir = papers.issue(kind="EIR", container=box, content={"condition": "SOUND", "damage": "无"}, principal=principal)
    clp = papers.issue(
        kind="CLP", consignment_id=goods.pk, container=box, principal=principal,
        content={"vgm": "24500", "vgm_method": "1", "seal": "CN123456", "signed_by": "王敏"},
    )  # fmt: skip
    order = papers.issue(
        kind="DO", consignment_id=goods.pk, principal=principal,
        content={"consignee": LONG, "free_until": "2026-12-01", "pickup_code": "8862", "remarks": "请凭身份证提货"},
    )  # fmt: skip
    for paper in (eir, clp, order):
        made = papers.pdf(paper, language)
        _print(made, f"paper-{paper.kind}-{language}")
    assert "missing the following glyphs" not in caplog.text
    with window(chromium, live_server.url, viewport=SIZES["phone"]) as browser:
        browser.open(f"/papers/{order.code}?lang={language}")
        assert ("Genuine and in force" if language == "en" else "真实且有效") in browser.text("[role=status]")
        assert order.number in browser.text("table")
        assert browser.page.evaluate(FAINT) == []
        browser.shot(f"paper-{language}", full_page=True)
        papers.cancel(number=order.number, principal=principal)
        browser.page.reload()
        assert ("cancelled" if language == "en" else "已作废") in browser.text("[role=status]")
        browser.shot(f"paper-cancelled-{language}", full_page=True)


def _print(made: bytes, name: str) -> None:
    """Keep the PDF beside the screenshots, and a picture of it where the tool is there."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    path = Path(SHOTS / f"{name}.pdf")
    path.write_bytes(made)
    if tool := shutil.which("pdftoppm"):
        subprocess.run([tool, "-png", "-r", "70", "-singlefile", path, path.with_suffix("")], check=True)
