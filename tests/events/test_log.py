from __future__ import annotations

import threading

import pytest
from django.db import DatabaseError, InternalError, connection, transaction

from events import log
from events.models import Event

pytestmark = pytest.mark.django_db


def say(number: str, **details):
    with transaction.atomic():
        return log.append(
            **{"type": "thing.done", "subject": ("thing", number), "actor": "test", "audience": [1], "data": {}}
            | details
        )


def test_sequence_counts_within_the_subject():
    assert [say("A").sequence, say("A").sequence, say("B").sequence] == [1, 2, 1]


@pytest.mark.django_db(transaction=True)
def test_append_outside_a_transaction_is_refused():
    with pytest.raises(transaction.TransactionManagementError):
        log.append(type="x", subject=("thing", "A"), actor="t", audience=[], data={})


def test_identifiers_are_version_7_uuids_in_order_of_time():
    ids = [say(str(n)).id for n in range(3)]
    assert all(identifier.version == 7 for identifier in ids)


def test_an_event_is_readable_only_after_publication_and_in_order():
    first, second = say("A"), say("B")
    assert log.read_after(0) == []
    assert log.publish() == 2
    assert [event.id for event in log.read_after(0)] == [first.id, second.id]
    assert log.publish() == 0


def test_a_party_reads_only_its_own():
    say("A", audience=[1, 2])
    say("B", audience=[2])
    log.publish()
    assert [event.subject_number for event in log.read_after(0, organisation_id=1)] == ["A"]
    assert [event.subject_number for event in log.read_after(0, organisation_id=2)] == ["A", "B"]


def test_a_published_event_can_be_neither_changed_nor_deleted():
    say("A")
    log.publish()
    for change in (lambda: Event.objects.update(actor="someone else"), lambda: Event.objects.all().delete()):
        with pytest.raises((InternalError, DatabaseError)), transaction.atomic():
            change()


@pytest.mark.django_db(transaction=True)
def test_a_commit_that_comes_late_is_never_skipped_by_a_reader():
    """The one transaction appends first and commits last; a reader in between must still meet its event."""
    appended, commit = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            log.append(type="slow", subject=("thing", "slow"), actor="t", audience=[], data={})
            appended.set()
            commit.wait(10)
        connection.close()

    thread = threading.Thread(target=slow)
    thread.start()
    assert appended.wait(10)
    say("quick")
    log.publish()
    seen = log.read_after(0)
    assert [event.subject_number for event in seen] == ["quick"]
    commit.set()
    thread.join()
    log.publish()
    assert [event.subject_number for event in log.read_after(seen[-1].position)] == ["slow"]


@pytest.mark.django_db(transaction=True)
def test_a_named_reader_meets_every_event_once_and_in_order():
    for n in range(7):
        say(str(n))
    log.publish()
    met: list[str] = []
    while log.follow("test", lambda events: met.extend(event.subject_number for event in events), limit=3):
        pass
    assert met == [str(n) for n in range(7)]


@pytest.mark.django_db(transaction=True)
def test_a_reader_that_fails_meets_the_same_events_again():
    say("A")
    log.publish()
    with pytest.raises(ZeroDivisionError):
        log.follow("test", lambda events: 1 // 0)
    met: list[str] = []
    log.follow("test", lambda events: met.extend(event.subject_number for event in events))
    assert met == ["A"]


def test_waiting_readers_never_take_every_thread_of_a_process():
    """Four wait for news that does not come; the fifth is answered at once."""
    news = threading.Event()
    found: list[list[str]] = []
    entered = threading.Semaphore(0)

    def reader():
        calls = 0

        def look():
            nonlocal calls
            calls += 1
            if calls == 2:  # it waits
                entered.release()
            return ["news"] if news.is_set() else []

        found.append(log.wait_for(look, seconds=20))

    readers = [threading.Thread(target=reader) for _ in range(log.WAITERS)]
    for thread in readers:
        thread.start()
    for _ in readers:
        assert entered.acquire(timeout=10)
    looks: list[int] = []
    assert log.wait_for(lambda: looks.append(1) or [], seconds=20) == []
    assert len(looks) == 1, "it did not wait"
    news.set()
    for thread in readers:
        thread.join(10)
    assert found == [["news"]] * log.WAITERS
