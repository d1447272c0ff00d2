"""The rules of title, one test each: through the commands, on a real database."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import InternalError, close_old_connections, connection, transaction
from django.utils import timezone

from bills import acts, chain, exporting, issuing, journey, keys, sight, signing, title, verify
from bills.canonical import parse
from bills.models import Act, Bill, SigningKey
from bills.sight import Sight
from bills.wire import dcsa
from common.problems import Problem
from declarations import decisions, lodgement
from declarations.models import Declaration
from parties.principals import SYSTEM
from tests import make
from tests.bills import cast as cast_module
from tests.bills.cast import content, declared, handed_over, issued
from tests.make import events_of


def refused(code: str, call: Any, /, *arguments: Any, **options: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        call(*arguments, **options)
    codes = {caught.value.code, *(fault.code for fault in caught.value.errors)}
    assert code in codes, caught.value
    return caught.value


def test_issuing_gives_the_bill_to_the_consignor(cast):
    bill = issued(cast)
    assert (bill.state, bill.version, bill.holder) == ("issued", 1, cast.shipper)
    assert bill.endorsee_key == bill.holder_key
    assert events_of("bill", bill.number) == ["bill.drafted", "bill.issued"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"received_on": None}, "receipt-undated"),
        ({"received_on": "2999-01-01"}, "in-the-future"),
        ({"shipped_on": "2026-10-31"}, "shipped-before-received"),
        ({"legs": "undated"}, "journey-undated"),
    ],
)
def test_a_bill_says_when_the_goods_were_received_or_on_board(cast, change, code):
    """Maritime Code art. 73: the date of receipt; and the days DCSA's document asks for are not made up."""
    made = content(cast)
    made = {name: value for name, value in (made | change).items() if value and value != "undated"}
    made.setdefault("legs", content(cast)["legs"])
    if change.get("legs"):
        del made["legs"][0]["planned_departure"]
    bill = issuing.draft(principal=cast.p("operator"), content=made)
    refused(code, issuing.issue, number=bill.number, principal=cast.p("operator"))


@pytest.mark.parametrize("shipped", [False, True])
def test_the_document_holds_exactly_one_of_the_two_dates(cast, shipped):
    """DCSA: shippedOnBoardDate or receivedForShipmentDate."""
    bill = issued(cast, **({"shipped_on": "2026-11-02"} if shipped else {}))
    document = parse(bill.versions.get().document)
    dates = {name: document.get(name) for name in ("shippedOnBoardDate", "receivedForShipmentDate")}
    assert dates == {
        "shippedOnBoardDate": "2026-11-02" if shipped else None,
        "receivedForShipmentDate": None if shipped else "2026-11-01",
    }
    assert document["isShippedOnBoardType"] is shipped
    del document["oneBill"]
    back = dcsa.from_document(document)
    assert back.get("shipped_on" if shipped else "received_on") == ("2026-11-02" if shipped else "2026-11-01")


def test_only_who_holds_may_endorse(cast):
    bill = issued(cast)
    handed_over(cast, bill)
    refused("not-the-holder", cast.does, "shipper", "ENDORSE_TO_ORDER", bill, "third")
    bill.refresh_from_db()
    assert (bill.holder, bill.acts) == (cast.buyer, 3)


def test_an_order_bill_goes_only_to_whom_it_is_endorsed(cast):
    bill = issued(cast)
    refused("not-endorsed-to-recipient", cast.does, "shipper", "TRANSFER", bill, "buyer")
    cast.does("shipper", "ENDORSE_TO_ORDER", bill, "buyer")
    cast.does("shipper", "TRANSFER", bill, "buyer")
    bill.refresh_from_db()
    assert bill.holder == cast.buyer


def test_a_blank_endorsed_bill_goes_to_anyone(cast):
    bill = issued(cast)
    cast.does("shipper", "BLANK_ENDORSE", bill)
    cast.does("shipper", "TRANSFER", bill, "third")
    cast.does("third", "TRANSFER", bill, "buyer")
    bill.refresh_from_db()
    assert bill.holder == cast.buyer


def test_an_endorsement_without_further_order_is_the_last(cast):
    bill = issued(cast)
    acts.endorse_and_transfer(number=bill.number, principal=cast.p("shipper"), recipient=cast.buyer.pk, further=False)
    refused("no-further-endorsement", cast.does, "buyer", "ENDORSE_TO_ORDER", bill, "third")
    cast.does("buyer", "SURRENDER_FOR_DELIVERY", bill)


@pytest.mark.parametrize("code", ["ENDORSE", "ENDORSE_TO_ORDER", "BLANK_ENDORSE", "PLEDGE"])
def test_a_straight_bill_cannot_be_endorsed_or_pledged(cast, code):
    """Maritime Code art. 79 (1)."""
    bill = issued(cast, "straight", "buyer")
    to = {"BLANK_ENDORSE": "", "PLEDGE": "bank"}.get(code, "third")
    refused("straight-bill", cast.does, "shipper", code, bill, to)


def test_a_straight_bill_goes_to_its_consignee_only(cast):
    bill = issued(cast, "straight", "buyer")
    refused("not-endorsed-to-recipient", cast.does, "shipper", "TRANSFER", bill, "third")
    refused("not-entitled", cast.does, "shipper", "SURRENDER_FOR_DELIVERY", bill)
    cast.does("shipper", "TRANSFER", bill, "buyer")
    cast.does("buyer", "SURRENDER_FOR_DELIVERY", bill)


def test_a_bearer_bill_passes_by_delivery(cast):
    """Maritime Code art. 79 (3)."""
    bill = issued(cast, "bearer")
    cast.does("shipper", "TRANSFER", bill, "third")
    cast.does("third", "SURRENDER_FOR_DELIVERY", bill)


def test_a_pledge_blocks_transfer_until_the_bank_releases_it(cast):
    bill = issued(cast)
    cast.does("shipper", "PLEDGE", bill, "bank")
    for code, to in (("ENDORSE_TO_ORDER", "buyer"), ("BLANK_ENDORSE", ""), ("SURRENDER_FOR_DELIVERY", ""),
                     ("SURRENDER_FOR_AMENDMENT", ""), ("PLEDGE", "bank")):  # fmt: skip
        refused("pledged", cast.does, "shipper", code, bill, to)
    refused("not-the-pledgee", cast.does, "shipper", "RELEASE", bill)
    cast.does("bank", "RELEASE", bill)
    handed_over(cast, bill)


def test_only_a_bank_takes_a_pledge(cast):
    refused("not-a-bank", cast.does, "shipper", "PLEDGE", issued(cast), "third")


def test_nothing_after_surrender_but_the_issuers_answer(cast):
    bill = handed_over(cast, issued(cast))
    cast.does("buyer", "SURRENDER_FOR_DELIVERY", bill)
    for code, to in (("TRANSFER", "third"), ("ENDORSE_TO_ORDER", "third"), ("PLEDGE", "bank"), ("SIGN", "")):
        refused("state-conflict", cast.does, "buyer", code, bill, to)
    refused("not-the-issuer", cast.does, "buyer", "ACCEPT", bill)
    cast.does("operator", "REJECT", bill)
    handed_over(cast, bill, "third", "buyer")


def test_amending_makes_a_new_version_and_the_old_one_stops_verifying(cast):
    bill = handed_over(cast, issued(cast))
    first = bill.checksum
    new = content(cast)
    new["goods"][0]["description"] = ["Natural rubber SMR 10"]
    refused("state-conflict", issuing.amend, number=bill.number, principal=cast.p("operator"), content=new)
    cast.does("buyer", "SURRENDER_FOR_AMENDMENT", bill)
    issuing.amend(number=bill.number, principal=cast.p("operator"), content=new)
    bill.refresh_from_db()
    assert (bill.version, bill.holder, bill.state) == (2, cast.buyer, "issued")
    assert exporting.public_state(bill.number, first)["in_force"] is False
    assert exporting.public_state(bill.number, bill.checksum)["in_force"] is True
    handed_over(cast, bill, "third", "buyer")
    assert verify.verify(exporting.export(bill)).version == 2


def test_paper_and_back_needs_every_original(cast):
    bill = issued(cast, originals="3")
    cast.does("shipper", "SURRENDER_FOR_AMENDMENT", bill, reason="SWTP")
    issuing.to_paper(number=bill.number, principal=cast.p("operator"))
    refused("state-conflict", cast.does, "shipper", "SIGN", bill)
    back = {"number": bill.number, "principal": cast.p("operator"), "presenter": cast.third.pk}
    refused("originals-missing", issuing.from_paper, **back, returned=2)
    issuing.from_paper(**back, returned=3)
    bill.refresh_from_db()
    assert (bill.state, bill.version, bill.holder) == ("issued", 2, cast.third)
    assert verify.verify(exporting.export(bill)).version == 2


def test_delivery_needs_surrender_release_and_the_last_holder(cast):
    bill = handed_over(cast, issued(cast))
    order = {"number": bill.number, "principal": cast.p("operator")}
    refused("not-surrendered", journey.order_delivery, **order)
    cast.does("buyer", "SURRENDER_FOR_DELIVERY", bill)
    cast.does("operator", "ACCEPT", bill)
    refused("no-declaration", journey.order_delivery, **order)
    paper = declared(bill, "accepted")
    journey.link(number=bill.number, principal=cast.p("buyer"), kind="import_declaration", paper=paper)
    refused("not-released", journey.order_delivery, **order)
    decisions.decide(number=paper, command="release", principal=SYSTEM, reason_code="examined")
    assert journey.note_releases([paper]) == 1
    assert journey.note_releases([paper]) == 0
    made = journey.order_delivery(**order)
    assert journey.order_delivery(**order) == made
    refused("no-delivery-order", journey.deliver, **order, order="DO0", to=cast.buyer.pk)
    refused("recipient-not-holder", journey.deliver, **order, order=made.number, to=cast.third.pk)
    refused("recipient-missing", journey.deliver, **order, order=made.number)
    journey.deliver(**order, order=made.number, to=cast.buyer.pk)
    bill.refresh_from_db()
    assert bill.state == "delivered"
    assert verify.verify(exporting.export(bill)).state == "delivered"


def accepted(cast) -> Bill:
    """A bill whose surrender by the buyer is accepted."""
    bill = handed_over(cast, issued(cast))
    cast.does("buyer", "SURRENDER_FOR_DELIVERY", bill)
    cast.does("operator", "ACCEPT", bill)
    bill.refresh_from_db()
    return bill


def test_a_declaration_released_before_it_is_linked_lets_the_goods_go(cast):
    bill = accepted(cast)
    paper = declared(bill, "released")
    made = journey.link(number=bill.number, principal=cast.p("buyer"), kind="import_declaration", paper=paper)
    assert made.released_at is not None
    assert journey.order_delivery(number=bill.number, principal=cast.p("operator")).to == cast.buyer
    assert events_of("bill", bill.number)[-3:] == ["bill.paper_linked", "bill.paper_released", "bill.delivery_ordered"]


def test_a_declaration_linked_by_its_customs_number_is_linked_once_and_its_release_is_told(cast):
    bill = accepted(cast)
    paper = declared(bill, "accepted")
    known = Declaration.objects.get(unified_number=paper)
    link = {"number": bill.number, "principal": cast.p("buyer"), "kind": "import_declaration"}
    assert journey.link(**link, paper=known.customs_number) == journey.link(**link, paper=paper)
    decisions.decide(number=paper, command="release", principal=SYSTEM, reason_code="examined")
    assert journey.note_releases([paper]) == 1


def test_a_release_no_hint_told_of_is_seen_when_the_delivery_order_is_asked_for(cast):
    bill = accepted(cast)
    paper = declared(bill, "accepted")
    journey.link(number=bill.number, principal=cast.p("operator"), kind="import_declaration", paper=paper)
    decisions.decide(number=paper, command="release", principal=SYSTEM, reason_code="examined")
    journey.order_delivery(number=bill.number, principal=cast.p("operator"))
    assert bill.papers.get().released_at is not None


@pytest.mark.parametrize(
    ("receipt", "delivery", "needed"),
    [
        ("SGSIN", "CNCKG", True), ("HKHKG", "CNCKG", True), ("CNCKG", "SGSIN", False), ("CNCKG", "CNQZH", False),
        ("SGSIN", "THBKK", False),
    ],
)  # fmt: skip
def test_an_import_declaration_is_asked_for_where_goods_come_into_the_country(cast, receipt, delivery, needed):
    """What another country's customs asks for at the other end is not lodged here."""
    made = content(cast)
    (made["legs"][0], made["legs"][-1]) = (
        made["legs"][0] | {"from": {"unlocode": receipt}}, made["legs"][-1] | {"to": {"unlocode": delivery}},
    )  # fmt: skip
    made["places"] |= {"receipt": {"unlocode": receipt}, "delivery": {"unlocode": delivery}}
    bill = issuing.draft(principal=cast.p("operator"), content=made)
    issuing.issue(number=bill.number, principal=cast.p("operator"))
    cast.does("shipper", "SURRENDER_FOR_DELIVERY", bill)
    cast.does("operator", "ACCEPT", bill)
    order = {"number": bill.number, "principal": cast.p("operator")}
    if needed:
        refused("no-declaration", journey.order_delivery, **order)
        return
    made_out = journey.order_delivery(**order)
    journey.deliver(**order, order=made_out.number, to=cast.shipper.pk)
    bill.refresh_from_db()
    assert bill.state == "delivered"


def test_only_a_declaration_that_names_the_bill_stands_under_it(cast):
    bill, other = accepted(cast), issued(cast)
    link = {"number": bill.number, "principal": cast.p("operator"), "kind": "import_declaration"}
    refused("declaration-unknown", journey.link, **link, paper="I20260000000999999")
    refused("declaration-unknown", journey.link, **link, paper=declared(bill, "draft"))
    refused("declaration-of-another-bill", journey.link, **link, paper=declared(other, "released"))
    export = declared(bill, "released", direction="E")
    refused("declaration-of-another-bill", journey.link, **link, paper=export)
    journey.link(**link | {"kind": "export_declaration"}, paper=export)
    refused("no-declaration", journey.order_delivery, number=bill.number, principal=cast.p("operator"))


def test_papers_are_linked_and_unlinked_by_issuer_holder_or_agent(cast):
    bill = accepted(cast)
    paper = {"number": bill.number, "kind": "port_paper", "paper": "EIR-1"}
    for who in ("carrier", "shipper"):
        refused("not-of-the-papers", journey.link, **paper, principal=cast.p(who))
    journey.link(**paper, principal=cast.p("buyer"))
    refused("not-of-the-papers", journey.unlink, **paper, principal=cast.p("carrier"))
    journey.unlink(**paper, principal=cast.p("operator"))
    refused("not-found", journey.unlink, **paper, principal=cast.p("operator"))
    assert events_of("bill", bill.number)[-2:] == ["bill.paper_linked", "bill.paper_unlinked"]


def test_a_declaration_is_unlinked_once_it_no_longer_stands(cast):
    bill = accepted(cast)
    firm = make.firm()
    lodged = make.declaration(firm, "lodged", transport_document_number=bill.number)
    paper = {"number": bill.number, "principal": cast.p("operator"), "kind": "import_declaration",
             "paper": lodged.unified_number}  # fmt: skip
    journey.link(**paper)
    refused("paper-stands", journey.unlink, **paper)
    lodgement.withdraw(number=lodged.unified_number, reason="twice", principal=make.principal(firm))
    journey.unlink(**paper)
    assert not bill.papers.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_transfers_at_the_same_moment_one_wins_and_the_other_is_told():
    cast = cast_module.assemble()
    bill = issued(cast, "bearer")
    outcomes: list[str] = []
    barrier = threading.Barrier(2)

    def transfer(to: str) -> None:
        barrier.wait()
        try:
            cast.does("shipper", "TRANSFER", bill, to)
            outcomes.append("won")
        except Problem as problem:
            outcomes.append(problem.code)
        finally:
            close_old_connections()

    threads = [threading.Thread(target=transfer, args=(to,)) for to in ("buyer", "third")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["not-the-holder", "won"]
    assert Act.objects.filter(bill=bill, code="TRANSFER").count() == 1


# Signed by the organisation itself --------------------------------------------------------------------------------
def own_key(cast, who: str) -> dict[str, Any]:
    private = signing.generate()
    keys.register_key(principal=cast.p(who), jwk=signing.public_part(private), replace=True)
    return private


def test_an_act_signed_outside_counts_once(cast):
    bill = issued(cast, "bearer")
    private = own_key(cast, "shipper")
    request = {"number": bill.number, "code": "TRANSFER", "principal": cast.p("shipper"), "recipient": cast.buyer.pk}
    refused("no-key-here", acts.act, **request)
    signed = signing.sign(acts.to_sign(**request), private)
    acts.act(**request, signed=signed)
    refused("act-replayed", acts.act, **request, signed=signed)
    handed_back = {
        "number": bill.number,
        "code": "TRANSFER",
        "principal": cast.p("buyer"),
        "recipient": cast.shipper.pk,
    }
    acts.act(**handed_back)
    refused("act-replayed", acts.act, **request, signed=signed)
    assert verify.verify(exporting.export(bill)).acts == 3


def test_an_act_signed_on_an_old_head_is_told_to_read_again(cast):
    bill = issued(cast, "bearer")
    private = own_key(cast, "shipper")
    request = {"number": bill.number, "code": "TRANSFER", "principal": cast.p("shipper"), "recipient": cast.buyer.pk}
    first, second = (signing.sign(acts.to_sign(**request, comments=text), private) for text in ("one", "two"))
    acts.act(**request, signed=first)
    refused("head-moved", acts.act, **request, signed=second)


def test_a_revoked_key_signs_nothing_more(cast):
    bill = issued(cast, "bearer")
    private = own_key(cast, "shipper")
    request = {"number": bill.number, "code": "TRANSFER", "principal": cast.p("shipper"), "recipient": cast.buyer.pk}
    signed = signing.sign(acts.to_sign(**request), private)
    keys.revoke_key(principal=cast.p("shipper"), kid=signing.thumbprint(private), reason="lost")
    problem = refused("act-revoked-key", acts.act, **request, signed=signing.sign(acts.to_sign(**request), private))
    assert problem.status == 409
    with pytest.raises(Problem):
        acts.act(**request, signed=signed + "x")
    refused("not-found", keys.revoke_key, principal=cast.p("buyer"), kid=signing.thumbprint(private))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", ["revoked", "rotated"])
def test_a_key_changes_after_the_acts_under_way(change):
    """Else an act would be recorded that is dated after the key stopped counting."""
    cast = cast_module.assemble()
    bill = issued(cast, "bearer")
    private = own_key(cast, "shipper")

    def at_work() -> None:
        try:
            if change == "revoked":
                keys.revoke_key(principal=cast.p("shipper"), kid=signing.thumbprint(private), reason="lost")
            else:
                own_key(cast, "shipper")
        finally:
            connection.close()

    thread = threading.Thread(target=at_work)
    request = {"number": bill.number, "code": "TRANSFER", "principal": cast.p("shipper"), "recipient": cast.buyer.pk}
    with transaction.atomic():
        acts.act(**request, signed=signing.sign(acts.to_sign(**request), private))
        thread.start()
        while not waiting_for_a_lock():
            assert thread.is_alive(), "the key changed beside the act"
    thread.join()
    assert SigningKey.objects.get(kid=signing.thumbprint(private)).revoked_at is not None
    assert verify.verify(exporting.export(bill)).acts == 2


def waiting_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'advisory')")
        return bool(cursor.fetchone()[0])


def test_an_act_dated_back_to_before_the_key_was_revoked_does_not_count(cast):
    bill = issued(cast, "bearer")
    private = own_key(cast, "shipper")
    request = {"number": bill.number, "code": "TRANSFER", "principal": cast.p("shipper"), "recipient": cast.buyer.pk}
    payload = acts.to_sign(**request)
    keys.revoke_key(principal=cast.p("shipper"), kid=signing.thumbprint(private), reason="stolen")
    refused("act-revoked-key", acts.act, **request, signed=signing.sign(payload, private))


@pytest.fixture
def still():
    """The clock stands still."""
    with time_machine.travel(timezone.now().replace(microsecond=0), tick=False):
        yield


@pytest.mark.usefixtures("still")
def test_a_fast_clock_does_not_break_the_chain_for_who_comes_after(cast):
    """An act may say it was done a second ahead, not more; those after it are not earlier, so the chain still verifies."""
    bill = issued(cast, "bearer")
    private = own_key(cast, "shipper")
    request = {"number": bill.number, "code": "TRANSFER", "principal": cast.p("shipper"), "recipient": cast.buyer.pk}

    def dated(**ahead: int) -> str:
        at = chain.moment_text(timezone.now() + timedelta(**ahead))
        return signing.sign(acts.to_sign(**request) | {"actionDateTime": at}, private)

    for ahead in ({"minutes": 8}, {"milliseconds": 1001}):
        refused("act-not-of-now", acts.act, **request, signed=dated(**ahead))
    acts.act(**request, signed=dated(seconds=1))
    cast.does("buyer", "TRANSFER", bill, "shipper")
    refused("act-not-of-now", acts.act, **request, signed=dated(seconds=0))
    assert verify.verify(exporting.export(bill)).acts == 3


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("way", ["revoked", "rotated"])
def test_an_act_by_a_fast_clock_keeps_its_proof_when_its_key_stops_counting(cast, way):
    bill = issued(cast, "bearer")
    private = own_key(cast, "shipper")
    request = {"number": bill.number, "code": "TRANSFER", "principal": cast.p("shipper"), "recipient": cast.buyer.pk}
    ahead = chain.moment_text(timezone.now() + timedelta(seconds=1))
    acts.act(**request, signed=signing.sign(acts.to_sign(**request) | {"actionDateTime": ahead}, private))
    if way == "revoked":
        keys.revoke_key(principal=cast.p("shipper"), kid=signing.thumbprint(private), reason="lost")
    else:
        own_key(cast, "shipper")
    assert verify.verify(exporting.export(bill)).acts == 2


def test_a_signature_by_anothers_key_is_refused(cast):
    bill = issued(cast, "bearer")
    stolen = own_key(cast, "third")
    request = {"number": bill.number, "code": "TRANSFER", "principal": cast.p("shipper"), "recipient": cast.buyer.pk}
    refused("key-of-another", acts.act, **request, signed=signing.sign(acts.to_sign(**request), stolen))
    unknown = signing.sign(acts.to_sign(**request), signing.generate())
    refused("act-unknown-key", acts.act, **request, signed=unknown)


def test_what_a_revoked_key_signed_before_still_verifies(cast):
    bill = issued(cast, "bearer")
    cast.does("shipper", "TRANSFER", bill, "buyer")
    row = SigningKey.objects.get(organisation=cast.shipper)
    keys.revoke_key(principal=cast.p("shipper"), kid=row.kid)
    assert verify.verify(exporting.export(bill)).acts == 2


# The database holds it as well ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "change",
    [
        {"state": "delivered"}, {"state": "draft"}, {"holder_key": ""}, {"pledgee_key": "x"}, {"acts": 0},
    ],
)  # fmt: skip
def test_postgresql_refuses_what_the_table_does_not_know(cast, change):
    bill = issued(cast)
    with pytest.raises(Exception, match=r"constraint|Invalid transition|transition"), transaction.atomic():
        Bill.objects.filter(pk=bill.pk).update(**change)


def test_acts_versions_and_keys_cannot_be_rewritten(cast):
    bill = issued(cast)
    for attempt in (
        lambda: Act.objects.filter(bill=bill).update(code="SIGN"),
        lambda: Act.objects.filter(bill=bill).delete(),
        lambda: bill.versions.update(document="{}"),
        lambda: SigningKey.objects.all().delete(),
        lambda: SigningKey.objects.update(owner="me"),
        lambda: Bill.objects.filter(pk=bill.pk).delete(),
    ):
        with pytest.raises(Exception, match=r"Cannot|protected"), transaction.atomic():
            attempt()


def test_every_act_in_every_state_is_answered_by_the_table():
    """All acts × all states, by everyone: either the table's row allows it, or there is a refusal."""
    people = {"issuer": "I", "holder": "I:H", "pledgee": "P", "stranger": "S"}
    for rule in title.RULES.values():
        for state in title.STATES:
            for who, name in people.items():
                holder = people["holder"] if "elsewhere" not in rule.guards else "X:H"
                name = holder if who == "holder" else name
                current = title.Title(state, "bearer", "I", holder, pledgee="P" if rule.who == title.PLEDGEE else "")
                recipient = {"": "", "party": "S2", "issuer": "I", "holder": holder}[rule.recipient]
                found = title.refusals(current, title.Act(rule.act, name, recipient))
                allowed = state in rule.sources and (
                    who == rule.who or rule.who == title.PLATFORM or state == title.DRAFT
                )
                assert bool(found) != allowed, (rule.act, state, who, found)


def test_a_bill_with_all_its_acts_can_still_be_ended(cast, monkeypatch):
    monkeypatch.setattr(chain, "MAX_ACTS", 5)
    bill = issued(cast, "bearer")
    for who, to in (("shipper", "buyer"), ("buyer", "third"), ("third", "buyer"), ("buyer", "third")):
        cast.does(who, "TRANSFER", bill, to)
    refused("too-many-acts", cast.does, "third", "TRANSFER", bill, "buyer")
    cast.does("third", "SURRENDER_FOR_DELIVERY", bill)
    cast.does("operator", "ACCEPT", bill)


def test_a_late_report_does_not_move_the_goods_back(cast):
    bill = issued(cast)
    now = timezone.now()
    report = {"number": bill.number, "principal": cast.p("carrier"), "leg": 2}
    refused("not-the-carrier", journey.report, **report | {"leg": 1}, kind="departed", occurred_at=now)
    operator = {"number": bill.number, "principal": cast.p("operator")}
    journey.report(**operator, leg=1, kind="departed", occurred_at=now - timedelta(days=5))
    journey.report(**report, kind="departed", occurred_at=now - timedelta(days=1))
    journey.report(**operator, leg=1, kind="arrived", occurred_at=now - timedelta(days=2))
    assert journey.whereabouts(bill)["leg"] == 2
    journey.report(**operator, kind="damaged", occurred_at=now - timedelta(days=3), remark="wet")
    assert [(row["leg"], row["by"]) for row in journey.damages(bill)] == [(1, "time")]
    again = journey.report(**report, kind="departed", occurred_at=now - timedelta(days=1))
    assert bill.leg_events.count() == 4
    assert again.kind == "departed"


def test_who_is_named_by_credit_code_alone_is_named(cast):
    """A party to notify and the carrier of a leg, without the register's number for them."""

    def of(organisation):
        code = {"provider": "ZZZ", "list": "USCC", "code": organisation.social_credit_code}
        return {"name": organisation.name, "identifiers": [code]}

    given = content(cast)
    given["parties"]["notify"] = [of(cast.third)]
    given["legs"][1]["carrier"] = of(cast.carrier)
    bill = issuing.draft(principal=cast.p("operator"), content=given)
    issuing.issue(number=bill.number, principal=cast.p("operator"))
    for who in ("third", "carrier"):
        seen, version = sight.of(bill, cast.p(who))
        assert (seen, version) == (Sight.NAMED, bill.versions.get())


def test_strangers_do_not_see_a_bill(cast):
    bill = issued(cast)
    refused("not-found", cast.does, "third", "SIGN", bill)
    assert not Bill.objects.visible_to(cast.p("third")).exists()
    cast.does("shipper", "PLEDGE", bill, "bank")
    assert Bill.objects.visible_to(cast.p("bank")).get() == bill


def test_the_state_machine_trigger_is_an_internal_error(cast):
    bill = issued(cast)
    with pytest.raises(InternalError), transaction.atomic():
        Bill.objects.filter(pk=bill.pk).update(state="delivered")
