"""A firm asks what an import will cost, and why."""

from __future__ import annotations

from urllib.parse import quote

from singlewindow.demo.story import Demo

IMPORT = {
    "completed_on": "2026-10-12",
    "trade_terms": "3",
    "freight": {"mark": "3", "value": "1200", "currency": "USD"},
    "insurance": {"mark": "1", "value": "0.3"},
    "items": [{"code": "8509801000", "total": "22000", "currency": "USD", "origin": "DEU"}],
    "explain": True,
}


def run(demo: Demo) -> None:
    demo.title("Duties and taxes: a quotation with its explanation (example tariff, no official rates)")
    for words in ("手机", "laptop"):
        path = f"/api/v1/tariff/commodities?limit=2&q={quote(words)}"
        found = demo.get(path, as_="demo-firm")["results"]
        demo.say(f"search {words}: " + "; ".join(f"{line['code']} {line['name']}" for line in found))
    answer = demo.post("/api/v1/tariff/assessments", IMPORT, as_="demo-firm")
    demo.say("goods FOB USD 22 000, freight USD 1 200, insurance 0.3 %, code 8509801000 from Germany")
    for step in answer["explanation"]:
        demo.say(f"  {step['line']}")
    for item in answer["items"]:
        for candidate in item["candidates"]:
            mark = "taken" if candidate["taken"] else "not taken"
            demo.say(f"  {candidate['kind_text']} {candidate['rate']}: {mark}, {candidate['reason_text']}"
                     f" ({candidate['article_text']})")  # fmt: skip
    demo.say(f"to pay: CNY {answer['payable']}")
    for notice in answer["notices"]:
        demo.say(f"note: {notice['text']}")
    assert answer["customs_value"] == "157369.07"
    assert answer["payable"] == "32016.74"
