"""The life cycle of a declaration: one table of what leads from where to where, who may, which event says so, and which
receipts (CHANNEL) a declarant gets for it. PostgreSQL refuses any other jump (a trigger made from the table), and
docs/declaration-life-cycle.md is drawn from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import models

from common.lifecycle import Lifecycle, Transition
from common.text import T


class State(models.TextChoices):
    #: Kept for its declarant; customs does not see it.
    DRAFT = "draft", T("暂存", "draft")
    #: Declared; the checks have not come to an outcome yet.
    LODGED = "lodged", T("已申报", "lodged")
    #: The checks want an officer's eye before acceptance.
    UNDER_REVIEW = "under_review", T("人工审核", "under review")
    #: Customs has accepted the declaration: it has its customs number, and the law of this day applies.
    ACCEPTED = "accepted", T("已接受申报", "accepted")
    #: Stopped after acceptance until somebody resolves it.
    HELD = "held", T("挂起", "held")
    UNDER_INSPECTION = "under_inspection", T("查验中", "under inspection")
    #: Given back to be put right; amended, it is lodged again under the same number.
    RETURNED = "returned", T("退回修改", "returned for amendment")
    #: Not accepted. May be put right like a returned one.
    REJECTED = "rejected", T("退单", "rejected")
    RELEASED = "released", T("已放行", "released")
    #: Closed (结关). Nothing moves it any more.
    CLEARED = "cleared", T("已结关", "cleared")
    WITHDRAWN = "withdrawn", T("已撤销", "withdrawn")


S = State

#: Who may: the declarant's side, an officer with the duty, the system itself.
DECLARANT, OFFICER, SYSTEM = "declarant", "officer", "system"


@dataclass(frozen=True, slots=True)
class Step(Transition):
    """A row of the table. ``channels`` are the receipts it causes, in their order."""

    channels: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    #: A reason code is asked for (declarations/data/reasons.csv).
    reason: bool = False
    #: What an officer must be assigned to (parties.models.Officer.Duty).
    duty: str = "examination"
    #: The column that notes when it happened.
    stamp: str = ""


def _step(command: str, sources: tuple[str, ...], target: str, label: Any, event: str, **more: Any) -> Step:
    return Step(command, sources, target, label, f"declaration.{event}", **more)


#: An accepted declaration is changed or withdrawn only as customs allows (Customs Law art. 26): an officer returns it,
#: then its declarant amends or withdraws it. So ``amend`` and ``withdraw`` do not start from ``accepted``.
LIFECYCLE = Lifecycle(
    [
        _step("lodge", (S.DRAFT,), S.LODGED, T("申报", "Lodge"), "lodged", channels=("7",), by=(DECLARANT,), stamp="lodged_at"),
        _step(
            "amend", (S.LODGED, S.UNDER_REVIEW, S.RETURNED, S.REJECTED), S.LODGED, T("修改", "Amend"), "amended",
            channels=("U",), by=(DECLARANT,), stamp="amended_at",
        ),
        _step(
            "withdraw", (S.DRAFT, S.LODGED, S.UNDER_REVIEW, S.RETURNED, S.REJECTED), S.WITHDRAWN, T("撤销", "Withdraw"),
            "withdrawn", channels=("D",), by=(DECLARANT, OFFICER), reason=True,
        ),
        _step("review", (S.LODGED,), S.UNDER_REVIEW, T("转人工审核", "Send to review"), "sent_to_review", channels=("M",), by=(SYSTEM, OFFICER)),
        _step(
            "accept", (S.LODGED, S.UNDER_REVIEW), S.ACCEPTED, T("接受申报", "Accept"), "accepted",
            channels=("L", "J"), by=(SYSTEM, OFFICER), stamp="accepted_at",
        ),
        _step(
            "reject", (S.LODGED, S.UNDER_REVIEW), S.REJECTED, T("退单", "Reject"), "rejected",
            channels=("E",), by=(SYSTEM, OFFICER), reason=True,
        ),
        _step(
            "return", (S.LODGED, S.UNDER_REVIEW, S.ACCEPTED, S.HELD, S.UNDER_INSPECTION), S.RETURNED,
            T("退回修改", "Return for amendment"), "returned", channels=("Z",), by=(SYSTEM, OFFICER), reason=True,
        ),
        _step("hold", (S.ACCEPTED,), S.HELD, T("挂起", "Hold"), "held", channels=("H",), by=(SYSTEM, OFFICER), duty="risk", reason=True),
        _step("resume", (S.HELD,), S.ACCEPTED, T("解除挂起", "Resume"), "resumed", by=(SYSTEM, OFFICER), duty="risk"),
        _step(
            "inspect", (S.ACCEPTED, S.HELD), S.UNDER_INSPECTION, T("布控查验", "Order inspection"), "inspection_ordered",
            channels=("C",), by=(SYSTEM, OFFICER), duty="inspection",
        ),
        _step(
            "finish_inspection", (S.UNDER_INSPECTION,), S.ACCEPTED, T("查验完毕", "Finish inspection"), "inspection_finished",
            by=(SYSTEM, OFFICER), duty="inspection",
        ),
        _step("complete", (S.ACCEPTED,), S.LODGED, T("完整申报", "Lodge the full declaration"), "completed", by=(DECLARANT,)),
        _step(
            "release", (S.ACCEPTED,), S.RELEASED, T("放行", "Release"), "released",
            channels=("P",), by=(SYSTEM, OFFICER), duty="release", stamp="released_at",
        ),
        _step("clear", (S.RELEASED,), S.CLEARED, T("结关", "Clear"), "cleared", channels=("R",), by=(SYSTEM, OFFICER), duty="release", stamp="cleared_at"),
    ],
    State,
)  # fmt: skip

#: Event type -> the receipts it causes. Facts without a change of state may add theirs (clearance: duties due ...).
CHANNELS: dict[str, tuple[str, ...]] = {
    row.event: row.channels for row in LIFECYCLE.transitions.values() if isinstance(row, Step)
} | {"declaration.drafted": ("S0",), "declaration.duty_due": ("T",)}


def commands_of(side: str) -> frozenset[str]:
    """What this side may ask for, from whatever state."""
    return frozenset(command for command in LIFECYCLE.transitions if side in step(command).by)


def step(command: str) -> Step:
    row = LIFECYCLE.transitions[command]
    assert isinstance(row, Step)
    return row


def mermaid() -> str:
    """The table as a diagram (docs/declaration-life-cycle.md)."""
    lines = ["stateDiagram-v2", "    [*] --> draft: save", "    [*] --> lodged: lodge (7)"]
    for row in LIFECYCLE.transitions.values():
        assert isinstance(row, Step)
        channels = f" ({', '.join(row.channels)})" if row.channels else ""
        lines += [f"    {source} --> {row.target}: {row.command}{channels}" for source in row.sources]
    lines += [f"    {state} --> [*]" for state in (S.CLEARED, S.WITHDRAWN)]
    return "\n".join(lines)
