"""A life cycle is one table: command -> (states it starts from, state it ends in). Commands ask it, PostgreSQL holds it
(:func:`trigger`), tests walk it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pgtrigger

from common.problems import conflict
from common.text import T


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the table. ``label`` is what a person reads on the button."""

    command: str
    sources: tuple[str, ...]
    target: str
    label: Any
    event: str = ""


class Lifecycle:
    def __init__(self, transitions: Iterable[Transition]) -> None:
        self.transitions = {transition.command: transition for transition in transitions}

    def edges(self) -> list[tuple[str, str]]:
        return sorted(
            {
                (source, row.target)
                for row in self.transitions.values()
                for source in row.sources
                if source != row.target
            }
        )

    def allowed(self, state: str) -> list[str]:
        """Commands that may start from ``state``."""
        return [row.command for row in self.transitions.values() if state in row.sources]

    def target(self, state: str, command: str) -> str:
        """The state ``command`` leads to. Raises Problem 409 naming what is allowed instead."""
        row = self.transitions[command]
        if state not in row.sources:
            raise conflict(
                "state-conflict",
                T(
                    "状态“{state}”下不能执行“{command}”；可执行：{allowed}",
                    "“{command}” is not possible in state “{state}”; possible: {allowed}",
                    state=state,
                    command=command,
                    allowed=", ".join(self.allowed(state)) or "-",
                ),
            )
        return row.target

    def trigger(self, name: str, field: str = "state") -> pgtrigger.FSM:
        """PostgreSQL's refusal of any other jump, from the shell and ``.update()`` as well."""
        return pgtrigger.FSM(name=name, field=field, transitions=self.edges())
