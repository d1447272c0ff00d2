"""docker-compose.yml without an engine: what can be checked by reading it (docs/operation.md says what was not)."""

from __future__ import annotations

import fnmatch
import os
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest
import yaml
from django.conf import settings

from singlewindow.processes import QUEUES

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]


def test_every_service_that_stays_has_a_health_check():
    assert [name for name, service in SERVICES.items() if "healthcheck" not in service] == ["migrate"]


def test_secrets_come_from_files_and_have_no_default():
    for name, service in SERVICES.items():
        for key, value in (service.get("environment") or {}).items():
            if "PASSWORD" in key or "SECRET" in key:
                assert key.endswith("_FILE"), f"{name}: {key}"
                assert str(value).removeprefix("/run/secrets/") in COMPOSE["secrets"]
    assert {secret["file"] for secret in COMPOSE["secrets"].values()} == {
        f"./secrets/{name}" for name in COMPOSE["secrets"]
    }


def _ignored(path: str) -> bool:
    """Whether the last line of .dockerignore that matches a path, or a directory it lies in, leaves it out of the image.

    (Docker's rules: patterns are of the whole path from the root, `**/` is any depth, a `!` takes back.)"""
    parts = PurePosixPath(path).parts
    above = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    ignored = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        wanted = pattern.removeprefix("!")
        names = [part.rpartition("/")[2] for part in above] if wanted.startswith("**/") else above
        if any(fnmatch.fnmatchcase(name, wanted.removeprefix("**/")) for name in names):
            ignored = not pattern.startswith("!")
    return ignored


def test_no_secret_ends_in_a_layer_of_the_image():
    """The Dockerfile copies the whole directory, beside which compose has the operator make the secrets."""
    assert "COPY . /app" in (ROOT / "Dockerfile").read_text()
    files = [secret["file"].removeprefix("./") for secret in COMPOSE["secrets"].values()]
    assert files
    for path in [*files, ".env", ".env.production", "deploy/.env", "dump.rdb", "var/redis/dump.rdb"]:
        assert _ignored(path), path
    for path in ("manage.py", "singlewindow/settings.py", "deploy/nginx.conf"):
        assert not _ignored(path), path


def test_the_workers_serve_every_queue_once():
    commands = [SERVICES[name]["command"] for name in ("intake", "worker", "delivery", "exchange")]
    served = [queue for command in commands for queue in command[command.index("-Q") + 1].split(",")]
    assert sorted(served) == sorted(settings.QUEUES) == sorted(QUEUES.split(","))


@pytest.mark.parametrize(
    "served",
    [
        "import singlewindow.wsgi",
        "from singlewindow.celery import app; app.Worker(pool='solo', quiet=True).on_start()",
    ],
)
def test_a_process_that_serves_does_not_walk_all_its_code_again_and_again(served):
    """A full collection of everything stops a process for 0.1 s and more, every few seconds under load."""
    answer = subprocess.run(
        [sys.executable, "-c", f"{served}; import gc; print(gc.get_freeze_count(), len(gc.get_objects()))"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    spared, walked = map(int, answer.stdout.split()[-2:])
    assert spared > 100_000
    assert walked < spared / 20


def _settings(**environment: str) -> subprocess.CompletedProcess[str]:
    keep = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    code = "import singlewindow.settings as s; print(s.DATABASES['default']['PASSWORD'], s.REDIS_URL)"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=keep | environment, capture_output=True, text=True, check=False
    )


def test_the_composes_environment_gives_working_settings(tmp_path):
    secrets = {}
    for name in ("SECRET_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD"):
        (tmp_path / name).write_text("a/b c\n")
        secrets[f"{name}_FILE"] = str(tmp_path / name)
    answer = _settings(
        PRODUCTION="1", POSTGRES_HOST="postgres", REDIS_HOST="redis", ALLOWED_HOSTS="window.example", **secrets
    )
    assert answer.stdout.split("\n")[0] == "a/b c redis://:a%2Fb%20c@redis/0", answer.stderr


@pytest.mark.parametrize("missing", ["SECRET_KEY"])
def test_production_does_not_start_without_its_secret(missing):
    answer = _settings(PRODUCTION="1")
    assert answer.returncode != 0
    assert missing in answer.stderr


def test_only_psycopg2_is_there():
    """Django silently prefers psycopg 3 wherever it can be imported."""
    answer = subprocess.run([sys.executable, "-c", "import psycopg"], capture_output=True, text=True, check=False)
    assert "ModuleNotFoundError" in answer.stderr


@pytest.mark.xdist_group("together")
def test_tests_of_one_group_run_in_one_process(request):
    """A release of pytest once made the groups silently void: instances of the same name then dropped each other's database."""
    if hasattr(request.config, "workerinput") and request.config.getvalue("loadgroup"):
        assert request.node.nodeid.endswith("@together")
