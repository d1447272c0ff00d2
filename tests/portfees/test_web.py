from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.test import Client
from lxml import etree

from portfees.models import FeeList, Parameter
from singlewindow.demo import cast
from tests.portfees.conftest import item
from tests.portfees.test_catalogues import published

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("parameters")]


def page(path: str, language: str = "zh-hans") -> str:
    answer = Client().get(path, headers={"Accept-Language": language})
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def test_people_find_a_list_and_see_that_it_is_an_example(terminal):
    fee_list = published(terminal, is_example=True)
    found = page("/port-fees/?q=包干&on=2026-06-01")
    assert f"/port-fees/{fee_list.number}/" in found
    assert "示例数据" in found
    assert "No list matches" in page("/port-fees/?q=nothing", "en")


def test_a_list_is_shown_with_its_lines_history_and_difference(terminal):
    first = published(terminal)
    second = published(terminal, item(rate=Decimal(620)), valid_from=date(2026, 7, 1), on=date(2026, 5, 1))
    shown = page(f"/port-fees/{second.number}/")
    assert "港口作业包干费" in shown
    assert f"/port-fees/{second.number}/difference/{first.number}/" in shown
    assert "620" in page(f"/port-fees/{second.number}/difference/{first.number}/")


def test_a_list_that_is_not_public_is_not_found(terminal):
    from tests.portfees.test_catalogues import draft

    assert Client().get(f"/port-fees/{draft(terminal).number}/").status_code == 404


def test_changes_are_an_atom_feed(terminal):
    fee_list = published(terminal)
    feed = etree.fromstring(page("/port-fees/feed.atom").encode())
    entries = feed.findall("{http://www.w3.org/2005/Atom}entry")
    assert [
        entry.find("{http://www.w3.org/2005/Atom}id").text.endswith(f"/{fee_list.number}/") for entry in entries
    ] == [True]


def test_the_example_lists_pass_the_rules_and_say_what_they_are():
    Parameter.objects.all().delete()
    cast.assemble()
    call_command("load_port_fees", "--lists", verbosity=0)
    call_command("load_port_fees", "--lists", verbosity=0)
    assert {(found.port, found.state, found.is_example) for found in FeeList.objects.all()} == {
        ("CNQZH", "published", True),
        ("CNCKG", "published", True),
    }
    assert FeeList.objects.count() == 3


@pytest.mark.usefixtures("parameters")
def test_pages_and_feed_name_the_last_day_a_list_binds(client, terminal):
    fee_list = published(terminal, valid_to=date(2030, 1, 1))
    for path in ("/port-fees/", f"/port-fees/{fee_list.number}/", "/port-fees/feed.atom"):
        text = client.get(path).content.decode()
        assert "2026-01-01 – 2029-12-31" in text, path
        assert "2030-01-01" not in text, path
