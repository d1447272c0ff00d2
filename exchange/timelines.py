"""One time line for a consignment over all provinces that say something of it: what the goods' own keys lead to here, and what
partners told about any of these keys."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Q

from bills.models import Bill
from cargo import equipment
from cargo.models import Consignment
from clearance import tracking
from common.problems import not_found
from declarations import numbering
from declarations.models import Declaration
from events.models import Event
from exchange import cooperation, legs
from exchange.models import MirrorEvent
from parties.principals import Principal

#: Kinds of subject a key is looked up under as their number.
KINDS = (
    "declaration", "bill", "bill_leg", "consignment", "voyage", "transit", "transit_confirmation", "fee_list", "site",
)  # fmt: skip
#: Events of one province shown at most.
MOST = 1000


def time_line(number: str, principal: Principal) -> list[dict[str, Any]]:
    """What this and the other provinces said of the goods that ``number`` leads to, in order of time. A caller who is not
    customs must be one who may see something of ours about them, and sees of ours only that; of theirs, what is said of
    numbers it demonstrably holds (:func:`_held`). Raises Problem 404."""
    keys, subjects, transits = _own(number, principal)
    if principal.is_customs:
        abroad = keys - _given_twice(keys)
        theirs = _theirs(Q(links__overlap=sorted(abroad)))
        # What a partner calls it by (the bill its leg belongs to) may be how we know it.
        further = {link for event in theirs for link in event.links if not _is_container(link)} - keys
        further -= _given_twice(further)
        if further:
            keys |= further
            theirs = _theirs(Q(links__overlap=sorted(abroad | further)))
    else:
        named = Q(links__overlap=sorted(_held(keys, principal))) & (~Q(subject_kind=legs.SUBJECT) | legs.of_ours())
        theirs = _theirs(named | _answers(transits))
    own = _events(keys, subjects, principal)
    if not own and not principal.is_customs:
        raise not_found()
    # What happened in one transaction bears one time: then the order it was written, or came, in.
    line: list[tuple[datetime, str, int, Event | MirrorEvent]]
    line = [(event.occurred_at, settings.PROVINCE, event.entry, event) for event in own]
    line += [(event.occurred_at, event.partner.code, event.pk, event) for event in theirs]
    return [
        {
            "at": at, "province": province, "type": event.type, "kind": event.subject_kind,
            "number": event.subject_number, "data": event.data,
        }
        for at, province, _, event in sorted(line, key=lambda row: row[:3])
    ]  # fmt: skip


def _given_twice(keys: set[str]) -> set[str]:
    """Those of ``keys`` that are unified numbers of ours and may be another province's as well: said by a partner, they mean
    its own declarations."""
    given = Declaration.objects.filter(unified_number__in=sorted(keys)).values_list("unified_number", flat=True)
    return {number for number in given if not numbering.names_us(number)}


def _is_container(key: str) -> bool:
    return equipment.is_valid(equipment.normal(key))


def _own(number: str, principal: Principal) -> tuple[set[str], set[tuple[str, str]], list[Event]]:
    """The keys of the goods that ``number`` leads to among what ``principal`` may see, our subjects about them, and the
    transits they go under. Containers carry other goods next month: one is a key only where it was asked for."""
    found = tracking.find(number)
    if not principal.is_customs:
        seen = Declaration.objects.visible_to(principal)
        found.declarations = list(seen.filter(pk__in=[one.pk for one in found.declarations]))
        goods = Consignment.objects.visible_to(principal)
        found.consignments = list(goods.filter(pk__in=[one.pk for one in found.consignments]))
    keys = {number}
    for declaration in found.declarations:
        keys |= {declaration.unified_number, declaration.customs_number or "", declaration.transport_document_number}
    for consignment in found.consignments:
        keys |= {consignment.bill_number, consignment.reference, consignment.declaration_number}
    bills = Bill.objects.visible_to(principal).filter(Q(number__in=keys) | Q(containers__number=number))
    keys |= set(bills.values_list("number", flat=True)[:20])
    keys.discard("")
    # Transits name the declaration and the containers they carry.
    transits = Event.objects.filter(subject_kind="transit", type="transit.opened").filter(
        Q(data__declaration_number__in=sorted(keys)) | Q(data__containers__has_key=number)
    )
    if not principal.is_customs:
        transits = transits.filter(audience__contains=[principal.organisation_id or 0])
    opened = list(transits.order_by("-recorded_at")[:50])
    keys |= {event.subject_number for event in opened}
    return keys, set(tracking.subjects_of(found)), opened


def _held(keys: set[str], principal: Principal) -> set[str]:
    """Those of ``keys`` by which ``principal`` may be told what other provinces say: numbers of declarations it is a party
    to, of one-bills it has to do with, and of consignments whose manifest named it. What the caller itself declared (the
    number of a transport document, a container) proves nothing: anybody may write down a competitor's."""
    asked = sorted(keys)
    declared = Declaration.objects.visible_to(principal).filter(
        Q(unified_number__in=asked) | Q(customs_number__in=asked)
    )
    held = {number for pair in declared.values_list("unified_number", "customs_number") for number in pair if number}
    held -= _given_twice(held)
    held |= set(Bill.objects.visible_to(principal).filter(number__in=asked).values_list("number", flat=True))
    seen = Consignment.objects.live().visible_to(principal)
    goods = list(seen.filter(bill_number__in=asked).select_related("manifest", "voyage"))
    # As its carrier sent it: who declares a consignment may see ours from then on, by a claim of its own.
    named = set(
        Event.objects.filter(
            subject_kind="consignment", type="consignment.declared",
            subject_number__in=[one.reference for one in goods],
            audience__contains=[principal.organisation_id or 0],
        ).values_list("subject_number", flat=True)
    )  # fmt: skip
    for one in goods:
        if one.reference in named:
            held |= {one.bill_number, one.reference}
    return held


def _answers(transits: list[Event]) -> Q:
    """What the provinces of destination confirmed of these transits of ours."""
    answers = Q(pk__in=[])
    for opened in transits:
        to = {"partner__code": opened.data["to_province"], "subject_number": opened.subject_number}
        answers |= cooperation.answers_to_us() & Q(**to)
    return answers


def _theirs(which: Q) -> list[MirrorEvent]:
    return list(MirrorEvent.objects.filter(which).select_related("partner").order_by("-occurred_at")[:MOST])


def _events(keys: set[str], subjects: set[tuple[str, str]], principal: Principal) -> list[Event]:
    wanted = Q(subject_kind__in=KINDS, subject_number__in=sorted(keys))
    for kind in {kind for kind, _ in subjects}:
        wanted |= Q(subject_kind=kind, subject_number__in=sorted(number for k, number in subjects if k == kind))
    events = Event.objects.filter(wanted)
    if not principal.is_customs:
        events = events.filter(audience__contains=[principal.organisation_id or 0])
    return list(events.order_by("-occurred_at")[:MOST])
