"""The made-up organisations and people of the demonstration and of ``make run``. Everything here says it is an example;
production refuses to make it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import transaction
from oauth2_provider.models import Application

from parties import registration, scopes
from parties.models import ApiClient, Mandate, Officer, Organisation
from parties.models import OrganisationRole as Role
from tariffs import memos
from tariffs.models import Guarantee, PaymentChannel

PASSWORD = "corridor-demo"  # noqa: S105  a demonstration log-in, refused in production
#: What the example bank signs its payment reports with.
BANK_SECRET = "whsec_Y29ycmlkb3ItZGVtby1iYW5rLXNlY3JldA=="  # noqa: S105

#: Summaries of the example firm (两步申报) are picked up against it.
GUARANTEE = "DEMO-GUARANTEE"


@dataclass(frozen=True)
class Member:
    client_id: str
    name: str
    name_en: str
    roles: tuple[str, ...]
    social_credit_code: str | None = None
    customs_code: str | None = None
    province: str = "500000"


#: The firm and the broker are those of the DecMessage samples.
MEMBERS = (
    Member(
        "demo-firm", "示例进出口有限公司", "Example Import & Export Co.", (Role.TRADING_FIRM,),
        "91500000MA5U000023", "5001960002",
    ),
    Member(
        "demo-broker", "示例报关有限公司", "Example Customs Broker Co.", (Role.CUSTOMS_BROKER,),
        "91500000MA5U000010", "5001980001",
    ),
    Member("demo-shipper", "示例新加坡出口商", "Example Rubber Exporter (Singapore)", (Role.TRADING_FIRM,), province=""),
    Member("demo-carrier", "示例海运公司", "Example Shipping Line", (Role.CARRIER,)),
    Member("demo-railway", "示例铁路承运人", "Example Railway Carrier", (Role.CARRIER,)),
    Member("demo-terminal", "示例码头公司", "Example Terminal", (Role.TERMINAL, Role.CHARGING_BODY), province="450000"),
    Member(
        "demo-operator", "示例多式联运经营人", "Example Multimodal Operator", (Role.MULTIMODAL_OPERATOR, Role.CHARGING_BODY)
    ),
    Member("demo-bank", "示例银行", "Example Bank", (Role.BANK,)),
    Member("demo-port-authority", "示例口岸管理部门", "Example Port Authority", (Role.PORT_AUTHORITY,)),
    Member("demo-agency", "示例查验单位", "Example Inspection Agency", (Role.INSPECTION_AGENCY,)),
    Member("demo-customs", "示例海关", "Example Customs", (Role.CUSTOMS_OFFICE,)),
)  # fmt: skip

#: user name -> duties; all of them work for the Chongqing offices.
OFFICERS: dict[str, tuple[str, ...]] = {
    "examiner": (Officer.Duty.EXAMINATION, Officer.Duty.RELEASE),
    "inspector": (Officer.Duty.INSPECTION,),
    "risk": (Officer.Duty.RISK,),
    "tariff": (Officer.Duty.TARIFF, Officer.Duty.DUTIES),
    "exchange": (Officer.Duty.EXCHANGE,),
    "chief": tuple(Officer.Duty.values),
}
OFFICES = ("8000", "8001", "8003", "8005", "8006", "8008", "8010", "8011", "8013")


def _client(organisation: Organisation, client_id: str) -> None:
    application = Application(
        name=f"{organisation.name_en} (example)",
        client_id=client_id,
        client_secret=PASSWORD,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
    )
    application.save()
    ApiClient.objects.create(
        application=application, organisation=organisation, scopes=scopes.allowed_for(organisation.roles)
    )


@transaction.atomic
def assemble() -> dict[str, Organisation]:
    """Register whoever of the cast is missing; returns all of them by client id. Refused in production."""
    if settings.PRODUCTION:
        raise CommandError("the demonstration's organisations and log-ins are not for production")
    cast: dict[str, Organisation] = {}
    for member in MEMBERS:
        client = ApiClient.objects.select_related("organisation").filter(application__client_id=member.client_id)
        if found := client.first():
            cast[member.client_id] = found.organisation
            continue
        details: dict[str, Any] = {"name_en": member.name_en, "province": member.province}
        cast[member.client_id] = registration.register_organisation(
            name=member.name,
            roles=member.roles,
            social_credit_code=member.social_credit_code,
            customs_code=member.customs_code,
            **details,
        )
        _client(cast[member.client_id], member.client_id)
    if not Mandate.objects.filter(firm=cast["demo-firm"], broker=cast["demo-broker"]).exists():
        registration.give_mandate(
            firm_id=cast["demo-firm"].pk, broker_id=cast["demo-broker"].pk, valid_from=date(2026, 1, 1)
        )
    PaymentChannel.objects.get_or_create(
        code="demo-bank",
        defaults={"name": "示例银行", "organisation_id": cast["demo-bank"].pk, "secrets": [BANK_SECRET]},
    )
    if not Guarantee.objects.filter(number=GUARANTEE).exists():
        memos.open_guarantee(
            number=GUARANTEE, organisation_id=cast["demo-firm"].pk, amount=Decimal(10_000_000),
            valid_from=date(2026, 1, 1), last_day=None, summary=True, actor="demo",
        )  # fmt: skip
    for username, duties in OFFICERS.items():
        if not Officer.objects.filter(user__username=username).exists():
            registration.register_officer(
                username=username,
                password=PASSWORD,
                organisation=cast["demo-customs"],
                offices=OFFICES,
                duties=duties,
                since=date(2026, 1, 1),
                superuser=username == "chief",
            )
    return cast
