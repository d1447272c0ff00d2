"""After a commit, tell a worker that there is something to relay: a hint, sent at most once until it is taken up."""

from __future__ import annotations

import logging

import redis
from celery import current_app
from kombu.exceptions import OperationalError

from common.redis import client

log = logging.getLogger(__name__)

KEY = "events:nudged"


def relay() -> None:
    """Never raises: a lost nudge costs the second until the periodic sweep."""
    try:
        if client().set(KEY, 1, nx=True, px=2000):
            current_app.send_task("singlewindow.relay", queue="relay", ignore_result=True)
    except (redis.RedisError, OperationalError) as error:
        log.warning("nudge not sent: %s", error)


def taken() -> None:
    """The relay is at work: what commits from now on nudges again."""
    try:
        client().delete(KEY)
    except redis.RedisError as error:
        log.warning("nudge not cleared: %s", error)
