"""Random drafting, checking and publishing of lists by two bodies, against a simple model: on each day at most one list of a
body binds, what is public never changes, and a charge is held against the list of its own day."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.core.management import call_command
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from psycopg2.extras import DateRange

from common.problems import Problem
from parties.models import OrganisationRole
from portfees import catalogues
from portfees.invoices import Line, find
from portfees.models import FeeList, Finding, Parameter
from tests import make
from tests.portfees.conftest import item, principal

START, NOTICE = date(2026, 1, 1), 30
BODIES = st.sampled_from([0, 1])
RATES = st.dictionaries(st.sampled_from("ABC"), st.integers(0, 999), max_size=3)


class Model:
    """A list as a clerk would note it on a card."""

    def __init__(self, body: int, first: date, last: date | None, rates: dict[str, int]) -> None:
        self.body, self.first, self.last, self.rates, self.state = body, first, last, rates, "draft"

    def binds(self, day: date) -> bool:
        return self.state == "public" and self.first <= day and (self.last is None or day < self.last)


class Lists(RuleBasedStateMachine):
    numbers = Bundle("numbers")

    @initialize()
    def begin(self) -> None:
        call_command("load_reference", verbosity=0)
        if not Parameter.objects.exists():
            since = DateRange(date(2020, 1, 1), None)
            Parameter.objects.create(name="notice_days", value=NOTICE, basis="test", valid=since)
        self.bodies = [make.organisation(OrganisationRole.TERMINAL) for _ in range(2)]
        self.day = START
        self.models: dict[str, Model] = {}

    def attempt(self, allowed: bool, call: Any, **options: Any) -> Any:
        before = list(FeeList.objects.order_by("pk").values_list("number", "state", "valid"))
        done, problem = None, None
        try:
            done = call(**options)
        except Problem as raised:
            problem = raised
        assert allowed == (problem is None), problem or "the catalogue took what the model forbids"
        if problem is not None:
            assert problem.status in (404, 409, 422)
            assert list(FeeList.objects.order_by("pk").values_list("number", "state", "valid")) == before
        return done

    def lines(self, rates: dict[str, int]) -> list[Any]:
        return [item(code, rate=Decimal(rate)) for code, rate in sorted(rates.items())]

    @rule(target=numbers, body=BODIES, ahead=st.integers(-20, 90), length=st.integers(0, 60), rates=RATES)
    def draft(self, body: int, ahead: int, length: int, rates: dict[str, int]) -> str:
        first = self.day + timedelta(days=ahead)
        last = first + timedelta(days=length) if length else None
        made = catalogues.draft(
            principal=principal(self.bodies[body]), body_class="terminal", port="CNQZH", title="清单", valid_from=first,
            valid_to=last, complaint_telephone="1", items=self.lines(rates),
        )  # fmt: skip
        self.models[made.number] = Model(body, first, last, rates)
        return made.number

    @rule(number=numbers, by=BODIES, rates=RATES)
    def rewrite(self, number: str, by: int, rates: dict[str, int]) -> None:
        model = self.models[number]
        allowed = by == model.body and model.state == "draft"
        options = {"number": number, "principal": principal(self.bodies[by]), "items": self.lines(rates)}
        if self.attempt(allowed, catalogues.replace_items, **options):
            model.rates = rates

    @rule(number=numbers, by=BODIES, reopen=st.booleans())
    def check(self, number: str, by: int, reopen: bool) -> None:
        model = self.models[number]
        allowed = by == model.body and (
            model.state == "checked" if reopen else model.state == "draft" and bool(model.rates)
        )
        command = catalogues.reopen if reopen else catalogues.check
        if self.attempt(allowed, command, number=number, principal=principal(self.bodies[by])):
            model.state = "draft" if reopen else "checked"

    @rule(number=numbers, by=BODIES)
    def publish(self, number: str, by: int) -> None:
        model = self.models[number]
        public = [one for one in self.models.values() if one.body == model.body and one.state == "public"]
        newest = max(public, key=lambda one: one.first, default=None)
        in_time = newest is None or (model.first >= self.day + timedelta(days=NOTICE) and model.first > newest.first)
        in_time = in_time and model.first >= self.day
        allowed = by == model.body and model.state == "checked" and in_time
        if self.attempt(allowed, catalogues.publish, number=number, principal=principal(self.bodies[by]), on=self.day):
            model.state = "public"
            if newest is not None and (newest.last is None or newest.last > model.first):
                newest.last = model.first

    @rule(days=st.integers(1, 45))
    def time_passes(self, days: int) -> None:
        self.day += timedelta(days=days)

    @rule(body=BODIES, code=st.sampled_from("ABC"), amount=st.integers(0, 999), ahead=st.integers(-60, 120))
    def charge(self, body: int, code: str, amount: int, ahead: int) -> None:
        day = self.day + timedelta(days=ahead)
        binding = [one for one in self.models.values() if one.body == body and one.binds(day)]
        rates = binding[0].rates if binding else None
        if rates is None:
            expected = Finding.NO_LIST
        elif code not in rates:
            expected = Finding.NOT_LISTED
        else:
            listed = rates[code]
            expected = Finding.AS_LISTED if amount == listed else Finding.BELOW if amount < listed else Finding.ABOVE
        try:
            items = catalogues.in_force("CNQZH", day, bodies={self.bodies[body].pk})
            items = [one for one in items if one.fee_list.body == self.bodies[body]] or None
        except Problem:
            items = None
        charged = Line(code=code, service_day=day, quantity=Decimal(1), amount=Decimal(amount))
        assert find(charged, items)[0] == expected

    @invariant()
    def one_list_binds_and_what_is_public_stays(self) -> None:
        models = getattr(self, "models", {})
        for number, model in models.items():
            row = FeeList.objects.get(number=number)
            assert (row.state in ("published", "superseded")) == (model.state == "public")
            if not row.valid.isempty:
                assert (row.valid.lower, row.valid.upper) == (model.first, model.last)
            assert {one.code: one.rate for one in row.items.all()} == model.rates
        for day in {model.first for model in models.values()} | {self.day} if models else ():
            for body in (0, 1):
                binding = FeeList.objects.public().on(day).filter(body=self.bodies[body])
                assert [row.number for row in binding] == [
                    number for number, model in models.items() if model.body == body and model.binds(day)
                ]


class TestLists(TestCase, Lists.TestCase):
    """All in one transaction, rolled back in the end; each example has bodies of its own."""

    settings = settings(
        max_examples=15, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
    )  # fmt: skip
