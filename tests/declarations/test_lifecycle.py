"""The life cycle: one table, held by commands, by PostgreSQL and by this walk over all pairs."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import InternalError, transaction

from declarations.lifecycle import LIFECYCLE, State, mermaid
from declarations.models import Declaration
from tests import make

EDGES = set(LIFECYCLE.edges())


@pytest.fixture
def firm_in_database(db):
    return make.firm()


@pytest.mark.parametrize("target", State.values)
@pytest.mark.parametrize("source", State.values)
def test_the_database_allows_exactly_the_jumps_of_the_table(source, target, firm_in_database):
    declaration = Declaration.objects.create(
        unified_number="I20260000000000001", state=source, lodged_by=firm_in_database
    )
    change = Declaration.objects.filter(pk=declaration.pk)
    if source == target or (source, target) in EDGES:
        assert change.update(state=target) == 1
    else:
        with pytest.raises(InternalError), transaction.atomic():
            change.update(state=target)
        assert change.get().state == source


def test_every_state_is_reached_and_only_two_are_ends():
    reached = {State.DRAFT, State.LODGED}
    for _ in State:
        reached |= {target for source, target in EDGES if source in reached}
    assert reached == set(State)
    assert {state for state in State if not LIFECYCLE.allowed(state)} == {State.CLEARED, State.WITHDRAWN}


def test_the_diagram_in_the_documentation_is_the_table():
    page = (Path(__file__).parents[2] / "docs" / "declaration-life-cycle.md").read_text()
    assert page.split("```mermaid\n")[1].split("\n```")[0] == mermaid()
