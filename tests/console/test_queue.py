"""The work queue: the oldest first, by office; a case has one officer at a time."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from clearance import inspections, release, requests, selection
from common import casework
from common.models import CaseLease
from console import queue
from console.queue import Filters
from declarations.models import Declaration
from tests import make
from tests.clearance import states
from tests.console.officers import Desk

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_numbers() -> None:
    cache.clear()


def numbers(desk: Desk, /, **query: str) -> list[str]:
    principal = make.officer_principal(desk.officer)
    rows, _ = queue.page(Filters.of(query, principal), principal)
    return [row["declaration"].unified_number for row in rows]


def aged(declaration: Declaration, hours: float) -> Declaration:
    """Time is what these tests replace."""
    Declaration.objects.filter(pk=declaration.pk).update(state_since=timezone.now() - timedelta(hours=hours))
    return declaration


def test_the_queue_holds_the_officers_offices_oldest_first() -> None:
    young = aged(make.declaration(state="under_review"), 1)
    old = aged(make.declaration(state="under_review", customs_office="8001"), 5)
    make.declaration(state="under_review", customs_office="7200")
    desk = Desk(offices=("8000", "8001"))
    assert numbers(desk) == [old.unified_number, young.unified_number]
    assert numbers(desk, office="8000") == [young.unified_number]
    assert numbers(desk, office="7200") == []


def test_a_page_ends_and_the_next_goes_on_where_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "PAGE", 2)
    made = [aged(make.declaration(state="under_review"), hours).unified_number for hours in (5, 4, 3, 2, 1)]
    principal = make.officer_principal(Desk().officer)
    seen, after = [], ""
    for _ in range(5):
        rows, after = queue.page(Filters.of({}, principal), principal, after)
        seen += [row["declaration"].unified_number for row in rows]
        if not after:
            break
    assert seen == made


@pytest.mark.parametrize("cursor", ["x", "%00", "MjAyNg==", "8J+YgA=="])
def test_a_broken_cursor_is_the_first_page(cursor: str) -> None:
    assert Desk().get("queue", after=cursor).status_code == 200


def test_filters_narrow_the_queue() -> None:
    imported = aged(make.declaration(state="accepted"), 30)
    exported = make.declaration(state="accepted", direction="E")
    desk = Desk()
    assert numbers(desk, desk="accepted", direction="E") == [exported.unified_number]
    assert numbers(desk, desk="accepted", late="1") == [imported.unified_number]
    assert numbers(desk, desk="accepted", party=imported.domestic_party_name) == [imported.unified_number]
    assert numbers(desk, desk="accepted", party="%_no such") == []


def test_an_age_is_fresh_then_due_then_late() -> None:
    for hours, level in ((1, "fresh"), (5, "due"), (9, "late")):
        cache.clear()
        aged(make.declaration(state="under_review"), hours)
        assert f'class="age {level}"' in Desk().get("queue", desk="review").content.decode()
    cache.clear()
    principal = make.officer_principal(Desk().officer)
    assert queue.counts(principal)["review"] == {"all": 3, "late": 1}


def test_a_desk_takes_the_oldest_free_case() -> None:
    old, young = (aged(make.declaration(state="under_review"), hours) for hours in (3, 2))
    one, other, late = Desk(), Desk(), Desk()
    assert one.post("take_next", desk="review").redirect_chain[-1][0].endswith(f"{old.unified_number}/?desk=review")
    assert other.post("take_next", desk="review").redirect_chain[-1][0].endswith(f"{young.unified_number}/?desk=review")
    assert "已无可领取" in late.post("take_next", desk="review").content.decode()
    one.post("give_back", old.unified_number)
    assert late.post("take_next", desk="review").redirect_chain[-1][0].endswith(f"{old.unified_number}/?desk=review")
    assert numbers(late, mine="1") == [old.unified_number]


def test_a_case_nobody_touches_comes_back_by_itself() -> None:
    case = make.declaration(state="under_review")
    assert casework.take(kind="declaration", numbers=[case.unified_number], holder="one", lease=timedelta(seconds=-1))
    assert casework.held("declaration", [case.unified_number]) == {}
    assert casework.take(kind="declaration", numbers=[case.unified_number], holder="two") == [case.unified_number]
    assert casework.take(kind="declaration", numbers=[case.unified_number], holder="one") == []
    assert casework.give_back(kind="declaration", numbers=[case.unified_number], holder="one") == 0


def test_who_looks_at_a_case_in_hand_keeps_it_longer() -> None:
    case = make.declaration(state="under_review")
    desk = Desk()
    casework.take(kind="declaration", numbers=[case.unified_number], holder=desk.actor, lease=timedelta(minutes=1))
    desk.page(case)
    assert CaseLease.objects.get().until > timezone.now() + timedelta(minutes=20)


@pytest.mark.django_db(transaction=True)
def test_two_officers_at_the_same_moment_get_two_cases() -> None:
    cases = {make.declaration(state="under_review").unified_number for _ in range(6)}
    principals = [make.officer_principal(Desk().officer) for _ in range(6)]
    taken: list[str | None] = []
    start = threading.Barrier(6)

    def work(n: int) -> None:
        try:
            start.wait()
            taken.append(queue.take_next(Filters.of({"desk": "review"}, principals[n]), principals[n], str(n)))
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [number for number in taken if number]
    assert len(found) == len(set(found))
    assert set(found) <= cases
    assert {lease.number: lease.holder for lease in CaseLease.objects.all()}.keys() == set(found)


def test_what_the_rules_sent_to_an_officer_lies_on_a_desk_of_examination_and_is_not_handed_out_for_release() -> None:
    states.rule(action="review")
    case = states.declared()
    states.proceed(case)
    examiner, releaser = Desk(duties=("examination",)), Desk(duties=("release",))
    assert numbers(examiner, desk="selected") == [case.unified_number]
    assert "已无可领取" in releaser.post("take_next", desk="accepted").content.decode()
    assert (
        examiner.post("take_next", desk="selected")
        .redirect_chain[-1][0]
        .endswith(f"{case.unified_number}/?desk=selected")
    )
    assert queue.counts(make.officer_principal(examiner.officer))["selected"]["all"] == 1
    release.review(number=case.unified_number, principal=make.officer_principal(examiner.officer))
    assert numbers(examiner, desk="selected") == []
    casework.give_back(kind="declaration", numbers=[case.unified_number], holder=examiner.actor)
    assert (
        releaser.post("take_next", desk="accepted")
        .redirect_chain[-1][0]
        .endswith(f"{case.unified_number}/?desk=accepted")
    )


def test_what_waits_for_its_goods_its_payment_or_its_full_declaration_is_not_handed_out() -> None:
    ready = aged(states.declared(), 1)
    for number, waiting in enumerate((
        states.declared(states.goods(states.carrier(), "BLWAIT", arrived=False)),
        states.declared(document_type="  5   "),
    )):  # fmt: skip
        selection.select(waiting.unified_number)
        aged(waiting, 5 + number)
    desk = Desk(duties=("release",))
    assert len(numbers(desk, desk="accepted")) == 3
    assert (
        desk.post("take_next", desk="accepted").redirect_chain[-1][0].endswith(f"{ready.unified_number}/?desk=accepted")
    )
    assert "已无可领取" in Desk(duties=("release",)).post("take_next", desk="accepted").content.decode()


def test_change_requests_and_unsettled_differences_have_desks_of_their_own() -> None:
    asked, differing = states.declared(state="released"), states.declared()
    message = asked.message | {"contract_number": "HT-2"}
    principal = make.principal(asked.firm)
    row = requests.ask(number=asked.unified_number, kind="amend", reason="x", message=message, principal=principal)
    officer = make.officer_principal()
    order = inspections.order(number=differing.unified_number, principal=officer)
    inspections.finish(pk=order.pk, passed=False, note="少 1 件", follow_up="penalty", principal=officer)
    desk = Desk()
    assert numbers(desk, desk="requests") == [asked.unified_number]
    assert numbers(desk, desk="differences") == [differing.unified_number]
    requests.decide(pk=row.pk, approve=False, principal=officer)
    inspections.settle(pk=order.pk, outcome="警告", principal=officer)
    assert numbers(desk, desk="requests") == numbers(desk, desk="differences") == []


def test_the_queue_is_narrowed_by_mode_and_lane() -> None:
    ordinary, summary = states.declared(), states.declared(document_type="  5   ")
    for case in (ordinary, summary):
        selection.select(case.unified_number)
    desk = Desk()
    assert numbers(desk, desk="accepted", mode="two_step") == [summary.unified_number]
    assert numbers(desk, desk="accepted", lane="inspect") == []
    assert len(numbers(desk, desk="accepted", lane="release")) == 2
