"""Two running instances, each with a database and keys of its own, hand a bill to each other by PINT over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from bills import examples, verify
from bills.canonical import parse
from bills.envelope import schema_fault
from bills.signing import peek
from singlewindow.demo.cast import MEMBERS, PASSWORD
from singlewindow.processes import BASE_DIR, Instance, scratch_instance

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.xdist_group("instances")]

CODES = {member.client_id: member.social_credit_code for member in MEMBERS}


class Caller:
    """A member of the cast on one instance."""

    def __init__(self, instance: Instance, client_id: str) -> None:
        self.instance, self.client_id = instance, client_id
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": PASSWORD}
        self.headers: dict[str, str] = {}
        token = self.call(
            "POST", "/api/v1/oauth/token", urllib.parse.urlencode(form).encode(), "application/x-www-form-urlencoded"
        )
        self.headers = {"Authorization": f"Bearer {token['access_token']}"}

    def call(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind, **self.headers}
        request = urllib.request.Request(self.instance.url + path, data, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def act(self, number: str, act: str, **more: Any) -> Any:
        return self.call("POST", f"/api/v1/bills/{number}/acts", {"act": act, **more})

    def bill(self, number: str) -> Any:
        return self.call("GET", f"/api/v1/bills/{number}")

    def leave(self, number: str, platform: str, to: str, **more: Any) -> Any:
        codes = [{"codeListProvider": "ZZZ", "codeListName": "USCC", "partyCode": CODES[to]}]
        name = next(member.name for member in MEMBERS if member.client_id == to)
        return self.call(
            "POST", f"/api/v1/bills/{number}/departures", {"platform": platform, "name": name, "codes": codes, **more}
        )

    def departure(self, number: str) -> Any:
        return self.call("GET", f"/api/v1/bills/{number}/departures")["results"][0]


def introduce(here: Instance, there: Instance, code: str, secret: Path) -> None:
    """Register ``there`` with ``here``: its address, its keys, who speaks for it."""
    here.manage(
        "ebl_platform", code, f"{there.url}/api/v1/pint", f"{there.url}/api/v1/bills/jwks", "--client", "demo-railway",
        "--token-url", f"{there.url}/api/v1/oauth/token", "--client-id", "demo-railway",
        "--client-secret-file", str(secret),
    )  # fmt: skip


def schema_holds(instance: Instance, caller: Caller, number: str) -> list[str]:
    """Every envelope this instance sent of the bill, and every signed answer to it, is what the standard's schema wants;
    returns the action each told of, with its answer."""
    shown = subprocess.run(
        [sys.executable, "manage.py", "send_envelopes", "--show", number],
        cwd=BASE_DIR, env=instance.environment, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    answers = reversed(caller.call("GET", f"/api/v1/bills/{number}/departures")["results"])
    found = []
    for row, line in zip(answers, shown.splitlines(), strict=True):
        assert row["state"] == "accepted", row
        assert schema_fault("EnvelopeTransferFinishedResponse", peek(row["answer"])[1]) == ""
        envelope = parse(line)
        assert schema_fault("EblEnvelope", envelope) == ""
        assert schema_fault("EnvelopeManifest", peek(envelope["envelopeManifestSignedContent"])[1]) == ""
        for token in envelope["envelopeTransferChain"]:
            assert schema_fault("EnvelopeTransferChainEntry", peek(token)[1]) == ""
        last = peek(envelope["envelopeTransferChain"][-1])[1]["transactions"][-1]["actionCode"]
        found.append(f"{last} {row['answer_code']}")
    return found


def verified(caller: Caller, number: str) -> verify.Report:
    return verify.verify(parse(json.dumps(caller.call("GET", f"/api/v1/bills/{number}/export")).encode()))


def test_a_bill_goes_from_one_instance_to_another_and_comes_home(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD)
    options: dict[str, Any] = {"worker": False}
    with (
        scratch_instance("pint_a", redis_database=4, environment={"EBL_PLATFORM": "AAAA"}, **options) as a,
        scratch_instance("pint_b", redis_database=5, environment={"EBL_PLATFORM": "BBBB"}, **options) as b,
    ):
        for instance in (a, b):
            instance.manage("prepare", "--quiet")
        operator, firm = Caller(a, "demo-operator"), Caller(a, "demo-firm")
        for caller in (operator, firm):
            caller.call("POST", "/api/v1/bills/keys", {})
        content = examples.content()
        content["parties"]["consignor"]["identifiers"] = [
            {"provider": "ZZZ", "list": "USCC", "code": CODES["demo-firm"]}
        ]
        number = operator.call("POST", "/api/v1/bills", content)["number"]
        operator.act(number, "ISSUE")
        introduce(a, b, "BBBB", secret)
        introduce(b, a, "AAAA", secret)

        # Out, while the other side is down: nothing is lost, it is sent again.
        firm.leave(number, "BBBB", "demo-broker")
        b.kill("web")
        a.manage("send_envelopes")
        waiting = firm.departure(number)
        assert (waiting["state"], waiting["answer_code"], waiting["attempts"]) == ("waiting", "", 1)
        assert waiting["last_error"]
        # Nothing relays here but the web process, and an instance whose relay lies behind says it is not ready.
        b.manage("shell", "--verbosity", "0", "-c", "from singlewindow.relay import run\nwhile run(): pass")
        b.start_process("web")
        b.wait_ready()
        a.manage("send_envelopes", "--now")
        done = firm.departure(number)
        assert (done["state"], done["answer_code"]) == ("accepted", "RECE")
        assert schema_fault("EnvelopeTransferFinishedResponse", peek(done["answer"])[1]) == ""
        assert firm.bill(number)["state"] == "away"

        # It is a bill of the other instance now, and verifies there and here.
        broker = Caller(b, "demo-broker")
        seen = broker.bill(number)
        assert (seen["state"], seen["checksum"]) == ("issued", firm.bill(number)["checksum"])
        file = broker.call("GET", f"/api/v1/bills/{number}/export")
        assert verify.verify(file).checksum == seen["checksum"]
        for token in file["envelopeTransferChain"]:
            assert schema_fault("EnvelopeTransferChainEntry", peek(token)[1]) == ""

        # Home again, and delivered.
        broker.call("POST", "/api/v1/bills/keys", {})
        broker.leave(number, "AAAA", "demo-firm")
        b.manage("send_envelopes")
        assert broker.departure(number)["answer_code"] == "RECE"
        home = firm.bill(number)
        assert (home["state"], home["holder"]["id"] is not None, home["version"]) == ("issued", True, 1)
        firm.act(number, "SURRENDER_FOR_DELIVERY")
        operator.act(number, "ACCEPT")
        file = firm.call("GET", f"/api/v1/bills/{number}/export")
        path = tmp_path / "bill.json"
        path.write_text(json.dumps(file))
        report = verify.verify(parse(path.read_bytes()))
        assert (report.state, report.version) == ("accepted", 1)
        assert [peek(token)[1]["eblPlatform"] for token in file["envelopeTransferChain"]] == ["AAAA", "BBBB", "AAAA"]

        # Another bill: surrendered on the other instance, rejected, surrendered for amendment, reissued there, surrendered
        # again and accepted. Its endorsement is told before the bill follows.
        second = operator.call("POST", "/api/v1/bills", content)["number"]
        operator.act(second, "ISSUE")
        firm.leave(second, "BBBB", "demo-broker", act="ENDORSE_TO_ORDER")
        firm.leave(second, "BBBB", "demo-broker")
        a.manage("send_envelopes")
        assert broker.bill(second)["state"] == "issued"
        broker.act(second, "SURRENDER_FOR_DELIVERY")
        b.manage("send_envelopes")
        assert operator.bill(second)["state"] == "surrendered"
        operator.act(second, "REJECT", comments="freight is not paid")
        a.manage("send_envelopes")
        assert (operator.bill(second)["state"], broker.bill(second)["state"]) == ("away", "issued")
        broker.act(second, "SURRENDER_FOR_AMENDMENT", reason="COD")
        b.manage("send_envelopes")
        operator.call("POST", f"/api/v1/bills/{second}/amend", {"content": content | {"clauses": ["said to contain"]}})
        a.manage("send_envelopes")
        assert (operator.bill(second)["state"], broker.bill(second)["state"]) == ("away", "issued")
        assert broker.bill(second)["version"] == 2
        broker.act(second, "SURRENDER_FOR_DELIVERY")
        b.manage("send_envelopes")
        operator.act(second, "ACCEPT")
        a.manage("send_envelopes")
        assert broker.bill(second)["state"] == "accepted"
        assert [verified(caller, second).state for caller in (operator, broker)] == ["accepted", "accepted"]
        assert schema_holds(a, firm, second) == [
            "ENDORSE_TO_ORDER RECE", "TRANSFER RECE", "SREJ RECE", "SACC RECE", "ISSUE RECE", "SACC RECE",
        ]  # fmt: skip
        assert schema_holds(b, broker, second) == [
            "SURRENDER_FOR_DELIVERY RECE", "SURRENDER_FOR_AMENDMENT RECE", "SURRENDER_FOR_DELIVERY RECE",
        ]  # fmt: skip
