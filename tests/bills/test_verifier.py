"""The offline verifier: what holds, and that one changed byte anywhere does not."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bills import exporting, keys, signing, verify
from bills.canonical import canonical, checksum
from tests.bills.cast import handed_over, issued


@pytest.fixture
def file(cast) -> dict[str, Any]:
    bill = handed_over(cast, issued(cast))
    cast.does("buyer", "PLEDGE", bill, "bank")
    cast.does("bank", "RELEASE", bill)
    cast.does("buyer", "SURRENDER_FOR_DELIVERY", bill)
    return json.loads(canonical(exporting.export(bill)))


def run(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, without Django's settings and without a database."""
    return subprocess.run(
        [sys.executable, "-m", "bills.verify", str(path), *options],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "DJANGO_SETTINGS_MODULE": "no.such.module", "PYTHONIOENCODING": "utf-8"},
        cwd=Path(__file__).parents[2],
    )


def test_the_verifier_runs_on_the_file_alone(file, tmp_path):
    path = tmp_path / "bill.json"
    path.write_bytes(canonical(file))
    done = run(path, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert (report["state"], report["acts"], report["trusted"]) == ("surrendered", 6, False)
    assert run(path, "--trust", report["platform_key"]).returncode == 0
    stranger = run(path, "--trust", "A" * 43)
    assert stranger.returncode == 1
    assert "platform-key-not-trusted" in stranger.stdout
    path.write_bytes(canonical(file)[:-100])
    assert run(path).returncode == 2


def test_the_verifier_needs_no_django(file, tmp_path):
    code = "import sys, bills.verify; print([m for m in sys.modules if m.split('.')[0] in ('django', 'psycopg2')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_changed_byte_fails(file, data):
    """Any character of any act, of the document's canonical form, of the attestation or of a chain entry."""
    changed = copy.deepcopy(file)
    what = data.draw(st.sampled_from(["acts", "document", "attestation", "envelopeTransferChain"]))

    def flip(text: str) -> str:
        at = data.draw(st.integers(0, len(text) - 1))
        new = "A" if text[at] != "A" else "B"
        return text[:at] + new + text[at + 1 :]

    if what == "document":
        document = changed["versions"][0]["document"]
        document["termsAndConditions"] = flip(document["termsAndConditions"])
    elif what == "attestation":
        changed[what] = flip(changed[what])
    else:
        at = data.draw(st.integers(0, len(changed[what]) - 1))
        changed[what][at] = flip(changed[what][at])
    if changed == file:
        return
    with pytest.raises(verify.Fails):
        verify.verify(changed)


def fails(file: dict[str, Any], code: str) -> None:
    with pytest.raises(verify.Fails) as caught:
        verify.verify(file)
    assert caught.value.code == code


def test_acts_left_out_doubled_or_swapped_are_found(file):
    for acts in (file["acts"][:-1], file["acts"][1:], [*file["acts"], file["acts"][-1]],
                 [file["acts"][0], file["acts"][2], file["acts"][1], *file["acts"][3:]]):  # fmt: skip
        with pytest.raises(verify.Fails):
            verify.verify({**file, "acts": acts})
    fails({**file, "acts": file["acts"][:-1]}, "attestation-differs")


def test_a_document_swapped_for_another_is_found(file):
    other = copy.deepcopy(file["versions"])
    other[0]["document"]["issueDate"] = "2001-01-01"
    fails({**file, "versions": other}, "document-changed")
    other[0]["checksum"] = checksum(canonical(other[0]["document"]))
    fails({**file, "versions": other}, "version-not-in-force")


def test_an_attestation_by_another_platform_is_found(file):
    key = signing.generate()
    forged = signing.sign(signing.peek(file["attestation"])[1], key)
    fails({**file, "attestation": forged}, "attestation-unknown-key")


def test_every_kind_of_transaction_in_an_entry_is_held_against_the_standards_schema(monkeypatch):
    """Acts that hold, of a party whose name is longer than the standard allows: the entry made of them is no entry."""
    from benchmarks import bills

    file = bills.exported(20)
    assert verify.verify(file).checks[-1] == "pint"
    party = bills._party
    monkeypatch.setattr(bills, "_party", lambda name: party(name) | ({"partyName": "n" * 71} if name == "C" else {}))
    fails(bills.exported(20), "entry-malformed")


def test_an_entry_that_tells_of_other_times_than_the_acts_is_found(file):
    told = signing.peek(file["envelopeTransferChain"][0])[1]
    told["transactions"][1]["actionDateTime"] = "2001-01-01T00:00:00.000Z"
    forged = signing.sign(told, keys.private_of(keys.platform_key()))
    fails({**file, "envelopeTransferChain": [forged]}, "entry-differs")


@pytest.mark.parametrize("bad", [None, [], {}, {"format": "one-bill/1"}, {"format": "other"}, "text", 3])
def test_what_is_no_export_is_refused(bad):
    with pytest.raises(verify.Fails):
        verify.verify(bad)
