"""Can a new partner's software take our messages? A run sends a small scripted story to its test endpoint and says, step
by step, what was expected, what came, and what to look at."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import aiohttp
import orjson
from django.db import transaction
from django.utils import timezone

from common.problems import Fault, invalid, not_found
from common.text import pick
from exchange import addresses, messages, signing, vault
from exchange.models import ConformanceRun
from parties.principals import Principal

#: An answer slower than this fails the step (the delivery timeout is 15 s).
SLOWEST = 15.0


class Answer(NamedTuple):
    status: int
    said: str
    seconds: float
    error: str = ""


class Step(NamedTuple):
    """One message and what is expected of the receiver."""

    check: str
    title: tuple[str, str]
    accepted: bool
    #: values of "status" in the answer's JSON that show that the effect was right; empty where nothing is asked
    shows: tuple[str, ...]
    advice: tuple[str, str]


STEPS = (
    Step("signed", ("正确签名的消息被接受", "a correctly signed message is accepted"), True, ("applied",),
         ("用 id.timestamp.body 计算 HMAC-SHA256", "sign id.timestamp.body with HMAC-SHA256; answer 2xx after storing")),
    Step("wrong-signature", ("错误签名被拒绝", "a wrong signature is refused"), False, (),
         ("恒定时间比较；不符即 401", "compare in constant time; answer 401 when it differs")),
    Step("no-signature", ("缺少签名被拒绝", "a missing signature is refused"), False, (),
         ("没有 webhook-signature 即拒绝", "refuse what has no webhook-signature")),
    Step("old-timestamp", ("过期时间戳被拒绝", "an old timestamp is refused"), False, (),
         ("容许偏差 5 分钟", "tolerate five minutes, no more")),
    Step("two-signatures", ("换钥期间两个签名之一相符即可", "one of two signatures is enough during a rotation"), True,
         ("applied",), ("按空格拆分签名头，逐一核对", "split the header at spaces and try each")),
    Step("duplicate", ("重复消息不产生第二次效果", "a duplicate has no second effect"), True, ("duplicate",),
         ("以 webhook-id 去重，仍答 2xx", "remember webhook-id; still answer 2xx")),
    Step("replayed-id", ("同一编号不同内容被拒绝", "the same id with another body is refused"), False, (),
         ("保存内容摘要，不同即 409", "keep a hash of the content; 409 when it differs")),
    Step("gap", ("缺口被发现", "a gap is noticed"), True, ("gap",),
         ("prev 不是已有的最后序号：缺失，去拉取", "prev is not what you have last: pull what is missing")),
    Step("late", ("迟到事件补上缺口而不使记录倒退", "a late event closes the gap and moves nothing backwards"), True,
         ("late",), ("按 seq 归档，状态取最大 seq", "file by seq; the state is that of the highest seq")),
    Step("unknown-fields", ("未知字段被忽略", "unknown fields are ignored"), True, ("applied",),
         ("新字段随时可能出现", "new fields may appear at any time")),
    Step("large", ("接受 200 KB 消息", "a message of 200 KB is accepted"), True, ("applied",),
         ("上限 256 KB", "the limit is 256 KB")),
)  # fmt: skip


def start(*, principal: Principal, url: str, secret: str | None = None) -> tuple[ConformanceRun, str]:
    """Enter a run; returns it and the secret its messages are signed with. Raises Problem 422."""
    faults = addresses.url_faults(url)
    if secret is not None and not (secret.startswith(signing.SHARED) and signing.is_wellformed(secret)):
        faults.append(Fault("/secret", "secret", "whsec_ + base64"))
    if faults:
        raise invalid(faults)
    if principal.organisation_id is None:
        raise not_found()
    secret = secret or signing.new_secret()
    with transaction.atomic():
        made = ConformanceRun.objects.create(
            organisation_id=principal.organisation_id, url=url, sealed=vault.seal(secret)
        )
    return made, secret


def run(run_id: UUID) -> ConformanceRun:
    """Send the story and keep the report."""
    found = ConformanceRun.objects.get(pk=run_id)
    if found.state != "running":
        return found
    results = asyncio.run(_story(found.url, vault.unseal(found.sealed)))
    found.results = results
    found.passed = all(result["passed"] for result in results)
    found.state, found.finished_at = "finished", timezone.now()
    found.save()
    return found


def _message(number: str, sequence: int, **changes: Any) -> tuple[str, bytes]:
    identifier = str(uuid4())
    value = {
        "specversion": "1.0",
        "id": identifier,
        "source": messages.source(),
        "type": "conformance.probe",
        "subject": f"conformance/{number}",
        "time": datetime.now(UTC).isoformat(),
        "datacontenttype": "application/json",
        "position": str(sequence),
        "subjectkind": "conformance",
        "subjectnumber": number,
        "seq": sequence,
        "prev": sequence - 1,
        "data": {"step": sequence},
    } | changes
    return identifier, orjson.dumps(value)


async def _story(url: str, secret: str) -> list[dict[str, Any]]:
    number = f"CF{int(time.time())}-{uuid4().hex[:6]}"
    first, second = _message(number, 1), _message(number, 2)
    third, fourth = _message(number, 3), _message(number, 4)
    fifth = _message(number, 5, added_later={"x": 1})
    sixth = _message(number, 6, data={"text": "x" * 200_000})
    forged = _message(number, 1, data={"step": "forged"})[1]
    stranger = signing.new_secret()
    now = time.time
    sent = {
        "signed": (*first, [secret], now()),
        "wrong-signature": (*second, [stranger], now()),
        "no-signature": (*second, [], now()),
        "old-timestamp": (*second, [secret], now() - 3600),
        "two-signatures": (*second, [stranger, secret], now()),
        "duplicate": (*first, [secret], now()),
        "replayed-id": (first[0], forged, [secret], now()),
        "gap": (*fourth, [secret], now()),
        "late": (*third, [secret], now()),
        "unknown-fields": (*fifth, [secret], now()),
        "large": (*sixth, [secret], now()),
    }
    results = []
    async with addresses.session(connections=1) as client:
        for step in STEPS:
            identifier, body, secrets, at = sent[step.check]
            headers = signing.headers(secrets, identifier, body, timestamp=at)
            if not secrets:
                headers.pop("webhook-signature")
            results.append(_judge(step, await _send(client, url, headers, body)))
    return results


async def _send(client: aiohttp.ClientSession, url: str, headers: dict[str, str], body: bytes) -> Answer:
    started = time.perf_counter()
    try:
        async with client.post(
            url,
            data=body,
            headers=headers | {"Content-Type": "application/cloudevents+json"},
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=SLOWEST),
        ) as response:
            raw = await response.content.read(4096)
            try:
                value = orjson.loads(raw)
                said = str(value.get("status", ""))[:40] if isinstance(value, dict) else ""
            except orjson.JSONDecodeError:
                said = ""
            return Answer(response.status, said, time.perf_counter() - started)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return Answer(0, "", time.perf_counter() - started, type(error).__name__)


def _judge(step: Step, answer: Answer) -> dict[str, Any]:
    right = 200 <= answer.status < 300 if step.accepted else 400 <= answer.status < 500
    shown = not step.shows or not answer.said or answer.said in step.shows
    return {
        "check": step.check,
        "title": {"zh": step.title[0], "en": step.title[1]},
        "passed": right and shown,
        "expected": ("2xx" if step.accepted else "4xx") + (f' {{"status": "{step.shows[0]}"}}' if step.shows else ""),
        "seen": answer.error or f"{answer.status} {answer.said}".strip(),
        "shown": bool(answer.said) or not step.shows,
        "milliseconds": int(answer.seconds * 1000),
        "advice": pick("", "") if right and shown else f"{step.advice[0]} / {step.advice[1]}",
    }
