"""One bill for the whole journey: Singapore -> Qinzhou by ship, -> Chongqing by train."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from bills import examples
from singlewindow.demo import step_40_clearance as clearance
from singlewindow.demo.cast import MEMBERS
from singlewindow.demo.story import Demo
from singlewindow.processes import BASE_DIR

BILLS = "/api/v1/bills"


def _number_of(demo: Demo, client_id: str) -> int:
    """The register's number of a member of the cast."""
    name = next(member.name for member in MEMBERS if member.client_id == client_id)
    found = demo.get("/api/v1/organisations", as_=client_id)["results"]
    return next(int(row["id"]) for row in found if row["name"] == name)


def run(demo: Demo) -> None:
    demo.title("One bill for the whole journey / 多式联运“一单制”: Singapore → Qinzhou → Chongqing")
    who = {
        name: _number_of(demo, f"demo-{name}") for name in ("shipper", "firm", "bank", "operator", "carrier", "railway")
    }
    for name in ("shipper", "firm", "bank", "operator"):
        if not demo.get(f"{BILLS}/keys", as_=f"demo-{name}")["results"]:
            demo.post(f"{BILLS}/keys", {}, as_=f"demo-{name}")
    content = examples.content()
    content["parties"]["consignor"]["organisation"] = who["shipper"]
    for leg, carrier in zip(content["legs"], ("carrier", "railway"), strict=True):
        leg["carrier"] = {"name": f"Example {carrier}", "organisation": who[carrier]}
    number = demo.post(BILLS, content, as_="demo-operator")["number"]

    def act(member: str, code: str, **more: Any) -> dict[str, Any]:
        done: dict[str, Any] = demo.post(f"{BILLS}/{number}/acts", {"act": code, **more}, as_=f"demo-{member}")
        demo.say(f"{code:<24} by {member:<9} act {done['sequence']}, signed, checksum {done['checksum'][:16]}…")
        return done

    act("operator", "ISSUE")
    act("shipper", "PLEDGE", recipient=who["bank"])
    refused = demo.request(
        "POST",
        f"{BILLS}/{number}/acts",
        {"act": "ENDORSE_TO_ORDER", "recipient": who["firm"]},
        as_="demo-shipper",
        expect=409,
    ).json()
    demo.say(f"endorsing while pledged is refused: {refused['code']}: {refused['detail']}")
    act("bank", "RELEASE")
    act("shipper", "ENDORSE_TO_ORDER", recipient=who["firm"])
    act("shipper", "TRANSFER", recipient=who["firm"])
    moment = datetime.now(UTC) - timedelta(days=9)
    for leg, member, ends in ((1, "carrier", ("SGSIN", "CNQZH")), (2, "railway", ("CNQZH", "CNCKG"))):
        for kind, place in zip(("departed", "arrived"), ends, strict=True):
            moment += timedelta(days=2)
            report = {"leg": leg, "kind": kind, "place": place, "occurred_at": moment.isoformat()}
            demo.post(f"{BILLS}/{number}/leg-events", report, as_=f"demo-{member}")
            here = demo.get(f"{BILLS}/{number}", as_="demo-firm")["whereabouts"]
            demo.say(f"the holder sees: leg {here['leg']}, {here['status']} {here['place']} ({here['since'][:10]})")
    act("firm", "SURRENDER_FOR_DELIVERY")
    act("operator", "ACCEPT")
    missing = demo.request("POST", f"{BILLS}/{number}/delivery-order", as_="demo-operator", expect=409).json()
    demo.say("a delivery order before release is refused: " + "; ".join(row["detail"] for row in missing["errors"]))
    _release(demo, number, content["containers"][0]["number"])
    order = demo.post(f"{BILLS}/{number}/delivery-order", {}, as_="demo-operator")
    demo.say(f"delivery order {order['number']} to the last holder, bound to its surrender and to the release")
    wrong = {"order": order["number"], "to": who["shipper"]}
    refused = demo.request("POST", f"{BILLS}/{number}/deliver", wrong, as_="demo-operator", expect=409).json()
    demo.say(f"delivery to anyone else is refused: {refused['code']}: {refused['detail']}")
    demo.post(f"{BILLS}/{number}/deliver", {"order": order["number"], "to": who["firm"]}, as_="demo-operator")
    bill = demo.get(f"{BILLS}/{number}", as_="demo-firm")
    demo.say(f"delivered: the bill is {bill['state']} after {bill['acts']} acts, and takes no more")

    file = demo.get(f"{BILLS}/{number}/export", as_="demo-firm")
    path = demo.instance.logs / f"{number}.json"
    path.write_text(json.dumps(file, ensure_ascii=False))
    _verify(demo, str(path), expect=0)
    token = file["acts"][2]
    file["acts"][2] = token[:40] + ("A" if token[40] != "A" else "B") + token[41:]
    path.write_text(json.dumps(file, ensure_ascii=False))
    _verify(demo, str(path), expect=1)
    demo.say(f"public page: {demo.instance.url}/verify/bills/{number}/{bill['checksum'][:32]}")
    demo.remembered["bill"] = number


def _release(demo: Demo, number: str, container: str) -> None:
    """The goods of the bill are declared, their duties paid, and customs lets them go."""
    declared, _, _ = clearance.lodge(demo, "", bill=number, container=container)
    clearance.accepted(demo, declared)
    demo.post(f"{BILLS}/{number}/papers", {"kind": "import_declaration", "number": declared}, as_="demo-operator")
    clearance.pay(demo, declared)
    demo.until("release", lambda: "final" in clearance.stages(demo, declared), timeout=90)

    def told() -> bool:
        papers = demo.get(f"{BILLS}/{number}", as_="demo-operator")["papers"]
        return any(paper["number"] == declared and paper["released_at"] for paper in papers)

    demo.until("the bill to know of the release", told, timeout=60)
    demo.say(f"declaration {declared} under the bill is released, and the bill knows")


def _verify(demo: Demo, path: str, *, expect: int) -> None:
    """Run the offline verifier as anyone would who has only the file."""
    done = subprocess.run(
        [sys.executable, "-m", "bills.verify", path], capture_output=True, text=True, check=False, cwd=BASE_DIR,
        env={"PATH": "/usr/bin:/bin", "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    what = "python -m bills.verify FILE" if expect == 0 else "the same file with one character changed"
    demo.say(f"{what}: " + done.stdout.strip().splitlines()[0])
    if done.returncode != expect:
        raise AssertionError(f"{what}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
