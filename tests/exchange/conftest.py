from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.db import connection, transaction

from events import log
from exchange import agreements, delivery, endpoints, fanout, partners
from exchange.models import Endpoint, Partner
from exchange.terms import Terms
from parties.models import OrganisationRole
from parties.principals import SYSTEM, Principal
from tests import make
from tests.browsing import browser, chromium  # noqa: F401
from tests.exchange.receiver import Receiver


@pytest.fixture(autouse=True)
def _loopback(settings) -> None:
    settings.EXCHANGE_ALLOW_NETWORKS = ["127.0.0.1/32"]


@pytest.fixture
def receiver() -> Iterator[Callable[..., Receiver]]:
    made: list[Receiver] = []

    def make_one(answer=None) -> Receiver:
        made.append(Receiver(answer))
        return made[-1]

    yield make_one
    for one in made:
        one.close()


def principal_of(organisation) -> Principal:
    return Principal(actor=f"client:{organisation.pk}", organisation_id=organisation.pk)


def say(number: str, *, type: str = "declaration.lodged", kind: str = "declaration", audience=(), data=None) -> None:
    with transaction.atomic():
        log.append(type=type, subject=(kind, number), actor="test", audience=audience, data=data or {})


def share() -> None:
    """Hand out what was said, without delivering it."""
    log.publish()
    while fanout.run():
        pass


def deliver(**options) -> int | None:
    """What the worker does, once."""
    return delivery.run(**{"linger": 0.1, "seconds": 20} | options)


@pytest.fixture
def subscribe():
    def one(organisation, url: str, event_types=("declaration.*",), **details) -> tuple[Endpoint, str]:
        return endpoints.create(principal=principal_of(organisation), url=url, event_types=list(event_types), **details)

    return one


def due_now() -> None:
    """As if the time of every next try had come."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE exchange_delivery SET ready_at = now() WHERE ready_at > now()")
        cursor.execute("UPDATE exchange_endpoint SET spared_until = NULL")


TERMS = {
    "kinds": ["declaration", "bill"],
    "types": ["declaration.*", "bill.*"],
    "fields": {"declaration.*": ["state", "port"], "bill.*": ["state", "holder_code", "containers"]},
}


def make_partner(code: str = "450000", *, out=TERMS, incoming=TERMS, **details) -> Partner:
    organisation = make.organisation(OrganisationRole.PARTNER_PROVINCE, province=code)
    partner = partners.connect(organisation=organisation, code=code, actor=SYSTEM, **details)
    if out:
        agreements.agree(partner=partner, direction="out", actor=SYSTEM, **out)
    if incoming:
        agreements.agree(partner=partner, direction="in", actor=SYSTEM, **incoming)
    return partner


def terms_of(partner: Partner) -> Terms:
    """What may be shared with it today."""
    agreement = agreements.in_force(partner.pk, "out")
    return agreement.terms() if agreement else Terms((), (), ())


@pytest.fixture
def partner(db) -> Partner:
    return make_partner()
