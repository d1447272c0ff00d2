"""Places, and what may be done where on which day: designated supervision sites, services, manifest limits."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from django.db import transaction
from django.db.backends.postgresql.psycopg_any import DateRange  # type: ignore[attr-defined]

from cargo.models import DesignatedSite, ManifestLimit, Place, PlaceService, SiteGoods
from events.log import append

DATA = Path(__file__).parent / "data"


def categories(codes: Iterable[str], day: date) -> dict[str, str]:
    """For each commodity code that needs a designated site on ``day``, the category (longest prefix wins)."""
    known = {row.code_prefix: row.category for row in SiteGoods.objects.on(day)}
    found: dict[str, str] = {}
    for code in codes:
        for length in range(len(code), 1, -1):
            if (category := known.get(code[:length])) is not None:
                found[code] = category
                break
    return found


def sites(category: str, day: date, offices: Iterable[str] | None = None) -> list[Place]:
    """Places designated for ``category`` on ``day``, in these customs offices where given."""
    places = Place.objects.filter(pk__in=DesignatedSite.objects.on(day).filter(category=category).values("place"))
    if offices is not None:
        places = places.filter(office__in=list(offices))
    return list(places)


def takes(place_code: str, category: str, day: date) -> bool:
    """Whether the site at ``place_code`` takes goods of ``category`` on ``day``."""
    return DesignatedSite.objects.on(day).filter(place__code=place_code, category=category).exists()


def offers(place_code: str, service: str, day: date) -> bool:
    """Whether a port area offers ``service`` (ship-side pick-up, ...) on ``day``."""
    return PlaceService.objects.on(day).filter(place__code=place_code, service=service).exists()


def limit(kind: str, mode: str, containers: bool, day: date) -> ManifestLimit | None:
    return ManifestLimit.objects.on(day).filter(kind=kind, mode=mode, containers=containers).first()


def _rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _from(row: dict[str, str]) -> DateRange:
    return DateRange(date.fromisoformat(row["valid_from"]), None)


def _announce(site: DesignatedSite) -> None:
    append(
        type="site.designated",
        subject=("site", f"{site.place.code}/{site.category}"),
        actor="system",
        audience=[],
        data={
            "code": site.place.code,
            "name": site.place.name,
            "name_en": site.place.name_en,
            "port": site.place.unlocode,
            "office": site.place.office,
            "category": site.category,
            "valid_from": site.valid.lower,
            "source": site.source,
        },
    )


@transaction.atomic
def load() -> dict[str, int]:
    """Enter the shipped places, sites, services and limits that are not there yet; returns how many rows exist."""
    for row in _rows("places.csv"):
        Place.objects.get_or_create(code=row["code"], defaults={k: v for k, v in row.items() if k != "code"})
    place = {one.code: one for one in Place.objects.all()}
    for row in _rows("designated_sites.csv"):
        site, made = DesignatedSite.objects.get_or_create(
            place=place[row["place"]],
            category=row["category"],
            valid__startswith=row["valid_from"],
            defaults={"valid": _from(row), "source": row["source"]},
        )
        if made:
            _announce(site)
    for row in _rows("site_goods.csv"):
        SiteGoods.objects.get_or_create(
            category=row["category"],
            code_prefix=row["code_prefix"],
            valid__startswith=row["valid_from"],
            defaults={"valid": _from(row), "source": row["source"]},
        )
    for row in _rows("place_services.csv"):
        PlaceService.objects.get_or_create(
            place=place[row["place"]],
            service=row["service"],
            valid__startswith=row["valid_from"],
            defaults={"valid": _from(row), "source": row["source"]},
        )
    for row in _rows("manifest_limits.csv"):
        ManifestLimit.objects.get_or_create(
            kind=row["kind"],
            mode=row["mode"],
            containers=row["containers"] == "1",
            valid__startswith=row["valid_from"],
            defaults={
                "valid": _from(row), "hours": int(row["hours"]), "anchor": row["anchor"], "source": row["source"],
            },
        )  # fmt: skip
    return {
        "places": len(place),
        "designated sites": DesignatedSite.objects.count(),
        "site goods": SiteGoods.objects.count(),
        "services": PlaceService.objects.count(),
        "manifest limits": ManifestLimit.objects.count(),
    }
