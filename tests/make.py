"""Builds states the way the system reaches them: through its commands."""

from __future__ import annotations

import hashlib
import itertools
import secrets
from datetime import date, timedelta
from typing import Any

import orjson
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import AccessToken
from stdnum.cn import uscc

from events.models import Event
from parties import registration
from parties.models import ApiClient, Mandate, Officer, Organisation, OrganisationRole
from singlewindow import relay

_serial = itertools.count(1)


def credit_code(serial: int | None = None) -> str:
    """A valid, made-up unified social credit code of Chongqing."""
    stem = f"91500000MA{(serial if serial is not None else next(_serial)):07d}"
    return stem + uscc.calc_check_digit(stem)


def organisation(role: str, **details: Any) -> Organisation:
    serial = next(_serial)
    return registration.register_organisation(
        **{
            "name": f"{OrganisationRole(role).label} {serial}",
            "roles": [role],
            "social_credit_code": credit_code(serial),
            "customs_code": f"50019{serial:05d}",
        }
        | details
    )


def firm(**details: Any) -> Organisation:
    return organisation(OrganisationRole.TRADING_FIRM, **details)


def broker(**details: Any) -> Organisation:
    return organisation(OrganisationRole.CUSTOMS_BROKER, **details)


def mandate(firm: Organisation, broker: Organisation, **details: Any) -> Mandate:
    return registration.give_mandate(
        **{"firm_id": firm.pk, "broker_id": broker.pk, "valid_from": date(2020, 1, 1)} | details
    )


def officer(
    offices: tuple[str, ...] = ("8000", "8001", "8010"),
    duties: tuple[str, ...] = tuple(Officer.Duty.values),
    **details: Any,
) -> Officer:
    serial = next(_serial)
    office = organisation(OrganisationRole.CUSTOMS_OFFICE, name=f"重庆海关 {serial}", social_credit_code=None)
    return registration.register_officer(
        **{
            "username": f"officer{serial}",
            "password": "a-long-password",
            "organisation": office,
            "offices": offices,
            "duties": duties,
            "since": date(2020, 1, 1),
        }
        | details
    )


def token(organisation: Organisation, scopes: list[str] | None = None, *, expired: bool = False) -> str:
    """A bearer token of a new client of ``organisation``."""
    client, _ = registration.register_client(organisation=organisation, name=f"client {next(_serial)}", scopes=scopes)
    return token_of(client, expired=expired)


def token_of(client: ApiClient, *, expired: bool = False) -> str:
    value = secrets.token_urlsafe(30)
    AccessToken.objects.create(
        token=value,
        application=client.application,
        scope=" ".join(client.scopes),
        expires=timezone.now() + timedelta(hours=-1 if expired else 1),
    )
    assert AccessToken.objects.filter(token_checksum=hashlib.sha256(value.encode()).hexdigest()).exists()
    return value


class Api:
    """An HTTP client of one organisation: ``Api(firm).post("/api/v1/…", {...})``."""

    def __init__(self, organisation: Organisation | None = None, scopes: list[str] | None = None) -> None:
        self.organisation = organisation
        self.http = Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {token(organisation, scopes)}"} if organisation else {}

    def request(self, method: str, path: str, body: Any = None, **options: Any) -> HttpResponse:
        headers = self.headers | options.pop("headers", {})
        content_type = options.pop("content_type", "application/json")
        if body is not None and not isinstance(body, bytes):
            body = orjson.dumps(body)
        return self.http.generic(method, path, body or b"", content_type=content_type, headers=headers, **options)

    def get(self, path: str, **options: Any) -> HttpResponse:
        return self.request("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> HttpResponse:
        return self.request("POST", path, body, **options)

    def put(self, path: str, body: Any = None, **options: Any) -> HttpResponse:
        return self.request("PUT", path, body, **options)

    def patch(self, path: str, body: Any = None, **options: Any) -> HttpResponse:
        return self.request("PATCH", path, body, **options)

    def delete(self, path: str, **options: Any) -> HttpResponse:
        return self.request("DELETE", path, **options)


def events_of(kind: str, number: str) -> list[str]:
    """The types of a subject's events, in order."""
    return list(
        Event.objects.filter(subject_kind=kind, subject_number=number)
        .order_by("sequence")
        .values_list("type", flat=True)
    )


def settle(rounds: int = 20) -> None:
    """Do in this process what relay and workers would do, until nothing is left: publish, then run every hinted task.

    Only the transport is left out; tests/e2e runs the same with real workers."""
    from events import log
    from singlewindow.celery import app

    app.loader.import_default_modules()
    for _ in range(rounds):
        log.publish()
        todo: list[tuple[str, list[dict[str, Any]]]] = []
        moved = log.follow("relay", lambda events: todo.extend(relay.hints(events).items()))  # noqa: B023
        for name, items in todo:
            app.tasks[name](items)
        if not moved:
            return
    raise AssertionError("the system does not settle: events keep producing events")
