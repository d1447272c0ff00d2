"""The documents of a declaration, and its time limits."""

from __future__ import annotations

from typing import Any

import orjson
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import parsers, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from clearance import cases, deadlines, documents, files
from clearance.models import AttachedFile, Deadline
from common.api import View
from common.formats import JSONParser
from common.problems import Fault, invalid, not_found
from common.text import T
from declarations.models import Declaration
from parties.principals import caller


class AttachedFileSerializer(serializers.ModelSerializer):
    class Meta:
        model = AttachedFile
        fields = ["id", "document_id", "document_type", "name", "content_type", "size", "sha256", "states", "added_at"]
        read_only_fields = fields


@extend_schema_view(
    get=extend_schema(summary="随附单证文件", responses=AttachedFileSerializer(many=True)),
    post=extend_schema(
        summary="上传随附单证文件",
        description="A document the declaration names, as PDF, JPEG, PNG or WebP of 4 MB at most; `states` is a JSON object "
        "of what stands in it (`bill_number`, `packages`, `gross_weight`, ...), which officers see beside what was declared.",
        request={"multipart/form-data": {"type": "object", "required": ["file", "document_id"], "properties": {
            "file": {"type": "string", "format": "binary"}, "document_id": {"type": "string"},
            "states": {"type": "string"}}}},
        responses={201: AttachedFileSerializer},
    ),
)  # fmt: skip
class Documents(View):
    scopes = {"GET": "clearance:read", "POST": "declarations:write"}
    parser_classes = [parsers.MultiPartParser, JSONParser]

    def get(self, request: Request, number: str) -> Response:
        rows = cases.visible(number, caller(request)).attached_files.order_by("added_at")
        return Response({"results": AttachedFileSerializer(rows, many=True).data})

    def post(self, request: Request, number: str) -> Response:
        file = request.FILES.get("file") if hasattr(request, "FILES") else None
        if file is None:
            raise invalid([Fault("/file", "required", T("必须上传文件", "A file is needed"))])
        try:
            states = orjson.loads(request.POST.get("states") or "{}")
        except orjson.JSONDecodeError as error:
            raise invalid([Fault("/states", "not-json", T("不是有效的 JSON", "Not valid JSON"))]) from error
        row = documents.attach(
            number=number,
            document_id=str(request.POST.get("document_id", ""))[:64],
            name=file.name or "",
            data=file.read(documents.MAX_FILE + 1),
            states=states,
            principal=caller(request),
        )
        return Response(AttachedFileSerializer(row).data, status=201)


@extend_schema_view(get=extend_schema(summary="下载随附单证文件", responses={(200, "application/octet-stream"): bytes}))
class DocumentFile(View):
    scopes = {"GET": "clearance:read"}

    def get(self, request: Request, pk: Any) -> Any:
        visible = Declaration.objects.visible_to(caller(request))
        row = AttachedFile.objects.filter(pk=pk, declaration__in=visible).first()
        if row is None:
            raise not_found()
        return files.served(documents.path_of(row), row.content_type, str(row.pk))


class DeadlineSerializer(serializers.ModelSerializer):
    text = serializers.CharField(source="get_kind_display")
    state = serializers.SerializerMethodField()
    basis = serializers.SerializerMethodField()

    class Meta:
        model = Deadline
        fields = ["kind", "text", "basis", "due_on", "due_at", "state", "warned_at", "met_at", "missed_at"]
        read_only_fields = fields

    def get_state(self, row: Deadline) -> str:
        return deadlines.state(row)

    def get_basis(self, row: Deadline) -> str:
        return deadlines.BASIS[row.kind]


@extend_schema_view(
    get=extend_schema(
        operation_id="declarations_deadlines",
        summary="报关单及其货物的法定期限",
        description="The legal time limits of a declaration and of its goods, each with its basis, its day (its moment, "
        "where it is told in hours) and where it stands: "
        "`running`, `near` (warned), `met`, `missed`.",
        responses=DeadlineSerializer(many=True),
    )
)
class Deadlines(View):
    scopes = {"GET": "declarations:read"}

    def get(self, request: Request, number: str) -> Response:
        rows = deadlines.of(cases.visible(number, caller(request)))
        return Response({"results": DeadlineSerializer(rows, many=True).data})
