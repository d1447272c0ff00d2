"""Webhook endpoints as operators keep them: made, changed, tested, rotated, paused, replayed, deleted.

Writes only through the commands of ``exchange.endpoints``. A secret is written into the answer to the request that made
it and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from common.asked import asked_moment
from common.problems import Fault, Problem, invalid, not_found
from common.text import T
from console.forms import Field, faults_of, lines, shown, typed
from console.pages import officer, page, reader
from events.models import Event
from exchange import endpoints, replays, signing, standards
from exchange.models import Delivery, Endpoint, Partner
from parties.models import Officer, Organisation
from parties.principals import Principal

DUTY = Officer.Duty.EXCHANGE
#: Deliveries and steps shown on an endpoint's page; all are in the lists.
SHOWN = 20

SIGNATURES = (
    ("v1", T("v1：共享密钥 HMAC-SHA256", "v1: shared secret, HMAC-SHA256")),
    ("v1a", T("v1a：公钥 Ed25519", "v1a: public key, Ed25519")),
)
DETAILS = (
    Field("url", "URL", required=True, wide=True, most=500, hint=T("须为 https 地址", "Must be an https URL")),
    Field(
        "event_types", T("事件类型", "Event types"), "area", required=True,
        hint=T("每行一个，可用通配：declaration.*", "One a line; wildcards are allowed: declaration.*"),
    ),
    Field(
        "headers", T("附加请求头", "Headers to add"), "area",
        hint=T("每行一个：名称: 值", "One a line: Name: value"),
    ),
    Field(
        "rate_limit", T("限速（次/秒）", "Rate limit (a second)"), "text",
        hint=T("空为不限", "Empty: none"),
    ),
    Field("timeout", T("应答时限（秒）", "Seconds to answer in"), "text", hint=T("1 至 30", "From 1 to 30")),
    Field("description", T("说明", "Description"), wide=True, most=endpoints.MOST_DESCRIPTION),
)  # fmt: skip
_NAMES = tuple(field.name for field in DETAILS)


def _values(given: dict[str, str]) -> tuple[dict[str, Any], list[Fault]]:
    """The details as the commands take them, and what was not readable."""
    faults: list[Fault] = []
    values: dict[str, Any] = {
        "url": given["url"], "description": given["description"], "event_types": lines(given["event_types"]),
        "headers": {}, "rate_limit": None, "timeout": 15,
    }  # fmt: skip
    for n, line in enumerate(line for line in given["headers"].splitlines() if line.strip()):
        name, colon, value = line.partition(":")
        if not colon:
            faults.append(Fault(f"/headers/{n}", "header", T("应写作“名称: 值”", "Is written “Name: value”")))
        elif name.strip() in values["headers"]:
            faults.append(Fault(f"/headers/{n}", "header", T("请求头重复", "This header is given twice")))
        else:
            values["headers"][name.strip()] = value.strip()
    for name in ("rate_limit", "timeout"):
        if given[name]:
            if given[name].isascii() and given[name].isdecimal() and len(given[name]) < 10:
                values[name] = int(given[name])
            else:
                faults.append(Fault(f"/{name}", "number", T("须为整数", "Must be a whole number")))
    return values, faults


def _owner(given: dict[str, str]) -> tuple[Organisation | None, Partner | None, list[Fault]]:
    """Whose endpoint it is to be: an organisation by its code or name, or the partner's own."""
    partner = Partner.objects.select_related("organisation").filter(code=given["partner"] or None).first()
    if given["partner"] and partner is None:
        return None, None, [Fault("/partner", "not-found", T("没有此伙伴", "There is no such partner"))]
    text = given["organisation"]
    if not text:
        if partner is not None:
            return partner.organisation, partner, []
        return (
            None,
            None,
            [Fault("/organisation", "required", T("请填单位或选伙伴", "Give an organisation or a partner"))],
        )
    found = list(Organisation.objects.filter(Q(social_credit_code=text) | Q(customs_code=text) | Q(name=text))[:2])
    if len(found) == 1:
        return found[0], partner, []
    wrong = T("没有此单位", "There is no such organisation") if not found else T(
        "名称不唯一，请填代码", "Several are called so; give the code"
    )  # fmt: skip
    return None, partner, [Fault("/organisation", "not-found", wrong)]


def _owner_fields() -> tuple[Field, ...]:
    partners = [(one.code, str(one)) for one in Partner.objects.select_related("organisation")]
    return (
        Field(
            "organisation", T("单位", "Organisation"), most=200,
            hint=T(
                "统一社会信用代码、海关编码或全称；为伙伴可空",
                "Social credit code, customs code or full name; may be empty for a partner",
            ),
        ),
        Field("partner", T("协作省份（可空）", "Partner (may be empty)"), "select", options=[("", "—"), *partners]),
    )  # fmt: skip


_SIGNATURE = Field("signature", T("签名方式", "Signature"), "select", options=SIGNATURES)


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Make an endpoint; the answer shows its secret, once."""
    principal = officer(request, DUTY)
    given = typed(request.POST, "organisation", "partner", "signature", *_NAMES)
    faults: list[Fault] = []
    if request.method == "POST":
        values, faults = _values(given)
        organisation, partner, unknown = _owner(given)
        faults = [*unknown, *faults]
        if given["signature"] not in dict(SIGNATURES):
            faults.append(Fault("/signature", "signature", T("请选择签名方式", "Choose a signature")))
        try:
            if faults or organisation is None:
                raise invalid([*faults, *endpoints.faults(values)])
            made, secret = endpoints.create(
                principal=principal, organisation_id=organisation.pk, partner=partner, signature=given["signature"],
                **values,
            )  # fmt: skip
            return _told(request, made, secret)
        except Problem as problem:
            faults = faults_of(problem)
    else:
        given |= {"timeout": "15", "partner": request.GET.get("partner", "")[:20]}
    return page(
        request, "console/endpoint_form.html", title=T("新建推送端点", "Make an endpoint"),
        form=shown((*_owner_fields(), *DETAILS, _SIGNATURE), given, faults), known=standards.event_types(),
    )  # fmt: skip


def _told(request: HttpRequest, endpoint: Endpoint, secret: str) -> HttpResponse:
    """The answer that tells a secret. Nothing keeps it: no store, no message, and the address left in the browser is that
    of the endpoint's page, so that loading again neither tells nor makes another."""
    old = endpoint.secrets.filter(expires_at__gt=timezone.now()).order_by("-expires_at").first()
    response = page(
        request, "console/endpoint_secret.html", title=T("端点密钥", "The secret of the endpoint"), row=endpoint,
        secret=secret, public=secret.startswith(signing.PUBLIC), old_until=old.expires_at if old else None,
    )  # fmt: skip
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "same-origin"
    return response


def _one(pk: UUID, principal: Principal) -> Endpoint:
    seen = Endpoint.objects.all() if principal.is_superuser else Endpoint.objects.visible_to(principal)
    found = seen.select_related("organisation", "partner").filter(pk=pk).first()
    if found is None:
        raise not_found()
    return found


def _secrets(endpoint: Endpoint) -> list[dict[str, Any]]:
    """What signs now, without the secrets themselves."""
    found = endpoint.secrets.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now())).order_by("-created_at")
    return [{"created_at": row.created_at, "expires_at": row.expires_at} for row in found]


def _signature(endpoint: Endpoint) -> str:
    signing_now = endpoint.signing_secrets()
    return "v1a" if signing_now and signing_now[0].startswith(signing.PRIVATE) else "v1"


@require_GET
def show(request: HttpRequest, pk: UUID) -> HttpResponse:
    """An endpoint: its state, what signs, its last deliveries, who did what, and what may be done now."""
    row = _one(pk, reader(request, DUTY))
    deliveries = row.deliveries.select_related("payload").order_by("-pk")
    history = Event.objects.filter(subject_kind="webhook_endpoint", subject_number=str(row.pk))
    return page(
        request, "console/endpoint.html", title=row.url, row=row, secrets=_secrets(row), signature=_signature(row),
        signatures=SIGNATURES, gone=row.state == Endpoint.State.DELETED, deliveries=deliveries[:SHOWN],
        waiting=row.deliveries.filter(state__in=Delivery.OPEN).count(),
        history=[(event, standards.called(event.type)) for event in history.order_by("-sequence")[:SHOWN]],
    )  # fmt: skip


@require_http_methods(["GET", "POST"])
def change(request: HttpRequest, pk: UUID) -> HttpResponse:
    principal = officer(request, DUTY)
    row, given = _one(pk, principal), typed(request.POST, *_NAMES)
    faults: list[Fault] = []
    if request.method == "POST":
        values, faults = _values(given)
        try:
            if faults:
                raise invalid([*faults, *endpoints.faults(values)])
            endpoints.change(endpoint_id=row.pk, principal=principal, **values)
            messages.success(request, T("已修改。", "Changed."))
            return redirect("admin:endpoint", row.pk)
        except Problem as problem:
            faults = faults_of(problem)
    else:
        given = {
            "url": row.url, "description": row.description, "event_types": "\n".join(row.event_types),
            "headers": "\n".join(f"{name}: {value}" for name, value in row.headers.items()),
            "rate_limit": "" if row.rate_limit is None else str(row.rate_limit), "timeout": str(row.timeout),
        }  # fmt: skip
    return page(
        request, "console/endpoint_form.html", title=T("修改端点", "Change the endpoint"), row=row,
        form=shown(DETAILS, given, faults), known=standards.event_types(),
    )  # fmt: skip


@require_POST
def rotate(request: HttpRequest, pk: UUID) -> HttpResponse:
    """A new secret, shown in the answer; the old one signs beside it for a day."""
    principal = officer(request, DUTY)
    row = _one(pk, principal)
    signature = request.POST.get("signature", "")
    if signature not in dict(SIGNATURES):
        signature = _signature(row)
    return _told(request, row, endpoints.rotate(endpoint_id=row.pk, principal=principal, signature=signature))


REPLAY = (
    Field("from_time", T("自时间", "From the time"), "datetime-local", hint=T("北京时间", "Beijing time")),
    Field("to_time", T("至时间（可空，不含）", "To the time (may be empty; excluded)"), "datetime-local"),
    Field("after", T("或：自位置之后", "Or: after the position"), hint=T("0 为从头", "0: from the beginning")),
    Field("before", T("至位置之前（可空）", "To before the position (may be empty)")),
)


def _bounds(given: dict[str, str]) -> tuple[int, int | None]:
    """Between which positions to replay. Raises Problem 422."""
    faults: list[Fault] = []
    found: dict[str, Any] = {}
    for name in ("from_time", "to_time"):
        try:
            found[name] = asked_moment(given, name)
        except Problem as problem:
            faults += problem.errors
    for name in ("after", "before"):
        if given[name] and not (given[name].isascii() and given[name].isdecimal() and len(given[name]) < 19):
            faults.append(Fault(f"/{name}", "position", T("须为非负整数", "Must be a whole number, not negative")))
        else:
            found[name] = int(given[name]) if given[name] else None
    if faults:
        raise invalid(faults)
    return replays.between(**found)


@require_http_methods(["GET", "POST"])
def replay(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Queue again what lies between two times or positions; says how many deliveries were queued."""
    principal = officer(request, DUTY)
    row, given, faults = _one(pk, principal), typed(request.POST, *(field.name for field in REPLAY)), []
    if request.method == "POST":
        try:
            after, before = _bounds(given)
            done = endpoints.replay(endpoint_id=row.pk, principal=principal, after=after, before=before)
            messages.success(request, T("已重新排入 {n} 次投递。", "{n} deliveries queued again.", n=done.deliveries))
            if done.next is not None:
                messages.warning(
                    request,
                    T(
                        "未完：请从位置 {p} 之后继续重放。",
                        "There is more: replay again after position {p}.",
                        p=done.next,
                    ),
                )
            return redirect("admin:endpoint", row.pk)
        except Problem as problem:
            faults = faults_of(problem)
    return page(
        request, "console/endpoint_replay.html", title=T("重放", "Replay"), row=row, form=shown(REPLAY, given, faults),
        most=endpoints.MOST_REPLAYED,
    )  # fmt: skip


#: What one press does: the command, and what is said when it is done.
ACTS: dict[str, tuple[Callable[..., Any], Any]] = {
    "pause": (endpoints.pause, T("已暂停。", "Paused.")),
    "resume": (endpoints.resume, T("已恢复。", "Resumed.")),
    "delete": (endpoints.delete, T("已删除。", "Deleted.")),
}


@require_POST
def act(request: HttpRequest, pk: UUID, act: str) -> HttpResponse:
    """Pause, resume, test, delete."""
    principal = officer(request, DUTY)
    row = _one(pk, principal)
    try:
        if act == "test":
            sent = endpoints.test(endpoint_id=row.pk, principal=principal)
            _say_tested(request, sent)
        elif act in ACTS:
            command, done = ACTS[act]
            command(endpoint_id=row.pk, principal=principal)
            messages.success(request, done)
        else:
            raise not_found()
    except Problem as problem:
        for fault in faults_of(problem):
            messages.error(request, fault.text)
    return redirect("admin:exchange_endpoint_changelist") if act == "delete" else redirect("admin:endpoint", row.pk)


def _say_tested(request: HttpRequest, sent: Delivery) -> None:
    answer = sent.last_status or sent.last_error
    if sent.state == Delivery.State.DELIVERED:
        messages.success(request, T("测试消息已送达（{a}）。", "The test message was delivered ({a}).", a=answer))
    else:
        messages.error(request, T("测试消息未送达：{a}", "The test message was not delivered: {a}", a=answer))


@require_POST
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Try a delivery now; back to the page where the button stood."""
    principal = officer(request, DUTY)
    try:
        endpoints.retry(delivery_id=pk, principal=None, actor=principal.actor)
        messages.success(request, T("投递 #{n} 立即重试。", "Delivery #{n} is tried now.", n=pk))
    except Problem as problem:
        for fault in faults_of(problem):
            messages.error(request, fault.text)
    back = request.headers.get("Referer", "")
    if url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
        return redirect(back)
    return redirect("admin:exchange_delivery_change", pk)
