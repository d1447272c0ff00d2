"""Secrets that must be used again (to sign, to log in at a partner) are stored sealed with a key made from SECRET_KEY.

SECRET_KEY_FALLBACKS open what an earlier key sealed; :func:`seal` always uses the present one."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from functools import lru_cache

import structlog
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

log = structlog.get_logger(__name__)


@lru_cache(maxsize=4)
def _box(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet(
        [Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"exchange:" + key.encode()).digest())) for key in keys]
    )


def _present() -> MultiFernet:
    return _box((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


def seal(secret: str) -> str:
    return _present().encrypt(secret.encode()).decode()


@lru_cache(maxsize=4096)
def _unseal(sealed: str, box: MultiFernet) -> str:
    return box.decrypt(sealed.encode()).decode()


def unseal(sealed: str) -> str:
    return _unseal(sealed, _present())


def openable(sealed: Iterable[str]) -> list[str]:
    """The secrets of those that open. One that was sealed with a key we no longer have is noted in the log: it must not stop
    what others need."""
    opened = []
    for one in sealed:
        try:
            opened.append(unseal(one))
        except InvalidToken:
            _complain(one)
    return opened


@lru_cache(maxsize=4096)
def _complain(sealed: str) -> None:
    """Once in a process, of each."""
    log.error("secret does not open", sealed=sealed[:24], hint="SECRET_KEY_FALLBACKS")
