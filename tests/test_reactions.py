from __future__ import annotations

from singlewindow.celery import app
from singlewindow.reactions import REACTIONS, SWEEPS
from singlewindow.relay import reactions_to


def test_every_task_that_is_named_exists():
    app.loader.import_default_modules()
    named = {task for tasks in REACTIONS.values() for task in tasks} | set(SWEEPS)
    assert named <= set(app.tasks)


def test_wildcards_are_understood():
    assert "clearance.duty_tasks.go_on" in reactions_to("duty.paid")
    assert "clearance.duty_tasks.go_on" not in reactions_to("bill.issued")
