from __future__ import annotations

import importlib
from datetime import date

import pytest
from django.apps import apps

from common.problems import Problem
from parties import registration
from parties.models import Mandate, Organisation
from parties.principals import Principal
from tests import make

pytestmark = pytest.mark.django_db


def principal(organisation: Organisation) -> Principal:
    return Principal(actor="test", organisation_id=organisation.pk)


def test_a_credit_code_with_a_wrong_check_character_is_refused():
    code = make.credit_code()
    wrong = code[:-1] + ("0" if code[-1] != "0" else "1")
    with pytest.raises(Problem) as refused:
        make.firm(social_credit_code=wrong)
    assert [(fault.pointer, fault.code) for fault in refused.value.errors] == [
        ("/social_credit_code", "social-credit-code")
    ]
    assert not Organisation.objects.exists()


def test_an_organisation_is_registered_once():
    code = make.firm().social_credit_code
    with pytest.raises(Problem) as refused:
        make.firm(social_credit_code=code)
    assert (refused.value.status, refused.value.code) == (409, "organisation-exists")


FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


@pytest.mark.parametrize(
    "typed",
    [str.lower, lambda code: code.translate(FULL_WIDTH), lambda code: f" {code[:8]}-{code[8:17]}-{code[17:]} "],
    ids=["lower case", "full-width digits", "hyphens and blanks"],
)
def test_codes_are_kept_as_declarations_write_them_however_they_are_typed(typed):
    """GB 32100 knows one way of writing a code; lodgement finds a party by that alone."""
    code = make.credit_code()
    firm = make.firm(social_credit_code=typed(code), customs_code=" 50019abcde")
    firm.refresh_from_db()
    assert (firm.social_credit_code, firm.customs_code) == (code, "50019ABCDE")
    assert registration.find_registered(code, None) == firm.pk
    with pytest.raises(Problem) as refused:
        make.firm(social_credit_code=code)
    assert refused.value.code == "organisation-exists"


def test_what_is_left_of_a_code_without_its_blanks_may_be_nothing():
    assert make.firm(social_credit_code=" - ", customs_code=" ").social_credit_code is None


def test_codes_kept_as_they_were_typed_are_written_as_declared():
    migration = importlib.import_module("parties.migrations.0005_credit_codes_as_declared")
    typed, twin, plain = make.firm(), make.firm(), make.firm()
    code = typed.social_credit_code
    for firm, kept in ((typed, code.lower()), (twin, plain.social_credit_code.lower())):
        Organisation.objects.filter(pk=firm.pk).update(social_credit_code=kept)
    migration.write_as_declared(apps, None)
    found = dict(Organisation.objects.values_list("pk", "social_credit_code"))
    assert found == {
        typed.pk: code, twin.pk: plain.social_credit_code.lower(), plain.pk: plain.social_credit_code,
    }  # fmt: skip


def test_registration_is_an_event_the_organisation_may_read():
    firm = make.firm()
    assert make.events_of("organisation", str(firm.pk)) == ["organisation.registered"]


def test_a_mandate_holds_from_its_first_day_to_the_day_before_its_end(firm, broker):
    make.mandate(firm, broker, valid_from=date(2026, 1, 1), valid_to=date(2027, 1, 1))
    holds = {
        day: registration.may_declare_for(declarant_id=broker.pk, firm_id=firm.pk, customs_procedure="0110", on=day)
        for day in (date(2025, 12, 31), date(2026, 1, 1), date(2026, 12, 31), date(2027, 1, 1))
    }
    assert list(holds.values()) == [False, True, True, False]


def test_a_mandate_for_some_procedures_covers_only_those(firm, broker):
    make.mandate(firm, broker, customs_procedures=["0110"])
    may = [
        registration.may_declare_for(
            declarant_id=broker.pk, firm_id=firm.pk, customs_procedure=procedure, on=date(2026, 1, 1)
        )
        for procedure in ("0110", "0214")
    ]
    assert may == [True, False]


def test_a_firm_declares_for_itself(firm):
    assert registration.may_declare_for(
        declarant_id=firm.pk, firm_id=firm.pk, customs_procedure="0110", on=date(2026, 1, 1)
    )


def test_two_mandates_between_the_same_two_never_overlap(firm, broker):
    make.mandate(firm, broker)
    with pytest.raises(Problem) as refused:
        make.mandate(firm, broker, valid_from=date(2026, 1, 1))
    assert refused.value.code == "mandate-overlaps"
    assert Mandate.objects.count() == 1


def test_a_mandate_goes_to_a_broker_only(firm):
    with pytest.raises(Problem) as refused:
        make.mandate(firm, make.firm())
    assert refused.value.status == 404


def test_either_side_ends_a_mandate_and_a_stranger_does_not_find_it(firm, broker):
    mandate = make.mandate(firm, broker)
    with pytest.raises(Problem) as refused:
        registration.end_mandate(mandate_id=mandate.pk, principal=principal(make.firm()))
    assert refused.value.status == 404
    registration.end_mandate(mandate_id=mandate.pk, principal=principal(broker), on=date(2026, 5, 1))
    assert not registration.may_declare_for(
        declarant_id=broker.pk, firm_id=firm.pk, customs_procedure="0110", on=date(2026, 5, 1)
    )
    assert make.events_of("mandate", str(mandate.pk)) == ["mandate.given", "mandate.ended"]


def test_a_client_gets_no_scope_its_roles_do_not_allow(firm):
    with pytest.raises(Problem) as refused:
        registration.register_client(organisation=firm, name="x", scopes=["declarations:decide"])
    assert [fault.code for fault in refused.value.errors] == ["scope-not-for-role"]
