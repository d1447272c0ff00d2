"""Every route and method of the API, and what opens it: written down a second time on purpose.

A route that is missing here, or opened by something else than what is written here, fails tests/test_permissions.py,
which also calls every route as every kind of organisation. "public" needs no token; "session" a console log-in; all
others are scopes (parties/scopes.py says which roles may hold them). What a caller finds behind the door is a matter of
``visible_to`` and tested with the app."""

from __future__ import annotations

PUBLIC = "public"
SESSION = "session"

#: path as in the URL configuration -> method -> what opens it
ROUTES: dict[str, dict[str, str]] = {
    "api/v1/oauth/token": {"POST": PUBLIC},
    "api/v1/oauth/revoke": {"POST": PUBLIC},
    "api/v1/events": {"GET": "events:read"},
    "api/v1/organisations": {"GET": "parties:read"},
    "api/v1/organisations/<int:pk>": {"GET": "parties:read"},
    "api/v1/mandates": {"GET": "parties:read", "POST": "parties:write"},
    "api/v1/mandates/<int:pk>/end": {"POST": "parties:write"},
    "api/v1/reference": {"GET": PUBLIC},
    "api/v1/reference/<slug:slug>": {"GET": PUBLIC},
    "api/v1/reference/<slug:slug>/<str:code>": {"GET": PUBLIC},
    "api/v1/manifests": {"GET": "cargo:read", "POST": "cargo:write"},
    "api/v1/manifests/<int:pk>": {"GET": "cargo:read"},
    "api/v1/consignments": {"GET": "cargo:read"},
    "api/v1/consignments/<int:pk>": {"GET": "cargo:read"},
    "api/v1/voyages": {"GET": "cargo:read"},
    "api/v1/voyages/<int:pk>/plan": {"POST": "cargo:write"},
    "api/v1/voyages/<int:pk>/reports": {"POST": "cargo:write"},
    "api/v1/supervision-sites": {"GET": "cargo:read"},
    "api/v1/tariff/commodities": {"GET": "tariff:read"},
    "api/v1/tariff/commodities/<str:code>": {"GET": "tariff:read"},
    "api/v1/tariff/changes": {"GET": "tariff:read"},
    "api/v1/tariff/assessments": {"POST": "tariff:read"},
    "api/v1/tariff/assessments/<int:pk>": {"GET": "tariff:read"},
    "api/v1/tariff/assessments/<int:pk>/explain": {"GET": "tariff:read"},
    "api/v1/tariff/memos": {"GET": "tariff:read"},
    "api/v1/tariff/memos/<str:number>": {"GET": "tariff:read"},
    "api/v1/tariff/payments": {"POST": "payments:write"},
    "api/v1/port-fees/catalogues": {"GET": PUBLIC},
    "api/v1/port-fees/catalogues/<str:number>": {"GET": PUBLIC},
    "api/v1/port-fees/catalogues/<str:number>/sheet.<str:kind>": {"GET": PUBLIC},
    "api/v1/port-fees/catalogues/<str:number>/difference/<str:other>": {"GET": PUBLIC},
    "api/v1/port-fees/lists": {"GET": "portfees:write", "POST": "portfees:write"},
    "api/v1/port-fees/lists/<str:number>": {"GET": "portfees:write", "PUT": "portfees:write"},
    "api/v1/port-fees/lists/<str:number>/<str:command>": {"POST": "portfees:write"},
    "api/v1/port-fees/quotations": {"POST": "portfees:read"},
    "api/v1/port-fees/invoices": {"GET": "portfees:read", "POST": "portfees:write"},
    "api/v1/port-fees/invoices/<int:pk>/complaints": {"POST": "portfees:read"},
    "api/v1/port-fees/complaints": {"GET": "portfees:read"},
    "api/v1/port-fees/complaints/<str:number>/<str:command>": {"POST": "portfees:read"},
    "api/schema": {"GET": PUBLIC},
    "api/docs": {"GET": PUBLIC},
    "api/redoc": {"GET": PUBLIC},
    "api/problems/": {"GET": PUBLIC},
    "api/problems/<str:code>": {"GET": PUBLIC},
    "i18n/setlang/": {"POST": PUBLIC},
    "livez": {"GET": PUBLIC},
    "readyz": {"GET": PUBLIC},
    "metrics": {"GET": PUBLIC},
    "": {"GET": PUBLIC},
}

#: Prefixes with tests of their own (console: every page × every duty).
ELSEWHERE = ("console/",)
