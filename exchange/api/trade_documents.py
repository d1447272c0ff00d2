"""JSON Schemas of the documents of trade: those of the API's description, each as a schema that stands alone."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import orjson
from django.conf import settings
from django.utils import translation
from drf_spectacular.generators import SchemaGenerator

#: Name at the standards desk -> where the API's description has it.
PLACES = {
    "assessment": "components/schemas/Assessment",
    "bill": "paths/~1api~1v1~1bills/post/requestBody/content/application~1json/schema",
    "bill-leg-report": "components/schemas/LegReportRequest",
    "comparison": "components/schemas/ReportRequest",
    "conformance-report": "components/schemas/Run",
    "declaration": "components/schemas/DeclarationMessage",
    "fee-invoice": "components/schemas/InvoiceInputRequest",
    "fee-list": "components/schemas/FeeListDetail",
    "gate-move": "components/schemas/GateMoveRequest",
    "manifest": "paths/~1api~1v1~1manifests/post/requestBody/content/application~1json/schema",
    "port-fee-quotation": "components/schemas/PortFeeQuotations",
    "port-paper": "components/schemas/PortPaper",
    "transit": "components/schemas/OpenTransitRequest",
    "transit-confirmation": "components/schemas/ConfirmRequest",
    "voyage-report": "components/schemas/VoyageReportRequest",
}
_REFERENCE = re.compile(rb'"#/components/schemas/([^"]+)"')


@cache
def _description() -> dict[str, Any]:
    with translation.override(settings.LANGUAGE_CODE):  # whoever asks first
        described: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return described


@cache
def schema(name: str) -> dict[str, Any]:
    """The schema of the document ``name`` of :data:`PLACES`, with all it refers to under ``$defs``."""
    found: Any = _description()
    for step in PLACES[name].split("/"):
        found = found[step.replace("~1", "/")]
    defs: dict[str, Any] = {}
    waiting = [found]
    while waiting:
        for reference in _REFERENCE.findall(orjson.dumps(waiting.pop())):
            if (component := reference.decode()) not in defs:
                defs[component] = _description()["components"]["schemas"][component]
                waiting.append(defs[component])
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": name, **found, "$defs": defs}
    alone: dict[str, Any] = orjson.loads(_REFERENCE.sub(rb'"#/$defs/\1"', orjson.dumps(whole)))
    return alone
