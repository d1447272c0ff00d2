"""What is shared with whom: agreements as a matrix, each with its versions, the next version agreed and one ended.

Writes only through the commands of ``exchange.agreements`` and ``exchange.partners``."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.datastructures import MultiValueDict
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from common.asked import asked_day
from common.days import today
from common.problems import Fault, Problem, not_found
from common.text import T
from common.validity import written
from console.forms import Field, faults_of, lines, shown, typed
from console.pages import officer, page, reader
from exchange import agreements, coverage, partners, standards
from exchange.models import Agreement, Partner
from exchange.terms import Terms
from parties.models import Officer

DUTY = Officer.Duty.EXCHANGE
DIRECTIONS = tuple(Agreement.Direction.values)
#: Lines for further fields below those that are there.
SPARE = 3


def _standing(day: date) -> list[Agreement]:
    """Versions in force on ``day`` or later."""
    found = Agreement.objects.filter(Q(valid__upper_inf=True) | Q(valid__endswith__gt=day))
    return [row for row in found if not row.valid.isempty]


@require_GET
def matrix(request: HttpRequest) -> HttpResponse:
    """Partners in the rows, kinds of subject in the columns; in each cell what goes out and what comes in."""
    reader(request, DUTY)
    day = today()
    now: dict[tuple[int, str], dict[str, coverage.Covered]] = {}
    coming: dict[int, list[Agreement]] = {}
    for row in _standing(day):
        if row.valid.lower is not None and row.valid.lower > day:
            coming.setdefault(row.partner_id, []).append(row)
        else:
            now[row.partner_id, row.direction] = coverage.of(row.terms())
    kinds = sorted({kind for covered in now.values() for kind in covered})
    return page(
        request, "console/agreements.html", title=T("共享协议", "Agreements on sharing"),
        kinds=[(kind, standards.kind_called(kind)) for kind in kinds],
        rows=[
            {
                "partner": partner,
                "coming": coming.get(partner.pk, []),
                "cells": [
                    (kind, [(direction, now.get((partner.pk, direction), {}).get(kind)) for direction in DIRECTIONS])
                    for kind in kinds
                ],
                "none": [direction for direction in DIRECTIONS if (partner.pk, direction) not in now],
            }
            for partner in Partner.objects.select_related("organisation")
        ],
    )  # fmt: skip


def _partner(code: str) -> Partner:
    found = Partner.objects.select_related("organisation").filter(code=code).first()
    if found is None:
        raise not_found()
    return found


def _versions(partner: Partner, direction: str) -> list[Agreement]:
    if direction not in DIRECTIONS:
        raise not_found()
    return list(Agreement.objects.filter(partner=partner, direction=direction).order_by("-version"))


def _state(row: Agreement, day: date) -> str:
    if row.valid.isempty or (row.valid.upper is not None and row.valid.upper <= day):
        return "over"
    return "coming" if row.valid.lower is not None and row.valid.lower > day else "now"


def _titled(direction: str, out: Any, in_: Any) -> Any:
    return out if direction == Agreement.Direction.OUT else in_


def _fields(covered: coverage.Covered) -> list[tuple[str, tuple[str, ...], str]]:
    return [(path, types, coverage.mark(path)) for path, types in covered.fields.items()]


@require_GET
def agreement(request: HttpRequest, code: str, direction: str) -> HttpResponse:
    """One direction with one partner: what travels, field by field, and the versions."""
    reader(request, DUTY)
    partner, day = _partner(code), today()
    versions = _versions(partner, direction)
    asked = request.GET.get("version", "")
    row = next((one for one in versions if str(one.version) == asked), None) or next(
        (one for one in versions if _state(one, day) == "now"), None
    )
    return page(
        request, "console/agreement.html", partner=partner, direction=direction, row=row,
        title=_titled(direction, T("{p}：发出", "{p}: what goes out", p=partner), T("{p}：收进", "{p}: what comes in", p=partner)),
        state=_state(row, day) if row else "",
        kind=request.GET.get("kind", ""),
        parts=[
            (kind, standards.kind_called(kind), covered, _fields(covered))
            for kind, covered in (coverage.of(row.terms()).items() if row else ())
        ],
        versions=[(one, written(one.valid), _state(one, day)) for one in versions], today=day,
    )  # fmt: skip


# The next version -----------------------------------------------------------------------------------------------------
_META = (
    Field("kinds", T("对象类别", "Kinds of subject"), "area", hint=T("每行一个：declaration", "One a line: declaration")),
    Field("types", T("事件类型", "Event types"), "area", hint=T("每行一个，可用通配：declaration.*", "One a line; wildcards are allowed: declaration.*")),
)  # fmt: skip
_PERIOD = (
    Field("valid_from", T("起期", "In force from"), "date", required=True),
    Field("valid_to", T("止期（可空，不含当日）", "Until (may be empty; that day excluded)"), "date"),
    Field("note", T("依据", "Basis"), wide=True, most=agreements.MOST_NOTE),
)


class Draft:
    """A version as it is typed: the values as the commands take them, and what could not be read."""

    def __init__(self, form: QueryDict | MultiValueDict[str, str]) -> None:
        self.given = typed(form, "kinds", "types", "valid_from", "valid_to", "note")  # type: ignore[arg-type]
        self.faults: list[Fault] = []
        self.kinds, self.types = _once(lines(self.given["kinds"])), _once(lines(self.given["types"]))
        self.fields: dict[str, list[str]] = {}
        #: pattern -> its line
        self.places: dict[str, int] = {}
        self.rows: list[dict[str, Any]] = []
        for pattern, paths in zip(form.getlist("pattern")[:200], form.getlist("paths")[:200], strict=False):
            pattern, named = pattern.replace("\x00", "").strip(), lines(paths.replace("\x00", ""))
            if not pattern and not named:
                continue
            if not pattern:
                wrong = T("请填事件类型或通配", "Give the event type or a pattern")
                self.faults.append(Fault(f"/fields/line-{len(self.rows)}", "required", wrong))
            else:
                self.places.setdefault(pattern, len(self.rows))
                self.fields[pattern] = _once([*self.fields.get(pattern, []), *named])
            self.rows.append({"pattern": pattern, "paths": paths.replace("\x00", ""), "faults": []})
        days: dict[str, date | None] = {"valid_from": None, "valid_to": None}
        for name in days:
            try:
                days[name] = asked_day(self.given, name)
            except Problem as problem:
                self.faults += problem.errors
        self.valid_from, self.valid_to = days["valid_from"] or today(), days["valid_to"]

    @classmethod
    def of(cls, row: Agreement | None) -> Draft:
        form: MultiValueDict[str, str] = MultiValueDict(
            {
                "kinds": ["\n".join(row.kinds) if row else ""],
                "types": ["\n".join(row.types) if row else ""],
                "valid_from": [today().isoformat()],
                "pattern": sorted(row.fields) if row else [],
                "paths": ["\n".join(row.fields[pattern]) for pattern in sorted(row.fields)] if row else [],
            }
        )
        return cls(form)

    def terms(self) -> Terms:
        fields = tuple((pattern, tuple(paths)) for pattern, paths in sorted(self.fields.items()))
        return Terms(tuple(self.kinds), tuple(self.types), fields)

    def check(self) -> list[Fault]:
        return self.faults + agreements.faults(
            self.kinds, self.types, self.fields, self.valid_from, self.valid_to, self.given["note"]
        )

    def place(self, faults: list[Fault]) -> list[Fault]:
        """Put faults of fields at their lines; the others are returned."""
        rest = []
        for fault in faults:
            line = self._line(fault.pointer)
            if line is None:
                rest.append(fault)
            else:
                place = fault.pointer.rpartition("/")[2]
                named = place.isdecimal() and fault.code == "field-path"
                self.rows[line]["faults"].append((str(int(place) + 1) if named else "", fault.text))
        return rest

    def _line(self, pointer: str) -> int | None:
        if not pointer.startswith("/fields/"):
            return None
        rest = pointer.removeprefix("/fields/")
        if rest.startswith("line-"):
            return int(rest.removeprefix("line-"))
        order = list(self.places.values())
        if rest.isdecimal() and int(rest) < len(order):
            return order[int(rest)]
        return self.places.get(rest, self.places.get(rest.rpartition("/")[0]))


def _once(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


@require_http_methods(["GET", "POST"])
def propose(request: HttpRequest, code: str, direction: str) -> HttpResponse:
    """The next version: written, its difference looked at, and then agreed as it was looked at."""
    principal = officer(request, DUTY)
    partner, day = _partner(code), today()
    versions = _versions(partner, direction)
    before = next((one for one in versions if _state(one, day) == "now"), None)
    latest = versions[0].version if versions else 0
    draft = Draft(request.POST) if request.method == "POST" else Draft.of(before)
    faults: list[Fault] = []
    difference = None
    if request.method == "POST":
        faults = draft.check()
        if not faults:
            difference = coverage.compare(before.terms() if before else coverage.NOTHING, draft.terms())
            if request.POST.get("step") == "agree":
                try:
                    made = agreements.agree(
                        partner=partner, direction=direction, kinds=draft.kinds, types=draft.types, fields=draft.fields,
                        actor=principal, valid_from=draft.valid_from, valid_to=draft.valid_to, note=draft.given["note"],
                        after=_version(request.POST.get("after", "")),
                    )  # fmt: skip
                    messages.success(request, T("第 {n} 版已达成。", "Version {n} is agreed.", n=made.version))
                    return redirect("admin:agreement", code, direction)
                except Problem as problem:
                    faults = faults_of(problem)
    rest = draft.place(faults)
    beneath = [one for one in rest if one.pointer.startswith(("/valid", "/note"))]
    above = [one for one in rest if one not in beneath]
    form = shown(_META, draft.given, above, begins=not faults and difference is None) | {"number": len(faults)}
    period = shown(_PERIOD, draft.given, beneath, begins=False) | {"number": 0}
    return page(
        request, "console/agreement_form.html", partner=partner, direction=direction, before=before, latest=latest,
        title=_titled(direction, T("新版本：{p} 发出", "New version: {p}, out", p=partner),
                      T("新版本：{p} 收进", "New version: {p}, in", p=partner)),
        form=form, period=period, rows=[*draft.rows, *({"pattern": "", "paths": "", "faults": []} for _ in range(SPARE))],
        draft=draft, difference=difference, known=standards.event_types(),
    )  # fmt: skip


def _version(text: str) -> int:
    """The version a draft was looked at against; one that nothing is agreed against where none is told."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else -1


@require_POST
def end(request: HttpRequest, code: str, direction: str, version: int) -> HttpResponse:
    """End a version: nothing is shared any more from the day on."""
    principal = officer(request, DUTY)
    row = next((one for one in _versions(_partner(code), direction) if one.version == version), None)
    if row is None:
        raise not_found()
    try:
        on = asked_day(request.POST, "on")
        agreements.end(agreement=row, actor=principal, on=on)
        messages.success(request, T("第 {n} 版已终止。", "Version {n} is ended.", n=row.version))
    except Problem as problem:
        for fault in faults_of(problem):
            messages.error(request, fault.text)
    return redirect("admin:agreement", code, direction)


_PARTNER = {
    "suspend": (partners.suspend, T("已暂停：不发出，也不收进。", "Suspended: nothing goes out and nothing is taken.")),
    "reinstate": (partners.reinstate, T("已恢复。", "Reinstated.")),
}


@require_POST
def partner_act(request: HttpRequest, code: str, act: str) -> HttpResponse:
    """Suspend a partner, reinstate it."""
    principal, partner = officer(request, DUTY), _partner(code)
    if act not in _PARTNER:
        raise not_found()
    command, done = _PARTNER[act]
    command(partner=partner, actor=principal)
    messages.success(request, done)
    return redirect("admin:exchange_partner_change", partner.pk)


# What we reach a partner with, and what verifies its messages --------------------------------------------------------------
_CONNECTION = (
    Field(
        "base_url", T("接口地址", "API address"), wide=True, most=300,
        hint=T("以 /api/v1 结尾；空为不拉取", "Ends with /api/v1; empty: nothing is pulled"),
    ),
    Field("client_id", T("客户端标识", "Client id"), most=100),
    Field("client_secret", T("客户端密钥", "Client secret"), "password", most=500, hint=T("空为不变", "Empty: as it is")),
)  # fmt: skip
_SECRET = (
    Field(
        "secret", T("对方的签名密钥", "The partner's signing secret"), "password", required=True, wide=True, most=200,
        hint=T("whsec_（共享密钥）或 whpk_（Ed25519 公钥）", "whsec_ (shared secret) or whpk_ (Ed25519 public key)"),
    ),
)  # fmt: skip


@require_http_methods(["GET", "POST"])
def connection(request: HttpRequest, code: str) -> HttpResponse:
    """Where a partner's API is and what we log in with there. A secret that was typed is not shown again."""
    principal, partner = officer(request, DUTY), _partner(code)
    given, faults = typed(request.POST, "base_url", "client_id", "client_secret"), list[Fault]()
    if request.method == "POST":
        try:
            partners.change(partner=partner, actor=principal, **given)
            messages.success(request, T("已修改，即按新设置连接。", "Changed; it is reached as set here at once."))
            return redirect("admin:exchange_partner_change", partner.pk)
        except Problem as problem:
            faults = faults_of(problem)
    else:
        given = {"base_url": partner.base_url, "client_id": partner.client_id}
    return page(
        request, "console/partner_form.html", title=T("{p}：接口", "{p}: its API", p=partner), partner=partner,
        form=shown(_CONNECTION, given | {"client_secret": ""}, faults),
    )  # fmt: skip


@require_http_methods(["GET", "POST"])
def secret(request: HttpRequest, code: str) -> HttpResponse:
    """A new secret (or public key) that verifies the partner's messages; the one before stays good for a day."""
    principal, partner = officer(request, DUTY), _partner(code)
    given, faults = typed(request.POST, "secret"), list[Fault]()
    if request.method == "POST":
        try:
            partners.add_secret(partner=partner, secret=given["secret"], actor=principal)
            messages.success(
                request,
                T(
                    "新密钥已生效，旧密钥 24 小时内仍可用。",
                    "The new secret is good now, the old one for 24 hours more.",
                ),
            )
            return redirect("admin:exchange_partner_change", partner.pk)
        except Problem as problem:
            faults = faults_of(problem)
    known = partner.secrets.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now())).order_by("-created_at")
    return page(
        request, "console/partner_form.html", title=T("{p}：验签密钥", "{p}: what verifies its messages", p=partner),
        partner=partner, form=shown(_SECRET, {}, faults), secrets=known,
    )  # fmt: skip
