"""Transits between provinces at the console: opened with every fault at its field, seen with what was confirmed, confirmed here."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from console import transits
from events.models import Event
from exchange import signing
from parties.models import Officer
from tests import make
from tests.console.officers import Desk
from tests.exchange.conftest import make_partner
from tests.exchange.test_cooperation import SHARED
from tests.exchange.test_inbox import message, send

pytestmark = pytest.mark.django_db(transaction=True)

FORM = {
    "number": "ZG2026110001", "from_office": "8000", "to_province": "450000", "to_office": "7201",
    "containers": "csqu 305438-3\nMSKU6011672", "declaration_number": "",
}  # fmt: skip


@pytest.fixture
def desk(settings: Any) -> Desk:
    settings.PROVINCE = "500000"
    return Desk(duties=(Officer.Duty.RELEASE,))


def connected(code: str = "450000") -> str:
    secret = signing.new_secret()
    make_partner(code, secret=secret, incoming=SHARED, out=SHARED)
    return secret


def errors(answer: Any) -> set[str]:
    return {row["field"].name for row in answer.context["form"]["rows"] if row["faults"]}


def test_a_transit_is_opened_and_seen_with_what_the_other_province_confirmed(desk):
    secret, declared = connected(), make.declaration(make.firm())
    answer = desk.post("transit_new", **FORM | {"declaration_number": declared.unified_number})
    assert answer.redirect_chain
    event = Event.objects.get(type="transit.opened")
    assert (event.actor, event.data["containers"]) == (desk.actor, ["CSQU3054383", "MSKU6011672"])
    assert set(declared.parties) <= set(event.audience)
    page = desk.get("transits")
    assert page.context["coming"] == []
    assert page.context["leaving"][0]["arrived_at"] is None
    told = message("ZG2026110001", kind="transit_confirmation", type="transit.arrived", data={"state": "arrived"})
    assert send(told, secret=secret).status_code == 200
    page = desk.get("transits")
    row = page.context["leaving"][0]
    assert (row["state"], row["departed_at"]) == ("arrived", None)
    assert row["arrived_at"] is not None
    assert declared.unified_number in page.content.decode()


def test_older_transits_are_a_page_away(desk, monkeypatch):
    monkeypatch.setattr(transits, "SHOWN", 2)
    connected()
    for nth in range(1, 4):
        desk.post("transit_new", **FORM | {"number": f"ZG{nth:04}"})
    page = desk.get("transits")
    assert [row["number"] for row in page.context["leaving"]] == ["ZG0003", "ZG0002"]
    older = re.search(r'href="\?cursor=([^"]+)"', page.content.decode())[1]
    page = desk.get("transits", cursor=older)
    assert [row["number"] for row in page.context["leaving"]] == ["ZG0001"]
    assert 'href="?cursor=' not in page.content.decode()
    assert "回到最近" in page.content.decode()


def test_only_provinces_that_an_agreement_tells_of_transits_are_offered(desk):
    connected()
    make_partner("520000")  # declarations and bills
    offered = next(
        row["field"] for row in desk.get("transit_new").context["form"]["rows"] if row["field"].name == "to_province"
    )
    assert [code for code, _ in offered.options] == ["", "450000"]


def test_every_fault_stands_at_its_field_and_nothing_typed_is_lost(desk):
    connected()
    make_partner("520000")
    wrong = {
        "number": "转1", "from_office": "80", "to_province": "520000", "to_office": "72O1",
        "containers": "CSQU3054383\nCSQU3054380", "declaration_number": "I999",
    }  # fmt: skip
    answer = desk.post("transit_new", **wrong)
    assert errors(answer) == set(wrong)
    page = answer.content.decode()
    for typed in ("转1", 'value="80"', 'value="72O1"', "CSQU3054380", 'value="I999"'):
        assert typed in page, typed
    places = next(row["faults"] for row in answer.context["form"]["rows"] if row["field"].name == "containers")
    assert [place for place, _ in places] == ["2"]
    assert not Event.objects.filter(subject_kind="transit").exists()
    assert desk.post("transit_new", **FORM).redirect_chain
    again = desk.post("transit_new", **FORM)
    assert "该转关已存在" in again.content.decode()
    assert FORM["number"] in again.content.decode()


def test_what_is_on_the_way_here_is_confirmed_beside_it_in_order(desk):
    secret = connected()
    data = {"to_province": "500000", "from_office": "7201", "to_office": "8000", "containers": ["CSQU3054383"]}
    number = "T/1 {x}"  # another's number is not ours to trust
    assert send(message(number, kind="transit", type="transit.opened", data=data), secret=secret).status_code == 200
    assert "确认运抵" in desk.get("transits").content.decode()
    asked = {"province": "450000", "number": number}
    early = desk.post("transit_confirm", **asked, step="departure_confirmed")
    assert "尚未确认运抵" in early.content.decode()
    for step in ("arrived", "departure_confirmed"):
        done = desk.post("transit_confirm", **asked, step=step)
        assert [message.tags for message in done.context["messages"]] == ["success"]
    assert make.events_of("transit_confirmation", number) == ["transit.arrived", "transit.departure_confirmed"]
    row = desk.get("transits").context["coming"][0]
    assert (row["state"], row["next"]) == ("departure_confirmed", "")
    assert desk.post("transit_confirm", **asked | {"number": "T2"}, step="arrived").status_code == 404
    assert desk.post("transit_confirm", **asked, step="vanished").status_code == 404


def test_officers_act_for_their_own_offices_alone(desk):
    secret = connected()
    refused = desk.post("transit_new", **FORM | {"from_office": "7201"})
    assert errors(refused) == {"from_office"}
    assert not Event.objects.filter(subject_kind="transit").exists()
    data = {"to_province": "500000", "from_office": "7201"}
    for number, office in (("T1", {"to_office": "5301"}), ("T2", {})):
        told = message(number, kind="transit", type="transit.opened", data=data | office)
        assert send(told, secret=secret).status_code == 200
    offered = {row["number"]: row["next"] for row in desk.get("transits").context["coming"]}
    assert offered == {"T1": "", "T2": "arrived"}
    for number in offered:
        desk.post("transit_confirm", province="450000", number=number, step="arrived")
    assert make.events_of("transit_confirmation", "T1") == [], "the goods go to another office"
    assert make.events_of("transit_confirmation", "T2") == ["transit.arrived"], "the office was not shared"


def test_the_page_asks_the_same_number_of_questions_for_one_transit_and_for_many(desk, django_assert_num_queries):
    connected()
    desk.post("transit_new", **FORM)
    desk.get("transits")
    with CaptureQueriesContext(connection) as one:
        desk.get("transits")
    questions = len(one)
    assert questions > 0
    for n in range(6):
        desk.post("transit_new", **FORM | {"number": f"ZG20261100{n}A"})
    with django_assert_num_queries(questions):
        assert len(desk.get("transits").context["leaving"]) == 7


def test_transits_are_for_officers_who_release_and_are_in_their_menu_only(desk):
    connected()
    other = Desk(duties=(Officer.Duty.EXCHANGE,))
    for name in ("transits", "transit_new"):
        assert other.get(name).status_code == 403
    assert other.post("transit_new", **FORM).status_code == 403
    assert other.post("transit_confirm", province="450000", number="T1", step="arrived").status_code == 403
    assert not Event.objects.filter(subject_kind="transit").exists()
    assert 'href="/console/exchange/transits/"' not in other.get("agreements").content.decode()
    mine = desk.get("transits").content.decode()
    assert 'href="/console/exchange/transits/"' in mine
    assert 'href="/console/exchange/agreements/"' not in mine
