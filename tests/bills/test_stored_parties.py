"""What older versions said of their parties is put right when an instance is brought up to date."""

from __future__ import annotations

from importlib import import_module

import pgtrigger
import pytest
from django.apps import apps
from django.db import InternalError, transaction

from bills import keys, sight
from bills.models import Bill, Involvement, Version
from tests.bills.cast import issued
from tests.bills.test_pint import partner, pint, said, send, wave  # noqa: F401

upgrade = import_module("bills.migrations.0004_parties_by_their_codes").by_their_codes


def code_of(organisation) -> dict[str, str]:
    return {"provider": "ZZZ", "list": "USCC", "code": organisation.social_credit_code}


def stored(bill: Bill) -> Version:
    return bill.versions.get(number=bill.version)


def test_numbers_of_another_register_are_taken_out_of_stored_versions(cast, wave, pint):  # noqa: F811
    said(send(pint, wave.envelope(keys.party_of(cast.buyer))), "RECE")
    bill = Bill.objects.get()
    version = stored(bill)
    content, document = version.content, version.document
    content["parties"]["consignor"]["organisation"] = cast.shipper.pk
    content["parties"]["notify"] = [{"name": "N", "identifiers": [code_of(cast.third)]}]
    content["legs"][1]["carrier"] = {
        "name": "C",
        "organisation": cast.shipper.pk,
        "identifiers": [code_of(cast.carrier)],
    }
    with pgtrigger.ignore("bills.Version:versions_stand"):
        version.save()
    for role in ("consignor", "carrier"):
        Involvement.objects.create(bill=bill, organisation=cast.shipper, role=role)
    bill.legs.filter(sequence=2).update(carrier=cast.shipper)
    upgrade(apps, None)
    assert sight.names(stored(bill).content) == {cast.third.pk, cast.carrier.pk}
    assert stored(bill).document == document
    assert set(bill.involved.values_list("organisation", "role")) == {
        (cast.third.pk, "notify"), (cast.carrier.pk, "carrier"), (cast.buyer.pk, "holder"),
    }  # fmt: skip
    assert bill.legs.get(sequence=2).carrier == cast.carrier


def test_in_a_bill_issued_here_who_was_named_by_code_is_named_and_versions_stand_again(cast):
    bill = issued(cast)
    version = stored(bill)
    version.content["parties"]["notify"] = [{"name": "N", "identifiers": [code_of(cast.third)]}]
    with pgtrigger.ignore("bills.Version:versions_stand"):
        version.save()
    named, involved = sight.names(version.content), set(bill.involved.values_list("organisation", "role"))
    upgrade(apps, None)
    assert sight.names(stored(bill).content) == named | {cast.third.pk}
    assert set(bill.involved.values_list("organisation", "role")) == involved
    with pytest.raises(InternalError), transaction.atomic():
        stored(bill).save()
