"""Chromium for tests: one browser a module, one window a test. Screenshots go to var/screenshots/ for people to look at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHROMIUM

SHOTS = Path(__file__).parents[1] / "var" / "screenshots"
ARGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

#: Text cut off by its box where it was not meant to be.
CLIPPED = """() => [...document.querySelectorAll("main *, .top *, .side *")].filter((node) => {
  const style = getComputedStyle(node);
  return style.overflowX === "hidden" && style.textOverflow !== "ellipsis" && node.clientWidth > 0
    && node.scrollWidth > node.clientWidth + 1;
}).map((node) => node.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    # Playwright's synchronous interface runs an event loop in this thread, which Django would take for async code.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield browser
        browser.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


class Browser:
    """One officer's window."""

    def __init__(self, page: Any, base: str) -> None:
        self.page, self.base = page, base
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._local_only)

    def _local_only(self, request: Any) -> None:
        # chrome…: the browser's own viewer of PDF files
        if not request.url.startswith((self.base, "data:", "blob:", "chrome:", "chrome-extension:")):
            self.complaints.append(f"not local: {request.url}")

    def open(self, path: str) -> None:
        self.page.goto(self.base + path)

    def log_in(self, username: str) -> None:
        self.open("/console/")
        self.page.fill("#id_username", username)
        self.page.fill("#id_password", "a-long-password")
        self.page.click("button.main")
        self.page.wait_for_selector("#user-tools")

    def shot(self, name: str, **options: Any) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(SHOTS / f"{name}.png"), **options)
        assert self.page.evaluate(CLIPPED) == []
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} scrolls sideways"

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)


@pytest.fixture
def browser(chromium: Any, live_server: Any) -> Iterator[Browser]:
    with window(chromium, live_server.url) as opened:
        yield opened


@contextmanager
def window(chromium: Any, base: str, **options: Any) -> Iterator[Browser]:
    """A window of its own; what the browser complains of fails the test."""
    options = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", "reduced_motion": "reduce"} | options
    context = chromium.new_context(**options)
    opened = Browser(context.new_page(), base)
    yield opened
    context.close()
    assert not opened.complaints, opened.complaints
