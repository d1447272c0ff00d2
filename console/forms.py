"""Forms of the console's pages: the fields are told once, what was typed stays, every fault stands at its field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.problems import Fault, Problem


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    label: Any
    #: ``area``, ``select``, ``checks`` (several of the options), or the type of an ``input``
    kind: str = "text"
    hint: Any = ""
    required: bool = False
    #: Over both columns.
    wide: bool = False
    most: int | None = None
    options: Sequence[tuple[Any, Any]] = ()
    #: What the browser suggests.
    suggested: Sequence[Any] = ()


def typed(form: Mapping[str, str], *names: str) -> dict[str, str]:
    """What was typed into the named fields."""
    return {name: form.get(name, "").replace("\x00", "").strip() for name in names}


def lines(text: str) -> list[str]:
    """The lines of an area that hold something; commas and semicolons divide too."""
    for mark in ",;，；、":
        text = text.replace(mark, "\n")
    return [line.strip() for line in text.splitlines() if line.strip()]


def faults_of(problem: Problem) -> list[Fault]:
    """What to show of a problem beside the form. Those that no form can mend are raised again."""
    if problem.status in (403, 404):
        raise problem
    return problem.errors or [Fault("", problem.code, problem.detail or problem.title)]


def shown(
    fields: Iterable[Field], values: Mapping[str, Any], faults: Sequence[Fault], *, begins: bool = True
) -> dict[str, Any]:
    """What ``console/form.html`` draws: each field with its value and its faults, and the faults that are at no field. The
    first field with a fault is where one types; without faults the first of all, where the page ``begins`` with this form."""
    rows: list[dict[str, Any]] = []
    for field in fields:
        here = [
            (fault.pointer[len(field.name) + 2 :], fault.text)
            for fault in faults
            if fault.pointer == f"/{field.name}" or fault.pointer.startswith(f"/{field.name}/")
        ]
        value = values.get(field.name)
        rows.append(
            {
                "field": field,
                "value": (value or []) if field.kind == "checks" else "" if value is None else str(value),
                "faults": [_at(*one) for one in here],
            }
        )
    focus = next((row for row in rows if row["faults"]), rows[0] if rows and begins else None)
    if focus is not None:
        focus["focus"] = True
    names = tuple(f"/{row['field'].name}" for row in rows)
    return {
        "rows": rows,
        "number": len(faults),
        "elsewhere": [
            fault for fault in faults if fault.pointer not in names and not fault.pointer.startswith(_below(names))
        ],
    }


def _below(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{name}/" for name in names)


def _at(place: str, text: Any) -> tuple[str, Any]:
    """Lists count from one where people read them."""
    return (str(int(place) + 1) if place.isdecimal() else place, text)
