"""Repair by pulling: a partner whose API is this very instance, served over HTTP. What it gave stands on one side of the tables,
what we hold of it on the other."""

from __future__ import annotations

import queue
import threading
import time
from datetime import timedelta

import orjson
import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from exchange import agreements, digests, feeds, inbox, reconciliation, vault
from exchange.models import DigestReport, InboxMessage, Mirror, MirrorEvent, Partner, Share
from parties import registration
from parties.principals import SYSTEM
from tests.exchange.conftest import TERMS, make_partner, say, share, terms_of
from tests.exchange.test_inbox import SECRET, message, send

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


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """The paths asked of the partner, in turn."""
    found: list[str] = []
    ask = reconciliation.Line._ask

    def note(line, method, path, **options):
        found.append(path)
        return ask(line, method, path, **options)

    monkeypatch.setattr(reconciliation.Line, "_ask", note)
    return found


def many_mirrored(partner, count: int) -> None:
    for n in range(count):
        say(f"D{n}", data={"state": "lodged"})
    share()
    sender = inbox.sender(partner.code)
    for _, body in feeds.read_after(partner, terms_of(partner), 0, limit=1000):
        inbox.take(sender, body.encode())


def test_a_mirror_wiped_whole_is_seen_by_its_sums_and_not_looked_for_bucket_by_bucket(partner, asked, monkeypatch):
    many_mirrored(partner, 60)
    before = held()
    wipe()
    monkeypatch.setattr(reconciliation, "ONE_BY_ONE", 10)
    report = again(partner)
    assert (report.differing, report.repaired, report.agrees, held() == before) == (60, 60, True, True)
    assert asked.count("/exchange/digest") == 2


def test_narrowing_ends_where_more_differs_than_is_asked_for_one_by_one(partner, asked, monkeypatch):
    """As many subjects on both sides, but other sums: the counts of a day say nothing."""
    many_mirrored(partner, 60)
    Mirror.objects.update(count=9)
    monkeypatch.setattr(reconciliation, "ONE_BY_ONE", 10)
    report = again(partner)
    assert (report.differing > 10, report.agrees) == (True, False)
    assert asked.count("/exchange/digest") <= 3 * (2 + 11), "a day and eleven buckets, three times"
    assert Mirror.objects.filter(count=1).count() == 10


def test_a_feed_that_is_half_read_is_read_on_before_anything_is_narrowed_down(mirrored, asked, monkeypatch):
    wipe()
    Partner.objects.filter(pk=mirrored.pk).update(pulled_to=1)
    monkeypatch.setattr(reconciliation, "PAGE", 2)
    monkeypatch.setattr(reconciliation, "READ_SECONDS", -1.0)
    assert not again(mirrored).agrees
    assert asked.count("/exchange/digest") == 2, "what differs before and after, by the sums"


def test_what_comes_while_a_difference_is_repaired_is_no_difference(mirrored, monkeypatch):
    Mirror.objects.filter(subject_number="D1").update(count=9)
    pages = reconciliation._pages

    def and_then_one_more(*asked, **subject):
        yield from pages(*asked, **subject)
        say("D4", data={"state": "lodged"})
        share()  # the partner counts it as given, and its delivery is on its way

    monkeypatch.setattr(reconciliation, "_pages", and_then_one_more)
    report = again(mirrored)
    assert (report.differing, report.repaired, report.agrees, report.details["left"]) == (1, 1, True, [])


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


@pytest.mark.parametrize("minutes", [0, 10], ids=["clocks agree", "ours is ahead of the database's"])
def test_an_event_that_comes_while_its_subject_is_repaired_is_kept(mirrored, monkeypatch, minutes):
    Mirror.objects.filter(subject_number="D1").update(count=9)
    sender, pages = inbox.sender(mirrored.code), reconciliation._pages

    def and_then_one_more(*asked, **subject):
        yield from pages(*asked, **subject)
        if subject:
            inbox.take(sender, orjson.dumps(message("D1", 3, data={"state": "cleared"})))

    monkeypatch.setattr(reconciliation, "_pages", and_then_one_more)
    with time_machine.travel(timezone.now() + timedelta(minutes=minutes)):
        again(mirrored)
    one = Mirror.objects.get(subject_number="D1")
    assert (one.count, one.sequence, one.data["state"]) == (3, 3, "cleared")


def waits_for_a_lock(process: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = %s", [process])
        return cursor.fetchone()[0] > 0


def test_an_event_that_is_pushed_while_its_subject_is_rebuilt_with_it_waits_and_is_known(mirrored, monkeypatch):
    """Both take the mirror before the message: otherwise PostgreSQL would end one of them as a deadlock."""
    say("D1", type="declaration.released", data={"state": "cleared"})
    share()
    (*_, (_, body)) = feeds.read_after(mirrored, terms_of(mirrored), 0, limit=100)
    processes: queue.Queue[int] = queue.Queue()
    answers: list[object] = []

    def push() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            processes.put(cursor.fetchone()[0])
        try:
            answers.append(inbox.take(inbox.sender(mirrored.code), body.encode())["status"])
        except Exception as error:
            answers.append(error)
        finally:
            connection.close()

    pushing = threading.Thread(target=push)
    take_all = reconciliation._take_all

    def when_the_push_waits(*given):
        pushing.start()
        process, started = processes.get(timeout=20), time.monotonic()
        while not waits_for_a_lock(process) and time.monotonic() - started < 20:
            time.sleep(0.01)
        return take_all(*given)

    monkeypatch.setattr(reconciliation, "_take_all", when_the_push_waits)
    report = again(mirrored)
    pushing.join()
    assert (answers, report.differing, report.agrees) == (["duplicate"], 1, True)


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
    mirrored.refresh_from_db()
    assert reconciliation.pull_missing(mirrored) == 0
    now = timezone.now()
    assert not reconciliation.due(now, nightly=None, every=0, missing_after=1).filter(missing=True).exists()
    later = now + timedelta(minutes=reconciliation.ASK_AGAIN + 1)
    assert reconciliation.due(later, nightly=None, every=0, missing_after=1).filter(missing=True).exists()
    # Another gap of the same subject is news.
    inbox.take(inbox.sender(mirrored.code), orjson.dumps(message("D2", 9, 8)))
    assert reconciliation.due(now, nightly=None, every=0, missing_after=0).filter(missing=True).exists()


def a_gap(partner: Partner, number: str) -> None:
    MirrorEvent.objects.filter(subject_number=number, sequence=1).delete()
    inbox.refold(partner.pk, "declaration", number)
    Partner.objects.filter(pk=partner.pk).update(missing_since=timezone.now() - timedelta(seconds=5))
    partner.refresh_from_db()


def missing(partner: Partner) -> bool:
    due = reconciliation.due(timezone.now(), nightly=None, every=0, missing_after=0)
    return due.filter(pk=partner.pk, missing=True).exists()


def test_a_gap_that_opens_while_its_subject_is_asked_for_is_asked_for_at_once(mirrored, monkeypatch):
    a_gap(mirrored, "D2")
    sender, pages = inbox.sender(mirrored.code), reconciliation._pages

    def and_then_another_gap(*asked, **subject):
        inbox.take(sender, orjson.dumps(message("D2", 9, 8)))
        yield from ((events[1:], following) for events, following in pages(*asked, **subject))

    monkeypatch.setattr(reconciliation, "_pages", and_then_another_gap)
    reconciliation.pull_missing(mirrored)
    assert missing(mirrored)


def test_a_gap_for_which_its_owner_could_not_be_asked_stays_due(mirrored, receiver):
    a_gap(mirrored, "D2")
    Partner.objects.filter(pk=mirrored.pk).update(base_url=receiver(lambda received, nth: 503).url)
    mirrored.refresh_from_db()
    with pytest.raises(reconciliation.Unreachable):
        reconciliation.pull_missing(mirrored)
    assert missing(mirrored)


def test_a_partner_from_whom_nothing_may_be_taken_is_not_asked(mirrored, receiver):
    hook = receiver()
    make_partner("520000", incoming=None, base_url=hook.url)
    reconciliation.attend(every=3600)
    assert hook.received == []
    assert not Partner.objects.exclude(last_error="").exists()


def test_the_pause_grows_while_a_partner_cannot_be_asked_and_ends_when_it_is_heard_of(receiver):
    hook = receiver(lambda received, nth: 503)
    partner = make_partner(base_url=hook.url, secret=SECRET)
    pauses = []
    for _ in range(6):
        Partner.objects.update(spared_until=None)
        reconciliation.attend()
        partner.refresh_from_db()
        pauses.append(round((partner.spared_until - timezone.now()).total_seconds(), -1))
    assert (pauses[-1], partner.asked_in_vain) == (reconciliation.MOST_PAUSE, 6)
    assert pauses == sorted(pauses)
    assert pauses[0] < 20
    send(message())
    partner.refresh_from_db()
    assert partner.spared_until is None


def test_a_partner_that_answers_again_begins_with_the_shortest_pause(mirrored):
    Partner.objects.filter(pk=mirrored.pk).update(asked_in_vain=5, last_error="HTTP 503")
    again(mirrored)
    mirrored.refresh_from_db()
    assert (mirrored.asked_in_vain, mirrored.last_error) == (0, "")


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


def test_cutting_down_goes_on_where_the_last_run_stopped(mirrored):
    narrow = TERMS | {"fields": {"declaration.*": ["state"]}}
    agreements.agree(partner=mirrored, direction="in", actor=SYSTEM, **narrow)
    assert [inbox.obey(seconds=-1, batch=2) for _ in range(2)] == [2, 1]
    narrower = TERMS | {"fields": {"declaration.*": ["port"]}}
    agreements.agree(partner=mirrored, direction="in", actor=SYSTEM, **narrower)
    assert inbox.obey(seconds=-1, batch=2) == 2, "another version begins with the first mirror"
    assert inbox.obey(seconds=-1, batch=2) == 1
    assert inbox.obey(seconds=-1, batch=2) == 0
    mirrored.refresh_from_db()
    assert (mirrored.obeyed, mirrored.obeyed_to) == (3, None)


def test_mirrors_agree_after_the_owner_narrowed_what_it_shares(mirrored):
    narrow = TERMS | {"fields": {"declaration.*": ["state"]}}
    agreements.agree(partner=mirrored, direction="out", actor=SYSTEM, **narrow)
    wipe()
    report = again(mirrored)
    assert report.agrees
    assert {str(data) for data in Mirror.objects.values_list("data", flat=True)} == {"{'state': 'released'}"}
    assert digests.groups(digests.GIVEN, mirrored) == digests.groups(digests.RECEIVED, mirrored)


def test_a_type_taken_out_on_both_sides_leaves_the_frame_and_both_agree(mirrored):
    fewer = TERMS | {"types": ["declaration.released", "bill.*"]}
    for direction in ("out", "in"):
        agreements.agree(partner=mirrored, direction=direction, actor=SYSTEM, **fewer)
    inbox.obey()
    assert again(mirrored).agrees
    before = held()
    wipe()
    report = again(mirrored)
    assert (report.differing, report.repaired, report.agrees) == (3, 3, True)
    assert held() == before
    assert held()[0] == ("D1", 2, 2, 0, {"state": "released"}, "declaration.released")
    assert MirrorEvent.objects.filter(type="declaration.lodged", data={}).count() == 3


def test_a_comparison_an_operator_wants_is_made_by_the_sweep(mirrored):
    DigestReport.objects.create(partner=mirrored, agrees=True)
    Partner.objects.filter(pk=mirrored.pk).update(spared_until=timezone.now() + timedelta(hours=1))
    reconciliation.attend(every=3600)
    assert DigestReport.objects.count() == 1
    reconciliation.want(partner=mirrored, actor=SYSTEM)
    for _ in range(2):  # once is enough
        reconciliation.attend(every=3600)
    assert sorted(DigestReport.objects.values_list("made_by", flat=True)) == ["own", "own", "theirs"]
