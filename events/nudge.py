"""After a commit, tell a worker that there is something to relay: a hint, sent at most once until it is taken up."""

from __future__ import annotations

import logging

import redis
from celery import current_app
from kombu.exceptions import OperationalError

from common.redis import client

log = logging.getLogger(__name__)

KEY = "events:nudged"
STAYING = "events:relay-stays"


def relay() -> None:
    """Never raises: a lost nudge costs the second until the periodic sweep."""
    try:
        if client().set(KEY, 1, nx=True, px=2000):
            current_app.send_task("singlewindow.relay", queue="relay", ignore_result=True)
    except (redis.RedisError, OperationalError) as error:
        log.warning("nudge not sent: %s", error)


def stay() -> bool:
    """Whether the caller is the one relay that may stay and look again, so that nothing that commits need nudge."""
    try:
        return bool(client().set(STAYING, 1, nx=True, px=2000))
    except redis.RedisError:
        return False


def still_here() -> None:
    try:
        for key in (KEY, STAYING):
            client().set(key, 1, px=2000)
    except redis.RedisError as error:
        log.warning("nudges not kept away: %s", error)


def gone() -> None:
    try:
        client().delete(STAYING)
    except redis.RedisError as error:
        log.warning("the relay's stay not ended: %s", error)


def taken() -> None:
    """The relay looks once more and ends: what commits from now on nudges again."""
    try:
        client().delete(KEY)
    except redis.RedisError as error:
        log.warning("nudge not cleared: %s", error)
