"""Port-fee lists and designated supervision sites of all provinces in one search: our own records, and what partners told us
of theirs, each marked with its source and never mixed."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.conf import settings
from django.db.models import Q

from cargo import places
from cargo.models import DesignatedSite
from exchange.models import Mirror, Partner
from portfees.catalogues import ITEM_FIELDS
from portfees.models import FeeItem, FeeList

MOST = 200


def _mirrors(kind: str, last_types: tuple[str, ...]) -> Any:
    return (
        Mirror.objects.filter(
            subject_kind=kind, last_type__in=last_types, count__gt=0, partner__state=Partner.State.ACTIVE
        )
        .select_related("partner__organisation")
        .order_by("partner__code", "subject_number")
    )


def _in_force(data: dict[str, Any], day: date) -> bool:
    """By the days a partner shared; what it did not share does not count against it."""
    start, end = data.get("valid_from"), data.get("valid_to")
    return (not isinstance(start, str) or start <= day.isoformat()) and (
        not isinstance(end, str) or day.isoformat() < end
    )


def fee_lists(*, day: date, port: str = "", words: str = "") -> list[dict[str, Any]]:
    """Published lists in force on ``day``, by port and by words in title, body or lines."""
    words = words.replace("\x00", "").strip()
    own = FeeList.objects.public().on(day).select_related("body").prefetch_related("items").order_by("port", "number")
    if port:
        own = own.filter(port=port)
    if words:
        lines = FeeItem.objects.filter(Q(name_zh__icontains=words) | Q(name_en__icontains=words) | Q(code=words))
        own = own.filter(
            Q(title__icontains=words) | Q(body__name__icontains=words) | Q(pk__in=lines.values("fee_list"))
        )
    found = [
        {
            "source": settings.PROVINCE,
            "own": True,
            "as_of": one.published_at,
            "number": one.number,
            "body": str(one.body),
            "port": one.port,
            "area": one.area,
            "title": one.title,
            "valid_from": one.valid.lower,
            "valid_to": one.valid.upper,
            "items": [{name: getattr(item, name) for name in ITEM_FIELDS} for item in one.items.all()],
        }
        for one in own[:MOST]
    ]
    theirs = _mirrors("fee_list", ("fee_list.published",))
    if port:
        theirs = theirs.filter(data__port=port)
    if words:
        theirs = theirs.filter(
            Q(data__title__icontains=words) | Q(data__body__icontains=words) | Q(data__items__icontains=words)
        )
    found += [
        {"source": row.partner.code, "own": False, "as_of": row.last_time, "number": row.subject_number}
        | {name: row.data.get(name) for name in ("body", "port", "area", "title", "valid_from", "valid_to")}
        | {"items": row.data.get("items") or []}
        for row in theirs[:MOST]
        if _in_force(row.data, day)
    ]
    return found


def sites(*, day: date, category: str = "", code: str = "", port: str = "") -> list[dict[str, Any]]:
    """Designated sites on ``day``, by category or by the commodity code that needs one, and by port."""
    if code:
        category = places.categories([code], day).get(code, "-")
    own = DesignatedSite.objects.on(day).select_related("place").order_by("category", "place__code")
    theirs = _mirrors("site", ("site.designated",))
    if category:
        own, theirs = own.filter(category=category), theirs.filter(data__category=category)
    if port:
        own, theirs = own.filter(place__unlocode=port), theirs.filter(data__port=port)
    found = [
        {
            "source": settings.PROVINCE,
            "own": True,
            "code": one.place.code,
            "name": one.place.name,
            "port": one.place.unlocode,
            "office": one.place.office,
            "category": one.category,
            "valid_from": one.valid.lower,
            "valid_to": one.valid.upper,
        }
        for one in own[:MOST]
    ]
    return found + [
        {"source": row.partner.code, "own": False}
        | {
            name: row.data.get(name)
            for name in ("code", "name", "port", "office", "category", "valid_from", "valid_to")
        }
        for row in theirs[:MOST]
        if _in_force(row.data, day)
    ]
