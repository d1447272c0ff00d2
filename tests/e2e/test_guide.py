"""docs/for-trading-firms.md does what it says: its commands are run, one after the other, against a running system."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "for-trading-firms.md"

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.xdist_group("processes")]


def commands() -> list[str]:
    """The guide's shell blocks, without the ones that start the system or set its address."""
    blocks = re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    return [block for block in blocks if "make run" not in block]


def test_the_guide_leads_from_nothing_to_a_release(story):
    script = "\n".join(commands()).replace("http://127.0.0.1:8000", story.instance.url)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "declaration.released" in done.stdout
    assert '"settled":true' in done.stdout
