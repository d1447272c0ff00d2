"""Scratch databases for benchmarks: migrated once, copied for each; and filling tables fast."""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg2
from psycopg2 import sql

ROOT = Path(__file__).resolve().parent.parent


def environment(name: str) -> dict[str, str]:
    """The environment of a process that works on a migrated, empty database called ``name``, made anew."""
    from singlewindow import services

    server = os.environ.get("DATABASE_URL") or services.postgres_url()
    url = _named(server, name)
    template = _template(server)
    with _connected(_named(server, "postgres")) as cursor:
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        cursor.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
    return {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "singlewindow.settings"}


def _named(server: str, name: str) -> str:
    return f"{server.rpartition('/')[0]}/{name}"


def drop(name: str) -> None:
    """A million rows take room: the next benchmark gets it back."""
    from singlewindow import services

    with _connected(_named(os.environ.get("DATABASE_URL") or services.postgres_url(), "postgres")) as cursor:
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _template(server: str) -> str:
    """The database that all migrations of this checkout, as they are now, were run on."""
    digest = hashlib.sha256()
    for path in sorted(ROOT.glob("*/migrations/*.py")):
        digest.update(path.read_bytes())
    name = f"bench_template_{digest.hexdigest()[:12]}"
    with _connected(_named(server, "postgres")) as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE 'bench_template_%'")
        found = {row[0] for row in cursor.fetchall()}
        if name in found:
            return name
        for old in found:
            cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(old)))
        cursor.execute("DROP DATABASE IF EXISTS bench_unfinished WITH (FORCE)")
        cursor.execute("CREATE DATABASE bench_unfinished")
        url = _named(server, "bench_unfinished")
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
            cwd=ROOT, env={**os.environ, "DATABASE_URL": url}, check=True,
        )  # fmt: skip
        cursor.execute(sql.SQL("ALTER DATABASE bench_unfinished RENAME TO {}").format(sql.Identifier(name)))
    return name


@contextlib.contextmanager
def _connected(url: str) -> Iterator[psycopg2.extensions.cursor]:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        yield cursor


class Filling:
    """Fills tables: without triggers, from several connections at a time, the indexes built when the rows are there. Ends
    with the statistics and the visibility map that a database at work would have."""

    def __init__(self, url: str, *tables: str) -> None:
        self.url, self.tables = url, tables
        self.later: dict[str, list[str]] = {table: [] for table in tables}

    def __enter__(self) -> Filling:
        found = self._ask(
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conrelid = ANY(%s::regclass[]) AND contype = 'u'"
        )
        constraints = [name for _, name, _ in found]
        for table, name, definition in found:
            self.later[table].append(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')
        self.together([f'ALTER TABLE {table} DROP CONSTRAINT "{name}"' for table, name, _ in found])
        indexes = self._ask(
            "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s)"
            " AND indexname NOT LIKE '%%\\_pkey'"
        )
        for table, name, definition in indexes:
            assert name not in constraints
            self.later[table].append(definition)
        self.together([f'DROP INDEX "{name}"' for _, name, _ in indexes])
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is None:
            self.together(*([*later, f"VACUUM (ANALYZE) {table}"] for table, later in self.later.items()))

    def together(self, *lists: list[str]) -> None:
        """Run these lists of statements, each list in order on a connection of its own."""
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            for done in [pool.submit(self._run, statements) for statements in lists]:
                done.result()

    def _run(self, statements: list[str]) -> None:
        with _connected(self.url) as cursor:
            cursor.execute(
                "SET session_replication_role = replica; SET synchronous_commit = off; SET maintenance_work_mem = '256MB'"
            )
            for statement in statements:
                cursor.execute(statement)

    def _ask(self, question: str) -> list[tuple[str, ...]]:
        with _connected(self.url) as cursor:
            cursor.execute(question, [list(self.tables)])
            return cursor.fetchall()
