"""Clearance in every mode: for each a declaration of goods a manifest announced, what it waits for, and its time line."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from stdnum import iso6346

from singlewindow.demo import bank
from singlewindow.demo.officer import Desk
from singlewindow.demo.step_10_declarations import example, export_message
from singlewindow.demo.story import Demo

_serial = itertools.count(1)


def ago(hours: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat()


def box() -> str:
    stem = f"EXMU{next(_serial):06d}"
    return stem + iso6346.calc_check_digit(stem)


def run(story: Demo) -> None:
    for mode in MODES:
        mode(story)
    clearance_times(story)


def manifest(story: Demo, bill: str, container: str, message: dict[str, Any]) -> tuple[str, int]:
    """A manifest that agrees with the message; returns its voyage number and the id of the trip."""
    voyage = f"D{bill}"
    story.post(
        "/api/v1/manifests",
        {
            "message_id": f"DEMO-{bill}", "function_code": "9", "sent_at": ago(0.01), "number": voyage,
            "message_type": "MT1101" if message["direction"] == "I" else "MT2101", "means_type": "1",
            "voyage_number": voyage,
            "consignments": [{
                "bill_number": bill, "packages": message["package_count"], "gross_mass": str(message["gross_weight"]),
                "equipment": [{"number": container}],
            }],
        },
        as_="demo-carrier",
    )  # fmt: skip
    trip = story.get(f"/api/v1/voyages?number={voyage}", as_="demo-carrier")["results"][0]["id"]
    return voyage, trip


def report(story: Demo, bill: str, manifest: str, kind: str) -> None:
    """What became of the goods of a bill: MT3101 arrived in the supervised area, MT4101 loaded."""
    story.post(
        "/api/v1/manifests",
        {
            "message_id": f"DEMO-{kind}-{bill}", "function_code": "9", "message_type": kind, "sent_at": ago(0),
            "number": manifest, "consignments": [{"bill_number": bill, "occurred_at": ago(0)}],
        },
        as_="demo-carrier",
    )  # fmt: skip


def arrive(story: Demo, trip: int) -> None:
    for what in ("arrived", "entry_declared"):
        story.post(f"/api/v1/voyages/{trip}/reports", {"what": what, "at": ago(0)}, as_="demo-carrier")


def lodge(
    story: Demo, title: str, *, kind: str = "import", early: bool = False, bill: str = "", container: str = "",
    **changes: Any,
) -> tuple[str, str, int]:  # fmt: skip
    """Manifest, arrival (unless ``early``) and declaration; returns its number, its container and the trip."""
    if title:
        story.title(title)
    bill, container = bill or f"DEMO{next(_serial):04d}", container or box()
    message = export_message(kind) if kind == "export" else example(kind)
    voyage, trip = manifest(story, bill, container, message)
    if kind == "export":
        report(story, bill, voyage, "MT3101")
    elif not early:
        arrive(story, trip)
    message |= {
        "transport_document_number": bill, "delivery_order_number": bill, "voyage_number": voyage, "client_reference": f"DM{next(_serial):016d}",
        "containers": [{
            "container_number": container, "container_type": "11", "shared_load": "0",
            "item_numbers": ",".join(str(item["item_number"]) for item in message["goods_items"]),
        }],
    }  # fmt: skip
    number = story.post("/api/v1/declarations", message | changes, as_="demo-broker")["unified_number"]
    story.say(f"{number}: bill {bill}, container {container}")
    return number, container, trip


def case(story: Demo, number: str) -> dict[str, Any]:
    found: dict[str, Any] = story.get(f"/api/v1/clearance/{number}", as_="demo-broker")
    return found


def pay(story: Demo, number: str) -> None:
    """Pay what an import owes, once customs has said how much."""

    def memo() -> Any:
        rows = story.get(f"/api/v1/tariff/memos?declaration={number}&state=open", as_="demo-broker")["results"]
        return rows[0] if rows else None

    bank.pay(story, story.until("duty memo", memo), f"DEMO-PAY-{number}")


def gate_out(story: Demo, container: str) -> None:
    story.post(
        "/api/v1/gate-moves",
        {
            "message_id": f"OUT-{container}", "container": container, "move": "GTOT", "fullness": "LADEN",
            "place": "QZHDL", "truck": "渝A00001", "at": ago(0),
        },
        as_="demo-carrier",
    )  # fmt: skip


def end(story: Demo, number: str, container: str = "") -> None:
    """Wait for release, let the container out, wait until the case is closed, print its time line."""
    story.until("release", lambda: "final" in stages(story, number), timeout=90)
    if container:
        gate_out(story, container)
    story.until("closing", lambda: case(story, number)["state"] == "cleared", timeout=60)
    line = story.get(f"/api/v1/tracking/{number}", as_="demo-broker")
    for entry in line["entries"]:
        story.say(f"  {entry['at'][:19]}  {entry['text']}{'  (planned)' if entry['planned'] else ''}")
    if line["next"]:
        story.say(f"  next: {line['next']['text']}")


def stages(story: Demo, number: str) -> list[str]:
    return [row["stage"] for row in case(story, number)["releases"]]


def waits(story: Demo, number: str, code: str) -> None:
    """Wait until the case waits for this and nothing else, and say so."""

    def only() -> Any:
        found = case(story, number)["waiting_for"]
        return found if {one["code"] for one in found} == {code} else None

    story.say("waits for: " + story.until(code, only, timeout=60)[0]["detail"])


def choose(story: Demo, number: str, mode: str, place: str = "") -> None:
    story.post(f"/api/v1/clearance/{number}/mode", {"mode": mode, "place": place}, as_="demo-broker")


def confirm(story: Demo, number: str, step: str, who: str = "demo-carrier", place: str = "") -> None:
    story.post(f"/api/v1/clearance/{number}/confirmations", {"step": step, "at": ago(0), "place": place}, as_=who)


def accepted(story: Demo, number: str) -> None:
    story.until("acceptance", lambda: case(story, number)["state"] not in ("lodged",), timeout=60)


def ordinary(story: Demo) -> None:
    number, container, _ = lodge(story, "Ordinary clearance")
    accepted(story, number)
    refused = story.request(
        "POST", "/api/v1/gate-moves",
        {"message_id": f"EARLY-{container}", "container": container, "move": "GTOT", "fullness": "LADEN",
         "place": "QZHDL", "at": ago(0)},
        as_="demo-carrier", expect=(201, 409),
    )  # fmt: skip
    story.say(f"gate out before release: {refused.status}")
    pay(story, number)
    end(story, number, container if refused.status == 409 else "")


def advance(story: Demo) -> None:
    number, container, trip = lodge(story, "Advance declaration (提前申报)", early=True)
    accepted(story, number)
    pay(story, number)
    waits(story, number, "not-arrived")
    arrive(story, trip)
    end(story, number, container)


def two_step(story: Demo) -> None:
    # Goods that are inspected say more in a summary (GACC 2019 No. 127): what they are called, their attribute, their use and
    # their qualification.
    qualified = {"licence_type": "401", "licence_number": "SW-2026-401-0001"}
    items = [
        item
        | {"inspection_name": item["goods_name"], "goods_attributes": "19", "purpose": "99"}
        | {"goods_limits": [qualified | {"item_number": item["item_number"]}]}
        for item in example("import")["goods_items"]
    ]
    number, container, _ = lodge(story, "Two-step declaration (两步申报)", document_type="  5   ", goods_items=items)
    story.until("release for pick-up", lambda: "pickup" in stages(story, number), timeout=60)
    gate_out(story, container)
    story.say("released for pick-up and gone; the full declaration follows under the same number")
    message = story.get(f"/api/v1/declarations/{number}", as_="demo-broker")["message"]
    story.post(f"/api/v1/clearance/{number}/full-declaration", message | {"document_type": "  6   "}, as_="demo-broker")
    accepted(story, number)
    pay(story, number)
    end(story, number)


def two_stage(story: Demo) -> None:
    number, container, _ = lodge(story, "Two-stage entry (两段准入)")
    choose(story, number, "two_stage")
    accepted(story, number)
    pay(story, number)
    desk = Desk(story, "examiner")
    desk.press(number, "steps/allowed_in/")
    story.until("release for pick-up", lambda: "pickup" in stages(story, number), timeout=60)
    story.say("stage one: an officer lets the goods in, and they go to another site")
    gate_out(story, container)
    confirm(story, number, "transferred", place="CQGYP")
    waits(story, number, "allowed-for-use")
    desk.press(number, "steps/allowed_for_use/")
    story.say("stage two: an officer allows them for sale or use")
    end(story, number)


def departure_confirmation(story: Demo) -> None:
    number, container, _ = lodge(story, "Departure confirmation (离港确认)")
    choose(story, number, "departure_confirmation", "SHYSP")
    accepted(story, number)
    pay(story, number)
    confirm(story, number, "departure_confirmed", place="SHYSP")
    end(story, number, container)


def ship_side_pickup(story: Demo) -> None:
    number, container, _ = lodge(story, "Ship-side pick-up (船边直提)")
    choose(story, number, "ship_side_pickup", "QZHDL")
    accepted(story, number)
    pay(story, number)
    end(story, number, container)


def direct_loading(story: Demo) -> None:
    number, _, _ = lodge(story, "Direct loading on arrival (抵港直装)", kind="export")
    choose(story, number, "direct_loading", "QZHDL")
    story.until("release", lambda: "final" in stages(story, number), timeout=90)
    message = story.get(f"/api/v1/declarations/{number}", as_="demo-broker")["message"]
    report(story, message["transport_document_number"], message["voyage_number"], "MT4101")
    end(story, number)


def transit(story: Demo) -> None:
    number, container, _ = lodge(story, "Transit (转关)", transit_relation="1")
    accepted(story, number)
    pay(story, number)
    confirm(story, number, "transit_departed")
    confirm(story, number, "transit_arrived")
    end(story, number, container)


def clearance_times(story: Demo) -> None:
    story.title("Clearance times, from the log")

    def all_modes() -> Any:
        found = story.get("/api/v1/clearance-times?operation=release&by=mode", as_="demo-firm")["results"]
        return found if len(found) == len(MODES) else None

    rows = story.until("roll-up", all_modes, timeout=60)
    for row in rows:
        story.say(
            f"  {row['mode']}: {row['count']} declarations, median {row['median_hours']} h, P90 {row['p90_hours']} h"
        )


MODES = (ordinary, advance, two_step, two_stage, departure_confirmation, ship_side_pickup, direct_loading, transit)
