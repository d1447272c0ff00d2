"""The exchange's pages in the console: each opens for its officers and for nobody else; actions run the commands."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.utils import label_for_field
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.translation import override

from events.models import Event
from exchange import admin as pages
from exchange import reconciliation, signing
from exchange.models import Delivery, Mirror, Partner, Quarantine
from parties.models import Officer
from tests import make
from tests.exchange.conftest import deliver, make_partner, say
from tests.exchange.test_inbox import SECRET, message, send

pytestmark = pytest.mark.django_db(transaction=True)

PAGES = [
    model._meta.model_name
    for model in (
        pages.Partner, pages.Agreement, pages.Endpoint, pages.Delivery, pages.Quarantine, pages.Mirror,
        pages.MirrorEvent, pages.DigestReport, pages.Refusal, pages.ConformanceRun,
    )
]  # fmt: skip


def console(*duties: str) -> Client:
    client = Client()
    client.force_login(make.officer(duties=duties).user)
    return client


def test_every_page_opens_for_the_duty_exchange_and_for_no_other(receiver, subscribe):
    partner = make_partner(secret=SECRET)
    send(message())
    send(message(seq=2, dataschema="x/9"))
    subscribe(partner.organisation, receiver().url, ["*"])
    say("D1", data={"state": "x"})
    deliver()
    mine, other = console(Officer.Duty.EXCHANGE), console(Officer.Duty.EXAMINATION)
    for page in PAGES:
        assert mine.get(f"/console/exchange/{page}/").status_code == 200, page
        assert other.get(f"/console/exchange/{page}/").status_code == 403, page
    shown = mine.get(f"/console/exchange/partner/{partner.pk}/change/")
    assert shown.status_code == 200
    assert partner.client_secret == ""
    assert "declaration" in mine.get("/console/exchange/agreement/").content.decode()


def test_a_delivery_is_retried_with_one_click(receiver, subscribe):
    partner, hook = make_partner(), receiver(lambda received, nth: 500 if nth == 0 else 200)
    subscribe(partner.organisation, hook.url, ["*"])
    say("D1", data={"state": "x"})
    deliver()
    failed = Delivery.objects.get(tries=1)
    answer = console(Officer.Duty.EXCHANGE).post(
        "/console/exchange/delivery/", {"action": "retry", "_selected_action": [failed.pk]}, follow=True
    )
    said = [str(one) for one in answer.context["messages"]]
    failed.refresh_from_db()
    assert (answer.status_code, failed.tries, len(said)) == (200, 0, 1), said
    deliver()
    failed.refresh_from_db()
    assert (failed.state, failed.last_error, failed.tries) == ("delivered", "", 1)


def test_what_an_operator_wants_of_a_partner_is_marked_and_nobody_is_asked_meanwhile(receiver):
    """The web process holds no lock of a session, which behind PgBouncer nobody could give back."""
    hook = receiver()
    partner = make_partner(secret=SECRET, base_url=hook.url)
    send(message(seq=3, prev=2))  # a gap
    soon = timezone.now() + timedelta(hours=1)
    client = console(Officer.Duty.EXCHANGE)
    for action in ("compare_now", "pull_missing"):
        Partner.objects.update(spared_until=soon)
        Mirror.objects.update(asked_at=timezone.now())
        client.post("/console/exchange/partner/", {"action": action, "_selected_action": [partner.pk]}, follow=True)
        due = reconciliation.due(timezone.now(), nightly=None, every=0, missing_after=0)
        assert [one.missing for one in due] == [action == "pull_missing"]
    assert hook.received == []


def test_quarantine_is_settled_in_the_console(db):
    make_partner(secret=SECRET)
    send(message(dataschema="x/9"))
    waiting = Quarantine.objects.get()
    client = console(Officer.Duty.EXCHANGE)
    for action, state in (("run_again", "waiting"), ("drop", "dropped")):
        client.post("/console/exchange/quarantine/", {"action": action, "_selected_action": [waiting.pk]}, follow=True)
        waiting.refresh_from_db()
        assert waiting.state == state
    assert waiting.settled_by.startswith("officer:")


def test_officers_who_release_confirm_a_transit_in_the_console_and_others_do_not(settings):
    settings.PROVINCE = "450000"
    secret = signing.new_secret()
    terms = {
        "kinds": ["transit"],
        "types": ["transit.*"],
        "fields": {"*": ["to_province", "from_office", "containers"]},
    }
    make_partner("500000", secret=secret, incoming=terms)
    for number, to in (("T1", "450000"), ("T2", "460000")):
        data = {"to_province": to, "from_office": "8000", "containers": ["CSQU3054383"]}
        told = message(number, kind="transit", type="transit.opened", data=data)
        assert send(told, code="500000", secret=secret).status_code == 200
    page, mine = "/console/exchange/incomingtransit/", console(Officer.Duty.RELEASE)
    shown = mine.get(page).content.decode()
    assert ("T1" in shown, "CSQU3054383" in shown, ">T2<" in shown) == (True, True, False)
    pk = Mirror.objects.get(subject_number="T1").pk
    assert console(Officer.Duty.EXCHANGE).get(page).status_code == 403
    for step in ("confirm_departure", "confirm_arrival", "confirm_departure"):
        mine.post(page, {"action": step, "_selected_action": [pk]}, follow=True)
    assert make.events_of("transit_confirmation", "T1") == ["transit.arrived", "transit.departure_confirmed"]


@pytest.mark.parametrize(("odd", "shown"), [([1, "CSQU3054383"], "1、CSQU3054383"), (5, ""), ({"a": 1}, "")])
def test_one_odd_message_does_not_close_the_page_of_transits(settings, odd, shown):
    settings.PROVINCE = "450000"
    secret = signing.new_secret()
    terms = {"kinds": ["transit"], "types": ["transit.*"], "fields": {"*": ["to_province", "containers"]}}
    make_partner("500000", secret=secret, incoming=terms)
    data = {"to_province": "450000", "containers": odd}
    told = message("T1", kind="transit", type="transit.opened", data=data)
    assert send(told, code="500000", secret=secret).status_code == 200
    officer = console(Officer.Duty.RELEASE)
    answer = officer.get("/console/exchange/incomingtransit/")
    assert answer.status_code == 200
    assert f'<td class="field-containers">{shown or "-"}</td>' in answer.content.decode()
    assert officer.get("/console/exchange/transits/").status_code == 200
    officer.post(
        "/console/exchange/incomingtransit/",
        {"action": "confirm_arrival", "_selected_action": [Mirror.objects.get().pk]}, follow=True,
    )  # fmt: skip
    assert Event.objects.get(type="transit.arrived").data["containers"] == (shown.split("、") if shown else [])


def test_deliveries_and_mirrors_are_filtered_by_fixed_choices_without_reading_all_rows(receiver, subscribe):
    partner = make_partner(secret=SECRET)
    send(message())
    send(message("B1", kind="bill", type="bill.issued"))
    subscribe(partner.organisation, receiver(lambda received, nth: 503).url, ["*"])
    say("D1", data={"state": "x"})
    deliver()
    client = console(Officer.Duty.EXCHANGE)
    for page, filters in (
        ("delivery", {"answer=5": 1, "answer=2": 0, "answer=none": 0, "answer=odd": 1}),
        ("mirror", {"subject_kind=bill": 1, "subject_kind=transit": 0, "": 2}),
    ):
        for asked, rows in filters.items():
            with CaptureQueriesContext(connection) as queries:
                shown = client.get(f"/console/exchange/{page}/?{asked}")
            assert shown.context["cl"].result_count == rows, asked
            assert not [one["sql"] for one in queries if "DISTINCT" in one["sql"]]


def shown_fields(model_admin) -> list[tuple]:
    """(name, model, admin) of what a model's pages show, those of its inlines included."""
    own = model_admin.fields or [
        field.name for field in model_admin.model._meta.fields if field.name not in (model_admin.exclude or ())
    ]
    found = [(name, model_admin.model, model_admin) for name in (*own, *model_admin.list_display)]
    for inline in model_admin.inlines:
        found += [(name, inline.model, inline) for name in inline.fields]
    return [one for one in found if one[0] != "id"]


def test_every_field_the_pages_show_has_a_name_in_both_languages():
    chinese = re.compile("[\u4e00-\u9fff]")
    shown = [
        one
        for model, model_admin in admin.site._registry.items()
        if model._meta.app_label == "exchange"
        for one in shown_fields(model_admin)
    ]
    assert len(shown) > 100
    for language, written in (("zh-hans", True), ("en", False)):
        with override(language):
            names = {
                (model.__name__, name): str(label_for_field(name, model, model_admin))
                for name, model, model_admin in shown
            }
        assert {key: name for key, name in names.items() if bool(chinese.search(name)) is not written} == {}
