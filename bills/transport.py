"""HTTP to another platform's PINT API: explicit timeouts, no redirects, a bearer token where that platform wants one."""

from __future__ import annotations

from typing import Any

import requests

from bills import keys
from bills.canonical import NotCanonical, parse
from bills.departing import Reply
from bills.models import Platform

TIMEOUT = (5, 30)
#: Answers are a JWS or a short object; more is not read.
LONGEST_ANSWER = 1024 * 1024


class HttpPeer:
    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.session = requests.Session()
        self.session.headers.update({"Content-Type": "application/json", "API-Version": "3"})
        self._token = ""

    def _authorise(self) -> None:
        if self._token or not self.platform.token_url:
            return
        secret = keys.unseal(bytes(self.platform.client_secret or b""), self.platform.code).decode()
        answer = requests.post(
            self.platform.token_url,
            data={"grant_type": "client_credentials"},
            auth=(self.platform.client_id, secret),
            timeout=TIMEOUT,
            allow_redirects=False,
        )
        answer.raise_for_status()
        self._token = str(answer.json()["access_token"])
        self.session.headers["Authorization"] = f"Bearer {self._token}"

    def _call(self, method: str, path: str, body: bytes) -> Reply:
        try:
            self._authorise()
            with self.session.request(
                method, self.platform.base_url + path, data=body, timeout=TIMEOUT, allow_redirects=False, stream=True
            ) as answer:
                text = answer.raw.read(LONGEST_ANSWER, decode_content=True)
                return Reply(answer.status_code, _decoded(text))
        except (requests.RequestException, KeyError, ValueError) as error:
            raise OSError(f"{type(error).__name__}: {error}") from error

    def post(self, path: str, body: bytes) -> Reply:
        return self._call("POST", path, body)

    def put(self, path: str, body: bytes) -> Reply:
        return self._call("PUT", path, body)


def _decoded(text: bytes) -> Any:
    try:
        return parse(text) if text else None
    except NotCanonical:
        return None


def connect(platform: Platform) -> HttpPeer:
    return HttpPeer(platform)
