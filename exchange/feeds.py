"""The feed of a partner: what was shared with it, in the order of the log, as today's agreement lets it out."""

from __future__ import annotations

from django.db import connection

from common.problems import Problem
from common.text import T
from events import log
from exchange import agreements, inbox, messages
from exchange.models import Agreement, Delivery, Partner
from exchange.terms import Terms
from parties.principals import Principal


def partner_of(principal: Principal) -> Partner:
    """The partner that ``principal`` speaks for. Raises Problem 404."""
    partner = Partner.objects.filter(organisation_id=principal.organisation_id or 0, state=Partner.State.ACTIVE).first()
    if partner is None:
        raise Problem(
            404, "not-a-partner", T("贵单位不是已接入的协作省份", "Your organisation is no connected partner")
        )
    return partner


def receiver(principal: Principal) -> tuple[Partner, Terms]:
    """:func:`partner_of`, and what may be shared with it today. Raises Problem 403, which is counted, where that is nothing, or
    404."""
    partner = partner_of(principal)
    if (agreement := agreements.in_force(partner.pk, Agreement.Direction.OUT)) is None:
        raise inbox.refuse(partner.pk, inbox.no_agreement())
    return partner, agreement.terms()


#: Bytes of bodies in one page at most (but one event at least).
PAGE_BYTES = 8 * 1024 * 1024

_AFTER = """
SELECT position, body, terms FROM (
  SELECT s.position, p.body, p.terms, sum(length(p.body)) OVER (ORDER BY s.position) - length(p.body) AS before
  FROM (
    SELECT position, payload_id FROM exchange_share
    WHERE partner_id = %(partner)s AND position > %(after)s AND subject_kind = ANY(%(kinds)s)
      AND (%(number)s::text IS NULL OR subject_number = %(number)s)
    ORDER BY position LIMIT %(limit)s
  ) s JOIN exchange_payload p ON p.id = s.payload_id
) page WHERE before < %(bytes)s ORDER BY position
"""


def read_after(
    partner: Partner, terms: Terms, position: int, *, limit: int, subject: tuple[str, str] | None = None
) -> list[tuple[int, str]]:
    """(position, body) of what the partner may know after ``position``; of one subject only, where it is given."""
    kinds = [kind for kind in terms.kinds if terms.shares(kind) and (subject is None or kind == subject[0])]
    today = terms.fingerprint()
    with connection.cursor() as cursor:
        cursor.execute(
            _AFTER,
            {
                "partner": partner.pk,
                "after": position,
                "kinds": kinds,
                "number": subject[1] if subject else None,
                "limit": limit,
                "bytes": PAGE_BYTES,
            },
        )
        return [
            (place, body if made_under == today else messages.narrowed(body, terms) or "")
            for place, body, made_under in cursor.fetchall()
        ]


def wait_after(
    partner: Partner,
    terms: Terms,
    position: int,
    *,
    limit: int,
    seconds: float,
    subject: tuple[str, str] | None = None,
) -> list[tuple[int, str]]:
    return log.wait_for(lambda: read_after(partner, terms, position, limit=limit, subject=subject), seconds=seconds)


def body_for(delivery: Delivery) -> str:
    """The body of a delivery as its receiver may read it today."""
    if (partner := delivery.endpoint.partner_id) is None:
        return delivery.payload.body
    agreement = agreements.in_force(partner, Agreement.Direction.OUT)
    if agreement is None:
        return ""
    return messages.narrowed(delivery.payload.body, agreement.terms()) or ""
