"""DCSA PINT 3.0.0 envelopes: making one, and judging one that came in. Pure: what the register already knows (keys,
parties, earlier envelopes) is the caller's business (:mod:`bills.interchange`)."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from typing import Any

import jsonschema

from bills.canonical import NotCanonical, checksum, document_checksum
from bills.chain import Broken, moment_of
from bills.signing import BadSignature, Key, KeyRing, opened, peek, sign
from bills.title import party_key

#: Answer codes and the HTTP status each goes with.
STATUS = {"RECE": 200, "DUPE": 200, "BENV": 422, "BSIG": 422, "INCD": 409, "MDOC": 409, "DISE": 409}
ACCEPTED_CODES = frozenset({"RECE", "DUPE"})
REFUSED_CODES = frozenset({"BENV", "BSIG"})

#: Acts that address nobody: an envelope that ends with one tells of the act before it in the same entry.
ADDRESS_NOBODY = frozenset({"SIGN", "BLANK_ENDORSE"})
ENDORSEMENTS = frozenset({"ENDORSE", "ENDORSE_TO_ORDER", "BLANK_ENDORSE"})
SURRENDERS = frozenset({"SURRENDER_FOR_DELIVERY", "SURRENDER_FOR_AMENDMENT"})
ACTION_CODES = ENDORSEMENTS | SURRENDERS | {"ISSUE", "TRANSFER", "SIGN", "SACC", "SREJ"}


class Rejected(Exception):
    """The envelope is refused: ``code`` is BENV or BSIG, ``reason`` says why (255 characters)."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code, self.reason = code, reason[:255]


@functools.cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    """The validator of one schema of the standard, by its name there."""
    text = files("bills").joinpath("data/dcsa_pint_3.0.0.schema.json").read_text("utf-8")
    return jsonschema.Draft202012Validator(
        {**json.loads(text), "$ref": f"#/components/schemas/{name}"}, format_checker=jsonschema.FormatChecker()
    )


def schema_fault(name: str, value: Any) -> str:
    """The first way in which ``value`` is not what the standard's schema ``name`` asks for, or nothing."""
    error = next(validator(name).iter_errors(value), None)
    if error is None:
        return ""
    return f"/{'/'.join(str(part) for part in error.absolute_path)}: {error.message[:160]}"


# Making -----------------------------------------------------------------------------------------------------------
def envelope(
    *, document: dict[str, Any], entries: list[str], private: Any, documents: list[dict[str, Any]] | None = None,
    visualisation: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """An EblEnvelope over ``entries`` (the whole chain, the last one our own), its manifest signed by the platform."""
    manifest: dict[str, Any] = {
        "transportDocumentChecksum": document_checksum(document),
        "lastEnvelopeTransferChainEntrySignedContentChecksum": checksum(entries[-1]),
    }
    if documents:
        manifest["supportingDocuments"] = documents
    if visualisation:
        manifest["eBLVisualisationByCarrier"] = visualisation
    return {
        "transportDocument": document,
        "envelopeManifestSignedContent": sign(manifest, private),
        "envelopeTransferChain": entries,
    }


def answer(
    code: str,
    last: str,
    private: Any,
    *,
    reason: str = "",
    duplicate_of: str = "",
    missing: list[str] | None = None,
    received: list[str] | None = None,
) -> str:
    """An EnvelopeTransferFinishedResponse, signed by the platform. ``last`` is the checksum of the last chain entry."""
    said: dict[str, Any] = {"lastEnvelopeTransferChainEntrySignedContentChecksum": last, "responseCode": code}
    if code == "DUPE" and duplicate_of:
        said["duplicateOfAcceptedEnvelopeTransferChainEntrySignedContent"] = duplicate_of
    if reason and code != "RECE":
        said["reason"] = reason[:255]
    if code == "MDOC":
        said["missingAdditionalDocumentChecksums"] = missing or []
    if code in ACCEPTED_CODES and received is not None:
        said["receivedAdditionalDocumentChecksums"] = received
    return sign(said, private)


def visualisation_of(entry: str) -> dict[str, Any] | None:
    """The carrier's visualisation that a chain entry names: manifest and every later entry have to name the same."""
    found: dict[str, Any] | None = peek(entry)[1].get("eBLVisualisationByCarrier")
    return found


# Judging ----------------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class Walk:
    """What the transactions of a chain come to."""

    issuer: dict[str, Any] = field(default_factory=dict)
    possessor: dict[str, Any] = field(default_factory=dict)
    endorsee: dict[str, Any] | None = None
    may_endorse: bool = True
    surrendered: str = ""
    closed: bool = False
    #: Who surrendered last.
    surrenderer: dict[str, Any] = field(default_factory=dict)
    #: The transaction the envelope tells of, with its recipient: the last one of the last entry that addresses somebody.
    cause: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Judged:
    """An envelope whose signatures, checksums and transactions hold."""

    document: dict[str, Any]
    checksum: str
    manifest: dict[str, Any]
    entries: list[dict[str, Any]]
    tokens: list[str]
    last: str
    walk: Walk
    sender: str

    @property
    def documents(self) -> dict[str, dict[str, Any]]:
        """Additional documents the manifest announces, by checksum."""
        announced = [*self.manifest.get("supportingDocuments", ())]
        if "eBLVisualisationByCarrier" in self.manifest:
            announced.append(self.manifest["eBLVisualisationByCarrier"])
        return {document["documentChecksum"]: document for document in announced}


def last_entry_checksum(body: Any) -> str:
    """The checksum an answer has to name, taken from whatever came; empty where there is no chain at all."""
    chain = body.get("envelopeTransferChain") if isinstance(body, dict) else None
    if isinstance(chain, list) and chain and isinstance(chain[-1], str):
        try:
            return checksum(chain[-1])
        except UnicodeEncodeError:
            return ""
    return ""


def _order_of(document: dict[str, Any], holder: dict[str, Any]) -> dict[str, Any] | None:
    """To whose order the document is made out: its endorsee, in the words of the chain where that is the first holder;
    none where it names no endorsee (in blank, to bearer)."""
    endorsee = document["documentParties"].get("endorsee")
    if endorsee is None:
        return None
    names = {(code["codeListProvider"], code["partyCode"]) for code in endorsee.get("identifyingCodes", ())}
    if any((code["codeListProvider"], code["partyCode"]) in names for code in holder["identifyingCodes"]):
        return holder
    return {name: endorsee[name] for name in ("partyName", "eblPlatform", "identifyingCodes") if name in endorsee}


def same_party(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two mentions share an identifying code (and name no two platforms)."""
    platforms = {party["eblPlatform"] for party in (one, other) if party.get("eblPlatform")}
    codes = [
        {(code["codeListProvider"], code["partyCode"]) for code in party.get("identifyingCodes", ())}
        for party in (one, other)
    ]
    return len(platforms) < 2 and bool(codes[0] & codes[1])


def walk(entries: list[dict[str, Any]], document: dict[str, Any]) -> Walk:
    """Follow possession and endorsement through the transactions. Raises Rejected (BENV)."""
    to_order = bool(document.get("isToOrder"))
    found = Walk()
    for number, entry in enumerate(entries):
        found.cause = {}
        for place, transaction in enumerate(entry["transactions"]):
            code, actor, recipient = transaction["actionCode"], transaction["actor"], transaction.get("recipient")
            where = f"entry {number + 1}, transaction {place + 1} ({code})"
            if code not in ACTION_CODES:
                raise Rejected("BENV", f"{where}: unknown action code")
            if (code == "ISSUE") != (number == place == 0):
                raise Rejected("BENV", f"{where}: ISSUE stands once, first in the first entry")
            if found.closed:
                raise Rejected("BENV", f"{where}: nothing may follow SACC")
            if code not in ("SIGN", "BLANK_ENDORSE", "SACC", "SREJ") and recipient is None:
                raise Rejected("BENV", f"{where}: no recipient")
            if actor["eblPlatform"] != entry["eblPlatform"]:
                raise Rejected("BENV", f"{where}: the actor is not on the platform that signed the entry")
            if found.surrendered and code not in ("SACC", "SREJ"):
                raise Rejected("BENV", f"{where}: the bill is surrendered")
            match code:
                case "ISSUE":
                    found.issuer, found.possessor = actor, recipient
                    found.endorsee = _order_of(document, recipient) if to_order else None
                case "SACC" | "SREJ":
                    if not found.surrendered or party_key(actor) != party_key(found.issuer):
                        raise Rejected("BENV", f"{where}: no surrender to answer, or not the issuer's answer")
                    recipient = recipient or found.surrenderer
                    if not same_party(recipient, found.surrenderer):
                        raise Rejected("BENV", f"{where}: answers somebody who did not surrender")
                    found.closed, found.surrendered = code == "SACC", ""
                case _:
                    # Transfers inside one platform need not be recorded; between platforms they must be.
                    if found.possessor["eblPlatform"] != actor["eblPlatform"]:
                        raise Rejected("BENV", f"{where}: the bill is not on that platform")
                    if code == "TRANSFER":
                        found.possessor = recipient
                    elif code in SURRENDERS:
                        if party_key(recipient) != party_key(found.issuer):
                            raise Rejected("BENV", f"{where}: a surrender is addressed to the issuer")
                        due = found.endorsee if to_order else document["documentParties"].get("consignee")
                        if code == "SURRENDER_FOR_DELIVERY" and due and not same_party(actor, due):
                            raise Rejected("BENV", f"{where}: the bill is not made out or endorsed to the actor")
                        found.surrendered, found.surrenderer = code, actor
                    elif code in ENDORSEMENTS:
                        if not to_order:
                            raise Rejected("BENV", f"{where}: a straight bill cannot be endorsed")
                        if not found.may_endorse:
                            raise Rejected("BENV", f"{where}: the last endorsement allows no further one")
                        if found.endorsee and not same_party(actor, found.endorsee):
                            raise Rejected("BENV", f"{where}: endorsed by somebody it is not made out or endorsed to")
                        found.endorsee = recipient if code != "BLANK_ENDORSE" else None
                        found.may_endorse = code != "ENDORSE"
            if code not in ADDRESS_NOBODY:
                found.cause = {**transaction, "recipient": recipient}
    return found


def _open(token: Any, ring: KeyRing, now: datetime | None, what: str) -> tuple[Any, Key]:
    """What is new has to be signed with a key that counts ``now``. Without it: the key must not have been revoked when
    the entry's last transaction was done, since keys are rotated while a bill travels."""
    try:
        found = opened(token, ring)
    except BadSignature as error:
        code = "BENV" if error.code == "not-canonical" else "BSIG"
        raise Rejected(code, f"{what}: {error}") from error
    if now is None:
        try:
            now = moment_of(found.payload["transactions"][-1]["actionDateTime"])
        except (Broken, LookupError, TypeError) as error:
            raise Rejected("BENV", f"{what}: no time on its last transaction") from error
        if found.key.fault_at(now) == "revoked-key":
            raise Rejected("BSIG", f"{what}: revoked-key")
    elif fault := found.key.fault_at(now):
        raise Rejected("BSIG", f"{what}: {fault}")
    return found.payload, found.key


def judge(body: Any, ring: KeyRing, *, now: datetime) -> Judged:
    """Signatures first (BSIG), then everything else that the envelope says of itself (BENV). Raises Rejected."""
    if fault := schema_fault("EblEnvelope", body):
        raise Rejected("BENV", f"not an EblEnvelope: {fault}")
    tokens = body["envelopeTransferChain"]
    manifest, sender = _open(body["envelopeManifestSignedContent"], ring, now, "manifest")
    opened_entries = [
        _open(token, ring, now if number == len(tokens) else None, f"chain entry {number}")
        for number, token in enumerate(tokens, 1)
    ]
    entries = [payload for payload, _ in opened_entries]
    for name, payload in [
        ("EnvelopeManifest", manifest),
        *(("EnvelopeTransferChainEntry", entry) for entry in entries),
    ]:
        if fault := schema_fault(name, payload):
            raise Rejected("BENV", f"not an {name}: {fault}")
    for number, (entry, key) in enumerate(opened_entries, 1):
        if key.owner != entry["eblPlatform"]:
            raise Rejected("BSIG", f"chain entry {number}: signed by {key.owner}, not by {entry['eblPlatform']}")
    if sender.owner != entries[-1]["eblPlatform"]:
        raise Rejected("BSIG", "the manifest and the last chain entry are signed by two platforms")
    last = checksum(tokens[-1])
    if manifest["lastEnvelopeTransferChainEntrySignedContentChecksum"] != last:
        raise Rejected("BENV", "the manifest names another last chain entry")
    previous = None
    for number, (entry, token) in enumerate(zip(entries, tokens, strict=True), 1):
        if entry.get("previousEnvelopeTransferChainEntrySignedContentChecksum") != previous:
            raise Rejected("BENV", f"chain entry {number}: does not follow the one before it")
        previous = checksum(token)
        if entry.get("eBLVisualisationByCarrier") != manifest.get("eBLVisualisationByCarrier"):
            raise Rejected("BENV", f"chain entry {number}: another eBL visualisation than the manifest")
    try:
        document = document_checksum(body["transportDocument"])
    except NotCanonical as error:
        raise Rejected("BENV", f"transport document: {error}") from error
    if {document} != {
        manifest["transportDocumentChecksum"],
        *(entry["transportDocumentChecksum"] for entry in entries),
    }:
        raise Rejected("BENV", "the transport document is not the one the manifest and the chain name")
    walked = walk(entries, body["transportDocument"])
    check_issuance(entries[0], document, ring)
    return Judged(
        body["transportDocument"],
        document,
        manifest,
        entries,
        tokens,
        last,
        walked,
        sender.owner,
    )


def check_issuance(first: dict[str, Any], document: str, ring: KeyRing) -> None:
    """The carrier's own signature under the document and the party it is issued to. Raises Rejected."""
    token = first.get("issuanceManifestSignedContent")
    if token is None:
        raise Rejected("BENV", "the first chain entry carries no issuance manifest")
    issue = first["transactions"][0]
    try:
        issued_at = moment_of(issue["actionDateTime"])
    except Broken as error:
        raise Rejected("BENV", f"ISSUE: {error}") from error
    payload, key = _open(token, ring, issued_at, "issuance manifest")
    if fault := schema_fault("IssuanceManifest", payload):
        raise Rejected("BENV", f"not an IssuanceManifest: {fault}")
    if key.owner != party_key(issue["actor"]):
        raise Rejected("BSIG", "the issuance manifest is not signed by the carrier that issued")
    if payload["documentChecksum"] != document:
        raise Rejected("BENV", "the issuance manifest names another document")
    if payload["issueToChecksum"] != document_checksum(issue.get("recipient")):
        raise Rejected("BENV", "the issuance manifest names another party to issue to")
