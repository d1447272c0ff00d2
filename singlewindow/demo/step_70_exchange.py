"""Two provinces: a consignment crosses from Chongqing to Guangxi, and one delivery fails and heals."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from base64 import b64encode
from secrets import token_bytes
from typing import Any

import psycopg2

from singlewindow.demo.story import Demo
from singlewindow.processes import BASE_DIR, Instance, migrated_template, recreate_database, with_redis_database

#: Example terms of ours: which items the provinces share is published nowhere we could find.
TERMS = {
    "kinds": ["declaration", "transit", "transit_confirmation"],
    "types": ["declaration.*", "transit.*"],
    "fields": {
        "declaration.*": ["state", "transport_document_number"],
        "transit.*": [
            "state", "from_office", "to_office", "to_province", "province", "containers", "declaration_number",
            "conveyance", "place",
        ],
    },
}  # fmt: skip
TRANSIT = "EX-TRANSIT-0001"
CONTAINER = "TCNU7200794"


def run(demo: Demo) -> None:
    demo.title("Two provinces: a consignment crosses from Chongqing to Guangxi (example data)")
    here = demo.instance
    base = here.environment["DATABASE_URL"]
    there = Instance(
        environment={
            **here.environment,
            "DATABASE_URL": recreate_database(base, "singlewindow_demo_guangxi", template=migrated_template(base)),
            "REDIS_URL": with_redis_database(here.environment["REDIS_URL"], 12),
            "CELERY_BROKER_URL": "",
            "PROVINCE": "450000",
        },
        logs=here.logs / "guangxi",
        migrated=True,
    )
    there.environment["PUBLIC_URL"] = there.url
    _python(there, "-c", "import django; django.setup(); from singlewindow.demo import cast; cast.assemble()")
    guangxi = Demo(there)
    _connect(here, there)
    demo.say("agreement: declarations, transits and confirmations, ten fields; no prices, no parties")

    number = demo.remembered.get("export") or demo.remembered.get("import") or ""
    wanted = {
        "number": TRANSIT, "to_province": "450000", "from_office": "8000", "to_office": "7200",
        "containers": [CONTAINER], "declaration_number": number,
    }  # fmt: skip
    demo.post("/api/v1/exchange/transits", wanted, as_="demo-customs")
    about = f" for declaration {number}" if number else ""
    demo.say(f"Chongqing's customs opens transit {TRANSIT}{about}, container {CONTAINER}")
    demo.say("Guangxi's system is not up, so the delivery fails:")
    failed = demo.until("a first attempt", lambda: _attempts(here))
    demo.say(f"  attempt 1: {failed[0]}; tried again after 5 s, 30 s, 5 min, … for three days")
    try:
        there.start()
        demo.say("Guangxi's system starts")
        transit = demo.until("the transit in Guangxi", lambda: _transit(guangxi), timeout=90)
        tries = demo.until("the answer in Chongqing", lambda: (found := _attempts(here))[-1] == "200" and found)
        demo.say(f"  attempt {len(tries)}: {tries[-1]}, delivered")
        demo.say(f"  Guangxi has a mirror of it: opened by {transit['opened_by']}, {transit['state']}")
        for step, conveyance in (("arrived", ""), ("departure_confirmed", "EXAMPLE VESSEL 001E")):
            said = {"province": "500000", "step": step, "conveyance": conveyance, "place": "CNQZH"}
            guangxi.post(f"/api/v1/exchange/transits/{TRANSIT}/confirmations", said, as_="demo-customs")
            demo.say(f"Guangxi's customs confirms: {step}")
        demo.until("both confirmations in Chongqing", lambda: _transit(demo)["departed_at"], timeout=60)
        key = number or TRANSIT
        demo.say(f"one time line in Chongqing, asked for by {key}:")
        asked = demo.get(f"/api/v1/exchange/timeline/{key}", as_="demo-firm" if number else "demo-customs")
        for milestone in asked["milestones"]:
            demo.say(f"  {milestone['at'][:19]}  {milestone['province']}  {milestone['type']}")
    finally:
        there.stop()


def _transit(side: Demo) -> dict[str, Any]:
    found = side.get("/api/v1/exchange/transits", as_="demo-customs")["results"]
    return next((one for one in found if one["number"] == TRANSIT), {})


def _connect(here: Instance, there: Instance) -> None:
    keys = [f"whsec_{b64encode(token_bytes(32)).decode()}" for _ in range(2)]
    sides: list[tuple[Instance, Instance, str, str, str, str]] = [
        (here, there, "500000", "450000", keys[0], keys[1]),
        (there, here, "450000", "500000", keys[1], keys[0]),
    ]
    for side, other, own, code, sends, takes in sides:
        partner = {
            "code": code,
            "name": {"450000": "Guangxi (example)", "500000": "Chongqing (example)"}[code],
            "base_url": f"{other.url}/api/v1",
            "client_id": f"{own}-at-{code}",
            "client_secret": f"example-{own}-at-{code}",
            "their_client_id": f"{code}-at-{own}",
            "their_client_secret": f"example-{code}-at-{own}",
            "secret": takes,
            "endpoint": {"url": f"{other.url}/api/v1/exchange/inbox/{own}", "secret": sends, "timeout": 5},
            "out": TERMS,
            "in": TERMS,
        }
        _python(side, "manage.py", "connect_partners", "-", given=json.dumps([partner]))


def _python(side: Instance, *arguments: str, given: str = "") -> str:
    return subprocess.run(
        [sys.executable, *arguments], cwd=BASE_DIR, env=side.environment, input=given, check=True,
        capture_output=True, text=True,
    ).stdout  # fmt: skip


def _attempts(side: Instance) -> list[str]:
    """What came of each try to deliver the transit: an error, or the status of the answer."""
    connection = psycopg2.connect(side.environment["DATABASE_URL"])
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(nullif(a.error, ''), a.status::text) FROM exchange_attempt a"
            " JOIN exchange_delivery d ON d.id = a.delivery_id JOIN exchange_payload p ON p.id = d.payload_id"
            " WHERE p.subject_kind = 'transit' ORDER BY a.id"
        )
        return [row[0] for row in cursor.fetchall()]
