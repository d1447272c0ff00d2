"""Envelopes from other platforms (DCSA PINT 3.0.0): start, additional documents, finish, and who would receive. Every
decision on an envelope is answered with a signed code; only what cannot be read at all is answered unsigned, and the
sender then asks again."""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from bills import keys
from bills.arriving import Disputed, accept, addressed, known
from bills.canonical import NotCanonical, canonical, checksum, parse
from bills.envelope import STATUS, Judged, Rejected, answer, judge, last_entry_checksum, schema_fault
from bills.models import Arrival, Platform, SupportingDocument
from bills.signing import BadSignature, KeyRing, peek
from parties.principals import Principal

#: One additional document may be this large (bytes).
LARGEST_DOCUMENT = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: HTTP status and body; ``code`` is empty where it is unsigned."""

    status: int
    body: Any
    code: str = ""


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
        addressed(judged)
        with transaction.atomic():
            _one_at_a_time(judged)
            known(judged)
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
                known(judged)
                return _accept(arrival, judged)
        except Rejected as error:
            return _signed(error.code, Arrival.objects.get(reference=reference).last, reason=error.reason)
        except Disputed as error:
            return _signed("DISE", Arrival.objects.get(reference=reference).last, reason=str(error))


def _accept(arrival: Arrival, judged: Judged) -> Said:
    """What the envelope tells is done, and the answer kept, in one transaction."""
    accept(arrival, judged)
    said = _signed("RECE", arrival.last, received=sorted(judged.documents))
    arrival.state, arrival.answer = Arrival.State.ACCEPTED, said.body
    arrival.save(update_fields=["state", "answer", "action", "recipient"])
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
