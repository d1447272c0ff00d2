"""The delivery process: one event loop that keeps many signed POSTs in the air, outside any transaction, and one thread
beside it that talks to PostgreSQL in batches.

It runs as a Celery task (exchange.tasks.deliver) until nothing is due, is started by hints and by the sweep, and may be
killed at any moment: what it had not written down is sent again, with the same id, in the same order."""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from uuid import UUID

import aiohttp
import structlog
from django.db import connection

from events import log as event_log
from exchange import addresses, fanout, ledger, messages, signing
from exchange.ledger import Due, Outcome, Target

log = structlog.get_logger(__name__)

#: POSTs in the air at once: in all, to one endpoint, and to one that has been failing or has never answered;
IN_THE_AIR = 256
PER_ENDPOINT = 24
PER_FAILING = 2
#: … to all endpoints of one organisation, and to all that are failing or have never answered: those that hang must leave
#: room for the others.
PER_OWNER = 64
DOUBTFUL = 64
#: Bytes of an answer that are read and kept.
ANSWER_BYTES = 512
#: Seconds without anything due after which the process ends; how often it looks meanwhile, at first and then.
LINGER = 2.0
LOOK_EVERY = 0.05
LOOK_IDLE = 0.25

Result = TypeVar("Result")


def retry_after(header: str | None, now: float | None = None) -> float | None:
    """Seconds a ``Retry-After`` asks for (a number or an HTTP date), at most a day; None where it says nothing."""
    if not header:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        wait = float(text[:9])
    else:
        try:
            wait = email.utils.parsedate_to_datetime(text).timestamp() - (time.time() if now is None else now)
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(wait, 0.0), float(ledger.MAX_RETRY_AFTER))


async def post(client: aiohttp.ClientSession, target: Target, delivery: Due) -> Outcome:
    """One signed try. Never raises: whatever goes wrong is the outcome."""
    started = time.perf_counter()
    status, error, answer, wait = None, "", "", None
    try:
        async with client.post(
            target.url,
            data=delivery.body,
            headers=target.headers
            | {"Content-Type": "application/cloudevents+json"}
            | signing.headers(target.secrets, delivery.message_id, delivery.body),
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=target.timeout),
        ) as response:
            status = response.status
            wait = retry_after(response.headers.get("Retry-After")) if status in (429, 503) else None
            answer = (await response.content.read(ANSWER_BYTES)).decode("utf-8", "replace").replace("\x00", "")
            if not 200 <= status < 300:
                error = f"HTTP {status}"
    except TimeoutError:
        error = f"no answer within {target.timeout} s"
    except (aiohttp.ClientError, OSError, ValueError) as problem:
        error = describe(problem)
    return Outcome(
        delivery=delivery.id,
        endpoint=delivery.endpoint,
        status=status,
        error=error[:200],
        milliseconds=int((time.perf_counter() - started) * 1000),
        answer=answer,
        delivered=status is not None and 200 <= status < 300 and not error,
        gone=status == 410,
        wait=wait,
    )


def _is_doubtful(target: Target) -> bool:
    return target.failures > 0 or not target.proven


def describe(problem: Exception) -> str:
    """What went wrong, without what a receiver could put into it."""
    cause: BaseException | None = problem
    while cause is not None:
        if isinstance(cause, addresses.ForbiddenAddress):
            return "address refused"  # which one would tell what names mean inside
        cause = getattr(cause, "os_error", None) or cause.__cause__
        if cause is problem:
            break
    return type(problem).__name__


class Engine:
    """State of one delivery process. All database work happens in one thread, in order."""

    def __init__(self, shard: int = 0) -> None:
        self.shard = shard
        self.database = ThreadPoolExecutor(1, "exchange-database")
        self.in_the_air: dict[int, asyncio.Task[Outcome]] = {}
        #: in the air, or landed and not yet written down
        self.per_endpoint: dict[UUID, int] = {}
        #: endpoint -> how many rounds of failures were written down; delivery -> the round it was sent in
        self.rounds: dict[UUID, int] = {}
        self.sent_in: dict[int, int] = {}
        self.done: list[Outcome] = []
        self.delivered = 0
        self.failed = 0
        #: endpoint -> (requests it may have now, when that was true)
        self.allowance: dict[UUID, tuple[float, float]] = {}
        self.news = asyncio.Event()
        #: endpoints as they were last seen
        self.known: dict[UUID, Target] = {}
        self.turns = 0
        #: delivery in the air -> its endpoint; endpoints whose answers the process still waits for once its time is over
        self.sent_to: dict[int, UUID] = {}
        self.waited_for: set[UUID] = set()

    async def _in_database(self, work: Callable[..., Result], *arguments: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self.database, work, *arguments)

    def _turn(self, outcomes: list[Outcome], under_way: list[int]) -> tuple[list[Target], list[Due], int]:
        """Everything one turn asks of the database."""
        if outcomes:
            ledger.settle(outcomes)
        event_log.publish()
        handed_out = fanout.run()
        free = IN_THE_AIR - len(under_way)
        if free <= 0:
            return [], [], handed_out
        found = [target for target in ledger.targets(self.shard) if target.id not in self.waited_for]
        due = ledger.due(self._slots(found, free), under_way)
        return found, self._as_agreed(due, {target.id: target for target in found}), handed_out

    def _as_agreed(self, due: list[Due], targets: dict[UUID, Target]) -> list[Due]:
        """``due`` as today's agreements let it out: what was made under wider terms is narrowed, under an id of its own (an id
        has one body); what is not shared any more is given up."""
        kept, gone = [], []
        today = {target.id: target.terms.fingerprint() for target in targets.values() if target.terms is not None}
        for delivery in due:
            terms = targets[delivery.endpoint].terms
            if terms is None or today[delivery.endpoint] == delivery.terms:
                kept.append(delivery)
            elif (text := messages.narrowed(delivery.body.decode(), terms)) is None:
                gone.append(delivery)
            elif (body := text.encode()) == delivery.body:
                kept.append(delivery)
            else:
                name = f"{delivery.message_id}.{today[delivery.endpoint]:016x}"
                kept.append(delivery._replace(body=body, message_id=name))
        if gone:
            ledger.withdraw(gone)
        return kept

    def _slots(self, found: list[Target], free: int) -> dict[UUID, int]:
        """How many more POSTs each endpoint may have now: one each in turn, as long as there is room for it, for its owner and,
        where it is failing or has never answered, for such endpoints together."""
        self.known |= {target.id: target for target in found}
        doubtful, owners = 0, Counter[int]()
        for endpoint, count in self.per_endpoint.items():
            owners[self.known[endpoint].organisation_id] += count
            doubtful += count * _is_doubtful(self.known[endpoint])
        room = {
            target.id: min(
                (PER_FAILING if _is_doubtful(target) else PER_ENDPOINT) - self.per_endpoint.get(target.id, 0),
                self._allowed(target),
            )
            for target in found
        }
        slots: Counter[UUID] = Counter()
        start = self.turns % max(1, len(found))
        self.turns += 1
        waiting = deque(found[start:] + found[:start])
        while waiting and free > 0:
            target = waiting.popleft()
            unsure = _is_doubtful(target)
            if (
                slots[target.id] >= room[target.id]
                or owners[target.organisation_id] >= PER_OWNER
                or (unsure and doubtful >= DOUBTFUL)
            ):
                continue
            slots[target.id] += 1
            owners[target.organisation_id] += 1
            doubtful += unsure
            free -= 1
            waiting.append(target)
        return {endpoint: count for endpoint, count in slots.items() if count}

    def _allowed(self, target: Target) -> int:
        if target.rate_limit is None:
            return PER_ENDPOINT
        now = time.monotonic()
        left, at = self.allowance.get(target.id, (float(target.rate_limit), now))
        left = min(float(target.rate_limit), left + (now - at) * target.rate_limit)
        self.allowance[target.id] = (left, now)
        return int(left)

    def _launch(self, client: aiohttp.ClientSession, target: Target, delivery: Due) -> None:
        if target.rate_limit is not None:
            left, at = self.allowance[target.id]
            self.allowance[target.id] = (left - 1, at)
        task = asyncio.create_task(post(client, target, delivery))
        self.in_the_air[delivery.id] = task
        self.sent_to[delivery.id] = target.id
        self.per_endpoint[target.id] = self.per_endpoint.get(target.id, 0) + 1
        self.sent_in[delivery.id] = self.rounds.get(target.id, 0)
        task.add_done_callback(lambda finished: self._landed(delivery, finished))

    def _landed(self, delivery: Due, finished: asyncio.Task[Outcome]) -> None:
        self.in_the_air.pop(delivery.id, None)
        self.sent_to.pop(delivery.id, None)
        if not finished.cancelled():
            outcome = finished.result()
            self.done.append(outcome)
            self.delivered += outcome.delivered
            self.failed += not outcome.delivered
        self.news.set()

    def _take_landed(self) -> list[Outcome]:
        """What landed since the last turn, to be written down. Only now do its places become free again: nobody is sent
        more before the database knows what came of the first. What was in the air together fails together, and counts as
        one failure of the endpoint."""
        landed, self.done = self.done, []
        taken = []
        for outcome in landed:
            self.per_endpoint[outcome.endpoint] -= 1
            if not self.per_endpoint[outcome.endpoint]:
                del self.per_endpoint[outcome.endpoint]
            sent_in = self.sent_in.pop(outcome.delivery)
            taken.append(outcome._replace(news=sent_in == self.rounds.get(outcome.endpoint, 0)))
        for endpoint in {outcome.endpoint for outcome in taken if outcome.news and not outcome.delivered}:
            self.rounds[endpoint] = self.rounds.get(endpoint, 0) + 1
        return taken

    async def run(self, *, until: float, linger: float = LINGER) -> None:
        """Deliver until nothing has been due for ``linger`` seconds, or the monotonic clock passes ``until``; what is in
        the air then is waited for, while endpoints that hold up nobody go on being served."""
        quiet_since = time.monotonic()
        late: set[int] | None = None
        async with addresses.session(connections=IN_THE_AIR) as client:
            while True:
                outcomes = self._take_landed()
                if time.monotonic() > until:
                    late = set(self.in_the_air) if late is None else late & self.in_the_air.keys()
                    self.waited_for = {self.sent_to[delivery] for delivery in late}
                if late is not None and not late:
                    if outcomes:
                        await self._in_database(ledger.settle, outcomes)
                    if not self.in_the_air and not self.done:
                        return
                    work: list[Due] = []
                    handed_out = 0
                else:
                    targets, work, handed_out = await self._in_database(self._turn, outcomes, list(self.in_the_air))
                    by_id = {target.id: target for target in targets}
                    for delivery in work:
                        self._launch(client, by_id[delivery.endpoint], delivery)
                now = time.monotonic()
                if outcomes or work or handed_out or self.in_the_air or self.done:
                    quiet_since = now
                elif now - quiet_since >= linger:
                    return
                if not self.done:
                    self.news.clear()
                quiet = now - quiet_since
                await self._pause(0.005 if handed_out else LOOK_EVERY if quiet < LOOK_IDLE else LOOK_IDLE)

    async def _pause(self, seconds: float) -> None:
        """Wait for a landing (then a moment more, to gather a batch), or until it is time to look again."""
        try:
            async with asyncio.timeout(seconds):
                await self.news.wait()
                await asyncio.sleep(0.004)
        except TimeoutError:
            pass

    async def close(self) -> None:
        for task in list(self.in_the_air.values()):
            task.cancel()
        await self._in_database(lambda: connection.close())  # that thread's own
        self.database.shutdown()


def run(
    *, shard: int = 0, seconds: float = 240.0, linger: float = LINGER, hand_over: Callable[[], object] = lambda: None
) -> int | None:
    """Deliver what is due in ``shard``, for ``seconds`` at most; returns the number of tries, or None where another
    process is at it. ``hand_over`` is called once the shard is given back because the time is over, not the work.

    After giving the shard back it looks once more: a hint that came in while the shard was still taken was not lost."""
    return asyncio.run(_run(shard, seconds, linger, hand_over))


async def _run(shard: int, seconds: float, linger: float, hand_over: Callable[[], object]) -> int | None:
    # Names are looked up by threads: those whose name servers never answer must not hold up the others.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(IN_THE_AIR, "exchange-names"))
    engine = Engine(shard)
    until = time.monotonic() + seconds
    tries = None
    try:
        while await engine._in_database(ledger.own, shard):
            tries = tries or 0
            try:
                await engine.run(until=until, linger=linger)
            finally:
                await engine._in_database(ledger.disown, shard)
            tries = engine.delivered + engine.failed
            if time.monotonic() > until:
                hand_over()  # now: the end of this process may have to wait for the look-up of a name
                break
            if not await engine._in_database(ledger.something_due, shard):
                break
    finally:
        await engine.close()
    return tries
