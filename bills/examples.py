"""An example bill, for the description of the API, the demonstration and the tests: one container of natural rubber from Singapore by ship to Qinzhou and by train to Chongqing."""

from __future__ import annotations

import copy
from typing import Any

SINGAPORE = {"unlocode": "SGSIN", "name": "Singapore"}
QINZHOU = {"unlocode": "CNQZH", "name": "钦州 Qinzhou"}
CHONGQING = {"unlocode": "CNCKG", "name": "重庆 Chongqing"}

CONTENT: dict[str, Any] = {
    "kind": "multimodal",
    "negotiability": "order",
    "parties": {
        "consignor": {
            "name": "Example Rubber Pte Ltd",
            "identifiers": [{"provider": "ZZZ", "list": "UEN", "code": "201912345K"}],
            "address": {"street": "1 Example Road", "city": "Singapore", "country": "SG"},
            "contact": {"name": "Export desk", "email": "export@example.sg"},
        },
        "notify": [{"name": "重庆示例轮胎有限公司", "contact": {"telephone": "+86 23 0000 0000"}}],
        "operator": {
            "name": "陆海新通道多式联运示例公司",
            "address": {"street": "示例路 1 号", "city": "重庆", "country": "CN", "postcode": "400000"},
            "contact": {"name": "单证部", "telephone": "+86 23 1111 1111"},
        },
    },
    "places": {
        "receipt": SINGAPORE,
        "loading": SINGAPORE,
        "discharge": QINZHOU,
        "delivery": CHONGQING,
        "issue": SINGAPORE,
    },
    "legs": [
        {
            "mode": "sea",
            "from": SINGAPORE,
            "to": QINZHOU,
            "means": "MV EXAMPLE STAR",
            "voyage": "012N",
            "planned_departure": "2026-12-01T08:00:00+08:00",
            "planned_arrival": "2026-12-06T08:00:00+08:00",
        },
        {
            "mode": "rail",
            "from": QINZHOU,
            "to": CHONGQING,
            "means": "X9601",
            "voyage": "X9601-1207",
            "planned_departure": "2026-12-07T20:00:00+08:00",
            "planned_arrival": "2026-12-10T06:00:00+08:00",
        },
    ],
    "received_on": "2026-11-01",
    "goods": [
        {
            "description": ["Natural rubber SMR 20", "天然橡胶 SMR 20"],
            "hs_code": "400122",
            "marks": ["EX-RUBBER 1/16"],
            "packages": "16",
            "package_code": "PX",
            "package_text": "Pallets",
            "gross_weight_kg": "20160.5",
            "net_weight_kg": "20000",
            "volume_m3": "28.4",
            "stowage": [{"container": "CSQU3054383", "packages": "16", "gross_weight_kg": "20160.5"}],
        }
    ],
    "containers": [
        {
            "number": "CSQU3054383",
            "size_type": "22G1",
            "shipper_owned": False,
            "seals": [{"number": "SG123456", "source": "carrier"}],
        }
    ],
    "service": {"receipt": "CY", "delivery": "CY", "load": "FCL"},
    "originals": "1",
    "freight": "prepaid",
    "charges": [
        {"name": "Through freight (example)", "amount": "1150.00", "currency": "USD", "payment": "prepaid"},
    ],
    "insurance": {"by_operator": True, "insurer": "示例保险公司", "policy": "EX-0001",
                  "amount": {"amount": "42000.00", "currency": "USD"}},
    "terms": "Example terms. 示例条款。",
}  # fmt: skip


def content(**changes: Any) -> dict[str, Any]:
    """A fresh copy, with top-level members replaced."""
    return copy.deepcopy(CONTENT) | changes
