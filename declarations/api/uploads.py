"""ZIP archives of DecMessage files, and how far they are."""

from __future__ import annotations

from typing import IO, Any
from uuid import UUID

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import parsers
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import View
from common.formats import read_body
from common.problems import Fault, invalid, not_found
from common.text import T
from declarations import uploads
from declarations.api import describe
from declarations.models import Upload
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
        **uploads.progress(upload),
        "created_at": upload.created_at,
        "finished_at": upload.finished_at,
        "files": [
            {
                "name": file.name,
                "status": file.status,
                "unified_number": file.declaration.unified_number if file.declaration else None,
                "errors": file.faults,
            }
            for file in upload.files.select_related("declaration")
        ],
    }


@extend_schema_view(
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
    )
)
class Uploads(View):
    """A ZIP of DecMessage files, worked off in the background: 202 and where to ask how far it is. The same file again
    lodges nothing twice, as long as the messages carry client references."""

    parser_classes = [ZipParser, parsers.MultiPartParser]
    scopes = {"POST": "declarations:write"}

    def post(self, request: Request) -> Response:
        given: Any = request.data
        name = "upload.zip"
        if not isinstance(given, bytes):
            file = given.get("file") if hasattr(given, "get") else None
            if file is None or not hasattr(file, "read"):
                raise invalid([Fault("/file", "required", T("缺少文件", "The file is missing"))])
            given, name = read_body(file, uploads.MAX_ARCHIVE), file.name or name
        upload = uploads.receive(archive=given, file_name=name, principal=caller(request))
        return Response(told(upload), status=202, headers={"Location": f"/api/v1/uploads/{upload.pk}"})


@extend_schema_view(
    get=extend_schema(summary="上传进度", operation_id="uploads_read", responses=describe.UploadSerializer)
)
class UploadDetail(View):
    """How far an upload is, and what became of each file."""

    scopes = {"GET": "declarations:read"}

    def get(self, request: Request, upload: UUID) -> Response:
        found = Upload.objects.visible_to(caller(request)).defer("archive").filter(pk=upload).first()
        if found is None:
            raise not_found()
        return Response(told(found))
