"""Bills in the console: holders and banks see what is theirs, authorities see all, nobody edits."""

from __future__ import annotations

import pytest
from django.utils import timezone

from bills import journey
from bills.departing import Reply
from parties.models import OrganisationRole
from tests import make
from tests.bills.cast import handed_over, issued
from tests.bills.test_pint import attempt, leaving, partner, wave  # noqa: F401

pytestmark = pytest.mark.django_db

PAGES = ("signingkey", "platform", "departure", "arrival", "deliveryorder")


def desk(client, organisation):
    client.force_login(make.officer(organisation=organisation, offices=()).user)
    return client


def test_holders_and_banks_see_what_is_theirs(client, cast):
    pledged, other = issued(cast), issued(cast)
    cast.does("shipper", "PLEDGE", pledged, "bank")
    authority = make.organisation(OrganisationRole.PORT_AUTHORITY)
    for organisation, seen in (
        (cast.shipper, {pledged, other}), (cast.bank, {pledged}), (cast.third, set()), (authority, {pledged, other}),
    ):  # fmt: skip
        browser = desk(client, organisation)
        html = browser.get("/console/bills/bill/").content.decode()
        for bill in (pledged, other):
            assert (bill.number in html) == (bill in seen), (organisation, bill)
            page = browser.get(f"/console/bills/bill/{bill.pk}/change/")
            assert (page.status_code == 200) == (bill in seen)
            if bill in seen:
                assert bill.checksum in page.content.decode()


def test_what_the_platform_does_is_for_authorities(client, cast):
    for organisation, status in ((cast.bank, 403), (make.organisation(OrganisationRole.CUSTOMS_OFFICE), 200)):
        browser = desk(client, organisation)
        assert [browser.get(f"/console/bills/{name}/").status_code for name in PAGES] == [status] * len(PAGES)


@pytest.fixture
def disputed(cast, partner, wave):  # noqa: F811
    bill, departure = leaving(cast)
    attempt(departure, lambda body: Reply(409, wave.answer(body, "DISE", reason="another chain")))
    return bill, departure


def test_an_officer_on_exchange_settles_a_dispute_at_the_console(client, cast, disputed):
    bill, departure = disputed
    path = f"/console/bills/departures/{departure.pk}/"
    given = {"outcome": "stay", "reason": "their letter", "evidence": "AB" * 32}
    for organisation, duties in ((cast.bank, ("exchange",)), (make.organisation(OrganisationRole.CUSTOMS_OFFICE), ())):
        client.force_login(make.officer(organisation=organisation, offices=(), duties=duties).user)
        assert client.post(path, given).status_code == 403
    client.force_login(make.officer(duties=("exchange",)).user)
    assert path in client.get("/console/bills/departure/").content.decode()
    assert "another chain" in client.get(path).content.decode()
    assert "SHA-256" in client.post(path, given | {"evidence": "x"}).content.decode()
    assert client.post(path, given).status_code == 302
    bill.refresh_from_db()
    assert bill.state == "issued"


def test_the_console_shows_no_more_of_a_bill_than_the_api(client, cast):
    """Who passed a bill on sees neither who has it now nor where the goods are."""
    bill = handed_over(cast, handed_over(cast, issued(cast)), "third", "buyer")
    cast.does("third", "PLEDGE", bill, "bank")
    journey.report(number=bill.number, principal=cast.p("carrier"), leg=2, kind="departed", occurred_at=timezone.now())
    page = f"/console/bills/bill/{bill.pk}/change/"
    for who, sees in (("buyer", False), ("third", True), ("bank", True)):
        browser = desk(client, getattr(cast, who))
        for path in (page, "/console/bills/bill/"):
            html = browser.get(path).content.decode()
            assert (cast.bank.name in html) == (sees or who == "bank"), (who, path)
        html = browser.get(page).content.decode()
        assert ("under_way" in html) == sees, who


def test_a_bill_is_not_edited_in_the_console(client, cast):
    bill = issued(cast)
    browser = desk(client, make.organisation(OrganisationRole.CUSTOMS_OFFICE))
    assert browser.post(f"/console/bills/bill/{bill.pk}/change/", {"state": "void"}).status_code == 403
    assert browser.get("/console/bills/bill/add/").status_code == 403
    bill.refresh_from_db()
    assert bill.state == "issued"
