from __future__ import annotations

import io
import threading
import time
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from standardwebhooks import Webhook

from events import log
from events.models import Event
from exchange import delivery, endpoints, fanout, feeds, ledger, pruning, signing
from exchange.models import Attempt, Delivery, Endpoint, Payload
from parties.principals import SYSTEM
from tests import make
from tests.exchange.conftest import deliver, due_now, make_partner, principal_of, say, terms_of
from tests.exchange.receiver import slow
from tests.exchange.test_inbox import message, send

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_event_arrives_signed_so_that_an_independent_library_verifies_it(receiver, subscribe):
    firm, hook = make.firm(), receiver()
    _, secret = subscribe(firm, hook.url)
    say("D1", audience=[firm.pk], data={"state": "lodged"})
    assert deliver() == 1
    (one,) = hook.taken
    message = Webhook(secret).verify(one.body, one.headers)
    assert (message["specversion"], message["type"], message["subject"], message["seq"], message["data"]) == (
        "1.0", "declaration.lodged", "declaration/D1", 1, {"state": "lodged"}
    )  # fmt: skip
    assert one.headers["webhook-id"] == message["id"] == str(Event.objects.get(subject_number="D1").id)


def test_only_the_types_asked_for_and_only_ones_own_are_delivered(receiver, subscribe):
    firm, other, hook = make.firm(), make.firm(), receiver()
    subscribe(firm, hook.url, ["declaration.released", "bill.*"])
    say("D1", audience=[firm.pk])
    say("D1", type="declaration.released", audience=[firm.pk])
    say("D2", type="declaration.released", audience=[other.pk])
    say("B1", type="bill.issued", kind="bill", audience=[firm.pk])
    say("B1", type="billing_run.made", kind="x", audience=[firm.pk])
    deliver()
    assert sorted(hook.numbers()) == [("B1", 1), ("D1", 2)]


def test_a_body_is_stored_once_for_many_endpoints(receiver, subscribe):
    firm, hook = make.firm(), receiver()
    for _ in range(3):
        subscribe(firm, hook.url)
    say("D1", audience=[firm.pk])
    deliver()
    assert (Payload.objects.count(), Delivery.objects.count(), Attempt.objects.count()) == (1, 3, 3)


def test_each_subject_keeps_its_order_and_one_that_fails_does_not_stop_the_others(receiver, subscribe):
    def answer(received, nth):
        return 500 if received.message["subjectnumber"] == "BAD" and received.message["seq"] == 2 else 200

    firm, hook = make.firm(), receiver(answer)
    subscribe(firm, hook.url)
    for _ in range(1, 6):
        for number in ("A", "BAD", "C"):
            say(number, audience=[firm.pk])
    deliver()
    taken = hook.numbers()
    for number, upto in (("A", 5), ("BAD", 1), ("C", 5)):
        assert [seq for subject, seq in taken if subject == number] == list(range(1, upto + 1))
    hook.answer = lambda received, nth: 200
    due_now()
    deliver()
    assert [seq for subject, seq in hook.numbers() if subject == "BAD"] == [1, 2, 3, 4, 5]


def test_a_failed_try_waits_for_its_time_in_postgresql_with_jitter(receiver, subscribe):
    firm, hook = make.firm(), receiver(lambda received, nth: 500)
    subscribe(firm, hook.url)
    say("D1", audience=[firm.pk])
    before = timezone.now()
    deliver()
    one = Delivery.objects.get()
    first, second = ledger.SCHEDULE[:2]
    assert 0.89 * first < (one.ready_at - before).total_seconds() < 1.1 * first + 3
    due_now()
    before = timezone.now()
    deliver()
    one.refresh_from_db()
    assert 0.89 * second < (one.ready_at - before).total_seconds() < 1.1 * second + 3
    assert [(a.number, a.status, a.error) for a in one.attempts.all()] == [(1, 500, "HTTP 500"), (2, 500, "HTTP 500")]
    assert 2.9 < sum(ledger.SCHEDULE) / 86_400 < 3.3


def test_retry_after_is_honoured_and_spares_the_whole_endpoint(receiver, subscribe):
    firm, hook = make.firm(), receiver(lambda received, nth: (429, {"Retry-After": "120"}, b"slow down"))
    endpoint, _ = subscribe(firm, hook.url)
    say("D1", audience=[firm.pk])
    deliver()
    say("D2", audience=[firm.pk])
    deliver()
    endpoint.refresh_from_db()
    assert len(hook.received) == 1
    assert (endpoint.spared_until - timezone.now()).total_seconds() > 100
    assert Delivery.objects.get(tries=1).ready_at > timezone.now() + timedelta(seconds=100)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("Sun, 06 Nov 1994 08:49:37 GMT", 0), ("soon", None), ("-3", None), ("", None), ("9" * 40, 86_400)],
)
def test_retry_after_takes_seconds_and_dates_and_nothing_else(header, seconds):
    assert delivery.retry_after(header, now=784111777.0 - (0 if seconds != 0 else -5)) == seconds


def test_410_disables_the_endpoint_and_tells_its_owner(receiver, subscribe):
    firm, hook = make.firm(), receiver(lambda received, nth: 410)
    endpoint, _ = subscribe(firm, hook.url)
    say("D1", audience=[firm.pk])
    say("D2", audience=[firm.pk])
    deliver()
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.state_reason) == ("disabled", "gone")
    notice = Event.objects.get(type="webhook_endpoint.disabled")
    assert notice.audience == [firm.pk]
    due_now()
    seen = len(hook.received)
    deliver()
    assert len(hook.received) == seen


def test_a_disabled_endpoint_gets_what_it_missed_once_resumed(receiver, subscribe):
    firm, hook = make.firm(), receiver(lambda received, nth: 410)
    endpoint, _ = subscribe(firm, hook.url)
    say("D1", audience=[firm.pk])
    deliver()
    say("D2", audience=[firm.pk])
    say("D1", audience=[firm.pk])
    deliver()
    hook.answer = lambda received, nth: 200
    endpoints.resume(endpoint_id=endpoint.pk, principal=principal_of(firm))
    deliver()
    assert sorted(hook.numbers()) == [("D1", 1), ("D1", 2), ("D2", 1)]


def test_an_endpoint_dead_past_its_term_is_disabled(receiver, subscribe):
    firm, hook = make.firm(), receiver(lambda received, nth: 500)
    subscribe(firm, hook.url)
    say("D1", audience=[firm.pk])
    deliver()
    assert ledger.disable_dead() == 0
    Endpoint.objects.update(failing_since=timezone.now() - timedelta(seconds=ledger.TERM_SECONDS + 1))
    assert ledger.disable_dead() == 1
    assert Event.objects.filter(type="webhook_endpoint.disabled").count() == 1


def test_after_failures_in_a_row_an_endpoint_is_spared_and_heals_at_once(receiver, subscribe):
    firm, hook = make.firm(), receiver(lambda received, nth: 503)
    endpoint, _ = subscribe(firm, hook.url)
    for n in range(40):
        say(f"D{n}", audience=[firm.pk])
    deliver()
    seen = len(hook.received)
    assert seen < 40
    endpoint.refresh_from_db()
    assert endpoint.spared_until > timezone.now()
    hook.answer = lambda received, nth: 200
    Delivery.objects.filter(tries=1).update(ready_at=timezone.now() + timedelta(hours=10))
    Endpoint.objects.update(spared_until=timezone.now())
    deliver()
    waiting = Delivery.objects.filter(state="pending", ready_at__gt=timezone.now() + timedelta(seconds=5))
    assert not waiting.exists(), "what waited for a late try is tried soon after the first success"
    due_now()
    deliver()
    assert len(hook.taken) == 40


def test_after_the_last_try_a_delivery_is_parked_with_what_follows_it(receiver, subscribe):
    firm, hook = make.firm(), receiver(lambda received, nth: 500)
    subscribe(firm, hook.url)
    say("D1", audience=[firm.pk])
    say("D1", audience=[firm.pk])
    log.publish()
    fanout.run()
    Delivery.objects.update(created_at=timezone.now() - timedelta(days=3))
    for _ in range(len(ledger.SCHEDULE) + 1):
        due_now()
        deliver(linger=0)
    first, second = Delivery.objects.order_by("position")
    assert (first.state, first.ready_at, second.state, second.ready_at) == ("parked", None, "pending", None)
    assert len(hook.received) == len(ledger.SCHEDULE) + 1
    hook.answer = lambda received, nth: 200
    endpoints.retry(delivery_id=first.pk, principal=principal_of(firm))
    deliver()
    assert hook.numbers() == [("D1", 1), ("D1", 2)]


def test_a_delivery_whose_tries_are_used_up_early_is_not_parked_before_its_time_is_over(receiver, subscribe):
    firm, hook = make.firm(), receiver(lambda received, nth: 500)
    subscribe(firm, hook.url)
    say("D1", audience=[firm.pk])
    for _ in range(len(ledger.SCHEDULE) + 3):
        due_now()
        deliver(linger=0)
    one = Delivery.objects.get()
    assert (one.state, one.tries) == ("pending", len(ledger.SCHEDULE) + 3)
    assert one.ready_at <= timezone.now() + timedelta(seconds=ledger.SCHEDULE[-1] * 1.1)


def test_failures_that_were_in_the_air_together_count_once(receiver, subscribe):
    """A blip of a second must not look like an outage."""
    firm, hook = make.firm(), receiver()
    endpoint, _ = subscribe(firm, hook.url)
    say("D", audience=[firm.pk])
    deliver()
    hook.answer = lambda received, nth: 503
    for n in range(delivery.PER_ENDPOINT):
        say(f"D{n}", audience=[firm.pk])
    deliver(linger=0)
    endpoint.refresh_from_db()
    assert (len(hook.received), endpoint.failures, endpoint.spared_until) == (1 + delivery.PER_ENDPOINT, 1, None)


def test_a_partner_heard_of_after_a_silence_is_tried_at_once(receiver):
    secret, hook = signing.new_secret(), receiver()
    partner = make_partner("620000", secret=secret)
    endpoint, _ = endpoints.create(
        principal=SYSTEM, organisation_id=partner.organisation_id, partner=partner, url=hook.url, event_types=["*"]
    )
    for n in range(30):
        say(f"D{n}", data={"state": "lodged"})
    hook.answer = lambda received, nth: 503
    for _ in range(ledger.BREAK_AFTER):
        due_now()
        deliver(linger=0)
    assert Endpoint.objects.get(pk=endpoint.pk).spared_until > timezone.now()
    Delivery.objects.update(ready_at=timezone.now() + timedelta(hours=10))
    hook.answer = lambda received, nth: 200
    assert deliver(linger=0) == 0
    assert send(message("D1"), code="620000", secret=secret).status_code == 200
    deliver(linger=0)
    due_now()  # the rest is spread over five seconds
    deliver()
    assert len(hook.taken) == 30


def test_a_parked_delivery_can_be_skipped_and_the_next_goes_on(receiver, subscribe):
    firm, hook = make.firm(), receiver(lambda received, nth: 500 if received.message["seq"] == 1 else 200)
    subscribe(firm, hook.url)
    say("D1", audience=[firm.pk])
    say("D1", audience=[firm.pk])
    deliver()
    Delivery.objects.filter(tries=1).update(state="parked", ready_at=None)
    Endpoint.objects.update(spared_until=None)
    endpoints.skip(delivery_id=Delivery.objects.get(state="parked").pk, principal=principal_of(firm), actor="test")
    deliver()
    assert hook.numbers() == [("D1", 2)]


@pytest.mark.parametrize("status", [301, 302, 307, 404, 500])
def test_anything_but_2xx_is_a_failure_redirects_included(receiver, subscribe, status):
    elsewhere = receiver()
    firm, hook = make.firm(), receiver(lambda received, nth: (status, {"Location": elsewhere.url}, b""))
    subscribe(firm, hook.url)
    say("D1", audience=[firm.pk])
    deliver()
    assert Delivery.objects.get().last_error == f"HTTP {status}"
    assert elsewhere.received == []


def test_a_slow_answer_is_a_failure_and_no_transaction_is_open_meanwhile(receiver, subscribe):
    hanging = threading.Event()
    idle = []

    def answer(received, nth):
        hanging.wait(0.8)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND xact_start < clock_timestamp() - interval '0.7 seconds'"
            )
            idle.append(cursor.fetchone()[0])
        connection.close()
        hanging.wait(0.8)
        return 200

    firm, hook = make.firm(), receiver(answer)
    subscribe(firm, hook.url, timeout=1)
    say("D1", audience=[firm.pk])
    deliver()
    hanging.set()
    assert Delivery.objects.get().last_error == "no answer within 1 s"
    assert idle == [0]


def test_the_start_of_an_answer_is_kept_for_its_reader(receiver, subscribe):
    firm, hook = make.firm(), receiver(lambda received, nth: (500, {}, b"our disk is full\x00" * 4000))
    subscribe(firm, hook.url)
    say("D1", audience=[firm.pk])
    deliver()
    answer = Attempt.objects.get().answer
    assert answer.startswith("our disk is full")
    assert len(answer) <= delivery.ANSWER_BYTES


def test_a_hanging_endpoint_does_not_delay_the_others(receiver, subscribe):
    firm, hung, hook = make.firm(), receiver(slow(3)), receiver()
    subscribe(firm, hung.url, timeout=2)
    subscribe(firm, hook.url)
    for n in range(60):
        say(f"D{n}", audience=[firm.pk])
    thread = threading.Thread(target=lambda: (deliver(seconds=2), connection.close()))
    thread.start()
    deadline = time.monotonic() + 1.9
    while len(hook.taken) < 60 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(hook.taken) == 60
    assert hung.taken == []
    thread.join()


def test_a_rate_limit_holds(receiver, subscribe):
    firm, hook = make.firm(), receiver()
    subscribe(firm, hook.url, rate_limit=10)
    for n in range(25):
        say(f"D{n}", audience=[firm.pk])
    started = time.monotonic()
    deliver(linger=0.3)
    assert len(hook.taken) == 25
    assert time.monotonic() - started > 1.3


def test_a_process_that_dies_before_writing_down_sends_again_and_loses_nothing(receiver, subscribe, monkeypatch):
    firm, hook = make.firm(), receiver()
    subscribe(firm, hook.url)
    for _ in range(3):
        say("D1", audience=[firm.pk])
    settle = ledger.settle
    monkeypatch.setattr(ledger, "settle", lambda outcomes: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        deliver()
    monkeypatch.setattr(ledger, "settle", settle)
    deliver()
    assert hook.numbers() == [("D1", 1), ("D1", 1), ("D1", 2), ("D1", 3)]
    assert len({one.headers["webhook-id"] for one in hook.taken}) == 3


def test_two_processes_do_not_send_the_same_delivery(receiver, subscribe):
    firm, hook = make.firm(), receiver(slow(0.2))
    subscribe(firm, hook.url)
    say("D1", audience=[firm.pk])
    answers: list[int | None] = []

    def work() -> None:
        answers.append(deliver())
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(hook.taken) == 1
    assert None in answers


def test_a_delivery_that_joins_a_line_while_its_first_is_being_settled_is_not_forgotten(receiver, subscribe):
    """The fan-out looks whether something stands in front while that something is just being completed."""
    firm, hook = make.firm(), receiver()
    subscribe(firm, hook.url)
    say("D1", audience=[firm.pk])
    deliver(seconds=0)
    fanout.run()
    for _ in range(30):
        say("D1", audience=[firm.pk])
        thread = threading.Thread(target=lambda: (deliver(linger=0), connection.close()))
        thread.start()
        fanout.run()
        thread.join()
    assert not Delivery.objects.filter(state="pending", ready_at=None).exclude(
        line__in=Delivery.objects.filter(state="pending", ready_at__isnull=False).values("line")
    )
    deliver()
    assert [seq for _, seq in hook.numbers()] == list(range(1, 32))


def test_an_unsettled_line_is_found_by_the_sweep(receiver, subscribe):
    firm, hook = make.firm(), receiver()
    subscribe(firm, hook.url)
    say("D1", audience=[firm.pk])
    from events import log

    log.publish()
    fanout.run()
    Delivery.objects.update(ready_at=None)
    assert ledger.unblock() == 1
    deliver()
    assert len(hook.taken) == 1


def test_both_secrets_sign_during_a_rotation(receiver, subscribe):
    firm, hook = make.firm(), receiver()
    endpoint, old = subscribe(firm, hook.url)
    new = endpoints.rotate(endpoint_id=endpoint.pk, principal=principal_of(firm))
    say("D1", audience=[firm.pk])
    deliver()
    (one,) = hook.taken
    for secret in (old, new):
        assert Webhook(secret).verify(one.body, one.headers)
    endpoint.secrets.filter(expires_at__isnull=False).update(expires_at=timezone.now())
    say("D2", audience=[firm.pk])
    deliver()
    assert len(hook.taken[-1].headers["webhook-signature"].split()) == 1


def test_a_paused_endpoint_keeps_its_deliveries_until_it_is_resumed(receiver, subscribe):
    firm, hook = make.firm(), receiver()
    endpoint, _ = subscribe(firm, hook.url)
    endpoints.pause(endpoint_id=endpoint.pk, principal=principal_of(firm))
    say("D1", audience=[firm.pk])
    deliver()
    assert hook.received == []
    endpoints.resume(endpoint_id=endpoint.pk, principal=principal_of(firm))
    deliver()
    assert hook.numbers() == [("D1", 1)]


def test_a_replay_sends_the_same_ids_again_in_order(receiver, subscribe):
    firm, hook = make.firm(), receiver()
    endpoint, _ = subscribe(firm, hook.url)
    for _ in range(3):
        say("D1", audience=[firm.pk])
    deliver()
    assert endpoints.replay(endpoint_id=endpoint.pk, principal=principal_of(firm), after=0).deliveries == 3
    deliver()
    ids = [one.headers["webhook-id"] for one in hook.taken]
    assert (len(ids), ids[:3]) == (6, ids[3:])
    assert Payload.objects.filter(type="declaration.lodged").count() == 3


def test_a_test_message_is_tried_once_and_never_again(receiver, subscribe):
    firm, hook = make.firm(), receiver(lambda received, nth: 500)
    endpoint, _ = subscribe(firm, hook.url)
    sent = endpoints.test(endpoint_id=endpoint.pk, principal=principal_of(firm))
    assert (sent.state, sent.last_status) == ("failed", 500)
    due_now()
    deliver()
    assert len(hook.received) == 1


def test_what_was_settled_long_ago_is_forgotten_and_nothing_that_is_not_delivered(receiver, subscribe):
    firm, hook = make.firm(), receiver(lambda received, nth: 500 if received.message["subjectnumber"] == "D2" else 200)
    subscribe(firm, hook.url)
    for number in ("D1", "D2", "D3"):
        say(number, audience=[firm.pk])
    deliver(linger=0)
    long_ago = timezone.now() - timedelta(days=100)
    Delivery.objects.update(created_at=long_ago)
    Delivery.objects.filter(payload__subject_number__in=["D1", "D2"]).exclude(done_at=None).update(done_at=long_ago)
    day = (timezone.now() - timedelta(days=90)).date().isoformat()
    call_command("prune_deliveries", "--before", day, "--dry-run", stdout=(out := io.StringIO()))
    assert out.getvalue().startswith("1 deliveries")
    call_command("prune_deliveries", "--before", day, stdout=(out := io.StringIO()))
    assert out.getvalue() == "forgotten: 1 deliveries, 1 attempts, 1 bodies\n"
    left = Delivery.objects.order_by("pk").values_list("payload__subject_number", "state")
    assert list(left) == [("D2", "pending"), ("D3", "delivered")]
    assert Payload.objects.count() == Attempt.objects.count() == 2


def test_a_body_in_a_partners_feed_is_kept_when_its_delivery_is_forgotten(receiver):
    partner = make_partner("620000")
    endpoints.create(
        principal=SYSTEM,
        organisation_id=partner.organisation_id,
        partner=partner,
        url=receiver().url,
        event_types=["*"],
    )
    say("D1", data={"state": "lodged"})
    deliver(linger=0)
    assert pruning.prune(timezone.now() + timedelta(days=1)) == (1, 1, 0)
    assert len(feeds.read_after(partner, terms_of(partner), 0, limit=10)) == 1
