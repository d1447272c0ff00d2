"""``chain1000_verify_ms``: verifying the exported file of a bill with 1 000 acts and the PINT entry over them (limit 200 ms): the least disturbed
of nine runs by the clock; ``_cpu_ms`` is the processor's share of it, ``chain1000_verify_vs_signatures`` how many times as long
it takes as checking 1 000 signatures and nothing else.
``title_transfer_vs_sql``: transfers of title, signature check included, against the same rows written by prepared SQL
(at least 0.30), taken in turns call by call; ``title_transfer_cpu_ms`` and ``title_transfer_sql_cpu_ms`` are this process's share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import import_key

from bills import chain, examples, signing, verify
from bills.canonical import checksum, document_checksum
from bills.wire import dcsa
from singlewindow import services
from singlewindow.garbage import spare_what_is_loaded
from singlewindow.processes import recreate_database

ACTS = 1000


def _party(name: str) -> dict[str, Any]:
    code = {"codeListProvider": "ZZZ", "codeListName": "USCC", "partyCode": f"91500000MA000000{name}"}
    return {"partyName": f"Firm {name}", "eblPlatform": "NLSC", "identifyingCodes": [code]}


def exported(count: int) -> dict[str, Any]:
    """A file as the register exports it, its PINT entry over all acts included: a bearer bill that went back and forth
    between two firms."""
    from bills.title import party_key

    parties = {name: _party(name) for name in "ABC"}
    privates = {name: import_key(signing.generate()) for name in "ABC"}
    root = signing.generate()
    document = dcsa.to_document(
        examples.content(negotiability="bearer"), reference="NLSC26000000001", version=1, issued_on=date(2026, 11, 1),
        platform="NLSC",
    )  # fmt: skip
    named = document_checksum(document)
    at = datetime(2026, 11, 1, tzinfo=UTC)
    manifest = signing.sign(
        {"documentChecksum": named, "issueToChecksum": document_checksum(parties["B"])}, privates["A"]
    )
    tokens: list[str] = []
    acts: list[tuple[chain.Statement, str]] = []
    holder = "B"
    for sequence in range(1, count + 1):
        actor, code, to = ("A", "ISSUE", "B") if sequence == 1 else (holder, "TRANSFER", "C" if holder == "B" else "B")
        holder = to
        payload = chain.statement(
            bill="NLSC26000000001", sequence=sequence, previous=checksum(tokens[-1]) if tokens else "", document=named,
            act=code, actor=parties[actor], recipient=parties[to], at=at + timedelta(seconds=sequence),
            details={"terms": {"kind": "bearer"}, "issuanceManifestSignedContent": manifest} if sequence == 1 else None,
        )  # fmt: skip
        tokens.append(signing.sign(payload, privates[actor]))
        acts.append((chain.read(payload), checksum(tokens[-1])))
    entry = chain.chain_entry(
        platform="NLSC", document=named, transactions=chain.transactions(acts), issuance_manifest=manifest, private=root
    )
    attestation = {
        "bill": "NLSC26000000001", "platform": "NLSC", "state": "issued", "holder": party_key(parties[holder]),
        "acts": count, "lastActChecksum": checksum(tokens[-1]), "versions": [named],
        "attestedAt": chain.moment_text(at),
        "keys": [
            {"kid": key.thumbprint(), "jwk": key.as_dict(private=False), "owner": party_key(parties[name]), "platform": "NLSC"}
            for name, key in privates.items()
        ],
    }  # fmt: skip
    return {
        "format": verify.FORMAT, "bill": "NLSC26000000001", "platform": "NLSC", "platformKey": signing.public_part(root),
        "attestation": signing.sign(attestation, root),
        "versions": [{"number": 1, "checksum": named, "document": document}], "acts": tokens,
        "envelopeTransferChain": [entry],
    }  # fmt: skip


def _signatures(count: int) -> float:
    """Milliseconds of the processor for checking ``count`` ES256 signatures."""
    private = ec.generate_private_key(ec.SECP256R1())
    algorithm, text = ec.ECDSA(hashes.SHA256()), b"x" * 700
    signed, public = private.sign(text, algorithm), private.public_key()
    worked = time.process_time()
    for _ in range(count):
        public.verify(signed, text, algorithm)
    return (time.process_time() - worked) * 1000


def run() -> dict[str, float]:
    file = json.loads(json.dumps(exported(ACTS)))
    spare_what_is_loaded()  # as a process that serves does; the tool itself has little loaded
    times, cpu, bare = [], [], []
    for _ in range(9):
        started, worked = time.perf_counter(), time.process_time()
        assert verify.verify(file).acts == ACTS
        times.append((time.perf_counter() - started) * 1000)
        cpu.append((time.process_time() - worked) * 1000)
        bare.append(_signatures(ACTS))
    database = recreate_database(os.environ.get("DATABASE_URL") or services.postgres_url(), "singlewindow_bench_bills")
    environment = {**os.environ, "DATABASE_URL": database}
    subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], env=environment, check=True)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers.title_transfer"], env=environment, check=True, stdout=subprocess.PIPE
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    verified = {"chain1000_verify_ms": min(times), "chain1000_verify_cpu_ms": min(cpu)}
    return verified | {"chain1000_verify_vs_signatures": min(cpu) / min(bare)} | figures
