"""ZIP archives of DecMessage files, and how far they are."""

from __future__ import annotations

from typing import IO, Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import parsers
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import View
from common.formats import read_body
from common.problems import Fault, invalid, not_found
from common.text import T
from declarations import uploads
from declarations.api import describe
from declarations.api.describe import PAGE
from declarations.models import Upload, UploadedFile
from parties.principals import caller


class ZipParser(parsers.BaseParser):
    media_type = "application/zip"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        return read_body(stream, uploads.MAX_ARCHIVE)


def told(upload: Upload) -> dict[str, Any]:
    return {
        "id": upload.pk,
        "file_name": upload.file_name,
        "state": upload.state,
        "total": upload.total,
        "processed": upload.processed,
        "lodged": upload.lodged,
        "refused": upload.processed - upload.lodged,
        "created_at": upload.created_at,
        "finished_at": upload.finished_at,
        "files": f"/api/v1/uploads/{upload.pk}/files",
    }


def told_file(file: UploadedFile) -> dict[str, Any]:
    return {
        "name": file.name,
        "status": file.status,
        "unified_number": file.declaration.unified_number if file.declaration else None,
        "errors": file.faults,
    }


def find(request: Request, pk: UUID) -> Upload:
    found = Upload.objects.visible_to(caller(request)).without_archive().filter(pk=pk).first()
    if found is None:
        raise not_found()
    return found


@extend_schema_view(
    get=extend_schema(
        summary="上传列表", operation_id="uploads_list", parameters=PAGE, responses=describe.UploadPageSerializer
    ),
    post=extend_schema(
        summary="上传报文压缩包",
        operation_id="uploads_send",
        request={
            "application/zip": {"type": "string", "format": "binary"},
            "multipart/form-data": {
                "type": "object",
                "required": ["file"],
                "properties": {"file": {"type": "string", "format": "binary"}},
            },
        },
        responses={202: describe.UploadSerializer},
    ),
)
class Uploads(View):
    """One's uploads, newest first; and the way to send one: a ZIP of DecMessage files (methods stored and deflated), worked
    off in the background: 202 and where to ask how far it is. The same file again lodges nothing twice, as long as the
    messages carry client references."""

    parser_classes = [ZipParser, parsers.MultiPartParser]
    scopes = {"GET": "declarations:read", "POST": "declarations:write"}
    idempotent = True

    def get(self, request: Request) -> Response:
        return self.paged(request, Upload.objects.visible_to(caller(request)).without_archive(), told)

    def post(self, request: Request) -> Response:
        given: Any = request.data
        name = "upload.zip"
        if not isinstance(given, bytes):
            file = given.get("file") if hasattr(given, "get") else None
            if file is None or not hasattr(file, "read"):
                raise invalid([Fault("/file", "required", T("缺少文件", "The file is missing"))])
            given, name = read_body(file, uploads.MAX_ARCHIVE), file.name or name
        upload = uploads.receive(archive=given, file_name=name, principal=caller(request))
        answer = told(find(request, upload.pk))
        return Response(answer, status=202, headers={"Location": f"/api/v1/uploads/{upload.pk}"})


@extend_schema_view(
    get=extend_schema(summary="上传进度", operation_id="uploads_read", responses=describe.UploadSerializer)
)
class UploadDetail(View):
    """How far an upload is. What became of each file stands in `files`."""

    scopes = {"GET": "declarations:read"}

    def get(self, request: Request, upload: UUID) -> Response:
        return Response(told(find(request, upload)))


@extend_schema_view(
    get=extend_schema(
        summary="上传中的文件",
        operation_id="uploads_files",
        parameters=[
            OpenApiParameter("refused", bool, description="只列未被受理的 / only those that were refused"),
            *PAGE,
        ],
        responses=describe.UploadedFilePageSerializer,
    )
)
class UploadFiles(View):
    """What became of each file that is worked off, in the order of the archive."""

    scopes = {"GET": "declarations:read"}

    def get(self, request: Request, upload: UUID) -> Response:
        files = UploadedFile.objects.filter(upload=find(request, upload)).select_related("declaration")
        refused = request.query_params.get("refused", "")
        if refused not in ("", "true", "false"):
            raise invalid([Fault("/refused", "not-a-boolean", T("应为 true 或 false", "Write true or false"))])
        if refused:
            files = files.filter(status__gte=300) if refused == "true" else files.filter(status__lt=300)
        return self.paged(request, files, told_file, ordering=("position",))
