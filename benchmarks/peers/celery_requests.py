"""The peer: webhooks as most would write them. A Celery task per delivery reads the row, posts it with requests, signed,
and writes the result; no order, no schedule, no circuit breaker."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import time

import psycopg2
import requests
from celery import Celery

app = Celery("peer", broker=os.environ.get("PEER_BROKER", "memory://"))
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=4, task_default_queue="peer")

TABLE = """
CREATE TABLE peer_delivery (
  id bigint PRIMARY KEY, url text, body text, state text DEFAULT 'pending', status integer, done_at timestamptz
)
"""
KEY = b"k" * 32
_connection = None


@app.task(name="peer.send")
def send(delivery: int) -> None:
    global _connection
    if _connection is None:
        _connection = psycopg2.connect(os.environ["PEER_DATABASE"])
    with _connection, _connection.cursor() as cursor:
        cursor.execute("SELECT url, body FROM peer_delivery WHERE id = %s", [delivery])
        url, body = cursor.fetchone()
    stamp = str(int(time.time()))
    signed = base64.b64encode(hmac.digest(KEY, f"{delivery}.{stamp}.{body}".encode(), hashlib.sha256)).decode()
    answer = requests.post(
        url,
        data=body.encode(),
        headers={"webhook-id": str(delivery), "webhook-timestamp": stamp, "webhook-signature": f"v1,{signed}"},
        timeout=15,
    )
    with _connection, _connection.cursor() as cursor:
        cursor.execute(
            "UPDATE peer_delivery SET state = 'delivered', status = %s, done_at = now() WHERE id = %s",
            [answer.status_code, delivery],
        )
