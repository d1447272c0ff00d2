"""The office of declaration decides; that of entry or exit (7200 here) sees a declaration and has its goods inspected."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from clearance import duties, duty_desk, release, requests
from clearance.models import ChangeRequest
from common.problems import Problem
from declarations.models import Declaration
from events.models import Event
from parties.principals import Principal
from tariffs.models import DutyMemo, StoredAssessment
from tests import make
from tests.clearance import states
from tests.clearance.test_duties import lodged, worked_example

pytestmark = pytest.mark.django_db


@pytest.fixture
def border(db):
    return make.officer(offices=("7200",))


def refused(command: Any, principal: Principal, **call: Any) -> bool:
    """Whether it is refused as another office's, and leaves nothing in the log."""
    before = Event.objects.count()
    with pytest.raises(Problem) as caught:
        command(principal=principal, **call)
    return (caught.value.status, caught.value.code) == (403, "not-your-office") and Event.objects.count() == before


@pytest.mark.parametrize("approve", [True, False])
@pytest.mark.parametrize("kind", ["withdraw", "amend"])
def test_what_a_declarant_asks_for_after_acceptance_is_for_the_office_of_declaration(border, kind, approve):
    """Customs Law art. 26: changed only as customs allows."""
    declaration = states.declared()
    asked = requests.ask(
        number=declaration.unified_number, kind=kind, reason="x",
        message=declaration.message | {"contract_number": "HT-2"} if kind == "amend" else None,
        principal=make.principal(declaration.firm),
    )  # fmt: skip
    assert refused(requests.decide, make.officer_principal(border), pk=asked.pk, approve=approve)
    assert ChangeRequest.objects.get().state == "pending"
    declaration.refresh_from_db()
    assert (declaration.state, declaration.version) == ("accepted", 1)
    requests.decide(pk=asked.pk, approve=approve, principal=make.officer_principal(make.officer(offices=("8000",))))
    assert ChangeRequest.objects.get().state == ("approved" if approve else "refused")


def test_what_risk_sends_to_an_officer_is_looked_at_by_the_office_of_declaration(border):
    states.rule(action="review")
    declaration = states.declared()
    assert states.proceed(declaration) == "accepted"
    assert refused(release.review, make.officer_principal(border), number=declaration.unified_number)
    here = make.officer_principal(make.officer(offices=("8000",)))
    assert release.review(number=declaration.unified_number, principal=here).reviewed_at is not None


@pytest.mark.parametrize(
    ("command", "call"),
    [
        (duty_desk.pay_by_hand, {"reference": "R-1"}),
        (duty_desk.give_back_by_hand, {"reference": "T-1"}),
        (duty_desk.override, {"changes": {"1": {"rate": "10%"}}, "reason": "x", "version": 1}),
        (duty_desk.secure, {"guarantee": "G1"}),
        (duties.settle_by_hand, {"reason": "x"}),
    ],
)
def test_the_office_of_declaration_sees_to_the_duties(firm, border, command, call):
    make.tariff()
    number = lodged(firm, worked_example(firm, border_customs_office="7200")).unified_number
    assert refused(command, make.officer_principal(border), number=number, **call)
    assert list(DutyMemo.objects.values_list("state", flat=True)) == ["open"]
    assert StoredAssessment.objects.count() == 1


def test_the_page_of_a_declaration_offers_its_decisions_to_the_office_of_declaration_alone(client, firm, border):
    make.tariff()
    states.rule(action="review")
    number = lodged(firm, worked_example(firm, border_customs_office="7200")).unified_number
    make.settle()
    message = Declaration.objects.get().message | {"contract_number": "HT-2"}
    asked = requests.ask(number=number, kind="amend", reason="x", message=message, principal=make.principal(firm))
    addresses = [
        reverse("admin:decide_request", args=[number, asked.pk]),
        reverse("admin:review", args=[number]),
        reverse("admin:see_to_duties", args=[number, "pay"]),
    ]
    for officer, offered in ((make.officer(offices=("8000",)), True), (border, False)):
        client.force_login(officer.user)
        page = client.get(reverse("admin:declaration", args=[number])).content.decode()
        assert [address in page for address in addresses] == [offered] * 3
