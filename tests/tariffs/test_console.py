"""What officers see and do with the tariff in the console."""

from __future__ import annotations

import base64

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from tariffs import fixing, loads
from tariffs.models import Load, TariffMeasure
from tests import make

pytestmark = pytest.mark.usefixtures("tariff")
NUMBER = "800020261000000001"


@pytest.fixture
def stored():
    return fixing.fix(subject=NUMBER, request=make.assessment_request(), audience=[1], actor="test")


@pytest.fixture(autouse=True)
def _uploads(settings, tmp_path):
    settings.VAR_DIR = tmp_path


def as_officer(client, *duties):
    client.force_login(make.officer(duties=duties).user)
    return client


def change(name, pk):
    return reverse(f"admin:tariffs_{name}_change", args=[pk])


def test_an_assessment_shows_its_explanation_and_its_candidates(officer_client, stored):
    html = officer_client.get(change("storedassessment", stored.pk)).content.decode()
    assert "157369.07" in html
    assert "计税价格 157369.07" not in html  # the line carries its own arithmetic
    assert "增值税法第十条、第十四条" in html
    assert "最惠国税率" in html


def upload(client, content, **fields):
    file = SimpleUploadedFile("rates.csv", content.encode())
    return client.post(reverse("admin:tariffs_load_add"), {"file": file, "encoding": "utf-8-sig"} | fields)


ROWS = "code,kind,origin,rate,valid_from\n8509801000,mfn,MFN,1%,2030-01-01\n"


def test_a_file_is_uploaded_tried_and_loaded(officer_client, django_capture_on_commit_callbacks):
    upload(officer_client, ROWS, dry_run="on")
    upload(officer_client, ROWS)
    assert loads.run_queued() == 2
    tried, done = Load.objects.order_by("pk")
    assert (tried.state, tried.difference["added"], tried.difference["ended"]) == ("checked", 1, 1)
    assert done.state == "done"
    assert done.version_id
    assert TariffMeasure.objects.known().filter(rate="1%", code="8509801000").exists()
    assert "8509801000" in officer_client.get(change("load", tried.pk)).content.decode()
    assert loads.run_queued() == 0


def test_a_faulty_file_is_refused_with_its_faults_on_the_page(officer_client):
    upload(officer_client, ROWS.replace("1%", "one"))
    loads.run_queued()
    load = Load.objects.get()
    assert load.state == "refused"
    assert "row 2, rate" in officer_client.get(change("load", load.pk)).content.decode()


def test_a_file_nobody_foresaw_is_refused_and_those_behind_it_load(officer_client, settings):
    upload(officer_client, ROWS)
    upload(officer_client, ROWS)
    first = Load.objects.earliest("pk")
    Load.objects.filter(pk=first.pk).update(options=first.options | {"map": "no-such-map"})  # of an older release
    assert loads.run_queued() == 2
    assert list(Load.objects.order_by("pk").values_list("state", flat=True)) == ["refused", "done"]
    first.refresh_from_db()
    assert [fault["code"] for fault in first.faults] == ["load-failed"]


def test_an_unknown_encoding_is_refused_before_the_load_is_queued(officer_client):
    upload(officer_client, ROWS, encoding="foo")
    assert Load.objects.count() == 0


def test_a_running_load_shows_how_far_it_is(officer_client):
    upload(officer_client, ROWS)
    load = Load.objects.get()
    loads.note(load.pk, "write", 123456)
    html = officer_client.get(change("load", load.pk)).content.decode()
    assert 'value="70"' in html
    assert "123456" in html


def test_whoever_keeps_the_tariff_is_told_in_time_that_next_years_calendar_is_missing(officer_client):
    pages = [reverse(f"admin:tariffs_{name}_changelist") for name in ("calendarday", "load")]
    with time_machine.travel("2026-06-15T10:00:00+08:00", tick=True):
        assert not any("2026 年节假日安排未加载" in officer_client.get(page).content.decode() for page in pages)
    with time_machine.travel("2026-11-15T10:00:00+08:00", tick=True):
        officer_client.force_login(make.officer(duties=("tariff",)).user)
        assert all("2027 年节假日安排未加载" in officer_client.get(page).content.decode() for page in pages)


def test_only_tariff_staff_load_files(client):
    assert upload(as_officer(client, "inspection"), ROWS).status_code == 403
    assert Load.objects.count() == 0


def test_tariff_staff_see_what_changes_on_which_day(officer_client):
    html = officer_client.get(reverse("admin:tariffs_changes") + "?from=2025-12-31&to=2026-01-01").content.decode()
    assert "<del>8%</del>" in html
    assert "<ins>6%</ins>" in html
    assert "2026-01-01" in html


@pytest.mark.parametrize(
    "name",
    ["commodityline", "tariffmeasure", "originmember", "monthlyrate", "parameter", "regimeeffect", "calendarday",
     "quota", "version", "load", "storedassessment", "dutymemo", "dutyrefund", "guarantee", "paymentchannel"],
)  # fmt: skip
def test_every_table_has_a_page_to_browse(officer_client, name):
    assert officer_client.get(reverse(f"admin:tariffs_{name}_changelist")).status_code == 200


def test_a_banks_secret_is_changed_with_both_good_until_the_old_one_is_ended(officer_client):
    from tariffs.models import PaymentChannel

    old, new = (base64.b64encode(bytes([sign]) * 32).decode() for sign in (1, 2))
    channel = PaymentChannel.objects.create(code="bank", name="Bank", organisation_id=9, secrets=[old])
    page = change("paymentchannel", channel.pk)
    form = {"code": "bank", "name": "Bank", "organisation_id": "9", "active": "on"}

    def secrets_after(**more):
        officer_client.post(page, form | more)
        return PaymentChannel.objects.get().secrets

    assert secrets_after(new_secret="not base64") == [old]
    assert secrets_after(new_secret=new) == [new, old]
    assert secrets_after() == [new, old]
    assert secrets_after(end_old="on") == [new]
    shown = officer_client.get(page).content.decode()
    assert "new_secret" in shown
    assert new not in shown


def test_an_officer_opens_a_guarantee(officer_client):
    from tariffs.models import Guarantee

    officer_client.post(
        reverse("admin:tariffs_guarantee_add"),
        {"number": "G1", "organisation_id": "1", "amount": "1000.00", "valid_0": "2026-01-01", "valid_1": "2027-01-01",
         "summary": "on", "guaranteedraw_set-TOTAL_FORMS": "0", "guaranteedraw_set-INITIAL_FORMS": "0"},
    )  # fmt: skip
    account = Guarantee.objects.get()
    assert (account.number, account.free(), account.summary) == ("G1", 1000, True)
    assert make.events_of("guarantee", "G1") == ["guarantee.opened"]
