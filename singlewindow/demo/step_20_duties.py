"""What an import owes: a quotation before, the assessment after with each figure explained, the bank's word, the release."""

from __future__ import annotations

from typing import Any

from singlewindow.demo import bank
from singlewindow.demo.step_10_declarations import settled, show
from singlewindow.demo.story import Demo


def run(story: Demo) -> None:
    number = story.remembered.get("sample")
    if number is None:
        from singlewindow.demo.step_10_declarations import sample_message

        sample_message(story)
        number = story.remembered["sample"]
    story.title("What the sample import owes, and why")
    fixed = story.get(f"/api/v1/declarations/{number}/assessment", as_="demo-broker")
    quoted = story.post("/api/v1/tariff/assessments", QUESTION | {"completed_on": fixed["rate_day"]}, as_="demo-firm")
    story.say(f"a quotation asked for it: {figures(quoted)}")
    story.say(f"the assessment fixed for it: {figures(fixed)}")
    assert figures(quoted) == figures(fixed)
    assert figures(fixed) == "customs value 157369.07, duty 10228.99, vat 21787.75, payable 32016.74", figures(fixed)
    if fixed["example"]:
        story.say("the rates are those of the example tariff, not official ones")
    for step in story.get(f"/api/v1/declarations/{number}/assessment/explain", as_="demo-broker")["steps"]:
        story.say(f"  {step['line']}")
    story.title("The bank reports the payment, and customs releases")
    memo = bank.open_memo(story, number, "demo-broker")
    story.say(f"memo {memo['number']}: {memo['amount']} CNY, due on {memo['due_on']}")
    forged = story.request("POST", "/api/v1/tariff/payments", {"memo": memo["number"]}, as_="demo-bank",
                           headers={"webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"},
                           expect=401)  # fmt: skip
    story.say(f"a report with a wrong signature: {forged.status} {forged.json()['code']}")
    paid = bank.pay(story, memo, "DEMO-0002")
    again = bank.pay(story, memo, "DEMO-0002")
    story.say(f"signed by the bank: settled {paid['settled']}; reported again: the same payment {again['reference']}")
    show(story, settled(story, number))


QUESTION: dict[str, Any] = {
    "direction": "I",
    "regime": "0110",
    "levy_nature": "101",
    "trade_terms": "3",
    "freight": {"mark": "3", "value": "1200", "currency": "USD"},
    "insurance": {"mark": "1", "value": "0.3"},
    "items": [
        {"code": "3902100090", "total": "22000", "currency": "USD", "origin": "SGP", "quantities": {"035": "20000"}}
    ],
}


def figures(answer: dict[str, Any]) -> str:
    taxes = ", ".join(f"{row['tax']} {row['payable']}" for row in answer["totals"])
    return f"customs value {answer['customs_value']}, {taxes}, payable {answer['payable']}"
