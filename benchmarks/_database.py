"""Scratch databases for benchmarks, and filling tables fast."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
from collections.abc import Iterator

import psycopg2
from psycopg2 import sql

from singlewindow import services
from singlewindow.processes import migrated_template, recreate_database


def _server() -> str:
    return os.environ.get("DATABASE_URL") or services.postgres_url()


def environment(name: str) -> dict[str, str]:
    """The environment of a process that works on a migrated, empty database called ``name``, made anew."""
    url = recreate_database(_server(), name, template=migrated_template(_server()))
    return {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "singlewindow.settings"}


def drop(name: str) -> None:
    """A million rows take room: the next benchmark gets it back."""
    with _connected(f"{_server().rpartition('/')[0]}/postgres") as cursor:
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


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
