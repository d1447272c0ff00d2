"""A bill leaves for another eBL platform: the envelope is made once, kept, and sent again until a signed answer comes.
Only a signed answer counts (PINT): what else comes back, from a proxy or a crashed peer, is a reason to ask again."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from bills import exporting, keys, recording
from bills.canonical import canonical, checksum, parse
from bills.chain import HEX64
from bills.envelope import ACCEPTED_CODES, REFUSED_CODES, envelope, schema_fault, visualisation_of
from bills.models import Act, Bill, BillState, Departure, Platform, SupportingDocument
from bills.signing import BadSignature, opened, peek
from bills.title import GUARDS, ORDER, party_key
from common.problems import Fault, Problem, conflict, invalid, not_found
from common.text import T
from events.log import append
from parties.principals import Principal

#: Seconds to the next attempt: 5, 10, 20, ... at most an hour; never given up, since the answer decides who has the bill.
FIRST_RETRY, LONGEST_RETRY = 5, 3600
#: Endorsements that name somebody: what that one's platform is told while the bill stays here.
ENDORSEMENTS = ("ENDORSE", "ENDORSE_TO_ORDER")
#: How long a claimed envelope is left alone before another worker may take it up.
LEASE = timedelta(seconds=120)


def metadata(document: SupportingDocument) -> dict[str, Any]:
    return {
        "name": document.name,
        "size": document.size,
        "mediaType": document.media_type,
        "documentChecksum": document.checksum,
    }


def _platform(code: str) -> Platform:
    to = Platform.objects.filter(code=code, active=True).first()
    if to is None:
        raise invalid(
            [Fault("/platform", "unknown-platform", T("未与此平台互联", "We exchange nothing with this platform"))]
        )
    return to


@transaction.atomic
def leave(
    *, number: str, principal: Principal, platform: str, name: str, codes: list[dict[str, str]], comments: str = "",
    act: str = "TRANSFER", signed: str = "",
) -> Departure:  # fmt: skip
    """To a party of another platform: TRANSFER hands the bill over (an order bill is endorsed to it on the way, if it is
    not yet; who signs itself endorses first, since that is an act of its own); ENDORSE and ENDORSE_TO_ORDER only endorse, the bill stays here and that platform is told."""
    actor = recording.caller(principal)
    bill = recording.lock(number, principal)
    _platform(platform)
    party = {"partyName": name, "eblPlatform": platform, "identifyingCodes": codes}
    if fault := schema_fault("RecipientParty", party):
        raise invalid([Fault("/recipient", "malformed-party", fault)])
    if act in ENDORSEMENTS:
        recording.record(
            bill, act, actor=actor, by=principal.actor, recipient_party=party, comments=comments, signed=signed
        )  # fmt: skip
        return tell(bill, party, Departure.Purpose.NOTICE)
    if bill.negotiability == ORDER and bill.endorsee_key and bill.endorsee_key != party_key(party):
        if signed:
            raise recording.refused([GUARDS["due"]])
        recording.record(bill, "ENDORSE_TO_ORDER", actor=actor, by=principal.actor, recipient_party=party)
    recording.record(
        bill, "LEAVE", actor=actor, by=principal.actor, recipient_party=party, comments=comments, signed=signed
    )
    return tell(bill, party, Departure.Purpose.TRANSFER)


def party_abroad(bill: Bill, who: str) -> dict[str, Any] | None:
    """The issuer or holder of ``bill`` as a party of the other platform it is on; None where it is not on one."""
    if who == "issuer":
        if not bill.entries:
            return None
        found: dict[str, Any] = peek(bill.entries[0])[1]["transactions"][0]["actor"]
        return found
    last = Act.objects.filter(bill=bill, code__in=("SURRENDERED_AWAY", "GIVEN_UP_AWAY")).order_by("-sequence").first()
    holder: dict[str, Any] | None = peek(last.token)[1]["recipient"] if last else None
    return holder if party_key(holder) == bill.holder_key else None


def tell(bill: Bill, party: dict[str, Any], purpose: str, entries: list[str] | None = None, **of: Any) -> Departure:
    """Make the envelope that tells ``party``'s platform what was done last on ``bill``, whose row is locked. What a notice
    tells has happened whatever the answer: its chain entry is fixed at once."""
    entries = entries or exporting.open_entries(bill, exporting.tokens_of(bill))
    if not entries:
        raise conflict(
            "no-issuance-manifest", T("缺少签发清单，不能转出", "Without an issuance manifest it cannot leave")
        )
    picture = visualisation_of(entries[0])
    body = envelope(
        document=parse(bill.versions.get(number=of.get("version", bill.version)).document),
        entries=entries,
        private=keys.private_of(keys.platform_key()),
        documents=[
            metadata(document)
            for document in bill.documents.order_by("id")
            if picture is None or document.checksum != picture["documentChecksum"]
        ],
        visualisation=picture,
    )
    if purpose == Departure.Purpose.NOTICE and "version" not in of:
        bill.entries = entries
        bill.save(update_fields=["entries"])
    made = Departure.objects.create(
        bill=bill, platform=_platform(party["eblPlatform"]), purpose=purpose, body=canonical(body).decode(),
        last=checksum(entries[-1]),
    )  # fmt: skip
    append(
        type="bill.envelope_made", subject=("bill", bill.number), actor="system",
        audience={pk for pk in (bill.issuer_id, bill.holder_id) if pk},
        data={"platform": made.platform_id, "purpose": purpose},
    )  # fmt: skip
    return made


# Sending ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: HTTP status and the decoded JSON, None where it was no JSON."""

    status: int
    body: Any


class Peer(Protocol):
    """The other platform's PINT API; :mod:`bills.transport` speaks HTTP. Raises OSError where it does not answer."""

    def post(self, path: str, body: bytes) -> Reply: ...
    def put(self, path: str, body: bytes) -> Reply: ...


class NoAnswer(Exception):
    """No signed answer this time; try again later."""


def _signed(reply: Reply, departure: Departure) -> dict[str, Any]:
    """The signed answer in ``reply``. Raises NoAnswer where there is none that counts."""
    if not isinstance(reply.body, str):
        raise NoAnswer(f"HTTP {reply.status}, unsigned: {str(reply.body)[:200]}")
    try:
        found = opened(reply.body, keys.ring([str(peek(reply.body)[0].get("kid"))]))
    except BadSignature as error:
        raise NoAnswer(f"HTTP {reply.status}, answer not signed by {departure.platform_id}: {error}") from error
    if found.key.owner != departure.platform_id or found.key.fault_at(timezone.now()):
        raise NoAnswer(f"answer signed by {found.key.owner}")
    if fault := schema_fault("EnvelopeTransferFinishedResponse", found.payload):
        raise NoAnswer(f"answer malformed: {fault}")
    if found.payload["lastEnvelopeTransferChainEntrySignedContentChecksum"] != departure.last:
        raise NoAnswer("answer to another envelope")
    return dict(found.payload)


def converse(departure: Departure, peer: Peer) -> tuple[dict[str, Any], str]:
    """One attempt, outside any transaction: start, hand over what is missing, finish. Returns the signed answer and its
    JWS. Raises NoAnswer, OSError."""
    reply = peer.post("/v3/envelopes", departure.body.encode())
    if reply.status != 201:
        return _signed(reply, departure), str(reply.body)
    if fault := schema_fault("EnvelopeTransferStartedResponse", reply.body):
        raise NoAnswer(f"started, but: {fault}")
    reference, missing = reply.body["envelopeReference"], reply.body["missingAdditionalDocumentChecksums"]
    Departure.objects.filter(pk=departure.pk).update(reference=reference)
    for _ in range(3):
        for document in SupportingDocument.objects.filter(bill_id=departure.bill_id, checksum__in=missing):
            content = canonical(base64.b64encode(bytes(document.content)).decode())
            sent = peer.put(f"/v3/envelopes/{reference}/additional-documents/{document.checksum}", content)
            if sent.status not in (204, 409):
                raise NoAnswer(f"document {document.checksum[:12]}: HTTP {sent.status}")
        reply = peer.put(f"/v3/envelopes/{reference}/finish-transfer", b"")
        answer = _signed(reply, departure)
        if answer["responseCode"] != "MDOC":
            return answer, str(reply.body)
        missing = answer.get("missingAdditionalDocumentChecksums", [])
    raise NoAnswer("documents are still missing there")


#: Envelopes of one bill go in their order: each chain continues the one before.
_UNSETTLED_BEFORE = Departure.objects.filter(
    bill=OuterRef("bill"), pk__lt=OuterRef("pk"), state=Departure.State.WAITING
)


def claim(limit: int = 10) -> list[Departure]:
    """Envelopes that are due, leased to this worker."""
    with transaction.atomic():
        due = list(
            Departure.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(state=Departure.State.WAITING, next_attempt_at__lte=timezone.now())
            .exclude(Exists(_UNSETTLED_BEFORE))
            .select_related("platform")
            .order_by("next_attempt_at")[:limit]
        )
        for departure in due:
            departure.attempts += 1
            departure.next_attempt_at = timezone.now() + LEASE
            departure.save(update_fields=["attempts", "next_attempt_at"])
        return due


def attempt(departure: Departure, peer: Peer) -> str:
    """One attempt and what follows from it; returns the answer's code, or nothing where none came."""
    try:
        answer, token = converse(departure, peer)
    except (NoAnswer, OSError) as error:
        wait = min(FIRST_RETRY * 2 ** min(departure.attempts - 1, 20), LONGEST_RETRY)
        Departure.objects.filter(pk=departure.pk, state=Departure.State.WAITING).update(
            next_attempt_at=timezone.now() + timedelta(seconds=wait), last_error=str(error)[:500]
        )
        return ""
    settle(departure.pk, answer, token)
    return str(answer["responseCode"])


@transaction.atomic
def settle(pk: int, answer: dict[str, Any], token: str) -> None:
    """Accepted: the bill is away (or, surrendered, waits for its issuer's answer). Refused: what was handed over stays with
    its holder. A refused notice or answer, and a dispute, are left to people: what they tell has happened."""
    departure = Departure.objects.select_for_update(of=("self",)).select_related("platform").get(pk=pk)
    if departure.state != Departure.State.WAITING:
        return
    code, purpose = answer["responseCode"], departure.purpose
    departure.answer, departure.answer_code = token, code
    bill = Bill.objects.select_for_update().get(pk=departure.bill_id)
    details = {"answer": checksum(token), "responseCode": code}
    if code in ACCEPTED_CODES:
        departure.state = Departure.State.ACCEPTED
        if purpose != Departure.Purpose.NOTICE:
            bill.entries = parse(departure.body)["envelopeTransferChain"]
            bill.save(update_fields=["entries"])
        if purpose not in (Departure.Purpose.NOTICE, Departure.Purpose.SURRENDER):
            recording.record(bill, "LEFT", actor=None, by="system", details=details)
    else:
        departure.state = Departure.State.REFUSED if code in REFUSED_CODES else Departure.State.DISPUTED
        departure.last_error = str(answer.get("reason", ""))[:500]
        handed_over = purpose in (Departure.Purpose.TRANSFER, Departure.Purpose.SURRENDER)
        if departure.state == Departure.State.REFUSED and handed_over:
            recording.record(bill, "STAY", actor=None, by="system", details=details, comments=departure.last_error)
    departure.save(update_fields=["state", "answer", "answer_code", "last_error"])


#: What people may find: the other platform has what was sent, it has not, or it is to be sent again.
OUTCOMES = ("left", "stay", "again")
_GOES_BACK = (Departure.Purpose.RETURN, Departure.Purpose.REISSUE)


def stands_open(departure: Departure) -> bool:
    """Whether the answer left the bill in between, with nothing to come that would end it: a dispute, or a refused answer of
    ours to a holder there."""
    if departure.state not in (Departure.State.DISPUTED, Departure.State.REFUSED):
        return False
    if departure.bill.departures.exclude(purpose=Departure.Purpose.NOTICE).filter(pk__gt=departure.pk).exists():
        return False
    if departure.purpose == Departure.Purpose.SURRENDER:
        waiting = departure.bill.state in (BillState.SURRENDERED, BillState.AMENDING)
        return departure.state == Departure.State.DISPUTED and waiting and departure.bill.holder_id is not None
    return departure.purpose != Departure.Purpose.NOTICE and departure.bill.state == BillState.LEAVING


@transaction.atomic
def settle_by_hand(*, pk: int, outcome: str, reason: str, evidence: str, principal: Principal) -> Departure:
    """An officer who has asked the other platform says what became of an envelope that no answer settled. ``evidence`` is the
    SHA-256 of what that rests on (a letter, a log); it stands in the act, which the platform signs.

    Raises Problem 403, 404, 409 (not open), 422."""
    if not (principal.is_authority and principal.has_duty("exchange")):
        raise Problem(
            403, "not-permitted", T("须由主管部门数据交换岗办理", "An officer of an authority, on exchange, does this")
        )
    departure = Departure.objects.select_for_update(of=("self",)).filter(pk=pk).first()
    if departure is None:
        raise not_found()
    bill = departure.bill = Bill.objects.select_for_update().get(pk=departure.bill_id)
    faults = []
    if outcome not in OUTCOMES or (outcome == "stay" and departure.purpose in _GOES_BACK):
        faults.append(
            Fault("/outcome", "unknown-outcome", T("此信封不能这样了结", "This envelope cannot be settled that way"))
        )
    if not reason.strip():
        faults.append(Fault("/reason", "text-missing", T("须写明理由", "Say why")))
    if not HEX64.fullmatch(evidence):
        faults.append(
            Fault(
                "/evidence",
                "checksum",
                T("须为凭证的 SHA-256（64 位十六进制）", "The SHA-256 of the evidence, in hexadecimal"),
            )
        )
    if faults:
        raise invalid(faults)
    if not stands_open(departure):
        raise conflict("not-open", T("此信封已了结", "This envelope is settled"))
    details = {"settledBy": principal.actor, "evidence": evidence, "responseCode": departure.answer_code}
    act: dict[str, Any] = {
        "actor": None, "by": principal.actor, "details": details, "comments": reason.strip()[:255],
    }  # fmt: skip
    if outcome == "again":
        departure.state, departure.next_attempt_at, departure.attempts = Departure.State.WAITING, timezone.now(), 0
    elif outcome == "left":
        departure.state = Departure.State.ACCEPTED
        bill.entries = parse(departure.body)["envelopeTransferChain"]
        bill.save(update_fields=["entries"])
        if departure.purpose != Departure.Purpose.SURRENDER:
            recording.record(bill, "LEFT", **act)
    else:
        departure.state = Departure.State.REFUSED
        recording.record(bill, "STAY", **act)
    departure.save(update_fields=["state", "next_attempt_at", "attempts"])
    append(
        type="bill.envelope_settled", subject=("bill", bill.number), actor=principal.actor,
        audience={pk for pk in (bill.issuer_id, bill.holder_id) if pk},
        data={"platform": departure.platform_id, "purpose": departure.purpose, "outcome": outcome,
              "reason": reason.strip()[:255], "evidence": evidence},
    )  # fmt: skip
    return departure


def send_due(connect: Any, limit: int = 10) -> int:
    """Send what is due; ``connect`` gives the peer of a platform."""
    due = claim(limit)
    for departure in due:
        attempt(departure, connect(departure.platform))
    return len(due)
