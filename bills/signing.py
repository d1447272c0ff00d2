"""Signatures: JWS in compact serialisation (RFC 7515) by joserfc, keys named by their RFC 7638 thumbprint. Needs no
Django: whoever verifies a bill offline runs this code."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey, import_key
from joserfc.util import urlsafe_b64decode

from bills.canonical import NotCanonical, canonical, parse

#: What a signature may be made with; the key decides which one, never the token's header.
ALGORITHMS = {"EC": {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}, "OKP": {"Ed25519": "Ed25519"}}
RSA_ALGORITHMS = ("RS256", "PS256")
MIN_RSA_BITS = 2048

_REGISTRY = jws.JWSRegistry(algorithms=["ES256", "ES384", "ES512", "Ed25519", "EdDSA", *RSA_ALGORITHMS])
_REGISTRY.max_payload_length = 16 * 1024 * 1024
_REGISTRY.max_header_length = 2048
_REGISTRY.max_signature_length = 2048


class BadKey(ValueError):
    """Not a public key the register takes."""


class BadSignature(Exception):
    """The token proves nothing. ``code`` says why: one of :attr:`CODES`."""

    CODES = ("malformed", "unknown-key", "signature", "not-canonical")

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code, self.detail = code, detail


@dataclass(slots=True)
class Key:
    """A public key and whose it is. ``owner`` is a party's name in :mod:`bills.title`'s sense, or a platform code."""

    kid: str
    jwk: dict[str, Any]
    owner: str
    platform: str = ""
    valid_from: datetime | None = None
    revoked_at: datetime | None = None
    _loaded: Any = field(default=None, repr=False, compare=False)
    _algorithms: list[str] = field(default_factory=list, repr=False, compare=False)
    #: Headers of tokens that this key's algorithms were checked for; shared by all rings that hold the same key.
    headers: dict[str, jws.JWSAlgModel] = field(default_factory=dict, repr=False, compare=False)

    @property
    def loaded(self) -> Any:
        if self._loaded is None:
            self._loaded, self._algorithms = load_public(self.jwk)
        return self._loaded

    @property
    def algorithms(self) -> list[str]:
        return self._algorithms if self.loaded is not None else []

    def fault_at(self, moment: datetime) -> str:
        """Why a signature of ``moment`` does not count: revoked-key, not-yet-valid, or nothing."""
        if self.revoked_at is not None and moment >= self.revoked_at:
            return "revoked-key"
        if self.valid_from is not None and moment < self.valid_from:
            return "not-yet-valid"
        return ""


class KeyRing:
    """Public keys by ``kid``."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._keys = {key.kid: key for key in keys}
        #: Header (as it stands in a token) -> key and algorithm, of tokens that were opened with this ring. The tokens of
        #: one key have one header: it is read and checked once.
        self.headers: dict[str, tuple[Key, jws.JWSAlgModel]] = {
            head: (key, algorithm) for key in self._keys.values() for head, algorithm in key.headers.items()
        }

    def add(self, key: Key) -> None:
        self._keys[key.kid] = key
        self.headers.clear()

    def get(self, kid: str) -> Key | None:
        return self._keys.get(kid)

    def __iter__(self) -> Any:
        return iter(self._keys.values())


@dataclass(frozen=True, slots=True)
class Opened:
    """A token whose signature holds."""

    payload: Any
    key: Key


def load_public(jwk: dict[str, Any]) -> tuple[Any, list[str]]:
    """The key and what it may sign with. Raises BadKey: wrong kind, too short, or a private key given away."""
    if not isinstance(jwk, dict):
        raise BadKey("not a JWK")
    if private := sorted({"d", "p", "q", "dp", "dq", "qi", "k"} & set(jwk)):
        raise BadKey(f"this is a private key ({', '.join(private)}): never hand it out")
    try:
        key = import_key(jwk)
        bits = key.public_key.key_size if isinstance(key, RSAKey) else 0
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise BadKey(f"not a JWK: {error}") from error
    if isinstance(key, RSAKey):
        if bits < MIN_RSA_BITS:
            raise BadKey(f"an RSA key needs {MIN_RSA_BITS} bits, this one has {bits}")
        return key, list(RSA_ALGORITHMS)
    algorithm = ALGORITHMS.get(str(jwk.get("kty")), {}).get(str(jwk.get("crv")))
    if algorithm is None:
        raise BadKey(f"unsupported key: {jwk.get('kty')} {jwk.get('crv', '')}")
    return key, [algorithm, "EdDSA"] if algorithm == "Ed25519" else [algorithm]


def thumbprint(jwk: dict[str, Any]) -> str:
    """RFC 7638: the same key has the same name wherever it is registered."""
    key, _ = load_public({name: value for name, value in jwk.items() if name != "d"})
    return str(key.thumbprint())


def public_part(jwk: dict[str, Any]) -> dict[str, Any]:
    """The members that make the public key, nothing else (no ``use``, no ``kid``, no certificates)."""
    return {name: jwk[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in jwk}


def generate() -> dict[str, Any]:
    """A new private key (JWK). P-256: quick to verify, known to every library."""
    return dict(ECKey.generate_key("P-256").as_dict(private=True))


def sign(payload: Any, private: dict[str, Any] | Any) -> str:
    """A JWS over the canonical form of ``payload``, its header naming algorithm and ``kid`` only."""
    key = import_key(private) if isinstance(private, dict) else private
    if isinstance(key, RSAKey):
        algorithm = RSA_ALGORITHMS[0]
    else:
        jwk = key.as_dict(private=False)
        algorithm = ALGORITHMS[str(jwk["kty"])][str(jwk["crv"])]
    return str(
        jws.serialize_compact({"alg": algorithm, "kid": key.thumbprint()}, canonical(payload), key, registry=_REGISTRY)
    )


def peek(token: Any) -> tuple[dict[str, Any], Any]:
    """Header and payload without any check of the signature. Raises BadSignature where it is no JWS."""
    if not isinstance(token, str) or token.count(".") != 2:
        raise BadSignature("malformed", "not a JWS in compact serialisation")
    head, body, _ = token.split(".")
    try:
        header = parse(urlsafe_b64decode(head.encode()))
        payload = parse(urlsafe_b64decode(body.encode()))
    except NotCanonical as error:
        raise BadSignature("not-canonical", str(error)) from error
    except (ValueError, TypeError) as error:
        raise BadSignature("malformed", str(error)) from error
    if not isinstance(header, dict):
        raise BadSignature("malformed", "the header is not an object")
    return header, payload


def _header(head: str) -> dict[str, Any]:
    """The header of a token, read once: the tokens of one key have one header. Raises BadSignature."""
    return _remembered(head) if len(head) <= 300 else _read(head)


def _read(head: str) -> dict[str, Any]:
    try:
        header = parse(urlsafe_b64decode(head.encode()))
    except (NotCanonical, ValueError, TypeError) as error:
        raise BadSignature("malformed", str(error)) from error
    if not isinstance(header, dict):
        raise BadSignature("malformed", "the header is no object")
    return header


_remembered = functools.lru_cache(maxsize=4096)(_read)


def kid_of(token: Any) -> str:
    """The key a token names, its payload left unread. Raises BadSignature where it is no JWS."""
    if not isinstance(token, str) or token.count(".") != 2:
        raise BadSignature("malformed", "not a JWS in compact serialisation")
    return str(_header(token.partition(".")[0]).get("kid"))


def opened(token: Any, ring: KeyRing) -> Opened:
    """Check the signature with the key the header names. Raises BadSignature."""
    if not isinstance(token, str) or token.count(".") != 2:
        raise BadSignature("malformed", "not a JWS in compact serialisation")
    if (known := ring.headers.get(token.partition(".")[0])) is not None:
        return _opened_again(token, *known)
    header = _header(token.partition(".")[0])
    kid = header.get("kid")
    key = ring.get(kid) if isinstance(kid, str) else None
    if key is None:
        raise BadSignature("unknown-key", str(kid))
    try:
        found = jws.deserialize_compact(token, key.loaded, algorithms=key.algorithms, registry=_REGISTRY)
        payload = parse(found.payload)
    except BadKey as error:
        raise BadSignature("unknown-key", str(error)) from error
    except NotCanonical as error:
        raise BadSignature("not-canonical", str(error)) from error
    except (JoseError, ValueError, TypeError) as error:
        raise BadSignature("signature", str(error) or type(error).__name__) from error
    if header.keys() == {"alg", "kid"}:
        ring.headers[token.partition(".")[0]] = key, _REGISTRY.get_alg(header["alg"])
        key.headers[token.partition(".")[0]] = _REGISTRY.get_alg(header["alg"])
    return Opened(payload, key)


def _opened_again(token: str, key: Key, algorithm: jws.JWSAlgModel) -> Opened:
    """A token whose header was checked before, on another token of the same key."""
    signed, _, signature = token.rpartition(".")
    body = signed.partition(".")[2]
    try:
        _REGISTRY.validate_payload_size(body.encode())
        _REGISTRY.validate_signature_size(signature.encode())
        if not algorithm.verify(signed.encode(), urlsafe_b64decode(signature.encode()), key.loaded):
            raise BadSignature("signature", "bad_signature")
        return Opened(parse(urlsafe_b64decode(body.encode())), key)
    except NotCanonical as error:
        raise BadSignature("not-canonical", str(error)) from error
    except (JoseError, ValueError, TypeError) as error:
        raise BadSignature("signature", str(error) or type(error).__name__) from error
