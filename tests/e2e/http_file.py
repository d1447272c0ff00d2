"""Reads and runs a ``.http`` file: as much of the format as HTTP clients of editors agree on.

``@name = value`` variables, ``###`` between requests, ``# @name x`` to refer to an answer later
(``{{x.response.body.$.a[0].b}}``, ``{{x.response.headers.ETag}}``), ``{{$guid}}``, ``< ./file`` as body, and ours:
``# expect 201`` (or ``# expect 201 202``)."""

from __future__ import annotations

import re
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path

import orjson


@dataclass
class Request:
    title: str
    line: int
    name: str = ""
    expect: tuple[int, ...] = ()
    method: str = ""
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass
class Answer:
    status: int
    headers: Message
    body: bytes


def parse(text: str) -> tuple[dict[str, str], list[Request]]:
    variables: dict[str, str] = {}
    requests: list[Request] = []
    current: Request | None = None
    in_body = False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("###"):
            current, in_body = Request(line.strip("# "), number), False
            requests.append(current)
        elif current is None:
            if match := re.fullmatch(r"@(\w+)\s*=\s*(.*)", line):
                variables[match[1]] = match[2].strip()
        elif in_body:
            current.body += line + "\n"
        elif line.startswith("#"):
            if match := re.fullmatch(r"#\s*@name\s+(\w+)", line):
                current.name = match[1]
            elif match := re.fullmatch(r"#\s*expect\s+([\d ]+)", line):
                current.expect = tuple(int(status) for status in match[1].split())
        elif not line.strip():
            in_body = bool(current.method)
        elif not current.method:
            current.method, current.url = line.split(maxsplit=1)
        else:
            name, _, value = line.partition(":")
            current.headers[name.strip()] = value.strip()
    return variables, requests


class Session:
    def __init__(self, path: Path, **variables: str) -> None:
        self.path = path
        given, self.requests = parse(path.read_text(encoding="utf-8"))
        self.variables = given | variables
        self.answers: dict[str, Answer] = {}

    def run(self) -> Iterator[tuple[Request, Answer]]:
        for request in self.requests:
            answer = self.send(request)
            if request.name:
                self.answers[request.name] = answer
            yield request, answer

    def send(self, request: Request) -> Answer:
        body = self.fill(request.body.strip())
        data = (self.path.parent / body[1:].strip()).read_bytes() if body.startswith("< ") else body.encode()
        url = urllib.parse.quote(self.fill(request.url), safe=":/?&=%#,+")
        sent = urllib.request.Request(  # noqa: S310
            url,
            data or None,
            {name: self.fill(value) for name, value in request.headers.items()},
            method=request.method,
        )
        try:
            with urllib.request.urlopen(sent, timeout=60) as answer:  # noqa: S310
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())

    def fill(self, text: str) -> str:
        return re.sub(r"\{\{(.+?)\}\}", lambda match: self.value(match[1].strip()), text)

    def value(self, expression: str) -> str:
        if expression in ("$guid", "$uuid"):
            return str(uuid.uuid4())
        if expression in self.variables:
            return self.fill(self.variables[expression])
        name, _, rest = expression.partition(".response.")
        answer = self.answers[name]
        if rest.startswith("headers."):
            return str(answer.headers[rest.removeprefix("headers.")])
        value = orjson.loads(answer.body)
        for key, index in re.findall(r"\.(\w+)|\[(\d+)\]", rest.removeprefix("body.$")):
            value = value[key] if key else value[int(index)]
        return str(value)
