from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.core.management import call_command
from psycopg2.extras import DateRange

from parties.models import OrganisationRole
from parties.principals import Principal
from portfees.models import FeeItem, Parameter
from tests import make
from tests.browsing import browser, chromium  # noqa: F401


@pytest.fixture(autouse=True)
def reference(db) -> None:
    call_command("load_reference", verbosity=0)


@pytest.fixture
def parameters(db) -> None:
    since = DateRange(date(2020, 1, 1), None)
    for name, value in (("notice_days", 30), ("target_usd_per_container", 400)):
        Parameter.objects.create(name=name, value=value, basis="test", valid=since)


@pytest.fixture
def terminal(db):
    return make.organisation(OrganisationRole.TERMINAL)


@pytest.fixture
def authority(db):
    return make.organisation(OrganisationRole.PORT_AUTHORITY)


def principal(organisation) -> Principal:
    return Principal(actor="test", organisation_id=organisation.pk, roles=frozenset(organisation.roles))


def item(code: str = "LUMP", **details) -> FeeItem:
    return FeeItem(
        **{
            "code": code,
            "name_zh": "港口作业包干费",
            "service_content": "装卸、堆存",
            "payer": "consignee",
            "unit": "container",
            "rate": Decimal(500),
            "currency": "CNY",
            "tax_included": True,
            "pricing": "market",
            "mandatory": True,
            "tiers": [],
            "free_days_counted": "calendar",
        }
        | details
    )
