"""Loads started from the console: queued with their file, run by a worker, their progress readable while they run."""

from __future__ import annotations

import codecs
import logging
import uuid
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.core.files.uploadedfile import UploadedFile
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone, translation

from common.problems import Fault, Problem, invalid
from common.text import T

from . import loading, maps, reading
from .models import Load
from .tables import TABLES

logger = logging.getLogger(__name__)
SUFFIXES = (".csv", ".xlsx", ".psv", ".txt")


def queue(*, upload: UploadedFile, options: dict[str, Any], actor: str) -> Load:
    """Keep the file and queue its load. Options: table, map, encoding, dry_run, correct_past, reason."""
    name = Path(upload.name or "").name
    faults = []
    if Path(name).suffix.lower() not in SUFFIXES:
        faults.append(Fault("/file", "unknown-kind", T("须为 CSV 或 XLSX 文件", "must be a CSV or XLSX file")))
    if (upload.size or 0) > reading.MAX_BYTES:
        faults.append(Fault("/file", "too-large", T("文件过大", "the file is too large")))
    if options.get("table") and options["table"] not in TABLES:
        faults.append(Fault("/table", "unknown-code", T("没有此表", "there is no such table")))
    if options.get("map") and options["map"] not in maps.MAPS:
        faults.append(Fault("/map", "unknown-code", T("没有此列映射", "there is no such column map")))
    try:
        codecs.lookup(options.get("encoding") or "utf-8")
    except (LookupError, ValueError):
        faults.append(Fault("/encoding", "unknown-encoding", T("没有此编码", "there is no such encoding")))
    if options.get("correct_past") and not options.get("reason"):
        faults.append(Fault("/reason", "missing", T("更正过去的税率须说明理由", "correcting the past needs a reason")))
    if faults:
        raise invalid(faults)
    folder = settings.VAR_DIR / "uploads" / "tariff"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{uuid.uuid4().hex}{Path(name).suffix.lower()}"
    with path.open("wb") as file:
        for chunk in upload.chunks():
            file.write(chunk)
    return Load.objects.create(
        table=options.get("table") or "", file_name=name[:300], path=str(path), options=options, actor=actor
    )


def run(pk: int) -> Load | None:
    """Run a queued load; None where it is done or another worker has it. A worker that dies leaves it queued."""
    with transaction.atomic():
        load = Load.objects.select_for_update(skip_locked=True).filter(pk=pk, state=Load.State.QUEUED).first()
        if load is None:
            return None
        options = load.options
        try:
            done = loading.load(
                Path(load.path),
                actor=load.actor,
                table=options.get("table") or None,
                map_name=options.get("map") or None,
                encoding=options.get("encoding") or "utf-8-sig",
                dry_run=bool(options.get("dry_run")),
                correct_past=bool(options.get("correct_past")),
                reason=options.get("reason") or load.file_name,
                report=lambda phase, rows: note(pk, phase, rows),
            )
        except Problem as problem:
            _refuse(load, problem.errors)
        except (OperationalError, InterfaceError):
            raise  # the database is away: the load stays queued
        except Exception:
            # A file nobody foresaw must not stand in the way of those behind it.
            logger.exception("tariff load failed", extra={"load": pk})
            _refuse(load, [Fault("", "load-failed", T(
                "无法导入此文件，原因见系统日志", "this file cannot be loaded; the system's log says why"))])  # fmt: skip
        else:
            load.state = Load.State.CHECKED if options.get("dry_run") else Load.State.DONE
            load.table, load.rows, load.difference = done.table, done.rows, done.as_json()
            load.version_id = done.version
        load.progress, load.finished_at = 100, timezone.now()
        load.save()
    cache.delete(_key(pk))
    return load


def _refuse(load: Load, faults: list[Fault]) -> None:
    load.state = Load.State.REFUSED
    load.faults = [
        {**fault.as_json(), "detail": said(fault, "zh-hans"), "detail_en": said(fault, "en")} for fault in faults
    ]


def said(fault: Fault, language: str) -> str:
    """A worker has no reader's language: faults are kept in both."""
    with translation.override(language):
        return str(fault.text)


def run_queued() -> int:
    """Run what is queued, oldest first; returns how many."""
    queued = Load.objects.filter(state=Load.State.QUEUED).order_by("pk").values_list("pk", flat=True)
    return sum(run(pk) is not None for pk in queued)


def _key(pk: int) -> str:
    return f"tariff-load:{pk}"


def note(pk: int, phase: str, rows: int) -> None:
    cache.set(_key(pk), {"phase": phase, "rows": rows}, 3600)


def progress(pk: int) -> dict[str, Any] | None:
    """How far a running load is: it says so beside its transaction, which nobody sees before the end."""
    found: dict[str, Any] | None = cache.get(_key(pk))
    return found


#: What a load in this phase has behind it, per cent.
PHASES = {"read": 30, "compare": 50, "write": 70}
