"""Keys of organisations and of ourselves: registered, rotated, revoked. The register needs public keys only; an
organisation that signs in the console may leave the private half here, sealed with ``KEY_SECRET``."""

from __future__ import annotations

import functools
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max, Q
from django.utils import timezone
from joserfc.jwk import import_key

from bills import signing
from bills.models import Act, Platform, SigningKey
from bills.title import party_key
from common.json import dumps, loads
from common.problems import Fault, Problem, conflict, invalid, not_found
from common.text import T
from events.log import append
from parties.models import Organisation
from parties.principals import SYSTEM, Principal


# Parties ----------------------------------------------------------------------------------------------------------
def party_of(organisation: Organisation) -> dict[str, Any]:
    """The organisation as a party of a PINT transaction."""
    if organisation.social_credit_code:
        code = {"codeListProvider": "ZZZ", "codeListName": "USCC", "partyCode": organisation.social_credit_code}
    else:
        code = {"codeListProvider": settings.EBL_PLATFORM, "codeListName": "ORG", "partyCode": str(organisation.pk)}
    return {
        "partyName": organisation.name[:70].strip(),
        "eblPlatform": settings.EBL_PLATFORM,
        "identifyingCodes": [code],
    }


def platform_party() -> dict[str, Any]:
    """This platform itself, as the actor of its own acts."""
    return {
        "partyName": f"{settings.EBL_PLATFORM} platform",
        "eblPlatform": settings.EBL_PLATFORM,
        "identifyingCodes": [
            {"codeListProvider": settings.EBL_PLATFORM, "codeListName": "PLATFORM", "partyCode": settings.EBL_PLATFORM}
        ],
    }


def organisation_of(party: dict[str, Any] | None) -> Organisation | None:
    """The organisation registered here that ``party`` names by one of its codes; None where there is none, or where its
    codes name two."""
    found: set[int] = set()
    for code in (party or {}).get("identifyingCodes", ()):
        value = code["partyCode"]
        if code.get("codeListName") == "USCC":
            found |= set(Organisation.objects.filter(social_credit_code=value).values_list("pk", flat=True))
        elif code["codeListProvider"] == settings.EBL_PLATFORM and value.isascii() and value.isdigit():
            found |= set(Organisation.objects.filter(pk=int(value[:18])).values_list("pk", flat=True))
    return Organisation.objects.get(pk=found.pop()) if len(found) == 1 else None


# Sealing ----------------------------------------------------------------------------------------------------------
@functools.cache
def _cipher(secret: str) -> AESGCM:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"singlewindow bills custody").derive(secret.encode())
    return AESGCM(derived)


def seal(plain: bytes, name: str) -> bytes:
    """Encrypt under ``KEY_SECRET``; ``name`` is bound in, so that a sealed value cannot be moved to another row."""
    nonce = os.urandom(12)
    return nonce + _cipher(settings.KEY_SECRET).encrypt(nonce, plain, name.encode())


def unseal(sealed: bytes, name: str) -> bytes:
    try:
        return _cipher(settings.KEY_SECRET).decrypt(bytes(sealed[:12]), bytes(sealed[12:]), name.encode())
    except InvalidTag as error:
        raise Problem(
            500, "key-secret", T("KEY_SECRET 与封存密钥时不同", "KEY_SECRET is not the one the keys were sealed with")
        ) from error


# Reading ----------------------------------------------------------------------------------------------------------
@functools.lru_cache(maxsize=4096)
def _loaded(kid: str, jwk: bytes) -> tuple[Any, list[str], dict[str, Any]]:
    return *signing.load_public(loads(jwk)), {}


def as_key(row: SigningKey) -> signing.Key:
    """The row as the pure modules take it; the costly import of the key is remembered, whether it counts is not."""
    key = signing.Key(row.kid, row.jwk, row.owner, row.platform, row.valid_from, row.revoked_at)
    key._loaded, key._algorithms, key.headers = _loaded(row.kid, dumps(row.jwk))
    return key


def ring(kids: list[str]) -> signing.KeyRing:
    """The registered ones among ``kids``."""
    found = SigningKey.objects.raw("SELECT * FROM bills_signingkey WHERE kid = ANY(%s)", [kids])
    return signing.KeyRing(as_key(row) for row in found)


@functools.lru_cache(maxsize=256)
def _private(kid: str, sealed: bytes) -> Any:
    return import_key(loads(unseal(sealed, kid)))


def private_of(row: SigningKey) -> Any:
    return _private(row.kid, bytes(row.private)) if row.private else None


def signing_key_of(owner: str) -> SigningKey | None:
    """The key the register signs with for ``owner`` today."""
    return (
        SigningKey.objects.filter(owner=owner, private__isnull=False, revoked_at=None, valid_from__lte=timezone.now())
        .order_by("-valid_from", "-id")
        .first()
    )


def platform_key() -> SigningKey:
    """Our own key, made at the first need."""
    found = signing_key_of(settings.EBL_PLATFORM)
    if found is not None:
        return found
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('bills.platform_key'))")
        return signing_key_of(settings.EBL_PLATFORM) or _keep_private(settings.EBL_PLATFORM, None)


def sign_as_platform(payload: Any) -> str:
    return signing.sign(payload, private_of(platform_key()))


def _keep_private(owner: str, organisation: Organisation | None) -> SigningKey:
    private = signing.generate()
    kid = signing.thumbprint(private)
    return SigningKey.objects.create(
        kid=kid,
        jwk=signing.public_part(private),
        owner=owner,
        platform=settings.EBL_PLATFORM,
        organisation=organisation,
        private=seal(dumps(private), kid),
    )


# Commands ---------------------------------------------------------------------------------------------------------
def hold_acts(owner: str, *, shared: bool = False) -> None:
    """Until the end of the transaction no key of ``owner`` changes (``shared``: several acts at once may ask for that), or no act
    of it is recorded: an act is dated and signed by keys that still count when it is kept."""
    lock = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {lock}(hashtext('bills.keys'), hashtext(%s))", [owner])


@transaction.atomic
def register_key(*, principal: Principal, jwk: dict[str, Any] | None = None, replace: bool = False) -> SigningKey:
    """Register the caller's public key, or (without ``jwk``) let the register make and keep one for it. ``replace``
    retires the keys it had: what they signed still verifies, what they sign from now on does not count."""
    organisation = Organisation.objects.get(pk=principal.organisation_id or 0)
    owner = party_key(party_of(organisation))
    hold_acts(owner)
    if jwk is None:
        row = _keep_private(owner, organisation)
    else:
        try:
            public = signing.public_part(jwk) if isinstance(jwk, dict) and "d" not in jwk else jwk
            signing.load_public(public)
            kid = signing.thumbprint(public)
        except signing.BadKey as error:
            raise invalid(
                [Fault("/jwk", "bad-key", T("密钥不可用：{why}", "Not a usable key: {why}", why=error))]
            ) from error
        if SigningKey.objects.filter(kid=kid).exists():
            raise conflict("key-known", T("此密钥已登记", "This key is registered already"))
        row = SigningKey.objects.create(
            kid=kid, jwk=public, owner=owner, platform=settings.EBL_PLATFORM, organisation=organisation
        )
    if replace:
        SigningKey.objects.filter(owner=owner, revoked_at=None).exclude(pk=row.pk).update(
            revoked_at=_after_its_acts(organisation, row.valid_from), reason="rotated"
        )
    _say("key.registered", organisation, row, principal)
    return row


def _after_its_acts(organisation: Organisation | None, now: datetime) -> datetime:
    """When a key stops counting: now, or just after the last act of its owner where a fast clock dated that one ahead.
    Acts that counted keep their proof."""
    last = Act.objects.filter(actor=organisation).aggregate(last=Max("acted_at"))["last"]
    return max(now, last + timedelta(milliseconds=1)) if last else now


@transaction.atomic
def revoke_key(*, principal: Principal, kid: str, reason: str = "") -> SigningKey:
    """What this key signs from now on does not count. It cannot be taken back."""
    own = SigningKey.objects.filter(organisation_id=principal.organisation_id or 0, organisation__isnull=False)
    row = own.filter(kid=kid).first()
    if row is None:
        raise not_found()
    hold_acts(row.owner)
    row.refresh_from_db()
    if row.revoked_at is not None:
        raise conflict("key-revoked", T("此密钥已停用", "This key is revoked already"))
    row.revoked_at, row.reason = _after_its_acts(row.organisation, timezone.now()), reason[:200]
    row.save(update_fields=["revoked_at", "reason"])
    assert row.organisation is not None
    _say("key.revoked", row.organisation, row, principal)
    return row


def _say(type_: str, organisation: Organisation, row: SigningKey, principal: Principal) -> None:
    Organisation.objects.select_for_update(no_key=True).get(pk=organisation.pk)  # its events have one order
    append(
        type=f"organisation.{type_}",
        subject=("organisation", str(organisation.pk)),
        actor=principal.actor,
        audience=[organisation.pk],
        data={"kid": row.kid, "kept_here": row.private is not None},
    )


def ensure_key(organisation: Organisation) -> SigningKey:
    """The key kept here for ``organisation``, made if it has none at all (console, demo)."""
    owner = party_key(party_of(organisation))
    found = signing_key_of(owner)
    if found is not None:
        return found
    return register_key(
        principal=Principal(actor=SYSTEM.actor, organisation_id=organisation.pk, organisation_name=organisation.name)
    )


@transaction.atomic
def register_platform(
    *, code: str, name: str, base_url: str, jwks: dict[str, Any], organisation: Organisation | None = None,
    token_url: str = "", client_id: str = "", client_secret: str = "",
) -> Platform:  # fmt: skip
    """Enter another eBL platform and the keys it publishes: its own and those of its carriers."""
    if code == settings.EBL_PLATFORM:
        raise invalid([Fault("/code", "own-code", T("这是本平台的代码", "This is our own code"))])
    platform, _ = Platform.objects.update_or_create(
        code=code,
        defaults={
            "name": name,
            "base_url": base_url.rstrip("/"),
            "organisation": organisation,
            "token_url": token_url,
            "client_id": client_id,
            "client_secret": seal(client_secret.encode(), code) if client_secret else None,
        },
    )
    for index, entry in enumerate(jwks.get("keys", ())):
        public = signing.public_part(entry)
        kid = signing.thumbprint(public)
        owner = str(entry.get("owner") or code)
        if owner != code and not owner.startswith(f"{code}:"):
            raise invalid(
                [
                    Fault(
                        f"/keys/{index}/owner",
                        "owner-of-another",
                        T(
                            "平台只能公布自己及其用户的密钥",
                            "A platform publishes keys of its own and of its users only",
                        ),
                    )
                ]
            )
        row, _ = SigningKey.objects.get_or_create(
            kid=kid,
            defaults={
                "jwk": public,
                "owner": owner,
                "platform": code,
                "valid_from": _moment(entry.get("validFrom")) or datetime(2000, 1, 1, tzinfo=UTC),
            },
        )
        if (row.owner, row.platform) != (owner, code):
            raise conflict("key-known", T("此密钥已登记为他方所有", "This key is registered for somebody else already"))
        if revoked := _moment(entry.get("revokedAt")):
            SigningKey.objects.filter(kid=kid, platform=code, revoked_at=None).update(
                revoked_at=revoked, reason="revoked by its platform"
            )
    return platform


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def jwks() -> dict[str, Any]:
    """What we publish: our own keys and those of the organisations that issue bills here, which other platforms need to
    check issuance manifests. Names of organisations are not in it, their codes are."""
    platform_key()
    rows = SigningKey.objects.filter(platform=settings.EBL_PLATFORM).filter(
        Q(organisation__isnull=True) | Q(organisation__bills_issued__isnull=False)
    )
    return {
        "keys": [
            {
                **row.jwk,
                "kid": row.kid,
                "use": "sig",
                "owner": row.owner,
                "validFrom": row.valid_from.isoformat(),
                **({"revokedAt": row.revoked_at.isoformat()} if row.revoked_at else {}),
            }
            for row in rows.distinct().order_by("id")
        ]
    }
