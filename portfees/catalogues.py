"""Fee lists: drafted by a charging body, checked, published after the notice period, superseded; never edited once public."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.backends.postgresql.psycopg_any import DateRange  # type: ignore[attr-defined]
from django.utils import timezone

from common.days import today
from common.problems import Fault, Problem, conflict, invalid, not_found
from common.text import T
from events.log import append
from parties.models import Organisation, OrganisationRole
from parties.principals import Principal
from portfees import rules
from portfees.models import LIFECYCLE, BodyClass, FeeItem, FeeList, Invoice, ListState, Parameter

#: What a line of a list consists of, in the order of the sheet.
ITEM_FIELDS = (
    "code", "name_zh", "name_en", "service_content", "payer", "unit", "container_size", "condition", "direction",
    "trade_lane", "rate", "currency", "tax_included", "tax_rate", "free_days", "free_days_counted", "tiers", "pricing", "legal_basis",
    "mandatory",
)  # fmt: skip


def parameter(name: str, on: date) -> Parameter:
    """The parameter in force on ``on``. Raises Problem 409 where none is: a number is never made up."""
    found = Parameter.objects.on(on).filter(name=name).first()
    if found is None:
        raise conflict("parameter-missing", T("缺少参数 {n}", "Parameter {n} is not on record", n=name))
    return found


def _own(number: str, principal: Principal) -> FeeList:
    """The list, locked, if it is the caller's. Raises Problem 404."""
    found = (
        FeeList.objects.select_for_update(of=("self",)).filter(number=number, body_id=principal.organisation_id).first()
    )
    if found is None:
        raise not_found()
    return found


def _those_it_concerns(fee_list: FeeList) -> set[int]:
    """Who is told of what becomes public: the port authority, and the firms that the body has charged."""
    payers = Invoice.objects.filter(body=fee_list.body).values_list("payer_id", flat=True).distinct()
    authorities = Organisation.objects.filter(roles__contains=[OrganisationRole.PORT_AUTHORITY])
    return {*payers, *authorities.values_list("pk", flat=True)}


def _announce(fee_list: FeeList, event: str, principal: Principal, **data: Any) -> None:
    public = fee_list.state in (ListState.PUBLISHED, ListState.SUPERSEDED)
    append(
        type=event,
        subject=("fee_list", fee_list.number),
        actor=principal.actor,
        audience={fee_list.body_id} | (_those_it_concerns(fee_list) if public else set()),
        data={
            "body": str(fee_list.body),
            "port": fee_list.port,
            "area": fee_list.area,
            "version": fee_list.version,
            "title": fee_list.title,
            "valid_from": fee_list.valid.lower,
            "valid_to": fee_list.valid.upper,
            "is_example": fee_list.is_example,
        }
        | data,
    )


@transaction.atomic
def draft(
    *,
    principal: Principal,
    body_class: str,
    port: str,
    title: str,
    valid_from: date,
    complaint_telephone: str,
    items: Iterable[FeeItem],
    valid_to: date | None = None,
    area: str = "",
    is_example: bool = False,
) -> FeeList:
    """Begin the next version of the caller's list for a port area. Raises Problem 422 (period)."""
    _period(valid_from, valid_to)
    if "/" in area or not area.isprintable():
        raise invalid([Fault("/area", "area-name", T("港区名称不得含“/”", "The area's name has no “/”"))])
    # Versions are counted under the body's row lock: two drafts at once get two numbers.
    body = Organisation.objects.select_for_update().get(pk=principal.organisation_id or 0)
    last = FeeList.objects.filter(body=body, port=port, area=area).order_by("-version").first()
    version = last.version + 1 if last else 1
    # Earlier numbers spelt the area out and counted versions: none of them is as high as the count of all.
    serial = FeeList.objects.filter(body=body, port=port).count() + 1
    fee_list = FeeList.objects.create(
        number=f"FL{body.pk}-{port}-{serial}",
        body=body,
        body_class=body_class,
        port=port,
        area=area,
        version=version,
        title=title,
        valid=DateRange(valid_from, valid_to),
        complaint_telephone=complaint_telephone,
        is_example=is_example,
    )
    _write(fee_list, items)
    _announce(fee_list, "fee_list.drafted", principal)
    return fee_list


def _write(fee_list: FeeList, items: Iterable[FeeItem]) -> None:
    lines = list(items)
    for number, item in enumerate(lines, start=1):
        item.pk, item.fee_list, item.line = None, fee_list, number
    if twice := list(rules.a_case_stands_once(fee_list, lines)):
        raise invalid(twice)
    if faulty := list(rules.rate_is_not_negative(fee_list, lines)):
        raise invalid(faulty)
    FeeItem.objects.bulk_create(lines)


def _period(valid_from: date, valid_to: date | None) -> None:
    if valid_to is not None and valid_to <= valid_from:
        raise invalid([Fault("/valid_to", "period", T("止期须晚于起期", "The end must be after the start"))])


def _draft(number: str, principal: Principal) -> FeeList:
    """The caller's draft, locked. Raises Problem 404, 409."""
    fee_list = _own(number, principal)
    if fee_list.state != ListState.DRAFT:
        raise conflict(
            "list-not-draft", T("只有草稿可以修改；请新建版本", "Only a draft can be changed; begin a new version")
        )
    return fee_list


@transaction.atomic
def redraft(
    *,
    number: str,
    principal: Principal,
    title: str | None = None,
    valid_from: date | None = None,
    valid_to: date | None = None,
    complaint_telephone: str | None = None,
) -> FeeList:
    """Mend what a draft says of itself; what is left out stays, except that a new first day brings its end with it. Raises
    Problem 404, 409 (not a draft), 422 (period)."""
    fee_list = _draft(number, principal)
    if valid_from is not None:
        _period(valid_from, valid_to)
        fee_list.valid = DateRange(valid_from, valid_to)
    elif valid_to is not None:
        _period(fee_list.valid.lower, valid_to)
        fee_list.valid = DateRange(fee_list.valid.lower, valid_to)
    fee_list.title = title or fee_list.title
    fee_list.complaint_telephone = complaint_telephone or fee_list.complaint_telephone
    fee_list.save(update_fields=["title", "valid", "complaint_telephone"])
    _announce(fee_list, "fee_list.redrafted", principal)
    return fee_list


@transaction.atomic
def discard(*, number: str, principal: Principal) -> FeeList:
    """Give up a list nobody has seen. Raises Problem 404, 409 (published)."""
    fee_list = _own(number, principal)
    _move(fee_list, "discard")
    _announce(fee_list, "fee_list.discarded", principal)
    return fee_list


@transaction.atomic
def replace_items(*, number: str, items: Iterable[FeeItem], principal: Principal) -> FeeList:
    """Write a draft's lines anew. Raises Problem 404, 409 (not a draft), 422."""
    fee_list = _draft(number, principal)
    fee_list.items.all().delete()
    _write(fee_list, items)
    return fee_list


def _move(fee_list: FeeList, command: str) -> None:
    fee_list.state = LIFECYCLE.target(fee_list.state, command)
    fee_list.save(update_fields=["state", "valid", "published_at"])


@transaction.atomic
def check(*, number: str, principal: Principal) -> FeeList:
    """Put a draft to the rules; it is ready to publish when all hold. Raises Problem 404, 409, 422 with every fault."""
    fee_list = _own(number, principal)
    LIFECYCLE.target(fee_list.state, "check")
    if faults := rules.check(fee_list, list(fee_list.items.all())):
        raise invalid(faults)
    _move(fee_list, "check")
    _announce(fee_list, "fee_list.checked", principal)
    return fee_list


@transaction.atomic
def reopen(*, number: str, principal: Principal) -> FeeList:
    """Back from checked to draft."""
    fee_list = _own(number, principal)
    _move(fee_list, "reopen")
    _announce(fee_list, "fee_list.reopened", principal)
    return fee_list


@transaction.atomic
def publish(*, number: str, principal: Principal, on: date | None = None) -> FeeList:
    """Make a checked list public and binding from its first day; the version before it ends the day before.

    A change needs the notice period (parameter ``notice_days``) between publication and its first day; only the first list of a
    body at a port, whatever its area, may bind at once, and none binds days gone by. The rules hold once more, since ceilings
    may have changed since the check. Raises Problem 404, 409 (state, notice, overlap), 422."""
    fee_list = _own(number, principal)
    LIFECYCLE.target(fee_list.state, "publish")
    day = on or today()
    if fee_list.valid.lower < day:
        raise conflict(
            "first-day-passed",
            T("起期已过：清单不追溯，请修改起期", "Its first day has passed: a list does not bind days gone by"),
        )
    if faults := rules.check(fee_list, list(fee_list.items.all())):
        raise invalid(faults)
    before = (
        FeeList.objects.select_for_update(of=("self",))
        .filter(body=fee_list.body, port=fee_list.port, area=fee_list.area, state=ListState.PUBLISHED)
        .first()
    )
    if FeeList.objects.public().filter(body=fee_list.body, port=fee_list.port).exists():
        notice = parameter("notice_days", day)
        earliest = day + timedelta(days=int(notice.value))
        if fee_list.valid.lower < earliest:
            raise conflict(
                "notice-too-short",
                T(
                    "变更须提前 {n} 天公布，最早 {d} 生效（{b}）",
                    "A change is published {n} days ahead; earliest first day {d} ({b})",
                    n=int(notice.value),
                    d=earliest,
                    b=notice.basis,
                ),
            )
    if before is not None:
        if fee_list.valid.lower <= before.valid.lower:
            raise conflict(
                "list-overlaps", T("起期须晚于现行版本的起期", "It must begin after the version in force begins")
            )
        if before.valid.upper is None or before.valid.upper > fee_list.valid.lower:
            before.valid = DateRange(before.valid.lower, fee_list.valid.lower)
        _move(before, "supersede")
        _announce(before, "fee_list.superseded", principal, by=fee_list.number)
    fee_list.published_at = timezone.now()
    try:
        with transaction.atomic():
            _move(fee_list, "publish")
    except IntegrityError as error:
        raise conflict(
            "list-overlaps", T("与已公布版本的有效期重叠", "Its period overlaps a published version")
        ) from error
    changes = difference(list(before.items.all()) if before else [], list(fee_list.items.all()))
    _announce(
        fee_list,
        "fee_list.published",
        principal,
        changes={kind: len(found) for kind, found in changes.by_kind().items()},
        body_class=fee_list.body_class,
        complaint_telephone=fee_list.complaint_telephone,
        # Whole, so that other provinces can search it: what is published is public.
        items=[{name: getattr(item, name) for name in ITEM_FIELDS} for item in fee_list.items.all()],
    )
    return fee_list


@dataclass(frozen=True, slots=True)
class Changed:
    """A line in both versions, with the fields that differ: name -> (before, after)."""

    before: FeeItem
    after: FeeItem
    fields: dict[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Difference:
    added: list[FeeItem]
    removed: list[FeeItem]
    changed: list[Changed]
    unchanged: list[FeeItem]

    def by_kind(self) -> dict[str, Sequence[Any]]:
        return {
            "added": self.added,
            "removed": self.removed,
            "changed": self.changed,
            "unchanged": self.unchanged,
        }


def _case(item: FeeItem) -> tuple[str, ...]:
    return (item.code, item.container_size, item.condition, item.direction, item.trade_lane)


def difference(before: Sequence[FeeItem], after: Sequence[FeeItem]) -> Difference:
    """What changes from one version to another; a line is the same where code and case are."""
    old = {_case(item): item for item in before}
    result = Difference([], [], [], [])
    for item in after:
        other = old.pop(_case(item), None)
        if other is None:
            result.added.append(item)
            continue
        fields = {
            name: (getattr(other, name), getattr(item, name))
            for name in ITEM_FIELDS
            if getattr(other, name) != getattr(item, name)
        }
        if fields:
            result.changed.append(Changed(other, item, fields))
        else:
            result.unchanged.append(item)
    result.removed.extend(old.values())
    return result


class ChooseBody(Problem):
    """Several bodies of one class, or several areas of one body, charge for the same thing: ``choices`` are their lists."""

    def __init__(self, choices: list[FeeList]) -> None:
        super().__init__(
            409,
            "choose-body",
            T("须选定收费主体或港区", "Choose the body or the area"),
            detail=T(
                "同一类别有多张清单有效，费用不可相加：请指明 bodies 或 area",
                "Several lists of one class are in force, and their charges do not add up: name bodies or area",
            ),
            extra={
                "choices": [
                    {"body_class": row.body_class, "body_id": row.body_id, "body": row.body.name, "area": row.area,
                     "list_number": row.number}
                    for row in choices
                ]
            },
        )  # fmt: skip


def version_before(fee_list: FeeList) -> FeeList | None:
    """The public version that ``fee_list`` follows."""
    return (
        FeeList.objects.public()
        .filter(body=fee_list.body_id, port=fee_list.port, area=fee_list.area, version__lt=fee_list.version)
        .order_by("-version")
        .first()
    )


def of_body(*, body_id: int, port: str, area: str, day: date) -> FeeList | None:
    """The list one body goes by in an area of a port on ``day``; the area empty is the whole port. Raises Problem 422 where
    it has lists for several areas and none was named."""
    found = of_area(FeeList.objects.public().on(day).filter(body_id=body_id, port=port), area)
    if len(found) > 1:
        raise invalid([Fault("/area", "area-missing", T("须指明港区", "The area has to be named"))])
    return found[0] if found else None


def of_area(lists: Iterable[FeeList], area: str) -> list[FeeList]:
    """Of a port's lists those that bind in ``area``: a body's own list of the area goes before its list of the whole port
    (area empty). Without an area the list of the whole port, and of a body that has none all it has."""
    found = list(lists)
    own = {(row.body_id, row.body_class) for row in found if row.area == area}
    return [
        row
        for row in found
        if row.area == area or ((not row.area or not area) and (row.body_id, row.body_class) not in own)
    ]


def in_force(port: str, day: date, area: str = "", bodies: Collection[int] = ()) -> list[FeeItem]:
    """Lines of the lists a journey over ``port`` pays by on ``day``: of each class of bodies one list, that of the chosen
    body, or the only one. Government bodies each charge for something else: one list of each applies (an assumption).

    Raises Problem 404 where there is no list, :class:`ChooseBody` where several bodies of a class remain."""
    public = FeeList.objects.public().on(day).filter(port=port).select_related("body").order_by("body_class", "number")
    classes: dict[str, list[FeeList]] = defaultdict(list)
    for row in of_area(public, area):
        classes[row.body_class].append(row)
    chosen: list[FeeList] = []
    open_: list[FeeList] = []
    for body_class, lists in classes.items():
        found = [row for row in lists if row.body_id in bodies] or lists
        payees = {row.body_id for row in found}
        if len(found) > (len(payees) if body_class == BodyClass.GOVERNMENT else 1):
            open_ += found
        chosen += found
    if open_:
        raise ChooseBody(open_)
    items = list(
        FeeItem.objects.filter(fee_list__in=chosen).select_related("fee_list__body").order_by("fee_list", "line")
    )
    if not items:
        raise Problem(
            404,
            "no-list-in-force",
            T("该日没有有效的收费目录清单", "No fee list is in force on that day"),
            detail=f"{port} {day}",
        )
    return items
