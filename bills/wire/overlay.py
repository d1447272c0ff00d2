"""What a foreign document says that our content has no place for, carried along so that the document leaves as it came.

``difference`` notes where our own rendering of the content (``ours``) and the document that came (``theirs``) part;
``overlay`` puts their side back. Each note remembers what we would have said there: where the content has been changed
since, our new value stands and the note is dropped."""

from __future__ import annotations

from typing import Any

#: A JSON value that is not there.
ABSENT = object()


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 and 1.0 are one number, True and 1 are not the same."""
    return (
        type(one) is type(other) and one == other if isinstance(one, bool) or isinstance(other, bool) else one == other
    )


def _token(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def difference(ours: Any, theirs: Any, pointer: str = "") -> list[dict[str, Any]]:
    """Notes that turn ``ours`` into ``theirs``."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        notes = []
        for name in [*ours, *(name for name in theirs if name not in ours)]:
            notes += difference(ours.get(name, ABSENT), theirs.get(name, ABSENT), f"{pointer}/{_token(name)}")
        return notes
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [
            note
            for index, (one, other) in enumerate(zip(ours, theirs, strict=True))
            for note in difference(one, other, f"{pointer}/{index}")
        ]
    if ours is not ABSENT and theirs is not ABSENT and _same(ours, theirs) and type(ours) is not dict:
        return []
    note = {"at": pointer}
    if ours is not ABSENT:
        note["ours"] = ours
    if theirs is not ABSENT:
        note["theirs"] = theirs
    return [note]


def overlay(ours: Any, notes: list[dict[str, Any]]) -> Any:
    """``ours`` with their side of each note put back where ours is still what it was. Changes ``ours`` in place."""
    for note in notes:
        names = [name.replace("~1", "/").replace("~0", "~") for name in note["at"].split("/")[1:]]
        if not names:
            return note.get("theirs", ours) if _same(ours, note.get("ours")) else ours
        place = ours
        try:
            for name in names[:-1]:
                place = place[int(name)] if isinstance(place, list) else place[name]
        except (LookupError, ValueError, TypeError):
            continue
        key: Any = int(names[-1]) if isinstance(place, list) else names[-1]
        if isinstance(place, list):
            now = place[key] if key < len(place) else ABSENT
        elif isinstance(place, dict):
            now = place.get(key, ABSENT)
        else:
            continue
        if (now is ABSENT) != ("ours" not in note) or (now is not ABSENT and not _same(now, note["ours"])):
            continue
        if "theirs" in note:
            place[key] = note["theirs"]
        else:
            del place[key]
    return ours
