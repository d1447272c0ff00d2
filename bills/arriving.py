"""What an envelope of another platform does here, by the act it tells of (DCSA PINT 3.0.0): possession moves with TRANSFER
and ISSUE, a surrender asks the issuer here, SACC and SREJ answer one of ours, an endorsement is noted. Each in the
transaction in which the answer is written down."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils import timezone

from bills import issuing, keys, recording
from bills.canonical import canonical, parse
from bills.envelope import ENDORSEMENTS, SURRENDERS, Judged, Rejected
from bills.models import Arrival, Bill, BillState, SupportingDocument
from bills.title import BEARER, ORDER, STRAIGHT, party_key
from bills.wire import dcsa
from events.log import append
from parties.models import Organisation

HANDS_OVER = frozenset({"TRANSFER", "ISSUE"})
ANSWERS = frozenset({"SACC", "SREJ"})


class Disputed(Exception):
    """The envelope contradicts what we know of the chain."""


def addressed(judged: Judged) -> Organisation:
    """Whom the envelope addresses. Raises Rejected (BENV) where that is nobody here."""
    cause = judged.walk.cause
    if not cause:
        raise Rejected("BENV", "the last chain entry addresses nobody: SIGN and BLANK_ENDORSE have no recipient")
    recipient = cause["recipient"]
    if recipient["eblPlatform"] != settings.EBL_PLATFORM:
        raise Rejected("BENV", f"the recipient is on {recipient['eblPlatform']}, this is {settings.EBL_PLATFORM}")
    found = keys.organisation_of(recipient)
    if found is None or found.suspended_since is not None:
        raise Rejected("BENV", "the recipient is not registered here, or its codes name two parties")
    return found


def known(judged: Judged) -> Bill | None:
    """The bill as we know it, locked. Raises Disputed where that is not what the envelope says, Rejected."""
    number, action = judged.document["transportDocumentReference"], judged.walk.cause["actionCode"]
    bill = Bill.objects.select_for_update().filter(number=number).first()
    for arrival in Arrival.objects.filter(document_checksum=judged.checksum, state=Arrival.State.ACCEPTED):
        _continues(judged, parse(arrival.body)["envelopeTransferChain"])
    if bill is None:
        if judged.entries[0]["eblPlatform"] == settings.EBL_PLATFORM:
            raise Rejected("BENV", "the chain says the bill was issued here, and it was not")
        if action in ANSWERS:
            raise Rejected("BENV", "no surrender of this bill was sent from here")
        return None
    if action in HANDS_OVER and bill.state == BillState.RECALLED and bill.checksum != judged.checksum:
        if bill.issuer_key != _name(judged.walk.issuer):
            raise Disputed("the version before was recalled by another issuer")
        return bill
    if bill.checksum != judged.checksum:
        raise Disputed("another document is registered here under this reference")
    if bill.state != (_surrendered_state(judged) if action in ANSWERS else BillState.AWAY):
        raise Disputed(f"the bill is here, in state {bill.state}")
    if action == "ISSUE":
        raise Disputed("the bill is issued already")
    _continues(judged, bill.entries)
    if action in ANSWERS and bill.holder_key != party_key(keys.party_of(addressed(judged))):
        raise Rejected("BENV", "the answer is addressed to somebody who is not the holder")
    return bill


def _continues(judged: Judged, tokens: list[str]) -> None:
    if judged.tokens[: len(tokens)] != tokens or len(judged.tokens) <= len(tokens):
        raise Disputed("the chain does not continue the one known here")


def _surrendered_state(judged: Judged) -> str:
    asked = [
        transaction["actionCode"]
        for entry in judged.entries
        for transaction in entry["transactions"]
        if transaction["actionCode"] in SURRENDERS
    ]
    return BillState.SURRENDERED if asked[-1] == "SURRENDER_FOR_DELIVERY" else BillState.AMENDING


def accept(arrival: Arrival, judged: Judged) -> None:
    """Do what the envelope tells. Raises Disputed, Rejected."""
    organisation, bill = addressed(judged), known(judged)
    action = judged.walk.cause["actionCode"]
    if action in ENDORSEMENTS:
        _note(judged, organisation, bill)
    elif action in HANDS_OVER:
        bill = _take(judged, organisation, bill)
    else:
        assert bill is not None
        bill.entries = judged.tokens
        if action in SURRENDERS:
            _surrendered(judged, bill)
        else:
            _answered(judged, bill, organisation)
    arrival.action, arrival.recipient = action, organisation
    if bill is not None:
        _keep_documents(arrival, bill)


def _details(judged: Judged) -> dict[str, Any]:
    return {"from": judged.sender, "lastEntryChecksum": judged.last}


def _take(judged: Judged, holder: Organisation, bill: Bill | None) -> Bill:
    """The bill is ours to keep now."""
    content = issuing.from_elsewhere(dcsa.from_document(judged.document))
    issuer = judged.walk.issuer
    new = bill is None
    if bill is None:
        bill = Bill.objects.create(
            number=judged.document["transportDocumentReference"], kind=content["kind"],
            negotiability=content["negotiability"], issued_at=timezone.now(),
            issuer=keys.organisation_of(issuer) if issuer["eblPlatform"] == settings.EBL_PLATFORM else None,
        )  # fmt: skip
    details = _details(judged) | {"terms": _terms(judged, content, keys.party_of(holder))}
    if not new and bill.checksum != judged.checksum:
        details["document"] = judged.checksum
    bill.entries = judged.tokens
    recording.record(
        bill, "ARRIVE", actor=None, by=f"platform:{judged.sender}", recipient=holder, document=judged.checksum,
        details=details,
    )  # fmt: skip
    if new or "document" in details:
        issuing.write_version(bill, content, canonical(judged.document).decode(), timezone.now())
    return bill


def _name(party: dict[str, Any]) -> str:
    """The key of a party, by the name we know it under where it is one of ours."""
    here = (
        keys.organisation_of(party)
        if party.get("eblPlatform", settings.EBL_PLATFORM) == settings.EBL_PLATFORM
        else None
    )
    return party_key(keys.party_of(here)) if here else party_key(party)


def _terms(judged: Judged, content: dict[str, Any], holder: dict[str, Any]) -> dict[str, Any]:
    """Terms of title as the chain leaves them."""
    terms: dict[str, Any] = {"issuer": _name(judged.walk.issuer), "may_endorse": judged.walk.may_endorse}
    if not judged.document["isToOrder"]:
        consignee = judged.document["documentParties"]["consignee"]
        codes = {code["partyCode"] for code in consignee["identifyingCodes"]}
        mine = any(code["partyCode"] in codes for code in holder["identifyingCodes"])
        return terms | {"kind": STRAIGHT, "consignee": party_key(holder) if mine else _name(consignee)}
    if content["negotiability"] == BEARER and judged.walk.endorsee is None:
        return terms | {"kind": BEARER}
    return terms | {"kind": ORDER, "endorsee": _name(judged.walk.endorsee) if judged.walk.endorsee else ""}


def _surrendered(judged: Judged, bill: Bill) -> None:
    """A holder on another platform surrendered to the issuer here."""
    holder = judged.walk.surrenderer
    code = "SURRENDERED_AWAY" if judged.walk.surrendered == "SURRENDER_FOR_DELIVERY" else "GIVEN_UP_AWAY"
    recording.record(
        bill, code, actor=None, by=f"platform:{judged.sender}", recipient_party=holder,
        reason=judged.walk.cause.get("reasonCode", ""), comments=judged.walk.cause.get("comments", ""),
        details=_details(judged) | {"terms": {"endorsee": _name(judged.walk.endorsee) if judged.walk.endorsee else ""}},
    )  # fmt: skip


def _answered(judged: Judged, bill: Bill, holder: Organisation) -> None:
    """The issuer on another platform answered the surrender of a holder here."""
    if judged.walk.cause["actionCode"] == "SREJ":
        code = "REJECTED_AWAY"
    else:
        code = "ACCEPTED_AWAY" if bill.state == BillState.SURRENDERED else "RECALLED_AWAY"
    recording.record(
        bill, code, actor=None, by=f"platform:{judged.sender}", recipient=holder,
        comments=judged.walk.cause.get("comments", ""), details=_details(judged),
    )  # fmt: skip


def _note(judged: Judged, endorsee: Organisation, bill: Bill | None) -> None:
    """An endorsement to a party here of a bill that stays on the other platform: told to the endorsee, nothing moves."""
    cause = judged.walk.cause
    append(
        type="bill.endorsement_notified",
        subject=("bill", judged.document["transportDocumentReference"]),
        actor=f"platform:{judged.sender}",
        audience={pk for pk in (endorsee.pk, bill.issuer_id if bill else None) if pk},
        data={
            "act": cause["actionCode"],
            "platform": judged.sender,
            "endorser": cause["actor"]["partyName"],
            "endorsee": endorsee.name,
            "transportDocumentChecksum": judged.checksum,
            "lastEntryChecksum": judged.last,
        },
    )


def _keep_documents(arrival: Arrival, bill: Bill) -> None:
    for row in SupportingDocument.objects.filter(arrival=arrival, bill=None):
        SupportingDocument.objects.get_or_create(
            bill=bill, arrival=None, checksum=row.checksum,
            defaults={"name": row.name, "media_type": row.media_type, "size": row.size, "content": row.content},
        )  # fmt: skip
