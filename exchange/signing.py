"""Signatures as the Standard Webhooks specification has them (https://www.standardwebhooks.com, facts.md S35).

Signed is ``id.timestamp.body``. ``v1`` is HMAC-SHA256 under a shared secret (``whsec_`` + base64), ``v1a`` is Ed25519
(``whsk_`` the private key, ``whpk_`` the public one). A header may carry several, separated by spaces: during a rotation
both the old and the new secret sign."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable, Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings

from common.problems import Problem
from common.text import T

#: Seconds a timestamp may lie in the past or the future.
TOLERANCE = 300

SHARED, PRIVATE, PUBLIC = "whsec_", "whsk_", "whpk_"


def clock() -> float:
    """The time that is signed and checked. Fault tests shift it (EXCHANGE_CLOCK_SHIFT)."""
    return time.time() + settings.EXCHANGE_CLOCK_SHIFT


def new_secret() -> str:
    return SHARED + base64.b64encode(secrets.token_bytes(32)).decode()


def new_key() -> str:
    key = Ed25519PrivateKey.generate()
    raw = key.private_bytes(
        serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
    ) + key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return PRIVATE + base64.b64encode(raw).decode()


def public_key(private: str) -> str:
    return PUBLIC + base64.b64encode(_raw(private)[32:]).decode()


def _raw(secret: str) -> bytes:
    return base64.b64decode(secret.partition("_")[2])


def is_wellformed(secret: str) -> bool:
    """Whether ``secret`` can verify: ``whsec_`` with 24 to 64 bytes, or ``whpk_`` with 32."""
    try:
        raw = base64.b64decode(secret.partition("_")[2], validate=True)
    except (binascii.Error, ValueError):
        return False
    return (secret.startswith(SHARED) and 24 <= len(raw) <= 64) or (secret.startswith(PUBLIC) and len(raw) == 32)


def signs(secret: str) -> bool:
    """Whether ``secret`` can sign: ``whsec_`` as above, or ``whsk_`` with a private key and its public one."""
    if not secret.startswith(PRIVATE):
        return secret.startswith(SHARED) and is_wellformed(secret)
    try:
        raw = base64.b64decode(secret.partition("_")[2], validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(raw) == 64


def _text(message_id: str, timestamp: int, body: bytes) -> bytes:
    return f"{message_id}.{timestamp}.".encode() + body


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    text = _text(message_id, timestamp, body)
    if secret.startswith(PRIVATE):
        key = Ed25519PrivateKey.from_private_bytes(_raw(secret)[:32])
        return "v1a," + base64.b64encode(key.sign(text)).decode()
    return "v1," + base64.b64encode(hmac.digest(_raw(secret), text, hashlib.sha256)).decode()


def headers(secrets_: Iterable[str], message_id: str, body: bytes, *, timestamp: float | None = None) -> dict[str, str]:
    at = int(clock() if timestamp is None else timestamp)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(signature(secret, message_id, at, body) for secret in secrets_),
    }


def _refused(code: str, detail: object) -> Problem:
    return Problem(401, code, T("签名未通过", "The signature was not accepted"), detail=detail)


def verify(secrets_: Iterable[str], given: Mapping[str, str], body: bytes) -> str:
    """The message id, once one of ``secrets_`` verifies one of the signatures. Raises Problem 400 or 401."""
    message_id = given.get("webhook-id", "")
    header = given.get("webhook-signature", "")
    if (
        not message_id
        or not header
        or len(message_id) > 200
        or not message_id.isascii()
        or not message_id.isprintable()
    ):
        raise Problem(
            400,
            "webhook-headers-missing",
            T("缺少签名头", "Signature headers are missing"),
            detail=T(
                "需要 webhook-id、webhook-timestamp、webhook-signature",
                "webhook-id, webhook-timestamp and webhook-signature are needed",
            ),
        )
    stamp = given.get("webhook-timestamp", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12) or abs(clock() - int(stamp)) > TOLERANCE:
        raise _refused(
            "webhook-timestamp",
            T("时间戳超出 ±{s} 秒", "The timestamp is more than {s} seconds off", s=TOLERANCE),
        )
    text = _text(message_id, int(stamp), body)
    keys = list(secrets_)
    for part in header.split(" ")[:8]:
        version, _, value = part.partition(",")
        try:
            sent = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            continue
        for secret in keys:
            if version == "v1" and secret.startswith(SHARED):
                if hmac.compare_digest(sent, hmac.digest(_raw(secret), text, hashlib.sha256)):
                    return message_id
            elif version == "v1a" and secret.startswith(PUBLIC):
                try:
                    Ed25519PublicKey.from_public_bytes(_raw(secret)).verify(sent, text)
                except InvalidSignature:
                    continue
                return message_id
    raise _refused("webhook-signature", T("没有一个签名与已登记的密钥相符", "No signature matches a registered secret"))
