"""Bills in the console: holders and banks see what is theirs, authorities see all, nobody edits."""

from __future__ import annotations

import pytest

from parties.models import OrganisationRole
from tests import make
from tests.bills.cast import issued

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


def test_a_bill_is_not_edited_in_the_console(client, cast):
    bill = issued(cast)
    browser = desk(client, make.organisation(OrganisationRole.CUSTOMS_OFFICE))
    assert browser.post(f"/console/bills/bill/{bill.pk}/change/", {"state": "void"}).status_code == 403
    assert browser.get("/console/bills/bill/add/").status_code == 403
    bill.refresh_from_db()
    assert bill.state == "issued"
