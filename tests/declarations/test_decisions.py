"""What officers decide: duty, state, reason."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from common.problems import Problem
from declarations import decisions, lodgement
from declarations.checks import running
from declarations.lifecycle import LIFECYCLE, State, step
from declarations.models import Declaration
from events.models import Event
from parties.principals import SYSTEM
from tests import make

pytestmark = pytest.mark.django_db


def refused(**arguments) -> tuple[int, str]:
    with pytest.raises(Problem) as problem:
        decisions.decide(**arguments)
    return problem.value.status, problem.value.code


def test_an_officer_decides_at_the_own_offices_only(firm):
    declaration = make.declaration(firm, "under_review")
    here = make.officer_principal(make.officer(offices=("8000",)))
    elsewhere = make.officer_principal(make.officer(offices=("5300",)))
    call = {"number": declaration.unified_number, "command": "accept"}
    assert refused(principal=elsewhere, **call) == (404, "not-found")
    assert decisions.decide(principal=here, **call).state == "accepted"


def test_an_officer_decides_within_the_own_duties_only(firm):
    declaration = make.declaration(firm, "accepted")
    examiner = make.officer_principal(make.officer(duties=("examination",)))
    call = {"number": declaration.unified_number, "principal": examiner}
    assert refused(command="release", **call) == (403, "not-your-duty")
    assert decisions.allowed(declaration, examiner) == ["return"]
    assert refused(command="amend", **call) == (403, "not-your-duty")


def test_a_firm_decides_nothing(firm):
    declaration = make.declaration(firm, "under_review")
    assert refused(number=declaration.unified_number, command="accept", principal=make.principal(firm)) == (
        403,
        "not-your-duty",
    )


@pytest.mark.parametrize("reason", ["", "no-such", "low-risk"])
def test_a_return_needs_a_reason_of_its_own(firm, reason):
    declaration = make.declaration(firm, "under_review")
    call = {"number": declaration.unified_number, "command": "return", "principal": make.officer_principal()}
    assert refused(reason_code=reason, **call)[0] == 422
    declaration = decisions.decide(reason_code="documents", note="缺发票", **call)
    event = Event.objects.get(subject_number=declaration.unified_number, type="declaration.returned")
    assert (event.data["reason_code"], event.data["note"]) == ("documents", "缺发票")


def test_a_late_decision_never_moves_a_declaration_backwards(firm):
    declaration = make.declaration(firm, "cleared")
    for command in LIFECYCLE.transitions:
        assert refused(
            number=declaration.unified_number, command=command, principal=SYSTEM, reason_code="checks-failed"
        )[0] in (403, 409)
    declaration.refresh_from_db()
    assert declaration.state == "cleared"


class Life(RuleBasedStateMachine):
    """Whatever is called in whatever order: the state is what the table says, and the events tell the same story."""

    numbers = Bundle("numbers")

    @initialize()
    def cast(self):
        self.firm = make.firm()
        self.principal = make.principal(self.firm)
        self.expected: dict[str, str] = {}
        self.steps: dict[str, int] = {}

    @rule(target=numbers, draft=st.booleans())
    def lodge(self, draft):
        declaration = make.declaration(self.firm, "draft" if draft else "lodged")
        self.expected[declaration.unified_number] = declaration.state
        self.steps[declaration.unified_number] = 1
        return declaration.unified_number

    @rule(number=numbers, command=st.sampled_from(sorted(set(LIFECYCLE.transitions) - {"complete"})))
    def command(self, number, command):
        state = self.expected[number]
        possible = command in LIFECYCLE.allowed(state)
        try:
            if command == "lodge":
                lodgement.lodge_draft(number=number, principal=self.principal)
            elif command == "amend":
                message = Declaration.objects.get(unified_number=number).message
                changed = message | {"remarks": str(self.steps[number])}
                lodgement.amend(number=number, message=changed, reason="x", principal=self.principal)
            elif command == "withdraw":
                lodgement.withdraw(number=number, reason="x", principal=self.principal)
            else:
                reason = "checks-failed" if command in ("reject", "return") else ""
                reason = "risk-analysis" if command == "hold" else reason
                decisions.decide(number=number, command=command, principal=SYSTEM, reason_code=reason)
        except Problem as problem:
            assert problem.status == 409  # noqa: PT017
            assert not possible, problem  # noqa: PT017
        else:
            assert possible
            self.expected[number] = LIFECYCLE.target(state, command)
            self.steps[number] += 1

    @rule(number=numbers)
    def run_checks(self, number):
        command = running.run(number)
        assert (command is not None) == (self.expected[number] == State.LODGED)
        if command:
            self.expected[number] = step(command).target
            self.steps[number] += 1

    @invariant()
    def the_rows_agree(self):
        for declaration in Declaration.objects.filter(unified_number__in=getattr(self, "expected", ())):
            number = declaration.unified_number
            assert declaration.state == self.expected[number]
            events = list(Event.objects.filter(subject_kind="declaration", subject_number=number).order_by("sequence"))
            assert [event.sequence for event in events] == list(range(1, self.steps[number] + 1))
            assert declaration.revision == self.steps[number]
            assert declaration.versions.count() == declaration.version


class TestLife(TestCase, Life.TestCase):
    settings = settings(max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))
