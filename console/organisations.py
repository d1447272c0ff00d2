"""Setting the house up: organisations, their standing, and the machines that act for them.

Writes only through the commands of ``parties.registration``. Rights are given by superusers alone, as on the officers'
pages. A secret is written into the answer to the request that made it, and nowhere else (docs/decisions/0066)."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from common.asked import asked_day
from common.problems import Problem, not_found, standard
from common.text import T
from console.forms import Field, faults_of, shown, typed
from console.pages import page, who
from parties import registration, scopes
from parties.models import ApiClient, Organisation, OrganisationRole
from parties.principals import Principal
from refdata import codes


def _house(request: HttpRequest) -> Principal:
    """Whoever sets the house up. Raises Problem 403."""
    principal = who(request)
    if not principal.is_superuser:
        raise standard(403)
    return principal


def _fields() -> tuple[Field, ...]:
    provinces = [
        (code, f"{code} {codes.name('corridor_province', code)}") for code in codes.codes_of("corridor_province")
    ]
    return (
        Field("name", T("名称", "Name"), most=200, required=True),
        Field("name_en", T("英文名称", "English name"), most=200),
        Field(
            "social_credit_code", T("统一社会信用代码", "Social credit code"), most=30,
            hint=T("18 位，含校验码；空格、连字符不计", "18 characters, the last one a check character; blanks and hyphens do not count"),
        ),
        Field("customs_code", T("海关注册编码", "Customs registration code"), most=10),
        Field("roles", T("角色", "Roles"), "checks", required=True, wide=True, options=OrganisationRole.choices),
        Field("province", T("省份", "Province"), "select", options=[("", "—"), *provinces]),
        Field("email", T("电子邮件", "E-mail"), "email"),
        Field("telephone", T("电话", "Telephone"), most=60),
        Field("address", T("地址", "Address"), most=300, wide=True),
    )  # fmt: skip


_TEXTS = ("name", "name_en", "social_credit_code", "customs_code", "province", "email", "telephone", "address")


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Register an organisation."""
    principal = _house(request)
    given: dict[str, Any] = typed(request.POST, *_TEXTS) | {"roles": request.POST.getlist("roles")}
    faults = []
    if request.method == "POST":
        try:
            made = registration.register_organisation(
                **given | {name: given[name] or None for name in ("social_credit_code", "customs_code")},
                actor=principal,
            )
            messages.success(request, T("{name} 已登记。", "{name} is registered.", name=made))
            return redirect("admin:parties_organisation_change", made.pk)
        except Problem as problem:
            faults = faults_of(problem)
    return page(
        request, "console/organisation_form.html", title=T("登记单位", "Register an organisation"),
        form=shown(_fields(), given, faults), back=reverse("admin:parties_organisation_changelist"),
        done=T("登记", "Register"),
    )  # fmt: skip


def _organisation(pk: int) -> Organisation:
    found = Organisation.objects.filter(pk=pk).first()
    if found is None:
        raise not_found()
    return found


@require_POST
def act(request: HttpRequest, pk: int, act: str) -> HttpResponse:
    """Suspend an organisation, reinstate it."""
    principal, organisation = _house(request), _organisation(pk)
    try:
        if act == "suspend":
            registration.suspend(
                organisation=organisation, actor=principal, since=asked_day(request.POST, "since"),
                reason=typed(request.POST, "reason")["reason"],
            )  # fmt: skip
            messages.success(request, T("已暂停其资格。", "Suspended."))
        elif act == "reinstate":
            registration.reinstate(organisation=organisation, actor=principal)
            messages.success(request, T("已恢复其资格。", "Reinstated."))
        else:
            raise not_found()
    except Problem as problem:
        for fault in faults_of(problem):
            messages.error(request, fault.text)
    return redirect("admin:parties_organisation_change", pk)


@require_http_methods(["GET", "POST"])
def new_client(request: HttpRequest, pk: int) -> HttpResponse:
    """Give an organisation an API client; the answer shows its secret, once."""
    principal, organisation = _house(request), _organisation(pk)
    allowed = scopes.allowed_for(organisation.roles)
    given: dict[str, Any] = typed(request.POST, "name") | {"scopes": request.POST.getlist("scopes")}
    faults = []
    if request.method == "POST":
        try:
            client, secret = registration.register_client(
                organisation=organisation, name=given["name"], scopes=given["scopes"], actor=principal
            )
            return _told(request, client, secret)
        except Problem as problem:
            faults = faults_of(problem)
    else:
        given["scopes"] = allowed
    options = [(name, f"{name} · {scopes.SCOPES[name].text}") for name in allowed]
    fields = (
        Field("name", T("客户端名称", "Name of the client"), most=255, required=True, wide=True),
        Field("scopes", T("权限范围", "Scopes"), "checks", wide=True, options=options),
    )
    return page(
        request, "console/organisation_form.html", row=organisation,
        title=T("新建接口客户端", "Make an API client"), form=shown(fields, given, faults),
        back=reverse("admin:parties_organisation_change", args=[pk]), done=T("建立", "Make"),
        told=T("密钥在下一页只显示一次。", "The secret is shown once, on the next page."),
    )  # fmt: skip


def _told(request: HttpRequest, client: ApiClient, secret: str) -> HttpResponse:
    """The answer that tells a secret; the address left in the browser is that of the client's own page."""
    response = page(
        request, "console/client_secret.html", title=T("接口客户端的密钥", "The secret of the API client"), row=client,
        secret=secret,
    )  # fmt: skip
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "same-origin"
    return response


@require_POST
def client_act(request: HttpRequest, pk: int, act: str) -> HttpResponse:
    """Give a client another secret, or shut it out."""
    principal = _house(request)
    client = ApiClient.objects.select_related("application", "organisation").filter(pk=pk).first()
    if client is None or act not in ("rotate", "revoke"):
        raise not_found()
    try:
        if act == "rotate":
            return _told(request, client, registration.rotate_client(client=client, actor=principal))
        registration.revoke_client(client=client, actor=principal)
        messages.success(request, T("已作废，其令牌同时失效。", "Revoked, and its tokens with it."))
    except Problem as problem:
        for fault in faults_of(problem):
            messages.error(request, fault.text)
    return redirect("admin:parties_apiclient_change", pk)
