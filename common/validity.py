"""Effective dating. One place says what a period means: ``valid`` is half-open, ``[from, to)``, in legal days; no upper
bound means "until further notice". A row is closed and superseded, not edited, so that any past day's answer stands."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Self

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateRangeField, RangeOperators
from django.db import models

from common.text import T


class ValidityQuerySet(models.QuerySet):
    def on(self, day: date) -> Self:
        """Rows in force on ``day``."""
        return self.filter(valid__contains=day)


class Validity(models.Model):
    """Mixin: a row in force for a period of legal days. Give the model a manager of :class:`ValidityQuerySet`."""

    valid = DateRangeField(verbose_name=T("有效期", "validity"))

    class Meta:
        abstract = True


def written(valid: Any) -> str:
    """A half-open range of days as people write it."""
    if valid is None or valid.isempty:
        return "—"
    lower, upper = valid.lower, valid.upper
    if upper is None:
        return str(T("{day} 起", "from {day}", day=lower)) if lower else str(T("长期", "always"))
    last = upper - timedelta(days=1)
    return f"{lower} – {last}" if lower else str(T("至 {day}", "until {day}", day=last))


def no_overlap(name: str, *fields: str, condition: models.Q | None = None) -> ExclusionConstraint:
    """Constraint: two rows (of those of ``condition``) with the same ``fields`` are never in force on the same day."""
    return ExclusionConstraint(
        name=name,
        condition=condition,
        expressions=[*((field, RangeOperators.EQUAL) for field in fields), ("valid", RangeOperators.OVERLAPS)],
    )
