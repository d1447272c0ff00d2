"""Secrets that must be used again (to sign, to log in at a partner) are stored sealed with a key made from SECRET_KEY.

SECRET_KEY_FALLBACKS open what an earlier key sealed; :func:`seal` always uses the present one."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings


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
