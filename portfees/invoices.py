"""Nothing outside the list may be charged: invoices are checked line by line, and a firm can object to a line.

(重庆市优化营商环境条例 art. 51: charging bodies publish their list and may charge nothing outside it.)"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from common.days import today
from common.problems import Fault, conflict, invalid, not_found
from common.text import T
from events.log import append
from parties.models import Organisation, OrganisationRole
from parties.principals import Principal
from portfees import catalogues, sources
from portfees.models import (
    COMPLAINT,
    Complaint,
    FeeItem,
    Finding,
    Invoice,
    InvoiceLine,
    Unit,
)
from portfees.quotation import charge, charged_days, most_specific, weekdays


@dataclass(frozen=True, slots=True)
class Line:
    """A charged line as the body reports it."""

    code: str
    service_day: date
    quantity: Decimal
    amount: Decimal
    currency: str = "CNY"
    container_size: str = ""
    condition: str = ""
    direction: str = ""
    trade_lane: str = ""
    days: int | None = None


def find(
    line: Line, items: list[FeeItem] | None, is_working: Callable[[date], bool] = weekdays
) -> tuple[Finding, FeeItem | None, Decimal | None]:
    """Compare a line with the list of its service day: what was found, by which item, and what the list allows. The days of
    a line charged by the day end on its service day.

    ``items`` is None where no list was in force."""
    if items is None:
        return Finding.NO_LIST, None, None
    item = most_specific(
        (one for one in items if one.code == line.code and one.currency == line.currency),
        size=line.container_size,
        condition=line.condition,
        direction=line.direction,
        lane=line.trade_lane,
    )
    if item is None:
        return Finding.NOT_LISTED, None, None
    days = line.days
    if item.unit == Unit.CONTAINER_DAY and days:
        start = line.service_day - timedelta(days=days - 1)
        days = charged_days(item, start, days, is_working) + (item.free_days or 0)
    listed = charge(item, line.quantity, days).amount
    if line.amount == listed:
        return Finding.AS_LISTED, item, listed
    return (Finding.ABOVE if line.amount > listed else Finding.BELOW), item, listed


@transaction.atomic
def report(
    *,
    principal: Principal,
    number: str,
    payer_id: int,
    port: str,
    issued_on: date,
    lines: list[Line],
    area: str = "",
    reference: str = "",
    replaces: str = "",
) -> Invoice:
    """A charging body reports what it charged, or charges instead of what it reported as ``replaces``, which falls away.
    Deviations are told to the firm, the body and the port authority.

    Raises Problem 409 (reported already, replaced already), 422 (faults of the lines)."""
    faults = [
        fault
        for index, line in enumerate(lines)
        for wrong, fault in (
            (line.quantity <= 0, Fault(f"/lines/{index}/quantity", "quantity", T("数量须大于零", "The quantity must be above zero"))),
            (line.amount < 0, Fault(f"/lines/{index}/amount", "amount", T("金额不得为负", "The amount is below zero"))),
            (line.service_day > today(), Fault(f"/lines/{index}/service_day", "service-day", T("服务日在未来", "The service day is in the future"))),
        )
        if wrong
    ]  # fmt: skip
    if not lines:
        faults.append(Fault("/lines", "no-lines", T("账单没有明细", "The invoice has no lines")))
    if not Organisation.objects.filter(pk=payer_id).exists():
        faults.append(Fault("/payer", "unknown-payer", T("未知付费方", "Unknown payer")))
    wrong = _standing(principal, replaces) if replaces else None
    if replaces and wrong is None:
        faults.append(Fault("/replaces", "unknown-invoice", T("没有此账单", "There is no such invoice")))
    if faults:
        raise invalid(faults)
    try:
        with transaction.atomic():
            invoice = Invoice.objects.create(
                body_id=principal.organisation_id or 0,
                number=number,
                payer_id=payer_id,
                port=port,
                area=area,
                issued_on=issued_on,
                reference=reference,
                replaces=wrong,
            )
    except IntegrityError as error:
        raise conflict("invoice-exists", T("该账单已报送", "This invoice was reported already")) from error
    lists: dict[date, list[FeeItem] | None] = {}
    for day in {line.service_day for line in lines}:
        binding = catalogues.of_body(body_id=principal.organisation_id or 0, port=port, area=area, day=day)
        lists[day] = list(binding.items.all()) if binding else None
    rows = []
    for index, line in enumerate(lines, start=1):
        finding, item, listed = find(line, lists[line.service_day], sources.is_working)
        if item is not None and item.unit == Unit.CONTAINER_DAY and line.days is None:
            faults.append(Fault(f"/lines/{index - 1}/days", "days-missing", T("须写明天数", "The days are missing")))
        rows.append(
            InvoiceLine(
                invoice=invoice,
                line=index,
                finding=finding,
                fee_item=item,
                listed_amount=listed,
                **{name: getattr(line, name) for name in Line.__slots__},
            )
        )
    if faults:
        raise invalid(faults)
    InvoiceLine.objects.bulk_create(rows)
    if wrong is not None:
        _cancel(wrong, T("由 {n} 更正", "corrected by {n}", n=number), principal, by=number)
    deviations = [row for row in rows if row.finding in (Finding.ABOVE, Finding.NOT_LISTED, Finding.NO_LIST)]
    append(
        type="invoice.deviated" if deviations else "invoice.reported",
        subject=("invoice", f"{principal.organisation_id}:{number}"),
        actor=principal.actor,
        audience=[invoice.body_id, invoice.payer_id, *_authorities()],
        data={
            "number": number,
            "port": port,
            "reference": reference,
            "findings": Counter(str(row.finding) for row in rows),
            "deviations": [
                {"line": row.line, "code": row.code, "finding": str(row.finding), "amount": row.amount,
                 "listed_amount": row.listed_amount}
                for row in deviations
            ],
        },
    )  # fmt: skip
    return invoice


def _standing(principal: Principal, number: str) -> Invoice | None:
    """The caller's invoice, locked. Raises Problem 409 where it is cancelled."""
    found = Invoice.objects.select_for_update().filter(body_id=principal.organisation_id or 0, number=number).first()
    if found is not None and found.cancelled_at is not None:
        raise conflict("invoice-cancelled", T("该账单已作废", "This invoice is cancelled"))
    return found


def _cancel(invoice: Invoice, reason: Any, principal: Principal, *, by: str = "") -> None:
    invoice.cancelled_at, invoice.cancel_reason = timezone.now(), str(reason)[:200]
    invoice.save(update_fields=["cancelled_at", "cancel_reason"])
    append(
        type="invoice.cancelled", subject=("invoice", f"{invoice.body_id}:{invoice.number}"), actor=principal.actor,
        audience=[invoice.body_id, invoice.payer_id, *_authorities()],
        data={"number": invoice.number, "port": invoice.port, "reason": invoice.cancel_reason, "by": by},
    )  # fmt: skip


@transaction.atomic
def cancel(*, number: str, reason: str, principal: Principal) -> Invoice:
    """The body takes an invoice back. Raises Problem 404, 409, 422."""
    if not reason.strip():
        raise invalid([Fault("/reason", "text-missing", T("请写明原因", "Say why"))])
    invoice = _standing(principal, number)
    if invoice is None:
        raise not_found()
    _cancel(invoice, reason, principal)
    return invoice


def _authorities() -> list[int]:
    return list(
        Organisation.objects.filter(roles__contains=[OrganisationRole.PORT_AUTHORITY]).values_list("pk", flat=True)
    )


def _tell(complaint: Complaint, event: str, principal: Principal, **data: Any) -> None:
    invoice = complaint.line.invoice
    append(
        type=event,
        subject=("complaint", complaint.number),
        actor=principal.actor,
        audience=[invoice.body_id, invoice.payer_id, *_authorities()],
        data={"invoice": invoice.number, "line": complaint.line.line} | data,
    )


@transaction.atomic
def complain(*, invoice_id: int, line: int, text: str, principal: Principal) -> Complaint:
    """The firm that was charged objects to a line. Raises Problem 404, 409 (an open complaint stands), 422."""
    if not text.strip():
        raise invalid([Fault("/text", "text-missing", T("请写明投诉内容", "Say what is wrong"))])
    charged = (
        InvoiceLine.objects.select_related("invoice")
        .filter(invoice_id=invoice_id, line=line, invoice__payer_id=principal.organisation_id)
        .first()
    )
    if charged is None:
        raise not_found()
    if charged.invoice.cancelled_at is not None:
        raise conflict("invoice-cancelled", T("该账单已作废", "This invoice is cancelled"))
    try:
        with transaction.atomic():
            count = Complaint.objects.filter(line=charged).count()
            complaint = Complaint.objects.create(number=f"FC{charged.pk}-{count + 1}", line=charged, text=text)
    except IntegrityError as error:
        raise conflict(
            "complaint-open", T("该行已有未办结的投诉", "A complaint about this line is open already")
        ) from error
    _tell(complaint, "complaint.opened", principal, text=text)
    return complaint


#: command -> who may give it.
MAY = {
    "answer": lambda complaint, principal: complaint.line.invoice.body_id == principal.organisation_id,
    "withdraw": lambda complaint, principal: complaint.line.invoice.payer_id == principal.organisation_id,
    "uphold": lambda complaint, principal: OrganisationRole.PORT_AUTHORITY in principal.roles,
    "dismiss": lambda complaint, principal: OrganisationRole.PORT_AUTHORITY in principal.roles,
}


@transaction.atomic
def follow_up(*, number: str, command: str, text: str, principal: Principal) -> Complaint:
    """Answer (the body), withdraw (the firm), uphold or dismiss (the port authority). Raises Problem 404, 409."""
    complaint = (
        Complaint.objects.visible_to(principal)
        .select_for_update(of=("self",))
        .select_related("line__invoice")
        .filter(number=number)
        .first()
    )
    if complaint is None or not MAY[command](complaint, principal):
        raise not_found()
    complaint.state = COMPLAINT.target(complaint.state, command)
    complaint.save(update_fields=["state"])
    _tell(complaint, COMPLAINT.transitions[command].event, principal, text=text)
    return complaint
