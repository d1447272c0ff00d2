"""A life cycle is one table: command -> (states it starts from, state it ends in). Commands ask it, PostgreSQL holds it
(:func:`trigger`), tests walk it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import pgtrigger
from django.db.models import TextChoices
from django.utils.functional import lazy

from common.problems import conflict
from common.text import T, pick


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the table. ``label`` is what a person reads on the button."""

    command: str
    sources: tuple[str, ...]
    target: str
    label: Any
    event: str = ""


def _joined(labels: list[Any]) -> str:
    return pick("、", ", ").join(str(label) for label in labels) or "—"


class Lifecycle:
    """``states`` gives the states their names where people read of them."""

    def __init__(self, transitions: Iterable[Transition], states: type[TextChoices] | None = None) -> None:
        self.transitions = {transition.command: transition for transition in transitions}
        self.states = states

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

    def target(self, state: str, command: str, among: Collection[str] | None = None) -> str:
        """The state ``command`` leads to. Raises Problem 409 naming what is possible instead, of the commands ``among``
        which the caller may choose."""
        row = self.transitions[command]
        if state not in row.sources:
            possible = [one for one in self.allowed(state) if among is None or one in among]
            problem = conflict(
                "state-conflict",
                T(
                    "“{state}”状态下不能“{command}”；可以：{possible}",
                    "“{command}” is not possible in the state “{state}”; possible: {possible}",
                    state=self.states(state).label if self.states else state,
                    command=row.label,
                    possible=lazy(_joined, str)([self.transitions[one].label for one in possible]),
                ),
            )
            problem.extra = {"state": str(state), "possible": possible}
            raise problem
        return row.target

    def trigger(self, name: str, field: str = "state") -> pgtrigger.FSM:
        """PostgreSQL's refusal of any other jump, from the shell and ``.update()`` as well."""
        return pgtrigger.FSM(name=name, field=field, transitions=self.edges())
