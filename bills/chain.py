"""The acts on a bill as a chain of signed statements, and the DCSA PINT 3.0.0 entries made from them. Pure.

An act is a JWS of the organisation that acts. Its payload names the bill, the place in the chain, the checksum of the
act before it and of the document version it was done on: so a replayed act, or one of two done at the same moment,
no longer fits. The platform gathers the acts done while a bill was with it into one PINT chain entry and signs that;
each transaction there names its act by checksum (``auditReference``)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from bills import title
from bills.canonical import checksum
from bills.signing import BadSignature, Key, KeyRing, opened, sign

#: A chain this long takes no further acts except those that lead to its end (docs/decisions).
MAX_ACTS = 5000
ENDING_ACTS = frozenset(
    {"SURRENDER_FOR_DELIVERY", "SURRENDER_FOR_AMENDMENT", "ACCEPT", "REJECT", "RETURN", "DELIVER", "VOID", "TO_PAPER",
     "RELEASE", "LEFT", "STAY", "SURRENDERED_AWAY", "GIVEN_UP_AWAY", "ACCEPTED_AWAY", "RECALLED_AWAY", "REJECTED_AWAY"}
)  # fmt: skip

#: Acts that put a new version in force; ARRIVE does where the bill was amended on another platform.
NEW_VERSION = frozenset({"AMEND", "REISSUE", "FROM_PAPER"})

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
HEX64 = re.compile(r"[0-9a-f]{64}")


#: What is wrong with a signed act or a chain, by the code of :class:`Broken`.
FAULTS: dict[str, title.Refusal] = {
    fault.code: fault
    for fault in (
        title.Refusal("malformed-act", "行为内容不合格式", "The act is not of the form it has to have"),
        title.Refusal("act-malformed", "不是有效的 JWS", "Not a JWS in compact serialisation"),
        title.Refusal("act-not-canonical", "签名内容不是规范 JSON（RFC 8785）", "What is signed is no canonical JSON (RFC 8785)"),
        title.Refusal("act-unknown-key", "签名密钥未登记", "Signed with a key that is not registered"),
        title.Refusal("act-revoked-key", "签名密钥已停用", "Signed with a key that was revoked"),
        title.Refusal("act-not-yet-valid", "签名密钥当时尚未启用", "Signed with a key that did not count yet"),
        title.Refusal("act-signature", "签名不成立", "The signature does not hold"),
        title.Refusal("key-of-another", "不是行为人自己的密钥", "Signed with the key of another organisation"),
        title.Refusal("act-of-another-bill", "属于另一份提单的行为", "The act is on another bill"),
        title.Refusal("act-on-another-version", "针对的不是有效版本", "The act names a version that is not in force"),
        title.Refusal("act-not-of-now", "行为时间与现在相差过大", "The act's own time is too far from now"),
        title.Refusal("act-differs", "请求与所签内容不一致", "The request asks for something else than what was signed"),
        title.Refusal("chain-broken", "行为链断裂：缺失、重复、改动或次序有误", "An act is missing, doubled, changed or out of order"),
    )
}  # fmt: skip


class Broken(Exception):
    """A chain, or one act, that does not hold. ``code`` is stable; ``sequence`` says where."""

    def __init__(self, code: str, detail: str = "", sequence: int | None = None) -> None:
        super().__init__(f"{code}" + (f" (act {sequence})" if sequence else "") + (f": {detail}" if detail else ""))
        self.code, self.detail, self.sequence = code, detail, sequence


class Statement(NamedTuple):
    """The payload of an act, checked for shape."""

    bill: str
    sequence: int
    previous: str
    document: str
    act: str
    capacity: str
    actor: dict[str, Any]
    recipient: dict[str, Any] | None
    at: datetime
    reason: str
    comments: str
    details: dict[str, Any]

    def for_title(self) -> title.Act:
        return title.Act(
            self.act, title.party_key(self.actor), title.party_key(self.recipient), self.details.get("terms", {})
        )


def moment_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment_of(text: Any) -> datetime:
    if not isinstance(text, str) or not MOMENT.fullmatch(text):
        raise Broken("malformed-act", "actionDateTime must be UTC with milliseconds")
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise Broken("malformed-act", str(error)) from error


def statement(
    *,
    bill: str,
    sequence: int,
    previous: str,
    document: str,
    act: str,
    actor: dict[str, Any],
    at: datetime,
    recipient: dict[str, Any] | None = None,
    reason: str = "",
    comments: str = "",
    details: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What an organisation signs to do ``act``."""
    payload: dict[str, Any] = {
        "bill": bill,
        "sequence": sequence,
        "transportDocumentChecksum": document,
        "act": act,
        "capacity": title.RULES[act].who,
        "actor": actor,
        "actionDateTime": moment_text(at),
    }
    if previous:
        payload["previousActChecksum"] = previous
    for name, value in (
        ("recipient", recipient),
        ("reasonCode", reason),
        ("comments", comments),
        ("details", details),
    ):
        if value:
            payload[name] = value
    return payload


def _party(value: Any, name: str) -> dict[str, Any]:
    codes = value.get("identifyingCodes") if isinstance(value, dict) else None
    if (
        not isinstance(codes, list)
        or not codes
        or not isinstance(value.get("partyName"), str)
        or not isinstance(value.get("eblPlatform", ""), str)
        or not all(
            isinstance(code, dict)
            and isinstance(code.get("partyCode"), str)
            and isinstance(code.get("codeListProvider"), str)
            and isinstance(code.get("codeListName", ""), str)
            for code in codes
        )
    ):
        raise Broken("malformed-act", f"{name} is not a party with a name and identifying codes")
    return value  # type: ignore[no-any-return]


_MEMBERS = {
    "bill", "sequence", "transportDocumentChecksum", "act", "capacity", "actor", "actionDateTime",
    "previousActChecksum", "recipient", "reasonCode", "comments", "details",
}  # fmt: skip


def read(payload: Any) -> Statement:
    """Check the shape of an act's payload. Raises Broken."""
    if not isinstance(payload, dict):
        raise Broken("malformed-act", "not an object")
    if unknown := sorted(set(payload) - _MEMBERS):
        raise Broken("malformed-act", f"unknown members {', '.join(unknown)}")
    sequence = payload.get("sequence")
    act = payload.get("act")
    if not isinstance(sequence, int) or isinstance(sequence, bool) or sequence < 1:
        raise Broken("malformed-act", "sequence must be a whole number from 1")
    if act not in title.RULES or payload.get("capacity") != title.RULES[act].who:
        raise Broken("malformed-act", "unknown act, or not its capacity", sequence)
    previous = payload.get("previousActChecksum", "")
    document = payload.get("transportDocumentChecksum")
    if not isinstance(document, str) or not HEX64.fullmatch(document):
        raise Broken("malformed-act", "transportDocumentChecksum must be a SHA-256 in hexadecimal", sequence)
    if (sequence == 1) != (previous == "") or not isinstance(previous, str):
        raise Broken("malformed-act", "previousActChecksum belongs to every act but the first", sequence)
    recipient = payload.get("recipient")
    details = payload.get("details", {})
    texts = [payload.get(name, "") for name in ("bill", "reasonCode", "comments")]
    if not all(isinstance(text, str) for text in texts) or not isinstance(details, dict):
        raise Broken("malformed-act", "bill, reasonCode, comments are texts, details is an object", sequence)
    if not isinstance(details.get("terms", {}), dict):
        raise Broken("malformed-act", "details.terms is an object", sequence)
    return Statement(
        texts[0],
        sequence,
        previous,
        document,
        act,
        payload["capacity"],
        _party(payload.get("actor"), "actor"),
        _party(recipient, "recipient") if recipient is not None else None,
        moment_of(payload.get("actionDateTime")),
        texts[1],
        texts[2],
        details,
    )


def open_act(token: str, ring: KeyRing) -> tuple[Statement, Key]:
    """One act: signature, shape, and that the key is the actor's and counted at the time. Raises Broken."""
    try:
        found = opened(token, ring)
    except BadSignature as error:
        raise Broken(f"act-{error.code}", error.detail) from error
    said = read(found.payload)
    owner = title.party_key(said.actor) if said.capacity != title.PLATFORM else said.actor.get("eblPlatform", "")
    if found.key.owner != owner:
        raise Broken("key-of-another", f"{found.key.kid} belongs to {found.key.owner}", said.sequence)
    if fault := found.key.fault_at(said.at):
        raise Broken(f"act-{fault}", found.key.kid, said.sequence)
    return said, found.key


def new_document(act: Statement) -> str:
    """The checksum of the version this act puts in force, where it makes a new one. Raises Broken."""
    if act.act not in NEW_VERSION and not (act.act == "ARRIVE" and "document" in act.details):
        return ""
    document = act.details.get("document")
    if not isinstance(document, str) or not HEX64.fullmatch(document):
        raise Broken("malformed-act", "details.document must name the new version", act.sequence)
    return document


class Replayed(NamedTuple):
    """What a whole chain comes to."""

    title: title.Title
    #: Checksum of the version in force.
    document: str
    statements: list[Statement]
    head: str


def replay(tokens: Sequence[str], ring: KeyRing, *, bill: str = "") -> Replayed:
    """Walk the chain from its first act: signatures, order, links, times, and every act allowed by the table of title.
    Raises Broken at the first act that does not hold."""
    current = title.Title()
    document = ""
    head, last_moment = "", datetime.min.replace(tzinfo=UTC)
    said: list[Statement] = []
    for position, token in enumerate(tokens, 1):
        try:
            act, _ = open_act(token, ring)
        except Broken as error:
            raise Broken(error.code, error.detail, position) from error
        if bill and act.bill != bill:
            raise Broken("act-of-another-bill", act.bill, position)
        if act.sequence != position or act.previous != head:
            raise Broken("chain-broken", "an act is missing, doubled, changed or out of order", position)
        if act.at < last_moment:
            raise Broken("chain-broken", "earlier than the act before it", position)
        if document and act.document != document:
            raise Broken("act-on-another-version", "the act names another version than the one in force", position)
        document = new_document(act) or act.document
        done = act.for_title()
        if refused := title.refusals(current, done):
            raise Broken(refused[0].code, refused[0].en, position)
        current = title.apply(current, done)
        head, last_moment = checksum(token), act.at
        said.append(act)
    return Replayed(current, document, said, head)


# The PINT entries made from the acts ------------------------------------------------------------------------------
def transaction(act: Statement, act_checksum: str) -> dict[str, Any] | None:
    """The act as a PINT transaction, or None where PINT has no code for it (pledge, release, our own moves)."""
    code = title.RULES[act.act].pint
    if not code:
        return None
    made: dict[str, Any] = {
        "actionCode": act.details.get("pint", code),
        "actor": act.actor,
        "actionDateTime": moment_text(act.at),
        "auditReference": f"sha256:{act_checksum}",
    }
    if act.recipient:
        made["recipient"] = act.recipient
    if act.reason:
        made["reasonCode"] = act.reason
    if act.comments:
        made["comments"] = act.comments[:255].strip()
    return made


def transactions(acts: Iterable[tuple[Statement, str]]) -> list[dict[str, Any]]:
    """Our transactions on the version in force, in order; entries that are fixed already hold the first of them. What
    another platform refused never happened in PINT's sense."""
    made: list[dict[str, Any]] = []
    for act, act_checksum in acts:
        if new_document(act):
            # PINT voids the chain and begins a new one, with ISSUE to the holder; where the version came from another
            # platform, the new chain began there.
            made = [] if act.act == "ARRIVE" else [_issue(act, act_checksum)]
        elif act.act == "STAY":
            made.pop()
        elif entry := transaction(act, act_checksum):
            made.append(entry)
    return made


def _issue(act: Statement, act_checksum: str) -> dict[str, Any]:
    return {
        "actionCode": "ISSUE",
        "actor": act.actor,
        "recipient": act.recipient,
        "actionDateTime": moment_text(act.at),
        "auditReference": f"sha256:{act_checksum}",
    }


def chain_entry(
    *,
    platform: str,
    document: str,
    transactions: list[dict[str, Any]],
    previous: str = "",
    issuance_manifest: str = "",
    visualisation: dict[str, Any] | None = None,
    private: Any,
) -> str:
    """An EnvelopeTransferChainEntry, signed by the platform. ``previous`` is the entry before it (a JWS)."""
    entry: dict[str, Any] = {
        "eblPlatform": platform,
        "transportDocumentChecksum": document,
        "transactions": transactions,
    }
    if previous:
        entry["previousEnvelopeTransferChainEntrySignedContentChecksum"] = checksum(previous)
    if issuance_manifest:
        entry["issuanceManifestSignedContent"] = issuance_manifest
    if visualisation:
        entry["eBLVisualisationByCarrier"] = visualisation
    return sign(entry, private)
