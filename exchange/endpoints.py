"""Endpoints: made, changed, tested, rotated, paused, resumed, deleted; deliveries retried, skipped, replayed."""

from __future__ import annotations

import asyncio
import re
import threading
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone

from common.problems import Fault, Problem, conflict, invalid, not_found
from common.text import T
from events.log import append
from events.models import Event
from exchange import addresses, delivery, fanout, ledger, messages, signing, terms, vault
from exchange.models import Delivery, Endpoint, EndpointSecret, Partner, Payload
from parties.principals import Principal

#: Endpoints one organisation may have.
MOST = 50

_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_RESERVED = re.compile(
    r"(webhook-.*|host|content-.*|connection|transfer-encoding|upgrade|te|trailer|expect|keep-alive|proxy-.*)", re.I
)
CHANGEABLE = ("url", "description", "event_types", "headers", "rate_limit", "timeout")

#: Least and most of what an endpoint may ask for: messages a second, seconds to answer in.
BOUNDS = {"rate_limit": (1, 10_000), "timeout": (1, 30)}
MOST_TYPES, MOST_DESCRIPTION = 100, 200
#: Events that one replay queues at most: the log is not handed out meanwhile.
MOST_REPLAYED = 2_000


#: Tests that one process sends at a time: each waits for somebody else's answer, and the other threads keep answering.
_testing = threading.BoundedSemaphore(4)


class Replayed(NamedTuple):
    """How many deliveries were queued again, and the position after which more lies."""

    deliveries: int
    next: int | None


_MILLISECOND = timedelta(milliseconds=1)


def faults(values: dict[str, Any]) -> list[Fault]:
    """Everything wrong with what is given of an endpoint."""
    found = addresses.url_faults(values["url"]) if "url" in values else []
    if "event_types" in values:
        if not values["event_types"]:
            found.append(Fault("/event_types", "required", T("至少一种事件类型", "At least one event type")))
        if len(values["event_types"]) > MOST_TYPES:
            found.append(Fault("/event_types", "too-many", T("最多 {n} 种", "At most {n}", n=MOST_TYPES)))
        found += terms.pattern_faults(values["event_types"], "/event_types")
    if len(values.get("description", "")) > MOST_DESCRIPTION:
        found.append(Fault("/description", "too-long", T("最多 {n} 字", "At most {n} characters", n=MOST_DESCRIPTION)))
    for name, (least, most) in BOUNDS.items():
        value = values.get(name)
        if value is not None and not least <= value <= most:
            found.append(
                Fault(f"/{name}", "range", T("须在 {a} 至 {b} 之间", "Must be from {a} to {b}", a=least, b=most))
            )
    return found + _header_faults(values.get("headers", {}))


def _header_faults(headers: dict[str, Any]) -> list[Fault]:
    found = []
    if len(headers) > 20:
        found.append(Fault("/headers", "too-many", T("最多 20 个请求头", "At most 20 headers")))
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or _RESERVED.fullmatch(name):
            found.append(Fault(f"/headers/{name}", "header-name", T("不可设置此请求头", "This header cannot be set")))
        elif not isinstance(value, str) or len(value) > 500 or not value.isascii() or not value.isprintable():
            found.append(
                Fault(f"/headers/{name}", "header-value", T("须为可见 ASCII 字符", "Must be visible ASCII characters"))
            )
    return found


def _by(principal: Principal | None, actor: str = "") -> str:
    return actor or (principal.actor if principal else "system")


def _say(what: str, endpoint: Endpoint, actor: str, **data: Any) -> None:
    append(
        type=f"webhook_endpoint.{what}",
        subject=("webhook_endpoint", str(endpoint.pk)),
        actor=actor,
        audience=[endpoint.organisation_id],
        data={"url": endpoint.url, **data},
    )


@transaction.atomic
def create(
    *,
    principal: Principal,
    url: str,
    event_types: list[str],
    organisation_id: int | None = None,
    partner: Partner | None = None,
    description: str = "",
    headers: dict[str, str] | None = None,
    rate_limit: int | None = None,
    timeout: int = 15,
    signature: str = "v1",
    secret: str | None = None,
) -> tuple[Endpoint, str]:
    """An endpoint and the secret (``whsec_``) or public key (``whpk_``) that verifies its messages; a secret is told only
    now. Raises Problem 422 or 409."""
    owner = organisation_id or principal.organisation_id
    if owner is None:
        raise not_found()
    if partner is None:
        partner = Partner.objects.filter(organisation_id=owner).first()
    given = {"url": url, "event_types": event_types, "headers": headers or {}, "description": description}
    found = faults(given | {"rate_limit": rate_limit, "timeout": timeout})
    if partner is not None and partner.organisation_id != owner:
        found.append(
            Fault("/partner", "other-organisation", T("该伙伴不是此单位", "This partner is another organisation"))
        )
    else:
        found += _partner_faults(partner, event_types)
    if secret is not None and not (secret.startswith(signing.SHARED) and signing.is_wellformed(secret)):
        found.append(Fault("/secret", "secret", T("须为 whsec_ 加 24–64 字节的 base64", "Must be whsec_ + base64")))
    if found:
        raise invalid(found)
    if Endpoint.objects.filter(organisation_id=owner).exclude(state=Endpoint.State.DELETED).count() >= MOST:
        raise conflict("too-many-endpoints", T("最多 {n} 个端点", "At most {n} endpoints", n=MOST))
    with connection.cursor() as cursor:
        place = fanout.position(cursor)
    endpoint = Endpoint.objects.create(
        organisation_id=owner,
        partner=partner,
        url=url,
        event_types=event_types,
        description=description,
        headers=headers or {},
        rate_limit=rate_limit,
        timeout=timeout,
        queued_to=place,
    )
    told = _new_secret(endpoint, signature, secret)
    _say("created", endpoint, principal.actor, event_types=event_types)
    return endpoint, told


def _partner_faults(partner: Partner | None, event_types: list[str]) -> list[Fault]:
    """What a partner is sent is what its agreement says: left out one by one, events would look lost (``prev``)."""
    if partner is None or event_types == ["*"]:
        return []
    text = T("协作省份的端点只填 *：发送内容由协议决定", "Only * for a partner: the agreement decides what is sent")
    return [Fault("/event_types", "agreement-decides", text)]


def _new_secret(endpoint: Endpoint, signature: str, secret: str | None = None) -> str:
    secret = secret or (signing.new_key() if signature == "v1a" else signing.new_secret())
    EndpointSecret.objects.create(endpoint=endpoint, sealed=vault.seal(secret))
    return signing.public_key(secret) if secret.startswith(signing.PRIVATE) else secret


def _there(principal: Principal | None) -> Any:
    found = Endpoint.objects.exclude(state=Endpoint.State.DELETED)
    return found if principal is None else found.visible_to(principal)


def locked(endpoint_id: UUID, principal: Principal | None) -> Endpoint:
    """The endpoint, locked. Raises Problem 404 where it is not ``principal``'s (None: an operator)."""
    # Only what names the row is left to others: a delivery may be written meanwhile.
    endpoint: Endpoint | None = (
        _there(principal).select_for_update(of=("self",), no_key=True).filter(pk=endpoint_id).first()
    )
    if endpoint is None:
        raise not_found()
    return endpoint


@transaction.atomic
def change(*, endpoint_id: UUID, principal: Principal, **values: Any) -> Endpoint:
    endpoint = locked(endpoint_id, principal)
    values = {name: value for name, value in values.items() if name in CHANGEABLE}
    found = faults(values)
    if "event_types" in values and not found:
        found = _partner_faults(endpoint.partner, values["event_types"])
    if found:
        raise invalid(found)
    for name, value in values.items():
        setattr(endpoint, name, value)
    endpoint.save(update_fields=list(values) or None)
    _say("changed", endpoint, principal.actor, changed=sorted(values))
    return endpoint


@transaction.atomic
def rotate(*, endpoint_id: UUID, principal: Principal | None, actor: str = "", signature: str = "v1") -> str:
    """A new secret, told now; the old one signs beside it for a day."""
    endpoint = locked(endpoint_id, principal)
    now = timezone.now()
    endpoint.secrets.filter(expires_at=None).update(expires_at=now + EndpointSecret.OVERLAP)
    endpoint.secrets.filter(expires_at__lte=now).delete()
    told = _new_secret(endpoint, signature)
    _say("rotated", endpoint, _by(principal, actor))
    return told


@transaction.atomic
def pause(*, endpoint_id: UUID, principal: Principal | None, actor: str = "") -> Endpoint:
    """Deliveries are queued and wait."""
    endpoint = locked(endpoint_id, principal)
    if endpoint.state != Endpoint.State.ACTIVE:
        raise conflict("not-active", T("端点未启用", "The endpoint is not active"))
    endpoint.state = Endpoint.State.PAUSED
    endpoint.save(update_fields=["state"])
    _say("paused", endpoint, _by(principal, actor))
    return endpoint


@transaction.atomic
def resume(*, endpoint_id: UUID, principal: Principal | None, actor: str = "") -> Endpoint:
    """Call the endpoint again, at once, with everything that waits; a disabled one also gets what it missed meanwhile, as it
    catches up with the log (:func:`exchange.fanout.catch_up`)."""
    endpoint = locked(endpoint_id, principal)
    if endpoint.state == Endpoint.State.ACTIVE:
        raise conflict("already-active", T("端点已启用", "The endpoint is active already"))
    # One that was catching up still goes on there: what was replayed meanwhile says nothing of how far it came.
    if endpoint.state == Endpoint.State.DISABLED and endpoint.queued_to is None:
        endpoint.queued_to = endpoint.deliveries.aggregate(last=Max("position"))["last"] or 0
    endpoint.state, endpoint.state_reason = Endpoint.State.ACTIVE, ""
    endpoint.failures, endpoint.failing_since, endpoint.spared_until = 0, None, None
    endpoint.save(update_fields=["state", "state_reason", "failures", "failing_since", "spared_until", "queued_to"])
    endpoint.deliveries.filter(state=Delivery.State.PENDING, ready_at__gt=timezone.now()).update(
        ready_at=timezone.now()
    )
    _say("resumed", endpoint, _by(principal, actor))
    return endpoint


@transaction.atomic
def delete(*, endpoint_id: UUID, principal: Principal) -> None:
    """The endpoint is called no more; its record stays for those who ask what was delivered."""
    endpoint = locked(endpoint_id, principal)
    endpoint.state = Endpoint.State.DELETED
    endpoint.save(update_fields=["state"])
    endpoint.secrets.all().delete()
    endpoint.deliveries.filter(state__in=Delivery.OPEN).update(
        state=Delivery.State.SKIPPED, ready_at=None, done_at=timezone.now()
    )
    _say("deleted", endpoint, principal.actor)


@transaction.atomic
def replay(*, endpoint_id: UUID, principal: Principal | None, after: int, before: int | None = None) -> Replayed:
    """Queue again what the endpoint may have between two positions of the log. Receivers know the ids. Of very much only the
    beginning (:data:`MOST_REPLAYED` events): ``next`` is then where to go on after."""
    endpoint = _there(principal).filter(pk=endpoint_id).first()
    if endpoint is None:
        raise not_found()
    with connection.cursor() as cursor:
        # Whoever hands out the log makes the same bodies and writes into the same lines.
        cursor.execute("SELECT 1 FROM events_reader WHERE name = %s FOR UPDATE", [fanout.READER])
        upto = min(before - 1 if before else 2**62, fanout.position(cursor))
        wanted, following = fanout.missed(endpoint, after=after, upto=upto, limit=MOST_REPLAYED, cursor=cursor)
        if locked(endpoint_id, principal).state == Endpoint.State.DISABLED:
            raise conflict("disabled", T("请先恢复端点", "Resume the endpoint first"))
        if wanted:
            fanout.queue(wanted, cursor)
    done = Replayed(len(wanted), following)
    _say("replayed", endpoint, _by(principal), after=after, before=before, deliveries=done.deliveries)
    return done


def position_after(moment: datetime) -> int:
    """The position after which everything lies that was recorded at ``moment`` or later."""
    with connection.cursor() as cursor:
        # Ids are made in order of time, to the millisecond, right before the time is noted; the positions of transactions
        # that ran side by side stand close together.
        cursor.execute(
            "SELECT min(position) FROM (SELECT position, recorded_at FROM events_event WHERE id >= %s"
            " ORDER BY id LIMIT 1000) e WHERE recorded_at >= %s",
            [_first_id(moment - _MILLISECOND), moment],
        )
        first = cursor.fetchone()[0]
        if first is None:
            cursor.execute("SELECT coalesce(max(position), 0) + 1 FROM events_event")
            first = cursor.fetchone()[0]
    return int(first) - 1


def position_before(moment: datetime) -> int:
    """The position before which everything lies that was recorded before ``moment``."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(max(position), 0) + 1 FROM (SELECT position, recorded_at FROM events_event WHERE id < %s"
            " ORDER BY id DESC LIMIT 1000) e WHERE recorded_at < %s",
            [_first_id(moment + _MILLISECOND), moment],
        )
        return int(cursor.fetchone()[0])


def _first_id(moment: datetime) -> UUID:
    """The least id of version 7 of the millisecond of ``moment``."""
    return UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)


@transaction.atomic
def retry(*, delivery_id: int, principal: Principal | None, actor: str = "") -> Delivery:
    """Try now. A parked line goes on from here. Raises Problem 404 or 409."""
    found = _locked_delivery(delivery_id, principal)
    if found.state not in Delivery.OPEN:
        raise conflict("not-open", T("此投递已结束", "This delivery is over"))
    ahead = Delivery.objects.filter(line=found.line, state__in=Delivery.OPEN, position__lt=found.position)
    if ahead.exists():
        raise conflict(
            "not-first", T("同一对象有更早的投递未送达", "An earlier delivery of this subject is still open")
        )
    found.state, found.ready_at, found.tries = Delivery.State.PENDING, timezone.now(), 0
    found.save(update_fields=["state", "ready_at", "tries"])
    Endpoint.objects.filter(pk=found.endpoint_id).update(spared_until=None)
    _say("retried", found.endpoint, _by(principal, actor), delivery=found.pk, position=found.position)
    return found


@transaction.atomic
def skip(*, delivery_id: int, principal: Principal | None, actor: str) -> Delivery:
    """Give a delivery up, so that what stands behind it goes on."""
    found = _locked_delivery(delivery_id, principal)
    if found.state not in Delivery.OPEN:
        raise conflict("not-open", T("此投递已结束", "This delivery is over"))
    found.state, found.ready_at, found.done_at = Delivery.State.SKIPPED, None, timezone.now()
    found.save(update_fields=["state", "ready_at", "done_at"])
    with connection.cursor() as cursor:
        cursor.execute(ledger.ADVANCE, [[found.line]])
    _say("skipped", found.endpoint, actor, delivery=found.pk, position=found.position)
    return found


def _locked_delivery(delivery_id: int, principal: Principal | None) -> Delivery:
    found = Delivery.objects.all() if principal is None else Delivery.objects.visible_to(principal)
    endpoint_id = found.filter(pk=delivery_id).values_list("endpoint_id", flat=True).first()
    if endpoint_id is None:
        raise not_found()
    endpoint = locked(endpoint_id, principal)  # before its deliveries, as everywhere
    one = Delivery.objects.select_for_update().get(pk=delivery_id)
    one.endpoint = endpoint
    return one


def test(*, endpoint_id: UUID, principal: Principal | None) -> Delivery:
    """Send one test message now, once, whatever the endpoint's state. Must run outside a transaction. Raises Problem 404, or 429
    where this process is busy with others' tests already."""
    if not _testing.acquire(blocking=False):
        raise Problem(
            429, "tests-under-way", T("正在测试其他端点，请稍候", "Other endpoints are being tested; try again")
        )
    try:
        return _test(endpoint_id, principal)
    finally:
        _testing.release()


def _test(endpoint_id: UUID, principal: Principal | None) -> Delivery:
    with transaction.atomic():
        endpoint = locked(endpoint_id, principal)
        with connection.cursor() as cursor:
            cursor.execute("SELECT common_uuid7()")
            event_id = cursor.fetchone()[0]
        now = timezone.now()
        text = messages.body(
            Event(
                id=event_id,
                type="webhook_endpoint.test",
                subject_kind="webhook_endpoint",
                subject_number=str(endpoint.pk),
                sequence=1,
                position=0,
                occurred_at=now,
            ),
            data={"test": True},
        )
        payload = Payload.objects.create(
            position=0,
            event_id=event_id,
            type="webhook_endpoint.test",
            subject_kind="webhook_endpoint",
            subject_number=str(endpoint.pk),
            body=text,
            digest=messages.digest(text),
        )
        sent = Delivery.objects.create(
            endpoint=endpoint, payload=payload, position=0, line=0, state=Delivery.State.FAILED
        )
        secrets = endpoint.signing_secrets()
        _say("tested", endpoint, _by(principal))
    target = ledger.Target(endpoint.pk, endpoint.url, endpoint.headers, None, endpoint.timeout, 0, secrets)

    async def once() -> ledger.Outcome:
        async with addresses.session(connections=1) as client:
            due = ledger.Due(sent.pk, endpoint.pk, str(event_id), text.encode())
            return await delivery.post(client, target, due)

    outcome = asyncio.run(once())
    with transaction.atomic():
        sent.attempts.create(
            number=1,
            status=outcome.status,
            error=outcome.error,
            milliseconds=outcome.milliseconds,
            answer=outcome.answer,
        )
        sent.state = Delivery.State.DELIVERED if outcome.delivered else Delivery.State.FAILED
        sent.tries, sent.last_status, sent.last_error, sent.done_at = 1, outcome.status, outcome.error, timezone.now()
        sent.save()
    return sent
