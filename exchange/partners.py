"""Partners: connected, given secrets, changed, suspended."""

from __future__ import annotations

import re
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from common.problems import Fault, conflict, invalid
from common.text import T
from events.log import append
from exchange import addresses, signing, vault
from exchange.models import EndpointSecret, Partner, PartnerSecret
from parties.models import Organisation, OrganisationRole
from parties.principals import Principal

_CODE = re.compile(r"[A-Za-z0-9-]{2,20}")


@transaction.atomic
def connect(
    *,
    organisation: Organisation,
    code: str,
    actor: Principal,
    base_url: str = "",
    client_id: str = "",
    client_secret: str = "",
    secret: str | None = None,
) -> Partner:
    """Enter a partner. ``secret`` verifies its messages; ``base_url`` and the client are what we pull with."""
    faults = addresses.url_faults(base_url, "/base_url") if base_url else []
    if not _CODE.fullmatch(code):
        faults.append(Fault("/code", "code", T("2–20 个字母、数字或连字符", "2 to 20 letters, digits or hyphens")))
    if OrganisationRole.PARTNER_PROVINCE not in organisation.roles:
        faults.append(Fault("/organisation", "role", T("该单位不是协作省份", "Not a partner province")))
    if faults:
        raise invalid(faults)
    try:
        with transaction.atomic():
            partner = Partner.objects.create(
                organisation=organisation,
                code=code,
                base_url=base_url.rstrip("/"),
                client_id=client_id,
                client_secret=vault.seal(client_secret) if client_secret else "",
            )
    except IntegrityError as error:
        raise conflict("partner-exists", T("该伙伴已登记", "This partner is registered already")) from error
    if secret:
        add_secret(partner=partner, secret=secret, actor=actor)
    _say("connected", partner, actor)
    return partner


def _locked(partner: Partner) -> Partner:
    return (
        Partner.objects.select_for_update(no_key=True, of=("self",)).select_related("organisation").get(pk=partner.pk)
    )


@transaction.atomic
def add_secret(*, partner: Partner, secret: str, actor: Principal) -> None:
    """What verifies the partner's messages from now on; earlier ones stay good for a day. Raises Problem 422."""
    if not signing.is_wellformed(secret):
        raise invalid([Fault("/secret", "secret", T("须为 whsec_ 或 whpk_ 密钥", "Must be a whsec_ or whpk_ secret"))])
    found, now = _locked(partner), timezone.now()
    found.secrets.filter(expires_at=None).update(expires_at=now + EndpointSecret.OVERLAP)
    found.secrets.filter(expires_at__lte=now).delete()
    PartnerSecret.objects.create(partner=found, sealed=vault.seal(secret))
    _say("secret_added", found, actor)


@transaction.atomic
def change(*, partner: Partner, actor: Principal, base_url: str, client_id: str, client_secret: str = "") -> Partner:
    """Where its API is and what we log in with there; no ``client_secret``: the one there is. It is asked again at once.
    Raises Problem 422."""
    faults = addresses.url_faults(base_url, "/base_url") if base_url else []
    for name, value, most in (
        ("base_url", base_url, 300),
        ("client_id", client_id, 100),
        ("client_secret", client_secret, 500),
    ):
        if len(value) > most:
            faults.append(Fault(f"/{name}", "too-long", T("最多 {n} 字", "At most {n} characters", n=most)))
    if faults:
        raise invalid(faults)
    found = _locked(partner)
    given = {"base_url": base_url.rstrip("/"), "client_id": client_id}
    changed = [name for name, value in given.items() if getattr(found, name) != value]
    for name in changed:
        setattr(found, name, given[name])
    if client_secret:
        found.client_secret = vault.seal(client_secret)
        changed.append("client_secret")
    if changed:
        found.spared_until, found.last_error, found.asked_in_vain = None, "", 0
        found.save(update_fields=[*changed, "spared_until", "last_error", "asked_in_vain"])
        _say("changed", found, actor, changed=sorted(changed))
    return found


@transaction.atomic
def suspend(*, partner: Partner, actor: Principal) -> None:
    """Nothing goes out and nothing is taken until :func:`reinstate`."""
    _set_state(partner, Partner.State.SUSPENDED)
    _say("suspended", partner, actor)


@transaction.atomic
def reinstate(*, partner: Partner, actor: Principal) -> None:
    _set_state(partner, Partner.State.ACTIVE)
    _say("reinstated", partner, actor)


def _set_state(partner: Partner, state: str) -> None:
    found = _locked(partner)
    found.state = state
    found.save(update_fields=["state"])


def _say(what: str, partner: Partner, actor: Principal, **data: Any) -> None:
    append(
        type=f"partner.{what}",
        subject=("partner", partner.code),
        actor=actor.actor,
        audience=[partner.organisation_id],
        data={"code": partner.code, **data},
    )
