"""DCSA PINT where title is not handed over: surrender to an issuer on another platform and its answers, both ways, amendment
across platforms, and endorsements that are only told."""

from __future__ import annotations

from typing import Any

import pytest

from bills import acts, departing, division, exporting, issuing, journey, keys, verify
from bills.canonical import checksum, parse
from bills.departing import Reply
from bills.envelope import schema_fault
from bills.models import Bill, Departure
from bills.signing import peek
from common.problems import Problem
from tests.bills.cast import declared, issued
from tests.bills.foreign import Foreign, party
from tests.bills.test_pint import attempt, by_hand, leaving, partner, pint, said, send, wave  # noqa: F401
from tests.bills.test_title import refused
from tests.make import events_of

THERE = party("Buyer Abroad")


def told(departure: Departure) -> list[dict[str, Any]]:
    """The transactions of the last entry of an envelope of ours, after checking that all of it is what the schema wants."""
    body = parse(departure.body)
    assert schema_fault("EblEnvelope", body) == ""
    entries = [peek(token)[1] for token in body["envelopeTransferChain"]]
    assert [schema_fault("EnvelopeTransferChainEntry", entry) for entry in entries] == [""] * len(entries)
    found: list[dict[str, Any]] = entries[-1]["transactions"]
    return found


def next_departure(bill: Bill, purpose: str) -> Departure:
    departure = Departure.objects.filter(bill=bill, state="waiting").order_by("pk")[0]
    assert departure.purpose == purpose
    return departure


def answered(wave: Foreign, departure: Departure, code: str = "RECE", **more: Any) -> None:  # noqa: F811
    status = {"RECE": 200, "DUPE": 200, "DISE": 409}.get(code, 422)
    attempt(departure, lambda body: Reply(status, wave.answer(body, code, **more)))


def onward(wave: Foreign, departure: Departure, *transactions: dict[str, Any]) -> dict[str, Any]:  # noqa: F811
    """An envelope of the other platform that continues the chain of one of ours."""
    return wave.onward(parse(departure.body), *transactions)


@pytest.fixture
def away(cast, wave, partner) -> tuple[Bill, Departure]:  # noqa: F811
    """A bill issued here and held on the other platform by the one it is endorsed to."""
    bill, departure = leaving(cast)
    answered(wave, departure)
    bill.refresh_from_db()
    assert bill.state == "away"
    return bill, departure


def surrendered(cast, wave, pint, away, why: str) -> Bill:  # noqa: F811
    bill, departure = away
    operator = keys.party_of(cast.operator)
    said(send(pint, onward(wave, departure, wave.transaction(f"SURRENDER_FOR_{why}", THERE, operator, 20))), "RECE")
    bill.refresh_from_db()
    return bill


# A holder there, the issuer here ----------------------------------------------------------------------------------
def test_a_holder_abroad_surrenders_the_issuer_accepts_and_delivers(cast, wave, pint, away):  # noqa: F811
    bill = surrendered(cast, wave, pint, away, "DELIVERY")
    assert (bill.state, bill.holder, bill.holder_name) == ("surrendered", None, "Buyer Abroad")
    assert events_of("bill", bill.number)[-1] == "bill.surrendered"
    refused("not-the-issuer", cast.does, "shipper", "ACCEPT", bill)
    cast.does("operator", "ACCEPT", bill)
    departure = next_departure(bill, "notice")
    assert [row["actionCode"] for row in told(departure)] == ["SACC"]
    assert told(departure)[0]["recipient"] == THERE
    answered(wave, departure)
    bill.refresh_from_db()
    assert bill.state == "accepted"
    operator = {"number": bill.number, "principal": cast.p("operator")}
    journey.link(**operator, kind="import_declaration", paper=declared(bill, "released"))
    order = journey.order_delivery(**operator)
    refused("recipient-not-holder", journey.deliver, **operator, order=order.number, to=cast.buyer.pk)
    journey.deliver(**operator, order=order.number)
    assert verify.verify(exporting.export(bill)).state == "delivered"


def test_a_rejected_surrender_goes_back_to_the_holder_abroad(cast, wave, pint, away):  # noqa: F811
    bill = surrendered(cast, wave, pint, away, "DELIVERY")
    cast.does("operator", "REJECT", bill)
    departure = next_departure(bill, "return")
    assert [row["actionCode"] for row in told(departure)] == ["SREJ"]
    bill.refresh_from_db()
    assert bill.state == "leaving"
    answered(wave, departure)
    bill.refresh_from_db()
    assert bill.state == "away"
    verify.verify(exporting.export(bill))
    # From there it goes on: home to a firm here.
    home = keys.party_of(cast.third)
    deeds = [wave.transaction("ENDORSE_TO_ORDER", THERE, home, 24), wave.transaction("TRANSFER", THERE, home, 25)]
    said(send(pint, onward(wave, departure, *deeds)), "RECE")
    bill.refresh_from_db()
    assert (bill.state, bill.holder) == ("issued", cast.third)
    assert verify.verify(exporting.export(bill)).acts == bill.acts


def test_an_amended_bill_is_sent_after_the_acceptance_that_ends_the_old_chain(cast, wave, pint, away):  # noqa: F811
    bill = surrendered(cast, wave, pint, away, "AMENDMENT")
    assert bill.state == "amending"
    operator = {"number": bill.number, "principal": cast.p("operator")}
    content = bill.versions.get(number=1).content | {"clauses": ["said to contain"]}
    refused("holder-on-another-platform", division.split, **operator, parts=[content, content])
    issuing.amend(**operator, content=content)
    bill.refresh_from_db()
    assert (bill.state, bill.version) == ("leaving", 2)
    first, second = Departure.objects.filter(bill=bill, state="waiting").order_by("pk")
    assert (first.purpose, second.purpose) == ("notice", "reissue")
    assert ([row["actionCode"] for row in told(first)], [row["actionCode"] for row in told(second)]) == (
        ["SACC"],
        ["ISSUE"],
    )
    assert parse(second.body)["transportDocument"]["transportDocumentSubReference"] == "Version_2"
    assert len(parse(second.body)["envelopeTransferChain"]) == 1
    Departure.objects.filter(pk=second.pk).update(next_attempt_at=first.created_at)
    assert [due.pk for due in departing.claim()] == [first.pk]
    answered(wave, first)
    answered(wave, second)
    bill.refresh_from_db()
    assert (bill.state, bill.holder_name) == ("away", "Buyer Abroad")
    assert verify.verify(exporting.export(bill)).version == 2
    assert not exporting.public_state(bill.number, bill.versions.get(number=1).checksum)["in_force"]  # type: ignore[index]


@pytest.mark.parametrize("command", [issuing.to_paper, issuing.void])
def test_a_holder_abroad_is_told_that_its_bill_ended(cast, wave, pint, away, command):  # noqa: F811
    bill = surrendered(cast, wave, pint, away, "AMENDMENT")
    command(number=bill.number, principal=cast.p("operator"))
    departure = next_departure(bill, "notice")
    assert [row["actionCode"] for row in told(departure)] == ["SACC"]
    answered(wave, departure)
    verify.verify(exporting.export(bill))


def test_a_refused_notice_changes_nothing_that_happened(cast, wave, pint, away):  # noqa: F811
    bill = surrendered(cast, wave, pint, away, "DELIVERY")
    cast.does("operator", "ACCEPT", bill)
    departure = next_departure(bill, "notice")
    answered(wave, departure, "BENV", reason="no such bill")
    bill.refresh_from_db()
    departure.refresh_from_db()
    assert (bill.state, departure.state, departure.last_error) == ("accepted", "refused", "no such bill")
    verify.verify(exporting.export(bill))


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("by a stranger to the endorsement", "BENV"), ("to another firm", "BENV"), ("to nobody here", "BENV"),
        ("of a bill that is here", "DISE"), ("with an unknown key", "BSIG"), ("only signed", "BENV"),
        ("only endorsed in blank", "BENV"), ("answered by the holder", "BENV"), ("twice", "DUPE"),
    ],
)  # fmt: skip
def test_a_surrender_that_does_not_hold_is_answered_so(cast, wave, pint, away, how, code):  # noqa: F811
    bill, departure = away
    operator = keys.party_of(cast.operator)
    deed = wave.transaction("SURRENDER_FOR_DELIVERY", THERE, operator, 20)
    before = "away"
    match how:
        case "by a stranger to the endorsement":
            body = onward(wave, departure, deed | {"actor": party("Thief")})
        case "to another firm":
            body = onward(wave, departure, deed | {"recipient": keys.party_of(cast.third)})
        case "to nobody here":
            body = onward(wave, departure, deed | {"recipient": party("Nobody", "NLSC")})
        case "of a bill that is here":
            bill = issued(cast)
            entries = exporting.export(bill)["envelopeTransferChain"]
            document = parse(bill.versions.get().document)
            deed["actor"] = wave.shipper
            body = wave.envelope(
                operator, document=document, entries=[*entries, wave.entry(document, [deed], entries[-1])]
            )
            before, code = "issued", "BENV"  # the bill never left: its holder is not on that platform
        case "with an unknown key":
            body = Foreign().onward(parse(departure.body), deed)
        case "only signed":
            body = onward(wave, departure, wave.transaction("SIGN", THERE, None, 20))
        case "only endorsed in blank":
            body = onward(wave, departure, wave.transaction("BLANK_ENDORSE", THERE, None, 20))
        case "answered by the holder":
            body = onward(wave, departure, deed, wave.transaction("SACC", THERE, operator, 21))
        case _:
            body = onward(wave, departure, deed)
            said(send(pint, body), "RECE")
            before = "surrendered"
    said(send(pint, body), code)
    bill.refresh_from_db()
    assert bill.state == before


def test_a_surrender_out_of_another_chain_is_disputed(cast, wave, pint, away):  # noqa: F811
    bill, departure = away
    deed = wave.transaction("SURRENDER_FOR_DELIVERY", THERE, keys.party_of(cast.operator), 20)
    said(send(pint, onward(wave, departure, deed)), "RECE")
    said(send(pint, onward(wave, departure, deed | {"actionDateTime": "2026-11-21T08:00:00.000Z"})), "DISE")
    bill.refresh_from_db()
    assert (bill.state, bill.acts) == ("surrendered", 5)


# The holder here, the issuer there --------------------------------------------------------------------------------
def held_here(cast, wave, pint) -> Bill:  # noqa: F811
    body = wave.envelope(keys.party_of(cast.buyer))
    said(send(pint, body), "RECE")
    return Bill.objects.get(number=body["transportDocument"]["transportDocumentReference"])


def test_a_holder_here_surrenders_to_an_issuer_abroad_who_accepts(cast, wave, pint):  # noqa: F811
    bill = held_here(cast, wave, pint)
    asked = acts.to_sign(number=bill.number, code="SURRENDER_FOR_DELIVERY", principal=cast.p("buyer"))
    assert asked["recipient"] == wave.carrier
    cast.does("buyer", "SURRENDER_FOR_DELIVERY", bill)
    departure = next_departure(bill, "surrender")
    assert (told(departure)[-1]["actionCode"], told(departure)[-1]["recipient"]) == (
        "SURRENDER_FOR_DELIVERY",
        wave.carrier,
    )
    bill.refresh_from_db()
    assert bill.state == "surrendered"
    refused("state-conflict", cast.does, "buyer", "BLANK_ENDORSE", bill)
    answered(wave, departure)
    answer = onward(wave, departure, wave.transaction("SACC", wave.carrier, keys.party_of(cast.buyer), 22))
    said(send(pint, answer), "RECE")
    said(send(pint, answer), "DUPE")
    bill.refresh_from_db()
    assert (bill.state, bill.holder) == ("accepted", cast.buyer)
    assert verify.verify(exporting.export(bill)).state == "accepted"
    more = wave.onward(answer, wave.transaction("TRANSFER", wave.carrier, keys.party_of(cast.buyer), 23))
    said(send(pint, more), "BENV")


def test_a_surrender_refused_abroad_leaves_the_bill_with_its_holder(cast, wave, pint):  # noqa: F811
    bill = held_here(cast, wave, pint)
    cast.does("buyer", "SURRENDER_FOR_DELIVERY", bill)
    answered(wave, next_departure(bill, "surrender"), "BENV", reason="that carrier has left us")
    bill.refresh_from_db()
    assert (bill.state, bill.holder) == ("issued", cast.buyer)
    verify.verify(exporting.export(bill))
    cast.does("buyer", "SURRENDER_FOR_DELIVERY", bill)
    departure = next_departure(bill, "surrender")
    assert [row["actionCode"] for row in told(departure)] == ["SURRENDER_FOR_DELIVERY"]
    answered(wave, departure)
    verify.verify(exporting.export(bill))


def test_a_surrender_rejected_abroad_comes_back(cast, wave, pint):  # noqa: F811
    bill = held_here(cast, wave, pint)
    cast.does("buyer", "SURRENDER_FOR_DELIVERY", bill)
    departure = next_departure(bill, "surrender")
    answered(wave, departure)
    # SREJ names no recipient here: it answers whoever surrendered.
    said(send(pint, onward(wave, departure, wave.transaction("SREJ", wave.carrier, None, 22))), "RECE")
    bill.refresh_from_db()
    assert (bill.state, bill.holder) == ("issued", cast.buyer)
    cast.does("buyer", "ENDORSE_TO_ORDER", bill, "third")
    cast.does("buyer", "TRANSFER", bill, "third")
    assert verify.verify(exporting.export(bill)).holder == keys.party_key(keys.party_of(cast.third))


def reissue(wave: Foreign, bill: Bill, to: dict[str, Any], carrier: dict[str, Any] | None = None) -> dict[str, Any]:  # noqa: F811
    document = parse(bill.versions.get(number=1).document)
    document["transportDocumentSubReference"], document["termsAndConditions"] = "Version_2", "Amended."
    deed = wave.transaction("ISSUE", carrier or wave.carrier, to, 23)
    entry = wave.entry(document, [deed], manifest=wave.issuance_manifest(document, to=to))
    return wave.envelope(to, document=document, entries=[entry])


def test_a_bill_amended_abroad_comes_back_as_its_next_version(cast, wave, pint):  # noqa: F811
    bill = held_here(cast, wave, pint)
    me = keys.party_of(cast.buyer)
    cast.does("buyer", "SURRENDER_FOR_AMENDMENT", bill, reason="COD")
    departure = next_departure(bill, "surrender")
    assert told(departure)[-1]["reasonCode"] == "COD"
    answered(wave, departure)
    said(send(pint, reissue(wave, bill, me)), "DISE")
    said(send(pint, onward(wave, departure, wave.transaction("SACC", wave.carrier, me, 22))), "RECE")
    bill.refresh_from_db()
    assert bill.state == "recalled"
    assert not exporting.public_state(bill.number, bill.checksum)["in_force"]  # type: ignore[index]
    verify.verify(exporting.export(bill))
    said(send(pint, reissue(wave, bill, me)), "RECE")
    bill.refresh_from_db()
    assert (bill.state, bill.version, bill.holder) == ("issued", 2, cast.buyer)
    assert verify.verify(exporting.export(bill)).version == 2
    cast.does("buyer", "SIGN", bill)
    verify.verify(exporting.export(bill))


def test_an_answer_nobody_asked_for_is_not_taken(cast, wave, pint):  # noqa: F811
    bill = held_here(cast, wave, pint)
    cast.does("buyer", "SURRENDER_FOR_DELIVERY", bill)
    departure = next_departure(bill, "surrender")
    answered(wave, departure)
    stranger = wave.transaction("SACC", wave.carrier, keys.party_of(cast.third), 22)
    said(send(pint, onward(wave, departure, stranger)), "BENV")
    said(send(pint, onward(wave, departure, wave.transaction("SACC", wave.shipper, None, 22))), "BENV")
    bill.refresh_from_db()
    assert bill.state == "surrendered"


# Endorsements that are only told ----------------------------------------------------------------------------------
def test_an_endorsement_abroad_is_told_and_moves_nothing(cast, wave, pint):  # noqa: F811
    me, document = keys.party_of(cast.buyer), wave.document()
    deeds = wave.transactions(me)
    first = wave.entry(document, deeds[:2])
    notice = wave.envelope(me, document=document, entries=[first])
    said(send(pint, notice), "RECE")
    number = document["transportDocumentReference"]
    assert not Bill.objects.filter(number=number).exists()
    assert events_of("bill", number) == ["bill.endorsement_notified"]
    # The transfer that follows has to continue what we were told.
    said(send(pint, wave.envelope(me, document=document)), "DISE")
    said(send(pint, wave.onward(notice, deeds[2])), "RECE")
    assert Bill.objects.get(number=number).holder == cast.buyer


def test_an_endorsement_signed_afterwards_is_still_told(cast, wave, pint):  # noqa: F811
    me, document = keys.party_of(cast.buyer), wave.document()
    deeds = [*wave.transactions(me)[:2], wave.transaction("SIGN", wave.shipper, None, 3)]
    said(send(pint, wave.envelope(me, document=document, entries=[wave.entry(document, deeds)])), "RECE")
    assert events_of("bill", document["transportDocumentReference"]) == ["bill.endorsement_notified"]


@pytest.mark.usefixtures("partner")
def test_an_endorsement_to_a_party_abroad_is_told_before_the_bill_follows(cast, wave):  # noqa: F811
    bill = issued(cast)
    to = {"platform": "WAVE", "name": THERE["partyName"], "codes": THERE["identifyingCodes"]}
    mine = {"number": bill.number, "principal": cast.p("shipper")}
    notice = departing.leave(**mine, **to, act="ENDORSE_TO_ORDER")
    bill.refresh_from_db()
    assert (bill.state, bill.holder) == ("issued", cast.shipper)
    assert [row["actionCode"] for row in told(notice)] == ["ISSUE", "ENDORSE_TO_ORDER"]
    transfer = departing.leave(**mine, **to)
    assert [row["actionCode"] for row in told(transfer)] == ["TRANSFER"]
    chains = [parse(departure.body)["envelopeTransferChain"] for departure in (notice, transfer)]
    assert chains[1][:1] == chains[0]
    assert peek(chains[1][1])[1]["previousEnvelopeTransferChainEntrySignedContentChecksum"] == checksum(chains[0][0])
    answered(wave, notice)
    answered(wave, transfer)
    bill.refresh_from_db()
    assert bill.state == "away"
    verify.verify(exporting.export(bill))


def test_a_carrier_abroad_issues_to_a_firm_here(cast, wave, pint):  # noqa: F811
    me, document = keys.party_of(cast.buyer), wave.document()
    deed = wave.transaction("ISSUE", wave.carrier, me)
    entry = wave.entry(document, [deed], manifest=wave.issuance_manifest(document, to=me))
    said(send(pint, wave.envelope(me, document=document, entries=[entry])), "RECE")
    bill = Bill.objects.get(number=document["transportDocumentReference"])
    assert (bill.state, bill.holder, bill.issuer) == ("issued", cast.buyer, None)


def test_a_refused_answer_to_a_holder_abroad_is_settled_by_hand(cast, wave, pint, away):  # noqa: F811
    """The issuer's refusal of a surrender was refused there: the holder there has the bill all the same."""
    bill = surrendered(cast, wave, pint, away, "DELIVERY")
    cast.does("operator", "REJECT", bill)
    departure = next_departure(bill, "return")
    answered(wave, departure, "BENV")
    bill.refresh_from_db()
    assert bill.state == "leaving"
    with pytest.raises(Problem):
        by_hand(departure, "stay")
    by_hand(departure, "left")
    bill.refresh_from_db()
    assert bill.state == "away"
    verify.verify(exporting.export(bill))
