"""The console's own pages, beside the admin's (``/console/…``, names under ``admin:``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.admin import AdminSite
from django.urls import URLPattern, path

from console import (
    audit,
    bills,
    clearing,
    compare,
    decisions,
    dossier,
    durations,
    fees,
    hooks,
    inspection,
    manifests,
    organisations,
    pages,
    rules,
    search,
    sharing,
    transits,
)


def pages_of(site: AdminSite) -> list[URLPattern]:
    def page(route: str, view: Callable[..., Any], name: str) -> URLPattern:
        return path(route, site.admin_view(view), name=name)

    return [
        page("find/", search.find, "find"),
        page("audit/", audit.show, "audit"),
        page("times/", durations.show, "times"),
        page("queue/", pages.show, "queue"),
        page("queue/take/", pages.take_next, "take_next"),
        page("queue/release/", decisions.bulk_release, "bulk_release"),
        page("inspections/", inspection.calendar, "inspections"),
        page("evidence/<uuid:pk>/", inspection.evidence, "evidence"),
        page("inspections/<str:number>/", inspection.show, "inspection"),
        page("inspections/<str:number>/<slug:act>/", inspection.act, "inspection_act"),
        page("risk/", rules.show, "risk"),
        page("risk/edit/", rules.edit, "risk_edit"),
        page("risk/<int:pk>/<slug:act>/", rules.act, "risk_act"),
        page("bills/departures/<int:pk>/", bills.departure, "departure"),
        page("manifests/", manifests.show, "manifest_changes"),
        page("manifests/trips/<int:pk>/correct/", manifests.correct, "voyage_correct"),
        page("manifests/<int:pk>/decide/", manifests.decide, "manifest_decide"),
        page("port-fees/lists/", fees.lists, "fee_lists"),
        page("port-fees/figures/", fees.fee_figures, "fee_figures"),
        page("port-fees/complaints/", fees.complaints, "complaints"),
        page("port-fees/complaints/<str:number>/", fees.complaint, "complaint"),
        page("port-fees/lists/<str:number>/", fees.fee_list, "fee_list"),
        page("port-fees/lists/<str:number>/<slug:act>/", fees.fee_list_act, "fee_list_act"),
        page("organisations/new/", organisations.new, "organisation_new"),
        page("organisations/<int:pk>/clients/new/", organisations.new_client, "client_new"),
        page("organisations/<int:pk>/<slug:act>/", organisations.act, "organisation_act"),
        page("clients/<int:pk>/<slug:act>/", organisations.client_act, "client_act"),
        page("exchange/agreements/", sharing.matrix, "agreements"),
        page("exchange/agreements/<str:code>/<slug:direction>/", sharing.agreement, "agreement"),
        page("exchange/agreements/<str:code>/<slug:direction>/new/", sharing.propose, "agreement_new"),
        page("exchange/agreements/<str:code>/<slug:direction>/<int:version>/end/", sharing.end, "agreement_end"),
        page("exchange/deliveries/<int:pk>/retry/", hooks.retry, "delivery_retry"),
        page("exchange/partners/<str:code>/connection/", sharing.connection, "partner_connection"),
        page("exchange/partners/<str:code>/secret/", sharing.secret, "partner_secret"),
        page("exchange/partners/<str:code>/<slug:act>/", sharing.partner_act, "partner_act"),
        page("exchange/transits/", transits.show, "transits"),
        page("exchange/transits/new/", transits.new, "transit_new"),
        page("exchange/transits/confirm/", transits.confirm, "transit_confirm"),
        page("exchange/endpoints/new/", hooks.new, "endpoint_new"),
        page("exchange/endpoints/<uuid:pk>/", hooks.show, "endpoint"),
        page("exchange/endpoints/<uuid:pk>/change/", hooks.change, "endpoint_change"),
        page("exchange/endpoints/<uuid:pk>/rotate/", hooks.rotate, "endpoint_rotate"),
        page("exchange/endpoints/<uuid:pk>/replay/", hooks.replay, "endpoint_replay"),
        page("exchange/endpoints/<uuid:pk>/<slug:act>/", hooks.act, "endpoint_act"),
        page("declarations/<str:number>/looked-at/", clearing.review, "review"),
        page("declarations/<str:number>/duties/<slug:act>/", clearing.see_to_duties, "see_to_duties"),
        page("declarations/<str:number>/documents/<uuid:pk>/", compare.document, "document"),
        page("declarations/<str:number>/steps/<slug:step>/", clearing.confirm_step, "confirm_step"),
        page("declarations/<str:number>/holds/", clearing.place_hold, "place_hold"),
        page("declarations/<str:number>/holds/<str:hold>/lift/", clearing.lift_hold, "lift_hold"),
        page("declarations/<str:number>/requests/<int:pk>/", clearing.decide_request, "decide_request"),
        page("declarations/<str:number>/", dossier.show, "declaration"),
        page("declarations/<str:number>/back/", pages.give_back, "give_back"),
        page("declarations/<str:number>/<slug:command>/", decisions.decide, "decide"),
    ]
