"""What the standards desk published: every schema with its SHA-256 and the entry of the change log that tells of it
(``exchange/data/published.json``). A schema that changes, comes or goes without an entry of its own fails a test."""

from __future__ import annotations

import hashlib
import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import orjson

from exchange import standards
from exchange.api import trade_documents

FILE = Path(standards.DATA).with_name("published.json")
_WORD = re.compile(r"[a-z_*]+(?:\.[a-z_*]+)+|[a-z-]+")


def schemas() -> dict[str, dict[str, Any]]:
    """Everything there is a schema of, by its address under ``/standards``."""
    events = {f"events/{name}": standards.event_schema(name) or {} for name in standards.event_types()}
    documents = {f"documents/{name}": schema for name, schema in standards.documents().items()}
    of_trade = {f"documents/{name}": trade_documents.schema(name) for name in trade_documents.PLACES}
    return events | documents | of_trade


def sha256(schema: dict[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(schema, option=orjson.OPT_SORT_KEYS)).hexdigest()


def published() -> dict[str, dict[str, Any]]:
    """address -> {"sha256", "entry"}: the number, from 1, of the entry that tells of it."""
    found: dict[str, dict[str, Any]] = orjson.loads(FILE.read_bytes())
    return found


def tells_of(entry: int, address: str, *, new: bool = False) -> bool:
    """Whether entry ``entry`` of the change log names the schema; the first tells of all there was. What is said of every
    message (``*.*``) tells of none that is new."""
    if entry == 1:
        return True
    changes = standards.change_log()
    words = _WORD.findall(changes[entry - 1]["change"]) if 0 < entry <= len(changes) else []
    return any(fnmatch(address.partition("/")[2], word) for word in words if not (new and word == "*.*"))


def unlogged() -> dict[str, str]:
    """What is not as it was published: address -> what to do."""
    now, then = schemas(), published()
    wrong = dict.fromkeys(then.keys() - now.keys(), "gone")
    for address, schema in now.items():
        known = then.get(address)
        if known is None or known["sha256"] != sha256(schema):
            wrong[address] = "new" if known is None else "changed"
        elif not tells_of(known["entry"], address):
            wrong[address] = "no entry of the change log names it"
    return wrong


def publish() -> dict[str, str]:
    """Note what is new, changed or gone, where a later entry of the change log than before names it; returns what is left. Of what
    is new no entry told that stood there when anything was last published, whatever its pattern meets."""
    now, then, left = schemas(), published(), {}
    latest = max((known["entry"] for known in then.values()), default=1)
    for address, what in unlogged().items():
        before = then[address]["entry"] if address in then else latest
        entries = [
            n for n in range(before + 1, len(standards.change_log()) + 1) if tells_of(n, address, new=what == "new")
        ]
        if not entries:
            left[address] = what
        elif address in now:
            then[address] = {"sha256": sha256(now[address]), "entry": entries[-1]}
        else:
            del then[address]
    FILE.write_bytes(b"{\n" + b",\n".join(
        b" " + orjson.dumps(address) + b": " + orjson.dumps(then[address]) for address in sorted(then)
    ) + b"\n}\n")  # fmt: skip
    return left
