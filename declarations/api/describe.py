"""How the API of declarations is described: shapes of bodies and answers, and examples of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter
from rest_framework import serializers

from declarations.decisions import NOTE
from declarations.lifecycle import LIFECYCLE, OFFICER, State, step
from declarations.lodgement import BATCH
from declarations.models import Upload
from declarations.schema import component_schemas, message_schema
from declarations.wire import decmessage
from events.api import EventSerializer

XML = OpenApiTypes.STR

_MESSAGE: Any = {"$ref": "#/components/schemas/DeclarationMessage"}
MESSAGE: Any = {"application/json": _MESSAGE, "application/xml": OpenApiTypes.STR}
ANY_OBJECT: Any = {"type": "object"}
#: A message within another body: described where it stands alone.
_INNER: Any = {"type": "object", "description": "同申报的报文（DeclarationMessage）/ a DeclarationMessage"}
DRAFT: Any = {"application/json": _INNER, "application/xml": OpenApiTypes.STR}
BATCH_REQUEST: Any = {
    "application/json": {"type": "array", "items": _INNER, "maxItems": BATCH},
    "application/x-ndjson": {"type": "string", "description": "一行一份报关单 / one declaration a line"},
}
AMENDMENT: Any = {
    "application/json": {
        "type": "object",
        "required": ["message", "reason"],
        "properties": {
            "message": _INNER,
            "reason": {"type": "string", "minLength": 1, "maxLength": 255},
        },
    },
    "application/xml": OpenApiTypes.STR,
}


def add_components(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """The blocks of the message, as components of the schema (a hook of drf-spectacular)."""
    components = result.setdefault("components", {}).setdefault("schemas", {})
    components.update(component_schemas())
    components["DeclarationMessage"] = message_schema()
    result["components"]["schemas"] = dict(sorted(components.items()))
    return result


def add_import_response(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A lodgement in XML is answered in XML when it is refused, too (a hook that runs after the problems are there)."""
    shared = result["components"]["responses"]
    responses = result["paths"]["/api/v1/declarations"]["post"]["responses"]
    for status, response in responses.items():
        if name := response.get("$ref", "").rpartition("/")[2]:
            content = shared[name]["content"] | {"application/xml": {"schema": {"type": "string"}}}
            responses[status] = shared[name] | {"content": content}
    return result


@cache
def example_xml() -> str:
    return (Path(__file__).parent.parent / "data" / "examples" / "import.xml").read_text(encoding="utf-8")


def example() -> dict[str, Any]:
    message, _ = decmessage.parse(example_xml().encode())
    return message


STATES = [(str(value), str(value)) for value in State.values]
UPLOAD_STATES = [(str(value), str(value)) for value in Upload.State.values]


class DeclarationSummarySerializer(serializers.Serializer):
    unified_number = serializers.CharField()
    customs_number = serializers.CharField(allow_null=True, help_text="接受申报（J）后才有 / from acceptance on")
    client_reference = serializers.CharField(allow_null=True)
    state = serializers.ChoiceField(choices=STATES)
    state_since = serializers.DateTimeField()
    version = serializers.IntegerField()
    revision = serializers.IntegerField()
    direction = serializers.CharField()
    customs_office = serializers.CharField()
    customs_procedure = serializers.CharField()
    transport_mode = serializers.CharField()
    transport_document_number = serializers.CharField()
    domestic_party_name = serializers.CharField()
    declarant_name = serializers.CharField()
    gross_weight = serializers.DecimalField(19, 5, allow_null=True)
    package_count = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    lodged_at = serializers.DateTimeField(allow_null=True, help_text="首次申报 / first declared")
    amended_at = serializers.DateTimeField(allow_null=True, help_text="最近一次修改 / last amended")
    accepted_at = serializers.DateTimeField(allow_null=True)
    released_at = serializers.DateTimeField(allow_null=True)
    cleared_at = serializers.DateTimeField(allow_null=True)


class DeclarationPageSerializer(serializers.Serializer):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = DeclarationSummarySerializer(many=True)


PAGE = [
    OpenApiParameter("cursor", str, description="next / previous 中的位置 / position, from next or previous"),
    OpenApiParameter("page_size", int, description="每页条数，最多 200 / rows a page, at most 200"),
]

FILTERS = [
    OpenApiParameter(
        "state",
        str,
        many=True,
        enum=[value for value, _ in STATES],
        description="状态，可多个 / state, several allowed",
    ),
    OpenApiParameter("customs_office", str, description="申报地海关 / customs office"),
    OpenApiParameter("direction", str, enum=["I", "E"]),
    OpenApiParameter("customs_procedure", str, description="监管方式 / customs procedure"),
    OpenApiParameter("transport_document_number", str, description="提运单号 / bill of lading"),
    OpenApiParameter("customs_number", str, description="海关编号 / customs number"),
    OpenApiParameter("container_number", str, description="集装箱号 / container"),
    OpenApiParameter("contract_number", str, description="合同协议号 / contract number"),
    OpenApiParameter("transport_mode", str, description="运输方式 / mode of transport"),
    OpenApiParameter(
        "domestic_party_credit_code", str, description="境内收发货人信用代码 / credit code of the domestic party"
    ),
    OpenApiParameter("lodged_from", OpenApiTypes.DATE, description="申报日起（含）/ lodged on this day or later"),
    OpenApiParameter("lodged_to", OpenApiTypes.DATE, description="申报日止（含）/ lodged on this day or earlier"),
    OpenApiParameter(
        "updated_since",
        OpenApiTypes.DATETIME,
        description="该时间以来有变化的，先旧后新 / changed since, oldest change first",
    ),
    *PAGE,
]


class LodgedSerializer(serializers.Serializer):
    unified_number = serializers.CharField()
    client_reference = serializers.CharField(allow_null=True)
    state = serializers.ChoiceField(choices=STATES)
    version = serializers.IntegerField()
    revision = serializers.IntegerField(help_text="ETag")


LODGED: Any = {
    (status, media_type): shape
    for status in (201, 200)
    for media_type, shape in (("application/json", LodgedSerializer), ("application/xml", XML))
}


class DeclarationChangedSerializer(LodgedSerializer):
    customs_number = serializers.CharField(allow_null=True)


class BatchEntrySerializer(serializers.Serializer):
    index = serializers.IntegerField()
    status = serializers.IntegerField(help_text="单份申报会得到的状态码 / the status it would have got alone")
    unified_number = serializers.CharField(required=False)
    client_reference = serializers.CharField(required=False, allow_null=True)
    state = serializers.ChoiceField(choices=STATES, required=False)
    version = serializers.IntegerField(required=False)
    revision = serializers.IntegerField(required=False)
    problem = serializers.DictField(required=False)


class BatchSerializer(serializers.Serializer):
    lodged = serializers.IntegerField()
    refused = serializers.IntegerField()
    results = BatchEntrySerializer(many=True)


class DeclarationDetailSerializer(serializers.Serializer):
    unified_number = serializers.CharField()
    customs_number = serializers.CharField(allow_null=True)
    client_reference = serializers.CharField(allow_null=True)
    state = serializers.ChoiceField(choices=STATES)
    state_since = serializers.DateTimeField()
    version = serializers.IntegerField()
    revision = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    lodged_at = serializers.DateTimeField(allow_null=True, help_text="首次申报 / first declared")
    amended_at = serializers.DateTimeField(allow_null=True, help_text="最近一次修改 / last amended")
    accepted_at = serializers.DateTimeField(allow_null=True)
    released_at = serializers.DateTimeField(allow_null=True)
    cleared_at = serializers.DateTimeField(allow_null=True)
    risk_score = serializers.IntegerField(required=False, allow_null=True, help_text="仅关员可见 / officers only")
    message = serializers.DictField(help_text="所申报的报文 / the message as declared")


class VersionChangeSerializer(serializers.Serializer):
    pointer = serializers.CharField()
    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)


class DeclarationVersionSerializer(serializers.Serializer):
    version = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    actor = serializers.CharField()
    reason = serializers.CharField(allow_blank=True)
    changes = VersionChangeSerializer(many=True)


class DeclarationVersionMessageSerializer(serializers.Serializer):
    version = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    message = serializers.DictField()


class DeclarationEventsSerializer(serializers.Serializer):
    events = EventSerializer(many=True)
    next = serializers.IntegerField(help_text="下次请求的 after / `after` of the next request")


class CheckResultSerializer(serializers.Serializer):
    check = serializers.CharField()
    title = serializers.CharField()
    code = serializers.CharField()
    severity = serializers.ChoiceField(choices=["info", "warning", "review", "error", "fatal"])
    pointer = serializers.CharField(allow_blank=True)
    detail = serializers.CharField()
    since = serializers.DateTimeField(help_text="首次发现 / first found")
    found_at = serializers.DateTimeField()


class ChecksSerializer(serializers.Serializer):
    version = serializers.IntegerField()
    state = serializers.ChoiceField(choices=STATES)
    results = CheckResultSerializer(many=True)


class DeclarationReceiptSerializer(serializers.Serializer):
    index = serializers.IntegerField()
    channel = serializers.CharField()
    channel_name = serializers.CharField()
    noticed_at = serializers.DateTimeField()
    unified_number = serializers.CharField()
    customs_number = serializers.CharField(allow_null=True)
    customs_office = serializers.CharField(allow_blank=True)
    note = serializers.CharField(allow_blank=True)


class DeclarationReceiptsSerializer(serializers.Serializer):
    receipts = DeclarationReceiptSerializer(many=True)


class WithdrawalSerializer(serializers.Serializer):
    reason = serializers.CharField(max_length=255)


COMMANDS = sorted(command for command in LIFECYCLE.transitions if OFFICER in step(command).by)


class DecisionSerializer(serializers.Serializer):
    command = serializers.ChoiceField(choices=COMMANDS)
    reason_code = serializers.CharField(required=False, max_length=60, allow_blank=True)
    note = serializers.CharField(required=False, max_length=NOTE, allow_blank=True)


class UploadedFileSerializer(serializers.Serializer):
    name = serializers.CharField()
    status = serializers.IntegerField()
    unified_number = serializers.CharField(allow_null=True)
    errors = serializers.ListField(child=serializers.DictField())  # type: ignore[assignment]


class UploadSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    file_name = serializers.CharField()
    state = serializers.ChoiceField(choices=UPLOAD_STATES)
    total = serializers.IntegerField()
    processed = serializers.IntegerField()
    lodged = serializers.IntegerField()
    refused = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    files = serializers.CharField(help_text="各文件的处理结果 / where each file's result is")


class UploadPageSerializer(serializers.Serializer):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = UploadSerializer(many=True)


class UploadedFilePageSerializer(serializers.Serializer):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = UploadedFileSerializer(many=True)


def _request(name: str, value: Any, media_type: str = "application/json") -> OpenApiExample:
    return OpenApiExample(name, value, request_only=True, media_type=media_type)


LODGE_EXAMPLES = [_request("import", example()), _request("DecMessage", example_xml(), "application/xml")]
DRAFT_EXAMPLES = [_request("draft", example() | {"oper": "save"})]
PATCH_EXAMPLES = [_request("weights", {"gross_weight": "20500.00000", "net_weight": "20000.00000"})]
BATCH_EXAMPLES = [_request("two declarations", [example(), example() | {"client_reference": "CQ2026112300000009"}])]
AMENDMENT_EXAMPLES = [_request("amendment", {"message": example(), "reason": "毛重更正"})]
WITHDRAWAL_EXAMPLES = [_request("withdrawal", {"reason": "重复申报"})]
DECISION_EXAMPLES = [_request("return", {"command": "return", "reason_code": "documents", "note": "缺少发票"})]
