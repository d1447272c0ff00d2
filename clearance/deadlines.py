"""Time limits that run on the legal calendar: found by a sweep, warned of before, told of when missed."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from django.db import transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, Q, QuerySet
from django.utils import timezone

from cargo.models import Consignment
from clearance.models import Case, Deadline
from common.days import legal_day, today
from declarations.models import Declaration
from events.log import append
from parties.principals import SYSTEM
from tariffs import lookup

#: Days before a limit on which its people are warned.
WARN_DAYS = 3
#: Hours before a limit told in hours on which its people are warned.
WARN_HOURS = 24
#: Customs Law art. 24: exports are declared 24 hours before loading.
EXPORT_HOURS = 24
#: Customs Law art. 24: declare within 14 days of the means' entry declaration.
DECLARE_DAYS = 14
#: Customs Law art. 30: undeclared for three months, customs may sell the goods.
ABANDONED_MONTHS = 3

K = Deadline.Kind


def last_day(since: datetime, *, days: int) -> date:
    """The last day of a limit of ``days`` days from the day of ``since``; a day off moves it to the next working day."""
    return _working_from(legal_day(since) + timedelta(days=days))


def months_later(day: date, months: int) -> date:
    """The same day of the month ``months`` later, or that month's last."""
    month = day.month - 1 + months
    year, month = day.year + month // 12, month % 12 + 1
    for candidate in range(day.day, 27, -1):
        try:
            return date(year, month, candidate)
        except ValueError:
            continue
    return date(year, month, day.day)


def _working_from(day: date) -> date:
    return lookup.current().calendar.working_from(day)


def entered_on(case: Case) -> date | None:
    """The legal day of the means' entry declaration: what the late-declaration fee is reckoned from."""
    row = case.consignment
    return legal_day(row.voyage.entry_declared_at) if row and row.voyage.entry_declared_at else None


#: What each limit rests on.
BASIS: dict[str, str] = {
    K.DECLARE: "《海关法》第二十四条 / Customs Law art. 24",
    K.EXPORT: "《海关法》第二十四条 / Customs Law art. 24",
    K.ABANDONMENT: "《海关法》第三十条 / Customs Law art. 30",
    K.FULL_DECLARATION: "海关总署公告2019年第216号 / GACC 2019 No. 216",
}


def of(declaration: Declaration) -> QuerySet[Deadline]:
    """The limits of a declaration and of the goods it declares, the next first."""
    goods = Consignment.objects.live().filter(cases__declaration=declaration)
    rows = Deadline.objects.filter(Q(case__declaration=declaration) | Q(consignment__in=goods))
    return rows.order_by("due_on", "pk")


def state(row: Deadline) -> str:
    if row.met_at is not None:
        return "met"
    if row.missed_at is not None or _over(row):
        return "missed"
    return "near" if row.warned_at is not None or _close(row) else "running"


def _over(row: Deadline) -> bool:
    return row.due_at < timezone.now() if row.due_at is not None else row.due_on < today()


def _close(row: Deadline) -> bool:
    if row.due_at is not None:
        return row.due_at <= timezone.now() + timedelta(hours=WARN_HOURS)
    return row.due_on <= today() + timedelta(days=WARN_DAYS)


def sweep(limit: int = 1000) -> int:
    """Start, meet, warn and miss limits; returns how many rows changed. Every step is idempotent."""
    return start(limit) + start_exports(limit) + reckon(limit) + meet(limit) + warn(limit) + miss(limit)


def start(limit: int) -> int:
    """Imports whose means has declared its entry and that nobody has declared; summaries without full declaration."""
    count = 0
    rows = (
        Consignment.objects.live()
        .filter(direction="I", voyage__entry_declared_at__isnull=False, declaration_number="", deadlines__isnull=True)
        .select_related("voyage")[:limit]
    )
    for row in rows:
        entered = row.voyage.entry_declared_at
        assert entered is not None
        for kind, due in (
            (K.DECLARE, last_day(entered, days=DECLARE_DAYS)),
            (K.ABANDONMENT, months_later(legal_day(entered), ABANDONED_MONTHS)),
        ):
            _, made = Deadline.objects.get_or_create(kind=kind, consignment=row, case=None, defaults={"due_on": due})
            count += made
    cases = (
        Case.objects.filter(
            mode="two_step", consignment__voyage__entry_declared_at__isnull=False, deadlines__isnull=True,
            declaration__state__in=("accepted", "held", "under_inspection"), declaration__document_type__regex="^..5",
        )
        .select_related("consignment__voyage", "declaration")[:limit]
    )  # fmt: skip
    for case in cases:
        assert case.consignment is not None
        entered = case.consignment.voyage.entry_declared_at
        assert entered is not None
        _, made = Deadline.objects.get_or_create(
            kind=K.FULL_DECLARATION, case=case, consignment=None,
            defaults={"due_on": last_day(entered, days=DECLARE_DAYS)},
        )  # fmt: skip
        count += made
    return count


def start_exports(limit: int) -> int:
    """Exports that nobody has declared, of trips whose loading is planned."""
    rows = (
        Consignment.objects.live()
        .filter(direction="E", declaration_number="", loaded_at=None, voyage__planned_departure__isnull=False)
        .filter(deadlines__isnull=True)
        .select_related("voyage")[:limit]
    )
    count = 0
    for row in rows:
        due = _before_loading(row)
        _, made = Deadline.objects.get_or_create(
            kind=K.EXPORT, consignment=row, case=None, defaults={"due_at": due, "due_on": legal_day(due)}
        )
        count += made
    return count


def _before_loading(row: Consignment) -> datetime:
    planned = row.voyage.planned_departure
    assert planned is not None
    return planned - timedelta(hours=EXPORT_HOURS)


def reckon(limit: int) -> int:
    """The loading was planned anew: the limit moves with it, and is warned of again."""
    planned = ExpressionWrapper(
        F("consignment__voyage__planned_departure") - timedelta(hours=EXPORT_HOURS), DateTimeField()
    )
    rows = (
        Deadline.objects.filter(kind=K.EXPORT, met_at=None, missed_at=None)
        .annotate(planned=planned)
        .exclude(due_at=F("planned"))
        .filter(planned__isnull=False)
        .select_related("consignment__voyage")[:limit]
    )
    count = 0
    for row in rows:
        assert row.consignment is not None
        due = _before_loading(row.consignment)
        changed = Deadline.objects.filter(pk=row.pk, met_at=None, missed_at=None)
        count += changed.update(due_at=due, due_on=legal_day(due), warned_at=None)
    return count


def entered_anew(voyage_id: int) -> int:
    """The means' entry declaration was corrected: limits that run from it are reckoned anew, and warned of again."""
    rows = Deadline.objects.filter(
        Q(consignment__voyage=voyage_id) | Q(case__consignment__voyage=voyage_id),
        kind__in=(K.DECLARE, K.ABANDONMENT, K.FULL_DECLARATION), met_at=None, missed_at=None,
    ).select_related("consignment__voyage", "case__consignment__voyage")  # fmt: skip
    count = 0
    for row in rows:
        goods = row.consignment or (row.case.consignment if row.case else None)
        if goods is None or (entered := goods.voyage.entry_declared_at) is None:
            continue
        due = months_later(legal_day(entered), ABANDONED_MONTHS)
        if row.kind != K.ABANDONMENT:
            due = last_day(entered, days=DECLARE_DAYS)
        if due != row.due_on:
            changed = Deadline.objects.filter(pk=row.pk, met_at=None, missed_at=None)
            count += changed.update(due_on=due, warned_at=None)
    return count


def meet(limit: int) -> int:
    """Goods that were declared meanwhile, or whose bill was deleted, have no limit to keep any more; nor has a summary that
    was withdrawn or rejected, or is through."""
    now = timezone.now()
    running = Deadline.objects.filter(met_at=None, missed_at=None)
    done = running.filter(consignment__isnull=False).exclude(consignment__declaration_number="")
    gone = running.filter(consignment__deleted_at__isnull=False)
    over = running.filter(case__declaration__state__in=("withdrawn", "rejected", "released", "cleared"))
    return done.update(met_at=now) + gone.update(met_at=now) + over.update(met_at=now)


def warn(limit: int) -> int:
    near = Q(due_at=None, due_on__lte=today() + timedelta(days=WARN_DAYS)) | Q(
        due_at__lte=timezone.now() + timedelta(hours=WARN_HOURS)
    )
    rows = Deadline.objects.filter(near, met_at=None, missed_at=None, warned_at=None).values_list("pk", flat=True)[
        :limit
    ]
    return sum(_tell(pk, "warned_at", "deadline.near") for pk in rows)


def miss(limit: int) -> int:
    over = Q(due_at=None, due_on__lt=today()) | Q(due_at__lt=timezone.now())
    rows = Deadline.objects.filter(over, met_at=None, missed_at=None).values_list("pk", flat=True)[:limit]
    return sum(_tell(pk, "missed_at", "deadline.missed") for pk in rows)


def _tell(pk: int, field: str, type_: str) -> bool:
    with transaction.atomic():
        row = (
            Deadline.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(pk=pk, met_at=None, **{field: None})
            .select_related("case__declaration", "consignment")
            .first()
        )
        if row is None:
            return False
        setattr(row, field, timezone.now())
        row.save(update_fields=[field])
        if row.case is not None:
            audience, about = row.case.declaration.parties, {"declaration": row.case.declaration.unified_number}
        else:
            assert row.consignment is not None
            audience, about = row.consignment.audience, {"bill_number": row.consignment.bill_number}
        append(
            type=type_,
            subject=("deadline", str(row.pk)),
            actor=SYSTEM.actor,
            audience=audience,
            data={"kind": row.kind, "due_on": row.due_on, **({"due_at": row.due_at} if row.due_at else {}), **about},
        )
    return True
