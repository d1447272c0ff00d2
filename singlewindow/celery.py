"""The Celery application. Hints travel here, never facts; long waits live in PostgreSQL, not in ETAs."""

import os

import redis
from celery import Celery
from celery.signals import celeryd_after_setup, setup_logging, task_prerun
from django.db import close_old_connections
from django_structlog.celery.steps import DjangoStructLogInitStep
from kombu.transport.redis import Channel

from singlewindow.garbage import spare_what_is_loaded

_connparams = Channel._connparams


def _of_an_open_channel(channel: Channel, **options: object) -> object:
    """A worker that lost Redis with a task at work acknowledges it over the channel that is closed. kombu 5.7 then fails with
    an AttributeError that ends the worker; as a connection error it is logged, and the worker goes on."""
    if channel.connection is None:
        raise redis.ConnectionError("this channel is closed")
    return _connparams(channel, **options)


Channel._connparams = _of_an_open_channel  # type: ignore[method-assign, assignment]
# For the same reason nothing is put back when a connection is closed: hints are found again by the sweeps.
Channel.do_restore = False

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "singlewindow.settings")

app = Celery("singlewindow")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.steps["worker"].add(DjangoStructLogInitStep)
app.autodiscover_tasks()
app.autodiscover_tasks(["clearance"], related_name="duty_tasks")


@app.on_after_finalize.connect
def schedule_sweeps(sender: Celery, **kwargs: object) -> None:
    from singlewindow.reactions import SWEEPS

    sender.conf.beat_schedule = {
        name: {"task": name, "schedule": seconds, "options": {"expires": max(seconds, 5.0), "ignore_result": True}}
        for name, seconds in SWEEPS.items()
    }


@celeryd_after_setup.connect
def spare_the_code(**kwargs: object) -> None:
    """Tasks are loaded, and no process is forked yet."""
    spare_what_is_loaded()


@task_prerun.connect
def keep_good_connections(**kwargs: object) -> None:
    """A connection serves many tasks, as it serves many requests: Django's own rule (CONN_MAX_AGE, a look whether it
    still answers) in place of Celery's, which opens a new one for every task."""
    close_old_connections()


@setup_logging.connect
def keep_our_logging(**kwargs: object) -> None:
    """Celery leaves logging as Django's settings set it up."""
