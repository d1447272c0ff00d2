"""The plain acts: what anyone in their capacity does with a bill by naming it. Where the other side is on another platform,
the envelope that tells it is made in the same transaction."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from bills import departing, title
from bills.models import Act, Bill, Departure
from bills.recording import ASK, PLAIN, Unsigned, addressee, caller, lock, record
from common.problems import Fault, invalid
from common.text import T
from parties.models import Organisation
from parties.principals import Principal


@transaction.atomic
def act(
    *,
    number: str,
    code: str,
    principal: Principal,
    recipient: int | None = None,
    reason: str = "",
    comments: str = "",
    signed: str = "",
) -> Act:
    """One of the plain acts (:data:`PLAIN`). For acts whose recipient follows from the bill (release, surrender, the
    issuer's answers) it need not be given."""
    if code not in PLAIN:
        raise invalid([Fault("/act", "unknown-act", T("此处不能执行 {act}", "{act} is not done here", act=code))])
    people = {
        found.pk: found
        for found in Organisation.objects.raw(
            "SELECT * FROM parties_organisation WHERE id IN (%s, %s)", [principal.organisation_id or 0, recipient or 0]
        )
    }
    actor = caller(principal, people)
    bill = lock(number, principal)
    code, recipient, abroad = _meant(bill, code, recipient)
    to = addressee(recipient, among=people)
    if code == "PLEDGE" and to is not None and "bank" not in to.roles:
        raise invalid(
            [Fault("/recipient", "not-a-bank", T("质权人须为登记的银行", "The pledgee has to be a registered bank"))]
        )
    done = record(
        bill, code, actor=actor, by=principal.actor, recipient=to, recipient_party=abroad, reason=reason,
        comments=comments, signed=signed,
    )  # fmt: skip
    if abroad:
        departing.tell(bill, abroad, _PURPOSES[code])
    return done


#: Why an envelope goes out with an act whose other side is on another platform.
_PURPOSES = {
    "SURRENDER_FOR_DELIVERY": Departure.Purpose.SURRENDER,
    "SURRENDER_FOR_AMENDMENT": Departure.Purpose.SURRENDER,
    "ACCEPT": Departure.Purpose.NOTICE,
    "RETURN": Departure.Purpose.RETURN,
}


def _meant(bill: Bill, code: str, recipient: int | None) -> tuple[str, int | None, dict[str, Any] | None]:
    """The act meant, and its recipient where that follows from the bill: registered here, or a party of another platform."""
    if code == "REJECT" and not bill.holder_id and bill.holder_key:
        code = "RETURN"
    expected = title.RULES[code].recipient if code in PLAIN else ""
    if recipient is not None or expected not in ("holder", "issuer"):
        return code, recipient, None
    known = bill.holder_id if expected == "holder" else bill.issuer_id
    return code, known, None if known else departing.party_abroad(bill, expected)


@transaction.atomic
def endorse_and_transfer(
    *, number: str, principal: Principal, recipient: int, comments: str = "", further: bool = True
) -> Act:
    """Endorse to ``recipient`` and hand over: two acts, both or none."""
    actor = caller(principal)
    bill = lock(number, principal)
    to = addressee(recipient)
    code = "ENDORSE_TO_ORDER" if further else "ENDORSE"
    record(bill, code, actor=actor, by=principal.actor, recipient=to, comments=comments)
    return record(bill, "TRANSFER", actor=actor, by=principal.actor, recipient=to)


def to_sign(**request: Any) -> dict[str, Any]:
    """What the caller of :func:`act` has to sign (over its RFC 8785 form) to do this act now."""
    try:
        act(**request, signed=ASK)
    except Unsigned as asked:
        return asked.payload
    raise AssertionError("an act is not done where it was asked what to sign")
