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

from declarations import decisions, lodgement
from declarations.models import Declaration
from events.models import Event
from parties import authentication, registration, scopes
from parties.models import ApiClient, Mandate, Officer, Organisation, OrganisationRole
from parties.principals import SYSTEM, Principal
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


def message(
    organisation: Organisation,
    *,
    items: int = 1,
    direction: str = "I",
    lodger: Organisation | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """A faultless declaration of ``organisation``, as JSON; ``lodger`` is the declarant named where it is another."""
    serial = next(_serial)
    declarant = lodger or organisation
    goods = [
        {
            "item_number": number,
            "commodity_code": "3902100090",
            "goods_name": "聚丙烯",
            "specification": "4|3|粒状",
            "quantity": "20000.00000",
            "quantity_unit": "035",
            "first_statutory_quantity": "20000.00000",
            "first_statutory_unit": "035",
            "unit_price": "1.1000",
            "invoice_amount": "22000.0000",
            "invoice_currency": "USD",
            "origin_country": "SGP" if direction == "I" else "CHN",
            "destination_country": "CHN" if direction == "I" else "SGP",
            "domestic_district": "50019",
            "duty_mode": "1",
        }
        for number in range(1, items + 1)
    ]
    made: dict[str, Any] = {
        "direction": direction,
        "oper": "declare",
        "client_reference": f"CQ{serial:016d}",
        "document_type": "  0   ",
        "declarant_code": declarant.customs_code,
        "declarant_name": declarant.name,
        "declarant_credit_code": declarant.social_credit_code,
        "preparer_code": declarant.customs_code,
        "preparer_name": declarant.name,
        "domestic_party_code": organisation.customs_code,
        "domestic_party_name": organisation.name,
        "domestic_party_credit_code": organisation.social_credit_code,
        "owner_name": organisation.name,
        "owner_credit_code": organisation.social_credit_code,
        "overseas_consignor_foreign_name": "EXAMPLE PTE LTD",
        "overseas_consignee_foreign_name": "EXAMPLE PTE LTD",
        "customs_office": "8000",
        "border_customs_office": "7200",
        "customs_procedure": "0110",
        "levy_nature": "101",
        "entry_type": "M",
        "data_source": "1",
        "declaration_flag": "1",
        "contract_number": f"HT-{serial}",
        "transport_document_number": f"BL{serial}",
        "transport_mode": "2",
        "transport_means": "SYN VESSEL",
        "voyage_number": "001N",
        "border_crossing_date": "2026-11-20" if direction == "I" else "",
        "trade_terms": "1" if direction == "I" else "3",
        "package_count": 400,
        "package_type": "22",
        "gross_weight": "20500.00000",
        "net_weight": "20000.00000",
        "trading_country": "SGP",
        "departure_arrival_country": "SGP",
        "call_or_destination_port": "SGP000",
        "border_port": "450702",
        "goods_location": "示例堆场",
        "marks_and_numbers": "N/M",
        "typist_card_number": "0000000000000",
        "typist_name": "测试员",
        "declarant_person_name": "测试员",
        "transit_relation": "0",
        "price_confirmations": "00000",
        "goods_items": goods,
        "containers": [
            {"container_number": "CSQU3054383", "container_type": "11", "item_numbers": "1", "shared_load": "0"}
        ],
    }
    if direction == "I":
        made["departure_port"] = "SGP000"
        made["departure_date"] = "2026-11-10"
    return made | changes


def principal(organisation: Organisation) -> Principal:
    """``organisation`` as the caller of a command."""
    return Principal(
        actor=f"client:{organisation.pk}",
        organisation_id=organisation.pk,
        organisation_name=organisation.name,
        roles=frozenset(organisation.roles),
        scopes=frozenset(scopes.allowed_for(organisation.roles)),
    )


def officer_principal(officer: Officer | None = None) -> Principal:
    """An officer as the caller of a command."""
    found = authentication.officer_principal((officer or make_officer()).user)
    assert found is not None
    return found


make_officer = officer


def declaration(
    organisation: Organisation | None = None,
    state: str = "lodged",
    *,
    lodger: Organisation | None = None,
    **changes: Any,
) -> Declaration:
    """A declaration in ``state``, brought there by commands."""
    organisation = organisation or firm()
    if state == "draft":
        changes["oper"] = "save"
    made = lodgement.lodge(message(organisation, lodger=lodger, **changes), principal(lodger or organisation))
    number = made.unified_number
    way: dict[str, list[tuple[str, str]]] = {
        "draft": [],
        "lodged": [],
        "under_review": [("review", "")],
        "accepted": [("accept", "")],
        "rejected": [("reject", "checks-failed")],
        "returned": [("return", "checks-failed")],
        "held": [("accept", ""), ("hold", "risk-analysis")],
        "under_inspection": [("accept", ""), ("inspect", "")],
        "released": [("accept", ""), ("release", "examined")],
        "cleared": [("accept", ""), ("release", "examined"), ("clear", "")],
        "withdrawn": [],
    }
    for command, reason in way[state]:
        decisions.decide(number=number, command=command, principal=SYSTEM, reason_code=reason)
    if state == "withdrawn":
        lodgement.withdraw(number=number, reason="made for a test", principal=principal(lodger or organisation))
    return Declaration.objects.get(unified_number=number)


def tariff() -> None:
    """The example tariff, with its calendar, parameters, regimes, origins and exchange rates."""
    from tariffs import example, lookup
    from tariffs.models import Version

    lookup.forget()
    if not Version.objects.exists():
        example.load_example(actor="tests")
    lookup.forget()


def assessment_request(**changes: Any) -> Any:
    """What is asked for one everyday import of the example tariff."""
    from tariffs.inputs import from_json

    item = {"code": "8509801000", "total": "22000", "currency": "USD", "origin": "DEU"} | changes.pop("item", {})
    return from_json(
        {
            "completed_on": "2026-10-12",
            "trade_terms": "3",
            "freight": {"mark": "3", "value": "1200", "currency": "USD"},
            "insurance": {"mark": "1", "value": "0.3"},
            "items": [item],
        }
        | changes
    )
