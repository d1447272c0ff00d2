"""What every step of the demonstration has at hand: HTTP as each member of the cast, waiting for a fact, printing."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from singlewindow.demo.cast import PASSWORD
from singlewindow.processes import Instance


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    raw: bytes

    def json(self) -> Any:
        return json.loads(self.raw)


@dataclass
class Demo:
    """The running instance and the tokens fetched so far."""

    instance: Instance
    tokens: dict[str, str] = field(default_factory=dict)
    #: What steps leave for later ones: "import" -> declaration number, ...
    remembered: dict[str, Any] = field(default_factory=dict)

    def title(self, text: str) -> None:
        print(f"\n\033[1m== {text}\033[0m" if _colour() else f"\n== {text}")

    def say(self, text: str) -> None:
        print(f"   {text}", flush=True)

    def token(self, client_id: str) -> str:
        if client_id not in self.tokens:
            form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": PASSWORD}
            answer = self.request("POST", "/api/v1/oauth/token", urllib.parse.urlencode(form).encode(),
                                  content_type="application/x-www-form-urlencoded")  # fmt: skip
            self.tokens[client_id] = answer.json()["access_token"]
        return self.tokens[client_id]

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        as_: str | None = None,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
        expect: int | tuple[int, ...] | None = (200, 201, 202, 204),
    ) -> Answer:
        """Send a request as a member of the cast. Raises AssertionError on a status that is not expected."""
        sent = {"Accept-Language": "en", "Content-Type": content_type, **(headers or {})}
        if as_:
            sent["Authorization"] = f"Bearer {self.token(as_)}"
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.instance.url + path, data, sent, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                result = Answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            result = Answer(error.code, dict(error.headers), error.read())
        expected = (expect,) if isinstance(expect, int) else expect
        if expected is not None and result.status not in expected:
            raise AssertionError(f"{method} {path} answered {result.status}: {result.raw.decode(errors='replace')}")
        return result

    def get(self, path: str, **options: Any) -> Any:
        return self.request("GET", path, **options).json()

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        return self.request("POST", path, body, **options).json()

    def until(self, what: str, probe: Callable[[], Any], timeout: float = 30.0) -> Any:
        """Ask ``probe`` until it answers something true. Raises AssertionError after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if found := probe():
                return found
            time.sleep(0.1)
        raise AssertionError(f"still waiting for: {what}")


def _colour() -> bool:
    import sys

    return sys.stdout.isatty()
