"""From a bearer token or a console session to a :class:`parties.principals.Principal`."""

from __future__ import annotations

import hashlib
from typing import Any

import structlog
from django.db import connection
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from common.days import today
from common.text import T
from parties.models import Officer
from parties.principals import Principal

#: Scopes a console session has in the API: an officer reads and decides, through the offices assigned.
OFFICER_SCOPES = frozenset(
    {
        "declarations:read", "declarations:decide", "events:read", "parties:read", "tariff:read", "portfees:read",
        "cargo:read", "clearance:read", "inspections:write", "bills:read",
    }
)  # fmt: skip

_CALLER = """
SELECT o.id, o.name, o.roles, t.scope, a.client_id
FROM oauth2_provider_accesstoken t
JOIN oauth2_provider_application a ON a.id = t.application_id
JOIN parties_apiclient c ON c.application_id = a.id
JOIN parties_organisation o ON o.id = c.organisation_id
WHERE t.token_checksum = %s AND t.expires > now()
"""


class Bearer(authentication.BaseAuthentication):
    """OAuth 2.0 bearer token (RFC 6750), one query: this runs on every request."""

    def authenticate(self, request: Request) -> tuple[Principal, str] | None:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            return None
        checksum = hashlib.sha256(token.strip().encode("utf-8", "replace")).hexdigest()
        with connection.cursor() as cursor:
            cursor.execute(_CALLER, [checksum])
            row = cursor.fetchone()
        if row is None:
            raise exceptions.AuthenticationFailed(
                T("访问令牌无效或已过期", "The access token is invalid or has expired"), code="invalid_token"
            )
        organisation_id, name, roles, scope, client_id = row
        structlog.contextvars.bind_contextvars(organisation=organisation_id)
        return (
            Principal(
                actor=f"client:{client_id}",
                organisation_id=organisation_id,
                organisation_name=name,
                roles=frozenset(roles),
                scopes=frozenset(scope.split()),
            ),
            checksum,
        )

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="singlewindow"'


def officer_principal(user: Any) -> Principal | None:
    """The principal of a console user; None where the user is no officer."""
    officer = Officer.objects.select_related("organisation").filter(user_id=user.pk).first()
    if officer is None:
        return None
    return Principal(
        actor=f"officer:{user.get_username()}",
        organisation_id=officer.organisation_id,
        organisation_name=officer.organisation.name,
        roles=frozenset(officer.organisation.roles),
        scopes=OFFICER_SCOPES,
        offices=frozenset(officer.assignments.on(today()).values_list("office", flat=True)),
        duties=frozenset(officer.duties),
        is_officer=True,
        is_superuser=user.is_superuser,
        user=user,
    )


class Session(authentication.SessionAuthentication):
    """A console session, with CSRF protection on unsafe methods."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        found = super().authenticate(request)
        if found is None:
            return None
        principal = officer_principal(found[0])
        return (principal, None) if principal else None


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = "parties.authentication.Bearer"
    name = "oauth2"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        from parties.scopes import SCOPES

        return {
            "type": "oauth2",
            "flows": {
                "clientCredentials": {
                    "tokenUrl": "/api/v1/oauth/token",
                    "scopes": {name: str(scope.text) for name, scope in SCOPES.items()},
                }
            },
        }


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "parties.authentication.Session"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
