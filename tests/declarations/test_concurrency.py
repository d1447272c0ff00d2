"""What happens at once: twins, numbers, batches that cross, changes that race."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from common.problems import Problem
from declarations import lodgement
from declarations.checks import running
from declarations.models import Declaration
from events.models import Event
from tests import make

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*work: Callable[[], Any]) -> list[Any]:
    """The results (or problems) of functions that start together, each on a connection of its own."""
    barrier = threading.Barrier(len(work))
    results: list[Any] = [None] * len(work)

    def run(index: int) -> None:
        barrier.wait()
        try:
            results[index] = work[index]()
        except Problem as problem:
            results[index] = problem
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_two_identical_lodgements_at_once_are_one_declaration():
    firm = make.firm()
    message, principal = make.message(firm), make.principal(firm)
    results = at_once(*[lambda: lodgement.lodge(message, principal)] * 6)
    assert len({result.unified_number for result in results}) == 1
    assert sum(result.created for result in results) == 1
    assert (Declaration.objects.count(), Event.objects.filter(type="declaration.lodged").count()) == (1, 1)


@pytest.mark.parametrize("oper", ["declare", "save"])
def test_identical_messages_over_one_draft_at_once_are_one_change_of_it(oper):
    """Whoever was not answered in time sends the same again while the first is still being worked at."""
    firm = make.firm()
    draft, principal = make.declaration(firm, "draft"), make.principal(firm)
    number, message = draft.unified_number, draft.message | {"oper": oper, "gross_weight": "20600.00000"}

    locked = threading.Event()

    def until_both_wait() -> int:
        with transaction.atomic():
            Declaration.objects.select_for_update().get(pk=draft.pk)
            locked.set()
            end = time.monotonic() + 30
            while (found := waiting()) < 2 and time.monotonic() < end:
                time.sleep(0.01)
            return found

    def send() -> lodgement.Lodged:
        locked.wait()
        return lodgement.lodge(dict(message), principal)

    def waiting() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # else a transaction sees the sessions of its first look
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            return int(cursor.fetchone()[0])

    waited, *results = at_once(until_both_wait, send, send)
    assert waited == 2
    state = "lodged" if oper == "declare" else "draft"
    assert [(one.unified_number, one.state, one.created) for one in results] == [(number, state, False)] * 2
    change = "declaration.lodged" if oper == "declare" else "declaration.draft_changed"
    assert make.events_of("declaration", number) == ["declaration.drafted", change]
    draft.refresh_from_db()
    assert (draft.message["gross_weight"], draft.revision) == ("20600.00000", 2)


def test_two_identical_requests_with_one_idempotency_key_lodge_once():
    firm = make.firm()
    message = make.message(firm, client_reference="")
    callers = [make.Api(firm) for _ in range(1)] * 4
    answers = at_once(
        *[
            lambda caller=caller: caller.post("/api/v1/declarations", message, headers={"Idempotency-Key": "twin"})
            for caller in callers
        ]
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert Declaration.objects.count() == 1


def test_numbers_given_at_once_are_unique():
    firm = make.firm()
    principal = make.principal(firm)
    batches = [[make.message(firm) for _ in range(20)] for _ in range(4)]
    at_once(*[lambda batch=batch: lodgement.lodge_many(batch, principal) for batch in batches])
    numbers = list(Declaration.objects.values_list("unified_number", flat=True))
    assert len(numbers) == len(set(numbers)) == 80
    at_once(*[lambda part=part: [running.run(number) for number in part] for part in (numbers[::2], numbers[1::2])])
    given = list(Declaration.objects.values_list("customs_number", flat=True))
    assert None not in given
    assert len(set(given)) == 80


def test_batches_that_hold_the_same_declarations_in_another_order_do_not_lock_each_other_out():
    firm = make.firm()
    principal = make.principal(firm)
    messages = [make.message(firm) for _ in range(40)]
    results = at_once(
        lambda: lodgement.lodge_many(messages, principal), lambda: lodgement.lodge_many(messages[::-1], principal)
    )
    assert [one.unified_number for one in results[0]] == [one.unified_number for one in results[1]][::-1]
    assert Declaration.objects.count() == 40


def test_of_two_changes_that_read_the_same_revision_one_is_refused():
    firm = make.firm()
    declaration = make.declaration(firm, "returned")
    message, principal = declaration.message, make.principal(firm)
    results = at_once(
        *[
            lambda text=text: lodgement.amend(
                number=declaration.unified_number,
                message=message | {"remarks": text},
                reason=text,
                principal=principal,
                if_match=declaration.etag,
            )
            for text in ("one", "two")
        ]
    )
    assert sorted(type(result).__name__ for result in results) == ["Declaration", "Problem"]
    assert next(result.status for result in results if isinstance(result, Problem)) == 412
    assert declaration.versions.count() == 2


def test_two_workers_at_one_declaration_check_it_once():
    declaration = make.declaration(make.firm())
    results = at_once(*[lambda: running.run(declaration.unified_number)] * 4)
    assert sorted(result or "" for result in results) == ["", "", "", "accept"]
    assert Event.objects.filter(type="declaration.accepted").count() == 1
