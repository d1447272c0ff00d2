"""Lodging: numbers, rows, event; drafts, amendments, withdrawal."""

from __future__ import annotations

import importlib
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.utils import translation

from common.days import today
from common.problems import Problem
from declarations import decisions, lodgement
from declarations.lodgement import Lodged
from declarations.models import Declaration
from events import log
from events.models import Event
from parties import registration
from parties.principals import SYSTEM
from tests import make

pytestmark = pytest.mark.django_db


def test_a_declaration_gets_a_unified_number_its_rows_and_one_event(firm):
    message = make.message(firm, items=3)
    lodged = lodgement.lodge(message, make.principal(firm))
    assert lodged.created
    assert lodged.unified_number[:5] == f"I{today():%Y}"
    assert len(lodged.unified_number) == 18
    declaration = Declaration.objects.get(unified_number=lodged.unified_number)
    assert (declaration.state, declaration.version, declaration.customs_number) == ("lodged", 1, None)
    assert (declaration.firm_id, declaration.owner_id, declaration.declarant_id) == (firm.pk, firm.pk, firm.pk)
    assert declaration.gross_weight == Decimal("20500")
    assert declaration.border_crossing_date == date(2026, 11, 20)
    assert declaration.message == message
    assert [(i.position, i.item_number, i.invoice_amount) for i in declaration.goodsitem_set.all()] == [
        (n, n, Decimal("22000")) for n in (1, 2, 3)
    ]
    assert [c.container_number for c in declaration.container_set.all()] == ["CSQU3054383"]
    (event,) = Event.objects.filter(subject_number=lodged.unified_number)
    assert (event.type, event.audience, event.sequence) == ("declaration.lodged", [firm.pk], 1)
    assert event.data["totals"] == {"USD": "66000.0000"}
    assert event.data["containers"] == ["CSQU3054383"]


def test_every_column_named_like_a_member_is_filled_from_it(firm):
    message = make.message(firm)
    message["goods_items"][0]["second_statutory_quantity"] = ""
    lodged = lodgement.lodge(message, make.principal(firm))
    declaration = Declaration.objects.get(pk=lodged.id)
    for name, value in message.items():
        if name in {field.name for field in Declaration._meta.concrete_fields} and isinstance(value, str):
            stored = getattr(declaration, name)
            if isinstance(stored, str):
                assert stored == value, name
    assert declaration.goodsitem_set.get().second_statutory_quantity is None


def test_the_same_message_under_one_client_reference_is_the_same_declaration(firm):
    message = make.message(firm)
    first = lodgement.lodge(message, make.principal(firm))
    again = lodgement.lodge(message, make.principal(firm))
    assert (again.unified_number, again.created) == (first.unified_number, False)
    assert Declaration.objects.count() == 1
    assert make.events_of("declaration", first.unified_number) == ["declaration.lodged"]


def test_another_message_under_a_used_client_reference_is_refused(firm):
    message = make.message(firm)
    first = lodgement.lodge(message, make.principal(firm))
    with pytest.raises(Problem) as refused:
        lodgement.lodge(message | {"remarks": "other"}, make.principal(firm))
    assert (refused.value.status, refused.value.code) == (409, "client-reference-used")
    assert refused.value.extra == {"unified_number": first.unified_number}


def test_two_firms_may_use_the_same_client_reference(firm):
    other = make.firm()
    one = lodgement.lodge(make.message(firm, client_reference="SAME"), make.principal(firm))
    two = lodgement.lodge(make.message(other, client_reference="SAME"), make.principal(other))
    assert one.unified_number != two.unified_number


def test_a_broker_declares_under_a_mandate_that_holds_today_and_includes_the_procedure(firm, broker):
    principal = make.principal(broker)

    def refused(**changes) -> str:
        with pytest.raises(Problem) as problem:
            lodgement.lodge(make.message(firm, lodger=broker, **changes), principal)
        assert problem.value.status == 403
        return problem.value.code

    assert refused() == "no-mandate"
    mandate = make.mandate(firm, broker, customs_procedures=["0110"])
    assert lodgement.lodge(make.message(firm, lodger=broker), principal).created
    assert refused(customs_procedure="0214", levy_nature="502") == "no-mandate"
    registration.end_mandate(mandate_id=mandate.pk, principal=make.principal(firm), on=today())
    assert refused() == "no-mandate"
    assert Declaration.objects.count() == 1


def test_a_party_that_is_not_registered_is_a_fault(firm):
    stranger = make.credit_code(9_000_000)
    message = make.message(firm, domestic_party_credit_code=stranger, domestic_party_code="5001990000")
    with pytest.raises(Problem) as refused:
        lodgement.lodge(message, make.principal(firm))
    assert refused.value.status == 422
    assert [fault.code for fault in refused.value.errors] == ["party-not-registered"]


def test_in_a_batch_a_faulty_entry_harms_no_other_and_twins_are_one(firm):
    good = [make.message(firm) for _ in range(3)]
    results = lodgement.lodge_many(
        [good[0], {"direction": "X"}, good[1], "nonsense", good[2], good[1]], make.principal(firm)
    )
    assert [type(result) for result in results] == [Lodged, Problem, Lodged, Problem, Lodged, Lodged]
    assert [result.client_reference for result in results if isinstance(result, Lodged)] == [
        good[0]["client_reference"],
        good[1]["client_reference"],
        good[2]["client_reference"],
        good[1]["client_reference"],
    ]
    assert sum(result.created for result in results if isinstance(result, Lodged)) == 3
    assert Declaration.objects.count() == 3


# Drafts.


def test_a_draft_needs_little_and_is_seen_by_its_lodger_only(firm, broker):
    make.mandate(firm, broker)
    draft = make.declaration(firm, "draft", lodger=broker, goods_items=[], gross_weight="")
    assert draft.state == "draft"
    assert Declaration.objects.visible_to(make.principal(broker)).count() == 1
    assert Declaration.objects.visible_to(make.principal(firm)).count() == 0
    assert Declaration.objects.visible_to(make.officer_principal()).count() == 0


def test_a_draft_is_filled_in_and_then_declared(firm):
    principal = make.principal(firm)
    message = make.message(firm, oper="save")
    faulty = message | {"gross_weight": ""}
    number = lodgement.lodge(faulty, principal).unified_number
    with pytest.raises(Problem) as refused:
        lodgement.lodge_draft(number=number, principal=principal)
    assert [fault.pointer for fault in refused.value.errors] == ["/gross_weight"]
    lodgement.update_draft(number=number, message=message, principal=principal)
    declaration = lodgement.lodge_draft(number=number, principal=principal)
    assert (declaration.state, declaration.gross_weight) == ("lodged", Decimal("20500"))
    assert make.events_of("declaration", number) == [
        "declaration.drafted",
        "declaration.draft_changed",
        "declaration.lodged",
    ]


def test_a_lodged_declaration_is_no_draft_any_more(firm):
    declaration = make.declaration(firm)
    with pytest.raises(Problem) as refused:
        lodgement.update_draft(
            number=declaration.unified_number, message=declaration.message, principal=make.principal(firm)
        )
    assert refused.value.code == "not-a-draft"


# Amendments and withdrawal.


def test_an_amendment_makes_a_new_version_and_keeps_the_old(firm):
    declaration = make.declaration(firm, "returned", items=2)
    before = declaration.message
    after = before | {"remarks": "更正", "goods_items": before["goods_items"][:1]}
    amended = lodgement.amend(
        number=declaration.unified_number, message=after, reason="品名更正", principal=make.principal(firm)
    )
    assert (amended.state, amended.version) == ("lodged", 2)
    assert [(v.version, v.message) for v in amended.versions.all()] == [(1, before), (2, after)]
    assert amended.goodsitem_set.count() == 1
    assert make.events_of("declaration", declaration.unified_number)[-1] == "declaration.amended"


@pytest.mark.parametrize("state", ["accepted", "held", "under_inspection", "released", "cleared", "withdrawn", "draft"])
def test_no_amendment_after_acceptance_unless_customs_returned_it(firm, state):
    declaration = make.declaration(firm, state)
    with pytest.raises(Problem) as refused:
        lodgement.amend(
            number=declaration.unified_number,
            message=declaration.message | {"remarks": "x"},
            reason="x",
            principal=make.principal(firm),
        )
    assert refused.value.status == 409
    declaration.refresh_from_db()
    assert (declaration.state, declaration.version) == (state, 1)


def test_the_direction_and_the_client_reference_stay(firm):
    declaration = make.declaration(firm, "returned")
    with pytest.raises(Problem) as refused:
        lodgement.amend(
            number=declaration.unified_number,
            message=make.message(firm, direction="E"),
            reason="x",
            principal=make.principal(firm),
        )
    assert [fault.pointer for fault in refused.value.errors] == ["/direction", "/client_reference"]


def test_a_withdrawal_needs_a_reason(firm):
    declaration = make.declaration(firm)
    for reason in ("", "  ", None, "x" * 256):
        with pytest.raises(Problem) as refused:
            lodgement.withdraw(number=declaration.unified_number, reason=reason, principal=make.principal(firm))
        assert refused.value.status == 422
    assert (
        lodgement.withdraw(number=declaration.unified_number, reason="错报", principal=make.principal(firm)).state
        == "withdrawn"
    )


def test_only_the_lodger_changes_a_declaration_others_who_are_named_see_it(firm, broker):
    make.mandate(firm, broker)
    declaration = make.declaration(firm, lodger=broker)
    with pytest.raises(Problem) as refused:
        lodgement.withdraw(number=declaration.unified_number, reason="x", principal=make.principal(firm))
    assert refused.value.status == 403
    with pytest.raises(Problem) as refused:
        lodgement.withdraw(number=declaration.unified_number, reason="x", principal=make.principal(make.firm()))
    assert refused.value.status == 404


def test_a_stale_if_match_is_refused(firm):
    declaration = make.declaration(firm)
    with pytest.raises(Problem) as refused:
        lodgement.withdraw(
            number=declaration.unified_number, reason="x", principal=make.principal(firm), if_match='"99"'
        )
    assert refused.value.status == 412
    assert lodgement.withdraw(
        number=declaration.unified_number, reason="x", principal=make.principal(firm), if_match=declaration.etag
    )


def test_differences_name_each_value_that_changed():
    before = {"a": "1", "b": [{"c": "2"}, {"c": "3"}], "gone": "x"}
    after = {"a": "1", "b": [{"c": "2"}, {"c": "4"}, {"c": "5"}], "new": "y"}
    assert lodgement.differences(before, after) == [
        {"pointer": "/b/1/c", "before": "3", "after": "4"},
        {"pointer": "/b/2", "before": None, "after": {"c": "5"}},
        {"pointer": "/gone", "before": "x", "after": None},
        {"pointer": "/new", "before": None, "after": "y"},
    ]


def test_a_mandate_of_tomorrow_does_not_hold_today(firm, broker):
    make.mandate(firm, broker, valid_from=today() + timedelta(days=1))
    with pytest.raises(Problem) as refused:
        lodgement.lodge(make.message(firm, lodger=broker), make.principal(broker))
    assert refused.value.code == "no-mandate"


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"customs_office": "8010"}, "/customs_office"),
        ({"domestic_party_code": "other", "domestic_party_credit_code": "other"}, "/domestic_party_credit_code"),
    ],
)
def test_what_a_customs_number_stands_for_cannot_change_under_it(firm, broker, changes, pointer):
    """The number is formed of the office, and customs accepted the declaration of this firm. Before it is given, both may."""
    other = make.firm()
    codes = {"domestic_party_code": other.customs_code, "domestic_party_credit_code": other.social_credit_code}
    changes = {name: codes.get(name, value) for name, value in changes.items()}
    for one in (firm, other):
        make.mandate(one, broker)
    accepted = make.declaration(firm, "accepted", lodger=broker)
    number = accepted.unified_number
    decisions.decide(number=number, command="return", principal=SYSTEM, reason_code="declarant-asks")
    call = {"reason": "x", "principal": make.principal(broker)}
    with pytest.raises(Problem) as refused:
        lodgement.amend(number=number, message=accepted.message | changes, **call)
    assert [(fault.pointer, fault.code) for fault in refused.value.errors] == [(pointer, "bound-by-number")]
    accepted.refresh_from_db()
    assert (accepted.version, accepted.customs_office, accepted.firm_id) == (1, "8000", firm.pk)
    assert lodgement.amend(number=number, message=accepted.message | {"remarks": "x"}, **call).version == 2
    lodged = make.declaration(firm, lodger=broker)
    assert lodgement.amend(number=lodged.unified_number, message=lodged.message | changes, **call).version == 2


def test_what_is_not_possible_is_told_in_words_with_what_the_caller_may_do_instead(firm):
    lodged, accepted = make.declaration(firm), make.declaration(firm, "accepted")
    with pytest.raises(Problem) as refused:
        lodgement.lodge_draft(number=lodged.unified_number, principal=make.principal(firm))
    assert str(refused.value.detail) == "“已申报”状态下不能“申报”；可以：修改、撤销"
    assert refused.value.extra == {"state": "lodged", "possible": ["amend", "withdraw"]}
    with translation.override("en"):
        assert str(refused.value.detail) == (
            "“Lodge” is not possible in the state “lodged”; possible: Amend, Withdraw"
        )  # fmt: skip
    for command in (
        lambda **call: lodgement.withdraw(reason="x", **call),
        lambda **call: lodgement.amend(message=accepted.message, reason="x", **call),
    ):
        with pytest.raises(Problem) as refused:
            command(number=accepted.unified_number, principal=make.principal(firm))
        (fault,) = refused.value.errors
        assert fault.code == "ask-customs"
        assert f"/api/v1/clearance/{accepted.unified_number}/change-requests" in str(fault.text)
    with pytest.raises(Problem) as refused:
        decisions.decide(number=accepted.unified_number, command="accept", principal=make.officer_principal())
    assert set(refused.value.extra["possible"]) == {"return", "hold", "inspect", "release"}


@pytest.mark.django_db(transaction=True)
def test_the_migration_finds_the_days_of_what_was_amended_or_corrected_before_it():
    """An amendment once moved the day of declaration, and a correction after release was not noted; the log knows both."""
    firm = make.firm()
    declaration, corrected, other = make.declaration(firm), make.declaration(firm, "released"), make.declaration(firm)
    first = declaration.lodged_at
    call = {"number": declaration.unified_number, "principal": make.principal(firm), "reason": "x"}
    amended = lodgement.amend(message=declaration.message | {"remarks": "x"}, **call)
    Declaration.objects.filter(pk=declaration.pk).update(lodged_at=amended.amended_at, amended_at=None)
    with transaction.atomic():
        log.append(
            type="declaration.corrected",
            subject=("declaration", corrected.unified_number),
            actor="test",
            audience=[],
            data={},
        )
    for _ in range(2):  # a database may have read its log for the first of the two before
        with connection.cursor() as cursor:
            cursor.execute(importlib.import_module("declarations.migrations.0008_filled_from_files_and_log").DAYS)
        declaration.refresh_from_db()
        assert first <= declaration.lodged_at < declaration.amended_at
        lodged_at = corrected.lodged_at
        corrected.refresh_from_db()
        said = Event.objects.get(subject_number=corrected.unified_number, type="declaration.corrected")
        assert (corrected.lodged_at, corrected.amended_at) == (lodged_at, said.occurred_at)
        other.refresh_from_db()
        assert other.amended_at is None
