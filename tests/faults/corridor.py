"""Several provinces on one machine: an instance each, with its own database and processes, all on loopback, every push
through the fault proxy. Things are broken by a seeded script; at the end everybody must know what they may know."""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
import redis

from singlewindow.processes import BASE_DIR, BIN, QUEUES, Instance
from tests.faults.proxy import FaultProxy

#: GB/T 2260 codes of the corridor's members.
CODES = (
    "500000", "450000", "520000", "620000", "630000", "650000", "530000", "640000", "610000", "510000", "150000",
    "540000", "460000", "440800",
)  # fmt: skip
SECRET = "MARKED-SECRET"
TERMS = {
    "kinds": ["declaration", "bill", "fee_list"],
    "types": ["declaration.*", "bill.*", "fee_list.*"],
    "fields": {"*": ["state", "n", "port"]},
}
#: The first two share less with each other than the rest: nothing about bills.
NARROW = {"kinds": ["declaration", "fee_list"], "types": ["declaration.*", "fee_list.*"], "fields": {"*": ["n"]}}
EVENTS = {
    "declaration": ["lodged", "accepted", "released", "cleared"],
    "bill": ["issued", "endorsed", "leg_departed", "accomplished"],
    "fee_list": ["published"],
}


class Member(Instance):
    """One worker process group with beat inside, to start quicker."""

    def commands(self) -> dict[str, list[str]]:
        worker = [
            str(BIN / "celery"), "-A", "singlewindow", "worker", "-B", "-s", str(self.logs / "beat"), "-Q", QUEUES,
            "-c", "2", "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "warning",
        ]  # fmt: skip
        return {"web": super().commands()["web"], "worker": worker}


@dataclass
class Fact:
    kind: str
    number: str
    sequence: int
    type: str
    n: int


@dataclass
class Corridor:
    size: int
    seed: int
    home: Path
    members: dict[str, Member] = field(default_factory=dict)
    databases: dict[str, str] = field(default_factory=dict)
    #: what each instance acknowledged
    facts: dict[str, list[Fact]] = field(default_factory=dict)
    tally: Counter[str] = field(default_factory=Counter)

    @property
    def codes(self) -> tuple[str, ...]:
        return CODES[: self.size]

    # -- services -----------------------------------------------------------------------------------------------------

    def _services(self, command: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "singlewindow.services", command],
            cwd=BASE_DIR, env=self.environment, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def start(self) -> None:
        self.home.mkdir(mode=0o755, parents=True)
        self.environment = {
            name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")
        } | {"VAR_DIR": str(self.home), "PYTHONPATH": str(BASE_DIR)}
        self._services("start")
        code = "from singlewindow import services as s; print(s.postgres_url()); print(s.redis_url())"
        out = subprocess.run(
            [sys.executable, "-c", code], cwd=BASE_DIR, env=self.environment, check=True, capture_output=True, text=True
        ).stdout.split()
        self.postgres, self.redis = out[0], out[1].partition("?")[0]
        self.proxy = FaultProxy(self.seed)
        self._make_databases()
        for nth, code_ in enumerate(self.codes):
            environment = self.environment | {
                "DATABASE_URL": self.databases[code_],
                "REDIS_URL": f"{self.redis}?db={nth}",
                "CELERY_BROKER_URL": "",
                "PROVINCE": code_,
                "EXCHANGE_ALLOW_NETWORKS": "127.0.0.1/32",
                "EXCHANGE_COMPARE_EVERY": "6",
                "EXCHANGE_SCHEDULE": ",".join(["0.5", "1"] + ["2"] * 200),
                "EXCHANGE_SPARE_MOST": "2",
                "VAR_DIR": str(self.home / code_),
                "LOG_LEVEL": "WARNING",
            }
            self.members[code_] = Member(environment=environment, logs=self.home / code_ / "log")
            self.facts[code_] = []
        self.proxy.targets = {code_: member.url for code_, member in self.members.items()}
        self._connect()
        for member in self.members.values():
            for name in member.commands():
                member.start_process(name)
        for member in self.members.values():
            member.wait_ready(240)

    def _sql(self, url: str, query: str, values: Any = None) -> list[tuple]:
        connection = psycopg2.connect(url)
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def _make_databases(self) -> None:
        """Migrated once; the others are copies."""
        base = self.postgres.rpartition("/")[0]
        for code in self.codes:
            self.databases[code] = f"{base}/province_{code}"
        first = self.codes[0]
        self._sql(f"{base}/postgres", f"CREATE DATABASE province_{first}")
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
            cwd=BASE_DIR, env=self.environment | {"DATABASE_URL": self.databases[first]}, check=True,
        )  # fmt: skip
        for code in self.codes[1:]:
            self._sql(f"{base}/postgres", f"CREATE DATABASE province_{code} TEMPLATE province_{first}")

    def _connect(self) -> None:
        keys = {(a, b): "whsec_" + b64encode(secrets.token_bytes(32)).decode() for a in self.codes for b in self.codes}
        for code, member in self.members.items():
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
            file = self.home / f"{code}.json"
            file.write_text(json.dumps(given))
            member.manage("connect_partners", str(file))

    def terms(self, source: str, target: str) -> dict[str, Any]:
        return NARROW if {source, target} == set(self.codes[:2]) else TERMS

    # -- facts --------------------------------------------------------------------------------------------------------

    def say(self, code: str, generator: random.Random) -> None:
        """One fact, through the log's own function, acknowledged by a commit or not a fact."""
        kind = generator.choice(["declaration", "declaration", "bill", "fee_list"])
        number = f"{kind[0].upper()}{code}-{generator.randrange(8 if kind != 'fee_list' else 3):03d}"
        n = len(self.facts[code]) + 1
        event_type = f"{kind}.{generator.choice(EVENTS[kind])}"
        data = {"state": event_type, "n": n, "port": "EXAMPLE", "price": SECRET, "consignee": {"name": SECRET}}
        try:
            connection = psycopg2.connect(self.databases[code], connect_timeout=2)
            with contextlib.closing(connection), connection, connection.cursor() as cursor:
                cursor.execute(
                    "SELECT o_sequence FROM events_append(%s, %s, %s, 'faults', '{}', %s::jsonb, NULL)",
                    [event_type, kind, number, json.dumps(data)],
                )
                sequence = cursor.fetchone()[0]
        except psycopg2.Error:
            self.tally["not acknowledged"] += 1
            return
        self.facts[code].append(Fact(kind, number, sequence, event_type, n))

    # -- faults -------------------------------------------------------------------------------------------------------

    def kill(self, code: str, process: str, *, shift: float | None = None) -> None:
        member = self.members[code]
        if process in member.processes:
            member.kill(process)
        if shift is not None:
            member.environment["EXCHANGE_CLOCK_SHIFT"] = str(shift)
        member.start_process(process)
        self.tally[f"{process} killed" if shift is None else "clock shifted"] += 1

    def stop_postgres(self, seconds: float) -> None:
        pid = int((self.home / "postgres" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)  # at once, without a checkpoint: recovery from the log
        time.sleep(seconds)
        self._services("start")
        self.tally["postgresql stopped"] += 1

    def stop_redis(self, seconds: float) -> None:
        os.kill(int((self.home / "valkey.pid").read_text()), signal.SIGKILL)
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
            self.tally["disk full"] += 1
        else:
            self._sql(self.databases[code], "DROP TRIGGER IF EXISTS faults_full ON exchange_inboxmessage")

    def trouble(self, generator: random.Random) -> None:
        """One thing goes wrong."""
        code = generator.choice(self.codes)
        fault = generator.choice(["web", "web", "worker", "worker", "redis-empty", "disk", "clock", "gone"])
        if fault in ("web", "worker"):
            self.kill(code, fault)
        elif fault == "redis-empty":
            self.empty_redis()
        elif fault == "disk":
            self.fill_disk(code, True)
        elif fault == "clock":
            self.kill(code, "web", shift=generator.choice([-420.0, -120.0, 120.0, 420.0]))
        elif fault == "gone":
            self.proxy.gone.add((code, generator.choice([other for other in self.codes if other != code])))

    def heal(self) -> None:
        """The faults end. Nobody touches anything else."""
        self.proxy.faulty = False
        self.proxy.gone.clear()
        for code, member in self.members.items():
            self.fill_disk(code, False)
            if member.environment.pop("EXCHANGE_CLOCK_SHIFT", None):
                self.kill(code, "web")

    def run(self, seconds: float, *, rate: float, every: float) -> None:
        """Facts come in while things go wrong."""
        facts, faults = random.Random(f"{self.seed}/facts"), random.Random(f"{self.seed}/faults")
        self.proxy.faulty = True
        started = time.monotonic()
        next_fault, stopped = started + every, {"postgresql": False, "redis": False}
        while (now := time.monotonic()) - started < seconds:
            self.say(facts.choice(self.codes), facts)
            if now >= next_fault:
                next_fault = now + every
                self.trouble(faults)
            if not stopped["postgresql"] and now - started > seconds * 0.4:
                stopped["postgresql"] = True
                self.stop_postgres(1.5)
            if not stopped["redis"] and now - started > seconds * 0.65:
                stopped["redis"] = True
                self.stop_redis(1.5)
            time.sleep(1 / rate)
        self.heal()

    # -- the end ------------------------------------------------------------------------------------------------------

    def expected(self, source: str, target: str) -> dict[tuple[str, str, int], dict[str, Any]]:
        terms = self.terms(source, target)
        names = terms["fields"]["*"]
        return {
            (fact.kind, fact.number, fact.sequence): {
                name: value
                for name, value in {"state": fact.type, "n": fact.n, "port": "EXAMPLE"}.items()
                if name in names
            }
            for fact in self.facts[source]
            if fact.kind in terms["kinds"]
        }

    def differences(self) -> list[str]:
        """What is not yet (or should not be) where it is; empty when all agree."""
        found = []
        for target in self.codes:
            try:
                rows = self._sql(
                    self.databases[target],
                    "SELECT p.code, e.subject_kind, e.subject_number, e.sequence, e.data FROM exchange_mirrorevent e"
                    " JOIN exchange_partner p ON p.id = e.partner_id",
                )
                broken = self._sql(
                    self.databases[target],
                    "SELECT p.code, m.subject_number FROM exchange_mirror m JOIN exchange_partner p"
                    " ON p.id = m.partner_id WHERE m.missing > 0 OR m.count <> (SELECT count(*)"
                    " FROM exchange_mirrorevent e WHERE e.partner_id = m.partner_id AND e.subject_kind = m.subject_kind"
                    " AND e.subject_number = m.subject_number)",
                )
            except psycopg2.Error as error:
                return [f"{target}: {error}"]
            held: dict[str, dict[tuple[str, str, int], Any]] = {}
            for code, kind, number, sequence, data in rows:
                held.setdefault(code, {})[kind, number, sequence] = data
            for source in self.codes:
                if source != target:
                    wanted, got = self.expected(source, target), held.get(source, {})
                    if wanted != got:
                        wrong = sum(1 for key in wanted.keys() & got.keys() if wanted[key] != got[key])
                        found.append(
                            f"{source} -> {target}: {len(wanted.keys() - got.keys())} missing,"
                            f" {len(got.keys() - wanted.keys())} too many, {wrong} wrong"
                        )
            found += [f"{target}: {code}/{number} is not whole" for code, number in broken]
        return found

    def digests(self, table: str, at: str, partner: str) -> list[tuple]:
        return self._sql(
            self.databases[at],
            "SELECT subject_kind, day, subject_number, count, sequence, last_id::text"
            f" FROM {table} s JOIN exchange_partner p ON p.id = s.partner_id WHERE p.code = %s ORDER BY 1, 2, 3",
            [partner],
        )

    def digests_agree(self) -> bool:
        return all(
            self.digests("exchange_sharedsubject", source, target) == self.digests("exchange_mirror", target, source)
            for source in self.codes
            for target in self.codes
            if source != target
        )

    def leaks(self) -> list[str]:
        """Places that hold what was never to leave."""
        found = []
        for code in self.codes:
            for table in ("mirror", "mirrorevent", "payload", "inboxmessage", "share", "sharedsubject"):
                text = "convert_from(body, 'UTF8')" if table == "inboxmessage" else f"{table}::text"
                query = f"SELECT count(*) FROM exchange_{table} {table} WHERE {text} LIKE %s"
                if self._sql(self.databases[code], query, [f"%{SECRET}%"])[0][0]:
                    found.append(f"{code}: {table}")
        return found

    def wait_for_agreement(self, timeout: float) -> float:
        """Seconds until everything is where it should be. Raises AssertionError."""
        started = time.monotonic()
        while time.monotonic() - started < timeout:
            if not self.differences() and self.digests_agree():
                return round(time.monotonic() - started, 1)
            time.sleep(1)
        raise AssertionError(f"seed {self.seed}: no agreement after {timeout:.0f} s: {self.differences()[:8]}")

    def result(self, to_agreement: float) -> dict[str, Any]:
        def total(query: str) -> int:
            return sum(int(self._sql(self.databases[code], query)[0][0] or 0) for code in self.codes)

        return {
            "seed": self.seed,
            "instances": self.size,
            "events": sum(map(len, self.facts.values())),
            "shared": total("SELECT count(*) FROM exchange_mirrorevent"),
            "faults": dict(sorted((self.tally + self.proxy.tally).items())),
            "tries": total("SELECT count(*) FROM exchange_attempt"),
            "refused": total("SELECT sum(count) FROM exchange_refusal"),
            "repaired": total("SELECT sum(repaired) FROM exchange_digestreport WHERE made_by = 'own'"),
            "seconds_to_agreement": to_agreement,
        }

    def stop(self) -> None:
        for member in self.members.values():
            for name in list(member.processes):
                with contextlib.suppress(Exception):
                    member.kill(name)
        with contextlib.suppress(Exception):
            self.proxy.close()
        self._services("stop")
        if not os.environ.get("FAULTS_KEEP"):
            shutil.rmtree(self.home, ignore_errors=True)


@contextlib.contextmanager
def corridor(size: int, seed: int) -> Any:
    made = Corridor(size=size, seed=seed, home=Path(f"/tmp/corridor-{os.getpid()}-{seed}"))  # noqa: S108
    try:
        made.start()
        yield made
    finally:
        made.stop()
