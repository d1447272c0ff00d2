"""Random acts by several parties on a real register, against a simple model of title written anew: one holder always, sums
of split quantities preserved, no act after the end, and every chain verifies offline."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from bills import division, exporting, issuing, journey, verify
from bills.models import Act, Bill
from common.problems import Problem
from tests.bills.cast import Cast, assemble, content, declared

PEOPLE = ("shipper", "buyer", "third")


class Model:
    """What a lawyer would note on a sheet of paper."""

    def __init__(self, kind: str, consignee: str, goods: Decimal) -> None:
        self.kind, self.consignee, self.goods = kind, consignee, goods
        self.state, self.holder, self.pledged = "issued", "shipper", False
        self.order = {"order": "shipper", "straight": consignee, "bearer": ""}[kind]
        self.further = True
        self.paper = False

    @property
    def free(self) -> bool:
        return self.state == "issued" and not self.pledged

    @property
    def entitled(self) -> bool:
        return self.order in ("", self.holder)


class Titles(RuleBasedStateMachine):
    bills = Bundle("bills")

    @initialize()
    def begin(self) -> None:
        self.cast: Cast = assemble()
        self.models: dict[int, Model] = {}

    def attempt(self, allowed: bool, call: Any, *arguments: Any, **options: Any) -> Any:
        """The register and the model agree on whether this is possible; a refusal changes nothing."""
        before = list(Bill.objects.order_by("pk").values_list("pk", "state", "holder_key", "acts", "head"))
        done, problem = None, None
        try:
            done = call(*arguments, **options)
        except Problem as raised:
            problem = raised
        assert allowed == (problem is None), problem or "the register allowed what the model forbids"
        if problem is not None:
            assert problem.status in (404, 409, 422)
            assert list(Bill.objects.order_by("pk").values_list("pk", "state", "holder_key", "acts", "head")) == before
        return done

    @rule(target=bills, kind=st.sampled_from(["order", "straight", "bearer"]))
    def issue(self, kind: str) -> int:
        made = content(self.cast, kind, "buyer" if kind == "straight" else "")
        made["containers"].append({"number": "TCNU7200794", "size_type": "22G1", "seals": [{"number": "SG2"}]})
        made["goods"][0]["stowage"] = [
            {"container": "CSQU3054383", "packages": "10", "gross_weight_kg": "12600.5"},
            {"container": "TCNU7200794", "packages": "6", "gross_weight_kg": "7560"},
        ]
        bill = issuing.draft(principal=self.cast.p("operator"), content=made)
        issuing.issue(number=bill.number, principal=self.cast.p("operator"))
        self.models[bill.pk] = Model(kind, "buyer", Decimal("20160.5"))
        return bill.pk

    def act(self, pk: int, who: str, code: str, to: str, allowed: bool) -> bool:
        bill = Bill.objects.get(pk=pk)
        return self.attempt(allowed, self.cast.does, who, code, bill, to) is not None

    @rule(pk=bills, who=st.sampled_from(PEOPLE), to=st.sampled_from(PEOPLE))
    def transfer(self, pk: int, who: str, to: str) -> None:
        model = self.models[pk]
        allowed = model.free and who == model.holder and to != who and model.order in ("", to)
        if self.act(pk, who, "TRANSFER", to, allowed):
            model.holder = to

    @rule(pk=bills, who=st.sampled_from(PEOPLE), to=st.sampled_from(PEOPLE), further=st.booleans())
    def endorse(self, pk: int, who: str, to: str, further: bool) -> None:
        model = self.models[pk]
        allowed = (
            model.free and model.kind != "straight" and who == model.holder and to != who and model.entitled
            and (model.further or model.order == "")
        )  # fmt: skip
        if self.act(pk, who, "ENDORSE_TO_ORDER" if further else "ENDORSE", to, allowed):
            model.order, model.further = to, further

    @rule(pk=bills, who=st.sampled_from(PEOPLE))
    def endorse_in_blank(self, pk: int, who: str) -> None:
        model = self.models[pk]
        allowed = (
            model.free and model.kind != "straight" and who == model.holder and model.entitled
            and (model.further or model.order == "")
        )  # fmt: skip
        if self.act(pk, who, "BLANK_ENDORSE", "", allowed):
            model.order, model.further = "", True

    @rule(pk=bills, who=st.sampled_from(PEOPLE))
    def pledge(self, pk: int, who: str) -> None:
        model = self.models[pk]
        allowed = model.free and model.kind != "straight" and who == model.holder and model.entitled
        if self.act(pk, who, "PLEDGE", "bank", allowed):
            model.pledged = True

    @rule(pk=bills, who=st.sampled_from(["bank", "shipper", "buyer"]))
    def release(self, pk: int, who: str) -> None:
        model = self.models[pk]
        if self.act(pk, who, "RELEASE", "", model.state == "issued" and model.pledged and who == "bank"):
            model.pledged = False

    @rule(pk=bills, who=st.sampled_from(PEOPLE), why=st.sampled_from(["DELIVERY", "AMENDMENT"]))
    def surrender(self, pk: int, who: str, why: str) -> None:
        model = self.models[pk]
        allowed = model.free and who == model.holder and (why == "AMENDMENT" or model.entitled)
        if self.act(pk, who, f"SURRENDER_FOR_{why}", "", allowed):
            model.state = {"DELIVERY": "surrendered", "AMENDMENT": "amending"}[why]

    @rule(pk=bills, who=st.sampled_from(["operator", "buyer"]), answer=st.sampled_from(["ACCEPT", "REJECT"]))
    def answer(self, pk: int, who: str, answer: str) -> None:
        model = self.models[pk]
        allowed = who == "operator" and (
            model.state == "surrendered" or (model.state == "amending" and answer == "REJECT")
        )
        if self.act(pk, who, answer, "", allowed):
            model.state = "accepted" if answer == "ACCEPT" else "issued"

    def command(self, pk: int, allowed: bool, call: Any, **options: Any) -> Any:
        return self.attempt(
            allowed, call, number=Bill.objects.get(pk=pk).number, principal=self.cast.p("operator"), **options
        )

    @rule(pk=bills, clause=st.text("abc", min_size=1, max_size=3))
    def amend(self, pk: int, clause: str) -> None:
        model, bill = self.models[pk], Bill.objects.get(pk=pk)
        now = bill.versions.get(number=bill.version).content
        if self.command(pk, model.state == "amending", issuing.amend, content=now | {"clauses": [clause]}):
            model.state, model.further = "issued", True
            model.order = model.holder if model.kind == "order" else model.order

    @rule(pk=bills)
    def to_paper(self, pk: int) -> None:
        model = self.models[pk]
        if self.command(pk, model.state == "amending", issuing.to_paper):
            model.state = "paper"

    @rule(pk=bills, presenter=st.sampled_from(PEOPLE), returned=st.integers(0, 2))
    def from_paper(self, pk: int, presenter: str, returned: int) -> None:
        model = self.models[pk]
        allowed = model.state == "paper" and returned == 1
        presented = getattr(self.cast, presenter).pk
        if self.command(pk, allowed, issuing.from_paper, returned=returned, presenter=presented):
            model.state, model.holder, model.further = "issued", presenter, True
            model.order = presenter if model.kind == "order" else model.order

    @rule(pk=bills)
    def void(self, pk: int) -> None:
        model = self.models[pk]
        if self.command(pk, model.state == "amending", issuing.void):
            model.state = "void"

    @rule(target=bills, pk=bills, lose=st.booleans())
    def split(self, pk: int, lose: bool) -> Any:
        model, bill = self.models[pk], Bill.objects.get(pk=pk)
        now = bill.versions.get(number=bill.version).content
        if len(now["goods"][0]["stowage"]) < 2:
            return multiple()
        parts = []
        for stowed, net, volume, box in zip(
            now["goods"][0]["stowage"], ("12500", "7500"), ("18", "10.4"), now["containers"], strict=True
        ):
            item = now["goods"][0] | {name: stowed[name] for name in ("packages", "gross_weight_kg")}
            parts.append(
                {
                    "goods": [item | {"net_weight_kg": net, "volume_m3": volume, "stowage": [stowed]}],
                    "containers": [box],
                }
            )
        # The first part keeps what there is to pay and what is insured.
        parts[0] |= {name: now[name] for name in ("charges", "insurance") if name in now}
        if lose:
            parts[0]["goods"][0]["net_weight_kg"] = "12499"
        new = self.command(pk, model.state == "amending" and not lose, division.split, parts=parts)
        if not new:
            return multiple()
        model.state = "replaced"
        for one, part in zip(new, parts, strict=True):
            made = Model(model.kind, model.consignee, Decimal(part["goods"][0]["gross_weight_kg"]))
            made.holder = model.holder
            made.order = model.holder if model.kind == "order" else model.order
            self.models[one.pk] = made
        return multiple(*(one.pk for one in new))

    @rule(pk=bills, to=st.sampled_from(PEOPLE))
    def deliver(self, pk: int, to: str) -> None:
        model, bill = self.models[pk], Bill.objects.get(pk=pk)
        if model.state != "accepted":
            self.command(pk, False, journey.order_delivery)
            return
        operator = self.cast.p("operator")
        journey.link(
            number=bill.number, principal=operator, kind="import_declaration", paper=declared(bill, "released")
        )
        order = journey.order_delivery(number=bill.number, principal=operator)
        recipient = getattr(self.cast, to).pk
        if self.command(pk, to == model.holder, journey.deliver, order=order.number, to=recipient):
            model.state = "delivered"

    @invariant()
    def the_register_says_what_the_model_says(self) -> None:
        for pk, model in getattr(self, "models", {}).items():
            bill = Bill.objects.get(pk=pk)
            assert bill.state == model.state
            assert bill.holder == getattr(self.cast, model.holder)
            assert (bill.pledgee is not None) == model.pledged
            assert bill.acts == Act.objects.filter(bill=bill).count()

    def teardown(self) -> None:
        models = getattr(self, "models", {})
        alive = [pk for pk, model in models.items() if model.state not in ("replaced",)]
        issued = sum(1 for pk in models if not Bill.objects.get(pk=pk).replaces.exists())
        weight = sum(
            division.totals([bill.versions.get(number=bill.version).content])["gross_weight_kg"]
            for bill in Bill.objects.filter(pk__in=alive)
        )
        assert weight == issued * Decimal("20160.5")
        for pk in models:
            verify.verify(exporting.export(Bill.objects.get(pk=pk)))


class TestTitles(TestCase, Titles.TestCase):
    """Each example in a transaction of its own, rolled back."""

    settings = settings(
        max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )  # fmt: skip
