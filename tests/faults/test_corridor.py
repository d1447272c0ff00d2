"""Five provinces, half a minute of trouble. The long form is ``make soak``."""

from __future__ import annotations

import json
import os

import pytest

from tests.faults.agreement import wrong
from tests.faults.corridor import corridor

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.xdist_group("processes")]


def test_after_any_trouble_every_fact_is_with_all_who_may_know_it_once_and_in_order(record_property):
    seed = int(os.environ.get("FAULTS_SEED", "20261123"))
    with corridor(5, seed) as provinces:
        provinces.run(240, rate=8, troubles=8)
        tally = provinces.result(provinces.wait_for_agreement())
    record_property("tally", json.dumps(tally))
    assert wrong(tally) == []
