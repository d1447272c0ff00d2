from __future__ import annotations

import os
from pathlib import Path

from singlewindow import services


def test_a_number_that_a_crash_left_behind_is_no_service_when_a_stranger_has_it(tmp_path):
    """After a restart of the machine the number of the old server is often that of another program."""
    left = tmp_path / "postmaster.pid"
    left.write_text(f"{os.getpid()}\n/data\n")
    own = Path("/proc/self/comm").read_text().strip()
    assert services._alive(left, own) == os.getpid()
    assert services._alive(left, "postgres") is None
