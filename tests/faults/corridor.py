"""Several provinces on one machine: an instance each, with its own database and processes, all on loopback, every push
through the fault proxy. Things are broken by a seeded script; at the end everybody must know what they may know."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psycopg2
import redis

from singlewindow import services
from singlewindow.processes import BASE_DIR, BIN, QUEUES, Instance, guardian, migrated_template
from tests.faults.agreement import SECRET, Agreement
from tests.faults.proxy import FaultProxy

#: GB/T 2260 codes of the corridor's members.
CODES = (
    "500000", "450000", "520000", "620000", "630000", "650000", "530000", "640000", "610000", "510000", "150000",
    "540000", "460000", "440800",
)  # fmt: skip
TERMS = {
    "kinds": ["declaration", "bill", "fee_list"],
    "types": ["declaration.*", "bill.*", "fee_list.*"],
    "fields": {"*": ["state", "n", "port"]},
}
#: The first two share less with each other than the rest: nothing about bills.
NARROW = {"kinds": ["declaration", "fee_list"], "types": ["declaration.*", "fee_list.*"], "fields": {"*": ["n"]}}
#: Leave logs and databases behind, for whoever looks for a cause.
KEEP = bool(os.environ.get("FAULTS_KEEP"))
#: Share of the facts that come by a command over HTTP; the others go straight into the log.
REAL = 0.4
#: What goes wrong between facts, with how often.
TROUBLES = {"web": 2, "worker": 2, "redis-empty": 1, "disk": 1, "clock": 1, "gone": 1, "wipe": 1}
EVENTS = {
    "declaration": ["lodged", "accepted", "released", "cleared"],
    "bill": ["issued", "endorsed", "leg_departed", "delivered"],
    "fee_list": ["published"],
}


class Member(Instance):
    """Web, and one worker process whose tasks are threads, with beat inside: many instances fit on a small machine."""

    def commands(self) -> dict[str, list[str]]:
        worker = [
            str(BIN / "celery"), "-A", "singlewindow", "worker", "-B", "-s", str(self.logs / "beat"), "-Q", QUEUES,
            "-P", "threads", "-c", "6", "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "warning",
        ]  # fmt: skip
        return {"web": super().commands()["web"], "worker": worker}


#: What a member said and was answered: kind, number, type of the event that says so, and which fact it was where the event
#: tells (of a command's, number and type do).
Acknowledged = tuple[str, str, str, int | None]


@dataclass
class Corridor(Agreement):
    size: int
    seed: int
    home: Path
    members: dict[str, Member] = field(default_factory=dict)
    databases: dict[str, str] = field(default_factory=dict)
    acknowledged: dict[str, list[Acknowledged]] = field(default_factory=dict)
    tally: Counter[str] = field(default_factory=Counter)
    #: kind -> how many commands over HTTP were "acknowledged", how many answered with 5xx ("failed"), and how many "not" at all
    commands: dict[str, Counter[str]] = field(default_factory=lambda: {kind: Counter() for kind in EVENTS})
    #: Refused although nothing was wrong with them: a fault of the script.
    refusals: list[str] = field(default_factory=list)
    #: Members whose disk is full.
    full: set[str] = field(default_factory=set)
    #: How long each part took.
    seconds: dict[str, float] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)
    hands_on: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.supervisor = threading.Thread(target=self._supervise, name="supervisor", daemon=True)

    @property
    def codes(self) -> tuple[str, ...]:
        return CODES[: self.size]

    # -- services -----------------------------------------------------------------------------------------------------

    def _services(self, command: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "singlewindow.services", command],
            cwd=BASE_DIR, env=self.environment, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        if command == "start":
            guardian.tell("server", self._pid_of_postgres())
            guardian.tell("group", self._pid_of_redis())

    def _pid_of_postgres(self) -> int:
        return int((self.postgres_home / "postmaster.pid").read_text().split()[0])

    def _pid_of_redis(self) -> int:
        return int((self.home / "valkey.pid").read_text())

    def start(self) -> None:
        started = self.began = time.monotonic()
        self.home.mkdir(mode=0o755, parents=True)
        if not KEEP:
            guardian.tell("remove", self.home)
        self.environment = {
            name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")
        } | {"VAR_DIR": str(self.home), "PYTHONPATH": str(BASE_DIR)}
        code = (
            "from singlewindow import services as s; print(s.postgres_url()); print(s.redis_url());"
            " print(s.Postgres().data)"
        )
        out = subprocess.run(
            [sys.executable, "-c", code], cwd=BASE_DIR, env=self.environment, check=True, capture_output=True, text=True
        ).stdout.split()
        self.postgres, self.redis, self.postgres_home = out[0], out[1].partition("?")[0], Path(out[2])
        if not KEEP:
            guardian.tell("remove", self.postgres_home)
        self._services("start")
        self.proxy = FaultProxy(self.seed)
        base = self.postgres.rpartition("/")[0]
        for nth, code_ in enumerate(self.codes):
            self.databases[code_] = f"{base}/province_{code_}"
            environment = self.environment | {
                "DATABASE_URL": self.databases[code_],
                "REDIS_URL": f"{self.redis}?db={nth}",
                "CELERY_BROKER_URL": "",
                "PROVINCE": code_,
                "EXCHANGE_ALLOW_NETWORKS": "127.0.0.1/32",
                "EXCHANGE_COMPARE_EVERY": str(2 * self.size),
                "EXCHANGE_SCHEDULE": ",".join(["0.5", "1"] + ["2"] * 200),
                "EXCHANGE_SPARE_MOST": "2",
                "VAR_DIR": str(self.home / code_),
                "LOG_LEVEL": "WARNING",
            }
            self.members[code_] = Member(environment=environment, logs=self.home / code_ / "log")
            self.acknowledged[code_] = []
        self.proxy.targets = {code_: member.url for code_, member in self.members.items()}
        self._write_partners()
        self._sql(f"{base}/postgres", f"CREATE DATABASE province_{self.codes[0]}")
        self._restore()
        subprocess.run(
            [sys.executable, "-m", "tests.faults.prepare", str(self.home), *self.codes],
            cwd=BASE_DIR, env=self.members[self.codes[0]].environment, check=True,
        )  # fmt: skip
        self.cast = json.loads((self.home / "cast.json").read_text())
        for member in self.members.values():
            for name in member.commands():
                member.start_process(name)
        for member in self.members.values():
            member.wait_ready(240)
        self.supervisor.start()
        self._tell(f"{self.size} instances are ready")
        self.seconds["start"] = round(time.monotonic() - started, 1)

    def _restore(self) -> None:
        """Migrations take long: where the tests' own server runs, its migrated template is copied over. Where none of the same
        release runs, prepare migrates."""
        outside = os.environ.get("DATABASE_URL") or services.postgres_url()
        release = "SHOW server_version_num"
        try:
            if self._sql(outside, release) != self._sql(self.databases[self.codes[0]], release):
                return
            template = migrated_template(outside)
        except psycopg2.OperationalError:
            return
        programs = services.Postgres().install / "bin"
        source = f"{outside.rpartition('/')[0]}/{template}"
        dump = [programs / "pg_dump", "--no-owner", "--no-privileges", source]
        with subprocess.Popen(dump, stdout=subprocess.PIPE) as dumping:
            subprocess.run(
                [programs / "psql", "-q", "-v", "ON_ERROR_STOP=1", self.databases[self.codes[0]]],
                stdin=dumping.stdout, stdout=subprocess.DEVNULL, check=True,
            )  # fmt: skip
        assert dumping.returncode == 0

    def _sql(self, url: str, query: str, values: Any = None) -> list[tuple]:
        connection = psycopg2.connect(url)
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def _write_partners(self) -> None:
        keys = {(a, b): "whsec_" + b64encode(secrets.token_bytes(32)).decode() for a in self.codes for b in self.codes}
        for code in self.codes:
            given = [
                {
                    "code": other,
                    "name": f"Province {other}",
                    "base_url": f"{self.members[other].url}/api/v1",
                    "client_id": f"{code}-at-{other}",
                    "client_secret": f"secret-of-{code}-at-{other}",
                    "their_client_id": f"{other}-at-{code}",
                    "their_client_secret": f"secret-of-{other}-at-{code}",
                    "secret": keys[other, code],
                    "endpoint": {"url": self.proxy.url(code, other), "secret": keys[code, other], "timeout": 3},
                    "out": self.terms(code, other),
                    "in": TERMS,
                }
                for other in self.codes
                if other != code
            ]
            (self.home / f"{code}.json").write_text(json.dumps(given))

    def terms(self, source: str, target: str) -> dict[str, Any]:
        return NARROW if {source, target} == set(self.codes[:2]) else TERMS

    def _supervise(self) -> None:
        """What a data centre's supervisor does: a process that ended is started again."""
        while not self.over.wait(1.0):
            for member in self.members.values():
                with self.hands_on:
                    for name, process in list(member.processes.items()):
                        if process.poll() is not None and not self.over.is_set():
                            log = (member.logs / f"{name}.log").read_text(errors="replace")
                            self._tell(f"{member.environment['PROVINCE']}: {name} ended by itself\n{log[-3000:]}")
                            member.kill(name)
                            member.start_process(name)
                            self.tally[f"{name} ended by itself"] += 1

    # -- facts --------------------------------------------------------------------------------------------------------

    def say(self, code: str, kind: str, nth: int, generator: random.Random) -> None:
        """One fact at one member: acknowledged by an answer of 2xx or a commit, or not a fact."""
        by_command = generator.random() < REAL
        try:
            if by_command:
                fact: Acknowledged = (kind, *getattr(self, f"_{kind}")(code, nth), None)
            else:
                fact = self._append(code, kind, nth, generator)
        except (OSError, HTTPException, psycopg2.Error) as error:
            self.tally["not acknowledged"] += 1
            answered = isinstance(error, urllib.error.HTTPError)
            self.commands[kind]["failed" if answered else "not"] += by_command
            if isinstance(error, urllib.error.HTTPError) and error.code < 500:
                self.refusals.append(f"{kind} at {code}: {error.code} {error.read()[:500]!r}")
            return
        self.acknowledged[code].append(fact)
        self.commands[kind]["acknowledged"] += by_command
        self.tally[f"{fact[2]} acknowledged"] += 1

    def _append(self, code: str, kind: str, nth: int, generator: random.Random) -> Acknowledged:
        """Through the log's own function: many events of a few subjects, so that order and gaps have something to do."""
        number = f"{kind[0].upper()}{code}-{generator.randrange(8 if kind != 'fee_list' else 3):03d}"
        event_type = f"{kind}.{generator.choice(EVENTS[kind])}"
        data = {"state": event_type, "n": nth, "port": "EXAMPLE", "price": SECRET, "consignee": {"name": SECRET}}
        query = "SELECT o_sequence FROM events_append(%s, %s, %s, 'faults', '{}', %s::jsonb, NULL)"
        self._sql(self.databases[code], query, [event_type, kind, number, json.dumps(data)])
        return kind, number, event_type, nth

    def _post(self, code: str, kind: str, path: str, body: Any) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310
            f"{self.members[code].url}/api/v1/{path}",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.cast[kind]['token']}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            made: dict[str, Any] = json.load(answer)
            return made

    # A command each: the number of its subject, and the type of the event that says it was done.

    def _declaration(self, code: str, nth: int) -> tuple[str, str]:
        given = copy.deepcopy(self.cast["declaration"]["body"])
        given |= {
            "client_reference": f"CQ{nth:016d}",
            "transport_document_number": f"BL{nth}",
            "contract_number": SECRET,
            "overseas_consignor_foreign_name": SECRET,
        }
        given["goods_items"][0]["goods_name"] = SECRET
        return self._post(code, "declaration", "declarations", given)["unified_number"], "declaration.lodged"

    def _bill(self, code: str, nth: int) -> tuple[str, str]:
        given = copy.deepcopy(self.cast["bill"]["body"])
        given["parties"]["operator"]["name"] = SECRET
        number = self._post(code, "bill", "bills", given)["number"]
        self._post(code, "bill", f"bills/{number}/acts", {"act": "ISSUE"})
        return number, "bill.issued"

    def _fee_list(self, code: str, nth: int) -> tuple[str, str]:
        given = self.cast["fee_list"]["body"] | {"area": f"{nth}", "complaint_telephone": SECRET}
        number = self._post(code, "fee_list", "port-fees/lists", given)["number"]
        self._post(code, "fee_list", f"port-fees/lists/{number}/check", {})
        self._post(code, "fee_list", f"port-fees/lists/{number}/publish", {})
        return number, "fee_list.published"

    # -- faults -------------------------------------------------------------------------------------------------------

    def kill(self, code: str, process: str, *, shift: float | None = None) -> None:
        member = self.members[code]
        with self.hands_on:
            member.kill(process)
            if shift is not None:
                member.environment["EXCHANGE_CLOCK_SHIFT"] = str(shift)
            member.start_process(process)
        self.tally[f"{process} killed" if shift is None else "clock shifted"] += 1

    def stop_postgres(self, seconds: float) -> None:
        os.kill(self._pid_of_postgres(), signal.SIGQUIT)  # at once, without a checkpoint: recovery from the log
        time.sleep(seconds)
        self._services("start")
        self.tally["postgresql stopped"] += 1

    def stop_redis(self, seconds: float) -> None:
        os.kill(self._pid_of_redis(), signal.SIGKILL)
        time.sleep(seconds)
        self._services("start")
        self.tally["redis stopped"] += 1

    def empty_redis(self) -> None:
        with contextlib.suppress(redis.RedisError):
            redis.Redis.from_url(f"{self.redis}?db=0").flushall()
        self.tally["redis emptied"] += 1

    def fill_disk(self, code: str, full: bool) -> None:
        """Every write of the inbox fails the way a full disk makes it fail (SQLSTATE 53100)."""
        if full:
            self._sql(
                self.databases[code],
                "CREATE OR REPLACE FUNCTION faults_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;"
                " CREATE TRIGGER faults_full BEFORE INSERT ON exchange_inboxmessage EXECUTE FUNCTION faults_full()",
            )
            self.full.add(code)
            self.tally["disk full"] += 1
        else:
            self.full.discard(code)
            self._sql(self.databases[code], "DROP TRIGGER IF EXISTS faults_full ON exchange_inboxmessage")

    def wipe(self, code: str, partner: str) -> None:
        """By accident, all that a member holds of another is deleted."""
        where = "WHERE partner_id = (SELECT id FROM exchange_partner WHERE code = %s)"
        for table in ("exchange_mirrorevent", "exchange_mirror"):
            self._sql(self.databases[code], f"DELETE FROM {table} {where}", [partner])
        self.tally["mirror wiped"] += 1

    def draw(self, generator: random.Random, times: int) -> list[str]:
        """What goes wrong, in order: everything once before anything comes again."""
        drawn: list[str] = []
        while len(drawn) < times:
            once = list(TROUBLES)
            generator.shuffle(once)
            more = [name for name, often in TROUBLES.items() for _ in range(often - 1)]
            generator.shuffle(more)
            drawn += once + more
        return drawn[:times]

    def trouble(self, fault: str, generator: random.Random) -> None:
        """One thing goes wrong; a full disk or a lost way that is drawn again is whole again."""
        code = generator.choice(self.codes)
        other = generator.choice([one for one in self.codes if one != code])
        if fault in ("web", "worker"):
            self.kill(code, fault)
        elif fault == "redis-empty":
            self.empty_redis()
        elif fault == "disk":
            self.fill_disk(code, code not in self.full)
        elif fault == "clock":
            self.kill(code, generator.choice(["web", "worker"]), shift=generator.choice([-420.0, -120.0, 120.0, 420.0]))
        elif fault == "gone":
            self.proxy.gone ^= {(code, other)}
        elif fault == "wipe":
            self.wipe(code, other)

    def heal(self) -> None:
        """The faults end. Nobody touches anything else."""
        self.proxy.faulty = False
        self.proxy.gone.clear()
        for code, member in self.members.items():
            self.fill_disk(code, False)
            if member.environment.pop("EXCHANGE_CLOCK_SHIFT", None):
                self.kill(code, "web")
                self.kill(code, "worker")

    def run(self, facts: int, *, rate: float, troubles: int) -> None:
        """Facts come in while things go wrong. What happens, and between which facts, is drawn from the seed alone."""
        said, broken = random.Random(f"{self.seed}/facts"), random.Random(f"{self.seed}/faults")
        self.proxy.faulty = True
        coming = self.draw(broken, troubles)
        started, told = time.monotonic(), []
        with ThreadPoolExecutor(4, "facts") as hands:
            for nth in range(1, facts + 1):
                kind = said.choice(["declaration", "declaration", "bill", "fee_list"])
                told.append(hands.submit(self.say, said.choice(self.codes), kind, nth, random.Random(said.random())))
                if coming and nth % max(1, facts // (troubles + 1)) == 0:
                    self.trouble(coming.pop(0), broken)
                if nth == facts * 4 // 10:
                    self.stop_postgres(1.5)
                if nth == facts * 65 // 100:
                    self.stop_redis(1.5)
                if nth % max(1, facts // 10) == 0:
                    waiting = sum(not one.done() for one in told)
                    self._tell(f"{nth} of {facts} facts, {waiting} of them waiting to be said")
                time.sleep(max(0.0, started + nth / rate - time.monotonic()))
        for one in told:
            one.result()
        self.heal()
        self.seconds["trouble"] = round(time.monotonic() - started, 1)

    def _tell(self, news: str) -> None:
        print(f"{time.monotonic() - self.began:6.0f} s  {news}", flush=True)

    def stop(self) -> None:
        self.over.set()
        if self.supervisor.is_alive():
            self.supervisor.join()
        for member in self.members.values():
            for name in list(member.processes):
                with contextlib.suppress(Exception):
                    member.kill(name)
        with contextlib.suppress(Exception):
            self.proxy.close()
        self._services("stop")
        if not KEEP:
            shutil.rmtree(self.home, ignore_errors=True)


@contextlib.contextmanager
def corridor(size: int, seed: int) -> Any:
    made = Corridor(size=size, seed=seed, home=Path(tempfile.gettempdir()) / f"corridor-{os.getpid()}-{seed}")
    try:
        made.start()
        yield made
    finally:
        made.stop()
