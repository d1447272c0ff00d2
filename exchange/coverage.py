"""What terms come to, for people: per kind of subject the event types and fields that travel, and how two terms differ.

Kinds and types are matched by the standards desk's families of types (:data:`KINDS`). The decision itself is
``exchange.terms``."""

from __future__ import annotations

import re
from typing import NamedTuple

from exchange import standards
from exchange.terms import DRAFTS, NEVER_SHARED, Terms, matches

_WORDS = re.compile(r"[._]")
#: Words of fields that tell what goods cost or whose they are. Only a mark for whoever agrees: the allow-list decides.
_PRICES = frozenset(
    {"amount", "amounts", "cost", "currency", "duties", "duty", "fee", "fees", "freight", "guaranteed", "insurance",
     "price", "prices", "rate", "tax", "total", "value"}
)  # fmt: skip
_PARTIES = frozenset(
    {"address", "agent", "broker", "buyer", "carrier", "consignee", "consignor", "contact", "declarant", "email", "firm",
     "holder", "lodger", "manufacturer", "name", "notify", "organisation", "owner", "parties", "party", "payee", "payer",
     "phone", "producer", "seller", "shipper", "telephone"}
)  # fmt: skip


class Covered(NamedTuple):
    types: tuple[str, ...]
    #: path -> types it travels with
    fields: dict[str, tuple[str, ...]]


class Change(NamedTuple):
    added: list[str]
    removed: list[str]


class Leaving(NamedTuple):
    """A field that did not travel before."""

    kind: str
    path: str
    types: tuple[str, ...]
    #: "price", "party" or nothing
    mark: str


class Difference(NamedTuple):
    kinds: Change
    types: Change
    #: event type or pattern -> paths
    fields: dict[str, Change]
    leaving: list[Leaving]

    def __bool__(self) -> bool:
        return any((*self.kinds, *self.types, self.fields))


NOTHING = Terms((), (), ())


def mark(path: str) -> str:
    words = set(_WORDS.split(path.lower()))
    return "price" if words & _PRICES else "party" if words & _PARTIES else ""


#: Family of types -> kinds of subject it tells of, where these are not of its own name.
KINDS = {
    "transit": ("transit", "transit_confirmation"),
    "inspection": ("clearance",),
    "manifest": ("manifest_message",),
    "gate": ("gate_move",),
    "fee_parameter": ("fee_figure",),
    "fee_ceiling": ("fee_figure",),
    "api_client": ("organisation",),
}


def families(kind: str) -> list[str]:
    """The families of types that tell of subjects of ``kind``."""
    return [family for family in standards.table()["families"] if kind in KINDS.get(family, (family,))]


def kinds() -> list[str]:
    """Every kind of subject that may be shared."""
    told = {kind for family in standards.table()["families"] for kind in KINDS.get(family, (family,))}
    return sorted(told - NEVER_SHARED)


def of(terms: Terms) -> dict[str, Covered]:
    """kind -> what travels of it. Patterns that meet no described type count as they are written."""
    known = standards.event_types()
    return {kind: _of_kind(terms, kind, known) for kind in terms.kinds if kind not in NEVER_SHARED}


def _of_kind(terms: Terms, kind: str, known: list[str]) -> Covered:
    mine = families(kind)
    types = [
        one
        for one in known
        if one.split(".")[0] in mine and one not in DRAFTS and any(matches(each, one) for each in terms.types)
    ]
    for pattern in terms.types:
        family = pattern.split(".")[0]
        here = family in mine if mine else family not in standards.table()["families"]
        undescribed = here and not any(matches(pattern, one) for one in known)
        if undescribed or (pattern == "*" and not mine):
            types.append(pattern)
    fields: dict[str, list[str]] = {}
    for pattern, paths in terms.fields:
        for one in types:
            if matches(pattern, one) or matches(one, pattern):
                for path in paths:
                    if one not in fields.setdefault(path, []):
                        fields[path].append(one)
    return Covered(tuple(types), {path: tuple(fields[path]) for path in sorted(fields)})


def compare(before: Terms, after: Terms) -> Difference:
    """What changes when ``after`` takes the place of ``before``."""
    old, new = dict(before.fields), dict(after.fields)
    fields = {
        pattern: _change(old.get(pattern, ()), new.get(pattern, ())) for pattern in sorted(old.keys() | new.keys())
    }
    leaving = []
    for kind, covered in of(after).items():
        for path, types in covered.fields.items():
            fresh = tuple(one for one in types if not _travels(before, kind, one, path))
            if fresh:
                leaving.append(Leaving(kind, path, fresh, mark(path)))
    return Difference(
        _change(before.kinds, after.kinds),
        _change(before.types, after.types),
        {pattern: change for pattern, change in fields.items() if any(change)},
        sorted(leaving, key=lambda one: (not one.mark, one.kind, one.path)),
    )


def _change(before: tuple[str, ...], after: tuple[str, ...]) -> Change:
    return Change([one for one in after if one not in before], [one for one in before if one not in after])


def _travels(terms: Terms, kind: str, event_type: str, path: str) -> bool:
    return terms.covers(kind, event_type) and any(
        path in paths for pattern, paths in terms.fields if matches(pattern, event_type)
    )
