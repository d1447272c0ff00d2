"""How an act on a bill is recorded. Every act goes through :func:`record`: the bill's row is locked, the act signed or its signature
checked, the table of title asked, the chain extended, the event appended, all in one transaction.

Two acts done at the same moment both name the same head of the chain: the lock lets one through, the other no longer fits
and is told so. A replayed act never fits again."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from bills import chain, keys, title
from bills.canonical import checksum
from bills.models import Act, Bill, Involvement
from bills.signing import BadSignature, KeyRing, kid_of, sign
from bills.title import party_key
from common.problems import Fault, Problem, conflict, invalid, not_found
from common.text import T
from events import log
from parties.models import Organisation
from parties.principals import Principal

#: How far a signed act's own time may lie behind ours, and before it: who signs is told the time (to-sign), and an act
#: dated after its key was revoked would undo the proof of all that came before.
SLOW, FAST = timedelta(minutes=10), timedelta(seconds=1)

#: Acts that anyone in their capacity may send as they are; the others need more than a signature and have commands.
PLAIN = frozenset(
    {
        "SIGN", "ENDORSE", "ENDORSE_TO_ORDER", "BLANK_ENDORSE", "TRANSFER", "PLEDGE", "RELEASE",
        "SURRENDER_FOR_DELIVERY", "SURRENDER_FOR_AMENDMENT", "REJECT", "RETURN", "ACCEPT",
    }
)  # fmt: skip

EVENTS = {
    "ISSUE": "bill.issued",
    "TRANSFER": "bill.transferred",
    "ENDORSE": "bill.endorsed",
    "ENDORSE_TO_ORDER": "bill.endorsed",
    "BLANK_ENDORSE": "bill.endorsed",
    "SIGN": "bill.signed",
    "PLEDGE": "bill.pledged",
    "RELEASE": "bill.pledge_released",
    "SURRENDER_FOR_DELIVERY": "bill.surrendered",
    "SURRENDER_FOR_AMENDMENT": "bill.surrendered_for_amendment",
    "ACCEPT": "bill.surrender_accepted",
    "REJECT": "bill.surrender_rejected",
    "RETURN": "bill.surrender_rejected",
    "AMEND": "bill.amended",
    "REISSUE": "bill.amended",
    "SPLIT": "bill.split",
    "COMBINE": "bill.combined",
    "TO_PAPER": "bill.switched_to_paper",
    "FROM_PAPER": "bill.switched_from_paper",
    "VOID": "bill.voided",
    "DELIVER": "bill.delivered",
    "LEAVE": "bill.leaving",
    "LEFT": "bill.left",
    "STAY": "bill.stayed",
    "ARRIVE": "bill.arrived",
    "SURRENDERED_AWAY": "bill.surrendered",
    "GIVEN_UP_AWAY": "bill.surrendered_for_amendment",
    "ACCEPTED_AWAY": "bill.surrender_accepted",
    "RECALLED_AWAY": "bill.recalled",
    "REJECTED_AWAY": "bill.surrender_rejected",
}


@functools.cache
def _lock_statement(all_bills: bool) -> tuple[str, tuple[Any, ...]]:
    """The statement of ``visible_to`` for one number, compiled once: making it anew each time costs more than running it.
    Its parameters -1 and "?" stand for the organisation and the number."""
    someone = Principal(actor="", organisation_id=-1, is_superuser=all_bills)
    bills = Bill.objects.visible_to(someone).select_for_update(of=("self",)).filter(number="?")
    text, parameters = bills.query.sql_with_params()
    return text, tuple(parameters)


def lock(number: str, principal: Principal | None) -> Bill:
    """The bill's row, locked; 404 where ``principal`` may not see it. ``None`` is the system itself."""
    text, parameters = _lock_statement(principal is None or principal.is_authority)
    own = (principal.organisation_id if principal else 0) or 0
    values = [number if value == "?" else own if value == -1 else value for value in parameters]
    for bill in Bill.objects.raw(text, values):
        return bill
    raise not_found()


def refused(refusals: Iterable[title.Refusal]) -> Problem:
    """409 with everything that stands in the way."""
    found = list(refusals)
    return Problem(
        409,
        found[0].code,
        T("此行为不成立", "This act is not possible"),
        detail=T(found[0].zh, found[0].en),
        errors=[Fault("", refusal.code, T(refusal.zh, refusal.en)) for refusal in found],
    )


def _broken(error: chain.Broken) -> Problem:
    status = 422 if error.code in ("malformed-act", "act-malformed", "act-not-canonical") else 409
    fault = chain.FAULTS[error.code]
    return Problem(
        status, error.code, T("签名的行为不成立", "The signed act does not hold"), detail=str(error),
        errors=[Fault("/signed", error.code, T(fault.zh, fault.en))],
    )  # fmt: skip


def _opened(token: str, bill: Bill, actor_key: str, now: datetime) -> chain.Statement:
    """Check an act that its organisation signed itself. Raises Problem."""
    try:
        said, key = chain.open_act(token, keys.ring([kid_of(token)]))
    except BadSignature as error:
        raise _broken(chain.Broken(f"act-{error.code}", error.detail)) from error
    except chain.Broken as error:
        raise _broken(error) from error
    if fault := key.fault_at(now):
        # Whatever time the act gives itself: what comes in after the key was revoked does not count.
        raise _broken(chain.Broken(f"act-{fault}", key.kid))
    if said.bill != bill.number:
        raise _broken(chain.Broken("act-of-another-bill", said.bill))
    if party_key(said.actor) != actor_key:
        raise _broken(chain.Broken("key-of-another", "signed by another organisation than the one that sends it"))
    if (said.sequence, said.previous) != (bill.acts + 1, bill.head):
        if Act.objects.filter(checksum=checksum(token)).exists():
            raise conflict(
                "act-replayed",
                T("此签名行为已登记过，不能重复使用", "This signed act is on record already; it counts once"),
            )
        raise conflict(
            "head-moved",
            T(
                "签名之后提单上已有其他行为：请读取最新状态后重新签名",
                "Another act came first: read the bill again and sign anew",
            ),
        )
    if bill.checksum and said.document != bill.checksum:
        raise _broken(chain.Broken("act-on-another-version", "the act names a version that is not in force"))
    if not now - SLOW <= said.at <= now + FAST or said.at < (bill.head_at or said.at):
        raise _broken(chain.Broken("act-not-of-now", f"actionDateTime {chain.moment_text(said.at)}"))
    return said


class Unsigned(Exception):
    """What the caller asked to see instead of doing it: a command given ``signed=ASK`` goes as far as the signature and no
    further, and its transaction is rolled back. ``payload`` is to be signed over its RFC 8785 form."""

    def __init__(self, payload: dict[str, Any], **beside: Any) -> None:
        super().__init__("asked what to sign")
        self.payload, self.beside = payload, beside


class _Ask(str):
    """Known by being itself: no text from outside is it."""


#: In place of a signed act: tell what there is to sign.
ASK: str = _Ask("?")


def next_moment(bill: Bill, at: datetime) -> datetime:
    """``at``, or the time of the act before where a fast clock signed that one: a chain does not go back in time."""
    return max(at, bill.head_at or at)


def sign_for(owner: str, payload: dict[str, Any]) -> str:
    """Sign with the key kept here for ``owner``. Raises Problem 409 where there is none."""
    row = keys.signing_key_of(owner)
    if row is None:
        raise conflict(
            "no-key-here",
            T(
                "平台未保管贵单位的签名密钥：请自行签名后提交（signed），或登记由平台保管的密钥",
                "No key of yours is kept here: send the act signed (signed), or register a key kept by the platform",
            ),
        )
    return sign(payload, keys.private_of(row))


def record(
    bill: Bill,
    code: str,
    *,
    actor: Organisation | None,
    by: str,
    recipient: Organisation | None = None,
    recipient_party: dict[str, Any] | None = None,
    reason: str = "",
    comments: str = "",
    details: dict[str, Any] | None = None,
    document: str = "",
    signed: str = "",
    at: datetime | None = None,
    audience: Iterable[int] = (),
) -> Act:
    """Add one act to the chain of ``bill``, whose row is locked. ``actor`` None is the platform. Raises Problem 409."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("an act is recorded in the transaction that holds the bill")
    party = keys.party_of(actor) if actor else keys.platform_party()
    owner = party_key(party) if actor else settings.EBL_PLATFORM
    keys.hold_acts(owner, shared=True)
    now = timezone.now()
    to = recipient_party or (keys.party_of(recipient) if recipient else None)
    if bill.acts >= chain.MAX_ACTS and code not in chain.ENDING_ACTS:
        raise conflict(
            "too-many-acts",
            T(
                "提单行为已达上限 {most}：只能交单、退回或终结；如需继续流转请先更换提单",
                "The bill has its {most} acts: it can only be surrendered, answered and ended",
                most=chain.MAX_ACTS,
            ),
        )
    if signed and signed is not ASK:
        said = _opened(signed, bill, owner, now)
        if said.act != code or party_key(said.recipient) != party_key(to) or said.details != (details or {}):
            raise _broken(chain.Broken("act-differs", "the request asks for something else than what was signed"))
    else:
        if not (bill.checksum or document):
            # Nothing was issued that an act could name.
            wanted = title.Act(code, owner, party_key(to), (details or {}).get("terms", {}))
            raise refused(title.refusals(bill.title, wanted))
        payload = chain.statement(
            bill=bill.number,
            sequence=bill.acts + 1,
            previous=bill.head,
            document=bill.checksum or document,
            act=code,
            actor=party,
            recipient=to,
            at=next_moment(bill, at or now),
            reason=reason,
            comments=comments,
            details=details,
        )
        said = chain.read(payload)
    act = said.for_title()
    if refusals := title.refusals(bill.title, act):
        raise refused(refusals)
    if signed is ASK:
        raise Unsigned(payload)
    after = title.apply(bill.title, act)
    token = signed or (sign_for(owner, payload) if actor else keys.sign_as_platform(payload))
    return _keep(bill, said, after, token, actor=actor, by=by, recipient=recipient, now=now, audience=audience)


def _keep(
    bill: Bill,
    said: chain.Statement,
    after: title.Title,
    token: str,
    *,
    actor: Organisation | None,
    by: str,
    recipient: Organisation | None,
    now: datetime,
    audience: Iterable[int],
) -> Act:
    before = bill.title
    new_version = chain.new_document(said)
    bill.state, bill.negotiability = after.state, after.kind
    bill.issuer_key, bill.holder_key, bill.pledgee_key = after.issuer, after.holder, after.pledgee
    bill.consignee_key, bill.endorsee_key, bill.may_endorse = after.consignee, after.endorsee, after.may_endorse
    bill.acts, bill.head, bill.head_at, bill.updated_at = said.sequence, checksum(token), said.at, now
    if not bill.checksum or new_version:
        bill.checksum, bill.version = new_version or said.document, bill.version + 1
        bill.entries = bill.entries if said.act == "ARRIVE" else []
    if after.holder != before.holder:
        bill.holder, bill.holder_name = recipient, (said.recipient or {}).get("partyName", "")
    if after.pledgee != before.pledgee:
        bill.pledgee = recipient if after.pledgee else None
    kept = Act(
        bill=bill, sequence=said.sequence, version=bill.version, code=said.act, actor=actor, recipient=recipient,
        acted_at=said.at, recorded_at=now, checksum=bill.head, token=token,
    )  # fmt: skip
    role = ""
    if recipient is not None and after.holder != before.holder:
        role = Involvement.Role.HOLDER
    elif recipient is not None and after.pledgee not in ("", before.pledgee):
        role = Involvement.Role.PLEDGEE
    event: dict[str, Any] = {
        "type": EVENTS[said.act],
        "subject": ("bill", bill.number),
        "actor": by,
        "audience": {
            organisation
            for organisation in (
                bill.issuer_id, bill.holder_id, bill.pledgee_id, actor.pk if actor else None,
                recipient.pk if recipient else None, *audience,
            )
            if organisation
        },
        "data": {
            "act": said.act,
            "act_sequence": said.sequence,
            "act_checksum": bill.head,
            "version": bill.version,
            "state": bill.state,
        },
        "occurred_at": said.at,
    }  # fmt: skip
    if said.act in PLAIN:
        _write_plain(bill, kept, role, event)
        return kept
    bill.save(update_fields=_TITLE_COLUMNS)
    kept.save()
    if recipient is not None and role:
        involve(bill, recipient, role)
    log.append(**event)
    return kept


_TITLE_COLUMNS = [
    "state", "negotiability", "issuer_key", "holder_key", "pledgee_key", "consignee_key", "endorsee_key", "may_endorse",
    "acts", "head", "head_at", "updated_at", "checksum", "version", "holder", "holder_name", "pledgee", "issuer", "issued_at", "draft", "entries",
]  # fmt: skip


#: A plain act changes who stands where, adds an act and appends its event: in one statement, since this is done most.
_WRITE_PLAIN = f"""
WITH title AS (
    UPDATE bills_bill SET state = %s, holder_key = %s, pledgee_key = %s, endorsee_key = %s, may_endorse = %s, acts = %s,
        head = %s, head_at = %s, updated_at = %s, holder_id = %s, holder_name = %s, pledgee_id = %s
    WHERE id = %s),
involved AS (
    INSERT INTO bills_involvement (bill_id, organisation_id, role) SELECT %s, %s, %s WHERE %s ON CONFLICT DO NOTHING),
act AS (
    INSERT INTO bills_act (bill_id, sequence, version, code, actor_id, recipient_id, acted_at, recorded_at, checksum, token)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id)
SELECT act.id FROM act, {log.APPEND}
"""  # noqa: S608


def _write_plain(bill: Bill, act: Act, role: str, event: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            _WRITE_PLAIN,
            [
                bill.state, bill.holder_key, bill.pledgee_key, bill.endorsee_key, bill.may_endorse, bill.acts, bill.head,
                bill.head_at, bill.updated_at, bill.holder_id, bill.holder_name, bill.pledgee_id, bill.pk,
                bill.pk, act.recipient_id, role, bool(role),
                bill.pk, act.sequence, act.version, act.code, act.actor_id, act.recipient_id, act.acted_at,
                act.recorded_at, act.checksum, act.token,
                *log.parameters(**event),
            ],
        )  # fmt: skip
        act.pk = cursor.fetchone()[0]


def involve(bill: Bill, organisation: Organisation | int, role: str) -> None:
    pk = organisation if isinstance(organisation, int) else organisation.pk
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO bills_involvement (bill_id, organisation_id, role) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            [bill.pk, pk, role],
        )


def caller(principal: Principal, among: dict[int, Organisation] | None = None) -> Organisation:
    """The organisation that acts. Raises Problem 403 for those who belong to none, or are suspended."""
    pk = principal.organisation_id or 0
    organisation = (among or {}).get(pk) or Organisation.objects.filter(pk=pk).first()
    if organisation is None:
        raise Problem(
            403, "no-organisation", T("只有登记单位可以处分提单", "Only a registered organisation acts on bills")
        )
    if organisation.suspended_since is not None:
        raise Problem(403, "suspended", T("贵单位资格已暂停", "Your organisation is suspended"))
    return organisation


def addressee(
    organisation_id: int | None, pointer: str = "/recipient", among: dict[int, Organisation] | None = None
) -> Organisation | None:
    if organisation_id is None:
        return None
    organisation = (among or {}).get(organisation_id) or Organisation.objects.filter(pk=organisation_id).first()
    if organisation is None:
        raise invalid(
            [Fault(pointer, "unknown-organisation", T("没有登记此单位", "No such organisation is registered"))]
        )
    if organisation.suspended_since is not None:
        raise invalid([Fault(pointer, "suspended", T("该单位资格已暂停", "That organisation is suspended"))])
    return organisation


def ring_of(tokens: Iterable[str]) -> KeyRing:
    """Every key that signed one of ``tokens``, as registered."""
    kids = {kid_of(token) for token in tokens}
    return keys.ring(sorted(kids))
