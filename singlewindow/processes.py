"""An instance of the system as processes: web, workers and beat, for `manage.py run`, the demo, tests and benchmarks.

In a data centre the same commands are started by its own supervisor (docker-compose.yml shows how)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg2
import redis
from psycopg2 import sql

BASE_DIR = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
#: Workers by name and the queues each takes from: what stands between a firm and "accepted", and what others are told, wait
#: for nothing else.
WORKERS = {"intake": "relay,checks", "delivery": "delivery", "worker": "default,exchange,bulk"}
QUEUES = ",".join(WORKERS.values())
READY_TIMEOUT = 60.0
STOP_TIMEOUT = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def recreate_database(url: str, name: str, *, template: str = "template1") -> str:
    """Drop database ``name`` on the server of ``url`` and create it as a copy of ``template``; returns its URL."""
    base, _, _ = url.rpartition("/")
    connection = psycopg2.connect(f"{base}/postgres")
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        cursor.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
    return f"{base}/{name}"


#: Name of the database that scratch databases are copied from; what follows it tells which migrations it holds.
TEMPLATE = "singlewindow_template_"


def migrated_template(url: str) -> str:
    """The name of a database on the server of ``url`` that holds this checkout's migrations and no data; made if it is
    not there, and those of other migrations dropped. Two processes that ask at once wait for each other."""
    digest = hashlib.sha256()
    for path in sorted(BASE_DIR.glob("*/migrations/*.py")):
        digest.update(path.relative_to(BASE_DIR).as_posix().encode() + path.read_bytes())
    name = TEMPLATE + digest.hexdigest()[:12]
    base, _, _ = url.rpartition("/")
    connection = psycopg2.connect(f"{base}/postgres")
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtext(%s))", [TEMPLATE])
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [TEMPLATE])
        known = {found for (found,) in cursor.fetchall()}
        if name not in known:
            for old in known:
                cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(old)))
            making = recreate_database(url, "singlewindow_making")
            environment = os.environ | {"DATABASE_URL": making, "DJANGO_SETTINGS_MODULE": "singlewindow.settings"}
            manage("migrate", "--verbosity", "0", environment=environment)
            cursor.execute(sql.SQL("ALTER DATABASE singlewindow_making RENAME TO {}").format(sql.Identifier(name)))
    return name


def manage(*arguments: str, environment: Mapping[str, str]) -> None:
    """Run a management command. Raises CalledProcessError."""
    subprocess.run([sys.executable, "manage.py", *arguments], cwd=BASE_DIR, env=environment, check=True)


def with_redis_database(url: str, number: int) -> str:
    """``url`` pointing at Redis database ``number``, which is emptied."""
    if url.startswith("unix://"):
        url = f"{url.partition('?')[0]}?db={number}"
    else:
        scheme, _, rest = url.partition("://")
        url = f"{scheme}://{rest.partition('/')[0]}/{number}"
    redis.Redis.from_url(url).flushdb()
    return url


#: Reads what to end on its standard input until that closes, which it does however its parent ends.
_GUARDIAN = """
import os, shutil, sys, time
watched = {}
for line in sys.stdin:
    how, _, what = line.strip().partition(" ")
    watched.pop(what, None)
    if how != "forget":
        watched[what] = how
for what, how in watched.items():
    if how != "remove":
        try:
            (os.killpg if how == "group" else os.kill)(int(what), 9 if how == "group" else 3)
        except OSError:
            pass
paths = [what for what, how in watched.items() if how == "remove"]
for _ in range(20 if paths else 0):
    time.sleep(0.25)
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)
"""


class Guardian:
    """A small process that ends what this one started, should this one be killed and have no time to."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.owner = 0

    def tell(self, how: str, what: object) -> None:
        """``group`` PID: kill the process group; ``server`` PID: an immediate shutdown; ``remove`` PATH; ``forget``."""
        if self.process is None or self.owner != os.getpid():
            self.owner = os.getpid()
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _GUARDIAN], stdin=subprocess.PIPE, start_new_session=True, cwd="/"
            )
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{how} {what}\n".encode())
            self.process.stdin.flush()


guardian = Guardian()


class Instance:
    """Web, workers and beat on one database. A context manager: leaves nothing running."""

    def __init__(
        self,
        *,
        port: int | None = None,
        environment: Mapping[str, str] | None = None,
        logs: Path | None = None,
        web_processes: int = 1,
        worker_processes: int = 2,
        worker: bool = True,
        migrated: bool = False,
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "singlewindow.settings",
            "PUBLIC_URL": self.url,
            **(environment or {}),
        }
        self.logs = logs or BASE_DIR / "var" / "log"
        self.web_processes = web_processes
        self.worker_processes = worker_processes
        self.with_worker = worker
        self.migrated = migrated
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def commands(self) -> dict[str, list[str]]:
        celery = [str(BIN / "celery"), "-A", "singlewindow"]
        web = [
            str(BIN / "granian"), "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(self.port),
            "--workers", str(self.web_processes), "--blocking-threads", "8", "--workers-kill-timeout", "10",
            "--no-ws", "--log-level", "warning", "singlewindow.wsgi:application",
        ]  # fmt: skip
        if not self.with_worker:
            return {"web": web}
        return {
            "web": web,
            **{
                name: [
                    *celery, "worker", "-n", f"{name}@%h", "-Q", queues,
                    # Under a stream the relay keeps one process of the intake busy; one delivers, and one takes the hints
                    # that come meanwhile.
                    "-c", str(2 if name == "delivery" else self.worker_processes + (name == "intake")),
                    "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "warning",
                ]
                for name, queues in WORKERS.items()
            },
            "beat": [*celery, "beat", "-s", str(self.logs / "beat"), "--pidfile", "", "-l", "warning"],
        }  # fmt: skip

    def manage(self, *arguments: str) -> None:
        """Run a management command on this instance's database. Raises CalledProcessError."""
        manage(*arguments, environment=self.environment)

    def start_process(self, name: str) -> subprocess.Popen[bytes]:
        self.logs.mkdir(parents=True, exist_ok=True)
        with (self.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                self.commands()[name],
                cwd=BASE_DIR,
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.processes[name] = process
        guardian.tell("group", process.pid)
        return process

    def start(self) -> None:
        if not self.migrated:
            self.manage("migrate", "--verbosity", "0")
        for name in self.commands():
            self.start_process(name)
        self.wait_ready()

    def wait_ready(self, timeout: float = READY_TIMEOUT) -> None:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if (process := self.processes.get("web")) and process.poll() is not None:
                break
            with (
                contextlib.suppress(urllib.error.URLError, OSError),
                urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer,  # noqa: S310
            ):
                if answer.status == 200:
                    return
            time.sleep(0.05)
        tail = (self.logs / "web.log").read_text(errors="replace")[-3000:]
        raise RuntimeError(f"{self.url} did not get ready\n{tail}")

    def kill(self, name: str) -> None:
        """SIGKILL a process and its children, as a crash would."""
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        guardian.tell("forget", process.pid)

    def stop(self) -> None:
        """End everything in an orderly way: requests and tasks at work are finished."""
        for process in self.processes.values():
            process.terminate()
        deadline = time.monotonic() + STOP_TIMEOUT
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            guardian.tell("forget", process.pid)
        self.processes.clear()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@contextlib.contextmanager
def scratch_instance(name: str, *, redis_database: int, **options: object) -> Iterator[Instance]:
    """An instance on a database of its own, made anew (demo, benchmarks, tests of processes)."""
    from singlewindow import services

    server = os.environ.get("DATABASE_URL") or services.postgres_url()
    database = recreate_database(server, f"singlewindow_{name}", template=migrated_template(server))
    broker = with_redis_database(os.environ.get("REDIS_URL") or services.redis_url(), redis_database)
    environment = {"DATABASE_URL": database, "REDIS_URL": broker, "CELERY_BROKER_URL": ""}
    given: dict[str, object] = {"migrated": True, "logs": BASE_DIR / "var" / "log" / name, **options}
    given["environment"] = environment | dict(options.get("environment") or {})  # type: ignore[call-overload]
    with Instance(**given) as instance:  # type: ignore[arg-type]
        yield instance
