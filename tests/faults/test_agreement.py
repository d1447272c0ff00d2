"""What the corridor's check finds: it is only worth what it would notice."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.agreement import Agreement, wrong
from tests.faults.corridor import Acknowledged

#: Two facts of one subject that differ only in which they are.
FIRST: Acknowledged = ("fee_list", "F1", "fee_list.published", 1)
SECOND: Acknowledged = ("fee_list", "F1", "fee_list.published", 2)
LODGED: Acknowledged = ("declaration", "D1", "declaration.lodged", None)


def checked(acknowledged: list[Acknowledged], said: list[Acknowledged]) -> tuple[list[str], list[str]]:
    """What is lost and what is doubled where a member acknowledged the one and its log says the other."""
    corridor = Agreement()
    corridor.codes, corridor.acknowledged = ("500000",), {"500000": acknowledged}
    corridor.logs = {
        "500000": [
            (kind, number, sequence, event_type, {} if nth is None else {"n": nth})
            for sequence, (kind, number, event_type, nth) in enumerate(said, start=1)
        ]
    }
    return corridor.lost(), corridor.doubled()


def test_of_facts_with_the_same_subject_and_type_each_one_must_be_there():
    assert checked([FIRST, SECOND, LODGED], [FIRST, SECOND, LODGED]) == ([], [])
    assert checked([FIRST, SECOND], [FIRST]) == ([f"500000: {SECOND}"], [])
    assert checked([LODGED], []) == ([f"500000: {LODGED}"], [])


def test_a_fact_that_is_said_twice_is_found():
    assert checked([FIRST], [FIRST, FIRST]) == ([], [f"500000: {FIRST}"])
    assert checked([LODGED], [LODGED, LODGED]) == ([], [f"500000: {LODGED}"])
    assert checked([], [FIRST, FIRST]) == ([], [f"500000: {FIRST}"]), "though nobody was told it was done"


def tally(**changes: Any) -> dict[str, Any]:
    return {
        "lost": [], "doubled": [], "leaks": [], "refused_without_cause": [], "gaps_repaired": 1, "subjects_repaired": 1,
        "duplicates_refused": 1, "seconds_to_agreement": 1.0,
        "commands": {"bill": {"acknowledged": 9, "not": 4, "failed": 1}, "declaration": {"acknowledged": 20}},
    } | changes  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"doubled": ["x"]}, ["doubled"]),
        ({"seconds_to_agreement": None}, ["no agreement"]),
        ({"commands": {"bill": {"failed": 12}}}, ["bill: 0 of 12 commands acknowledged"]),
        ({"commands": {"bill": {}}}, ["bill: 0 of 0 commands acknowledged"]),
        ({"commands": {"bill": {"acknowledged": 2, "not": 10}}}, ["bill: 2 of 12 commands acknowledged"]),
        ({"commands": {"bill": {"acknowledged": 6, "not": 1, "failed": 4}}}, ["bill: 4 of 10 commands failed"]),
    ],
)
def test_a_kind_of_command_that_is_mostly_not_done_is_wrong_and_so_is_a_doubled_fact(changes, said):
    assert wrong(tally(**changes)) == said
