"""Envelopes from other platforms (DCSA PINT 3.0.0): start, additional documents, finish, and who would receive. Every
decision on an envelope is answered with a signed code; only what cannot be read at all is answered unsigned, and the
sender then asks again."""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from bills import acts, issuing, keys
from bills.canonical import NotCanonical, canonical, checksum, parse
from bills.envelope import STATUS, Judged, Rejected, answer, judge, last_entry_checksum, schema_fault
from bills.models import Arrival, Bill, BillState, Platform, SupportingDocument
from bills.signing import BadSignature, KeyRing, peek
from bills.title import BEARER, ORDER, STRAIGHT, party_key
from bills.wire import dcsa
from parties.models import Organisation
from parties.principals import Principal

#: One additional document may be this large (bytes).
LARGEST_DOCUMENT = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: HTTP status and body; ``code`` is empty where it is unsigned."""

    status: int
    body: Any
    code: str = ""


class Disputed(Exception):
    """The envelope contradicts what we know of the chain."""


def _signed(code: str, last: str, **more: Any) -> Said:
    return Said(STATUS[code], answer(code, last, keys.private_of(keys.platform_key()), **more), code)


def unsigned(status: int, text: str, method: str = "POST", path: str = "/v3/envelopes") -> Said:
    """An ErrorResponse: no decision was made."""
    return Said(
        status,
        {
            "httpMethod": method,
            "requestUri": path[:200],
            "statusCode": status,
            "statusCodeText": text[:50],
            "statusCodeMessage": text[:200],
            "errorDateTime": timezone.now().isoformat(timespec="seconds"),
            "errors": [{"errorCode": 7003, "errorCodeText": text[:100], "errorCodeMessage": text[:500]}],
        },
    )


def sender_of(principal: Principal) -> Platform | None:
    return Platform.objects.filter(organisation_id=principal.organisation_id or 0, active=True).first()


def _ring(body: Any) -> KeyRing:
    """The registered ones of all keys that an envelope names, the issuance manifest's included."""
    tokens = [body.get("envelopeManifestSignedContent"), *(body.get("envelopeTransferChain") or [])]
    kids = set()
    for token in tokens:
        try:
            header, payload = peek(token)
            kids.add(str(header.get("kid")))
            if isinstance(payload, dict) and payload.get("issuanceManifestSignedContent"):
                kids.add(str(peek(payload["issuanceManifestSignedContent"])[0].get("kid")))
        except BadSignature:
            continue
    return keys.ring(sorted(kids))


def _recipient(judged: Judged) -> Organisation:
    """Who the bill comes to. Raises Rejected (BENV) where that is nobody here."""
    last = judged.walk.last
    if last["actionCode"] != "TRANSFER":
        raise Rejected("BENV", f"the last transaction is {last['actionCode']}: only TRANSFER is taken here")
    if last["recipient"]["eblPlatform"] != settings.EBL_PLATFORM:
        raise Rejected(
            "BENV", f"the recipient is on {last['recipient']['eblPlatform']}, this is {settings.EBL_PLATFORM}"
        )
    found = keys.organisation_of(last["recipient"])
    if found is None or found.suspended_since is not None:
        raise Rejected("BENV", "the recipient is not registered here, or its codes name two parties")
    return found


def _known(judged: Judged) -> Bill | None:
    """The bill as we know it. Raises Disputed, Rejected."""
    number = judged.document["transportDocumentReference"]
    bill = Bill.objects.select_for_update().filter(number=number).first()
    if bill is None:
        if judged.entries[0]["eblPlatform"] == settings.EBL_PLATFORM:
            raise Rejected("BENV", "the chain says the bill was issued here, and it was not")
        return None
    if bill.checksum != judged.checksum:
        raise Disputed("another document is registered here under this reference")
    if bill.state != BillState.AWAY:
        raise Disputed(f"the bill is here, in state {bill.state}")
    if judged.tokens[: len(bill.entries)] != bill.entries or len(judged.tokens) <= len(bill.entries):
        raise Disputed("the chain does not continue the one the bill left with")
    return bill


def _one_at_a_time(judged: Judged) -> None:
    """Two envelopes over one document wait for each other."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [judged.document["transportDocumentReference"]]
        )


def _missing(judged: Judged, arrival: Arrival | None) -> list[str]:
    wanted = judged.documents
    have = set(
        SupportingDocument.objects.filter(checksum__in=wanted, arrival=arrival).values_list("checksum", flat=True)
        if arrival
        else ()
    )
    number = judged.document["transportDocumentReference"]
    have |= set(
        SupportingDocument.objects.filter(checksum__in=wanted, bill__number=number).values_list("checksum", flat=True)
    )
    return sorted(set(wanted) - have)


def start(raw: bytes, principal: Principal) -> Said:
    """POST /v3/envelopes."""
    try:
        body = parse(raw)
    except NotCanonical as error:
        return unsigned(400, f"The request is not whole JSON: {error}")
    last = last_entry_checksum(body)
    if not last:
        return unsigned(400, "There is no transfer chain to answer")
    if (done := Arrival.objects.filter(last=last, state=Arrival.State.ACCEPTED).first()) is not None:
        return _duplicate(done)
    sender = sender_of(principal)
    try:
        judged = judge(body, _ring(body), now=timezone.now())
        if sender is None or judged.sender != sender.code:
            raise Rejected("BSIG", f"signed by {judged.sender}, sent by somebody else")
        _recipient(judged)
        with transaction.atomic():
            _one_at_a_time(judged)
            _known(judged)
            arrival, _ = Arrival.objects.update_or_create(
                last=last,
                defaults={
                    "platform": judged.sender,
                    "bill_number": judged.document["transportDocumentReference"],
                    "document_checksum": judged.checksum,
                    "body": canonical(body).decode(),
                },
                create_defaults={
                    "reference": secrets.token_urlsafe(24),
                    "platform": judged.sender,
                    "bill_number": judged.document["transportDocumentReference"],
                    "document_checksum": judged.checksum,
                    "body": canonical(body).decode(),
                    "last": last,
                },
            )
            if arrival.state == Arrival.State.ACCEPTED:
                return _duplicate(arrival)
            missing = _missing(judged, arrival)
            if not missing:
                return _accept(arrival, judged)
    except Rejected as error:
        return _signed(error.code, last, reason=error.reason)
    except Disputed as error:
        return _signed("DISE", last, reason=str(error))
    return Said(
        201,
        {
            "envelopeReference": arrival.reference,
            "transportDocumentChecksum": judged.checksum,
            "lastEnvelopeTransferChainEntrySignedContentChecksum": last,
            "missingAdditionalDocumentChecksums": missing,
        },
    )


def _duplicate(arrival: Arrival) -> Said:
    body = parse(arrival.body)
    announced = parse_manifest(body)
    return _signed("DUPE", arrival.last, duplicate_of=body["envelopeTransferChain"][-1], received=announced)


def parse_manifest(body: dict[str, Any]) -> list[str]:
    """Checksums of the additional documents an accepted envelope announced."""
    manifest = peek(body["envelopeManifestSignedContent"])[1]
    documents = [*manifest.get("supportingDocuments", ())]
    if "eBLVisualisationByCarrier" in manifest:
        documents.append(manifest["eBLVisualisationByCarrier"])
    return sorted(document["documentChecksum"] for document in documents)


def _arrival(reference: str, principal: Principal) -> tuple[Arrival, Judged] | None:
    """The envelope of this reference, from the platform that asks, locked."""
    sender = sender_of(principal)
    arrival = (
        Arrival.objects.select_for_update().filter(reference=reference, platform=sender.code).first()
        if sender
        else None
    )
    if arrival is None:
        return None
    body = parse(arrival.body)
    return arrival, judge(body, _ring(body), now=timezone.now())


@transaction.atomic
def document(reference: str, wanted: str, raw: bytes, principal: Principal) -> Said:
    """PUT /v3/envelopes/{reference}/additional-documents/{checksum}."""
    path = f"/v3/envelopes/{reference}/additional-documents/{wanted}"
    try:
        found = _arrival(reference, principal)
    except Rejected as error:
        return _signed(error.code, Arrival.objects.get(reference=reference).last, reason=error.reason)
    if found is None:
        return unsigned(404, "Unknown envelope", "PUT", path)
    arrival, judged = found
    announced = judged.documents.get(wanted)
    if announced is None:
        return _signed("INCD", arrival.last, reason="this document was not announced in the manifest")
    try:
        content = base64.b64decode(parse(raw), validate=True)
    except (NotCanonical, binascii.Error, TypeError, ValueError):
        return _signed("INCD", arrival.last, reason="the body is not a Base64 string")
    if checksum(content) != wanted or len(content) != announced["size"]:
        return _signed("INCD", arrival.last, reason="checksum or size is not what was announced")
    SupportingDocument.objects.get_or_create(
        arrival=arrival, bill=None, checksum=wanted,
        defaults={"name": announced["name"][:200], "media_type": announced["mediaType"], "size": len(content), "content": content},
    )  # fmt: skip
    return Said(204, None)


def finish(reference: str, principal: Principal) -> Said:
    """PUT /v3/envelopes/{reference}/finish-transfer."""
    path = f"/v3/envelopes/{reference}/finish-transfer"
    with transaction.atomic():
        try:
            found = _arrival(reference, principal)
            if found is None:
                return unsigned(404, "Unknown envelope", "PUT", path)
            arrival, judged = found
            if arrival.state == Arrival.State.ACCEPTED:
                return _duplicate(arrival)
            if missing := _missing(judged, arrival):
                return _signed("MDOC", arrival.last, missing=missing, reason="additional documents are missing")
            with transaction.atomic():
                _one_at_a_time(judged)
                _known(judged)
                return _accept(arrival, judged)
        except Rejected as error:
            return _signed(error.code, Arrival.objects.get(reference=reference).last, reason=error.reason)
        except Disputed as error:
            return _signed("DISE", Arrival.objects.get(reference=reference).last, reason=str(error))


def _terms(judged: Judged, content: dict[str, Any], holder: dict[str, Any]) -> dict[str, Any]:
    """Terms of title as the chain leaves them, parties of ours by the names we know them under."""

    def known(party: dict[str, Any]) -> str:
        here = (
            keys.organisation_of(party)
            if party.get("eblPlatform", settings.EBL_PLATFORM) == settings.EBL_PLATFORM
            else None
        )
        return party_key(keys.party_of(here)) if here else party_key(party)

    terms: dict[str, Any] = {"issuer": known(judged.walk.issuer), "may_endorse": judged.walk.may_endorse}
    if not judged.document["isToOrder"]:
        consignee = judged.document["documentParties"]["consignee"]
        codes = {code["partyCode"] for code in consignee["identifyingCodes"]}
        mine = any(code["partyCode"] in codes for code in holder["identifyingCodes"])
        return terms | {"kind": STRAIGHT, "consignee": party_key(holder) if mine else known(consignee)}
    if content["negotiability"] == BEARER and judged.walk.endorsee is None:
        return terms | {"kind": BEARER}
    return terms | {"kind": ORDER, "endorsee": known(judged.walk.endorsee) if judged.walk.endorsee else ""}


def _accept(arrival: Arrival, judged: Judged) -> Said:
    """The bill is ours to keep now: in the transaction in which the answer is written down."""
    holder = _recipient(judged)
    bill = _known(judged)
    content = dcsa.from_document(judged.document)
    party = keys.party_of(holder)
    issuer = (
        keys.organisation_of(judged.walk.issuer) if judged.walk.issuer["eblPlatform"] == settings.EBL_PLATFORM else None
    )
    new = bill is None
    if bill is None:
        bill = Bill.objects.create(
            number=judged.document["transportDocumentReference"], kind=content["kind"],
            negotiability=content["negotiability"], issuer=issuer, issued_at=timezone.now(),
        )  # fmt: skip
    bill.entries = judged.tokens
    acts.record(
        bill,
        "ARRIVE",
        actor=None,
        by=f"platform:{judged.sender}",
        recipient=holder,
        document=judged.checksum,
        details={"terms": _terms(judged, content, party), "from": judged.sender, "lastEntryChecksum": judged.last},
    )
    if new:
        issuing.write_version(bill, content, canonical(judged.document).decode(), timezone.now())
    for row in SupportingDocument.objects.filter(arrival=arrival, bill=None):
        SupportingDocument.objects.get_or_create(
            bill=bill, arrival=None, checksum=row.checksum,
            defaults={"name": row.name, "media_type": row.media_type, "size": row.size, "content": row.content},
        )  # fmt: skip
    said = _signed("RECE", arrival.last, received=sorted(judged.documents))
    arrival.state, arrival.answer = Arrival.State.ACCEPTED, said.body
    arrival.save(update_fields=["state", "answer"])
    return said


def receiver(raw: bytes) -> Said:
    """POST /v3/receiver-validation: the name of the party a code names here, or a 404 that says no more."""
    try:
        code = parse(raw)
    except NotCanonical as error:
        return unsigned(400, f"Not JSON: {error}", path="/v3/receiver-validation")
    if fault := schema_fault("IdentifyingCode", code):
        return unsigned(400, fault, path="/v3/receiver-validation")
    found = keys.organisation_of({"identifyingCodes": [code]})
    if found is None or found.suspended_since is not None:
        return unsigned(404, "Unknown party", path="/v3/receiver-validation")
    return Said(200, {"partyName": found.name[:70].strip()})
