"""What an officer does about the duties of a declaration: record a payment or a refund at the counter, draw a guarantee, fix a
value or a rate. What the system cannot work out is settled by :func:`clearance.duties.settle_by_hand`."""

from __future__ import annotations

from django.db import transaction

from clearance import duties, requests
from common.problems import conflict
from common.text import T
from declarations.models import Declaration
from parties.principals import Principal
from tariffs import fixing, memos, payments, refunds
from tariffs.guarantees import covering
from tariffs.models import DutyMemo, Guarantee, Payment, RefundConfirmation, StoredAssessment


def needs_hand(declaration: Declaration) -> bool:
    """Whether the system could not work the duties out, so that an officer has to see to them."""
    return any(fault.code == "duty-needs-officer" for fault in duties.standing(declaration))


def guarantees(memo: DutyMemo) -> list[Guarantee]:
    """The payer's accounts that would secure the memo today."""
    return covering([memo.payer_id], memo.amount, subject=memo.subject)


def pay_by_hand(*, number: str, reference: str, principal: Principal) -> Payment:
    """Record that the open memo was paid at the counter, today, by this receipt (税单核注); a late charge is reckoned as for
    any payment. Raises Problem 404, 403, 409, 422."""
    with transaction.atomic():
        declaration = duties.at_the_desk(number, principal)
        return payments.at_counter(subject=declaration.unified_number, reference=reference, actor=principal.actor)


def give_back_by_hand(*, number: str, reference: str, principal: Principal) -> RefundConfirmation:
    """Record that what was paid too much at the counter was given back there, today, by this voucher. Raises Problem 404, 403,
    409, 422."""
    with transaction.atomic():
        declaration = duties.at_the_desk(number, principal)
        return refunds.at_counter(subject=declaration.unified_number, reference=reference, actor=principal.actor)


def override(
    *, number: str, changes: fixing.Overrides, reason: str, version: int, principal: Principal
) -> StoredAssessment:
    """An officer fixes customs values, rates or shares levied for items of the declaration as it stands (海关核定): a new
    version of its assessment, and a memo or a refund for what it changes. ``version`` is the one the officer has looked at, 0
    where none could be made. Raises Problem 404, 403, 409, 422."""
    with transaction.atomic():
        declaration = duties.at_the_desk(number, principal)
        if not may_be_fixed(declaration):
            raise conflict("not-for-fixing", T("此报关单的税费现在不能核定", "Its duties cannot be fixed now"))
        fixing.lock(declaration.unified_number)
        latest = fixing.latest(declaration.unified_number)
        if version != (latest.number if latest is not None else 0):
            raise conflict(
                "version-superseded", T("已有新的一版，请重新查看", "There is a newer version: look at it first")
            )
        stored = fixing.override(
            subject=declaration.unified_number,
            request=duties.request_of(declaration),
            changes=changes,
            reason=reason,
            audience=declaration.parties,
            actor=principal.actor,
        )
        duties.issue(declaration, stored, actor=principal.actor)
    return stored


def may_be_fixed(declaration: Declaration) -> bool:
    """Duties are fixed from acceptance on; after release the difference is asked for or given back."""
    return (
        declaration.state in (*duties.STATES, *requests.AFTER_RELEASE)
        and duties.applies()
        and not duties.is_summary(declaration)
    )


def secure(*, number: str, guarantee: str, principal: Principal) -> DutyMemo:
    """Draw the payer's guarantee for what is open: the memo is issued anew against it. Raises Problem 404, 403, 409, 422."""
    with transaction.atomic():
        declaration = duties.at_the_desk(number, principal)
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


def _open_memo(declaration: Declaration) -> DutyMemo:
    memo = (
        DutyMemo.objects.select_for_update()
        .filter(subject=declaration.unified_number, state=DutyMemo.State.OPEN)
        .first()
    )
    if memo is None:
        raise conflict("nothing-open", T("没有未缴的税单", "No memo of it is open"))
    return memo
