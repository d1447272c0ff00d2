"""The list of one's declarations."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from rest_framework.request import Request
from rest_framework.response import Response

from common.api import View
from common.asked import asked_day, asked_moment
from common.days import LEGAL_ZONE
from common.pagination import OLDEST_CHANGE_FIRST, CursorPagination
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
    query = request.query_params
    if states := [state for given in query.getlist("state") for state in given.split(",") if state]:
        if unknown := set(states) - set(State.values):
            text = T("没有状态 {state}", "There is no state {state}", state=", ".join(sorted(unknown)))
            raise invalid([Fault("/state", "state", text)])
        found = found.filter(state__in=states)
    for name, column in EQUAL.items():
        if value := query.get(name):
            found = found.filter(**{column: value})
    for name, lookup, days in (("lodged_from", "gte", 0), ("lodged_to", "lt", 1)):
        if day := asked_day(query, name):
            begins = datetime.combine(day + timedelta(days=days), time.min, LEGAL_ZONE)
            found = found.filter(**{f"lodged_at__{lookup}": begins})
    ordering = CursorPagination.ordering
    if since := asked_moment(query, "updated_since"):
        found, ordering = found.filter(updated_at__gte=since), OLDEST_CHANGE_FIRST
    rows = found.order_by().values(*COLUMNS, "id")
    return view.paged(request, rows, lambda row: {name: row[name] for name in COLUMNS}, ordering=ordering)
