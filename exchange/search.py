"""Port-fee lists and designated supervision sites of all provinces in one search: our own records, and what partners told us
of theirs, each marked with its source and never mixed."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce

from cargo import places
from cargo.models import DesignatedSite
from exchange.merged import PAGE, Page, Source, page
from exchange.models import Mirror, Partner
from portfees.catalogues import ITEM_FIELDS
from portfees.models import FeeItem, FeeList

#: How partners write the days of a validity; what reads otherwise tells no day.
_DAY = r"^\d{4}-\d{2}-\d{2}$"


def _mirrors(kind: str, last_types: tuple[str, ...], day: date) -> QuerySet[Mirror]:
    """Mirrors in force on ``day``, by the days a partner shared; what it did not share does not count against it."""
    told = Mirror.objects.filter(
        subject_kind=kind, last_type__in=last_types, count__gt=0, partner__state=Partner.State.ACTIVE
    )
    dated = told.annotate(starts=_text("valid_from"), ends=_text("valid_to"))
    begun = ~Q(starts__regex=_DAY) | Q(starts__lte=day.isoformat())
    not_over = ~Q(ends__regex=_DAY) | Q(ends__gt=day.isoformat())
    return dated.filter(begun, not_over).select_related("partner__organisation")


def _text(name: str) -> Coalesce:
    return Coalesce(KeyTextTransform(name, "data"), Value(""), output_field=TextField())


def fee_lists(*, day: date, port: str = "", words: str = "", cursor: str = "", most: int = PAGE) -> Page:
    """Published lists in force on ``day``, by port and by words in title, body or lines: our own, then theirs. Raises Problem
    422 where ``cursor`` is none of ours."""
    words = words.replace("\x00", "").strip()
    own = FeeList.objects.public().on(day).select_related("body").prefetch_related("items")
    # A list is superseded when its successor is published and stays in force until that begins: which day that is only its
    # end tells.
    theirs = _mirrors("fee_list", ("fee_list.published", "fee_list.superseded"), day).exclude(
        Q(last_type="fee_list.superseded", ends="")
    )
    if port:
        own, theirs = own.filter(port=port), theirs.filter(data__port=port)
    if words:
        lines = FeeItem.objects.filter(Q(name_zh__icontains=words) | Q(name_en__icontains=words) | Q(code=words))
        own = own.filter(
            Q(title__icontains=words) | Q(body__name__icontains=words) | Q(pk__in=lines.values("fee_list"))
        )
        theirs = theirs.filter(
            Q(data__title__icontains=words) | Q(data__body__icontains=words) | Q(data__items__icontains=words)
        )
    return page(
        Source(own, ("port", "number"), _own_list),
        Source(theirs, ("partner__code", "subject_number"), _their_list),
        cursor=cursor,
        most=most,
    )


def _own_list(one: FeeList) -> dict[str, Any]:
    return {
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


def _their_list(row: Mirror) -> dict[str, Any]:
    return (
        {"source": row.partner.code, "own": False, "as_of": row.last_time, "number": row.subject_number}
        | {name: row.data.get(name) for name in ("body", "port", "area", "title", "valid_from", "valid_to")}
        | {"items": row.data.get("items") or []}
    )


def sites(*, day: date, category: str = "", code: str = "", port: str = "", cursor: str = "", most: int = PAGE) -> Page:
    """Designated sites on ``day``, by category or by the commodity code that needs one, and by port. Raises Problem 422."""
    if code:
        category = places.categories([code], day).get(code, "-")
    own = DesignatedSite.objects.on(day).select_related("place")
    theirs = _mirrors("site", ("site.designated",), day)
    if category:
        own, theirs = own.filter(category=category), theirs.filter(data__category=category)
    if port:
        own, theirs = own.filter(place__unlocode=port), theirs.filter(data__port=port)
    return page(
        Source(own, ("category", "place__code"), _own_site),
        Source(theirs, ("partner__code", "subject_number"), _their_site),
        cursor=cursor,
        most=most,
    )


def _own_site(one: DesignatedSite) -> dict[str, Any]:
    return {
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


def _their_site(row: Mirror) -> dict[str, Any]:
    names = ("code", "name", "port", "office", "category", "valid_from", "valid_to")
    return {"source": row.partner.code, "own": False} | {name: row.data.get(name) for name in names}
