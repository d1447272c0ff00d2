"""Who and what takes part in the measures: a firm with a token, and its messages."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import count
from typing import Any, NamedTuple

import orjson

from singlewindow.processes import BASE_DIR, Instance

_serial = count(1)
_REFERENCE = b"@@@@@@@@@@@@@@@@@@"


class Cast(NamedTuple):
    token: str
    message: dict[str, Any]

    def headers(self, **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **more}


#: Runs in a process of its own, on the instance's database, so that this one stays free of Django's settings.
_MAKE = """
import django, json, sys
django.setup()
from tests import make
firm = make.firm(customs_code="5001999999", social_credit_code=make.credit_code(9999999))
print(json.dumps({"token": make.token(firm), "message": make.message(firm, items=5)}))
"""


def cast(instance: Instance) -> Cast:
    made = subprocess.run(
        [sys.executable, "-c", _MAKE], cwd=BASE_DIR, env=instance.environment, check=True, stdout=subprocess.PIPE
    )
    return Cast(**orjson.loads(made.stdout.splitlines()[-1]))


def template(message: dict[str, Any]) -> bytes:
    mark = _REFERENCE.decode()
    return orjson.dumps(message | {"client_reference": mark, "transport_document_number": mark})


def fill(made: bytes) -> bytes:
    """A template with a client reference and a bill of lading of its own."""
    return made.replace(_REFERENCE, b"B%05d%012d" % (os.getpid() % 100_000, next(_serial)))
