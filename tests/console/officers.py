"""Officers at work in the console."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from declarations.models import Declaration
from parties.models import Officer
from tests import make

ALL = tuple(Officer.Duty.values)


class Desk:
    """A console session: ``Desk(duties=("release",)).decide(declaration, "release")``."""

    def __init__(self, duties: tuple[str, ...] = ALL, offices: tuple[str, ...] = ("8000",), **details: Any) -> None:
        self.officer = make.officer(offices=offices, duties=duties, **details)
        self.http = Client()
        self.http.force_login(self.officer.user)

    @property
    def actor(self) -> str:
        return f"officer:{self.officer.user.username}"

    def get(self, name: str, /, *args: Any, **query: Any) -> HttpResponse:
        return self.http.get(reverse(f"admin:{name}", args=args), query)

    def post(self, name: str, /, *args: Any, follow: bool = True, **form: Any) -> HttpResponse:
        return self.http.post(reverse(f"admin:{name}", args=args), form, follow=follow)

    def page(self, declaration: Declaration, **query: Any) -> str:
        return self.get("declaration", declaration.unified_number, **query).content.decode()

    def decide(self, declaration: Declaration, command: str, etag: str | None = None, **form: Any) -> HttpResponse:
        form = {"etag": declaration.etag if etag is None else etag} | form
        return self.post("decide", declaration.unified_number, command, **form)
