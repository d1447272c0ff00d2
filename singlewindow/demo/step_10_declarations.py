"""Declarations on their way: an import as JSON, the interface's own sample as DecMessage, an export, one with faults, a
batch. For each: its receipts, what the checks found, its time line, its state in the end."""

from __future__ import annotations

import copy
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

from common.days import today
from singlewindow.demo import bank
from singlewindow.demo.cast import MEMBERS
from singlewindow.demo.story import Demo

EXAMPLES = Path(__file__).resolve().parents[2] / "declarations" / "data" / "examples"
BROKER, FIRM = (next(member for member in MEMBERS if member.client_id == who) for who in ("demo-broker", "demo-firm"))
BATCH = 20


def example(name: str) -> dict[str, Any]:
    """An example message, its means of transport entered yesterday."""
    message: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_text())
    message["border_crossing_date"] = _entered()
    message.pop("preparation_date", None)
    return message


def _entered() -> str:
    return (today() - timedelta(days=1)).isoformat()


def run(story: Demo) -> None:
    json_import(story)
    sample_message(story)
    export(story)
    faulty(story)
    batch(story)


def json_import(story: Demo) -> None:
    story.title("An import, lodged as JSON by a customs broker")
    lodged = story.post("/api/v1/declarations", example("import"), as_="demo-broker")
    number = lodged["unified_number"]
    story.say(f"POST /api/v1/declarations -> {number}, {lodged['state']}")
    memo = story.until("duties of the import", lambda: _open_memo(story, number))
    story.say(f"duties of {memo['amount']} CNY are due until {memo['due_on']}; the bank reports them paid")
    bank.pay(story, memo, "DEMO-0001")
    show(story, settled(story, number))
    told = story.get(f"/api/v1/tracking/{number}")
    story.say("tracking, as anybody may see it: " + ", ".join(row["name"] for row in told["milestones"]))
    story.remembered["import"] = number


def sample_message(story: Demo) -> None:
    story.title("The interface's own sample, a DecMessage in XML")
    body = re.sub(rb"<IEDate>\d+</IEDate>", f"<IEDate>{_entered().replace('-', '')}</IEDate>".encode(),
                  (EXAMPLES / "import.xml").read_bytes())  # fmt: skip
    answer = story.request(
        "POST", "/api/v1/declarations", body, as_="demo-broker", content_type="application/xml",
        headers={"Accept": "application/xml"},
    )  # fmt: skip
    story.say(answer.raw.decode().partition("?>")[2].strip())
    found = re.search(rb"<SeqNo>(\w+)</SeqNo>", answer.raw)
    assert found, answer.raw
    number = found[1].decode()
    draft = story.get(f"/api/v1/declarations/{number}", as_="demo-broker")
    story.say(f"its operation type says save, so it is kept as a {draft['state']}; now it is declared")
    story.post(
        f"/api/v1/declarations/{number}/lodge", as_="demo-broker", headers={"If-Match": f'"{draft["revision"]}"'}
    )
    back = story.request(
        "GET", f"/api/v1/declarations/{number}", as_="demo-broker", headers={"Accept": "application/xml"}
    )
    same = _values(body) - _values(back.raw)
    story.say(f"read back as XML: {len(_values(back.raw))} values, {len(same)} of those sent are missing")
    assert not same, same
    story.until("duties of the sample", lambda: _open_memo(story, number))
    show(story, number)
    story.remembered["sample"] = number


def export(story: Demo) -> None:
    story.title("An export, lodged as JSON (the example, in the name of this demonstration's firm and broker)")
    lodged = story.post("/api/v1/declarations", export_message("export"), as_="demo-broker")
    story.say(f"POST /api/v1/declarations -> {lodged['unified_number']}, {lodged['state']}")
    show(story, settled(story, lodged["unified_number"]))
    story.remembered["export"] = lodged["unified_number"]


def export_message(name: str) -> dict[str, Any]:
    message = example(name)
    message |= {
        "declarant_code": BROKER.customs_code, "declarant_name": BROKER.name,
        "declarant_credit_code": BROKER.social_credit_code,
        "preparer_code": BROKER.customs_code, "preparer_name": BROKER.name,
        "preparer_credit_code": BROKER.social_credit_code,
        "domestic_party_code": FIRM.customs_code, "domestic_party_name": FIRM.name,
        "domestic_party_credit_code": FIRM.social_credit_code,
        "owner_code": FIRM.customs_code, "owner_name": FIRM.name, "owner_credit_code": FIRM.social_credit_code,
        "customs_office": "8000",
    }  # fmt: skip
    return message


def faulty(story: Demo) -> None:
    story.title("An import with faults: all of them are told at once, each with its place")
    message = json.loads((EXAMPLES / "faulty.json").read_text())
    answer = story.request("POST", "/api/v1/declarations", message, as_="demo-broker", expect=422)
    problem = answer.json()
    story.say(f"{answer.status} {problem['code']}: {problem['title']}")
    for fault in problem["errors"]:
        story.say(f"  {fault['pointer'] or '/'}  {fault['code']}: {fault['detail']}")
    assert len(problem["errors"]) > 3


def batch(story: Demo) -> None:
    story.title(f"A batch of {BATCH} exports, one of them faulty")
    messages = []
    for index in range(BATCH):
        message = copy.deepcopy(export_message("export"))
        message["client_reference"] = f"CQDEMOBATCH{index:07d}"
        message["transport_document_number"] = message["delivery_order_number"] = f"CQBLDEMO{index:04d}"
        messages.append(message)
    del messages[7]["goods_items"][0]["commodity_code"]
    answer = story.post("/api/v1/declarations/batch", messages, as_="demo-broker", expect=200)
    story.say(f"POST /api/v1/declarations/batch -> {answer['lodged']} lodged, {answer['refused']} refused")
    (refused,) = (row for row in answer["results"] if row["status"] >= 400)
    for fault in refused["problem"]["errors"]:
        story.say(f"  entry {refused['index']}: {fault['pointer']}  {fault['code']}: {fault['detail']}")
    numbers = [row["unified_number"] for row in answer["results"] if row["status"] < 400]
    for number in numbers:
        settled(story, number)
    story.say(f"all {len(numbers)} reached their end; the last of them:")
    show(story, numbers[-1])


# -- what is shown of a declaration


def settled(story: Demo, number: str) -> str:
    """Wait until the declaration has come to its end."""

    def ended() -> bool:
        state = story.get(f"/api/v1/declarations/{number}", as_="demo-broker")["state"]
        assert state not in ("rejected", "returned", "withdrawn"), f"{number} is {state}"
        return state == "cleared"

    story.until(f"{number} cleared", ended, timeout=60)
    return number


def show(story: Demo, number: str) -> None:
    base = f"/api/v1/declarations/{number}"
    story.say("receipts:")
    for receipt in story.get(f"{base}/receipts", as_="demo-broker")["receipts"]:
        note = "" if receipt["note"] == receipt["channel_name"] else f": {receipt['note']}"
        story.say(f"  {receipt['channel']:2} {receipt['channel_name']}{note}")
    checks = story.get(f"{base}/checks", as_="demo-broker")["results"]
    story.say("checks:" if checks else "checks: nothing found")
    for found in checks:
        story.say(f"  {found['severity']}: {found['title']} {found['pointer']}: {found['detail']}")
    story.say("time line:")
    for event in story.get(f"{base}/events", as_="demo-broker")["events"]:
        story.say(f"  {event['occurred_at'][11:23]}  {event['type']} by {event['actor']}")
    told = story.get(base, as_="demo-broker")
    story.say(f"state: {told['state']}, customs number {told['customs_number']}")


def _open_memo(story: Demo, number: str) -> dict[str, Any] | None:
    page = story.get(f"/api/v1/tariff/memos?declaration={number}&state=open", as_="demo-broker")
    return page["results"][0] if page["results"] else None


def _values(document: bytes) -> set[tuple[str, str]]:
    """Element and value of everything in a message that holds one."""
    return {
        (name, value)
        for name, value in re.findall(r"<(\w+)[^>]*>([^<>]+)</\1>", document.decode())
        if value.strip() and name not in ("SeqNo",)
    }
