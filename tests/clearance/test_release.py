"""Release once: when it comes, what stops it, and who finds out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from clearance import gates, holds, release, selection
from clearance.models import GateMove, Hold, Release
from common.problems import Problem
from declarations import decisions
from parties.models import OrganisationRole
from parties.principals import SYSTEM
from tests import make
from tests.cargo.cargo_make import acting_for, container
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
    officer = make.officer_principal()
    with pytest.raises(Problem) as caught:
        release.release(number=declaration.unified_number, principal=officer)
    assert [fault.code for fault in caught.value.errors] == ["not-arrived", "selection", "hold"]


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
    from tests.cargo.cargo_make import bill, lodge

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
    from tests.cargo.cargo_make import lodge

    goods = states.goods(carrier, "E1", direction="E")
    loading = [{"bill_number": "E1"}]
    refused = lodge(carrier, "MT4101", number=goods.manifest.number, consignments=loading)
    assert refused.outcome[0]["code"] == "not-released"
    declaration = states.declared(goods)
    assert states.proceed(declaration) == "released"
    assert not release.close(declaration.unified_number)
    assert lodge(carrier, "MT4101", number=goods.manifest.number, consignments=loading).response_code == "01"
    assert release.close(declaration.unified_number)
