"""Legs of one bill in several provinces: an office or a carrier here reports what it did of a bill another province issued. It is
an event of ours on a subject of its own, which the issuing province gets by the exchange; its bill stays its own record."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from bills import journey, sight
from bills.models import Bill, LegEvent
from bills.sight import Sight
from common.problems import Problem, invalid, not_found
from common.text import T
from events.log import append
from events.models import Event
from exchange.cooperation import lock
from exchange.models import Mirror, MirrorEvent
from parties.models import OrganisationRole
from parties.principals import Principal

SUBJECT = "bill_leg"
#: Who moves goods, and so reports legs.
REPORTERS = frozenset({OrganisationRole.CARRIER, OrganisationRole.TERMINAL, OrganisationRole.MULTIMODAL_OPERATOR})
#: Events of a bill's legs shown at most.
MOST = 500


@transaction.atomic
def report(
    *, partner_code: str, number: str, kind: str, occurred_at: datetime, principal: Principal, leg: int | None = None,
    place: str = "", container: str = "", remark: str = "",
) -> None:  # fmt: skip
    """A leg of a bill that a partner told us of, from an office or a mover here. The same report twice is one. What was
    not shared of the bill (its legs, containers, state) cannot be checked here: the issuing province judges that. Raises
    Problem 403, 404, 409 or 422."""
    if not (principal.is_customs or principal.roles & REPORTERS):
        raise Problem(403, "not-a-carrier", T("只有海关与承运方可以报送", "Only customs and those who carry report"))
    bill = Mirror.objects.filter(
        partner__code=partner_code, partner__state="active", subject_kind="bill", subject_number=number, count__gt=0
    ).first()
    if bill is None:
        raise not_found()
    told = bill.data.get("containers")
    boxes = told if isinstance(told, list) and told else None
    if faults := journey.faults_of(kind=kind, occurred_at=occurred_at, leg=leg, container=container, boxes=boxes):
        raise invalid(faults)
    if bill.data.get("state") is not None:
        journey.must_travel(str(bill.data["state"]))
    data = {
        "province": partner_code, "bill_number": number, "leg": leg, "place": place, "container": container,
        "remark": remark, "reporter": principal.organisation_name,
    }  # fmt: skip
    lock(f"{SUBJECT}/{partner_code}/{number}")
    same = Event.objects.filter(
        subject_kind=SUBJECT, subject_number=number, type=f"bill_leg.{kind}", occurred_at=occurred_at,
        data__province=partner_code, data__leg=leg, data__container=container,
    )  # fmt: skip
    if not same.exists():
        append(
            type=f"bill_leg.{kind}",
            subject=(SUBJECT, number),
            actor=principal.actor,
            audience=[principal.organisation_id] if principal.organisation_id else [],
            data=data,
            occurred_at=occurred_at,
        )


def of_ours() -> Q:
    """Mirrored legs that do not say they are of another province's bill: its number may be the same as ours."""
    return Q(subject_kind=SUBJECT) & (Q(data__province=settings.PROVINCE) | ~Q(data__has_key="province"))


def of_bill(number: str, principal: Principal) -> dict[str, Any]:
    """Every leg event of a bill issued here, whichever province reported it, and where the goods are by all of them: for
    those the bill is in the hands of and whom its version in force names. Raises Problem 404."""
    bill = Bill.objects.visible_to(principal).filter(number=number).first()
    if bill is None or sight.of(bill, principal)[0] == Sight.PAST:
        raise not_found()
    events = [
        _shown(settings.PROVINCE, event.kind, event.occurred_at, vars(event))
        for event in bill.leg_events.order_by("-occurred_at", "-id")[:MOST]
    ]
    told = MirrorEvent.objects.filter(of_ours(), subject_number=number).select_related("partner")
    events += [
        _shown(event.partner.code, event.type.removeprefix(f"{SUBJECT}."), event.occurred_at, event.data)
        for event in told.order_by("-occurred_at", "-pk")[:MOST]
    ]
    events.sort(key=lambda event: event["occurred_at"])
    return {"number": number, "whereabouts": _whereabouts(bill, events), "events": events}


def _shown(province: str, kind: str, occurred_at: datetime, data: dict[str, Any]) -> dict[str, Any]:
    about = {name: data.get(name) or "" for name in ("place", "container", "remark")}
    return {"province": province, "kind": kind, "leg": data.get("leg"), "occurred_at": occurred_at} | about


def _whereabouts(bill: Bill, events: list[dict[str, Any]]) -> dict[str, Any]:
    """As the bill itself tells, unless another province reported something later of one of its legs."""
    found = journey.whereabouts(bill) | {"province": settings.PROVINCE}
    legs = {leg.sequence: leg for leg in bill.legs.all()}
    abroad = [
        one for one in events
        if one["province"] != settings.PROVINCE and one["kind"] != LegEvent.Kind.DAMAGED and one["leg"] in list(legs)
    ]  # fmt: skip
    last = abroad[-1] if abroad else None
    if last is None or (found["since"] is not None and last["occurred_at"] <= found["since"]):
        return found
    told = LegEvent(leg=last["leg"], kind=last["kind"], place=last["place"], occurred_at=last["occurred_at"])
    return found | journey.where(told, legs) | {"province": last["province"]}
