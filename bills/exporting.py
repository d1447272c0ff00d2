"""What leaves the register for others to check: the file that ``python -m bills.verify`` reads, and what the public
verification page says."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from bills import chain, keys
from bills.canonical import parse
from bills.envelope import visualisation_of
from bills.models import Act, Bill, BillState, SigningKey, Version
from bills.signing import peek
from bills.title import ENDED
from bills.verify import FORMAT
from common.days import legal_day
from common.problems import conflict
from common.text import T


def open_entries(bill: Bill, tokens: list[str]) -> list[str]:
    """The bill's PINT chain as it stands: what is fixed, and one entry of ours over the acts done since."""
    done = said(bill, tokens)
    return continued(list(bill.entries), bill.checksum, chain.transactions(done), manifest=_manifest(done))


def said(bill: Bill, tokens: list[str] | None = None) -> list[tuple[chain.Statement, str]]:
    """The acts of ``bill`` with their checksums, as they were signed."""
    return [
        (chain.read(peek(token)[1]), chain.checksum(token))
        for token in (tokens if tokens is not None else tokens_of(bill))
    ]


def continued(fixed: list[str], document: str, made: list[dict[str, Any]], *, manifest: str) -> list[str]:
    """The ``fixed`` entries, and one more over those of our transactions ``made`` that are not in them yet."""
    rest = made[sum(len(entry["transactions"]) for entry in map(_entry, fixed) if _ours(entry)) :]
    if not rest or not (fixed or manifest):
        return fixed
    return [
        *fixed,
        chain.chain_entry(
            platform=settings.EBL_PLATFORM,
            document=document,
            transactions=rest,
            previous=fixed[-1] if fixed else "",
            issuance_manifest="" if fixed else manifest,
            visualisation=visualisation_of(fixed[0]) if fixed else None,
            private=keys.private_of(keys.platform_key()),
        ),
    ]


def _entry(token: str) -> dict[str, Any]:
    found: dict[str, Any] = peek(token)[1]
    return found


def _ours(entry: dict[str, Any]) -> bool:
    return bool(entry["eblPlatform"] == settings.EBL_PLATFORM)


def _manifest(said: list[tuple[chain.Statement, str]]) -> str:
    for act, _ in reversed(said):
        if token := act.details.get("issuanceManifestSignedContent"):
            return str(token)
    return ""


def tokens_of(bill: Bill) -> list[str]:
    return list(Act.objects.filter(bill=bill).order_by("sequence").values_list("token", flat=True))


@transaction.atomic
def export(bill: Bill) -> dict[str, Any]:
    """The file. The platform attests what the chain cannot prove of itself: that it ends here, and whose keys these are."""
    bill = Bill.objects.select_for_update().get(pk=bill.pk)
    if bill.state == BillState.DRAFT or not bill.acts:
        raise conflict("state-conflict", T("草稿没有可核验的内容", "A draft has nothing to verify"))
    tokens = tokens_of(bill)
    entries = open_entries(bill, tokens)
    signed = [*tokens, *entries, *(_inner(entry) for entry in entries)]
    kids = {peek(token)[0].get("kid") for token in signed if token}
    root = keys.platform_key()
    rows = SigningKey.objects.filter(kid__in=kids).exclude(kid=root.kid).order_by("id")
    versions = list(Version.objects.filter(bill=bill).order_by("number"))
    attestation = {
        "bill": bill.number,
        "platform": settings.EBL_PLATFORM,
        "state": bill.state,
        "holder": "" if bill.state in ENDED else bill.holder_key,
        "acts": bill.acts,
        "lastActChecksum": bill.head,
        "versions": [version.checksum for version in versions],
        "attestedAt": chain.moment_text(timezone.now()),
        "keys": [
            {
                "kid": row.kid,
                "jwk": row.jwk,
                "owner": row.owner,
                "platform": row.platform,
                "validFrom": chain.moment_text(row.valid_from),
                **({"revokedAt": chain.moment_text(row.revoked_at)} if row.revoked_at else {}),
            }
            for row in rows
        ],
    }
    return {
        "format": FORMAT,
        "bill": bill.number,
        "platform": settings.EBL_PLATFORM,
        "platformKey": root.jwk,
        "attestation": keys.sign_as_platform(attestation),
        "versions": [
            {"number": version.number, "checksum": version.checksum, "document": parse(version.document)}
            for version in versions
        ],
        "acts": tokens,
        "envelopeTransferChain": entries,
    }


def _inner(entry: str) -> str:
    return str(peek(entry)[1].get("issuanceManifestSignedContent") or "")


def public_state(number: str, checksum: str) -> dict[str, Any] | None:
    """What anyone who has a bill in hand may know: is this version in force, and in what state is the bill. No parties,
    no goods. None where number and checksum (in full, or its first 16 characters) name no version."""
    if len(checksum) < 16:
        return None
    version = Version.objects.select_related("bill").filter(bill__number=number, checksum__startswith=checksum).first()
    if version is None:
        return None
    bill = version.bill
    out_of_force = (BillState.VOID, BillState.REPLACED, BillState.RECALLED)
    current = version.number == bill.version and bill.state not in out_of_force
    return {
        "number": bill.number,
        "version": version.number,
        "current_version": bill.version,
        "in_force": current,
        "state": bill.state,
        "state_text": BillState(bill.state).label,
        "checksum": version.checksum,
        "issued_on": legal_day(version.created_at),
        "original_is_electronic": bill.state != BillState.PAPER,
        "platform_key": keys.platform_key().kid,
    }


def verification_url(bill: Bill) -> str:
    return f"{settings.PUBLIC_URL.rstrip('/')}/verify/bills/{bill.number}/{bill.checksum[:32]}"
