"""Running the checks of a lodged declaration, to an outcome, in one transaction: results, state and event are written
together or not at all, so that a worker killed at any point leaves a declaration that is simply still to be checked."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from django.db import DatabaseError, transaction
from django.utils import timezone

from common.days import legal_day
from declarations.checks import registry
from declarations.checks.registry import Context, Finding, Severity
from declarations.checks.risk import score
from declarations.lifecycle import State
from declarations.models import CheckResult, Declaration
from declarations.moves import customs_number, move
from events.models import Event
from parties.principals import SYSTEM

log = logging.getLogger(__name__)

registry.register(
    "system",
    "系统",
    "the system itself",
    {
        "check-failed": (
            "检查“{check}”未能完成，须人工审核",
            "The check “{check}” could not be completed: an officer must look",
        )
    },
    order=0,
)(lambda declaration, context: ())

#: The gravest finding decides.
OUTCOMES = (
    (Severity.FATAL, "reject"),
    (Severity.ERROR, "return"),
    (Severity.REVIEW, "review"),
)


def outcome(findings: list[Finding]) -> str:
    severities = {finding.severity for finding in findings}
    return next((command for severity, command in OUTCOMES if severity in severities), "accept")


def run(number: str) -> str | None:
    """Check the lodged declaration with this unified number; returns the command that followed, or None where there was
    nothing to do (checked already, or another worker is at it)."""
    with transaction.atomic():
        declaration = (
            Declaration.objects.select_for_update(of=("self",), skip_locked=True)
            .filter(unified_number=number, state=State.LODGED)
            .first()
        )
        if declaration is None:
            return None
        named = _found(declaration)
        _keep(declaration, named)
        findings = [finding for _, finding in named]
        command = outcome(findings)
        columns: dict[str, Any] = {"risk_score": score(findings)}
        data: dict[str, Any] = {"findings": len([f for _, f in named if f.code not in registry.CONFIDENTIAL])}
        if command == "accept" and declaration.customs_number is None:
            columns["customs_number"] = customs_number(declaration)
        if command in ("reject", "return"):
            data["reason_code"] = "checks-failed"
        move(declaration, command, SYSTEM, data=data, **columns)
        return command


def _found(declaration: Declaration) -> list[tuple[str, Finding]]:
    """What each check finds, with its name. Checks only read: one savepoint serves them all, and each gets its own only
    after one of them broke."""
    with contextlib.suppress(Exception), transaction.atomic():
        return _all(declaration, lambda check, context: list(check.function(declaration, context)))
    return _all(declaration, _guarded)


def _all(
    declaration: Declaration, findings: Callable[[registry.Check, Context], list[Finding]]
) -> list[tuple[str, Finding]]:
    sent = legal_day(declaration.state_since)  # lodged, amended or completed: it is lodged since then
    context = Context(declaration, declaration.message, _accepted_on(declaration) or sent, sent)
    named: list[tuple[str, Finding]] = []
    for check in registry.checks():
        for finding in findings(check, context):
            context.found.append(finding)
            named.append((check.name, finding))
    return named


def _accepted_on(declaration: Declaration) -> date | None:
    """The day customs first accepted it: the law of that day goes on applying, whatever is amended later."""
    if declaration.customs_number is None:
        return None
    first = (
        Event.objects.filter(
            subject_kind="declaration", subject_number=declaration.unified_number, type="declaration.accepted"
        )
        .order_by("sequence")
        .first()
    )
    return legal_day(first.occurred_at) if first else None


def _guarded(check: registry.Check, context: Context) -> list[Finding]:
    """What one check finds. A check that breaks is itself a finding: it must stop neither the others nor the queue."""
    try:
        with transaction.atomic():
            return list(check.function(context.declaration, context))
    except DatabaseError as error:
        if isinstance(error.__cause__, Exception) and getattr(error.__cause__, "pgcode", None) is None:
            raise  # the connection is gone: try again later
        log.exception("check %s broke on %s", check.name, context.declaration.unified_number)
    except Exception:
        log.exception("check %s broke on %s", check.name, context.declaration.unified_number)
    return [Finding("check-failed", Severity.REVIEW, "", {"check": check.name}, 10)]


def _keep(declaration: Declaration, named: list[tuple[str, Finding]]) -> None:
    now = timezone.now()
    first: dict[tuple[str, str, str], Any] = {}
    if declaration.version > 1:
        first = {
            (name, code, pointer): since
            for name, code, pointer, since in declaration.check_results.order_by("since").values_list(
                "check_name", "code", "pointer", "since"
            )
        }
    rows = {
        (name, finding.code, finding.pointer): CheckResult(
            declaration=declaration,
            version=declaration.version,
            check_name=name,
            code=finding.code,
            severity=finding.severity,
            pointer=finding.pointer[:200],
            params=finding.params,
            risk_points=finding.risk_points,
            since=first.get((name, finding.code, finding.pointer), now),
            found_at=now,
        )
        for name, finding in named
    }
    CheckResult.objects.bulk_create(rows.values(), ignore_conflicts=True)


def waiting(older_than: timedelta, limit: int = 200) -> list[str]:
    """Unified numbers of declarations that have waited for their checks for longer than that, oldest first."""
    return list(
        Declaration.objects.awaiting_checks()
        .filter(state_since__lt=timezone.now() - older_than)
        .order_by("state_since")
        .values_list("unified_number", flat=True)[:limit]
    )
