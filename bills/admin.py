"""What the console shows of bills: title, acts, versions, the journey. Nothing is edited here."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import BooleanField, Case, F, Q, QuerySet, Value, When
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from bills import departing, exporting, journey, sight
from bills.models import (
    Act,
    Arrival,
    Bill,
    BillState,
    Container,
    DeliveryOrder,
    Departure,
    Involvement,
    Leg,
    LegEvent,
    Paper,
    Platform,
    SigningKey,
)
from bills.sight import Sight
from common.admin import ReadOnlyAdmin, ReadOnlyInline, caller
from common.text import T
from parties.models import Officer

#: Acts shown with a bill, from the last one backwards; all of them are in the API and in the exported file.
ACTS_SHOWN = 200


class ActInline(ReadOnlyInline):
    model = Act
    fields = ["sequence", "code", "version", "actor", "recipient", "acted_at", "checksum"]
    readonly_fields = fields  # type: ignore[assignment]
    ordering = ["-sequence"]
    verbose_name_plural = T("行为链（最近 {n} 个）", "chain of acts (the last {n})", n=ACTS_SHOWN)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Act]:
        found: QuerySet[Act] = super().get_queryset(request)
        principal = caller(request)
        if principal is not None:
            found = found & Act.objects.visible_to(principal)
        return found.filter(sequence__gt=F("bill__acts") - ACTS_SHOWN).select_related("actor", "recipient")


class LegInline(ReadOnlyInline):
    model = Leg
    fields = [
        "sequence",
        "mode",
        "origin",
        "destination",
        "carrier_name",
        "means",
        "voyage",
        "actual_departure",
        "actual_arrival",
    ]
    readonly_fields = fields  # type: ignore[assignment]


class LegEventInline(ReadOnlyInline):
    model = LegEvent
    fields = ["leg", "kind", "occurred_at", "place", "container", "remark", "reporter"]
    readonly_fields = fields  # type: ignore[assignment]


class ContainerInline(ReadOnlyInline):
    model = Container
    fields = ["number", "size_type", "seals"]
    readonly_fields = fields  # type: ignore[assignment]


class PaperInline(ReadOnlyInline):
    model = Paper
    fields = ["kind", "number", "released_at"]
    readonly_fields = fields  # type: ignore[assignment]


class InvolvementInline(ReadOnlyInline):
    model = Involvement
    fields = ["organisation", "role"]
    readonly_fields = fields  # type: ignore[assignment]


@admin.register(Bill)
class BillAdmin(ReadOnlyAdmin):
    list_display = [
        "number",
        "kind",
        "negotiability",
        "state",
        "version",
        "issuer",
        "in_hands_of",
        "in_pledge",
        "updated_at",
    ]
    list_filter = ["state", "kind", "negotiability"]
    list_select_related = ["issuer", "holder", "pledgee"]
    search_fields = ["number__startswith", "containers__number__startswith", "papers__number__startswith"]
    ordering = ["-updated_at"]
    fields = [
        ("number", "kind", "negotiability"), ("state", "version", "acts"), ("issuer", "in_hands_of", "in_pledge"),
        "whereabouts", "obstacles", "verification", ("issued_at", "updated_at"), "checksum",
    ]  # fmt: skip
    inlines = [ActInline, LegInline, LegEventInline, ContainerInline, PaperInline, InvolvementInline]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["whereabouts", "obstacles", "verification", "in_hands_of", "in_pledge"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Bill]:
        """Each bill knows whether its reader is one of its parties in title: as in the API, others do not see them."""
        found: QuerySet[Bill] = super().get_queryset(request)
        principal = caller(request)
        if principal is None or principal.is_authority:
            return found.annotate(open_to_me=Value(True))
        own = principal.organisation_id or 0
        mine = Q(issuer_id=own) | Q(holder_id=own) | Q(pledgee_id=own)
        return found.annotate(open_to_me=Case(When(mine, then=True), default=False, output_field=BooleanField()))

    def get_inlines(self, request: HttpRequest, obj: Any) -> list[Any]:
        principal = caller(request)
        if obj is None or principal is None:
            return self.inlines
        seen, _ = sight.of(obj, principal)
        if seen == Sight.PAST:
            return [ActInline]
        return [inline for inline in self.inlines if inline is not InvolvementInline or seen == Sight.WHOLE]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        principal = caller(request)
        if obj is None or principal is None or sight.of(obj, principal)[0] != Sight.PAST:
            return self.fields
        return [name for name in self.fields if name not in ("whereabouts", "obstacles")]

    @admin.display(description=T("持有人", "holder"), ordering="holder")
    def in_hands_of(self, bill: Any) -> str:
        return (str(bill.holder) if bill.holder else bill.holder_name or "-") if bill.open_to_me else "-"

    @admin.display(description=T("质权人", "pledgee"), ordering="pledgee")
    def in_pledge(self, bill: Any) -> str:
        return str(bill.pledgee) if bill.pledgee and bill.open_to_me else "-"

    @admin.display(description=T("货物所在", "where the goods are"))
    def whereabouts(self, bill: Bill) -> str:
        found = journey.whereabouts(bill)
        leg = T("区段", "leg")
        return f"{found['status']} · {leg} {found['leg'] or '-'} · {found['place'] or '-'} · {found['since'] or ''}"

    @admin.display(description=T("交付前尚缺", "still missing before delivery"))
    def obstacles(self, bill: Bill) -> str:
        if bill.state == BillState.DRAFT or bill.ended:
            return "-"
        return "；".join(str(fault.text) for fault in journey.obstacles(bill)) or str(T("无", "nothing"))

    @admin.display(description=T("公开核验页", "public verification page"))
    def verification(self, bill: Bill) -> str:
        if not bill.checksum:
            return "-"
        return format_html('<a href="{}">{}</a>', exporting.verification_url(bill), bill.checksum[:16])


class AuthoritiesOnly(ReadOnlyAdmin):
    """What the platform does: for officers of authorities, whatever duties people of a firm or a bank may have."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        principal = caller(request)
        return super().has_view_permission(request, obj) and (principal is None or principal.is_authority)


@admin.register(SigningKey)
class SigningKeyAdmin(AuthoritiesOnly):
    view_duties = (Officer.Duty.EXCHANGE, Officer.Duty.SUPERVISION)
    list_display = ["kid", "organisation", "platform", "valid_from", "revoked_at", "reason"]
    list_filter = ["platform"]
    search_fields = ["kid__startswith", "organisation__name__startswith"]
    fields = ["kid", "organisation", "platform", "owner", "jwk", "valid_from", "revoked_at", "reason"]


@admin.register(Platform)
class PlatformAdmin(AuthoritiesOnly):
    view_duties = (Officer.Duty.EXCHANGE, Officer.Duty.SUPERVISION)
    list_display = ["code", "name", "base_url", "active"]
    fields = ["code", "name", "base_url", "token_url", "client_id", "organisation", "active"]


@admin.register(Departure)
class DepartureAdmin(AuthoritiesOnly):
    view_duties = (Officer.Duty.EXCHANGE, Officer.Duty.SUPERVISION)
    list_display = [
        "bill",
        "platform",
        "purpose",
        "state",
        "attempts",
        "next_attempt_at",
        "answer_code",
        "last_error",
        "by_hand",
    ]
    list_filter = ["state", "purpose", "platform"]
    list_select_related = ["bill", "platform"]
    search_fields = ["bill__number__startswith"]
    exclude = ["body"]

    @admin.display(description=T("人工处理", "by hand"))
    def by_hand(self, departure: Departure) -> str:
        """Where the answer left the bill in between, people decide."""
        if not departing.stands_open(departure):
            return "-"
        return format_html('<a href="{}">{}</a>', reverse("admin:departure", args=[departure.pk]), T("处理", "settle"))


@admin.register(Arrival)
class ArrivalAdmin(AuthoritiesOnly):
    view_duties = (Officer.Duty.EXCHANGE, Officer.Duty.SUPERVISION)
    list_display = ["bill_number", "platform", "action", "recipient", "state", "reference", "created_at"]
    list_filter = ["state", "action", "platform"]
    list_select_related = ["recipient"]
    search_fields = ["bill_number__startswith"]
    exclude = ["body"]


@admin.register(DeliveryOrder)
class DeliveryOrderAdmin(AuthoritiesOnly):
    view_duties = (Officer.Duty.RELEASE, Officer.Duty.SUPERVISION)
    list_display = ["number", "bill", "to", "issued_at", "used_at"]
    list_select_related = ["bill", "to"]
    search_fields = ["number__startswith", "bill__number__startswith"]
