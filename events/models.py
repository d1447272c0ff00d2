from __future__ import annotations

from typing import Any

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models

from common.text import T


class Event(models.Model):
    """One thing that happened, said once. Written only by the SQL function ``events_append`` (see :mod:`events.log`),
    in the transaction of the change it tells of.

    ``sequence`` counts within the subject. ``entry`` is the order of writing, which open transactions make useless to
    follow; ``position`` is the order of publication, given after the commit by the sequencer, so that a reader who
    follows it misses nothing however late a commit comes."""

    id = models.UUIDField(primary_key=True)
    entry = models.BigIntegerField()
    position = models.BigIntegerField(null=True, unique=True)
    type = models.CharField(T("类型", "type"), max_length=80)
    subject_kind = models.CharField(T("对象类别", "subject kind"), max_length=40)
    subject_number = models.CharField(T("对象编号", "subject number"), max_length=80)
    sequence = models.PositiveIntegerField(T("对象内序号", "sequence"))
    occurred_at = models.DateTimeField(T("发生时间", "occurred at"))
    recorded_at = models.DateTimeField(T("记录时间", "recorded at"))
    actor = models.CharField(T("操作者", "actor"), max_length=120)
    audience: ArrayField = ArrayField(models.BigIntegerField())
    data: models.JSONField[Any, Any] = models.JSONField(T("内容", "data"))

    class Meta:
        verbose_name = T("事件", "event")
        verbose_name_plural = T("事件", "events")
        constraints = [
            models.UniqueConstraint(
                fields=["subject_kind", "subject_number", "sequence"], name="event_sequence_in_subject"
            ),
        ]
        indexes = [
            models.Index(fields=["entry"], condition=models.Q(position=None), name="event_unpublished"),
            # What officers did on a day (the console's audit); a few of many events.
            models.Index(
                fields=["occurred_at"], condition=models.Q(actor__startswith="officer:"), name="event_of_officers"
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="never_rewritten",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition("OLD.position IS NOT NULL"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject_number} {self.type}"


class Audience(models.Model):
    """Which organisations may read an event: the index of a party's own feed, filled by the sequencer."""

    pk = models.CompositePrimaryKey("organisation_id", "position")
    organisation_id = models.BigIntegerField()
    position = models.BigIntegerField()


class Reader(models.Model):
    """How far a named reader of the log (relay, exchange, statistics) has come."""

    name = models.CharField(max_length=60, primary_key=True)
    position = models.BigIntegerField(default=0)


class Tally(models.Model):
    """How many events of each type were published; kept by the publisher, read by the metrics."""

    type = models.CharField(max_length=80, primary_key=True)
    number = models.BigIntegerField(default=0)
