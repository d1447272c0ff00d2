"""Files that others send: taken by what their content shows, kept outside the web root under names of our own."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.http import FileResponse

from common.problems import Problem
from common.text import T

#: Types taken, and what their content starts with.
KINDS = {
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/webp": (b"RIFF",),
    "application/pdf": (b"%PDF-",),
}


def kind_of(data: bytes, limit: int) -> str:
    """The type a file's content shows. Raises Problem 413 past ``limit`` bytes, 415 for a type that is not taken."""
    if len(data) > limit:
        raise Problem(413, "too-large", T("文件不得超过 {n} MB", "A file has {n} MB at most", n=limit // 1024 // 1024))
    for kind, starts in KINDS.items():
        if data.startswith(starts) and (kind != "image/webp" or data[8:12] == b"WEBP"):
            return kind
    raise Problem(415, "file-type", T("只接受 JPEG、PNG、WebP 和 PDF", "Only JPEG, PNG, WebP and PDF are taken"))


def plain_name(name: str) -> str:
    """The sender's name of a file, without the way to it; for people only."""
    return Path(name.replace("\\", "/")).name.replace("\x00", "")[:200] or "file"


def path(folder: str, pk: UUID) -> Path:
    """Where a file lies: a name of our own, never the sender's."""
    name = str(pk)
    return Path(settings.MEDIA_ROOT) / folder / name[:2] / name


def keep(where: Path, data: bytes) -> None:
    """Written whole or not at all."""
    where.parent.mkdir(parents=True, exist_ok=True)
    beside = where.with_suffix(".part")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(where)


def served(where: Path, content_type: str, name: str, *, inline: bool = False) -> FileResponse:
    """The file as an answer that no browser takes for anything but what it is."""
    answer = FileResponse(where.open("rb"), content_type=content_type)
    answer["Content-Disposition"] = f'{"inline" if inline else "attachment"}; filename="{name}"'
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; object-src 'self'; frame-ancestors 'self'"
    )
    answer["X-Frame-Options"] = "SAMEORIGIN"  # a page of the console shows it in its own frame
    answer["Cache-Control"] = "private, no-store"
    return answer
