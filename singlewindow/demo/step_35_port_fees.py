"""What the journey Singapore → Qinzhou → Chongqing costs at its two ports, by the published (example) lists."""

from __future__ import annotations

from singlewindow.demo.story import Demo


def run(story: Demo) -> None:
    story.title("Port fees of the journey Singapore → Qinzhou → Chongqing (example lists, no real charges)")
    answer = story.post(
        "/api/v1/port-fees/quotations",
        {
            "ports": ["CNQZH", "CNCKG"],
            "direction": "import",
            "containers": [{"size": "40", "count": 2, "days": 9}],
            "services": ["RAIL-LOAD", "DECLARE"],
        },
        as_="demo-firm",
    )
    story.say(answer["note"])
    for quotation in answer["quotations"]:
        story.say(f"{quotation['port']}:")
        for kind in ("mandatory", "optional"):
            for charge in quotation[kind]:
                story.say(
                    f"  {kind:9} {charge['name_en']:28} {charge['arithmetic']} {charge['currency']}"
                    f"  ({charge['body']}, list {charge['list_number']} v{charge['list_version']})"
                )
        story.say(
            f"  sum CNY {quotation['total_cny']} = USD {quotation['total_usd']}; per container USD"
            f" {quotation['per_container_usd']}, the plan's line is {quotation['target_usd_per_container']}"
        )
        assert "problem" not in quotation or quotation["problem"]["code"] == "quotation-incomplete", quotation[
            "problem"
        ]
        assert quotation["mandatory"], "a port of the example lists has no mandatory charges"
    number = next(
        charge["list_number"] for charge in answer["quotations"][0]["mandatory"] if charge["code"] == "STORAGE"
    )
    free = story.post(
        "/api/v1/port-fees/free-time",
        {
            "list_number": number, "code": "STORAGE", "size": "40", "direction": "import", "start": "2026-11-02",
            "end": "2026-11-12", "count": 2,
        },
        as_="demo-firm",
    )  # fmt: skip
    story.say(
        f"storage from 2 to 12 November: last free day {free['last_free_day']}, {free['charged_days']} days charged,"
        f" {free['arithmetic']} {free['currency']}"
    )
