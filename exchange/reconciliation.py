"""Asking a partner: pulling what is missing, comparing digests, repairing, reporting. All requests happen outside any
transaction; what they bring takes the inbox's way in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from time import monotonic
from typing import Any, Self

import aiohttp
import orjson
import structlog
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from common.days import last_time, legal_day
from common.json import dumps
from common.problems import Problem
from events.log import append
from exchange import addresses, digests, inbox, vault
from exchange.digests import RECEIVED, Group
from exchange.models import Agreement, DigestReport, Mirror, MirrorEvent, Partner
from parties.principals import Principal

log = structlog.get_logger(__name__)

PAGE = 500
TIMEOUT = 30
#: Largest answer read (bytes): a page of messages, or the lines of a digest.
MAX_ANSWER = 64 * 1024 * 1024
#: Events of one subject that are read at most.
MOST_EVENTS = 20_000
#: Subjects that are asked for one by one; where more differ, the whole feed is read again.
ONE_BY_ONE = 500
#: Seconds that reading a whole feed takes at a time; the next round goes on.
READ_SECONDS = 240.0
#: Minutes until an owner who had nothing new is asked again for what is missing of a subject.
ASK_AGAIN = 10

#: (address, client) -> (bearer token, monotonic time until which it is used), per process
_tokens: dict[tuple[str, str], tuple[str, float]] = {}


class Unreachable(Exception):
    """The partner could not be asked; the text says why."""


class Busy(Unreachable):
    """Somebody attends to this partner right now."""


class Line:
    """A conversation with a partner's API: logs in once, asks in turn. Use as a context manager."""

    def __init__(self, partner: Partner) -> None:
        if not partner.base_url:
            raise Unreachable("no API address")
        self.partner = partner
        self.runner = asyncio.Runner()
        self.login = (partner.base_url, partner.client_id)
        token, until = _tokens.get(self.login, ("", 0.0))
        self.token = token if monotonic() < until else ""

    def __enter__(self) -> Self:
        self.client = self.runner.run(self._open())
        return self

    async def _open(self) -> aiohttp.ClientSession:
        return addresses.session(connections=4)

    def __exit__(self, *exception: object) -> None:
        self.runner.run(self.client.close())
        self.runner.close()

    def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        return self._ask("GET", path, params={name: str(value) for name, value in parameters.items()})

    def post(self, path: str, body: Any) -> dict[str, Any]:
        return self._ask("POST", path, data=dumps(body), headers={"Content-Type": "application/json"})

    def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        if not self.token:
            self._log_in()
        status, answer = self.runner.run(self._request(method, path, **options))
        if status == 401:
            self._log_in()
            status, answer = self.runner.run(self._request(method, path, **options))
        if not 200 <= status < 300:
            raise Unreachable(f"{method} {path}: HTTP {status}")
        if not isinstance(answer, dict):
            raise Unreachable(f"{method} {path}: not a JSON object")
        return answer

    def _log_in(self) -> None:
        self.token = ""
        status, answer = self.runner.run(
            self._request(
                "POST",
                "/oauth/token",
                data={
                    "grant_type": "client_credentials",
                    "client_id": self.partner.client_id,
                    "client_secret": vault.unseal(self.partner.client_secret) if self.partner.client_secret else "",
                },
            )
        )
        if status != 200 or not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
            raise Unreachable(f"log-in: HTTP {status}")
        self.token = answer["access_token"]
        lifetime = answer.get("expires_in")
        _tokens[self.login] = (
            self.token,
            monotonic() + (lifetime / 2 if isinstance(lifetime, (int, float)) else 60),
        )

    async def _request(self, method: str, path: str, headers: Any = None, **options: Any) -> tuple[int, Any]:
        given = dict(headers or {})
        if self.token and path != "/oauth/token":
            given["Authorization"] = f"Bearer {self.token}"
        try:
            async with self.client.request(
                method,
                self.partner.base_url + path,
                headers=given,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=TIMEOUT),
                **options,
            ) as response:
                body = bytearray()
                async for chunk in response.content.iter_chunked(65536):
                    body += chunk
                    if len(body) > MAX_ANSWER:
                        raise Unreachable(f"{path}: answer too large")
                try:
                    return response.status, orjson.loads(body) if body else None
                except orjson.JSONDecodeError:
                    return response.status, None
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise Unreachable(f"{method} {path}: {type(error).__name__}") from error


def _pages(line: Line, after: int, **subject: str) -> Iterator[tuple[list[Any], int]]:
    read = 0
    while True:
        page = line.get("/exchange/events", after=after, limit=PAGE, **subject)
        events, following = page.get("events"), page.get("next")
        if not isinstance(events, list) or not isinstance(following, int):
            raise Unreachable("/exchange/events: not a feed")
        yield events, following
        if not events or following <= after:
            return
        after, read = following, read + len(events)
        if subject and read > MOST_EVENTS:
            raise Unreachable(f"/exchange/events: more than {MOST_EVENTS} events of one subject")


def _take_all(sender: inbox.Sender, events: list[Any]) -> int:
    """File events; returns how many were new. What is refused is counted and does not stop the rest."""
    fresh = 0
    for event in events:
        try:
            with transaction.atomic():
                answer = inbox.take(sender, dumps(event))
        except Problem as problem:
            inbox.refuse(sender.id, problem)
        else:
            fresh += answer["status"] in ("applied", "late", "gap")
    return fresh


def _sender(partner: Partner) -> inbox.Sender:
    sender = inbox.sender(partner.code)
    if sender is None or sender.terms is None or sender.state != Partner.State.ACTIVE:
        raise Unreachable("no agreement in force")
    return sender


@contextmanager
def _attending(partner: Partner) -> Iterator[None]:
    """One at a time asks a partner, whichever door it came through. Raises Busy."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_ATTENDING, partner.pk])
        if not cursor.fetchone()[0]:
            raise Busy("being asked already")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_ATTENDING, partner.pk])


def _read_feed(line: Line, sender: inbox.Sender, partner: Partner) -> bool:
    """Read the whole feed again, from where the last round stopped; returns whether its end was reached."""
    until, after = monotonic() + READ_SECONDS, partner.pulled_to
    for events, following in _pages(line, after):
        _take_all(sender, events)
        Partner.objects.filter(pk=partner.pk).update(pulled_to=following)
        if events and monotonic() > until:
            return False
    Partner.objects.filter(pk=partner.pk).update(pulled_to=0)
    return True


def pull_missing(partner: Partner) -> int:
    """Pull the subjects of which an event is known to be missing; returns how many events were new. A subject whose owner had
    nothing new (what is missing waits in quarantine here, or is not let in) is asked for again some minutes later."""
    with _attending(partner):
        return _pull_missing(partner)


def _pull_missing(partner: Partner) -> int:
    noticed = partner.missing_since
    sender, fresh = _sender(partner), 0
    with Line(partner) as line:
        waiting = _with_gaps(timezone.now()).filter(partner=partner).values_list("pk", "subject_kind", "subject_number")
        for mirror, kind, number in list(waiting[:ONE_BY_ONE]):
            # Beforehand: a gap that opens while we ask is news, and takes the note away.
            asked = Mirror.objects.filter(pk=mirror, missing__gt=0)
            asked.update(asked_at=timezone.now())
            try:
                fresh += _pull_subject(line, sender, kind, number)
            except Unreachable:
                asked.update(asked_at=None)
                raise
    if not Mirror.objects.filter(partner=partner, missing__gt=0).exists():
        Partner.objects.filter(pk=partner.pk, missing_since=noticed).update(missing_since=None)
    _answered(partner)
    return fresh


def _answered(partner: Partner) -> None:
    partner.asked_in_vain = 0
    Partner.objects.filter(pk=partner.pk).update(last_pulled_at=timezone.now(), last_error="", asked_in_vain=0)


def _with_gaps(now: datetime) -> QuerySet[Mirror]:
    """Mirrors with something missing, whose owner was not asked just now."""
    return Mirror.objects.filter(missing__gt=0).filter(
        Q(asked_at=None) | Q(asked_at__lt=now - timedelta(minutes=ASK_AGAIN))
    )


def _pull_subject(line: Line, sender: inbox.Sender, kind: str, number: str) -> int:
    return sum(_take_all(sender, events) for events, _ in _pages(line, 0, subject_kind=kind, subject_number=number))


def _groups(answer: dict[str, Any]) -> list[Group]:
    try:
        return [
            Group(
                str(row["kind"]),
                date.fromisoformat(row["day"]),
                None if row.get("bucket") is None else int(row["bucket"]),
                int(row["count"]),
                str(row["hash"]),
            )
            for row in answer["groups"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unreachable("/exchange/digest: not a digest") from error


def _differing_days(line: Line, partner: Partner, kinds: tuple[str, ...]) -> tuple[int, list[tuple[str, date]]]:
    """How many subjects of ``kinds`` differ at least, and the kinds and days to look for them."""
    own = digests.groups(RECEIVED, partner, kinds=kinds)
    theirs = [group for group in _groups(line.get("/exchange/digest")) if group.kind in kinds]
    return digests.fewest_differing(own, theirs), [(kind, day) for kind, day, _ in digests.differing(own, theirs)]


def _differing_buckets(
    line: Line, partner: Partner, days: list[tuple[str, date]]
) -> Iterator[tuple[str, date, int | None]]:
    for kind, day in days:
        own = digests.groups(RECEIVED, partner, kind=kind, day=day, buckets=True)
        yield from digests.differing(own, _groups(line.get("/exchange/digest", kind=kind, day=day)))


def _differing_subjects(line: Line, partner: Partner, days: list[tuple[str, date]]) -> list[tuple[str, str]]:
    """(kind, number) of every subject that is not the same on both sides, narrowed down bucket by bucket: of a few, or as many
    as it takes to see that it is more than ``ONE_BY_ONE``."""
    found: set[tuple[str, str]] = set()
    for kind, day, bucket in _differing_buckets(line, partner, days):
        assert bucket is not None
        mine = {
            row.number: (row.count, row.sequence, row.last_id)
            for row in digests.lines(RECEIVED, partner, kind=kind, day=day, bucket=bucket)
        }
        answer = line.get("/exchange/digest", kind=kind, day=day, bucket=bucket)
        try:
            other = {str(row["number"]): (row["count"], row["seq"], row["last_id"]) for row in answer["subjects"]}
        except (KeyError, TypeError) as error:
            raise Unreachable("/exchange/digest: not a digest") from error
        found |= {(kind, number) for number in mine.keys() | other.keys() if mine.get(number) != other.get(number)}
        if len(found) > ONE_BY_ONE:
            break
    return sorted(found)


def compare(partner: Partner) -> DigestReport:
    """Compare our mirror of ``partner`` with what it says it gave us, repair what differs, and report to both. Where very much
    differs (a mirror that was wiped), the whole feed is read again, in as many rounds as it takes; what differs is then not
    looked for one by one, and the report counts it at least."""
    with _attending(partner):
        return _compare(partner)


@transaction.atomic
def want(*, partner: Partner, actor: Principal) -> None:
    """Have a partner compared with in a few seconds, by the sweep: nobody waits for it. One that is spared is asked at once."""
    Partner.objects.filter(pk=partner.pk).update(wanted_at=timezone.now(), spared_until=None)
    append(
        type="partner.comparison_wanted",
        subject=("partner", partner.code),
        actor=actor.actor,
        audience=[partner.organisation_id],
        data={"code": partner.code},
    )


def _compare(partner: Partner) -> DigestReport:
    started, clock = timezone.now(), monotonic()
    sender = _sender(partner)
    assert sender.terms is not None
    kinds = tuple(kind for kind in sender.terms.kinds if sender.terms.shares(kind))
    partner.refresh_from_db(fields=["pulled_to"])
    with Line(partner) as line:
        found: list[tuple[str, str]] = []
        left, remaining, whole = found, 0, True
        differing, days = _differing_days(line, partner, kinds)
        if not partner.pulled_to and differing <= ONE_BY_ONE:
            found = left = _differing_subjects(line, partner, days)
            differing = len(found)
        if partner.pulled_to or differing > ONE_BY_ONE:
            whole = _read_feed(line, sender, partner)
            remaining, days = _differing_days(line, partner, kinds)
            left = _differing_subjects(line, partner, days) if whole else []
        if left:
            for kind, number in left[:ONE_BY_ONE]:
                _rebuild(line, sender, partner, kind, number)
            remaining, days = _differing_days(line, partner, kinds)
            again = _differing_subjects(line, partner, days)
            # What differs now and did not before came meanwhile, and may be on its way.
            left = again if len(again) > ONE_BY_ONE else sorted(set(left) & set(again))
        if whole and len(left) <= ONE_BY_ONE:
            remaining = len(left)
        report = _report(
            partner,
            started_at=started,
            seconds=round(monotonic() - clock, 3),
            subjects=sum(group.count for group in digests.groups(RECEIVED, partner, kinds=kinds)),
            differing=differing,
            repaired=max(differing - remaining, 0),
            agrees=whole and not left,
            details={"differing": [list(one) for one in found[:200]], "left": [list(one) for one in left[:200]]},
        )
        try:
            line.post(
                "/exchange/reports",
                {
                    "started_at": started,
                    "seconds": report.seconds,
                    "subjects": report.subjects,
                    "differing": report.differing,
                    "repaired": report.repaired,
                    "agrees": report.agrees,
                    "details": report.details,
                },
            )
        except Unreachable as error:
            log.warning("report not delivered", partner=partner.code, reason=str(error))
    _answered(partner)
    return report


def _rebuild(line: Line, sender: inbox.Sender, partner: Partner, kind: str, number: str) -> None:
    """Pull a subject; where the partner's history is not the one we hold, ours gives way (the raw messages stay). What arrived
    while we asked is news that the answer could not hold."""
    with connection.cursor() as cursor:  # by the clock that ``received_at`` goes by
        cursor.execute("SELECT now()")
        (began,) = cursor.fetchone()
    events = [event for page, _ in _pages(line, 0, subject_kind=kind, subject_number=number) for event in page]
    ids = {str(event.get("id")) for event in events if isinstance(event, dict)}
    with transaction.atomic():
        mirror = Mirror.objects.select_for_update().filter(partner=partner, subject_kind=kind, subject_number=number)
        mirror.first()
        held = MirrorEvent.objects.filter(partner=partner, subject_kind=kind, subject_number=number)
        foreign = [row.pk for row in held.filter(received_at__lt=began) if str(row.event_id) not in ids]
        held.filter(pk__in=foreign).delete()
        # Summed up anew from the events: a mirror whose sum was damaged heals as well.
        inbox.refold(partner.pk, kind, number)
        _take_all(sender, events)


def _report(partner: Partner, **values: Any) -> DigestReport:
    with transaction.atomic():
        Partner.objects.select_for_update(no_key=True).get(pk=partner.pk)  # its events have one order
        report = DigestReport.objects.create(partner=partner, **values)
        append(
            type="partner.compared",
            subject=("partner", partner.code),
            actor="system",
            audience=[partner.organisation_id],
            data={name: values[name] for name in ("subjects", "differing", "repaired", "agrees")},
        )
    return report


#: Seconds until a partner that could not be asked is asked again: at first, twice as many each time, and at most.
PAUSE = 15.0
MOST_PAUSE = 300.0
#: Partners asked at the same time: one that hangs holds up no other.
AT_ONCE = 4
#: First half of the advisory lock that whoever attends to a partner holds (the second is its key).
_ATTENDING = 7230918


def due(now: datetime, *, nightly: time | None, every: float, missing_after: float) -> QuerySet[Partner]:
    """Partners to be asked, of those from whom something may be taken: ``missing`` where something is known to be missing for ``missing_after`` seconds, ``old`` where
    the last comparison began before the hour ``nightly`` (legal time, so a night in which nothing ran is made up for) or
    ``every`` seconds ago, where that is given, where somebody wants it (:func:`want`), or where a feed is half read."""
    began = DigestReport.objects.filter(partner=OuterRef("pk"), made_by="own").order_by("-started_at")
    agreed = Agreement.objects.filter(direction=Agreement.Direction.IN).on(legal_day(now))  # type: ignore[attr-defined]
    since = [now - timedelta(seconds=every)] if every else []
    if nightly is not None:
        since.append(last_time(nightly, now))
    return (
        Partner.objects.filter(state=Partner.State.ACTIVE)
        .filter(Exists(agreed.filter(partner=OuterRef("pk"))))
        .exclude(base_url="")
        .exclude(spared_until__gt=now)
        .annotate(compared_at=Subquery(began.values("started_at")[:1]))
        .annotate(
            missing=Q(missing_since__lte=now - timedelta(seconds=missing_after))
            & Exists(_with_gaps(now).filter(partner=OuterRef("pk"))),
            old=Q(compared_at=None)
            | Q(pulled_to__gt=0)
            | Q(compared_at__lt=F("wanted_at"))
            | Q(compared_at__lt=max(since, default=datetime.min.replace(tzinfo=UTC))),
        )
        .filter(Q(missing=True) | Q(old=True))
    )


def attend(*, nightly: time | None = None, every: float = 0.0, missing_after: float = 1.0) -> None:
    """The sweep: pull where something is missing, compare with whom it is time to (:func:`due`)."""
    found = list(due(timezone.now(), nightly=nightly, every=every, missing_after=missing_after))
    most = min(MOST_PAUSE, every) if every else MOST_PAUSE
    if len(found) == 1:
        _attend(found[0], most)
    elif found:
        with ThreadPoolExecutor(AT_ONCE, "attend") as hands:
            for told in [hands.submit(_attend_beside, partner, most) for partner in found]:
                told.result()


def _attend_beside(partner: Any, most_pause: float) -> None:
    """In a thread of its own, which ends without leaving a connection."""
    try:
        _attend(partner, most_pause)
    finally:
        connection.close()


def _attend(partner: Any, most_pause: float) -> None:
    try:
        with _attending(partner):
            if partner.missing:
                _pull_missing(partner)
            if partner.old:
                _compare(partner)
    except Busy:
        return
    except Exception as error:  # whatever a partner answers: the others are asked all the same
        said = str(error) if isinstance(error, Unreachable) else type(error).__name__
        if not isinstance(error, Unreachable):
            log.exception("partner not understood", partner=partner.code)
        pause = min(PAUSE * 2 ** min(partner.asked_in_vain, 10), most_pause)
        Partner.objects.filter(pk=partner.pk).update(
            last_error=said[:500],
            asked_in_vain=partner.asked_in_vain + 1,
            spared_until=timezone.now() + timedelta(seconds=pause),
        )
        log.warning("partner not reached", partner=partner.code, reason=said)
