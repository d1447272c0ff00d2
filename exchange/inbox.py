"""What a partner sends: verified, kept raw, filed as a mirror of the partner's record. The answer goes out after the
commit. Messages that come by pull take the same way in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from common.days import today
from common.json import dumps
from common.problems import Problem, conflict, standard
from common.text import T
from events.log import append
from exchange import ledger, messages, signing, standards, vault
from exchange.agreements import in_force
from exchange.messages import Message
from exchange.models import Agreement, InboxMessage, Mirror, MirrorEvent, Partner, Quarantine
from exchange.terms import Terms, of_row
from parties.principals import Principal

#: Verdicts of exchange_receive that changed nothing and are right so.
SETTLED = ("applied", "late", "gap", "duplicate")


@dataclass(frozen=True, slots=True)
class Sender:
    """A partner, what verifies it, and what it may send today."""

    id: int
    code: str
    organisation_id: int
    state: str
    secrets: tuple[str, ...]
    terms: Terms | None
    #: Not heard of for a while.
    silent: bool = False


#: Seconds without a message after which the next one is taken as a sign that the partner is back.
SILENCE = 30

_SENDER = """
SELECT p.id, p.code, p.organisation_id, p.state, a.kinds, a.types, a.fields::text,
  ARRAY(SELECT s.sealed FROM exchange_partnersecret s WHERE s.partner_id = p.id
    AND (s.expires_at IS NULL OR s.expires_at > now())),
  p.last_received_at IS NULL OR p.last_received_at < now() - make_interval(secs => %s)
FROM exchange_partner p LEFT JOIN exchange_agreement a
  ON a.partner_id = p.id AND a.direction = 'in' AND a.valid @> %s::date
WHERE p.code = %s
"""


def sender(code: str) -> Sender | None:
    with connection.cursor() as cursor:
        cursor.execute(_SENDER, [SILENCE, today(), code])
        row = cursor.fetchone()
    if row is None:
        return None
    terms = None if row[4] is None else of_row(*row[4:7])
    return Sender(row[0], row[1], row[2], row[3], tuple(vault.openable(row[7])), terms, row[8])


def refuse(partner_id: int | None, problem: Problem) -> Problem:
    """Count a refusal, in a transaction of its own; returns the problem to raise."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO exchange_refusal AS r (partner_id, code, day, count, last_at) VALUES (%s, %s, %s, 1, now())"
            " ON CONFLICT (partner_id, code, day) DO UPDATE SET count = r.count + 1, last_at = now()",
            [partner_id, problem.code, today()],
        )
    return problem


def no_agreement() -> Problem:
    return Problem(
        403,
        "no-agreement",
        T("没有在有效期内的共享协议", "There is no agreement in force for this direction"),
    )


def not_agreed(message: Message) -> Problem:
    return Problem(
        403,
        "not-agreed",
        T("协议不包含此类对象", "The agreement does not cover this kind of subject"),
        detail=f"{message.kind} / {message.type}",
    )


def receive(*, code: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Take one pushed message. Raises Problem; every refusal is counted."""
    partner = sender(code)
    try:
        if len(body) > messages.MAX_BODY:
            raise standard(413)
        # Whether a partner exists is nobody's business but its own: for a stranger, no signature is right.
        known = partner is not None and partner.state == Partner.State.ACTIVE
        message_id = signing.verify(partner.secrets if partner and known else (), headers, body)
        assert partner is not None
        if partner.terms is None:
            raise no_agreement()
        answer = take(partner, body, message_id)
        if partner.silent:
            Partner.objects.filter(pk=partner.id, spared_until__isnull=False).update(spared_until=None)
            ledger.contacted(partner.id)
        return answer
    except Problem as problem:
        raise refuse(partner.id if partner else None, problem) from None


def take(partner: Sender, body: bytes, message_id: str | None = None) -> dict[str, Any]:
    """File a message whose sender is certain; returns the answer for the sender."""
    if partner.terms is None:
        raise no_agreement()
    try:
        message = messages.read(body, message_id)
    except Problem as problem:
        if message_id is None:
            raise
        return _quarantine_unread(partner, message_id, body, problem)
    reason = _not_understood(message)
    if reason is None and not partner.terms.shares(message.kind):
        raise not_agreed(message)
    with transaction.atomic():
        if reason is not None:
            return _quarantine(partner, message.id, body, message.digest, *reason)
        verdict, row, sequence = _file(partner, message, body)
        if verdict == "id-reused" and message_id is None:
            # Read from its feed: the event as its owner shares it today. An id has one body, so this one gets its own.
            told_today = message._replace(id=f"{message.id}.{message.digest.hex()[:16]}")
            verdict, row, sequence = _file(partner, told_today, body)
        if verdict == "id-reused":
            raise id_reused()
        if verdict == "sequence-taken":
            _set_aside(
                row, "sequence-taken", f"seq {message.sequence} of {message.kind}/{message.number} is another event"
            )
            return {"status": "quarantined", "code": "sequence-taken", "seq": sequence}
    return {"status": verdict, "seq": sequence}


def id_reused() -> Problem:
    return conflict(
        "message-id-reused",
        T("同一 webhook-id 曾以不同内容收到", "This webhook-id came before with another content"),
    )


def _not_understood(message: Message) -> tuple[str, str] | None:
    if message.version not in standards.VERSIONS:
        return "unknown-version", f"version {message.version} of {message.type}"
    if not standards.is_known(message.type):
        return "unknown-type", message.type
    return None


def _file(partner: Sender, message: Message, body: bytes) -> tuple[str, int, int]:
    """Only what the agreement lets in becomes part of the mirror."""
    assert partner.terms is not None
    data = partner.terms.let_through(message.kind, message.type, message.data)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT o_verdict, o_message, o_sequence FROM exchange_receive(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,"
            " %s::jsonb, %s::text[])",
            [
                partner.id,
                message.id,
                body,
                message.digest,
                message.kind,
                message.number,
                message.sequence,
                message.previous,
                str(message.event_id),
                message.type,
                message.time,
                dumps(data).decode(),
                messages.links(message.number, data),
            ],
        )
        return cursor.fetchone()  # type: ignore[no-any-return]


def refold(partner_id: int, kind: str, number: str) -> None:
    """Sum a mirror up anew from its events; without events it goes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT exchange_refold(%s, %s, %s)", [partner_id, kind, number])


def obey(*, seconds: float = 20.0, batch: int = 500) -> int:
    """Cut mirrors down to what a new agreement still lets in: kinds it does not name go, and so do fields. A short while at a
    time: the next run goes on where this one stopped. Returns how many mirrors changed."""
    until, changed = monotonic() + seconds, 0
    for partner in Partner.objects.filter(state=Partner.State.ACTIVE):
        agreement = in_force(partner.pk, Agreement.Direction.IN)
        if agreement is None or (agreement.version == partner.obeyed and partner.obeyed_to is None):
            continue
        terms, version = agreement.terms(), agreement.version
        done: int | None = partner.obeyed_to or 0 if version == partner.obeyed else 0
        while done is not None:
            mirrors = list(Mirror.objects.filter(partner=partner, pk__gt=done).order_by("pk")[:batch])
            changed += sum(_cut_down(mirror, terms) for mirror in mirrors)
            done = mirrors[-1].pk if mirrors else None
            Partner.objects.filter(pk=partner.pk).update(obeyed=version, obeyed_to=done)
            if done is not None and monotonic() > until:
                return changed
    return changed


@transaction.atomic
def _cut_down(mirror: Mirror, terms: Terms) -> bool:
    if Mirror.objects.select_for_update().filter(pk=mirror.pk).first() is None:
        return False
    events = MirrorEvent.objects.filter(
        partner_id=mirror.partner_id, subject_kind=mirror.subject_kind, subject_number=mirror.subject_number
    )
    fewer = []
    if terms.shares(mirror.subject_kind):
        for event in events:
            data = terms.let_through(mirror.subject_kind, event.type, event.data)
            if data != event.data:
                event.data, event.links = data, messages.links(mirror.subject_number, data)
                fewer.append(event)
        MirrorEvent.objects.bulk_update(fewer, ["data", "links"])
        if not fewer:
            return False
    else:
        events.delete()
    refold(mirror.partner_id, mirror.subject_kind, mirror.subject_number)
    return True


def _quarantine_unread(partner: Sender, message_id: str, body: bytes, problem: Problem) -> dict[str, Any]:
    """Signed by the partner, yet not a message: an operator looks at it, the partner is told that it waits."""
    with transaction.atomic():
        return _quarantine(partner, message_id, body, hashlib.sha256(body).digest(), problem.code, str(problem))


def _quarantine(partner: Sender, message_id: str, body: bytes, digest: bytes, code: str, detail: str) -> dict[str, Any]:
    message, fresh = InboxMessage.objects.get_or_create(
        partner_id=partner.id, message_id=message_id, defaults={"body": body, "digest": digest}
    )
    if not fresh and bytes(message.digest) != digest:
        raise id_reused()
    _set_aside(message.pk, code, detail)
    return {"status": "quarantined", "code": code}


def _set_aside(message_pk: int, code: str, detail: str) -> None:
    Quarantine.objects.get_or_create(message_id=message_pk, defaults={"code": code, "detail": detail[:2000]})


@transaction.atomic
def run_again(*, quarantine_id: int, actor: Principal) -> Quarantine:
    """Try a quarantined message once more, by today's agreement and standards."""
    found = Quarantine.objects.select_for_update().select_related("message__partner").get(pk=quarantine_id)
    if found.state != Quarantine.State.WAITING:
        raise conflict("already-settled", T("已处理", "This has been settled already"))
    partner = sender(found.message.partner.code)
    if partner is None or partner.state != Partner.State.ACTIVE:
        raise conflict("partner-suspended", T("该伙伴已暂停", "This partner is suspended"))
    found.runs += 1
    try:
        message = messages.read(bytes(found.message.body), found.message.message_id)
        if reason := _not_understood(message):
            raise Problem(422, reason[0], reason[1])
        if partner.terms is None or not partner.terms.shares(message.kind):
            raise not_agreed(message)
        InboxMessage.objects.filter(pk=found.message_id).update(digest=message.digest)
        verdict, _, _ = _file(partner, message, bytes(found.message.body))
        if verdict not in SETTLED:
            raise Problem(409, verdict, verdict)
    except Problem as problem:
        found.code, found.detail = problem.code, str(problem)[:2000]
    else:
        found.state, found.settled_at, found.settled_by = Quarantine.State.APPLIED, timezone.now(), actor.actor
        _say("applied", found, actor)
    found.save()
    return found


@transaction.atomic
def drop(*, quarantine_id: int, actor: Principal) -> Quarantine:
    """Settle a quarantined message without using it; it stays readable."""
    found = Quarantine.objects.select_for_update().select_related("message__partner").get(pk=quarantine_id)
    if found.state != Quarantine.State.WAITING:
        raise conflict("already-settled", T("已处理", "This has been settled already"))
    found.state, found.settled_at, found.settled_by = Quarantine.State.DROPPED, timezone.now(), actor.actor
    found.save()
    _say("dropped", found, actor)
    return found


def _say(what: str, found: Quarantine, actor: Principal) -> None:
    Partner.objects.select_for_update(no_key=True).get(pk=found.message.partner_id)  # its events have one order
    append(
        type=f"partner.quarantine_{what}",
        subject=("partner", found.message.partner.code),
        actor=actor.actor,
        audience=[],
        data={"message": found.message.message_id, "code": found.code},
    )
