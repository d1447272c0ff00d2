"""Errors as RFC 9457 problem details: a stable ``code``, texts in the caller's language, all faults at once."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, NamedTuple

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response

from common.json import dumps
from common.text import T

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"


class Fault(NamedTuple):
    """One thing wrong with the input: where (JSON pointer or XPath), a stable code, and a text."""

    pointer: str
    code: str
    text: Any
    severity: str = "error"

    def as_json(self) -> dict[str, str]:
        return {"pointer": self.pointer, "code": self.code, "detail": str(self.text), "severity": self.severity}


class Problem(Exception):
    """Raise anywhere in a command or view; the API answers it as ``application/problem+json``."""

    def __init__(
        self,
        status: int,
        code: str,
        title: Any,
        *,
        detail: Any = "",
        errors: Iterable[Fault] = (),
        headers: dict[str, str] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(code)
        self.status, self.code, self.title, self.detail = status, code, title, detail
        self.errors = list(errors)
        self.headers = headers or {}
        self.extra = extra or {}

    def __str__(self) -> str:
        faults = "; ".join(f"{fault.pointer}: {fault.text}" for fault in self.errors)
        return " ".join(part for part in (str(self.title), str(self.detail), faults) if part)

    def body(self, request_id: str = "") -> dict[str, Any]:
        body: dict[str, Any] = {
            "type": f"/api/problems/{self.code}",
            "title": str(self.title),
            "status": self.status,
            "code": self.code,
        }
        if self.detail:
            body["detail"] = str(self.detail)
        if self.errors:
            body["errors"] = [fault.as_json() for fault in self.errors]
        if request_id:
            body["request_id"] = request_id
        return body | self.extra


def invalid(errors: Iterable[Fault]) -> Problem:
    """422: the request was understood and these faults stand in the way."""
    return Problem(
        422,
        "validation-failed",
        T("内容有误，请按所列各项更正", "The content has faults; see each of them"),
        errors=errors,
    )


def not_found() -> Problem:
    return Problem(404, "not-found", T("没有此记录，或您无权查看", "No such record, or it is not yours to see"))


def conflict(code: str, detail: Any) -> Problem:
    """409: right in itself, but not in the state the record is in."""
    return Problem(409, code, T("与当前状态冲突", "Conflicts with the current state"), detail=detail)


#: What DRF's and Django's own exceptions are called here.
STANDARD = {
    400: ("malformed-request", T("请求格式不正确", "The request is malformed")),
    401: ("not-authenticated", T("缺少有效的访问令牌", "A valid access token is missing")),
    403: ("not-permitted", T("无权执行此操作", "You may not do this")),
    404: ("not-found", T("没有此记录，或您无权查看", "No such record, or it is not yours to see")),
    405: ("method-not-allowed", T("不支持此请求方法", "This method is not allowed here")),
    406: ("not-acceptable", T("无法按所要求的格式应答", "Cannot answer in the format asked for")),
    413: ("too-large", T("请求内容过大", "The request is too large")),
    415: ("unsupported-media-type", T("不支持此内容类型", "This media type is not supported")),
    429: ("too-many-requests", T("请求过于频繁", "Too many requests")),
    500: ("internal-error", T("系统内部错误，已记录", "Internal error; it has been recorded")),
}


def _faults(detail: Any, pointer: str = "") -> list[Fault]:
    """DRF's nested ``detail`` as flat faults with JSON pointers."""
    if isinstance(detail, dict):
        return [
            fault
            for key, value in detail.items()
            for fault in _faults(value, pointer if key == "non_field_errors" else f"{pointer}/{key}")
        ]
    if isinstance(detail, (list, tuple)):
        if all(isinstance(value, (dict, list)) for value in detail):
            return [fault for index, value in enumerate(detail) for fault in _faults(value, f"{pointer}/{index}")]
        return [fault for value in detail for fault in _faults(value, pointer)]
    return [Fault(pointer, getattr(detail, "code", "invalid"), str(detail))]


def as_problem(exc: Exception) -> Problem | None:
    """The problem that ``exc`` stands for, or None where it is a fault of ours."""
    if isinstance(exc, Problem):
        return exc
    if isinstance(exc, Http404):
        return not_found()
    if isinstance(exc, RequestDataTooBig):
        return standard(413)
    if isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied()
    if isinstance(exc, exceptions.ValidationError):
        return invalid(_faults(exc.detail))
    if isinstance(exc, exceptions.APIException):
        status = exc.status_code
        code, title = STANDARD.get(status, ("error", T("请求未能完成", "The request failed")))
        headers = {}
        if (wait := getattr(exc, "wait", None)) is not None:
            headers["Retry-After"] = str(int(wait) + 1)
        if getattr(exc, "auth_header", None):
            headers["WWW-Authenticate"] = exc.auth_header  # type: ignore[attr-defined]
        return Problem(status, code, title, detail=str(exc.detail), headers=headers)
    return None


def handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's EXCEPTION_HANDLER. Anything that is not a known problem is left to Django (:func:`server_error`)."""
    problem = as_problem(exc)
    if problem is None:
        return None
    request = context.get("request")
    request_id = getattr(getattr(request, "_request", request), "request_id", "")
    return Response(problem.body(request_id), status=problem.status, headers=problem.headers, content_type=CONTENT_TYPE)


def http(problem: Problem, request: HttpRequest) -> HttpResponse:
    """The same answer outside DRF (plain views, middleware, handler404/handler500)."""
    return HttpResponse(
        dumps(problem.body(getattr(request, "request_id", ""))),
        status=problem.status,
        content_type=CONTENT_TYPE,
        headers=problem.headers,
    )


def standard(status: int) -> Problem:
    code, title = STANDARD[status]
    return Problem(status, code, title)


def server_error(request: HttpRequest) -> HttpResponse:
    return http(standard(500), request)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return http(standard(404), request)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return http(standard(400), request)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return http(standard(403), request)
