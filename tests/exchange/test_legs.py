"""A leg of one bill in another province: reported where it happened, known where the bill was issued."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from bills import journey
from events import log
from events.models import Event
from exchange import endpoints, legs, signing
from parties.models import Organisation, OrganisationRole
from tests import make
from tests.bills import cast as bills_cast
from tests.exchange.conftest import deliver, make_partner, principal_of
from tests.exchange.test_inbox import message, send
from tests.exchange.test_standards import faults
from tests.make import events_of

pytestmark = pytest.mark.django_db(transaction=True)

SHARED = {
    "kinds": ["bill", "bill_leg"],
    "types": ["bill.*", "bill_leg.*"],
    "fields": {
        "bill.*": ["state", "containers"],
        "bill_leg.*": ["province", "bill_number", "leg", "place", "container"],
    },
}
PATH = "/api/v1/exchange/bill-legs"


@pytest.fixture
def secret() -> str:
    """Of a partner (520000) that shares bills and legs with us, and we with it."""
    made = signing.new_secret()
    make_partner("520000", secret=made, incoming=SHARED, out=SHARED)
    return made


def mirrored(secret: str, number: str = "GZ1", *, seq: int = 1, **data: Any) -> None:
    told = message(number, seq, kind="bill", type="bill.issued", data=data)
    assert send(told, code="520000", secret=secret).json()["status"] == "applied"


def leg(**changes: Any) -> dict[str, Any]:
    at = (timezone.now() - timedelta(hours=1)).isoformat()
    return {
        "province": "520000",
        "bill_number": "GZ1",
        "kind": "arrived",
        "leg": 2,
        "place": "CNQZH",
        "occurred_at": at,
    } | changes


def test_a_carrier_and_an_office_report_legs_of_a_bill_another_province_issued(api, secret, receiver):
    mirrored(secret, state=str(journey.BillState.ISSUED))
    carrier, office = (make.organisation(role) for role in (OrganisationRole.CARRIER, OrganisationRole.CUSTOMS_OFFICE))
    first = leg()
    assert api(carrier).post(PATH, first).status_code == 201
    assert api(carrier).post(PATH, first).status_code == 201  # the same report twice is one
    assert api(office).post(PATH, leg(kind="inspected")).status_code == 201
    assert events_of("bill_leg", "GZ1") == ["bill_leg.arrived", "bill_leg.inspected"]
    log.publish()
    said = Event.objects.filter(subject_kind="bill_leg")
    assert [fault for event in said for fault in faults(event)] == []
    assert said.earliest("entry").audience == [carrier.pk]
    # It goes to the issuing province, with what the agreement names and no more.
    hook, partner = receiver(), Organisation.objects.get(province="520000")
    endpoints.create(principal=principal_of(partner), url=hook.url, event_types=["*"])
    deliver()
    sent = [one.message for one in hook.taken if one.message["subjectkind"] == "bill_leg"]
    assert [(one["type"], one["subjectnumber"]) for one in sent] == [
        ("bill_leg.arrived", "GZ1"), ("bill_leg.inspected", "GZ1"),
    ]  # fmt: skip
    assert sent[0]["data"] == {
        "province": "520000", "bill_number": "GZ1", "leg": 2, "place": "CNQZH", "container": "",
    }  # fmt: skip


def test_what_cannot_be_a_report_is_refused_and_leaves_nothing(api, secret):
    mirrored(secret, state=str(journey.BillState.ISSUED), containers=["CSQU3054383"])
    mirrored(secret, "GZ2", state=str(journey.BillState.DELIVERED))
    carrier = api(make.organisation(OrganisationRole.CARRIER))
    later = (timezone.now() + timedelta(hours=1)).isoformat()
    for given, status, code in (
        (leg(bill_number="GZ3"), 404, "not-found"),
        (leg(province="450000"), 404, "not-found"),
        (leg(bill_number="GZ2"), 409, "state-conflict"),
        (leg(occurred_at=later), 422, "in-the-future"),
        (leg(leg=None), 422, "leg-missing"),
        (leg(container="TCNU7200794"), 422, "container-unknown"),
    ):
        answer = carrier.post(PATH, given)
        codes = {answer.json()["code"], *(error["code"] for error in answer.json().get("errors") or [])}
        assert (answer.status_code, code in codes) == (status, True), (given, answer.json())
    assert api(make.firm()).post(PATH, leg()).status_code == 403
    assert carrier.post(PATH, leg(kind="damaged", leg=None)).status_code == 201
    assert events_of("bill_leg", "GZ1") == ["bill_leg.damaged"]


def test_where_the_bill_was_issued_its_journey_shows_what_other_provinces_report(api, secret):
    cast = bills_cast.assemble()
    bill, other = bills_cast.issued(cast), bills_cast.issued(cast)
    start = timezone.now() - timedelta(hours=5)
    journey.report(
        number=bill.number, principal=cast.p("operator"), leg=1, kind="departed", occurred_at=start, place="CNCKG"
    )

    def tell(seq: int, kind: str, hours: int, **data: Any) -> None:
        told = message(
            bill.number, seq, kind="bill_leg", type=f"bill_leg.{kind}", time=(start + timedelta(hours=hours)).isoformat(),
            data={"bill_number": bill.number, "leg": 1} | data,
        )  # fmt: skip
        assert send(told, code="520000", secret=secret).json()["status"] == "applied"

    path = f"{PATH}/{bill.number}"
    holder = api(cast.shipper)
    assert holder.get(path).json()["whereabouts"]["status"] == "under_way"
    tell(1, "arrived", 2, province="500000", place="贵阳")
    tell(2, "arrived", 3, province="450000", place="南宁")  # a bill of Guangxi's that has the same number
    tell(3, "damaged", 4, province="500000", place="贵阳")
    found = holder.get(path).json()
    assert [(one["province"], one["kind"], one["place"]) for one in found["events"]] == [
        ("500000", "departed", "CNCKG"), ("520000", "arrived", "贵阳"), ("520000", "damaged", "贵阳"),
    ]  # fmt: skip
    where = found["whereabouts"]
    assert (where["status"], where["leg"], where["place"], where["province"]) == ("arrived", 1, "贵阳", "520000")
    line = holder.get(f"/api/v1/exchange/timeline/{bill.number}").json()["milestones"]
    assert [one["type"] for one in line if one["province"] == "520000"] == ["bill_leg.arrived", "bill_leg.damaged"]
    later = start + timedelta(hours=4)
    journey.report(number=bill.number, principal=cast.p("operator"), leg=1, kind="transferred", occurred_at=later)
    assert holder.get(path).json()["whereabouts"]["status"] == "transferred"  # ours, and later
    assert api(cast.third).get(path).status_code == 404
    tell(4, "departed", 4.5, province="500000", leg=9)  # no leg of this bill
    assert holder.get(path).json()["whereabouts"]["status"] == "transferred"
    tell(5, "departed", 4.6, province="500000", leg=2)
    where = holder.get(path).json()["whereabouts"]
    assert (where["status"], where["place"]) == ("under_way", bill.legs.get(sequence=2).origin)  # as the leg begins
    assert [one["province"] for one in legs.of_bill(other.number, principal_of(cast.shipper))["events"]] == []


def test_who_passed_a_bill_on_is_shown_no_more_of_its_legs_than_the_bill_itself_shows(api):
    cast = bills_cast.assemble()
    bill = bills_cast.handed_over(cast, bills_cast.issued(cast))
    cast.does("buyer", "ENDORSE_TO_ORDER", bill, "third")
    cast.does("buyer", "TRANSFER", bill, "third")
    for who, status in (("third", 200), ("operator", 200), ("carrier", 200), ("shipper", 200), ("buyer", 404)):
        client = api(getattr(cast, who))
        for path in (f"{PATH}/{bill.number}", f"/api/v1/bills/{bill.number}/leg-events"):
            assert client.get(path).status_code == status, (who, path)
    assert legs.of_bill(bill.number, make.officer_principal())["number"] == bill.number
