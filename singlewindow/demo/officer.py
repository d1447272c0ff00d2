"""An officer at the console, by the same forms and session as a browser."""

from __future__ import annotations

import http.cookiejar
import re
import urllib.error
import urllib.parse
import urllib.request

from singlewindow.demo.cast import PASSWORD
from singlewindow.demo.story import Demo


class Desk:
    """A console session: ``Desk(story, "examiner").press(number, "steps/allowed_in/")``."""

    def __init__(self, story: Demo, username: str) -> None:
        self.url, self.username = story.instance.url, username
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        self.get("login/")
        self.post("login/", username=username, password=PASSWORD, next="/console/")

    def get(self, path: str) -> str:
        with self.opener.open(f"{self.url}/console/{path}", timeout=60) as answer:
            return str(answer.read().decode())

    def post(self, path: str, **form: str) -> str:
        """Send a form of the console; returns the page it leads to. Raises AssertionError where it is refused."""
        token = next(one.value for one in self.cookies if one.name == "csrftoken")
        request = urllib.request.Request(  # noqa: S310
            f"{self.url}/console/{path}",
            urllib.parse.urlencode({"csrfmiddlewaretoken": token, **form}).encode(),
            {"Referer": f"{self.url}/console/"},
        )
        try:
            with self.opener.open(request, timeout=60) as answer:
                page = str(answer.read().decode())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{self.username} at {path}: {error.code}") from error
        if refused := re.search(r'<li class="error">(.*?)</li>', page, re.S):
            raise AssertionError(f"{self.username} at {path}: {refused[1]}")
        return page

    def press(self, number: str, button: str, **form: str) -> str:
        """A button on the page of a declaration."""
        self.get(f"declarations/{number}/")
        return self.post(f"declarations/{number}/{button}", **form)
