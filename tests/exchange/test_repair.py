"""Repair by pulling: a partner whose API is this very instance, served over HTTP. What it gave stands on one side of the tables,
what we hold of it on the other."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest
from django.utils import timezone

from exchange import agreements, digests, feeds, inbox, reconciliation, vault
from exchange.models import DigestReport, InboxMessage, Mirror, MirrorEvent, Partner, Share
from parties import registration
from parties.principals import SYSTEM
from tests.exchange.conftest import TERMS, make_partner, say, share, terms_of
from tests.exchange.test_inbox import message

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def partner(live_server) -> Partner:
    made = make_partner()
    client, secret = registration.register_client(organisation=made.organisation, name="pull")
    address = live_server.url.replace("localhost", "127.0.0.1") + "/api/v1"
    Partner.objects.filter(pk=made.pk).update(
        base_url=address, client_id=client.application.client_id, client_secret=vault.seal(secret)
    )
    made.refresh_from_db()
    return made


@pytest.fixture
def mirrored(partner) -> Partner:
    """Three subjects with two events each, the same on both sides."""
    for number in ("D1", "D2", "D3"):
        say(number, data={"state": "lodged", "port": "CNCKG"})
        say(number, type="declaration.released", data={"state": "released"})
    share()
    sender = inbox.sender(partner.code)
    for _, body in feeds.read_after(partner, terms_of(partner), 0, limit=100):
        inbox.take(sender, body.encode())
    return partner


def held() -> list[tuple]:
    return list(
        Mirror.objects.order_by("subject_number").values_list(
            "subject_number", "count", "sequence", "missing", "data", "last_type"
        )
    )


def wipe() -> None:
    MirrorEvent.objects.all().delete()
    Mirror.objects.all().delete()


def again(partner: Partner) -> DigestReport:
    partner.refresh_from_db()
    return reconciliation.compare(partner)


def test_two_sides_that_agree_say_so_in_a_report_both_can_read(mirrored, api):
    report = again(mirrored)
    assert (report.subjects, report.differing, report.repaired, report.agrees) == (3, 0, 0, True)
    told = api(mirrored.organisation).get("/api/v1/exchange/reports").json()["results"]
    said = sorted((one["made_by"], one["subjects"], one["agrees"]) for one in told)
    assert said == [("own", 3, True), ("theirs", 3, True)]


def test_a_wiped_mirror_is_rebuilt_from_the_feed(mirrored):
    before = held()
    wipe()
    report = again(mirrored)
    assert (report.differing, report.repaired, report.agrees) == (3, 3, True)
    assert held() == before


def test_where_very_much_differs_the_whole_feed_is_read_in_as_many_rounds_as_it_takes(mirrored, monkeypatch):
    before = held()
    wipe()
    monkeypatch.setattr(reconciliation, "ONE_BY_ONE", 1)
    monkeypatch.setattr(reconciliation, "PAGE", 2)
    monkeypatch.setattr(reconciliation, "READ_SECONDS", -1.0)  # one page a round
    rounds = [again(mirrored)]
    assert not rounds[0].agrees
    mirrored.refresh_from_db()
    assert mirrored.pulled_to > 0
    while not rounds[-1].agrees:
        found = reconciliation.due(timezone.now(), nightly=None, every=3600, missing_after=1)
        assert list(found) == [mirrored], "a feed that is half read is gone on with, before the next night"
        rounds.append(again(mirrored))
        assert len(rounds) < 6
    assert len(rounds) >= 3
    assert held() == before


def test_a_damaged_sum_and_events_of_another_history_give_way(mirrored):
    before = held()
    Mirror.objects.filter(subject_number="D1").update(count=9, data={"state": "never"})
    Mirror.objects.filter(subject_number="D3").update(sequence=7)
    foreign = MirrorEvent.objects.filter(subject_number="D2").last()
    foreign.pk, foreign.sequence, foreign.previous = None, 3, 2
    foreign.event_id = "00000000-0000-7000-8000-000000000abc"
    foreign.received_at = timezone.now() - timedelta(hours=1)
    foreign.save(force_insert=True)
    Mirror.objects.filter(subject_number="D2").update(count=3, sequence=3, last_id=foreign.event_id)
    report = again(mirrored)
    assert (report.differing, report.agrees) == (3, True)
    assert held() == before


def test_an_event_that_comes_while_its_subject_is_repaired_is_kept(mirrored, monkeypatch):
    Mirror.objects.filter(subject_number="D1").update(count=9)
    sender, pages = inbox.sender(mirrored.code), reconciliation._pages

    def and_then_one_more(*asked, **subject):
        yield from pages(*asked, **subject)
        if subject:
            inbox.take(sender, orjson.dumps(message("D1", 3, data={"state": "cleared"})))

    monkeypatch.setattr(reconciliation, "_pages", and_then_one_more)
    again(mirrored)
    one = Mirror.objects.get(subject_number="D1")
    assert (one.count, one.sequence, one.data["state"]) == (3, 3, "cleared")


def test_a_gap_is_closed_by_pulling_its_subject(mirrored):
    MirrorEvent.objects.filter(subject_number="D2", sequence=1).delete()
    inbox.refold(mirrored.pk, "declaration", "D2")
    Partner.objects.filter(pk=mirrored.pk).update(missing_since=timezone.now() - timedelta(seconds=5))
    assert Mirror.objects.get(subject_number="D2").missing == 1
    DigestReport.objects.create(partner=mirrored, agrees=True)  # compared with just now: only the gap is due
    reconciliation.attend()
    mirrored.refresh_from_db()
    assert (Mirror.objects.get(subject_number="D2").missing, mirrored.missing_since) == (0, None)
    assert DigestReport.objects.count() == 1


def test_an_owner_who_has_nothing_new_for_a_gap_is_not_asked_again_at_once(mirrored):
    MirrorEvent.objects.filter(subject_number="D2", sequence=1).delete()
    inbox.refold(mirrored.pk, "declaration", "D2")
    Share.objects.filter(
        subject_number="D2", position=Share.objects.filter(subject_number="D2").first().position
    ).delete()
    Partner.objects.filter(pk=mirrored.pk).update(missing_since=timezone.now() - timedelta(seconds=5))
    DigestReport.objects.create(partner=mirrored, agrees=True)  # compared with just now: only the gap is due
    reconciliation.attend()
    assert Mirror.objects.get(subject_number="D2").missing == 1
    now = timezone.now()
    assert not reconciliation.due(now, nightly=None, every=0, missing_after=1).filter(missing=True).exists()
    later = now + timedelta(minutes=reconciliation.ASK_AGAIN + 1)
    assert reconciliation.due(later, nightly=None, every=0, missing_after=1).filter(missing=True).exists()
    # Another gap of the same subject is news.
    inbox.take(inbox.sender(mirrored.code), orjson.dumps(message("D2", 9, 8)))
    assert reconciliation.due(now, nightly=None, every=0, missing_after=0).filter(missing=True).exists()


def test_what_is_missing_and_an_operator_wants_is_pulled_by_the_sweep_though_it_was_asked_for_just_now(mirrored):
    MirrorEvent.objects.filter(subject_number="D2", sequence=1).delete()
    inbox.refold(mirrored.pk, "declaration", "D2")
    Mirror.objects.filter(subject_number="D2").update(asked_at=timezone.now())
    now = timezone.now()
    Partner.objects.filter(pk=mirrored.pk).update(
        missing_since=now - timedelta(seconds=5), spared_until=now + timedelta(hours=1)
    )
    DigestReport.objects.create(partner=mirrored, agrees=True)  # compared with just now: only the gap is due
    reconciliation.attend()
    assert Mirror.objects.get(subject_number="D2").missing == 1
    reconciliation.want_missing(partner=mirrored)
    reconciliation.attend()
    assert Mirror.objects.get(subject_number="D2").missing == 0


def test_what_a_partner_answers_that_is_no_digest_spares_it_and_stops_nobody_else(mirrored, receiver):
    hook = receiver()
    other = make_partner("520000", base_url=hook.url)
    reconciliation.attend(every=3600)
    other.refresh_from_db()
    mirrored.refresh_from_db()
    assert (bool(other.last_error), other.spared_until > timezone.now()) == (True, True)
    assert DigestReport.objects.filter(partner=mirrored, made_by="own", agrees=True).exists()


def test_a_narrower_agreement_cuts_down_the_mirrors(mirrored):
    narrow = TERMS | {"fields": {"declaration.*": ["state"]}}
    agreements.agree(partner=mirrored, direction="in", actor=SYSTEM, **narrow)
    assert inbox.obey() == 3
    assert {str(data) for data in Mirror.objects.values_list("data", flat=True)} == {"{'state': 'released'}"}
    assert not MirrorEvent.objects.filter(data__has_key="port").exists()
    assert inbox.obey() == 0, "once for each version"
    assert again(mirrored).agrees
    agreements.agree(
        partner=mirrored, direction="in", actor=SYSTEM, kinds=["bill"], types=["bill.*"], fields={"bill.*": ["state"]}
    )
    inbox.obey()
    assert (Mirror.objects.count(), MirrorEvent.objects.count()) == (0, 0)
    assert again(mirrored).agrees, "what is not let in is not missing"
    assert InboxMessage.objects.exists(), "what came is kept as it came"


def test_mirrors_agree_after_the_owner_narrowed_what_it_shares(mirrored):
    narrow = TERMS | {"fields": {"declaration.*": ["state"]}}
    agreements.agree(partner=mirrored, direction="out", actor=SYSTEM, **narrow)
    wipe()
    report = again(mirrored)
    assert report.agrees
    assert {str(data) for data in Mirror.objects.values_list("data", flat=True)} == {"{'state': 'released'}"}
    assert digests.groups(digests.GIVEN, mirrored) == digests.groups(digests.RECEIVED, mirrored)


def test_a_comparison_an_operator_wants_is_made_by_the_sweep(mirrored):
    DigestReport.objects.create(partner=mirrored, agrees=True)
    Partner.objects.filter(pk=mirrored.pk).update(spared_until=timezone.now() + timedelta(hours=1))
    reconciliation.attend(every=3600)
    assert DigestReport.objects.count() == 1
    reconciliation.want(partner=mirrored, actor=SYSTEM)
    for _ in range(2):  # once is enough
        reconciliation.attend(every=3600)
    assert sorted(DigestReport.objects.values_list("made_by", flat=True)) == ["own", "own", "theirs"]
