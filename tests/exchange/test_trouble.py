"""What endpoints do to one another, and what happens between two transactions."""

from __future__ import annotations

import base64
import os
import socket
import threading
import time
from datetime import timedelta

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import connection
from django.utils import timezone

from common.problems import Problem
from events import log
from exchange import agreements, delivery, endpoints, fanout, feeds, inbox, ledger, messages, partners, pruning
from exchange.models import Attempt, Delivery, Endpoint, InboxMessage, Partner, Quarantine
from parties.models import OrganisationRole
from parties.principals import SYSTEM
from tests import make
from tests.exchange.conftest import TERMS, deliver, make_partner, principal_of, say, share
from tests.exchange.receiver import slow
from tests.exchange.test_inbox import SECRET, message, send

pytestmark = pytest.mark.django_db(transaction=True)

ENDPOINTS = "/api/v1/webhook-endpoints"


def endpoint_of(partner: Partner, url: str) -> Endpoint:
    return endpoints.create(
        principal=SYSTEM, organisation_id=partner.organisation_id, partner=partner, url=url, event_types=["*"]
    )[0]


def test_an_endpoint_resumed_while_events_are_handed_out_misses_none(receiver, subscribe):
    firm, hook = make.firm(), receiver()
    endpoint, _ = subscribe(firm, hook.url)
    share()
    ledger.disable(endpoint.pk, "test")
    say("D1", audience=[firm.pk])
    log.publish()
    handed_out, commit = threading.Event(), threading.Event()

    def hand_out(events) -> None:
        fanout.hand_out(events)
        handed_out.set()
        commit.wait(20)

    def at_work() -> None:
        log.follow(fanout.READER, hand_out)
        connection.close()

    thread = threading.Thread(target=at_work)
    thread.start()
    assert handed_out.wait(20)
    endpoints.resume(endpoint_id=endpoint.pk, principal=principal_of(firm))
    commit.set()
    thread.join()
    deliver()
    assert hook.numbers() == [("D1", 1)]


def test_a_new_endpoint_gets_what_is_said_from_then_on_and_nothing_from_before(receiver, subscribe):
    firm, hook = make.firm(), receiver()
    subscribe(firm, receiver().url)
    say("D1", audience=[firm.pk])
    share()
    subscribe(firm, hook.url)
    say("D2", audience=[firm.pk])
    deliver()
    assert hook.numbers() == [("D2", 1)]
    assert not Endpoint.objects.filter(queued_to__isnull=False).exists(), "it has caught up"


def test_endpoints_that_hang_leave_room_for_the_others(receiver, subscribe, monkeypatch):
    monkeypatch.setattr(delivery, "IN_THE_AIR", 6)
    monkeypatch.setattr(delivery, "DOUBTFUL", 2)
    hanging, good, other, mine = receiver(slow(3, 500)), receiver(), make.firm(), make.firm()
    for _ in range(5):
        subscribe(other, hanging.url)
    proven, _ = subscribe(mine, good.url)
    Endpoint.objects.filter(pk=proven.pk).update(last_success_at=timezone.now())
    for n in range(6):
        say(f"A{n}", audience=[other.pk])
        say(f"B{n}", audience=[mine.pk])
    started = time.monotonic()
    thread = threading.Thread(target=lambda: (deliver(seconds=10), connection.close()))
    thread.start()
    while len(good.taken) < 6 and time.monotonic() - started < 8:
        time.sleep(0.02)
    took = time.monotonic() - started
    thread.join()
    assert (len(good.taken), took < 3) == (6, True)
    assert hanging.most_at_once <= 2


def test_failures_that_come_one_by_one_are_rounds_of_their_own(receiver, subscribe):
    """Two are in the air and never land together: each is sent when the failure before it is known, and counts."""

    def answer(received, nth):
        time.sleep(0.3 if nth == 1 else 0.2)
        return 503

    firm, hook = make.firm(), receiver(answer)
    endpoint, _ = subscribe(firm, hook.url)
    for n in range(40):
        say(f"D{n}", audience=[firm.pk])
    deliver()
    endpoint.refresh_from_db()
    assert endpoint.failures >= ledger.BREAK_AFTER
    assert len(hook.received) <= 4 * ledger.BREAK_AFTER


def test_a_process_whose_time_is_over_serves_others_while_it_waits_for_an_endpoint_that_hangs(
    receiver, subscribe, monkeypatch
):
    engine, answer = delivery.Engine(), threading.Event()
    monkeypatch.setattr(delivery, "Engine", lambda shard: engine)
    firm, hanging, good = make.firm(), receiver(lambda received, nth: 200 if answer.wait(30) else 500), receiver()
    for hook in (hanging, good):
        subscribe(firm, hook.url)
    say("D1", audience=[firm.pk])
    thread = threading.Thread(target=lambda: (deliver(seconds=0.5), connection.close()))
    thread.start()
    deadline = time.monotonic() + 10
    while not engine.waited_for and time.monotonic() < deadline:  # its time is over, and the first answer still to come
        time.sleep(0.02)
    say("D2", audience=[firm.pk])
    while len(good.taken) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    came = (len(good.taken), len(hanging.taken))
    answer.set()
    thread.join()
    assert came == (2, 0)
    assert len(hanging.received) == 1, "nothing more is sent where an answer is waited for"


def test_a_process_whose_time_is_over_hands_over_and_one_that_has_nothing_to_do_does_not(receiver, subscribe):
    """Else what comes meanwhile waits for the next sweep."""
    firm, hook, handed_over = make.firm(), receiver(slow(0.6)), []
    subscribe(firm, hook.url)
    say("D1", audience=[firm.pk])
    deliver(seconds=0.2, hand_over=lambda: handed_over.append(len(hook.taken)))
    assert handed_over == [1], "once what was in the air has landed"
    deliver(hand_over=lambda: handed_over.append(None))
    assert handed_over == [1]


def test_one_organisation_has_no_more_than_its_share_in_the_air(receiver, subscribe, monkeypatch):
    monkeypatch.setattr(delivery, "PER_OWNER", 3)
    firm, hook = make.firm(), receiver(slow(0.1))
    for _ in range(4):
        subscribe(firm, hook.url)
    Endpoint.objects.update(last_success_at=timezone.now())
    for n in range(3):
        say(f"D{n}", audience=[firm.pk])
    deliver()
    assert (len(hook.taken), hook.most_at_once) == (12, 3)


def test_retry_after_is_honoured_although_another_message_was_taken(receiver, subscribe):
    firm = make.firm()
    endpoint, _ = subscribe(firm, receiver().url)
    say("D1", audience=[firm.pk])
    say("D2", audience=[firm.pk])
    share()
    taken, told_to_wait = (
        ledger.Outcome(one.pk, endpoint.pk, 200, "", 1, "", delivered=True) for one in Delivery.objects.all()
    )
    told_to_wait = told_to_wait._replace(status=429, error="HTTP 429", delivered=False, wait=60.0)
    ledger.settle([taken, told_to_wait])
    endpoint.refresh_from_db()
    assert endpoint.failures == 0
    assert (endpoint.spared_until - timezone.now()).total_seconds() > 50


def test_a_subject_that_always_fails_is_not_woken_for_ever(receiver, subscribe):
    firm, hook = (
        make.firm(),
        receiver(lambda received, nth: 200 if received.message["subjectnumber"] == "GOOD" else 500),
    )
    subscribe(firm, hook.url)
    say("BAD", audience=[firm.pk])
    deliver()
    Delivery.objects.update(tries=len(ledger.SCHEDULE), ready_at=timezone.now() + timedelta(hours=9))
    Endpoint.objects.update(failures=3, spared_until=None)
    say("GOOD", audience=[firm.pk])
    deliver()
    assert hook.numbers() == [("GOOD", 1)]
    assert Delivery.objects.get(payload__subject_number="BAD").ready_at > timezone.now() + timedelta(hours=8)


def test_an_endpoint_nobody_tried_of_late_is_not_dead(receiver, subscribe):
    firm, hook = make.firm(), receiver(lambda received, nth: 500)
    subscribe(firm, hook.url)
    say("D1", audience=[firm.pk])
    deliver()
    Endpoint.objects.update(failing_since=timezone.now() - timedelta(days=30))
    Attempt.objects.update(at=timezone.now() - timedelta(days=20))
    assert ledger.disable_dead() == 0
    Attempt.objects.update(at=timezone.now() - timedelta(hours=20))
    assert ledger.disable_dead() == 1


def test_what_is_said_while_a_partner_is_suspended_is_shared_afterwards(receiver):
    partner, hook = make_partner(), receiver()
    endpoint_of(partner, hook.url)
    partners.suspend(partner=partner, actor=SYSTEM)
    say("D1", data={"state": "lodged"})
    deliver(linger=0)
    assert hook.received == []
    partners.reinstate(partner=partner, actor=SYSTEM)
    deliver()
    assert hook.numbers() == [("D1", 1)]


NARROW = TERMS | {"types": ["declaration.lodged", "bill.*"], "fields": {"declaration.*": ["state"]}}


def test_a_narrower_agreement_holds_for_what_waits_for_the_feed_and_for_replays(receiver, api):
    partner, hook = make_partner(), receiver()
    endpoint = endpoint_of(partner, hook.url)
    endpoints.pause(endpoint_id=endpoint.pk, principal=None)
    say("D1", data={"state": "lodged", "port": "CNCKG"})
    say("D1", type="declaration.released", data={"state": "released", "port": "CNCKG"})
    say("B1", kind="bill", type="bill.issued", data={"state": "issued"})
    share()
    agreements.agree(partner=partner, direction="out", actor=SYSTEM, **NARROW | {"kinds": ["declaration"]})
    wanted = [("declaration.lodged", 0, {"state": "lodged"}), ("declaration.released", 1, {})]
    caller = api(partner.organisation)

    def told(events) -> list[tuple]:
        return [(event["type"], event["prev"], event["data"]) for event in events]

    assert told(caller.get("/api/v1/exchange/events").json()["events"]) == wanted
    assert {group["kind"] for group in caller.get("/api/v1/exchange/digest").json()["groups"]} == {"declaration"}
    assert caller.get("/api/v1/exchange/digest?kind=bill").json() == {"groups": []}
    endpoints.resume(endpoint_id=endpoint.pk, principal=None)
    deliver()
    assert told([one.message for one in hook.taken]) == wanted
    assert all(one.headers["webhook-id"].startswith(one.message["id"] + ".") for one in hook.taken), (
        "an id has one body"
    )
    withdrawn = Delivery.objects.get(payload__subject_kind="bill")
    assert (withdrawn.state, withdrawn.last_error) == ("skipped", "no longer agreed")
    for one in Delivery.objects.exclude(pk=withdrawn.pk):
        assert "CNCKG" not in caller.get(f"/api/v1/webhook-deliveries/{one.pk}").json()["body"]
    assert caller.get(f"/api/v1/webhook-deliveries/{withdrawn.pk}").status_code == 404
    assert caller.post(f"/api/v1/webhook-deliveries/{withdrawn.pk}/retry").status_code == 404
    listed = caller.get(f"{ENDPOINTS}/{endpoint.pk}/deliveries").json()["results"]
    assert {one["subject_kind"] for one in listed} == {"declaration"}
    assert caller.post(f"{ENDPOINTS}/{endpoint.pk}/test").json()["id"] in {
        one["id"] for one in caller.get(f"{ENDPOINTS}/{endpoint.pk}/deliveries").json()["results"]
    }
    hook.taken.clear()
    endpoints.replay(endpoint_id=endpoint.pk, principal=None, after=0)
    deliver()
    assert told([one.message for one in hook.taken]) == wanted
    agreements.end(agreement=agreements.in_force(partner.pk, "out"), actor=SYSTEM)
    assert [one["subject_kind"] for one in caller.get(f"{ENDPOINTS}/{endpoint.pk}/deliveries").json()["results"]] == [
        "webhook_endpoint"
    ], "nothing is agreed any more"


def test_a_wider_agreement_tells_nothing_more_of_what_was_shared_before(api):
    partner = make_partner()
    say("D1", data={"state": "lodged", "port": "CNCKG", "price": "9"})
    share()
    wide = TERMS | {"fields": {"declaration.*": ["state", "port", "price"]}}
    agreements.agree(partner=partner, direction="out", actor=SYSTEM, **wide)
    (event,) = api(partner.organisation).get("/api/v1/exchange/events").json()["events"]
    assert event["data"] == {"state": "lodged", "port": "CNCKG"}


def test_a_secret_is_kept_in_no_answer_that_could_be_given_again(api, receiver):
    caller, body = api(make.firm()), {"url": receiver().url, "event_types": ["*"]}
    first = caller.post(ENDPOINTS, body, headers={"Idempotency-Key": "k1"}).json()
    again = caller.post(ENDPOINTS, body, headers={"Idempotency-Key": "k1"})
    assert (first["secret"][:6], again["Idempotency-Replayed"]) == ("whsec_", "true")
    assert again.json() == first | {"secret": None}
    rotated = caller.post(f"{ENDPOINTS}/{first['id']}/rotate", {}, headers={"Idempotency-Key": "k2"}).json()["secret"]
    partner = api(make.organisation(OrganisationRole.PARTNER_PROVINCE))
    check, url = "/api/v1/exchange/conformance", {"url": receiver().url}
    asked = partner.post(check, url, headers={"Idempotency-Key": "k3"}).json()
    assert asked["secret"].startswith("whsec_")
    assert partner.post(check, url, headers={"Idempotency-Key": "k3"}).json() == asked | {"secret": None}
    with connection.cursor() as cursor:
        cursor.execute("SELECT convert_from(body, 'UTF8') FROM common_idempotencykey")
        kept = str(cursor.fetchall())
    assert "whsec_" not in kept
    assert rotated[6:] not in kept


def test_a_partner_chooses_no_event_types_because_its_agreement_does(api, receiver):
    caller = api(make_partner().organisation)
    refused = caller.post(ENDPOINTS, {"url": receiver().url, "event_types": ["declaration.*"]})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "agreement-decides")
    made = caller.post(ENDPOINTS, {"url": receiver().url, "event_types": ["*"]}).json()
    assert caller.request("PATCH", f"{ENDPOINTS}/{made['id']}", {"event_types": ["bill.*"]}).status_code == 422


def test_a_body_too_large_for_any_inbox_travels_without_its_largest_values(receiver):
    partner, hook = make_partner(), receiver()
    endpoint_of(partner, hook.url)
    say("D1", data={"state": "lodged", "port": ["x" * 1000] * (messages.MAX_BODY // 1000)})
    deliver()
    (one,) = hook.taken
    assert len(one.body) < messages.MAX_BODY
    assert (one.message["data"], one.message["omitted"]) == ({"state": "lodged"}, ["port"])


def test_pages_of_the_feed_are_bounded_in_bytes(api, monkeypatch):
    monkeypatch.setattr(feeds, "PAGE_BYTES", 2000)
    partner = make_partner()
    for n in range(4):
        say(f"D{n}", data={"state": "x" * 1500})
    share()
    caller, after, numbers = api(partner.organisation), 0, []
    while page := caller.get(f"/api/v1/exchange/events?after={after}").json()["events"]:
        assert len(page) <= 2
        numbers += [event["subjectnumber"] for event in page]
        after = page[-1]["position"]
    assert numbers == ["D0", "D1", "D2", "D3"]


def test_a_reader_of_the_feed_may_wait_for_what_comes(api):
    partner = make_partner()
    caller = api(partner.organisation)

    def later() -> None:
        say("D1", data={"state": "lodged"})
        share()
        connection.close()

    timer = threading.Timer(0.2, later)
    timer.start()
    started = time.monotonic()
    page = caller.get("/api/v1/exchange/events?after=0&wait=20").json()
    timer.join()
    assert [event["subjectnumber"] for event in page["events"]] == ["D1"]
    assert time.monotonic() - started < 15


def test_an_ed25519_signature_verifies_by_the_specification_alone(receiver, subscribe):
    """Standard Webhooks: ``v1a`` is Ed25519 over ``id.timestamp.body``; checked here with nothing of ours."""
    firm, hook = make.firm(), receiver()
    _, told = subscribe(firm, hook.url, signature="v1a")
    say("D1", audience=[firm.pk])
    deliver()
    (one,) = hook.taken
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(told.removeprefix("whpk_")))
    version, _, value = one.headers["webhook-signature"].partition(",")
    signed = b".".join((one.headers["webhook-id"].encode(), one.headers["webhook-timestamp"].encode(), one.body))
    key.verify(base64.b64decode(value), signed)
    assert version == "v1a"


def test_a_retry_by_hand_is_on_record(receiver, subscribe):
    firm, hook = make.firm(), receiver(lambda received, nth: 500)
    endpoint, _ = subscribe(firm, hook.url)
    say("D1", audience=[firm.pk])
    deliver()
    endpoints.retry(delivery_id=Delivery.objects.get().pk, principal=None, actor="officer:wang")
    assert make.events_of("webhook_endpoint", str(endpoint.pk))[-1] == "webhook_endpoint.retried"


def test_raw_messages_are_forgotten_in_time_and_their_events_are_not(db):
    make_partner(secret=SECRET)
    send(message())
    send(message(seq=2, dataschema="x/9"))
    assert pruning.prune_inbox(timezone.now() - timedelta(days=1)) == 0
    assert pruning.prune_inbox(timezone.now() + timedelta(seconds=1)) == 1
    assert (InboxMessage.objects.count(), Quarantine.objects.get().state) == (1, "waiting")
    assert send(message()).json()["status"] == "duplicate", "its event is known all the same"


@pytest.mark.parametrize("time_", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "1969-12-31T23:59:59Z"])
def test_a_time_that_not_every_part_can_hold_waits_for_an_operator(db, time_):
    make_partner(secret=SECRET)
    assert send(message(time=time_)).json() == {"status": "quarantined", "code": "validation-failed"}


def test_a_suspended_partners_messages_are_not_run_again(db):
    partner = make_partner(secret=SECRET)
    send(message(dataschema="x/9"))
    partners.suspend(partner=partner, actor=SYSTEM)
    waiting = Quarantine.objects.get().pk
    with pytest.raises(Problem, match="暂停"):
        inbox.run_again(quarantine_id=waiting, actor=SYSTEM)


def test_endpoints_are_locked_before_their_deliveries_so_that_settling_waits_for_nobody(receiver, subscribe):
    """A replay that writes while deliveries are settled: neither ends the other (PostgreSQL would name a deadlock)."""
    firm, hook = make.firm(), receiver()
    endpoint, _ = subscribe(firm, hook.url)
    for n in range(60):
        say(f"D{n % 6}", audience=[firm.pk])
    share()
    failed: list[BaseException] = []

    def replays() -> None:
        try:
            for _ in range(8):
                endpoints.replay(endpoint_id=endpoint.pk, principal=None, after=0)
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=replays)
    thread.start()
    deliver(linger=0.5)
    thread.join()
    deliver()
    assert failed == []
    assert not Delivery.objects.filter(state="pending").exists()
    assert {orjson.loads(one.body)["subjectnumber"] for one in hook.taken} == {f"D{n}" for n in range(6)}


def test_a_secret_that_does_not_open_stops_nobody_else(receiver, subscribe, settings):
    firm, hook = make.firm(), receiver()
    subscribe(firm, f"{hook.url}/old")
    make_partner(secret=SECRET)
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another-key-" + "y" * 40
    subscribe(firm, f"{hook.url}/new")
    say("D1", audience=[firm.pk])
    deliver()
    assert [one.path for one in hook.received] == ["/hook/new"]
    assert send(message()).status_code == 401
    settings.SECRET_KEY_FALLBACKS = [old]
    deliver()
    assert {one.path for one in hook.taken} == {"/hook/new", "/hook/old"}
    assert send(message()).status_code == 200


def test_names_that_nobody_answers_for_hold_up_no_other_name(receiver, subscribe, monkeypatch):
    firm, hook, over = make.firm(), receiver(), threading.Event()
    look_up, asked = socket.getaddrinfo, threading.Semaphore(0)
    dead = 2 * (os.cpu_count() or 1) + 8

    def names(host, *arguments, **options):
        if str(host).startswith("dead"):
            asked.release()
            over.wait(60)
            raise socket.gaierror
        return look_up("127.0.0.1", *arguments, **options)

    def endpoint(host: str, event_type: str) -> None:
        made, _ = subscribe(firm, hook.url, [event_type], timeout=30)
        Endpoint.objects.filter(pk=made.pk).update(url=f"http://{host}.example.com:{hook.server.server_port}/hook")

    monkeypatch.setattr(socket, "getaddrinfo", names)
    for nth in range(dead):
        endpoint(f"dead{nth}", "declaration.*")
    endpoint("alive", "bill.*")
    say("D1", audience=[firm.pk])
    thread = threading.Thread(target=lambda: (deliver(), connection.close()))
    thread.start()
    for _ in range((os.cpu_count() or 1) + 4):  # as many as asyncio has threads for by itself
        assert asked.acquire(timeout=20)
    say("B1", kind="bill", type="bill.issued", audience=[firm.pk])
    deadline = time.monotonic() + 15
    while not hook.taken and time.monotonic() < deadline:
        time.sleep(0.02)
    came = [one.message["subjectnumber"] for one in hook.taken]
    over.set()
    thread.join()
    assert came == ["B1"]
