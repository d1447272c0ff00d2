"""The example bank: it pays a duty memo and reports so, signed as Standard Webhooks say."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from singlewindow.demo.cast import BANK_SECRET
from singlewindow.demo.story import Demo


def signed(body: bytes, *, secret: str = BANK_SECRET) -> dict[str, str]:
    """The headers of a payment report with this body."""
    identifier, stamp = f"msg_{uuid.uuid4().hex}", str(int(time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{identifier}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": identifier,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def open_memo(story: Demo, number: str, as_: str) -> dict[str, Any]:
    """The memo of a declaration that waits for payment."""
    page = story.get(f"/api/v1/tariff/memos?declaration={number}&state=open", as_=as_)
    memo: dict[str, Any] = page["results"][0]
    return memo


def pay(story: Demo, memo: dict[str, Any], reference: str) -> dict[str, Any]:
    """Report the memo as paid; returns the answer."""
    body = json.dumps(
        {
            "reference": reference,
            "memo": memo["number"],
            "amount": memo["amount"],
            "paid_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    ).encode()
    answer: dict[str, Any] = story.post("/api/v1/tariff/payments", body, as_="demo-bank", headers=signed(body))
    return answer
