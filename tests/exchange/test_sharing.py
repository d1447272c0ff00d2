"""What may be shared, the partner's feed, digests between two sides."""

from __future__ import annotations

import contextlib
import threading
from datetime import timedelta

import orjson
import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from common.days import LEGAL_ZONE, last_time, today
from common.problems import Problem
from events import log
from events.models import Event
from exchange import agreements, digests, fanout, feeds, inbox, reconciliation, terms
from exchange.models import Agreement, DigestReport, Mirror, MirrorEvent, Partner, Payload, Share, SharedSubject
from parties.principals import SYSTEM
from tests import make
from tests.exchange.conftest import TERMS, deliver, make_partner, say, share, terms_of

pytestmark = pytest.mark.django_db

SECRET = "MARKED-SECRET"


def bodies(partner) -> list[dict]:
    return [orjson.loads(body) for _, body in feeds.read_after(partner, terms_of(partner), 0, limit=1000)]


def everything_secret() -> dict:
    return {
        "state": "released",
        "port": {"code": SECRET, "name": SECRET},
        "price": SECRET,
        "total": {"amount": SECRET},
        "consignee": {"name": SECRET, "code": SECRET},
        "goods_items": [{"price": SECRET, "description": SECRET}],
        "state_detail": SECRET,
        "nested": {"state": SECRET, "deeper": {"state": SECRET}},
    }


def test_a_declaration_full_of_secrets_leaves_none_on_the_other_side(partner):
    say("D1", data=everything_secret())
    say("D1", type="declaration.released", data=everything_secret())
    share()
    assert [body["data"] for body in bodies(partner)] == [{"state": "released"}] * 2
    for table in (Payload, Share, SharedSubject):
        assert SECRET not in str(list(table.objects.values()))


def test_who_did_it_and_who_may_see_it_stay_at_home(partner):
    with transaction.atomic():
        log.append(type="declaration.lodged", subject=("declaration", "D1"), actor=SECRET, audience=[7], data={})
    share()
    assert SECRET not in Payload.objects.get().body


paths = st.from_regex(r"[a-c](\.[a-c]){0,2}", fullmatch=True)
values = st.recursive(
    st.sampled_from(["plain", SECRET]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=12,
)


def reachable(value, path: tuple[str, ...] = ()):
    """(path, leaf) of every value, lists looked through."""
    if isinstance(value, dict):
        for name, child in value.items():
            yield from reachable(child, (*path, name))
    elif isinstance(value, list):
        for child in value:
            yield from reachable(child, path)
    else:
        yield ".".join(path), value


@given(data=st.dictionaries(st.sampled_from("abcd"), values), allowed=st.lists(paths, max_size=4))
def test_only_values_at_named_paths_pass_whatever_the_shape(data, allowed):
    agreed = terms.Terms(("declaration",), ("*",), (("*", tuple(allowed)),))
    assert {path for path, _ in reachable(agreed.view("declaration.lodged", data))} <= set(allowed)


def test_kinds_and_types_that_were_not_agreed_are_not_shared(partner):
    say("M1", kind="manifest", type="manifest.received")
    say("D1", type="duty.assessed")
    say("O1", kind="organisation", type="organisation.registered")
    share()
    assert bodies(partner) == []


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"fields": {"declaration.*": ["*"]}}, "/fields/declaration.*/0"),
        ({"fields": {"declaration.*": ["a.*"]}}, "/fields/declaration.*/0"),
        ({"fields": {"declaration.*": "state"}}, "/fields/declaration.*"),
        ({"fields": []}, "/fields"),
        ({"kinds": ["organisation"]}, "/kinds/0"),
        ({"types": ["decl*"]}, "/types/0"),
    ],
)
def test_terms_name_fields_one_by_one(partner, changes, pointer):
    with pytest.raises(Problem) as caught:
        agreements.agree(partner=partner, direction="out", actor=SYSTEM, **TERMS | changes)
    assert pointer in [fault.pointer for fault in caught.value.errors]


def test_a_new_version_closes_the_one_before_and_both_are_in_the_log(partner):
    agreements.agree(partner=partner, direction="out", actor=SYSTEM, **TERMS | {"fields": {}})
    first, second = Agreement.objects.filter(direction="out").order_by("version")
    assert (first.version, first.valid.isempty, second.version, second.valid.lower) == (1, True, 2, today())
    assert Event.objects.filter(type="agreement.made", subject_number="450000/out").count() == 2
    say("D1", data={"state": "x"})
    share()
    assert bodies(partner)[0]["data"] == {}


def test_an_ended_agreement_and_one_that_has_not_begun_share_nothing(db):
    ended = make_partner("450000")
    agreements.end(agreement=Agreement.objects.get(partner=ended, direction="out"), actor=SYSTEM)
    later = make_partner("520000", out=None)
    agreements.agree(partner=later, direction="out", actor=SYSTEM, valid_from=today() + timedelta(days=1), **TERMS)
    say("D1")
    share()
    assert bodies(ended) == bodies(later) == []


def test_partners_with_the_same_terms_share_a_body(db):
    partners = [make_partner(code) for code in ("450000", "520000", "620000")]
    say("D1")
    share()
    assert [len(bodies(partner)) for partner in partners] == [1, 1, 1]
    assert Payload.objects.count() == 1


def test_each_body_names_the_event_shared_before_it(partner):
    say("D1")
    say("D1", type="duty.assessed")
    say("D1")
    share()
    say("D1")
    share()
    assert [(body["seq"], body["prev"]) for body in bodies(partner)] == [(1, 0), (3, 1), (4, 3)]


def test_the_feed_is_read_page_by_page_by_position_and_by_subject(partner, api):
    for n in range(5):
        say(f"D{n % 2}")
    share()
    caller = api(partner.organisation)
    first = caller.get("/api/v1/exchange/events?limit=3").json()
    second = caller.get(f"/api/v1/exchange/events?after={first['next']}&limit=3").json()
    numbers = [event["subjectnumber"] for event in first["events"] + second["events"]]
    assert numbers == ["D0", "D1", "D0", "D1", "D0"]
    one = caller.get("/api/v1/exchange/events?subject_kind=declaration&subject_number=D1").json()
    assert [event["seq"] for event in one["events"]] == [1, 2]
    assert caller.get("/api/v1/exchange/events?subject_kind=declaration").status_code == 422


def test_a_partner_reads_only_what_was_shared_with_it(db, api):
    one, other = make_partner("450000"), make_partner("520000", out=TERMS | {"kinds": ["bill"], "types": ["bill.*"]})
    nobody = make_partner("530000", out=None)
    say("D1")
    share()
    assert len(api(one.organisation).get("/api/v1/exchange/events").json()["events"]) == 1
    assert api(other.organisation).get("/api/v1/exchange/events").json()["events"] == []
    assert api(nobody.organisation).get("/api/v1/exchange/events").json()["code"] == "no-agreement"


@pytest.mark.django_db(transaction=True)
def test_the_feed_skips_nothing_that_commits_late(api):
    partner = make_partner()
    caller = api(partner.organisation)
    appended, commit = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            log.append(type="declaration.lodged", subject=("declaration", "SLOW"), actor="t", audience=[], data={})
            appended.set()
            commit.wait(10)
        connection.close()

    thread = threading.Thread(target=slow)
    thread.start()
    assert appended.wait(10)
    say("QUICK")
    deliver(linger=0)
    page = caller.get("/api/v1/exchange/events").json()
    assert [event["subjectnumber"] for event in page["events"]] == ["QUICK"]
    commit.set()
    thread.join()
    deliver(linger=0)
    page = caller.get(f"/api/v1/exchange/events?after={page['next']}").json()
    assert [event["subjectnumber"] for event in page["events"]] == ["SLOW"]


def feed_into_mirror(partner) -> None:
    """What goes out to a partner comes in as if the partner were ourselves: two sides in one database."""
    sender = inbox.sender(partner.code)
    for _, body in feeds.read_after(partner, terms_of(partner), 0, limit=1000):
        inbox.take(sender, body.encode())


def test_both_sides_make_the_same_digest_and_so_can_anyone(partner):
    for n in range(40):
        for _ in range(n % 3 + 1):
            say(f"提单{n}", kind="bill", type="bill.issued")
    share()
    feed_into_mirror(partner)
    assert digests.groups(digests.GIVEN, partner) == digests.groups(digests.RECEIVED, partner)
    by_bucket = digests.groups(digests.GIVEN, partner, kind="bill", day=today(), buckets=True)
    assert by_bucket == digests.groups(digests.RECEIVED, partner, kind="bill", day=today(), buckets=True)
    for group in by_bucket:
        rows = digests.lines(digests.GIVEN, partner, kind="bill", day=group.day, bucket=group.bucket)
        assert digests.hash_of((r.number, r.count, r.sequence, r.last_id) for r in rows) == group.hash
        assert {digests.bucket_of(row.number) for row in rows} == {group.bucket}


def test_a_missing_event_shows_in_the_digest_narrowed_down_to_its_subject(partner):
    for n in range(30):
        say(f"B{n}", kind="bill", type="bill.issued")
    share()
    feed_into_mirror(partner)
    MirrorEvent.objects.filter(subject_number="B7").delete()
    Mirror.objects.filter(subject_number="B7").delete()
    given, held = digests.groups(digests.GIVEN, partner), digests.groups(digests.RECEIVED, partner)
    ((kind, day, _),) = digests.differing(held, given)
    buckets = digests.differing(
        digests.groups(digests.RECEIVED, partner, kind=kind, day=day, buckets=True),
        digests.groups(digests.GIVEN, partner, kind=kind, day=day, buckets=True),
    )
    assert [bucket for _, _, bucket in buckets] == [digests.bucket_of("B7")]


@pytest.mark.parametrize("asked", ["day=2026-01-01", "kind=bill&bucket=3", "bucket=256", "kind=bill&day=20260230"])
def test_an_odd_digest_query_is_refused(partner, api, asked):
    assert api(partner.organisation).get(f"/api/v1/exchange/digest?{asked}").status_code == 422


def test_an_agreement_that_ended_shares_nothing_that_was_shared_before_either(partner, api):
    say("D1", data={"state": "lodged"})
    share()
    caller = api(partner.organisation)
    assert len(caller.get("/api/v1/exchange/events").json()["events"]) == 1
    agreements.end(agreement=agreements.in_force(partner.pk, "out"), actor=SYSTEM)
    for path in ("events", "digest"):
        answer = caller.get(f"/api/v1/exchange/{path}")
        assert (answer.status_code, answer.json()["code"]) == (403, "no-agreement")
    assert partner.refusals.get().count == 2


def test_a_report_of_the_other_side_is_kept_beside_ours(partner, api):
    caller = api(partner.organisation)
    report = {
        "started_at": "2026-11-23T18:00:00Z", "seconds": 1.5, "subjects": 10, "differing": 1, "repaired": 1,
        "agrees": True, "details": {"differing": [["bill", "B7"]]},
    }  # fmt: skip
    assert caller.post("/api/v1/exchange/reports", report).status_code == 201
    (kept,) = caller.get("/api/v1/exchange/reports").json()["results"]
    assert (kept["made_by"], kept["agrees"], kept["details"]) == ("theirs", True, {"differing": [["bill", "B7"]]})
    stranger = make_partner("520000")
    assert api(stranger.organisation).get("/api/v1/exchange/reports").json()["results"] == []


def test_a_number_past_64_bits_is_refused_and_the_reports_can_still_be_read(api):
    """Kept as a whole number, it could be told to nobody any more: every page that holds it would fail."""
    caller = api(make_partner().organisation)
    report = {"started_at": "2026-11-23T18:00:00Z", "agrees": True, "details": {"n": [1, 1e25]}}
    refused = caller.post("/api/v1/exchange/reports", report)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/details/n/1")
    kept = {"started_at": "2026-11-23T18:00:00Z", "agrees": True, "details": {"n": 2**64 - 1, "x": 1.5e18}}
    assert caller.post("/api/v1/exchange/reports", kept).status_code == 201
    assert caller.get("/api/v1/exchange/reports").json()["results"][0]["details"] == kept["details"]


def test_nothing_is_handed_out_twice_and_nobody_listening_costs_nothing(db):
    make.firm()
    log.publish()
    assert fanout.nobody_listens()
    assert fanout.run() == 0


def test_partners_are_compared_with_at_a_fixed_legal_hour_and_a_missed_night_is_made_up_for(receiver):
    hook = receiver()
    partner = make_partner("530000", base_url=hook.url)
    now = timezone.now()
    at = (now.astimezone(LEGAL_ZONE) - timedelta(hours=1)).time()
    assert last_time(at, now) == now - timedelta(hours=1)
    assert last_time((now.astimezone(LEGAL_ZONE) + timedelta(hours=1)).time(), now) == now - timedelta(hours=23)
    report = DigestReport.objects.create(partner=partner, started_at=now - timedelta(minutes=59), agrees=True)
    reconciliation.attend(nightly=at)
    assert hook.received == [], "compared with since that hour"
    DigestReport.objects.filter(pk=report.pk).update(started_at=now - timedelta(minutes=61))
    reconciliation.attend(nightly=at)
    assert len(hook.received) == 1
    reconciliation.attend(nightly=at)
    assert len(hook.received) == 1, "a partner that could not be asked is left alone for a while"


@pytest.mark.django_db(transaction=True)
def test_a_partner_that_hangs_holds_up_no_other(receiver):
    together = threading.Barrier(3)

    def answer(received, nth):
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(20)
        return 503

    hook = receiver(answer)
    for code in ("530000", "540000", "610000"):
        make_partner(code, base_url=hook.url)
    reconciliation.attend(every=60)
    assert not together.broken, "they were asked one after another"
    assert [partner.last_error for partner in Partner.objects.all()] == ["log-in: HTTP 503"] * 3
    reconciliation.attend(every=60)
    assert len(hook.received) == 3, "those that could not be asked are spared"


def test_drafts_are_shared_with_nobody_whatever_the_agreement_says(partner):
    say("D1", type="declaration.drafted", data={"state": "draft"})
    say("D1", type="declaration.draft_changed", data={"state": "draft"})
    say("D1", type="declaration.withdrawn", data={"state": "withdrawn", "from": "draft"})
    say("D2", type="declaration.drafted", data={"state": "draft"})
    say("D2", type="declaration.lodged", data={"state": "lodged", "from": "draft"})
    say("D2", type="declaration.withdrawn", data={"state": "withdrawn", "from": "lodged"})
    say("B1", kind="bill", type="bill.drafted", data={"state": "draft"})
    share()
    assert [(body["subjectnumber"], body["type"], body["prev"]) for body in bodies(partner)] == [
        ("D2", "declaration.lodged", 0), ("D2", "declaration.withdrawn", 2)
    ]  # fmt: skip
