"""Two provinces: a consignment crosses from Chongqing to Guangxi, and one delivery fails and heals."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from base64 import b64encode
from secrets import token_bytes
from typing import Any

from singlewindow.demo.story import Demo
from singlewindow.processes import BASE_DIR, Instance, recreate_database, with_redis_database

#: Example terms of ours: which items the provinces share is published nowhere we could find.
TERMS = {
    "kinds": ["transit", "transit_confirmation"],
    "types": ["transit.*"],
    "fields": {"*": ["state", "from_office", "to_office", "to_province", "containers", "conveyance", "place"]},
}
TRANSIT = "EX-TRANSIT-0001"


def run(demo: Demo) -> None:
    demo.title("Two provinces: a transit crosses from Chongqing to Guangxi (example data)")
    here = demo.instance
    base = here.environment["DATABASE_URL"]
    there = Instance(
        environment={
            **here.environment,
            "DATABASE_URL": recreate_database(base, "singlewindow_demo_guangxi"),
            "REDIS_URL": with_redis_database(here.environment["REDIS_URL"], 12),
            "CELERY_BROKER_URL": "",
            "PROVINCE": "450000",
        },
        logs=here.logs / "guangxi",
    )
    there.environment["PUBLIC_URL"] = there.url
    there.manage("migrate", "--verbosity", "0")
    _connect(here, there)
    demo.say("agreement: transits and confirmations, seven fields; no prices, no parties")

    _command(here, f"open_transit(number={TRANSIT!r}, to_province='450000', to_office='7200', from_office='8000',"
                   " containers=['TCNU7200794'], principal=SYSTEM)")  # fmt: skip
    demo.say("Chongqing opens the transit; Guangxi's system is not up yet, so the delivery fails:")
    failed = _until(lambda: _attempts(here), "a first attempt")
    demo.say(f"  attempt 1: {failed[0]}")
    try:
        there.start()
        demo.say("Guangxi's system starts")
        _until(lambda: _mirrored(there, TRANSIT), "the transit in Guangxi")
        demo.say(f"  attempt {len(_attempts(here))}: delivered; Guangxi has a mirror of the transit, marked 500000")
        for step, conveyance in (("arrived", ""), ("departure_confirmed", "EXAMPLE VESSEL 001E")):
            _command(there, f"confirm_transit(partner_code='500000', number={TRANSIT!r}, step={step!r},"
                            f" conveyance={conveyance!r}, place='CNQZH', principal=SYSTEM)")  # fmt: skip
            demo.say(f"Guangxi confirms: {step}")
        _until(lambda: len(_mirrored(here, TRANSIT)) == 2, "both confirmations in Chongqing")
        demo.say("time line in Chongqing:")
        for milestone in _command(here, f"time_line({TRANSIT!r}, OFFICER)"):
            demo.say(f"  {milestone['at'][:19]}  {milestone['province']}  {milestone['type']}")
    finally:
        there.stop()


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


def _command(side: Instance, call: str) -> Any:
    """Run one of exchange.cooperation's commands on an instance, as its console or another system would."""
    code = (
        "import django; django.setup()\n"
        "from exchange.cooperation import *\nfrom common.json import dumps\n"
        "from parties.principals import SYSTEM, Principal\nOFFICER = Principal(actor='demo', is_officer=True)\n"
        f"print(dumps({call}).decode())"
    )
    return json.loads(_python(side, "-c", code).splitlines()[-1])


def _rows(side: Instance, query: str) -> list[tuple]:
    import psycopg2

    connection = psycopg2.connect(side.environment["DATABASE_URL"])
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()
    finally:
        connection.close()


def _attempts(side: Instance) -> list[str]:
    rows = _rows(
        side,
        "SELECT coalesce(nullif(a.error, ''), a.status::text) FROM exchange_attempt a"
        " JOIN exchange_delivery d ON d.id = a.delivery_id JOIN exchange_payload p ON p.id = d.payload_id"
        " WHERE p.subject_kind = 'transit' ORDER BY a.id",
    )
    return [row[0] for row in rows]


def _mirrored(side: Instance, number: str) -> list[tuple]:
    return _rows(side, f"SELECT type FROM exchange_mirrorevent WHERE subject_number = '{number}'")  # noqa: S608


def _until(found: Any, what: str, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:.0f} s"
        time.sleep(0.2)
    return answer
