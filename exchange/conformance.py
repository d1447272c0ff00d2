"""Can a new partner's software take our messages? A run sends a small scripted story to its test endpoint and says, step
by step, what was expected, what came, and what to look at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import aiohttp
import orjson
from django.db import connection, transaction
from django.utils import timezone

from common.problems import Fault, Problem, conflict, invalid, not_found
from common.text import T
from exchange import addresses, messages, signing, vault
from exchange.models import ConformanceRun
from parties.principals import Principal

#: Seconds after which a message is given up, as deliveries are.
SLOWEST = 15.0
#: Seconds within which every answer is to come: a third of that, so that a busy day does not fail deliveries. Our own bound.
PROMPT = 5.0
#: Seconds the whole story may take.
WHOLE = 60.0

#: Checks under way at a time, in all and of one organisation: each holds a worker.
AT_ONCE, OF_ONE = 4, 1
#: Asked for so long ago, and not begun: the hint was lost. Not finished after so long: its worker was.
UNHEARD, LOST = timedelta(minutes=1), timedelta(minutes=15)

WAITING, RUNNING, FINISHED, GONE = "waiting", "running", "finished", "lost"


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
    #: 2xx alone does not show it: the same answer is given by a receiver that gets it wrong.
    by_word: bool = False


STEPS = (
    Step("signed", ("正确签名的消息被接受", "a correctly signed message is accepted"), True, ("applied",),
         ("核对 id.timestamp.body 的签名，存妥后答 2xx", "verify the signature of id.timestamp.body; answer 2xx after storing")),
    Step("wrong-signature", ("错误签名被拒绝", "a wrong signature is refused"), False, (),
         ("恒定时间比较；不符即 401", "compare in constant time; answer 401 when it differs")),
    Step("no-signature", ("缺少签名被拒绝", "a missing signature is refused"), False, (),
         ("没有 webhook-signature 即拒绝", "refuse what has no webhook-signature")),
    Step("old-timestamp", ("过期时间戳被拒绝", "an old timestamp is refused"), False, (),
         ("容许偏差 5 分钟", "tolerate five minutes, no more")),
    Step("two-signatures", ("换钥期间两个签名之一相符即可", "one of two signatures is enough during a rotation"), True,
         ("applied",), ("按空格拆分签名头，逐一核对", "split the header at spaces and try each")),
    Step("duplicate", ("重复消息不产生第二次效果", "a duplicate has no second effect"), True, ("duplicate",),
         ("以 webhook-id 去重，仍答 2xx", "remember webhook-id; still answer 2xx"), by_word=True),
    Step("replayed-id", ("同一编号不同内容被拒绝", "the same id with another body is refused"), False, (),
         ("保存内容摘要，不同即 409", "keep a hash of the content; 409 when it differs")),
    Step("gap", ("缺口被发现", "a gap is noticed"), True, ("gap",),
         ("prev 不是已有的最后序号：缺失，去拉取", "prev is not what you have last: pull what is missing"), by_word=True),
    Step("late", ("迟到事件补上缺口而不使记录倒退", "a late event closes the gap and moves nothing backwards"), True,
         ("late",), ("按 seq 归档，状态取最大 seq", "file by seq; the state is that of the highest seq"), by_word=True),
    Step("unknown-fields", ("未知字段被忽略", "unknown fields are ignored"), True, ("applied",),
         ("新字段随时可能出现", "new fields may appear at any time")),
    Step("large", ("接受 200 KB 消息", "a message of 200 KB is accepted"), True, ("applied",),
         ("上限 4 MB", "the limit is 4 MB")),
)  # fmt: skip

#: Judged by all answers together.
PROMPTLY = Step(
    "slow-answers", (f"每个应答都在 {PROMPT:.0f} 秒内", f"every answer comes within {PROMPT:.0f} s"), True, (),
    ("先存妥、应答，再处理", "store, answer, and only then work"),
)  # fmt: skip


def start(
    *, principal: Principal, url: str, secret: str | None = None, signature: str = "v1"
) -> tuple[ConformanceRun, str]:
    """Enter a run; returns it and what verifies its messages: the shared secret, or the public key of ``v1a``. ``secret`` is
    one made for the test (``whsec_``, or ``whsk_`` for Ed25519). Raises Problem 409, 422 or 429."""
    faults = addresses.url_faults(url)
    if secret is not None and not signing.signs(secret):
        faults.append(
            Fault("/secret", "secret", T("须为 whsec_ 或 whsk_ 加 base64", "Must be whsec_ or whsk_ + base64"))
        )
    if faults:
        raise invalid(faults)
    if principal.organisation_id is None:
        raise not_found()
    secret = secret or (signing.new_key() if signature == "v1a" else signing.new_secret())
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('conformance', 0))")
        open_ = ConformanceRun.objects.filter(state__in=(WAITING, RUNNING), started_at__gt=timezone.now() - LOST)
        if open_.filter(organisation_id=principal.organisation_id).count() >= OF_ONE:
            raise conflict("check-under-way", T("上一次检查尚未结束", "The check before has not ended yet"))
        if open_.count() >= AT_ONCE:
            raise Problem(
                429, "too-many-checks", T("检查过多，请稍后再试", "Too many checks at a time; try again later")
            )
        made = ConformanceRun.objects.create(
            organisation_id=principal.organisation_id, url=url, sealed=vault.seal(secret), state=WAITING
        )
    return made, signing.public_key(secret) if secret.startswith(signing.PRIVATE) else secret


def run(run_id: UUID) -> ConformanceRun:
    """Send the story and keep the report. Hinted twice, it is sent once."""
    if ConformanceRun.objects.filter(pk=run_id, state=WAITING).update(state=RUNNING):
        found = ConformanceRun.objects.get(pk=run_id)
        results = asyncio.run(_story(found.url, vault.unseal(found.sealed)))
        ConformanceRun.objects.filter(pk=run_id, state=RUNNING).update(
            results=results, passed=_passed(results), state=FINISHED, finished_at=timezone.now()
        )
    return ConformanceRun.objects.get(pk=run_id)


def _passed(results: list[dict[str, Any]]) -> bool | None:
    """None where nothing failed but something could not be seen."""
    verdicts = {result["verdict"] for result in results}
    return False if "failed" in verdicts else None if "not-shown" in verdicts else True


def sweep() -> list[UUID]:
    """End runs that were lost with their worker; returns those nobody heard of yet, to be hinted again."""
    now = timezone.now()
    ConformanceRun.objects.filter(state__in=(WAITING, RUNNING), started_at__lte=now - LOST).update(
        state=GONE, passed=False, finished_at=now
    )
    unheard = ConformanceRun.objects.filter(state=WAITING, started_at__lte=now - UNHEARD).order_by("started_at")
    return list(unheard.values_list("pk", flat=True))


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


def _script(secret: str) -> Iterator[tuple[Step, str, bytes, list[str], float]]:
    """Each step with the id, the body, what signs it, and how old it claims to be."""
    number = f"CF{int(time.time())}-{uuid4().hex[:6]}"
    first, second = _message(number, 1), _message(number, 2)
    third, fourth = _message(number, 3), _message(number, 4)
    fifth = _message(number, 5, added_later={"x": 1})
    sixth = _message(number, 6, data={"text": "x" * 200_000})
    forged = _message(number, 1, data={"step": "forged"})[1]
    stranger = signing.new_key() if secret.startswith(signing.PRIVATE) else signing.new_secret()
    sent: dict[str, tuple[str, bytes, list[str], float]] = {
        "signed": (*first, [secret], 0),
        "wrong-signature": (*second, [stranger], 0),
        "no-signature": (*second, [], 0),
        "old-timestamp": (*second, [secret], 3600),
        "two-signatures": (*second, [stranger, secret], 0),
        "duplicate": (*first, [secret], 0),
        "replayed-id": (first[0], forged, [secret], 0),
        "gap": (*fourth, [secret], 0),
        "late": (*third, [secret], 0),
        "unknown-fields": (*fifth, [secret], 0),
        "large": (*sixth, [secret], 0),
    }
    for step in STEPS:
        yield step, *sent[step.check]


async def _story(url: str, secret: str) -> list[dict[str, Any]]:
    results, answers = [], []
    ends = time.monotonic() + WHOLE
    async with addresses.session(connections=1) as client:
        for step, identifier, body, secrets, age in _script(secret):
            left = ends - time.monotonic()
            if left <= 0:
                results.append(_judge(step, Answer(0, "", 0, f"> {WHOLE:.0f} s")))
                continue
            headers = signing.headers(secrets, identifier, body, timestamp=time.time() - age)
            if not secrets:
                headers.pop("webhook-signature")
            answers.append(await _send(client, url, headers, body, min(SLOWEST, left)))
            results.append(_judge(step, answers[-1]))
    slowest = max(answers, key=lambda answer: answer.seconds)
    prompt = slowest.seconds <= PROMPT
    return [
        *results,
        _result(PROMPTLY, "passed" if prompt else "failed", f"≤ {PROMPT:.0f} s", f"{slowest.seconds:.1f} s", slowest),
    ]


async def _send(
    client: aiohttp.ClientSession, url: str, headers: dict[str, str], body: bytes, seconds: float
) -> Answer:
    started = time.perf_counter()
    try:
        async with client.post(
            url,
            data=body,
            headers=headers | {"Content-Type": "application/cloudevents+json"},
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=seconds),
        ) as response:
            raw = await response.content.read(4096)
            try:
                value = orjson.loads(raw)
                said = str(value.get("status", "")).replace("\x00", "")[:40] if isinstance(value, dict) else ""
            except orjson.JSONDecodeError:
                said = ""
            return Answer(response.status, said, time.perf_counter() - started)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:  # ValueError: a name that is none
        return Answer(0, "", time.perf_counter() - started, type(error).__name__)


#: What an answer may say became of a message.
WORDS = frozenset({"applied", "late", "gap", "duplicate", "quarantined"})


def _judge(step: Step, answer: Answer) -> dict[str, Any]:
    right = 200 <= answer.status < 300 if step.accepted else 400 <= answer.status < 500
    word = answer.said if answer.said in WORDS else ""  # a word of the receiver's own ("ok") says nothing of the effect
    if not right or (step.shows and word and word not in step.shows):
        verdict = "failed"
    else:
        verdict = "not-shown" if step.by_word and not word else "passed"
    expected = ("2xx" if step.accepted else "4xx") + (f' {{"status": "{step.shows[0]}"}}' if step.shows else "")
    return _result(step, verdict, expected, answer.error or f"{answer.status} {answer.said}".strip(), answer)


#: What to do where an answer says nothing of the effect.
_SAY = ("应答须写明 status，否则看不出是否做对", 'say {"status": …} in the answer: 2xx alone does not show the effect')


def _result(step: Step, verdict: str, expected: str, seen: str, answer: Answer) -> dict[str, Any]:
    advice = {"passed": None, "failed": step.advice, "not-shown": _SAY}[verdict]
    return {
        "check": step.check,
        "title": {"zh": step.title[0], "en": step.title[1]},
        "verdict": verdict,
        "expected": expected,
        "seen": seen,
        "milliseconds": int(answer.seconds * 1000),
        "advice": {"zh": advice[0], "en": advice[1]} if advice else None,
    }
