"""A bill that is passed on without end: refused at the limit, at its real size; the register stays whole, all of it verifies."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bills import chain, exporting, keys, recording, verify
from bills.canonical import checksum
from bills.models import Act, Bill
from bills.signing import sign
from bills.title import party_key
from tests.bills.cast import issued
from tests.bills.test_title import refused
from tests.make import events_of

pytestmark = pytest.mark.django_db


def passed_on(cast, bill: Bill, until: int) -> None:
    """Transfers between two firms, each signed by its holder, written as the register writes them but in bulk."""
    people = [cast.shipper, cast.buyer]
    parties = [keys.party_of(person) for person in people]
    privates = []
    for party in parties:
        row = keys.signing_key_of(party_key(party))
        assert row is not None
        privates.append(keys.private_of(row))
    at, head, rows, holder = timezone.now(), bill.head, [], 0
    for sequence in range(bill.acts + 1, until + 1):
        payload = chain.statement(
            bill=bill.number, sequence=sequence, previous=head, document=bill.checksum, act="TRANSFER",
            actor=parties[holder], recipient=parties[1 - holder], at=at + timedelta(milliseconds=sequence),
        )  # fmt: skip
        token = sign(payload, privates[holder])
        head = checksum(token)
        rows.append(
            Act(
                bill=bill, sequence=sequence, version=1, code="TRANSFER", actor=people[holder], recipient=people[1 - holder],
                acted_at=chain.moment_of(payload["actionDateTime"]), checksum=head, token=token,
            )
        )  # fmt: skip
        holder = 1 - holder
    Act.objects.bulk_create(rows, batch_size=1000)
    Bill.objects.filter(pk=bill.pk).update(
        acts=until, head=head, head_at=rows[-1].acted_at, holder=people[holder], holder_key=party_key(parties[holder])
    )
    recording.involve(bill, cast.buyer, "holder")
    bill.refresh_from_db()


def test_ten_thousand_acts_on_one_bill_are_refused_at_the_limit_and_the_register_stays_whole(cast):
    bill = issued(cast, "bearer")
    assert chain.MAX_ACTS < 10_000
    passed_on(cast, bill, chain.MAX_ACTS - 2)
    who, to = ("shipper", "buyer") if bill.holder == cast.shipper else ("buyer", "shipper")
    cast.does(who, "TRANSFER", bill, to)
    cast.does(to, "TRANSFER", bill, who)
    before = Bill.objects.values().get(pk=bill.pk)
    events = events_of("bill", bill.number)
    for code, recipient in (("TRANSFER", to), ("SIGN", ""), ("BLANK_ENDORSE", ""), ("PLEDGE", "bank")):
        refused("too-many-acts", cast.does, who, code, bill, recipient)
    assert Bill.objects.values().get(pk=bill.pk) == before
    assert events_of("bill", bill.number) == events
    cast.does(who, "SURRENDER_FOR_DELIVERY", bill)
    cast.does("operator", "ACCEPT", bill)
    bill.refresh_from_db()
    assert (bill.acts, Act.objects.filter(bill=bill).count()) == (chain.MAX_ACTS + 2, chain.MAX_ACTS + 2)
    file = exporting.export(bill)
    assert (verify.verify(file).acts, verify.verify(file).state) == (bill.acts, "accepted")
    file["acts"][2500] = file["acts"][2499]
    with pytest.raises(verify.Fails):
        verify.verify(file)


def test_a_chain_of_ten_thousand_acts_verifies_and_fails_at_the_byte_that_was_changed():
    """The verifier knows no limit: whoever keeps longer chains can have them checked."""
    from benchmarks.bills import exported

    file = exported(10_000)
    assert verify.verify(file).acts == 10_000
    token = file["acts"][8_888]
    file["acts"][8_888] = token[:200] + ("A" if token[200] != "A" else "B") + token[201:]
    with pytest.raises(verify.Fails) as fails:
        verify.verify(file)
    assert fails.value.code in ("act-signature", "act-not-canonical")
    assert "8889" in fails.value.en
