"""Release once: when it comes, what stops it, and who finds out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from cargo import manifests
from clearance import (
    cases,
    checks,
    conditions,
    deadlines,
    gates,
    holds,
    inspections,
    release,
    requests,
    selection,
    tasks,
    tracking,
)
from clearance.models import Case, Deadline, GateMove, Hold, Release
from common.problems import Problem
from declarations import decisions, lodgement
from declarations.checks import Context, running
from declarations.models import Declaration
from parties.models import OrganisationRole
from parties.principals import SYSTEM
from tests import make
from tests.cargo.cargo_make import acting_for, bill, container, lodge
from tests.clearance import states

pytestmark = pytest.mark.django_db


@pytest.fixture
def carrier():
    return states.carrier()


AT = timezone.now() - timedelta(minutes=1)


def out(carrier, box, message_id="G1", **changes):
    return gates.record(
        **{
            "message_id": message_id, "container": box, "move": "GTOT", "fullness": "LADEN", "place": "QZHDL",
            "at": AT, "principal": acting_for(carrier),
        } | changes
    )  # fmt: skip


def hold(reference, principal=SYSTEM, kind="customs", number="H1"):
    return holds.place(reference=reference, kind=kind, reason="核查", holder_reference=number, principal=principal)


def test_an_import_is_released_when_everything_is_fulfilled(carrier):
    box = container()
    declaration = states.declared(states.goods(carrier, "B1", boxes=[box]))
    assert states.proceed(declaration) == "released"
    assert Release.objects.get().stage == "final"
    assert make.events_of("clearance", declaration.unified_number) == [
        "clearance.opened", "clearance.matched", "clearance.selected",
    ]  # fmt: skip
    assert out(carrier, box).permitted
    assert release.close(declaration.unified_number)


def test_goods_that_have_not_arrived_wait(carrier):
    goods = states.goods(carrier, "B1", arrived=False)
    declaration = states.declared(goods)
    assert states.proceed(declaration) == "accepted"
    assert declaration.case.mode == "advance"
    assert declaration.case.advance
    from cargo import voyages

    voyages.report(goods.voyage_id, what="arrived", at=timezone.now(), principal=acting_for(carrier))
    assert states.proceed(declaration) == "released"


def test_a_declaration_without_manifest_waits_only_where_manifests_are_required(settings):
    declaration = states.declared()
    settings.MANIFEST_REQUIRED = True
    assert states.proceed(declaration) == "accepted"
    settings.MANIFEST_REQUIRED = False
    assert states.proceed(declaration) == "released"
    assert release.close(declaration.unified_number)


@pytest.mark.parametrize("what", ["declaration", "bill", "container"])
def test_no_release_while_a_hold_stands_on_the_declaration_its_bill_or_its_container(carrier, what):
    box = container()
    declaration = states.declared(states.goods(carrier, "B1", boxes=[box]))
    reference = {"declaration": declaration.unified_number, "bill": "B1", "container": box}[what]
    held = hold(f"{what}:{reference}")
    assert states.proceed(declaration) == "accepted"
    holds.lift(pk=held.pk, principal=SYSTEM)
    assert states.proceed(declaration) == "released"


def test_postgresql_refuses_a_release_under_a_hold_through_any_door(carrier):
    declaration = states.declared(states.goods(carrier, "B1"))
    hold(f"declaration:{declaration.unified_number}")
    with pytest.raises(Problem) as caught:
        decisions.decide(command="release", number=declaration.unified_number, principal=SYSTEM, reason_code="examined")
    assert [fault.code for fault in caught.value.errors] == ["hold"]
    from declarations.moves import move

    with pytest.raises(DatabaseError, match="a hold stands"), transaction.atomic():
        move(declaration, "release", SYSTEM)
    declaration.refresh_from_db()
    assert declaration.state == "accepted"


def test_an_officer_is_told_everything_that_is_missing(carrier):
    goods = states.goods(carrier, "B1", arrived=False)
    declaration = states.declared(goods)
    hold("bill:B1")
    with pytest.raises(Problem) as caught:
        by_officer(declaration)
    assert [fault.code for fault in caught.value.errors] == ["not-arrived", "hold"]


def by_officer(declaration, **more):
    return decisions.decide(
        command="release",
        number=declaration.unified_number,
        principal=make.officer_principal(),
        reason_code="examined",
        **more,
    )


def test_an_officer_is_not_quicker_than_the_rules_that_send_goods_to_inspection(carrier):
    states.rule()
    declaration = states.declared(states.goods(carrier, "B1"))
    with pytest.raises(Problem) as caught:
        by_officer(declaration)
    assert [fault.code for fault in caught.value.errors] == ["inspection"]
    assert states.proceed(declaration) == "under_inspection"


def redeclared(declaration, goods):
    """The declaration withdrawn on request, and its goods declared anew by the same firm."""
    row = requests.ask(
        number=declaration.unified_number, kind="withdraw", reason="x", principal=make.principal(declaration.firm)
    )
    requests.decide(pk=row.pk, approve=True, principal=make.officer_principal())
    return states.declared(goods, firm=declaration.firm)


def test_goods_of_a_withdrawn_declaration_are_declared_anew_and_leave(carrier):
    box = container()
    goods = states.goods(carrier, "B1", boxes=[box])
    first = states.declared(goods)
    selection.select(first.unified_number)
    again = redeclared(first, goods)
    assert states.proceed(again) == "released"
    goods.refresh_from_db()
    assert goods.declaration_number == again.unified_number
    assert goods.released_at is not None
    assert out(carrier, box).permitted


def test_an_export_declared_anew_after_withdrawal_is_loaded(carrier):
    goods = states.goods(carrier, "E1", direction="E")
    first = states.declared(goods)
    selection.select(first.unified_number)
    assert states.proceed(redeclared(first, goods)) == "released"
    loading = [{"bill_number": "E1"}]
    assert lodge(carrier, "MT4101", number=goods.manifest.number, consignments=loading).response_code == "01"


def test_a_rejected_declaration_frees_its_goods_before_its_hint_was_taken_up(carrier):
    goods = states.goods(carrier, "B1")
    first = states.declared(goods, state="lodged")
    cases.choose_mode(number=first.unified_number, mode="ordinary", principal=make.principal(first.firm))
    decisions.decide(command="reject", number=first.unified_number, principal=SYSTEM, reason_code="checks-failed")
    again = states.declared(goods)
    assert states.proceed(again) == "released"
    goods.refresh_from_db()
    assert goods.declaration_number == again.unified_number
    tasks.put_away(first.unified_number)
    goods.refresh_from_db()
    assert goods.declaration_number == again.unified_number


def test_a_withdrawn_declaration_frees_its_goods_for_their_time_limits_to_run_on(carrier):
    """Customs Law art. 24: the goods are undeclared again."""
    goods = states.goods(carrier, "B1")
    deadlines.sweep()
    first = states.declared(goods)
    selection.select(first.unified_number)
    deadlines.sweep()
    assert not Deadline.objects.filter(met_at=None).exists()
    decisions.decide(command="return", number=first.unified_number, principal=SYSTEM, reason_code="declarant-asks")
    lodgement.withdraw(number=first.unified_number, reason="x", principal=make.principal(first.firm))
    make.settle()
    goods.refresh_from_db()
    assert goods.declaration_number == ""
    assert set(Deadline.objects.filter(met_at=None).values_list("kind", flat=True)) == {"declare", "abandonment"}


def test_a_declaration_amended_to_another_bill_is_bound_to_that_bill(carrier):
    one, other = states.goods(carrier, "B1"), states.goods(carrier, "B2", arrived=False)
    declaration = states.declared(one)
    selection.select(declaration.unified_number)
    firm = make.principal(declaration.firm)
    boxes = other.stuffings.values_list("equipment_id", flat=True)
    message = declaration.message | {
        "transport_document_number": "B2", "voyage_number": other.voyage.number,
        "containers": [
            {"container_number": box, "container_type": "11", "item_numbers": "1", "shared_load": "0"} for box in boxes
        ],
    }  # fmt: skip
    row = requests.ask(number=declaration.unified_number, kind="amend", reason="x", message=message, principal=firm)
    requests.decide(pk=row.pk, approve=True, principal=make.officer_principal())
    decisions.decide(command="accept", number=declaration.unified_number, principal=SYSTEM)
    assert states.proceed(declaration) == "accepted", "the goods of the other bill have not arrived"
    for goods, number in ((one, ""), (other, declaration.unified_number)):
        goods.refresh_from_db()
        assert goods.declaration_number == number


def test_a_bill_deleted_and_lodged_anew_is_the_bill_of_its_declaration(carrier):
    box = container()
    goods = states.goods(carrier, "B1", boxes=[box])
    declaration = states.declared(goods)
    selection.select(declaration.unified_number)
    deleted = lodge(carrier, "MT1101", "3", number=goods.manifest.number, consignments=[{"bill_number": "B1"}])
    manifests.decide(deleted.pk, approve=True, principal=SYSTEM)
    assert states.proceed(declaration) == "accepted"
    assert [one.code for one in conditions.open_for(declaration, Case.objects.get())] == ["manifest-deleted"]
    lodge(
        carrier, "MT1101", number=goods.manifest.number, voyage_number=goods.voyage.number, means_type="1",
        consignments=[bill("B1", 400, "20500", equipment=[{"number": box}])],
    )  # fmt: skip
    assert states.proceed(declaration) == "released"
    assert out(carrier, box).permitted


def shared(carrier, direction="I"):
    """Two declarations of 150 and 250 packages that share one bill, each with a container of its own."""
    boxes = [container(), container()]
    goods = states.goods(carrier, "B1", boxes=boxes, direction=direction)

    def part(box, packages, weight):
        containers = [{"container_number": box, "container_type": "11", "item_numbers": "1", "shared_load": "0"}]
        return states.declared(
            goods, package_count=packages, gross_weight=weight, net_weight="1.00000", containers=containers
        )

    return goods, boxes, part(boxes[0], 150, "10000.00000"), part(boxes[1], 250, "10500.00000")


def test_of_two_declarations_of_one_bill_each_lets_out_its_own_container(carrier):
    _, boxes, one, two = shared(carrier)
    assert states.proceed(one) == "released"
    selection.select(two.unified_number)
    assert out(carrier, boxes[0]).permitted
    assert release.close(one.unified_number)
    assert out(carrier, boxes[1], "G2").reasons == ["not-released"]
    assert states.proceed(two) == "released"
    assert out(carrier, boxes[1], "G3").permitted


def test_goods_of_one_bill_in_two_declarations_are_loaded_when_both_are_released(carrier):
    goods, _, one, two = shared(carrier, "E")
    loading = [{"bill_number": "B1"}]
    selection.select(two.unified_number)
    assert states.proceed(one) == "released"
    refused = lodge(carrier, "MT4101", number=goods.manifest.number, consignments=loading)
    assert refused.outcome[0]["code"] == "not-released"
    assert states.proceed(two) == "released"
    assert lodge(carrier, "MT4101", number=goods.manifest.number, consignments=loading).response_code == "01"


def test_what_several_declarations_of_one_bill_declare_is_added_up(carrier):
    _, _, one, two = shared(carrier)
    day = two.lodged_at.date()
    context = Context(two, two.message, day, day)
    assert list(checks.a_declaration_agrees_with_its_manifest(two, context)) == []
    Declaration.objects.filter(pk=one.pk).update(package_count=151)
    (found,) = checks.a_declaration_agrees_with_its_manifest(two, context)
    assert (found.code, found.severity) == ("manifest-shared-packages", "review")
    assert found.params == {"declared": 401, "count": 2, "manifest": 400}


def test_of_two_declarations_of_one_bill_lodged_one_after_the_other_none_is_returned(carrier):
    """The first says less than the manifest: the rest may be yet to come, which an officer sees."""
    boxes = [container(), container()]
    goods = states.goods(carrier, "B1", boxes=boxes)

    def part(box, packages, weight):
        containers = [{"container_number": box, "container_type": "11", "item_numbers": "1", "shared_load": "0"}]
        made = states.declared(
            goods, state="lodged", package_count=packages, gross_weight=weight, net_weight="1.00000",
            containers=containers,
        )  # fmt: skip
        done = running.run(made.unified_number)
        return done, sorted(made.check_results.filter(check_name="manifest").values_list("code", "severity"))

    assert part(boxes[0], 150, "10000.00000") == (
        "review",
        [("manifest-container-missing", "review"), ("manifest-packages", "review"), ("manifest-weight", "review")],
    )
    assert part(boxes[1], 250, "10500.00000") == ("accept", [])


def test_more_than_the_manifest_says_is_returned(carrier):
    goods = states.goods(carrier, "B1")
    made = states.declared(goods, state="lodged", package_count=401, gross_weight="20500.00001")
    assert running.run(made.unified_number) == "return"
    found = made.check_results.filter(check_name="manifest").values_list("code", "severity")
    assert sorted(found) == [("manifest-packages", "error"), ("manifest-weight", "error")]


def test_who_gave_up_a_bill_sees_it_no_more_and_who_still_declares_a_part_of_it_does(carrier):
    goods, _, one, two = shared(carrier)
    of_the_manifest = set(goods.audience)
    for declaration in (one, two):
        selection.select(declaration.unified_number)
    goods.refresh_from_db()
    assert set(goods.audience) == of_the_manifest | set(one.parties) | set(two.parties)
    decisions.decide(command="return", number=one.unified_number, principal=SYSTEM, reason_code="declarant-asks")
    lodgement.withdraw(number=one.unified_number, reason="x", principal=make.principal(one.firm))
    make.settle()
    goods.refresh_from_db()
    assert set(goods.audience) == of_the_manifest | set(two.parties)
    assert one.firm_id not in goods.audience


def test_a_manifest_that_changes_after_acceptance_stops_the_release_until_they_agree(carrier):
    goods = states.goods(carrier, "B1")
    declaration = states.declared(goods)
    selection.select(declaration.unified_number)

    def change(packages):
        row = lodge(carrier, "MT1101", "5", number=goods.manifest.number, consignments=[bill("B1", packages, "20500")])
        manifests.decide(row.pk, approve=True, principal=SYSTEM)

    change(399)
    assert states.proceed(declaration) == "accepted"
    assert [one.code for one in conditions.open_for(declaration, Case.objects.get())] == ["manifest-packages"]
    change(400)
    make.settle()
    declaration.refresh_from_db()
    assert declaration.state == "released"


def test_goods_do_not_leave_once_customs_stopped_the_declaration(carrier):
    """A summary released for pick-up and then held, or under inspection, or given back."""
    box = container()
    declaration = states.declared(states.goods(carrier, "B1", boxes=[box]), document_type="  5   ")
    states.proceed(declaration)
    assert declaration.releases.get().stage == "pickup"
    decisions.decide(command="hold", number=declaration.unified_number, principal=SYSTEM, reason_code="risk-analysis")
    assert out(carrier, box).reasons == ["hold"]
    decisions.decide(command="resume", number=declaration.unified_number, principal=SYSTEM)
    inspections.order(number=declaration.unified_number, principal=SYSTEM)
    assert out(carrier, box, "G2").reasons == ["hold"]
    decisions.decide(
        command="return", number=declaration.unified_number, principal=SYSTEM, reason_code="declarant-asks"
    )
    assert out(carrier, box, "G3").reasons == ["hold"]


def test_a_hold_names_a_declaration_by_its_customs_number_too(carrier):
    box = container()
    declaration = states.declared(states.goods(carrier, "B1", boxes=[box]))
    held = hold(f"declaration:{declaration.customs_number}")
    assert held.reference == f"declaration:{declaration.unified_number}"
    assert states.proceed(declaration) == "accepted"


def test_agencies_and_customs_offices_place_holds_over_the_api_but_report_no_gate_moves(api):
    declaration = states.declared()
    for role, kind in (
        (OrganisationRole.INSPECTION_AGENCY, "inspection"),
        (OrganisationRole.CUSTOMS_OFFICE, "customs"),
    ):
        client = api(make.organisation(role, **({"social_credit_code": None} if kind == "customs" else {})))
        answer = client.post("/api/v1/holds", {
            "reference": f"declaration:{declaration.customs_number}", "kind": kind, "reason": "核查", "holder_reference": kind,
        })  # fmt: skip
        assert answer.status_code == 201, answer.content
        move = {
            "message_id": "G1", "container": container(), "move": "GTIN", "fullness": "EMPTY", "place": "QZHDL",
            "at": AT.isoformat(),
        }  # fmt: skip
        assert client.post("/api/v1/gate-moves", move).status_code == 403
    assert states.proceed(declaration) == "accepted"


def test_a_house_bill_is_taken_in_manifests_holds_and_tracking(carrier):
    goods = states.goods(carrier, "MBL1*HBL2")
    declaration = states.declared(goods)
    hold("bill:MBL1*HBL2")
    assert states.proceed(declaration) == "accepted"
    assert tracking.find("MBL1*HBL2").declarations == [declaration]


def test_a_container_does_not_leave_before_release_and_the_attempt_is_kept(carrier):
    box = container()
    declaration = states.declared(states.goods(carrier, "B1", boxes=[box]))
    selection.select(declaration.unified_number)
    refused = out(carrier, box)
    assert (refused.permitted, refused.reasons) == (False, ["not-released"])
    assert make.events_of("gate_move", str(refused.pk)) == ["gate.refused"]
    release.attempt(declaration.unified_number)
    assert out(carrier, box).pk == refused.pk, "the same message gets the same answer"
    assert out(carrier, box, "G2").permitted


def test_goods_that_nobody_declared_do_not_leave(carrier):
    box = container()
    states.goods(carrier, "B1", boxes=[box])
    assert out(carrier, box).reasons == ["not-declared"]


def test_all_goods_of_a_shared_container_must_be_released(carrier):
    box = container()
    goods = states.goods(carrier, "B1", boxes=[box])
    lodge(
        carrier, "MT1101", number=goods.manifest.number, voyage_number=goods.voyage.number, means_type="1",
        consignments=[bill("B2", 10, "100", equipment=[{"number": box}])],
    )  # fmt: skip
    declaration = states.declared(goods)
    assert states.proceed(declaration) == "released"
    assert out(carrier, box).reasons == ["not-declared"]


def test_an_empty_container_may_leave_and_anything_may_come_in(carrier):
    assert out(carrier, container(), fullness="EMPTY").permitted
    assert out(carrier, container(), "G2", move="GTIN").permitted


def test_a_hold_after_release_keeps_the_goods_in(carrier):
    box = container()
    declaration = states.declared(states.goods(carrier, "B1", boxes=[box]))
    states.proceed(declaration)
    assert hold(f"container:{box}").after_release
    assert out(carrier, box).reasons == ["hold"]


def test_a_gate_message_id_is_used_once(carrier):
    box = container()
    out(carrier, box, move="GTIN")
    with pytest.raises(Problem) as caught:
        out(carrier, box, fullness="EMPTY")
    assert caught.value.code == "message-id-reused"


def test_a_gate_move_in_the_future_or_of_a_wrong_number_is_refused(carrier):
    with pytest.raises(Problem) as caught:
        out(carrier, "EXAU1234567", at=timezone.now() + timedelta(days=1))
    assert [fault.code for fault in caught.value.errors] == ["container-number", "in-the-future"]
    assert not GateMove.objects.exists()


def test_a_hold_repeated_is_one_hold_and_only_its_holder_lifts_it(carrier):
    box = container()
    states.goods(carrier, "B1", boxes=[box])
    first = hold(f"container:{box}", acting_for(carrier), "carrier")
    assert hold(f"container:{box}", acting_for(carrier), "carrier").pk == first.pk
    assert Hold.objects.count() == 1
    with pytest.raises(Problem) as caught:
        holds.lift(pk=first.pk, principal=acting_for(states.carrier()))
    assert caught.value.status == 404
    holds.lift(pk=first.pk, principal=acting_for(carrier))
    assert holds.lift(pk=first.pk, principal=acting_for(carrier)).lifted_by
    assert make.events_of("hold", str(first.pk)) == ["hold.placed", "hold.lifted"]


@pytest.mark.parametrize(
    ("reference", "kind", "code"),
    [
        ("ship:1", "carrier", "reference"),
        ("container:EXAU1234567", "carrier", "container-number"),
        ("bill:B1", "customs", "kind"),
    ],
)
def test_a_hold_that_makes_no_sense_is_refused(carrier, reference, kind, code):
    with pytest.raises(Problem) as caught:
        hold(reference, acting_for(carrier), kind)
    assert [fault.code for fault in caught.value.errors] == [code]


def test_a_terminal_cannot_hold_goods_it_has_nothing_to_do_with(carrier):
    states.goods(carrier, "B1")
    with pytest.raises(Problem) as caught:
        hold("bill:B1", acting_for(make.organisation(OrganisationRole.TERMINAL)), "terminal")
    assert caught.value.status == 404


def test_an_export_is_loaded_only_after_release(carrier):
    goods = states.goods(carrier, "E1", direction="E")
    loading = [{"bill_number": "E1"}]
    refused = lodge(carrier, "MT4101", number=goods.manifest.number, consignments=loading)
    assert refused.outcome[0]["code"] == "not-released"
    declaration = states.declared(goods)
    assert states.proceed(declaration) == "released"
    assert not release.close(declaration.unified_number)
    assert lodge(carrier, "MT4101", number=goods.manifest.number, consignments=loading).response_code == "01"
    assert release.close(declaration.unified_number)
