"""A ZIP of DecMessage files: taken in at once, worked off in the background in small steps, each a transaction of its own,
so that a worker that dies has neither lost nor doubled anything."""

from __future__ import annotations

import io
import logging
import zipfile
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from common.problems import Fault, Problem, invalid
from common.text import T
from declarations import lodgement
from declarations.lodgement import Lodged
from declarations.models import Upload, UploadedFile
from declarations.wire import decmessage
from events.log import append
from parties.principals import Principal

#: An archive's size, what one file and all of them may unpack to (bytes), and how many there may be.
MAX_ARCHIVE, MAX_FILE, MAX_UNPACKED, MAX_FILES = 32 << 20, 8 << 20, 256 << 20, 5000
#: Files worked off in one transaction. For each the archive is read once from the database.
STEP = 250
#: Attempts at one step that may break, one after another, before the upload is given up.
ATTEMPTS = 5

log = logging.getLogger(__name__)


def receive(*, archive: bytes, file_name: str, principal: Principal) -> Upload:
    """Keep an archive for the workers. Raises Problem 413 or 422: it is refused as a whole where it cannot be trusted."""
    if len(archive) > MAX_ARCHIVE:
        raise Problem(
            413, "too-large", T("压缩包超过 {n} MB", "The archive is larger than {n} MB", n=MAX_ARCHIVE >> 20)
        )
    names, faults = _look(archive)
    if faults:
        raise invalid(faults)
    with transaction.atomic():
        upload = Upload.objects.create(
            organisation_id=principal.organisation_id or 0,
            actor=principal.actor,
            file_name=_shown(file_name)[:255] or "upload.zip",
            archive=archive,
            names=names,
            total=len(names),
        )
        append(
            type="upload.received",
            subject=("upload", str(upload.pk)),
            actor=principal.actor,
            audience=[principal.organisation_id or 0],
            data={"files": len(names)},
        )
    return upload


def _shown(name: str) -> str:
    """A name fit to be kept: a sender's client may have written anything."""
    return "".join(character for character in name if character.isprintable())


def _look(archive: bytes) -> tuple[list[str], list[Fault]]:
    """The names to work off, and why the archive is refused. Only the directory is read, nothing is unpacked."""
    try:
        entries = zipfile.ZipFile(io.BytesIO(archive)).infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, EOFError):
        return [], [Fault("", "not-a-zip", T("不是 ZIP 压缩包", "This is not a ZIP archive"))]
    files = [entry for entry in entries if not entry.is_dir()]
    faults: list[Fault] = []
    if not files:
        faults.append(Fault("", "empty", T("压缩包内没有文件", "There is no file in the archive")))
    if len(files) > MAX_FILES:
        faults.append(Fault("", "too-many", T("文件超过 {n} 个", "More than {n} files", n=MAX_FILES)))
    if sum(entry.file_size for entry in files) > MAX_UNPACKED:
        text = T("解压后超过 {n} MB", "Unpacks to more than {n} MB", n=MAX_UNPACKED >> 20)
        faults.append(Fault("", "zip-bomb", text))
    seen: set[str] = set()
    for entry in files[:MAX_FILES]:
        name = entry.filename
        path = PurePosixPath(name.replace("\\", "/"))
        pointer = "/" + _shown(name)[:200].replace("~", "~0").replace("/", "~1")
        bad = path.is_absolute() or ".." in path.parts or ":" in name or not name.isprintable() or len(name) > 255
        if bad or name in seen:
            faults.append(
                Fault(pointer, "file-name", T("文件名不被接受或重复", "The name is not accepted, or repeated"))
            )
        elif path.suffix.lower() != ".xml":
            faults.append(Fault(pointer, "file-type", T("只接受 .xml 文件", "Only .xml files are taken")))
        elif entry.file_size > MAX_FILE:
            faults.append(
                Fault(pointer, "zip-bomb", T("解压后超过 {n} MB", "Unpacks to more than {n} MB", n=MAX_FILE >> 20))
            )
        elif entry.flag_bits & 0x1:
            faults.append(Fault(pointer, "encrypted", T("不接受加密文件", "Encrypted files are not taken")))
        elif entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            text = T("只接受存储或 Deflate 压缩方式", "Only the methods stored and deflated are taken")
            faults.append(Fault(pointer, "compression", text))
        seen.add(name)
        if len(faults) >= 100:
            break
    return [entry.filename for entry in files], faults


def work(upload_id: Any) -> bool:
    """Work off the next files of an upload; returns whether there is more to do here. What breaks again and again is given
    up, so that it stands in nobody's way."""
    try:
        return _step(upload_id)
    except Exception:
        _broke(upload_id)
        raise


@transaction.atomic
def _step(upload_id: Any) -> bool:
    upload = Upload.objects.select_for_update(skip_locked=True).filter(pk=upload_id, finished_at=None).first()
    if upload is None:
        return False
    last = upload.files.aggregate(last=Max("position"))["last"]
    start = 0 if last is None else last + 1
    names = upload.names[start : start + STEP]
    principal = Principal(actor=upload.actor, organisation_id=upload.organisation_id)
    UploadedFile.objects.bulk_create(
        _file(upload, start + index, name, result)
        for index, (name, result) in enumerate(zip(names, _lodge(upload, names, principal), strict=True))
    )
    upload.processed = start + len(names)
    upload.lodged = upload.files.filter(status__lt=300).count()
    more = upload.processed < len(upload.names)
    upload.state, upload.attempts = Upload.State.WORKING, 0
    if not more:
        _finish(upload, Upload.State.DONE)
    upload.save(update_fields=["processed", "lodged", "state", "attempts", "finished_at", "archive"])
    return more


@transaction.atomic
def _broke(upload_id: Any) -> None:
    """Note that a step came to nothing, and give up after :data:`ATTEMPTS`."""
    upload = Upload.objects.select_for_update(skip_locked=True).filter(pk=upload_id, finished_at=None).first()
    if upload is None:
        return
    upload.attempts += 1
    if upload.attempts >= ATTEMPTS:
        _finish(upload, Upload.State.FAILED)
    upload.save(update_fields=["state", "attempts", "finished_at", "archive"])


def _finish(upload: Upload, state: Upload.State) -> None:
    upload.state, upload.finished_at, upload.archive = state, timezone.now(), b""
    append(
        type="upload.worked_off" if state == Upload.State.DONE else "upload.failed",
        subject=("upload", str(upload.pk)),
        actor=upload.actor,
        audience=[upload.organisation_id],
        data={"lodged": upload.lodged, "refused": upload.processed - upload.lodged},
    )


def _lodge(upload: Upload, names: list[str], principal: Principal) -> list[Lodged | Problem]:
    results: list[Lodged | Problem | None] = []
    messages = []
    with zipfile.ZipFile(io.BytesIO(bytes(upload.archive))) as archive:
        for name in names:
            found = _read(archive, name)
            results.append(found if isinstance(found, Problem) else None)
            if not isinstance(found, Problem):
                messages.append(found)
    try:
        with transaction.atomic():
            stored = iter(lodgement.lodge_many(messages, principal, style="xpath"))
    except Problem:
        stored = iter([_alone(message, principal) for message in messages])
    return [result if result is not None else next(stored) for result in results]


def _alone(message: dict[str, Any], principal: Principal) -> Lodged | Problem:
    try:
        with transaction.atomic():
            return lodgement.lodge_many([message], principal, style="xpath")[0]
    except Problem as problem:
        return problem


def _read(archive: zipfile.ZipFile, name: str) -> dict[str, Any] | Problem:
    try:
        with archive.open(name) as file:
            # The directory may lie about the size: no more than the limit is unpacked.
            body = file.read(MAX_FILE + 1)
    except Exception:  # whatever a damaged member makes the library raise is a fault of this one file
        log.info("a file of an upload cannot be unpacked", exc_info=True)
        return invalid([Fault("", "unreadable", T("文件无法解压", "The file cannot be unpacked"))])
    if len(body) > MAX_FILE:
        return invalid([Fault("", "zip-bomb", T("解压后超过 {n} MB", "Unpacks to more than {n} MB", n=MAX_FILE >> 20))])
    message, faults = decmessage.parse(body)
    return invalid(faults) if faults else message


def _file(upload: Upload, position: int, name: str, result: Lodged | Problem) -> UploadedFile:
    if isinstance(result, Problem):
        faults = [fault.as_json() for fault in result.errors] or [
            {"pointer": "", "code": result.code, "detail": str(result.title), "severity": "error"}
        ]
        return UploadedFile(upload=upload, position=position, name=name, status=result.status, faults=faults)
    status = 201 if result.created else 200
    return UploadedFile(upload=upload, position=position, name=name, status=status, declaration_id=result.id)


def waiting(older_than: timedelta) -> list[Any]:
    """Uploads not worked off: those that broke least, then the oldest."""
    return list(
        Upload.objects.filter(finished_at=None, created_at__lt=timezone.now() - older_than)
        .order_by("attempts", "created_at")
        .values_list("pk", flat=True)[:20]
    )
