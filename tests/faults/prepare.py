"""Makes the databases of a corridor in one process: the first is migrated and filled, the others are copies of it, and
each is then connected with its partners.

    python -m tests.faults.prepare HOME CODE CODE …       (DATABASE_URL: the first one's; HOME/CODE.json: its partners)

Leaves HOME/cast.json: log-ins that are good at every instance, and what they send."""

from __future__ import annotations

import io
import json
import os
import sys
from datetime import timedelta
from pathlib import Path

import django


def cast() -> dict:
    from bills import examples, keys
    from common.days import today
    from singlewindow.demo import cast
    from tests import make

    members = cast.assemble()
    for member in members.values():
        keys.ensure_key(member)
    bill = examples.content(negotiability="order")
    bill["parties"]["consignor"]["organisation"] = members["demo-shipper"].pk
    return {
        "declaration": {"token": make.token(members["demo-firm"]), "body": make.message(members["demo-firm"])},
        "bill": {"token": make.token(members["demo-operator"]), "body": bill},
        "fee_list": {
            "token": make.token(members["demo-terminal"]),
            "body": {
                "body_class": "terminal",
                "port": "CNQZH",
                "title": "示例清单 / example list",
                # Many lists of one body at one port: each is published in time for any notice period.
                "valid_from": (today() + timedelta(days=400)).isoformat(),
                "complaint_telephone": "12345",
                "items": [
                    {
                        "code": "LUMP", "name_zh": "港口作业包干费", "service_content": "装卸、堆存", "payer": "consignee",
                        "unit": "container", "rate": "500", "pricing": "market", "mandatory": True,
                    }
                ],
            },
        },
    }  # fmt: skip


def main(home: Path, codes: list[str]) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "singlewindow.settings")
    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    call_command("prepare", "--quiet", "--no-cast")
    (home / "cast.json").write_text(json.dumps(cast(), default=str))
    connection.close()
    first = connection.settings_dict["NAME"]
    with connection._nodb_cursor() as cursor:  # type: ignore[attr-defined]
        for code in codes[1:]:
            cursor.execute(f"CREATE DATABASE province_{code} TEMPLATE {first}")
    children = []
    for code in codes:
        if (pid := os.fork()) == 0:
            connection.settings_dict["NAME"] = f"province_{code}"
            settings.PROVINCE = code
            call_command("connect_partners", str(home / f"{code}.json"), stdout=io.StringIO())
            os._exit(0)
        children.append(pid)
    if any(os.waitpid(pid, 0)[1] for pid in children):
        raise SystemExit("a province could not be connected")
    with connection._nodb_cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute("CHECKPOINT")  # a server stopped later has only that much to recover


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
