"""What is sent again, beside what is handed out."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, transaction

from events.models import Event
from exchange import endpoints, fanout, ledger
from exchange.models import Delivery
from tests import make
from tests.exchange.conftest import deliver, principal_of, say, share

pytestmark = pytest.mark.django_db(transaction=True)


def _reader_is_free() -> bool:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM events_reader WHERE name = %s FOR UPDATE SKIP LOCKED", [fanout.READER])
        return cursor.fetchone() is not None


def _beside(work) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_two_replays_of_what_was_never_made_into_a_message_both_come_to_their_end(receiver, subscribe):
    firm, hook = make.firm(), receiver()
    say("D1", audience=[firm.pk])
    share()
    first, second = (subscribe(firm, f"{hook.url}/{n}")[0] for n in range(2))
    done = []
    with transaction.atomic():
        endpoints.replay(endpoint_id=first.pk, principal=principal_of(firm), after=0)
        other = _beside(
            lambda: done.append(endpoints.replay(endpoint_id=second.pk, principal=principal_of(firm), after=0))
        )
        while not _waits_for_a_lock():
            assert other.is_alive()
    other.join()
    assert [one.deliveries for one in done] == [1]
    assert Delivery.objects.values("payload").distinct().count() == 1, "one body for both"
    deliver()
    assert {one.path for one in hook.taken} == {"/hook/0", "/hook/1"}


def _waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])


def test_nothing_is_handed_out_while_a_replay_makes_the_same_messages(receiver, subscribe, monkeypatch):
    """Each would hold what the other waits for."""
    firm = make.firm()
    endpoint, _ = subscribe(firm, receiver().url)
    share()
    free, missed = [], fanout.missed

    def watched(*arguments, **options):
        _beside(lambda: free.append(_reader_is_free())).join()
        return missed(*arguments, **options)

    monkeypatch.setattr(fanout, "missed", watched)
    endpoints.replay(endpoint_id=endpoint.pk, principal=principal_of(firm), after=0)
    assert free == [False]


def test_a_replay_while_an_endpoint_catches_up_makes_it_miss_nothing(receiver, subscribe):
    firm, hook = make.firm(), receiver()
    endpoint, _ = subscribe(firm, hook.url)
    share()
    ledger.disable(endpoint.pk, "test")
    for nth in range(6):
        say(f"D{nth}", audience=[firm.pk])
    share()
    endpoints.resume(endpoint_id=endpoint.pk, principal=principal_of(firm))
    late = Event.objects.get(subject_number="D4").position
    endpoints.replay(endpoint_id=endpoint.pk, principal=principal_of(firm), after=late - 1)
    ledger.disable(endpoint.pk, "test")
    endpoints.resume(endpoint_id=endpoint.pk, principal=principal_of(firm))
    deliver()
    assert {number for number, _ in hook.numbers()} == {f"D{nth}" for nth in range(6)}
