"""Selection: the condition language, the draw, credit, trial; and one inspection for all agencies."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from clearance import inspections, release, requests, risk, riskrules, selection
from clearance.models import Appointment, Selection
from common.days import today
from common.problems import Problem
from declarations import decisions, lodgement
from declarations.lifecycle import State
from events.models import Event
from parties.models import OrganisationRole
from parties.principals import SYSTEM
from tests import make
from tests.clearance import states

FACTS = {
    "direction": "I", "value": Decimal(100), "goods.code": ["0201300090", "3902100090"], "goods.amount": [Decimal(5)],
    "party.credit": "none", "container.number": [],
}  # fmt: skip


def leaf(field, op, value):
    return {"field": field, "op": op, "value": value}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (leaf("direction", "eq", "I"), True), (leaf("direction", "ne", "I"), False),
        (leaf("goods.code", "starts_with", ["02", "03"]), True), (leaf("goods.code", "in", ["0302"]), False),
        (leaf("goods.code", "not_in", ["0201300090"]), False), (leaf("value", "between", ["99.5", 100]), True),
        (leaf("value", "gt", 100), False), (leaf("goods.amount", "lte", "5"), True),
        (leaf("container.number", "exists", False), True), (leaf("office", "eq", "8000"), False),
        ({"not": leaf("office", "eq", "8000")}, True),
        ({"all": [leaf("direction", "eq", "I"), leaf("value", "gte", 100)]}, True),
        ({"any": [leaf("direction", "eq", "E"), {"not": leaf("value", "lt", 1)}]}, True),
    ],
)  # fmt: skip
def test_conditions_mean_what_they_say(condition, holds):
    assert risk.check(condition) == []
    assert risk.compile(condition)(FACTS) is holds


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ([], "condition"), ({"all": []}, "all"), (leaf("secret", "eq", "x"), "field"), (leaf("value", "is", 1), "operator"),
        (leaf("value", "gt", "many"), "value"), (leaf("value", "contains", "1"), "value"),
        (leaf("direction", "eq", ["I", "E"]), "value"), ({"eval": "1"}, "unknown-member"),
        (leaf("value", "between", [1]), "value"), ({"not": {"not": {"all": [leaf("value", "gt", "NaN")]}}}, "value"),
    ],
)  # fmt: skip
def test_what_is_no_condition_is_refused_when_it_is_written(condition, code):
    assert [fault.code for fault in risk.check(condition)] == [code]


@given(
    st.recursive(
        st.none() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.sampled_from(["all", "any", "not", "field", "op", "value"]), x),
        max_leaves=20,
    )
)
def test_whatever_passes_the_check_runs(condition):
    if risk.check(condition) == []:
        assert risk.compile(condition)(FACTS) in (True, False)


@given(st.text(max_size=20), st.integers(0, 10**9), st.decimals(0, 100, places=3))
def test_a_draw_is_the_same_every_time_and_grows_with_the_share(rule, number, share):
    first = risk.drawn(rule, str(number), share)
    assert first == risk.drawn(rule, str(number), share)
    assert not first or risk.drawn(rule, str(number), min(share * 2, Decimal(100)))


def test_a_share_takes_about_its_part():
    taken = sum(risk.drawn("r", f"I2026{n:013d}", Decimal(10)) for n in range(5000))
    assert 400 < taken < 600


@pytest.mark.django_db
class TestRules:
    def test_a_rule_is_tried_before_it_is_switched_on_and_tells_what_it_would_have_hit(self):
        make.declaration(state="lodged")
        make.declaration(state="lodged", direction="E", border_crossing_date="")
        row = riskrules.draft(
            code="imports", name="imports", condition=leaf("direction", "eq", "I"), action="inspect", basis="example",
            principal=SYSTEM,
        )  # fmt: skip
        with pytest.raises(Problem) as caught:
            riskrules.switch(pk=row.pk, on=True, principal=SYSTEM)
        assert caught.value.code == "not-tried"
        found = riskrules.trial(pk=row.pk, principal=SYSTEM)
        assert (found["declarations"], found["hit"], found["drawn"]) == (2, 1, 1)
        assert riskrules.switch(pk=row.pk, on=True, principal=SYSTEM).active

    def test_a_revised_rule_stays_in_force_until_its_revision_is_switched_on(self):
        old = states.rule(code="r")
        new = riskrules.draft(
            code="r",
            name="r",
            condition=leaf("direction", "eq", "E"),
            action="review",
            basis="example",
            principal=SYSTEM,
        )
        assert [one.action for one in selection.rules(today())] == ["inspect"]
        riskrules.trial(pk=new.pk, principal=SYSTEM)
        riskrules.switch(pk=new.pk, on=True, principal=SYSTEM)
        assert [one.action for one in selection.rules(today())] == ["review"]
        old.refresh_from_db()
        assert not old.active, "it began on the same day"

    def test_a_revision_leaves_the_past_to_the_rule_it_takes_the_place_of(self):
        tomorrow = today() + timedelta(days=1)
        old = states.rule(code="r")
        states.rule(code="r", action="review", valid_from=tomorrow, valid_to=tomorrow + timedelta(days=1))
        old.refresh_from_db()
        assert (old.active, old.valid.upper) == (True, tomorrow)
        found = {day: [one.action for one in selection.rules(day)] for day in (today(), tomorrow)}
        assert found == {today(): ["inspect"], tomorrow: ["review"]}
        assert selection.rules(tomorrow + timedelta(days=1)) == []

    def test_a_rule_ends_after_it_begins(self):
        with pytest.raises(Problem) as caught:
            states.rule(valid_from=today(), valid_to=today())
        assert [fault.pointer for fault in caught.value.errors] == ["/valid_to"]

    def test_a_trial_of_too_many_looks_at_the_latest_and_says_so(self, monkeypatch):
        monkeypatch.setattr(riskrules, "TRIAL_LIMIT", 2)
        for _ in range(3):
            make.declaration()
        rule = states.rule()
        assert (rule.trial["declarations"], rule.trial["complete"]) == (2, False)

    def test_only_risk_staff_may(self):
        clerk = make.officer_principal(make.officer(duties=("examination",)))
        with pytest.raises(Problem) as caught:
            riskrules.trial(pk=1, principal=clerk)
        assert caught.value.status == 403

    def test_credit_lowers_and_raises_the_random_share(self):
        firm = make.firm()
        riskrules.list_credit(
            organisation_id=firm.pk, standing="red", factor=Decimal("0"), basis="example", valid_from=date(2020, 1, 1),
            valid_to=None, principal=SYSTEM,
        )  # fmt: skip
        states.rule(share=Decimal("99.9"))
        declaration = states.declared(firm=firm)
        assert selection.select(declaration.unified_number) == "release"
        with pytest.raises(Problem):
            riskrules.list_credit(
                organisation_id=firm.pk, standing="black", factor=Decimal("0.5"), basis="", valid_from=date(2020, 1, 1),
                valid_to=None, principal=SYSTEM,
            )  # fmt: skip

    def test_selection_is_made_once_per_version(self):
        declaration = states.declared()
        assert selection.select(declaration.unified_number) == "release"
        states.rule()
        assert selection.select(declaration.unified_number) == "release"
        assert Selection.objects.count() == 1
        assert declaration.unified_number not in selection.waiting()

    def test_a_worker_that_dies_in_mid_selection_leaves_nothing_and_the_sweep_finds_it(self, monkeypatch):
        states.rule()
        declaration = states.declared()

        def die(*args, **kwargs):
            raise RuntimeError("killed")

        with monkeypatch.context() as patch:
            patch.setattr(inspections, "order_locked", die)
            with pytest.raises(RuntimeError):
                selection.select(declaration.unified_number)
        assert not Selection.objects.exists()
        assert selection.waiting() == [declaration.unified_number]
        assert selection.select(declaration.unified_number) == "inspect"

    def test_what_is_sent_to_review_waits_for_an_officer(self):
        states.rule(action="review")
        declaration = states.declared()
        assert states.proceed(declaration) == "accepted"
        release.review(number=declaration.unified_number, principal=make.officer_principal())
        assert states.proceed(declaration) == "released"


@pytest.mark.django_db
class TestInspection:
    @pytest.fixture
    def agency(self):
        return make.organisation(OrganisationRole.INSPECTION_AGENCY)

    @pytest.fixture
    def inspected(self, agency):
        """Under inspection by customs and an agency."""
        states.rule(agencies=["customs", str(agency.pk)])
        declaration = states.declared()
        selection.select(declaration.unified_number)
        declaration.refresh_from_db()
        return declaration

    def test_the_orders_of_all_agencies_share_one_appointment(self, inspected):
        assert inspected.state == "under_inspection"
        assert inspected.inspection_orders.count() == 2
        assert Appointment.objects.count() == 1
        start = timezone.now() + timedelta(days=1)
        booked = inspections.book(
            number=inspected.unified_number, place="CQGYP", starts_at=start, ends_at=start + timedelta(hours=2),
            principal=make.principal(inspected.firm),
        )  # fmt: skip
        assert (booked.state, booked.orders.count()) == ("booked", 2)

    def test_release_comes_after_the_last_result(self, inspected, agency):
        customs, theirs = inspected.inspection_orders.order_by("agency_id").all()
        if customs.agency_id is not None:
            customs, theirs = theirs, customs
        inspections.finish(pk=theirs.pk, passed=True, principal=make.principal(agency))
        assert states.proceed(inspected) == "under_inspection"
        inspections.finish(pk=customs.pk, passed=True, principal=make.officer_principal())
        assert states.proceed(inspected) == "released"

    def test_an_agency_records_only_its_own_results(self, inspected, agency):
        order = inspected.inspection_orders.get(agency=None)
        with pytest.raises(Problem) as caught:
            inspections.finish(pk=order.pk, passed=True, principal=make.principal(agency))
        assert caught.value.status == 404

    def test_an_agency_lists_books_and_reads_over_the_api_what_it_ordered(
        self, inspected, agency, api, settings, tmp_path
    ):
        settings.MEDIA_ROOT = tmp_path
        mine = inspected.inspection_orders.get(agency=agency)
        theirs = inspected.inspection_orders.get(agency=None)
        client = api(agency, scopes=["inspections:write"])
        (listed,) = client.get("/api/v1/inspection-orders?state=ordered").json()["results"]
        assert (listed["id"], listed["declaration"]) == (mine.pk, inspected.unified_number)
        assert client.get("/api/v1/inspection-orders?state=passed").json()["results"] == []
        assert client.get("/api/v1/inspection-orders?state=x").status_code == 422
        path = f"/api/v1/inspection-orders/{mine.pk}"
        start = timezone.now() + timedelta(days=1)
        times = {"starts_at": start.isoformat(), "ends_at": (start + timedelta(hours=2)).isoformat()}
        assert client.post(f"{path}/appointment", {"place": "CQGYP", **times}).json()["state"] == "booked"
        assert client.get(path).json()["place"] == "CQGYP"
        row = inspections.add_evidence(
            pk=mine.pk, name="a.png", data=b"\x89PNG\r\n\x1a\n1", principal=make.principal(agency)
        )
        assert [one["id"] for one in client.get(f"{path}/evidence").json()["results"]] == [str(row.pk)]
        assert b"".join(client.get(f"{path}/evidence/{row.pk}").streaming_content).startswith(b"\x89PNG")
        for stranger, order in ((client, theirs), (api(make.organisation(OrganisationRole.INSPECTION_AGENCY)), mine)):
            other = f"/api/v1/inspection-orders/{order.pk}"
            assert stranger.get(other).status_code == 404
            assert stranger.get(f"{other}/evidence/{row.pk}").status_code == 404
            assert stranger.post(f"{other}/appointment", {"place": "X", **times}).status_code == 404

    def test_a_difference_goes_back_to_the_declarant_or_becomes_a_case(self, inspected, agency):
        officer = make.officer_principal()
        order = inspected.inspection_orders.get(agency=None)
        inspections.finish(pk=order.pk, passed=False, note="少 10 件", follow_up="penalty", principal=officer)
        inspections.finish(
            pk=inspected.inspection_orders.get(agency=agency).pk, passed=True, principal=make.principal(agency)
        )
        assert states.proceed(inspected) == "accepted"
        assert inspected.penalty_cases.count() == 1
        inspections.settle(pk=order.pk, outcome="警告", principal=officer)
        assert states.proceed(inspected) == "released"

    def test_a_late_result_after_withdrawal_is_refused_and_says_why(self, inspected, agency):
        from declarations import lodgement

        number = inspected.unified_number
        decisions.decide(number=number, command="return", principal=SYSTEM, reason_code="declarant-asks")
        lodgement.withdraw(number=number, reason="取消", principal=make.principal(inspected.firm))
        assert inspections.tidy(number) == 2
        with pytest.raises(Problem) as caught:
            inspections.finish(
                pk=inspected.inspection_orders.get(agency=agency).pk, passed=True, principal=make.principal(agency)
            )
        assert caught.value.code == "order-cancelled"

    def test_files_are_what_their_content_says_and_lie_outside_the_web_root(
        self, inspected, agency, settings, tmp_path
    ):
        settings.MEDIA_ROOT = tmp_path
        order, principal = inspected.inspection_orders.get(agency=agency), make.principal(agency)
        for data, status in (
            (b"<script>", 415),
            (b"MZ" + b"0" * 10, 415),
            (b"\xff\xd8\xff" + b"0" * inspections.MAX_FILE, 413),
        ):
            with pytest.raises(Problem) as caught:
                inspections.add_evidence(pk=order.pk, name="a.jpg", data=data, principal=principal)
            assert caught.value.status == status
        row = inspections.add_evidence(
            pk=order.pk,
            name="../../etc/passwd.png",
            data=b"\x89PNG\r\n\x1a\n1",
            sample_number="S1",
            principal=principal,
        )
        again = inspections.add_evidence(pk=order.pk, name="b.png", data=b"\x89PNG\r\n\x1a\n1", principal=principal)
        assert (row.content_type, row.name, again.pk) == ("image/png", "passwd.png", row.pk)
        assert inspections.path_of(row).is_relative_to(tmp_path)

    def test_no_amendment_once_an_inspection_is_ordered(self, inspected):
        with pytest.raises(Problem) as caught:
            requests.ask(
                number=inspected.unified_number, kind="withdraw", reason="x", principal=make.principal(inspected.firm)
            )
        assert caught.value.code == "inspection"


@pytest.mark.django_db
class TestChangeRequests:
    def test_an_approved_amendment_makes_a_version_with_a_readable_difference(self):
        declaration = states.declared()
        firm, officer = make.principal(declaration.firm), make.officer_principal()
        message = declaration.message | {"package_count": 399}
        row = requests.ask(
            number=declaration.unified_number, kind="amend", reason="点错", message=message, principal=firm
        )
        assert requests.readable(row.difference) == [
            {"pointer": "/package_count", "label": "件数", "before": 400, "after": 399}
        ]
        assert states.proceed(declaration) == "accepted", "a pending request holds release"
        requests.decide(pk=row.pk, approve=True, principal=officer)
        declaration.refresh_from_db()
        assert (declaration.state, declaration.version, declaration.package_count) == ("lodged", 2, 399)
        with pytest.raises(Problem) as caught:
            requests.decide(pk=row.pk, approve=False, principal=officer)
        assert caught.value.code == "decided"

    def test_an_approved_withdrawal_withdraws(self):
        declaration = states.declared()
        row = requests.ask(
            number=declaration.unified_number,
            kind="withdraw",
            reason="取消",
            principal=make.principal(declaration.firm),
        )
        requests.decide(pk=row.pk, approve=True, principal=make.officer_principal())
        declaration.refresh_from_db()
        assert declaration.state == "withdrawn"

    def test_after_release_customs_may_allow_a_correction_and_the_release_stands(self):
        """Customs Law art. 26: changed only as customs allows; it knows no end of that at release."""
        declaration = states.declared(states.goods(states.carrier(), "BLCORR"))
        assert states.proceed(declaration) == "released"
        firm, officer = make.principal(declaration.firm), make.officer_principal()
        number = declaration.unified_number

        def ask(**changes):
            return requests.ask(
                number=number, kind="amend", reason="合同号有误", message=declaration.message | changes, principal=firm
            )

        for member in ("containers", "transport_document_number", "customs_office"):
            with pytest.raises(Problem) as caught:
                ask(**{member: [] if member == "containers" else "7200"})
            assert "released-with-it" in [fault.code for fault in caught.value.errors]
        row = ask(contract_number="HT-2026-2")
        requests.decide(pk=row.pk, approve=True, principal=officer)
        declaration.refresh_from_db()
        assert (declaration.state, declaration.version, declaration.contract_number) == ("released", 2, "HT-2026-2")
        assert declaration.versions.get(version=2).reason == "合同号有误"
        assert declaration.amended_at == declaration.updated_at > declaration.released_at
        assert declaration.releases.count() == 1
        event = Event.objects.get(subject_number=number, type="declaration.corrected")
        assert (event.actor, event.data["changed"]) == (officer.actor, ["/contract_number"])
        refused = requests.decide(pk=ask(contract_number="HT-3").pk, approve=False, principal=officer)
        assert refused.state == "refused"
        declaration.refresh_from_db()
        assert declaration.version == 2

    def test_who_is_not_named_after_a_correction_is_told_that_alone(self):
        former, present = make.firm(), make.firm()
        declaration = states.declared(owner_credit_code=former.social_credit_code)
        assert states.proceed(declaration) == "released"
        message = declaration.message | {"owner_credit_code": present.social_credit_code}
        number, firm = declaration.unified_number, declaration.firm
        row = requests.ask(number=number, kind="amend", reason="x", message=message, principal=make.principal(firm))
        requests.decide(pk=row.pk, approve=True, principal=make.officer_principal())
        corrected = Event.objects.get(subject_number=number, type="declaration.corrected")
        assert corrected.audience == sorted([firm.pk, present.pk])
        dropped = Event.objects.get(subject_number=number, type="declaration.party_dropped")
        assert (dropped.audience, dropped.data) == ([former.pk], {"state": "released", "version": 2})

    @pytest.mark.parametrize("kind", ["amend", "withdraw"])
    @pytest.mark.parametrize("state", list(State))
    def test_who_cannot_change_it_alone_is_sent_to_customs_where_customs_takes_the_request(self, state, kind):
        """Customs Law art. 26. A refusal names no door that is shut."""
        declaration = states.declared(state=state)
        number, principal = declaration.unified_number, make.principal(declaration.firm)
        message = declaration.message | {"contract_number": "HT-2"}
        command, changes = {"amend": (lodgement.amend, {"message": message}), "withdraw": (lodgement.withdraw, {})}[
            kind
        ]
        told = []
        try:
            with transaction.atomic():
                command(number=number, reason="x", principal=principal, **changes)
        except Problem as problem:
            told = [fault.code for fault in problem.errors]
        try:
            requests.ask(number=number, kind=kind, reason="x", principal=principal, **changes)
            taken = True
        except Problem as problem:
            assert problem.status == 409  # noqa: PT017
            taken = False
        assert told == (["ask-customs"] if taken else [])
        open_states = {"accepted", "held"} | ({"released", "cleared"} if kind == "amend" else set())
        assert taken == (state in open_states)

    def test_what_is_asked_for_is_an_amendment_or_a_withdrawal(self):
        declaration = states.declared()
        principal = make.principal(declaration.firm)
        with pytest.raises(Problem) as caught:
            requests.ask(number=declaration.unified_number, kind="burn", reason="x", principal=principal)
        assert [(fault.pointer, fault.code) for fault in caught.value.errors] == [("/kind", "kind")]

    def test_before_acceptance_nobody_need_ask_and_after_release_nobody_withdraws(self):
        for state, code in (("lodged", "not-needed"), ("released", "over")):
            declaration = states.declared(state=state)
            with pytest.raises(Problem) as caught:
                requests.ask(
                    number=declaration.unified_number, kind="withdraw", reason="x",
                    principal=make.principal(declaration.firm),
                )  # fmt: skip
            assert caught.value.code == code
