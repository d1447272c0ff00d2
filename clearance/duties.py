"""Duties of a declaration: what is asked of the tariff, the assessment that is fixed when it is accepted, the memo, and
what of it stands in the way of release. Whatever cannot be worked out is told with its reasons and waits for an officer.

How far a declaration is with its duties is read from its events of the subject ("duty", unified number):
``duty.assessed`` (tariffs), ``duty.confirmed`` (an amendment changed nothing), ``duty.not_assessed``,
``duty.settled_by_hand``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone, translation

from cargo.models import Consignment
from common.days import legal_day, today
from common.problems import Fault, Problem, conflict, invalid, not_found
from common.text import T
from declarations.checks import Context, Finding, Severity, register
from declarations.decisions import require_in_charge
from declarations.message import item_numbers
from declarations.models import Declaration, GoodsItem
from declarations.moves import lock
from events.log import append
from events.models import Event
from parties.models import Officer
from parties.principals import SYSTEM, Principal
from tariffs import fixing, guarantees, inputs, lookup, memos
from tariffs.inputs import Adjustment, AssessmentInput, Fee, Item
from tariffs.models import DutyMemo, StoredAssessment

#: States in which duties are fixed: accepted, and not released yet.
STATES = ("accepted", "held", "under_inspection")
OUTCOMES = ("duty.assessed", "duty.confirmed", "duty.not_assessed", "duty.settled_by_hand")
REASON = 255


def applies() -> bool:
    """Whether this instance assesses: as soon as it holds a tariff. In production it must hold one."""
    return settings.PRODUCTION or lookup.current().version > 0


def is_summary(declaration: Declaration) -> bool:
    """The first step of a two-step declaration: what duties are worked out from comes with the second."""
    return declaration.document_type.ljust(3)[2] == "5"


# -- what the tariff is asked


def completed_on(declaration: Declaration) -> date:
    """The day whose rates apply (Tariff Law art. 20): of the first acceptance since the full declaration was lodged, so
    that an amendment keeps it; today as long as there is none."""
    if declaration.customs_number is None:
        return today()
    found: date | None = None
    for kind, at in (
        Event.objects.filter(
            subject_kind="declaration",
            subject_number=declaration.unified_number,
            type__in=("declaration.accepted", "declaration.completed"),
        )
        .order_by("sequence")
        .values_list("type", "occurred_at")
    ):
        if kind == "declaration.completed":
            found = None
        elif found is None:
            found = legal_day(at)
    return found or today()


def _consignments() -> QuerySet[Consignment]:
    return Consignment.objects.live().filter(
        Q(voyage__entry_declared_at__isnull=False) | Q(voyage__arrived_at__isnull=False)
    )


def _entered_on(declaration: Declaration) -> date | None:
    """The day the means declared entry, as reported for the manifest's trip; else the day that was declared."""
    known = (
        _consignments()
        .filter(cases__declaration__unified_number=declaration.unified_number)
        .values_list("voyage__entry_declared_at", "voyage__arrived_at")
        .first()
    )
    if known is not None and (at := known[0] or known[1]) is not None:
        return legal_day(at)
    return declaration.border_crossing_date


def request_of(
    declaration: Declaration, *, message: dict[str, Any] | None = None, items: list[GoodsItem] | None = None
) -> AssessmentInput:
    """The present version as the tariff is asked about it. Raises Problem 422 with what is wrong, pointing into the
    declaration."""
    message = declaration.message if message is None else message
    items = list(declaration.goodsitem_set.all()) if items is None else items
    faults: list[Fault] = []
    day = completed_on(declaration)
    entered = _entered_on(declaration) if declaration.direction == "I" else None
    advance = entered is not None and entered > today()
    if advance:
        entered = None
    request = AssessmentInput(
        direction=declaration.direction,
        items=tuple(_item(declaration, message, item, day, faults) for item in items),
        completed_on=day,
        entered_on=entered,
        advance=advance,
        regime=declaration.customs_procedure,
        levy_nature=declaration.levy_nature or "101",
        trade_terms=declaration.trade_terms or "1",
        freight=_fee(declaration, "freight", "123", faults),
        insurance=_fee(declaration, "insurance", "13", faults),
        misc=_fee(declaration, "other_fee", "13", faults),
        gross_weight=_plain(declaration.gross_weight) if declaration.gross_weight else None,
        adjustments=_adjustments(message, {item.item_number for item in items}) if declaration.direction == "I" else (),
    )
    if faults:
        raise invalid(faults)
    return request


def _plain(value: Decimal) -> Decimal:
    """Without the zeros a column adds: 22000.0000 is 22000."""
    return Decimal(f"{value.normalize():f}")


def _fee(declaration: Declaration, name: str, marks: str, faults: list[Fault]) -> Fee | None:
    mark, value = getattr(declaration, f"{name}_mark"), getattr(declaration, f"{name}_value")
    if not mark and not value:
        return None
    if mark not in marks or value is None:
        faults.append(
            Fault(f"/{name}_mark", "fee-incomplete", T("费用须有标记和数值", "a fee needs its mark and its value"))
        )
        return None
    return Fee(mark, _plain(value), getattr(declaration, f"{name}_currency") or "CNY")


def _item(declaration: Declaration, message: dict[str, Any], item: GoodsItem, day: date, faults: list[Fault]) -> Item:
    at = f"/goods_items/{item.position - 1}"
    quantities: dict[str, Decimal] = {}
    for prefix in ("", "second_statutory_", "first_statutory_"):
        unit = getattr(item, f"{prefix}unit" if prefix else "quantity_unit")
        quantity = getattr(item, f"{prefix}quantity")
        if unit and quantity and quantity > 0:
            quantities[unit] = _plain(quantity)
    if item.invoice_amount is None or not item.invoice_currency:
        faults.append(
            Fault(f"{at}/invoice_amount", "missing", T("缺少总价或币制", "the amount or its currency is missing"))
        )
    duty_mode = item.duty_mode or "1"
    if duty_mode not in inputs.DUTY_MODES:
        faults.append(
            Fault(f"{at}/duty_mode", "duty-mode", T("此征免方式须由海关核定", "customs must assess this duty mode"))
        )
    agreement = _agreement(message, item.item_number)
    return Item(
        number=item.position,
        code=item.commodity_code,
        total=_plain(item.invoice_amount or Decimal(0)),
        currency=item.invoice_currency or "CNY",
        origin=item.origin_country,
        quantities=quantities,
        duty_mode=duty_mode,
        agreement=agreement,
        certificate=bool(agreement),
        preferential_origin=item.preferential_origin
        if agreement and item.preferential_origin != item.origin_country
        else "",
        exporter=declaration.overseas_consignor_foreign_name[:100],
        quota=_quota(message, item.commodity_code, day) if declaration.direction == "I" else "",
        pointer=at,
    )


def _agreement(message: dict[str, Any], number: int | None) -> str:
    """The agreement claimed for an item: its row of origin certificates (EcoRelation) says which; the attached document
    Y, "<02>number", where the row leaves it out."""
    rows = message.get("origin_certificates", ())
    row = next((row for row in rows if number in item_numbers(row.get("item_number"))), None)
    if row is None:
        return ""
    if found := re.fullmatch(r"[A-Z]?(\d{2})", str(row.get("certificate_type") or "")):
        return found[1]
    for document in message.get("attached_documents", ()):
        if document.get("document_code") == "Y" and (
            found := re.match(r"<(\d{2})>", str(document.get("document_number") or ""))
        ):
            return found[1]
    return ""


#: The licence document that claims a tariff quota (关税配额证明).
QUOTA_DOCUMENT = "t"


def _quota(message: dict[str, Any], code: str, day: date) -> str:
    """A quota certificate counts for the items whose code has a quota."""
    numbers = [
        str(document.get("document_number") or "")
        for document in message.get("attached_documents", ())
        if document.get("document_code") == QUOTA_DOCUMENT
    ]
    if not numbers or not any(measure.kind.startswith("quota_in") for measure in lookup.current().measures(code, day)):
        return ""
    return re.sub(r"[^\w.-]", "", numbers[0])[:64] or QUOTA_DOCUMENT


#: Members of a supplement (DecSupplement) -> addition to the price (Tariff Law art. 25).
ADDITIONS = {
    "import_commission_amount": "commission",
    "import_receptacle_amount": "containers",
    "import_packing_amount": "packing",
    "import_parts_amount": "assists",
    "import_tools_amount": "assists",
    "import_consumed_materials_amount": "assists",
    "import_design_amount": "assists",
    "import_royalty_amount": "royalties",
    "import_proceeds_amount": "proceeds",
}


def _adjustments(message: dict[str, Any], numbers: set[int | None]) -> tuple[Adjustment, ...]:
    found = []
    for row in message.get("supplements", ()):
        item = row.get("item_number")
        for name, kind in ADDITIONS.items():
            try:
                amount = Decimal(str(row.get(name) or 0))
            except InvalidOperation:
                continue
            if amount > 0:
                found.append(
                    Adjustment(kind, _plain(amount), row.get("currency") or "CNY", item if item in numbers else None)
                )
    return tuple(found)


#: A fault's place in the question -> the member of the declaration it came from.
_MEMBERS = {
    "code": "commodity_code",
    "currency": "invoice_currency",
    "total": "invoice_amount",
    "origin": "origin_country",
    "quantities": "first_statutory_quantity",
}
_HEAD = {
    "/freight": "/freight_value",
    "/freight/currency": "/freight_currency",
    "/insurance": "/insurance_value",
    "/insurance/value": "/insurance_value",
    "/insurance/currency": "/insurance_currency",
    "/misc": "/other_fee_value",
    "/misc/currency": "/other_fee_currency",
}


def in_declaration(fault: Fault) -> Fault:
    """The fault, pointing into the declaration."""
    if found := re.fullmatch(r"(/goods_items/\d+)/(\w+)(/.*)?", fault.pointer):
        return fault._replace(pointer=f"{found[1]}/{_MEMBERS.get(found[2], found[2])}")
    return fault._replace(pointer=_HEAD.get(fault.pointer, fault.pointer))


# -- before acceptance: a check

#: What the declarant can put right. Everything else (a code, rate or exchange rate the tariff does not hold, a rate that
#: customs must fix) stops no acceptance: the release waits for an officer.
CORRIGIBLE = frozenset({
    "code-ended", "fee-incomplete", "freight-missing", "gross-weight-missing", "insurance-missing",
    "insurance-rate-too-high", "missing", "no-quota-for-code", "quantity-missing", "quota-exhausted", "unknown-trade-terms",
    "value-not-positive",
})  # fmt: skip


@register(
    "duties",
    "税费计算",
    "working out of duties",
    {
        "duty-fault": ("不能计算税费：{zh}", "Duties cannot be worked out: {en}"),
        "duty-needs-officer": ("税费须由海关核定：{zh}", "Customs has to assess the duties: {en}"),
    },
    order=65,
)
def duties_can_be_worked_out(declaration: Declaration, context: Context) -> Iterator[Finding]:
    """The duties of the declaration can be worked out from what it says."""
    if not applies() or is_summary(declaration):
        return
    try:
        request = request_of(declaration, message=context.message, items=context.items)
        fixing.quote(request, subject=declaration.unified_number)
    except Problem as problem:
        for fault in map(in_declaration, problem.errors):
            corrigible = fault.code in CORRIGIBLE
            yield Finding(
                "duty-fault" if corrigible else "duty-needs-officer",
                Severity.ERROR if corrigible else Severity.WARNING,
                fault.pointer,
                {"fault": fault.code, **_texts(fault)},
            )


def _texts(fault: Fault) -> dict[str, str]:
    texts = {}
    for key, language in (("zh", "zh-hans"), ("en", "en")):
        with translation.override(language):
            texts[key] = str(fault.text)
    return texts


# -- after acceptance: the assessment and its memo


def assess(number: str, states: tuple[str, ...] = STATES) -> StoredAssessment | None:
    """Fix the duties of an accepted declaration (or one in ``states``) and issue the memo. Idempotent: only what changed what is asked makes
    a new version. What cannot be worked out is told by an event. None where nothing was fixed."""
    if not applies():
        return None
    with transaction.atomic():
        declaration = (
            Declaration.objects.select_for_update(of=("self",)).filter(unified_number=number, state__in=states).first()
        )
        if declaration is None or is_summary(declaration):
            return None
        fixing.lock(number)
        previous, last = fixing.latest(number), _last(declaration)
        try:
            request = request_of(declaration)
            same = previous is not None and previous.request == inputs.to_json(request)
            if previous is not None and same and not memos.fell_away(number):  # what fell away is owed anew
                if last is None or last.type == "duty.not_assessed":
                    _tell(declaration, "duty.confirmed", {"assessment": previous.number})
                return None
            if last is not None and last.type == "duty.settled_by_hand":
                return None
            kept = fixing.kept(previous, request)
            with transaction.atomic():
                stored = fixing.fix(
                    subject=number,
                    request=request,
                    audience=declaration.parties,
                    actor=SYSTEM.actor,
                    reason=_reason(declaration, previous, kept),
                    overrides=kept,
                )
        except Problem as problem:
            faults = [
                {"pointer": fault.pointer, "code": fault.code, **_texts(fault)}
                for fault in map(in_declaration, problem.errors or [Fault("", problem.code, problem.title)])
            ]
            if last is None or last.type != "duty.not_assessed" or last.data["faults"] != faults:
                _tell(declaration, "duty.not_assessed", {"faults": faults})
            return None
        issue(declaration, stored, actor=SYSTEM.actor)
        return stored


def _tell(declaration: Declaration, kind: str, data: dict[str, Any], actor: str = SYSTEM.actor) -> None:
    append(
        type=kind,
        subject=("duty", declaration.unified_number),
        actor=actor,
        audience=declaration.parties,
        data={"declaration": declaration.unified_number, "version": declaration.version} | data,
    )


def _reason(declaration: Declaration, previous: StoredAssessment | None, kept: fixing.Overrides) -> str:
    """Why there is a new version, in both languages, for it is kept as text; an officer must see that values or rates they fixed
    fell away with their item."""
    zh, en = f"报关单第 {declaration.version} 版", f"declaration version {declaration.version}"
    if dropped := len(previous.overrides) - len(kept) if previous is not None else 0:
        zh += f"；{dropped} 项商品已变更，其海关核定内容失效"
        en += f"; what customs had fixed fell away for {dropped} changed item(s)"
    return f"{zh} / {en}"


def issue(declaration: Declaration, stored: StoredAssessment, *, actor: str) -> None:
    """The memo or the refund and, where money is due, the receipt that says so.

    The days to pay run from the completed declaration (Tariff Law art. 43). A newer version, or one that customs could work out
    only later, counts from its own day (assumed): no memo is overdue when it is issued."""
    payer = declaration.firm_id or declaration.lodged_by_id
    waited = Event.objects.filter(
        subject_kind="duty", subject_number=declaration.unified_number, type="duty.not_assessed"
    ).exists()
    day = today() if stored.number > 1 or waited else _day(stored)
    memo = memos.issue(
        subject=declaration.unified_number,
        payer_id=payer,
        completed_on=day,
        audience=declaration.parties,
        actor=actor,
        guarantee=_guarantee(declaration, payer, stored),
    )
    if memo is None or memo.state != DutyMemo.State.OPEN or memo.assessment_id != stored.pk:
        return  # nothing to pay, nothing to pay yet, or the memo that was told of stands
    append(
        type="declaration.duty_due",
        subject=("declaration", declaration.unified_number),
        actor=SYSTEM.actor,
        audience=declaration.parties,
        data={
            "memo": memo.number,
            "amount": f"{memo.amount:f}",
            "currency": "CNY",
            "due_on": memo.due_on.isoformat(),
            "note": f"{memo.number} {memo.amount:f} CNY, {memo.due_on.isoformat()}",
        },
    )


def _day(stored: StoredAssessment) -> date:
    return date.fromisoformat(stored.request["completed_on"])


def _guarantee(declaration: Declaration, payer: int, stored: StoredAssessment) -> str | None:
    """The payer's guarantee that suffices, where release against one was asked for (担保验放标志). What the declaration itself
    draws on it does not count against it: a new memo takes the place of the old one."""
    if declaration.message.get("guarantee_release") != "1":
        return None
    found = guarantees.covering([payer], stored.payable, subject=declaration.unified_number)
    return found[0].number if found else None


def fall_away(number: str) -> None:
    """A declaration that was withdrawn or rejected owes nothing: open memos are void, quota and guarantee come back."""
    with transaction.atomic():
        declaration = (
            Declaration.objects.select_for_update(of=("self",))
            .filter(unified_number=number, state__in=("withdrawn", "rejected"))
            .first()
        )
        if declaration is None:
            return
        known = Event.objects.filter(subject_kind="duty", subject_number=number)
        if (
            known.exists()
            and not known.filter(type="duty.fell_away", recorded_at__gte=declaration.state_since).exists()
        ):
            memos.withdraw(subject=number, actor=SYSTEM.actor)
            _tell(declaration, "duty.fell_away", {})


def at_the_desk(number: str, principal: Principal) -> Declaration:
    """The declaration, locked, for an officer who sees to its duties: one of the office it was declared at. Raises Problem
    404, 403."""
    declaration = lock(number, principal)
    if not (principal.is_officer and principal.has_duty(Officer.Duty.DUTIES)):
        raise Problem(403, "not-your-duty", T("不属您的职责", "This is not among your duties"))
    require_in_charge(declaration, principal, Officer.Duty.DUTIES)
    return declaration


def settle_by_hand(*, number: str, reason: str, principal: Principal) -> Declaration:
    """An officer says that duties the system cannot work out have been seen to. Raises Problem 404, 403, 409 or 422."""
    with transaction.atomic():
        declaration = at_the_desk(number, principal)
        if not isinstance(reason, str) or not 0 < len(reason.strip()) <= REASON:
            raise invalid([
                Fault("/reason", "required", T("须说明理由（不超过 255 字）", "A reason is needed, of at most 255 characters"))
            ])  # fmt: skip
        last = _last(declaration)
        if declaration.state not in STATES or last is None or last.type != "duty.not_assessed":
            raise conflict("not-for-hand", T("此报关单无须人工核定税费", "Its duties need no settling by hand"))
        guarantees.restore(guarantees.goods_of(declaration.unified_number))
        _tell(declaration, "duty.settled_by_hand", {"reason": reason.strip()}, principal.actor)
        return declaration


# -- what stands in the way


def _last(declaration: Declaration) -> Event | None:
    """What became of the duties since the declaration was last accepted."""
    return (
        Event.objects.filter(
            subject_kind="duty",
            subject_number=declaration.unified_number,
            type__in=OUTCOMES,
            recorded_at__gte=declaration.accepted_at or timezone.now(),
        )
        .order_by("-sequence")
        .first()
    )


def standing(declaration: Declaration) -> list[Fault]:
    """What of duties stands in the way of release: nothing once they are paid, guaranteed, or not due."""
    if not applies():
        return []
    last = None if is_summary(declaration) else _last(declaration)
    if last is None:
        return [Fault("", "duty-not-assessed", T("税费尚未核定", "Duties have not been assessed yet"))]
    if last.type == "duty.not_assessed":
        return [
            Fault(row["pointer"], "duty-needs-officer", T(
                "税费须由海关核定：{zh}", "Customs has to assess the duties: {en}", zh=row["zh"], en=row["en"]))
            for row in last.data["faults"]
        ]  # fmt: skip
    if last.type == "duty.settled_by_hand" or memos.is_settled(declaration.unified_number):
        return []
    return [Fault("", "duty", T("税款尚未缴纳或担保", "Duties are neither paid nor guaranteed"))]


def answer(number: str, principal: Principal) -> StoredAssessment:
    """The assessment of a declaration the caller may see. Raises Problem 404, or 409 where it could not be made."""
    declaration = Declaration.objects.visible_to(principal).numbered(number, principal).first()
    if declaration is None:
        raise not_found()
    last = _last(declaration)
    if last is not None and last.type == "duty.not_assessed":
        raise Problem(
            409,
            "duty-needs-officer",
            T("税费须由海关核定", "Customs has to assess the duties"),
            errors=[Fault(row["pointer"], row["code"], T(row["zh"], row["en"])) for row in last.data["faults"]],
        )
    stored = fixing.latest(declaration.unified_number)
    if stored is None:
        raise Problem(404, "not-assessed", T("尚未核定税费", "Nothing has been assessed yet"))
    return stored


def waiting(older_than: timedelta = timedelta(seconds=5), limit: int = 500) -> list[str]:
    """Accepted declarations without an outcome since, or whose means has arrived since, oldest first."""
    if not applies():
        return []
    outcome = Event.objects.filter(
        subject_kind="duty",
        subject_number=OuterRef("unified_number"),
        type__in=OUTCOMES,
        recorded_at__gte=OuterRef("accepted_at"),
    )
    latest = StoredAssessment.objects.filter(subject=OuterRef("unified_number")).order_by("-number")
    arrived = _consignments().filter(cases__declaration=OuterRef("pk"))
    return list(
        Declaration.objects.filter(state__in=STATES, accepted_at__lt=timezone.now() - older_than)
        .exclude(document_type__regex=r"^..5")
        .annotate(ahead=Subquery(latest.values("request__advance")[:1]))
        .filter(~Exists(outcome) | (Q(ahead=True) & Exists(arrived)))
        .order_by("state_since")
        .values_list("unified_number", flat=True)[:limit]
    )


def not_assessed() -> list[str]:
    """Accepted declarations whose duties could not be worked out so far: asked again when the tariff has changed."""
    last = (
        Event.objects.filter(subject_kind="duty", subject_number=OuterRef("unified_number"), type__in=OUTCOMES)
        .order_by("-sequence")
        .values("type")[:1]
    )
    return list(
        Declaration.objects.filter(state__in=STATES)
        .annotate(last=Subquery(last))
        .filter(last="duty.not_assessed")
        .order_by("state_since")
        .values_list("unified_number", flat=True)
    )


def on_voyages(references: list[str]) -> list[str]:
    """Declarations of the goods on these trips (event numbers "number/pk")."""
    pks = [pk for reference in references if (pk := reference.rpartition("/")[2]).isdigit()]
    return list(
        Consignment.objects.live()
        .filter(voyage_id__in=pks, direction="I", cases__isnull=False)
        .values_list("cases__declaration__unified_number", flat=True)
    )
