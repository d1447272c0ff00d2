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
from declarations.models import Container, Declaration
from parties.principals import caller

COLUMNS = (
    "unified_number", "customs_number", "client_reference", "state", "state_since", "version", "revision", "direction",
    "customs_office", "customs_procedure", "transport_mode", "transport_document_number", "domestic_party_name",
    "declarant_name", "gross_weight", "package_count", "created_at", "updated_at", "lodged_at", "amended_at",
    "accepted_at", "released_at", "cleared_at",
)  # fmt: skip

#: Query parameter -> column it must equal.
EQUAL = {
    "customs_office": "customs_office",
    "direction": "direction",
    "customs_procedure": "customs_procedure",
    "transport_document_number": "transport_document_number",
    "customs_number": "customs_number",
    "contract_number": "contract_number",
    "transport_mode": "transport_mode",
    "domestic_party_credit_code": "domestic_party_credit_code",
}
#: What else may be asked.
OTHER = {
    "state", "container_number", "lodged_from", "lodged_to", "updated_since", "cursor",
    CursorPagination.page_size_query_param,
}  # fmt: skip


def listing(view: View, request: Request) -> Response:
    found = Declaration.objects.visible_to(caller(request))
    query = request.query_params
    known = OTHER | EQUAL.keys()
    if unknown := sorted(set(query) - known):
        text = T(
            "没有此查询参数；可用：{known}",
            "No such query parameter; there are: {known}",
            known=", ".join(sorted(known)),
        )
        raise invalid([Fault(f"/{name[:60]}", "unknown-parameter", text) for name in unknown[:20]])
    if states := [state for given in query.getlist("state") for state in given.split(",") if state]:
        if odd := set(states) - set(State.values):
            text = T("没有状态 {state}", "There is no state {state}", state=", ".join(sorted(odd)))
            raise invalid([Fault("/state", "state", text)])
        found = found.filter(state__in=states)
    for name, column in EQUAL.items():
        if value := query.get(name):
            found = found.filter(**{column: value})
    if box := query.get("container_number"):
        found = found.filter(pk__in=Container.objects.filter(container_number=box).values("declaration_id"))
    for name, lookup, days in (("lodged_from", "gte", 0), ("lodged_to", "lt", 1)):
        if day := asked_day(query, name):
            begins = datetime.combine(day + timedelta(days=days), time.min, LEGAL_ZONE)
            found = found.filter(**{f"lodged_at__{lookup}": begins})
    ordering = CursorPagination.ordering
    if since := asked_moment(query, "updated_since"):
        found, ordering = found.filter(updated_at__gte=since), OLDEST_CHANGE_FIRST
    rows = found.order_by().values(*COLUMNS, "id")
    return view.paged(request, rows, lambda row: {name: row[name] for name in COLUMNS}, ordering=ordering)
