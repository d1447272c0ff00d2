"""What an officer does about the duties of a declaration: record a payment at the counter, draw a guarantee. What the
system cannot work out is settled by :func:`clearance.duties.settle_by_hand`."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from clearance import duties
from common.days import legal_day, today
from common.problems import Fault, Problem, conflict, invalid
from common.text import T
from declarations.models import Declaration
from declarations.moves import lock
from parties.models import Officer
from parties.principals import Principal
from tariffs import fixing, latefees, lookup, memos
from tariffs.models import DutyMemo, Guarantee

#: Longest number of a receipt.
REFERENCE = 64


def needs_hand(declaration: Declaration) -> bool:
    """Whether the system could not work the duties out, so that an officer has to see to them."""
    return any(fault.code == "duty-needs-officer" for fault in duties.standing(declaration))


def guarantees(memo: DutyMemo) -> list[Guarantee]:
    """The payer's accounts that would secure the memo today."""
    rows = Guarantee.objects.filter(organisation_id=memo.payer_id).order_by("-summary", "number")
    return [row for row in rows if row.holds_on(today()) and row.free() >= memo.amount]


def pay_by_hand(*, number: str, reference: str, principal: Principal) -> DutyMemo:
    """Record that the open memo was paid at the counter, today, by this receipt (税单核注); a late charge is reckoned as for
    any payment. Raises Problem 404, 403, 409, 422."""
    with transaction.atomic():
        declaration = _at_the_desk(number, principal)
        reference = reference.strip()
        if not reference or len(reference) > REFERENCE:
            raise invalid([Fault("/reference", "required", T("须填写缴款凭证号", "The receipt's number is needed"))])
        fixing.lock(declaration.unified_number)
        memo = _open_memo(declaration)
        paid_on = legal_day(timezone.now())
        late = latefees.late_payment(memo.amount, memo.due_on, paid_on, lookup.current())
        memos.settle(
            memo, paid_on=paid_on, late_charge=late.amount, actor=principal.actor,
            data={"reference": reference, "days_late": late.days, "counter": True},
        )  # fmt: skip
        memo.refresh_from_db()
    return memo


def secure(*, number: str, guarantee: str, principal: Principal) -> DutyMemo:
    """Draw the payer's guarantee for what is open: the memo is issued anew against it. Raises Problem 404, 403, 409, 422."""
    with transaction.atomic():
        declaration = _at_the_desk(number, principal)
        fixing.lock(declaration.unified_number)
        memo = _open_memo(declaration)
        made = memos.issue(
            subject=declaration.unified_number,
            payer_id=memo.payer_id,
            completed_on=memo.completed_on,
            audience=declaration.parties,
            actor=principal.actor,
            guarantee=guarantee,
        )
        assert made is not None  # an open memo leaves something to pay
    return made


def _at_the_desk(number: str, principal: Principal) -> Declaration:
    declaration = lock(number, principal)
    if not (principal.is_officer and principal.has_duty(Officer.Duty.DUTIES)):
        raise Problem(403, "not-your-duty", T("不属您的职责", "This is not among your duties"))
    return declaration


def _open_memo(declaration: Declaration) -> DutyMemo:
    memo = (
        DutyMemo.objects.select_for_update()
        .filter(subject=declaration.unified_number, state=DutyMemo.State.OPEN)
        .first()
    )
    if memo is None:
        raise conflict("nothing-open", T("没有未缴的税单", "No memo of it is open"))
    return memo
