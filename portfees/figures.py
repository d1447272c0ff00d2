"""Dated figures of the port authority: parameters and ceilings. A row is never changed: a new one begins on its first day,
and the one in force before it ends there."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.backends.postgresql.psycopg_any import DateRange  # type: ignore[attr-defined]

from common.days import today
from common.problems import Fault, Problem, conflict, invalid
from common.text import T
from common.validity import Validity
from events.log import append
from parties.models import OrganisationRole
from parties.principals import Principal
from portfees.models import Ceiling, Parameter, Unit
from portfees.rules import SIZES


def _authority(principal: Principal) -> None:
    if not principal.is_superuser and OrganisationRole.PORT_AUTHORITY not in principal.roles:
        raise Problem(
            403, "not-port-authority", T("只有口岸管理部门可以设定", "Only the port authority sets these figures")
        )


def _faults(*, basis: str, valid_from: date, valid_to: date | None, amount: Decimal, pointer: str) -> list[Fault]:
    found = []
    if not basis.strip():
        found.append(Fault("/basis", "basis-missing", T("须写明依据", "Say what it rests on")))
    if valid_from < today():
        found.append(Fault("/valid_from", "in-the-past", T("不得追溯生效", "It cannot begin in the past")))
    if valid_to is not None and valid_to <= valid_from:
        found.append(Fault("/valid_to", "period", T("止期须晚于起期", "The end must be after the start")))
    if not amount.is_finite() or amount < 0 or amount >= Decimal(10) ** 10:
        found.append(Fault(pointer, "amount-out-of-range", T("数值超出范围", "The value is out of range")))
    return found


def _supersede(rows: Any, valid_from: date, valid_to: date | None) -> DateRange:
    """End the row in force on ``valid_from`` there; returns the period that is free for the new one. Raises Problem 409."""
    current = rows.select_for_update().on(valid_from).first()
    if current is not None:
        if current.valid.lower == valid_from:
            raise conflict("begins-that-day", T("该日已有新值生效", "A row begins on that day already"))
        current.valid = DateRange(current.valid.lower, valid_from)
        current.save(update_fields=["valid"])
    later = rows.filter(valid__startswith__gt=valid_from).order_by("valid").first()
    if later is not None and (valid_to is None or valid_to > later.valid.lower):
        valid_to = later.valid.lower
    return DateRange(valid_from, valid_to)


def _announce(row: Validity, event: str, subject: str, principal: Principal, **data: Any) -> None:
    append(
        type=event, subject=("fee_figure", subject), actor=principal.actor, audience=[],
        data={"valid_from": row.valid.lower, "valid_to": row.valid.upper} | data,
    )  # fmt: skip


@transaction.atomic
def set_parameter(*, name: str, value: Decimal, basis: str, valid_from: date, principal: Principal) -> Parameter:
    """A parameter gets another value from a day on. Raises Problem 403, 409, 422."""
    _authority(principal)
    faults = _faults(basis=basis, valid_from=valid_from, valid_to=None, amount=value, pointer="/value")
    rows = Parameter.objects.filter(name=name)
    if not rows.exists():
        faults.append(Fault("/name", "unknown-parameter", T("没有此参数", "There is no such parameter")))
    if faults:
        raise invalid(faults)
    period = _supersede(rows, valid_from, None)
    row = Parameter.objects.create(name=name, value=value, basis=basis.strip(), valid=period)
    _announce(row, "fee_parameter.set", name, principal, value=value, basis=row.basis)
    return row


@transaction.atomic
def set_ceiling(
    *, code: str, unit: str, amount: Decimal, basis: str, valid_from: date, principal: Principal, container_size: str = "",
    port: str = "", currency: str = "CNY", valid_to: date | None = None,
) -> Ceiling:  # fmt: skip
    """A government-guided item gets a ceiling, or another one, from a day on. Raises Problem 403, 409, 422."""
    _authority(principal)
    faults = _faults(basis=basis, valid_from=valid_from, valid_to=valid_to, amount=amount, pointer="/amount")
    if not code.strip():
        faults.append(Fault("/code", "code-missing", T("须写明项目代码", "The item code is missing")))
    if unit not in Unit.values:
        faults.append(Fault("/unit", "unknown-unit", T("未知的计费单位", "Unknown unit")))
    if container_size not in SIZES:
        faults.append(Fault("/container_size", "unknown-size", T("未知的箱型尺寸", "Unknown container size")))
    if not (len(currency) == 3 and currency.isascii() and currency.isalpha() and currency.isupper()):
        faults.append(Fault("/currency", "unknown-currency", T("币种须为三位代码", "A currency has three letters")))
    if port and len(port) != 5:
        faults.append(Fault("/port", "unknown-port", T("口岸须为 UN/LOCODE", "A port is a UN/LOCODE")))
    if faults:
        raise invalid(faults)
    case = {"code": code.strip(), "unit": unit, "container_size": container_size, "port": port}
    period = _supersede(Ceiling.objects.filter(**case), valid_from, valid_to)
    row = Ceiling.objects.create(**case, amount=amount, currency=currency, basis=basis.strip(), valid=period)
    _announce(row, "fee_ceiling.set", row.code, principal, amount=amount, currency=currency, basis=row.basis, **case)
    return row
