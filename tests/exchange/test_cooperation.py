"""A transit opened inland and confirmed at the coast; one time line over four provinces."""

from __future__ import annotations

import pytest

from common.problems import Problem
from exchange import cooperation, signing
from parties.principals import SYSTEM
from tests import make
from tests.exchange.conftest import make_partner, say
from tests.exchange.test_inbox import message, send
from tests.make import events_of

pytestmark = pytest.mark.django_db

TRANSITS = {
    "kinds": ["transit", "transit_confirmation", "bill"],
    "types": ["transit.*", "bill.*"],
    "fields": {"*": ["state", "to_province", "consignment", "place", "containers"]},
}


def connected(code: str) -> str:
    secret = signing.new_secret()
    make_partner(code, secret=secret, incoming=TRANSITS, out=TRANSITS)
    return secret


def test_the_coast_confirms_what_was_opened_for_it_in_order_and_once(settings):
    settings.PROVINCE = "450000"
    secret = connected("620000")
    opened = message("T1", kind="transit", type="transit.opened", data={"state": "opened", "to_province": "450000"})
    assert send(opened, code="620000", secret=secret).json()["status"] == "applied"
    confirm = {"partner_code": "620000", "number": "T1", "principal": SYSTEM}
    with pytest.raises(Problem):
        cooperation.confirm_transit(step="departure_confirmed", **confirm)
    cooperation.confirm_transit(step="arrived", **confirm)
    cooperation.confirm_transit(step="departure_confirmed", **confirm)
    with pytest.raises(Problem):
        cooperation.confirm_transit(step="departure_confirmed", **confirm)
    assert events_of("transit_confirmation", "T1") == ["transit.arrived", "transit.departure_confirmed"]


def test_a_transit_that_was_opened_for_somebody_else_is_not_ours_to_confirm(settings):
    settings.PROVINCE = "450000"
    secret = connected("620000")
    opened = message("T1", kind="transit", type="transit.opened", data={"to_province": "460000"})
    send(opened, code="620000", secret=secret)
    with pytest.raises(Problem):
        cooperation.confirm_transit(partner_code="620000", number="T1", step="arrived", principal=SYSTEM)


def test_one_time_line_over_four_provinces(api):
    firm = make.firm()
    say("C1", kind="consignment", type="consignment.declared", audience=[firm.pk], data={"state": "declared"})
    for nth, code in enumerate(("520000", "450000", "460000")):
        leg = message(
            f"B{code}", kind="bill", type="bill.leg_departed", time=f"2030-01-0{nth + 1}T00:00:00Z",
            data={"consignment": "C1", "place": code},
        )  # fmt: skip
        secret = connected(code)
        assert send(leg, code=code, secret=secret).status_code == 200
    line = api(firm).get("/api/v1/exchange/timeline/C1").json()["milestones"]
    assert [step["province"] for step in line] == ["500000", "520000", "450000", "460000"]
    assert api(make.firm()).get("/api/v1/exchange/timeline/C1").status_code == 404
