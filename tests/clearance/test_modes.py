"""Each mode is a declared path through the one life cycle."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone

from cargo import places, voyages
from clearance import (
    cases,
    checks,
    conditions,
    deadlines,
    duties,
    duty_desk,
    gates,
    inspections,
    release,
    requests,
    summary_goods,
    two_step,
)  # fmt: skip
from clearance.models import Deadline
from common.days import today
from common.problems import Problem
from declarations import decisions, lodgement
from declarations.checks import Context, running
from parties.models import OrganisationRole
from parties.principals import SYSTEM
from tariffs import fixing, lookup, memos
from tariffs.models import CommodityLine, DutyMemo, Guarantee, GuaranteeDraw
from tests import make
from tests.cargo.cargo_make import acting_for, container
from tests.clearance import states

pytestmark = pytest.mark.django_db


@pytest.fixture
def carrier():
    places.load()
    return states.carrier()


def choose(declaration, mode, place=""):
    return cases.choose_mode(
        number=declaration.unified_number, mode=mode, place=place, principal=make.principal(declaration.firm)
    )


def confirm(declaration, step, principal, place="", hours=1):
    return cases.confirm(
        number=declaration.unified_number, step=step, at=timezone.now() - timedelta(hours=hours), place=place,
        principal=principal,
    )  # fmt: skip


def codes(problem):
    return [fault.code for fault in problem.value.errors] or [problem.value.code]


def test_departure_confirmation_lets_the_inland_clearance_run_in_parallel(carrier):
    declaration = states.declared(states.goods(carrier, "B1"))
    choose(declaration, "departure_confirmation", "SHYSP")
    assert states.proceed(declaration) == "accepted"
    confirm(declaration, "departure_confirmed", acting_for(carrier), "SHYSP")
    assert states.proceed(declaration) == "released"


def test_ship_side_pickup_needs_a_port_area_that_offers_it_and_no_arrival_report(carrier):
    declaration = states.declared(states.goods(carrier, "B1"))
    with pytest.raises(Problem) as caught:
        choose(declaration, "ship_side_pickup", "CQTJC")
    assert codes(caught) == ["not-offered"]
    choose(declaration, "ship_side_pickup", "QZHDL")
    assert states.proceed(declaration) == "released"


def test_direct_loading_is_for_exports(carrier):
    declaration = states.declared(states.goods(carrier, "E1", direction="E"))
    with pytest.raises(Problem) as caught:
        choose(declaration, "ship_side_pickup", "QZHDL")
    assert "direction" in codes(caught)
    choose(declaration, "direct_loading", "QZHDL")
    assert states.proceed(declaration) == "released"


def test_the_mode_is_not_changed_under_an_open_inspection(carrier):
    declaration = states.declared(states.goods(carrier, "B1"))
    officer = make.officer_principal()
    there = inspections.order(number=declaration.unified_number, stage="destination", principal=officer)
    with pytest.raises(Problem) as caught:
        choose(declaration, "two_stage")
    assert (caught.value.status, caught.value.code) == (409, "inspection-open")
    inspections.finish(pk=there.pk, passed=True, principal=officer)
    assert choose(declaration, "two_stage").mode == "two_stage"


def test_a_customs_office_confirms_under_either_number_and_is_told_when_there_is_none(carrier):
    declaration = states.declared(states.goods(carrier, "B1"))
    choose(declaration, "two_stage")
    office = acting_for(make.organisation(OrganisationRole.CUSTOMS_OFFICE, social_credit_code=None))
    at = timezone.now() - timedelta(hours=1)
    rows = [
        cases.confirm(number=number, step="allowed_in", at=at, principal=office)
        for number in (declaration.customs_number, declaration.unified_number)
    ]
    assert rows[0].pk == rows[1].pk
    for number in ("I20260000000000999", "800020261999999999", "x"):
        with pytest.raises(Problem) as caught:
            cases.confirm(number=number, step="allowed_in", at=at, principal=office)
        assert caught.value.status == 404


def test_transit_waits_for_departure_and_arrival_in_their_order(carrier):
    declaration = states.declared(states.goods(carrier, "B1"), transit_relation="1")
    assert states.proceed(declaration) == "accepted"
    assert declaration.case.mode == "transit"
    mover = acting_for(carrier)
    with pytest.raises(Problem) as caught:
        confirm(declaration, "transit_arrived", mover)
    assert caught.value.code == "out-of-order"
    at = timezone.now() - timedelta(hours=2)
    first = cases.confirm(number=declaration.unified_number, step="transit_departed", at=at, principal=mover)
    again = cases.confirm(number=declaration.unified_number, step="transit_departed", at=at, principal=mover)
    assert first.pk == again.pk
    assert states.proceed(declaration) == "accepted"
    confirm(declaration, "transit_arrived", mover)
    assert states.proceed(declaration) == "released"


def test_two_stage_entry_lets_goods_out_conditionally_and_releases_after_the_second_stage(carrier):
    declaration = states.declared(states.goods(carrier, "B1"))
    choose(declaration, "two_stage")
    officer = make.officer_principal()
    assert states.proceed(declaration) == "accepted"
    confirm(declaration, "allowed_in", officer, hours=2)
    assert release.attempt(declaration.unified_number) == "pickup"
    assert declaration.releases.get().stage == "pickup"
    confirm(declaration, "allowed_for_use", officer)
    assert states.proceed(declaration) == "released"


def test_an_inspection_at_the_destination_does_not_keep_goods_in_the_port(carrier):
    """Two-stage entry: the port is passed first; the destination's inspection comes once the goods are picked up."""
    box = container()
    declaration = states.declared(states.goods(carrier, "B1", boxes=[box]))
    choose(declaration, "two_stage")
    officer, number = make.officer_principal(), declaration.unified_number
    port = inspections.order(number=number, principal=officer)
    there = inspections.order(number=number, stage="destination", principal=officer)
    with pytest.raises(Problem) as caught:
        inspections.finish(pk=there.pk, passed=True, principal=officer)
    assert caught.value.code == "not-picked-up"
    inspections.finish(pk=port.pk, passed=True, principal=officer)
    declaration.refresh_from_db()
    assert declaration.state == "accepted"
    there.refresh_from_db()
    assert there.appointment_id != port.appointment_id
    assert states.proceed(declaration) == "accepted"
    confirm(declaration, "allowed_in", officer, hours=2)
    assert states.proceed(declaration) == "under_inspection"
    assert declaration.releases.get().stage == "pickup"
    out = gates.record(
        message_id="G1", container=box, move="GTOT", fullness="LADEN", place="QZHDL", at=timezone.now(),
        principal=acting_for(carrier),
    )  # fmt: skip
    assert out.permitted
    inspections.finish(pk=there.pk, passed=True, principal=officer)
    confirm(declaration, "allowed_for_use", officer)
    assert states.proceed(declaration) == "released"


def test_a_place_is_chosen_only_for_a_mode_whose_service_it_offers(carrier):
    declaration = states.declared(states.goods(carrier, "B1"))
    with pytest.raises(Problem) as caught:
        choose(declaration, "ordinary", "CQGYP")
    assert codes(caught) == ["no-place"]


def test_transferred_goods_are_where_their_confirmation_says(carrier):
    item = make.message(make.firm())["goods_items"][0] | {"commodity_code": "1005900000", "goods_name": "玉米"}
    declaration = states.declared(
        states.goods(carrier, "B1"), goods_items=[item],
        two_stage_entry={"transfer_requested": "1", "transfer_site": "CQGYP"},
    )  # fmt: skip
    officer, mover = make.officer_principal(), acting_for(carrier)
    assert states.proceed(declaration) == "accepted"
    confirm(declaration, "allowed_in", officer, hours=3)
    for place, expected in (("CQTJC", ["other-site", "site"]), ("NOWHERE", ["place", "site"])):
        with pytest.raises(Problem) as caught:
            confirm(declaration, "transferred", mover, place, hours=2)
        assert codes(caught) == expected
    confirm(declaration, "transferred", mover, "CQGYP", hours=2)
    confirm(declaration, "allowed_for_use", officer)
    assert states.proceed(declaration) == "released"


def test_a_dutiable_summary_is_picked_up_only_against_a_guarantee_that_covers_it(carrier):
    """GACC 2019 No. 127: dutiable goods of a summary go against a guarantee."""
    make.tariff()
    item = make.message(make.firm())["goods_items"][0] | {"commodity_code": "8509801000", "origin_country": "DEU"}
    declaration = states.declared(states.goods(carrier, "B1"), document_type="  5   ", goods_items=[item])

    def waits():
        states.proceed(declaration)
        return [fault.code for fault in conditions.missing(declaration, declaration.case, ("summary_guarantee",))]

    assert waits() == ["guarantee"]
    guarantee(declaration.firm, "100", "G-SMALL")
    assert waits() == ["guarantee"]
    assert not declaration.releases.exists()
    guarantee(declaration.firm, "1000000", "G-LARGE")
    assert waits() == []
    assert declaration.releases.get().stage == "pickup"


def guarantee(firm, amount, number="G1"):
    return memos.open_guarantee(
        number=number, organisation_id=firm.pk, amount=Decimal(amount), valid_from=date(2020, 1, 1), last_day=None,
        summary=False, actor="tests",
    )  # fmt: skip


def dutiable(carrier, bill, firm, code="8509801000"):
    """A summary of dutiable goods, accepted, as the worker leaves it."""
    item = make.message(firm)["goods_items"][0] | {"commodity_code": code, "origin_country": "DEU"}
    made = states.declared(states.goods(carrier, bill), firm=firm, document_type="  5   ", goods_items=[item])
    states.proceed(made)
    return made


def drawn():
    return Guarantee.objects.get().drawn


def completed(declaration):
    """Its full declaration, of the same goods, accepted and assessed."""
    two_step.complete(
        number=declaration.unified_number,
        message=declaration.message | {"document_type": "  6   "},
        principal=make.principal(declaration.firm),
    )
    assert running.run(declaration.unified_number) == "accept"
    duties.assess(declaration.unified_number)
    return DutyMemo.objects.get(subject=declaration.unified_number, state="open")


def test_what_a_summary_will_owe_is_drawn_at_pick_up_and_lets_no_second_one_go(carrier):
    """GACC 2019 No. 127: a guarantee covers the goods that are out, not each of them anew."""
    make.tariff()
    firm = make.firm()
    guarantee(firm, "40000")
    first, second = dutiable(carrier, "B1", firm), dutiable(carrier, "B2", firm)
    assert first.releases.get().stage == "pickup"
    owed = drawn()
    assert 20000 < owed < 40000
    assert not second.releases.exists()
    assert [fault.code for fault in conditions.missing(second, second.case, ("summary_guarantee",))] == ["guarantee"]
    memo = completed(first)
    assert drawn() == owed, "the goods are out, and nobody has paid"
    with transaction.atomic():
        fixing.lock(memo.subject)
        memos.settle(memo, paid_on=today(), late_charge=Decimal(0), actor="bank", data={})
    assert drawn() == 0
    states.proceed(second)
    assert second.releases.get().stage == "pickup"


def test_the_memo_of_the_full_declaration_takes_the_place_of_what_was_drawn_at_pick_up(carrier):
    make.tariff()
    firm = make.firm()
    guarantee(firm, "40000")
    first = dutiable(carrier, "B1", firm)
    memo = completed(first)
    officer = make.officer_principal(make.officer(duties=("duties",)))
    assert [account.number for account in duty_desk.guarantees(memo)] == ["G1"]
    duty_desk.secure(number=first.unified_number, guarantee="G1", principal=officer)
    assert drawn() == memo.amount
    assert GuaranteeDraw.objects.get(restored_at=None).memo.state == "guaranteed"


def test_a_rejected_full_declaration_leaves_the_guarantee_drawn_for_the_goods_that_are_out(carrier):
    make.tariff()
    firm = make.firm()
    guarantee(firm, "40000")
    first = dutiable(carrier, "B1", firm)
    owed = drawn()
    completed(first)
    decisions.decide(command="return", number=first.unified_number, principal=SYSTEM, reason_code="checks-failed")
    first.refresh_from_db()
    lodgement.amend(
        number=first.unified_number, message=first.message | {"goods_location": "另一堆场"}, reason="place",
        principal=make.principal(firm),
    )  # fmt: skip
    decisions.decide(command="reject", number=first.unified_number, principal=SYSTEM, reason_code="checks-failed")
    duties.fall_away(first.unified_number)
    assert drawn() == owed > 0


def test_a_code_of_six_digits_is_secured_as_the_dearest_goods_below_it(carrier):
    make.tariff()
    firm = make.firm()
    guarantee(firm, "40000")
    first = dutiable(carrier, "B1", firm, code="850980")
    assert first.releases.get().stage == "pickup"
    lines = lookup.current().goods_of("850980", today())
    assert len(lines) > 1

    def alone(line):
        item = first.message["goods_items"][0] | {"commodity_code": line.code}
        return summary_goods.owed(make.declaration(firm, "accepted", goods_items=[item]))

    assert drawn() == max(alone(line) for line in lines) > 0


def test_a_summary_that_says_too_little_takes_all_that_is_free_of_a_guarantee(carrier):
    make.tariff()
    firm = make.firm()
    guarantee(firm, "40000")
    first = dutiable(carrier, "B1", firm, code="0000000000")
    assert summary_goods.owed(first) is None
    assert first.releases.get().stage == "pickup"
    assert drawn() == 40000


def test_a_summary_says_more_of_goods_that_need_a_licence_or_are_inspected():
    """GACC 2019 No. 127: two more items for restricted goods, five for those to be inspected."""
    make.tariff()
    CommodityLine.objects.filter(code="8509801000").update(documents="A1")
    lookup.forget()
    item = make.message(make.firm())["goods_items"][0]
    beef = item | {"commodity_code": "0202300000", "goods_name": "冻去骨牛肉", "origin_country": "DEU"}
    mixer = item | {"commodity_code": "8509801000", "item_number": 2}
    admitted = [{"item_number": 1, "licence_type": "800", "licence_number": "M-1"}]
    said = {"inspection_name": "冻去骨牛肉", "goods_attributes": "13", "purpose": "99", "goods_limits": admitted}

    def found(kind="  5   ", **changes):
        declaration = states.declared(state="lodged", document_type=kind, **changes)
        day = declaration.lodged_at.date()
        context = Context(declaration, declaration.message, day, day)
        return [one.code for one in checks.a_summary_says_more_of_licensed_and_inspected_goods(declaration, context)]

    bare = {"goods_items": [beef, mixer]}
    assert found(**bare) == ["summary-inspection", "summary-licence", "summary-inspection", "summary-container"]
    assert found("  0   ", **bare) == []
    six = {"goods_items": [beef | {"commodity_code": "020230"}, mixer | {"commodity_code": "850980"}]}
    assert found(**six) == [
        "summary-code", "summary-inspection", "summary-code", "summary-licence", "summary-inspection", "summary-container",
    ], "of goods below that code"  # fmt: skip
    qualified = {name: value for name, value in said.items() if name != "goods_limits"}
    assert "summary-inspection" in found(goods_items=[beef | qualified])
    boxes = [{"container_number": "CSQU3054383", "container_type": "11", "item_numbers": "1,2", "shared_load": "0"}]
    assert found(goods_items=[beef | said, mixer | said], licence_number="24-01-100001", containers=boxes) == []


def test_what_was_picked_up_is_not_withdrawn_and_its_goods_stay_what_they_were(carrier):
    """Customs Law art. 26: after pick-up the goods are gone, as after release."""
    declaration = states.declared(states.goods(carrier, "B1"), document_type="  5   ")
    states.proceed(declaration)
    firm = make.principal(declaration.firm)
    with pytest.raises(Problem) as caught:
        requests.ask(number=declaration.unified_number, kind="withdraw", reason="x", principal=firm)
    assert caught.value.code == "over"
    message = declaration.message | {"transport_document_number": "B2"}
    with pytest.raises(Problem) as caught:
        requests.ask(number=declaration.unified_number, kind="amend", reason="x", message=message, principal=firm)
    assert codes(caught) == ["released-with-it"]


def test_only_those_concerned_confirm_a_step(carrier):
    declaration = states.declared(states.goods(carrier, "B1"))
    choose(declaration, "departure_confirmation", "SHYSP")
    with pytest.raises(Problem) as caught:
        confirm(declaration, "departure_confirmed", acting_for(states.carrier()))
    assert caught.value.status == 404
    with pytest.raises(Problem) as caught:
        confirm(declaration, "allowed_in", acting_for(carrier))
    assert caught.value.status == 403


def test_a_summary_is_picked_up_and_completed_under_its_number(carrier):
    goods = states.goods(carrier, "B1")
    declaration = states.declared(goods, document_type="  5   ")
    assert release.attempt(declaration.unified_number) == "", "not selected yet"
    assert states.proceed(declaration) == "accepted"
    assert declaration.releases.get().stage == "pickup"
    firm = make.principal(declaration.firm)
    full = declaration.message | {"document_type": "  6   "}

    def complete(**changes):
        return two_step.complete(number=declaration.unified_number, message=full | changes, principal=firm)

    with pytest.raises(Problem) as caught:
        complete(client_reference="CQ9999999999999999")
    assert "other-number" in codes(caught)
    with pytest.raises(Problem) as caught:
        complete(transport_document_number="OTHER", document_type="  5   ")
    assert set(codes(caught)) >= {"not-full", "differs-from-summary"}
    other = [{"container_number": container(), "container_type": "11", "item_numbers": "1", "shared_load": "0"}]
    for changes in (
        {"containers": []}, {"containers": other}, {"containers": [*full["containers"], *other]},
        {"declarant_code": "5001960002"},
    ):  # fmt: skip
        with pytest.raises(Problem) as caught:
            complete(**changes)
        assert "released-with-it" in codes(caught), "a hold on what was picked up stays a hold on the declaration"
    number = declaration.customs_number
    full["containers"] = [box | {"goods_weight": "20000"} for box in full["containers"]]
    assert complete().state == "lodged"
    # The goods are gone: what they were let go for stands, though the full declaration is not accepted yet.
    with pytest.raises(Problem) as caught:
        lodgement.withdraw(number=declaration.unified_number, reason="x", principal=firm)
    assert caught.value.code == "released-with-it"
    with pytest.raises(Problem) as caught:
        lodgement.amend(
            number=declaration.unified_number,
            message=full | {"transport_document_number": "B2"},
            reason="x",
            principal=firm,
        )
    assert codes(caught) == ["released-with-it"]
    assert running.run(declaration.unified_number) == "accept"
    assert states.proceed(declaration) == "released"
    assert declaration.customs_number == number
    assert sorted(declaration.releases.values_list("stage", flat=True)) == ["final", "pickup"]
    with pytest.raises(Problem) as caught:
        complete()
    assert caught.value.code == "no-summary"


@pytest.mark.parametrize("whose", ["nobody's", "another firm's"])
def test_the_full_declaration_is_of_the_firm_whose_summary_was_accepted(carrier, whose):
    """A summary need not give the firm's credit code; the one that the full declaration adds cannot name somebody else."""
    broker, firm, other = make.broker(), make.firm(), make.firm()
    for one in (firm, other):
        make.mandate(one, broker)
    code = other.social_credit_code if whose == "another firm's" else make.credit_code()
    summary = make.message(
        firm, lodger=broker, transport_document_number=states.goods(carrier, "B1").bill_number,
        document_type="  5   ", domestic_party_credit_code="",
    )  # fmt: skip
    number = lodgement.lodge(summary, make.principal(broker)).unified_number
    assert running.run(number) == "accept"
    full = summary | {"document_type": "  6   "}
    call = {"number": number, "principal": make.principal(broker)}
    with pytest.raises(Problem) as caught:
        two_step.complete(message=full | {"domestic_party_credit_code": code}, **call)
    assert [(fault.pointer, fault.code) for fault in caught.value.errors] == [
        ("/domestic_party_credit_code", "bound-by-number")
    ]
    done = two_step.complete(message=full | {"domestic_party_credit_code": firm.social_credit_code}, **call)
    assert (done.firm_id, done.version) == (firm.pk, 2)


def test_a_summary_without_full_declaration_is_warned_of_and_told_when_missed(carrier):
    import time_machine as clock

    declaration = states.declared(states.goods(carrier, "B1"), document_type="  5   ")
    states.proceed(declaration)
    deadlines.sweep()
    limit = Deadline.objects.get(kind="full_declaration")
    now = timezone.now()
    assert timedelta(days=13) < limit.due_on - now.date() + timedelta(days=1) < timedelta(days=20)
    with clock.travel(now + timedelta(days=13), tick=True):
        deadlines.sweep()
        deadlines.sweep()
    with clock.travel(now + timedelta(days=25), tick=True):
        deadlines.sweep()
        deadlines.sweep()
    assert make.events_of("deadline", str(limit.pk)) == ["deadline.near", "deadline.missed"]


def test_undeclared_goods_have_their_limits_and_declaring_meets_them(carrier):
    goods = states.goods(carrier, "B1")
    deadlines.sweep()
    assert set(Deadline.objects.values_list("kind", flat=True)) == {"declare", "abandonment"}
    states.proceed(states.declared(goods))
    deadlines.sweep()
    assert not Deadline.objects.filter(met_at=None).exists()


def test_goods_for_designated_sites_are_cleared_only_where_there_is_one(carrier):
    item = make.message(make.firm())["goods_items"][0] | {"commodity_code": "1005900000", "goods_name": "玉米"}
    declaration = states.declared(states.goods(carrier, "B1"), goods_items=[item])
    assert states.proceed(declaration) == "accepted"
    assert [fault.code for fault in conditions.open_for(declaration, declaration.case)] == ["site"]
    case = declaration.case
    case.place = "CQGYP"
    case.save()
    assert states.proceed(declaration) == "released"


def test_advance_declaration_waits_for_arrival_and_is_marked(carrier):
    goods = states.goods(carrier, "B1", arrived=False)
    declaration = states.declared(goods)
    states.proceed(declaration)
    assert (declaration.case.mode, declaration.case.advance) == ("advance", True)
    voyages.report(goods.voyage_id, what="arrived", at=timezone.now(), principal=acting_for(carrier))
    assert states.proceed(declaration) == "released"
