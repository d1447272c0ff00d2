"""No declaration is released while a hold stands, whatever comes in whatever order, one after the other or at once."""

from __future__ import annotations

import random
import threading

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from clearance import gates, holds, inspections, release, requests, selection
from clearance.models import Hold, Release
from common.problems import Problem
from declarations import decisions
from declarations.models import Declaration
from events.models import Event
from parties.principals import SYSTEM
from tests import make
from tests.cargo.cargo_make import acting_for, container
from tests.clearance import states


def intervals_of_holds(references: list[str]) -> list[tuple[int, int | None]]:
    """When holds stood, in the order of writing of the log."""
    found = []
    for hold in Hold.objects.filter(reference__in=references):
        written = dict(
            Event.objects.filter(subject_kind="hold", subject_number=str(hold.pk)).values_list("type", "entry")
        )
        found.append((written["hold.placed"], written.get("hold.lifted")))
    return found


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", range(6))
def test_a_release_racing_holds_never_wins_while_one_stands(seed):
    """Real transactions in threads: two holders place and lift, two workers and an officer release."""
    dice = random.Random(seed)
    box = container()
    declaration = states.declared(states.goods(states.carrier(), f"R{seed}", boxes=[box]))
    number = declaration.unified_number
    selection.select(number)
    references = [f"declaration:{number}", f"bill:R{seed}", f"container:{box}"]
    plans = [[dice.choice(references) for _ in range(3)] for _ in range(2)]
    start = threading.Barrier(5)
    unexpected: list[BaseException] = []

    def run(work) -> None:
        try:
            start.wait()
            work()
        except Problem:
            pass
        except BaseException as error:
            unexpected.append(error)
        finally:
            connection.close()

    def hold(name, plan):
        def work():
            for index, reference in enumerate(plan):
                row = holds.place(
                    reference=reference, kind="customs", reason="x", holder_reference=f"{name}{index}", principal=SYSTEM
                )
                if index < len(plan) - 1 or name == "b":
                    holds.lift(pk=str(row.pk), principal=SYSTEM)

        return work

    def attempts():
        for _ in range(4):
            release.attempt(number)

    officer = make.officer_principal()
    work = [
        hold("a", plans[0]), hold("b", plans[1]), attempts, attempts,
        lambda: decisions.decide(command="release", number=number, principal=officer, reason_code="examined"),
    ]  # fmt: skip
    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert unexpected == []
    released = list(
        Event.objects.filter(subject_number=number, type="declaration.released").values_list("entry", flat=True)
    )
    declaration.refresh_from_db()
    assert len(released) == (declaration.state == "released") == Release.objects.filter(stage="final").count()
    for placed, lifted in intervals_of_holds(references):
        for at in released:
            assert not (placed < at and (lifted is None or at < lifted)), "released while a hold stood"


@pytest.mark.django_db(transaction=True)
def test_two_officers_deciding_at_once_decide_once():
    declaration = states.declared()
    firm = make.principal(declaration.firm)
    row = requests.ask(number=declaration.unified_number, kind="withdraw", reason="x", principal=firm)
    officers = [make.officer_principal(), make.officer_principal()]
    outcomes: list[str] = []

    def decide(officer, approve):
        try:
            requests.decide(pk=row.pk, approve=approve, principal=officer)
            outcomes.append("done")
        except Problem as problem:
            outcomes.append(problem.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=decide, args=(one, index == 0)) for index, one in enumerate(officers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["decided", "done"]


class Clearance(RuleBasedStateMachine):
    """Any order of what carriers, agencies, firms and officers may do to one declaration."""

    @initialize()
    def cast(self):
        self.box = container()
        self.carrier = states.carrier()
        self.goods = states.goods(self.carrier, f"S{self.box}", boxes=[self.box])
        self.declaration = states.declared(self.goods)
        self.number = self.declaration.unified_number
        self.officer = make.officer_principal()
        self.firm = make.principal(self.declaration.firm)
        self.standing: dict[str, str] = {}
        self.count = 0
        self.seen_released = False

    def state(self) -> str:
        return Declaration.objects.values_list("state", flat=True).get(pk=self.declaration.pk)

    def attempt(self, do) -> bool:
        """Whether it was done; a refusal always says why."""
        try:
            do()
        except Problem as problem:
            assert problem.status in (404, 409, 422)  # noqa: PT017
            assert problem.code  # noqa: PT017
            return False
        return True

    @rule(what=st.sampled_from(["declaration", "bill", "container"]))
    def hold(self, what):
        self.count += 1
        target = {"declaration": self.number, "bill": self.goods.bill_number, "container": self.box}[what]
        row = holds.place(
            reference=f"{what}:{target}", kind="customs", reason="x", holder_reference=f"{self.number}-{self.count}",
            principal=SYSTEM,
        )  # fmt: skip
        self.standing[str(row.pk)] = what

    @precondition(lambda self: self.standing)
    @rule(data=st.data())
    def lift(self, data):
        pk = data.draw(st.sampled_from(sorted(self.standing)))
        holds.lift(pk=pk, principal=SYSTEM)
        del self.standing[pk]

    @rule()
    def select(self):
        selection.select(self.number)

    @rule()
    def worker_releases(self):
        blocked = bool(self.standing)
        if release.attempt(self.number) == "final":
            assert not blocked

    @rule()
    def officer_releases(self):
        blocked = bool(self.standing)
        done = self.attempt(
            lambda: decisions.decide(
                command="release", number=self.number, principal=self.officer, reason_code="examined"
            )
        )
        assert not (done and blocked)

    @rule()
    def order_inspection(self):
        self.attempt(lambda: inspections.order(number=self.number, principal=self.officer))

    @rule(passed=st.booleans())
    def result(self, passed):
        order = self.declaration.inspection_orders.order_by("-pk").first()
        if order is not None:
            self.attempt(
                lambda: inspections.finish(
                    pk=order.pk, passed=passed, note="x", follow_up="" if passed else "penalty", principal=self.officer
                )
            )

    @rule()
    def ask_to_withdraw(self):
        self.attempt(lambda: requests.ask(number=self.number, kind="withdraw", reason="x", principal=self.firm))

    @rule()
    def ask_to_amend(self):
        """Before release the declaration goes back through the checks; after it the release stands."""
        self.count += 1
        message = Declaration.objects.get(pk=self.declaration.pk).message | {"contract_number": f"HT-{self.count}"}
        self.attempt(
            lambda: requests.ask(number=self.number, kind="amend", reason="x", message=message, principal=self.firm)
        )

    @rule()
    def truck_at_the_gate(self):
        """No laden container leaves before release, or while anything holds its goods."""
        self.count += 1
        move = gates.record(
            message_id=f"{self.number}-{self.count}", container=self.box, move="GTOT", fullness="LADEN", place="QZHDL",
            at=timezone.now(), principal=acting_for(self.carrier),
        )  # fmt: skip
        assert move.permitted == (self.state() == "released" and not self.standing)
        assert move.permitted or move.reasons

    @rule(approve=st.booleans())
    def decide_request(self, approve):
        row = self.declaration.change_requests.order_by("-pk").first()
        if row is not None:
            self.attempt(lambda: requests.decide(pk=row.pk, approve=approve, principal=self.officer))

    @invariant()
    def one_release_and_only_when_nothing_stood(self):
        if not hasattr(self, "number"):
            return
        released = self.state() == "released"
        assert released == Release.objects.filter(declaration=self.declaration, stage="final").exists()
        if released and not self.seen_released:
            assert not self.standing
            assert not self.declaration.inspection_orders.open().exists()
            self.seen_released = True
        assert released or not self.seen_released, "a release is never undone"


class TestClearance(TestCase, Clearance.TestCase):
    settings = settings(max_examples=15, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck))
