"""The list of one's declarations."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import View
from common.days import LEGAL_ZONE
from common.pagination import CursorPagination, OldestChangeFirst
from common.problems import Fault, invalid
from common.text import T
from declarations.lifecycle import State
from declarations.models import Declaration
from parties.principals import caller

COLUMNS = (
    "unified_number", "customs_number", "client_reference", "state", "state_since", "version", "revision", "direction",
    "customs_office", "customs_procedure", "transport_mode", "transport_document_number", "domestic_party_name",
    "declarant_name", "gross_weight", "package_count", "created_at", "updated_at", "lodged_at", "accepted_at",
    "released_at", "cleared_at",
)  # fmt: skip

#: Query parameter -> column it must equal.
EQUAL = {
    "customs_office": "customs_office",
    "direction": "direction",
    "customs_procedure": "customs_procedure",
    "transport_document_number": "transport_document_number",
    "customs_number": "customs_number",
}


def listing(view: View, request: Request) -> Response:
    found = Declaration.objects.visible_to(caller(request))
    asked = request.query_params
    faults: list[Fault] = []
    if states := [state for given in asked.getlist("state") for state in given.split(",") if state]:
        if unknown := set(states) - set(State.values):
            text = T("没有状态 {state}", "There is no state {state}", state=", ".join(sorted(unknown)))
            faults.append(Fault("state", "state", text))
        found = found.filter(state__in=states)
    for name, column in EQUAL.items():
        if value := asked.get(name):
            found = found.filter(**{column: value})
    for name, lookup, days in (("lodged_from", "gte", 0), ("lodged_to", "lt", 1)):
        if given := asked.get(name):
            day = _day(given)
            if day is None:
                faults.append(Fault(name, "date", T("日期应为 YYYY-MM-DD", "A day is written YYYY-MM-DD")))
            else:
                moment = datetime(day.year, day.month, day.day, tzinfo=LEGAL_ZONE) + timedelta(days=days)
                found = found.filter(**{f"lodged_at__{lookup}": moment})
    pages: Any = CursorPagination()
    if given := asked.get("updated_since"):
        pages = OldestChangeFirst()
        since = _moment(given)
        if since is None:
            faults.append(Fault("updated_since", "time", T("时间应为 ISO 8601", "A time is written as ISO 8601")))
        else:
            found = found.filter(updated_at__gte=since)
    if faults:
        raise invalid(faults)
    rows = pages.paginate_queryset(found.order_by().values(*COLUMNS, "id"), request, view=view)
    for row in rows:
        del row["id"]
    return pages.get_paginated_response(rows)


def _day(text: str) -> date | None:
    if len(text) != 10:
        return None
    try:
        found = parse_date(text)
    except ValueError:
        return None
    return found if found is not None and 1 < found.year < 9999 else None


def _moment(text: str) -> datetime | None:
    try:
        # A plus sign that was not escaped arrives as a blank.
        found = parse_datetime(text.replace(" ", "+"))
    except ValueError:
        return None
    if found is None or not 1 < found.year < 9999:
        return None
    return found if timezone.is_aware(found) else found.replace(tzinfo=LEGAL_ZONE)
