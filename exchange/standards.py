"""The standards desk: JSON Schemas of every event type and document that travels, with their versions and a change log.

``exchange/data/standards.json`` names families of event types (what comes before the first dot) and, for the types that
have fields of their own, those fields. A field that is not described may still travel where an agreement names it. Whoever
changes a schema writes an entry of the change log that names it, then runs ``manage.py publish_schemas``."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import orjson

from common.text import pick

DATA = Path(__file__).parent / "data" / "standards.json"

#: Versions of messages that are understood.
VERSIONS = frozenset({"1"})

_JSON_SCHEMA = "https://json-schema.org/draft/2020-12/schema"


@cache
def table() -> dict[str, Any]:
    loaded: dict[str, Any] = orjson.loads(DATA.read_bytes())
    return loaded


def is_known(event_type: str) -> bool:
    """Whether the desk has a schema of ``event_type``."""
    family, _, name = event_type.partition(".")
    return name in table()["families"].get(family, {}).get("types", {})


def change_log() -> list[dict[str, str]]:
    changes: list[dict[str, str]] = table()["changes"]
    return changes


def event_types() -> list[str]:
    return sorted(
        f"{family}.{name}" for family, described in table()["families"].items() for name in described["types"]
    )


def called(event_type: str) -> str:
    """What people call a type, in their language; the type itself where it is not described."""
    family, _, name = event_type.partition(".")
    described = table()["families"].get(family, {}).get("types", {}).get(name)
    return pick(*described["text"].split(" / ", 1)) if described else event_type


def kind_called(kind: str) -> str:
    """What people call a kind of subject; the kind itself where no family of types has its name."""
    described = table()["families"].get(kind)
    return pick(*described["text"].split(" / ", 1)) if described else kind


def event_schema(event_type: str) -> dict[str, Any] | None:
    """The schema of a whole message of this type; None where the type is not described."""
    family, _, name = event_type.partition(".")
    described = table()["families"].get(family)
    if described is None or name not in described["types"]:
        return None
    return {
        "$schema": _JSON_SCHEMA,
        "title": event_type,
        "description": described["types"][name]["text"],
        "type": "object",
        "required": ["specversion", "id", "source", "type", "subjectkind", "subjectnumber", "seq", "time", "data"],
        "properties": _ENVELOPE
        | {
            "type": {"const": event_type},
            "data": {
                "type": "object",
                "properties": described["fields"] | described["types"][name].get("fields", {}),
                "additionalProperties": True,
            },
        },
    }


def webhooks() -> dict[str, Any]:
    """The webhooks section of the API's description: what a subscriber's endpoint is sent, per type of event."""
    found = {}
    for event_type in event_types():
        family, _, name = event_type.partition(".")
        described = table()["families"][family]
        data = {"type": "object", "properties": described["fields"] | described["types"][name].get("fields", {})}
        found[event_type] = {
            "post": {
                "operationId": f"webhook_{event_type.replace('.', '_')}",
                "summary": described["types"][name]["text"],
                "description": described["text"],
                "tags": ["webhooks"],
                "parameters": [{"$ref": f"#/components/parameters/{header}"} for header in HEADERS],
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/cloudevents+json": {
                            "schema": {
                                "allOf": [
                                    {"$ref": "#/components/schemas/EventEnvelope"},
                                    {
                                        "type": "object",
                                        "required": ["data"],
                                        "properties": {"type": {"const": event_type}, "data": data},
                                    },
                                ]
                            }
                        }
                    },
                },
                "responses": {
                    "2XX": {"description": "已收妥 / stored; it is not sent again"},
                    "410": {"description": "停用此端点 / disables the endpoint"},
                    "default": {"description": "稍后重试 / tried again, Retry-After of 429 and 503 honoured"},
                },
            }
        }
    return found


#: Names of components -> header, what it says
HEADERS: dict[str, tuple[str, str]] = {
    "WebhookId": ("webhook-id", "the event's id; the same however often it is sent"),
    "WebhookTimestamp": ("webhook-timestamp", "Unix seconds of this try"),
    "WebhookSignature": ("webhook-signature", "v1,… (HMAC-SHA256) and/or v1a,… (Ed25519) over id.timestamp.body"),
}


def webhook_components() -> dict[str, dict[str, Any]]:
    """What :func:`webhooks` refers to."""
    return {
        "schemas": {
            "EventEnvelope": {
                "type": "object",
                "description": "CloudEvents 1.0",
                "required": ["specversion", "id", "source", "type", "subjectkind", "subjectnumber", "seq", "time", "data"],
                "properties": _ENVELOPE | {"type": {"type": "string"}},
            }
        },
        "parameters": {
            component: {
                "name": name, "in": "header", "required": True, "schema": {"type": "string"}, "description": text,
            }
            for component, (name, text) in HEADERS.items()
        },
    }  # fmt: skip


_ENVELOPE: dict[str, Any] = {
    "specversion": {"const": "1.0"},
    "id": {"type": "string", "format": "uuid", "description": "also the webhook-id: once is enough"},
    "source": {"type": "string", "description": "urn:singlewindow:<GB/T 2260 code of the province>"},
    "subject": {"type": "string"},
    "time": {"type": "string", "format": "date-time"},
    "datacontenttype": {"const": "application/json"},
    "dataschema": {"type": "string", "format": "uri", "description": "ends with the version"},
    "position": {"type": "string", "pattern": "^[0-9]+$", "description": "place in the sender's log"},
    "subjectkind": {"type": "string", "maxLength": 40},
    "subjectnumber": {"type": "string", "maxLength": 80},
    "seq": {"type": "integer", "minimum": 1, "description": "counts within the subject"},
    "prev": {
        "type": "integer",
        "minimum": 0,
        "description": "seq of the event of this subject that was shared before; 0 for the first. Not the one you have"
        " last: something is missing, pull it",
    },
    "omitted": {
        "type": "array",
        "items": {"type": "string"},
        "description": "members of data that were left out because the message would be larger than any inbox takes",
    },
}


def _bank_report(title: str, document: str, moment: str) -> dict[str, Any]:
    """What a bank reports, signed: its own reference, what was paid, how much, and when."""
    return {
        "$schema": _JSON_SCHEMA,
        "title": title,
        "type": "object",
        "required": ["reference", document, "amount", moment],
        "properties": {
            "reference": {"type": "string", "minLength": 1, "maxLength": 64, "description": "the bank's own"},
            document: {"type": "string", "minLength": 1, "maxLength": 50},
            "amount": {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$", "description": "CNY"},
            moment: {"type": "string", "format": "date-time"},
        },
    }


def documents() -> dict[str, dict[str, Any]]:
    """Schemas of the documents of the exchange itself, and of what banks report."""
    text, whole = {"type": "string"}, {"type": "integer", "minimum": 0}
    summary = {"count": whole, "hash": {"type": "string", "pattern": "^[0-9a-f]{64}$"}}
    return {
        "payment-report": _bank_report("report of a payment", "memo", "paid_at"),
        "refund-report": _bank_report("report of a refund", "refund", "refunded_at"),
        "message": {
            "$schema": _JSON_SCHEMA,
            "title": "message",
            "type": "object",
            "required": ["specversion", "id", "source", "type", "subjectkind", "subjectnumber", "seq", "prev", "data"],
            "properties": _ENVELOPE | {"type": text, "data": {"type": "object"}},
        },
        "feed": {
            "$schema": _JSON_SCHEMA,
            "title": "feed",
            "type": "object",
            "required": ["events", "next"],
            "properties": {"events": {"type": "array", "items": {"type": "object"}}, "next": whole},
        },
        "receipt": {
            "$schema": _JSON_SCHEMA,
            "title": "answer of an inbox",
            "type": "object",
            "required": ["status"],
            "properties": {
                "status": {"enum": ["applied", "late", "gap", "duplicate", "quarantined"]},
                "seq": whole,
                "code": text,
            },
        },
        "digest": {
            "$schema": _JSON_SCHEMA,
            "title": "digest",
            "description": "A subject's line is number:count:last seq:last id and a line feed. A group's hash is the sha256"
            " of its lines in the order of the numbers' UTF-8 bytes. A subject belongs to the Shanghai day of its first"
            " event and to the bucket that the first byte of the sha256 of its number names.",
            "type": "object",
            "properties": {
                "groups": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"kind": text, "day": {"type": "string", "format": "date"}, "bucket": whole}
                        | summary,
                    },
                },
                "subjects": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"number": text, "count": whole, "seq": whole, "last_id": text},
                    },
                },
            },
        },
    }
