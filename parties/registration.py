"""Who takes part and who may act for whom: organisations and their standing, API clients, officers and mandates."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.backends.postgresql.psycopg_any import DateRange  # type: ignore[attr-defined]
from django.db.models import Model, Q
from django.utils import timezone
from oauth2_provider.generators import generate_client_secret
from oauth2_provider.models import AccessToken, Application
from stdnum.cn import uscc

from common.days import today
from common.problems import Fault, Problem, conflict, invalid, not_found
from common.text import T
from events.log import append
from parties import scopes as scope_table
from parties.models import ApiClient, Mandate, OfficeAssignment, Officer, Organisation, OrganisationRole
from parties.principals import SYSTEM, Principal

CUSTOMS_CODE = re.compile(r"[0-9A-Z]{10}")


def check_social_credit_code(code: str, pointer: str = "/social_credit_code") -> list[Fault]:
    """GB 32100-2015: 18 characters, the last one a check character."""
    if uscc.is_valid(code):
        return []
    return [
        Fault(
            pointer,
            "social-credit-code",
            T("统一社会信用代码校验不通过：{code}", "Not a valid unified social credit code: {code}", code=code),
        )
    ]


def _unfit(row: Model, *exclude: str) -> list[Fault]:
    """What does not fit the columns of a row."""
    try:
        row.clean_fields(exclude=exclude)
    except ValidationError as error:
        return [
            Fault(f"/{name}", "unfit", T("不被接受：{why}", "Not accepted: {why}", why=" ".join(texts)))
            for name, texts in error.message_dict.items()
        ]
    return []


def register_organisation(
    *,
    name: str,
    roles: Iterable[str],
    social_credit_code: str | None = None,
    customs_code: str | None = None,
    actor: Principal = SYSTEM,
    **details: Any,
) -> Organisation:
    """Enter an organisation, its codes as declarations write them. Raises Problem 422 (faults) or 409 (already registered)."""
    social_credit_code = uscc.compact(social_credit_code or "") or None
    customs_code = (customs_code or "").strip().upper() or None
    faults = check_social_credit_code(social_credit_code) if social_credit_code else []
    if customs_code and not CUSTOMS_CODE.fullmatch(customs_code):
        faults.append(
            Fault("/customs_code", "customs-code", T("海关编码应为 10 位", "A customs code has 10 characters"))
        )
    roles = list(roles)
    if not roles or set(roles) - set(OrganisationRole.values):
        faults.append(Fault("/roles", "roles", T("角色无效", "Unknown or missing role")))
    faults += _unfit(Organisation(name=name, **details), "roles", "social_credit_code", "customs_code")
    if faults:
        raise invalid(faults)
    try:
        with transaction.atomic():
            organisation = Organisation.objects.create(
                name=name, roles=roles, social_credit_code=social_credit_code, customs_code=customs_code, **details
            )
            append(
                type="organisation.registered",
                subject=("organisation", str(organisation.pk)),
                actor=actor.actor,
                audience=[organisation.pk],
                data={"name": name, "roles": roles},
            )
    except IntegrityError as error:
        raise conflict("organisation-exists", T("该单位已登记", "This organisation is already registered")) from error
    return organisation


def _locked(organisation: Organisation) -> Organisation:
    return Organisation.objects.select_for_update().get(pk=organisation.pk)


@transaction.atomic
def suspend(*, organisation: Organisation, actor: Principal, reason: str, since: date | None = None) -> Organisation:
    """From the legal day ``since`` (today unless told) it may not take part in declarations: they are rejected.

    Raises Problem 409 (suspended already) or 422."""
    found = _locked(organisation)
    if not reason.strip() or len(reason) > 255:
        text = T("须说明原因（不超过 255 字）", "A reason is needed, of at most 255 characters")
        raise invalid([Fault("/reason", "required", text)])
    if found.suspended_since is not None:
        raise conflict("organisation-suspended", T("该单位已被暂停", "This organisation is suspended already"))
    found.suspended_since = since or today()
    found.save(update_fields=["suspended_since"])
    append(
        type="organisation.suspended",
        subject=("organisation", str(found.pk)),
        actor=actor.actor,
        audience=[found.pk],
        data={"since": found.suspended_since, "reason": reason.strip()},
    )
    return found


@transaction.atomic
def reinstate(*, organisation: Organisation, actor: Principal) -> Organisation:
    """Let a suspended organisation take part again. Raises Problem 409."""
    found = _locked(organisation)
    if found.suspended_since is None:
        raise conflict("organisation-not-suspended", T("该单位未被暂停", "This organisation is not suspended"))
    found.suspended_since = None
    found.save(update_fields=["suspended_since"])
    append(
        type="organisation.reinstated",
        subject=("organisation", str(found.pk)),
        actor=actor.actor,
        audience=[found.pk],
        data={},
    )
    return found


@transaction.atomic
def register_client(
    *, organisation: Organisation, name: str, scopes: Iterable[str] | None = None, actor: Principal = SYSTEM
) -> tuple[ApiClient, str]:
    """Give ``organisation`` an API client; returns it and its secret, which is told only now."""
    name = name.strip()
    if not name or len(name) > 255:
        text = T("须有名称（不超过 255 字）", "A name is needed, of at most 255 characters")
        raise invalid([Fault("/name", "required", text)])
    allowed = scope_table.allowed_for(organisation.roles)
    granted = sorted(set(scopes)) if scopes is not None else allowed
    if not granted:
        raise invalid([Fault("/scopes", "required", T("至少选择一项权限", "At least one scope is needed"))])
    if excess := set(granted) - set(allowed):
        raise invalid(
            [
                Fault(
                    "/scopes", "scope-not-for-role", T("角色不允许：{s}", "Not for this role: {s}", s=", ".join(excess))
                )
            ]
        )
    secret = generate_client_secret()
    application = Application.objects.create(
        name=name,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
        client_secret=secret,
    )
    client = ApiClient.objects.create(application=application, organisation=organisation, scopes=granted)
    append(
        type="api_client.registered",
        subject=("organisation", str(organisation.pk)),
        actor=actor.actor,
        audience=[organisation.pk],
        data={"client_id": application.client_id, "scopes": granted},
    )
    return client, secret


@transaction.atomic
def rotate_client(*, client: ApiClient, actor: Principal) -> str:
    """Another secret in place of a client's present one, told only now. The old one and its tokens hold no longer.

    Raises Problem 409 (revoked)."""
    found = _locked_client(client)
    secret = _renew(found)
    _tell_of_client("api_client.rotated", found, actor)
    return secret


@transaction.atomic
def revoke_client(*, client: ApiClient, actor: Principal) -> ApiClient:
    """Shut a client out, with the tokens it has. The record stays. Raises Problem 409 (revoked already)."""
    found = _locked_client(client)
    _renew(found)  # nobody is told this one
    found.revoked_at = timezone.now()
    found.save(update_fields=["revoked_at"])
    _tell_of_client("api_client.revoked", found, actor)
    return found


def _locked_client(client: ApiClient) -> ApiClient:
    found = ApiClient.objects.select_for_update(of=("self",)).select_related("application").get(pk=client.pk)
    if found.revoked_at is not None:
        raise conflict("client-revoked", T("该客户端已作废", "This client is revoked"))
    return found


def _renew(client: ApiClient) -> str:
    secret: str = generate_client_secret()
    application = client.application
    application.client_secret = secret  # hashed as it is saved
    application.save(update_fields=["client_secret", "updated"])
    AccessToken.objects.filter(application=application).delete()
    return secret


def _tell_of_client(event: str, client: ApiClient, actor: Principal) -> None:
    append(
        type=event,
        subject=("organisation", str(client.organisation_id)),
        actor=actor.actor,
        audience=[client.organisation_id],
        data={"client_id": client.application.client_id},
    )


@transaction.atomic
def register_officer(
    *,
    username: str,
    password: str,
    organisation: Organisation,
    offices: Iterable[str],
    duties: Iterable[str],
    name: str = "",
    since: date | None = None,
    superuser: bool = False,
) -> Officer:
    """Let a person work in the console for these customs offices."""
    user = get_user_model().objects.create_user(
        username=username, password=password, is_staff=True, is_superuser=superuser, last_name=name
    )
    officer = Officer.objects.create(user=user, organisation=organisation, duties=sorted(duties))
    for office in sorted(set(offices)):
        OfficeAssignment.objects.create(officer=officer, office=office, valid=DateRange(since or today(), None))
    return officer


def find_broker(code: str) -> int:
    """The customs broker registered here under a credit code or customs code. Raises Problem 422.

    A firm names a broker before it has anything to do with it, so it cannot look it up among its own."""
    found = Organisation.objects.filter(
        Q(social_credit_code=code) | Q(customs_code=code), roles__contains=[OrganisationRole.CUSTOMS_BROKER]
    ).first()
    if found is None:
        text = T("未登记此报关企业：{code}", "No customs broker is registered here under {code}", code=code)
        raise invalid([Fault("/broker", "broker-not-registered", text)])
    return found.pk


@transaction.atomic
def give_mandate(
    *,
    firm_id: int,
    broker_id: int,
    valid_from: date,
    valid_to: date | None = None,
    customs_procedures: Iterable[str] = (),
    agreement_number: str = "",
    actor: Principal = SYSTEM,
) -> Mandate:
    """``firm`` lets ``broker`` declare for it. Raises Problem 404, 409 (overlaps another) or 422."""
    broker = Organisation.objects.filter(pk=broker_id, roles__contains=[OrganisationRole.CUSTOMS_BROKER]).first()
    if broker is None:
        raise not_found()
    if valid_to is not None and valid_to <= valid_from:
        raise invalid([Fault("/valid_to", "period", T("止期须晚于起期", "The end must be after the start"))])
    if firm_id == broker_id:
        raise invalid([Fault("/broker", "mandate-self", T("不能委托自己", "No mandate to oneself"))])
    try:
        with transaction.atomic():
            mandate = Mandate.objects.create(
                firm_id=firm_id,
                broker_id=broker_id,
                valid=DateRange(valid_from, valid_to),
                customs_procedures=sorted(set(customs_procedures)),
                agreement_number=agreement_number,
            )
    except IntegrityError as error:
        raise conflict("mandate-overlaps", T("该期间已有委托", "There is a mandate for this period already")) from error
    append(
        type="mandate.given",
        subject=("mandate", str(mandate.pk)),
        actor=actor.actor,
        audience=[firm_id, broker_id],
        data={"firm": firm_id, "broker": broker_id, "from": valid_from, "to": valid_to},
    )
    return mandate


@transaction.atomic
def end_mandate(*, mandate_id: int, principal: Principal, on: date | None = None) -> Mandate:
    """End a mandate: from the legal day ``on`` (today unless told) it no longer holds. Either side may.

    Raises Problem 404, 409 (ended already), 422 (before its start)."""
    mandate = Mandate.objects.visible_to(principal).select_for_update(of=("self",)).filter(pk=mandate_id).first()
    if mandate is None:
        raise not_found()
    end = on or today()
    if mandate.valid.isempty or (mandate.valid.upper is not None and mandate.valid.upper <= end):
        raise conflict("mandate-ended", T("委托已终止", "The mandate has ended already"))
    if end < mandate.valid.lower:
        raise Problem(422, "validation-failed", T("终止日早于起期", "The end lies before the start"))
    mandate.valid = DateRange(mandate.valid.lower, end)
    mandate.save(update_fields=["valid"])
    append(
        type="mandate.ended",
        subject=("mandate", str(mandate.pk)),
        actor=principal.actor,
        audience=[mandate.firm_id, mandate.broker_id],
        data={"to": end},
    )
    return mandate


def may_declare_for(*, declarant_id: int, firm_id: int, customs_procedure: str, on: date) -> bool:
    """Whether ``declarant`` may declare for ``firm`` on that day: itself, or under a mandate for this procedure."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT parties_may_declare_for(%s, %s, %s, %s)", [declarant_id, firm_id, customs_procedure, on])
        return bool(cursor.fetchone()[0])


def find_registered(social_credit_code: str | None, customs_code: str | None) -> int | None:
    """The organisation that a party's two codes name, as lodgement finds it: by the first that is registered here."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT parties_registered(%s, %s)", [social_credit_code, customs_code])
        found: int | None = cursor.fetchone()[0]
        return found
