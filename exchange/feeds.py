"""The feed of a partner: what was shared with it, in the order of the log."""

from __future__ import annotations

from django.db import connection

from common.problems import Problem
from common.text import T
from events import log
from exchange import agreements, inbox
from exchange.models import Agreement, Partner
from parties.principals import Principal


def partner_of(principal: Principal) -> Partner:
    """The partner that ``principal`` speaks for. Raises Problem 404."""
    partner = Partner.objects.filter(organisation_id=principal.organisation_id or 0, state=Partner.State.ACTIVE).first()
    if partner is None:
        raise Problem(
            404, "not-a-partner", T("贵单位不是已接入的协作省份", "Your organisation is no connected partner")
        )
    return partner


def receiver(principal: Principal) -> Partner:
    """:func:`partner_of`, where an agreement shares something with it today. Raises Problem 403, which is counted, or 404."""
    partner = partner_of(principal)
    if agreements.in_force(partner.pk, Agreement.Direction.OUT) is None:
        raise inbox.refuse(partner.pk, inbox.no_agreement())
    return partner


def read_after(
    partner: Partner, position: int, *, limit: int, subject: tuple[str, str] | None = None
) -> list[tuple[int, str]]:
    """(position, body) of what the partner may know after ``position``; of one subject only, where it is given."""
    kind, number = subject or (None, None)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.position, p.body FROM exchange_share s JOIN exchange_payload p ON p.id = s.payload_id"
            " WHERE s.partner_id = %(partner)s AND s.position > %(after)s"
            " AND (%(kind)s::text IS NULL OR (s.subject_kind = %(kind)s AND s.subject_number = %(number)s))"
            " ORDER BY s.position LIMIT %(limit)s",
            {"partner": partner.pk, "after": position, "kind": kind, "number": number, "limit": limit},
        )
        return cursor.fetchall()


def wait_after(
    partner: Partner, position: int, *, limit: int, seconds: float, subject: tuple[str, str] | None = None
) -> list[tuple[int, str]]:
    return log.wait_for(lambda: read_after(partner, position, limit=limit, subject=subject), seconds=seconds)
