"""Every OAuth scope, what it lets a client do, and which roles may hold it. One table."""

from __future__ import annotations

from typing import Any, NamedTuple

from oauth2_provider.scopes import BaseScopes

from common.text import T
from parties.models import OrganisationRole as R


class Scope(NamedTuple):
    text: Any
    roles: frozenset[str]


_EVERYONE = frozenset(R.values)
_DECLARANTS = frozenset({R.TRADING_FIRM, R.CUSTOMS_BROKER})
_MOVERS = frozenset({R.CARRIER, R.TERMINAL, R.MULTIMODAL_OPERATOR})
_TITLE = frozenset({*_DECLARANTS, *_MOVERS, R.BANK, R.INSURER})
_OFFICE = frozenset({R.CUSTOMS_OFFICE})

SCOPES: dict[str, Scope] = {
    "declarations:read": Scope(T("查看报关单", "read declarations"), _DECLARANTS | _OFFICE),
    "declarations:write": Scope(T("申报、修改、撤销报关单", "lodge, amend, withdraw declarations"), _DECLARANTS),
    "declarations:decide": Scope(T("审核、放行报关单", "decide on declarations"), _OFFICE),
    "events:read": Scope(T("查看本单位事件", "read one's own events"), _EVERYONE),
    "parties:read": Scope(T("查看单位和委托", "read organisations and mandates"), _EVERYONE),
    "parties:write": Scope(T("签订、终止委托", "give and end mandates"), _DECLARANTS),
    "tariff:read": Scope(T("查询税则、试算税费", "read the tariff, ask for quotations"), _EVERYONE),
    "tariff:write": Scope(T("维护税则", "maintain the tariff"), _OFFICE),
    "payments:write": Scope(T("回传缴税结果", "report payments"), frozenset({R.BANK})),
    "portfees:read": Scope(T("查询收费、试算", "read port fees, ask for quotations"), _EVERYONE),
    "portfees:write": Scope(
        T("维护收费目录、报送账单", "maintain fee lists, report invoices"),
        frozenset({R.CHARGING_BODY, R.TERMINAL, R.CARRIER, R.CUSTOMS_BROKER, R.MULTIMODAL_OPERATOR}),
    ),
    "portfees:supervise": Scope(T("监管收费", "supervise port fees"), frozenset({R.PORT_AUTHORITY})),
    "cargo:read": Scope(T("查看舱单与货物", "read manifests and cargo"), _DECLARANTS | _MOVERS | _OFFICE),
    "cargo:write": Scope(T("报送舱单、运抵、理货", "lodge manifests, arrivals, tallies"), _MOVERS),
    "clearance:read": Scope(T("查看通关状态", "read clearance status"), _DECLARANTS | _MOVERS | _OFFICE),
    "clearance:write": Scope(
        T("办理查验预约、提离等", "appointments, pick-up and other clearance acts"), _DECLARANTS | _MOVERS
    ),
    "gates:write": Scope(
        T("报送闸口事件、扣留与解除", "report gate events, place and lift holds"),
        _MOVERS | _OFFICE | {R.INSPECTION_AGENCY},
    ),
    "inspections:write": Scope(
        T("下达查验、登记结果", "order inspections, record results"), frozenset({R.INSPECTION_AGENCY}) | _OFFICE
    ),
    "bills:read": Scope(T("查看多式联运单证", "read bills"), _TITLE),
    "bills:write": Scope(T("签发、背书、流转单证", "issue, endorse, transfer bills"), _TITLE),
    "bills:exchange": Scope(
        T("与本平台交换电子提单（PINT）", "exchange eBLs with this platform (PINT)"),
        frozenset({R.PARTNER_PROVINCE, R.MULTIMODAL_OPERATOR, R.CARRIER}),
    ),
    "exchange:read": Scope(T("拉取共享事件", "pull shared events"), frozenset({R.PARTNER_PROVINCE})),
    "exchange:write": Scope(T("推送共享事件", "push shared events"), frozenset({R.PARTNER_PROVINCE})),
    "transits:read": Scope(T("查看跨省转关", "read transits between provinces"), _DECLARANTS | _MOVERS | _OFFICE),
    "transits:write": Scope(T("办理跨省转关与离境确认", "open and confirm transits between provinces"), _OFFICE),
    "legs:write": Scope(T("报送外省提单的区段事件", "report legs of bills of other provinces"), _MOVERS | _OFFICE),
    "webhooks:write": Scope(T("管理推送端点", "manage webhook endpoints"), _EVERYONE),
}


def allowed_for(roles: list[str]) -> list[str]:
    """Scopes an organisation of these roles may give its clients."""
    return sorted(name for name, scope in SCOPES.items() if scope.roles & set(roles))


class Scopes(BaseScopes):
    """django-oauth-toolkit's view of the table: a client gets at most what was granted to it."""

    def get_all_scopes(self) -> dict[str, str]:
        return {name: str(scope.text) for name, scope in SCOPES.items()}

    def get_available_scopes(
        self, application: Any = None, request: Any = None, *args: Any, **kwargs: Any
    ) -> list[str]:
        client = getattr(application, "api_client", None)
        return list(client.scopes) if client else []

    def get_default_scopes(self, application: Any = None, request: Any = None, *args: Any, **kwargs: Any) -> list[str]:
        return self.get_available_scopes(application)
