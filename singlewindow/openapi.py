"""How the API describes itself: what every operation shares is added here once, so that no view repeats it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

from common.pagination import CursorPagination
from common.problems import CONTENT_TYPE, STANDARD
from exchange import standards
from singlewindow import problem_codes

SAFE = ("GET", "HEAD", "OPTIONS")

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x21-\x7e]+$"},
    OpenApiParameter.HEADER,
    description=(
        "同一键、同一内容得到首次的答复（Idempotency-Replayed: true）；同一键、不同内容为 422。"
        " / The same key and body get the first answer again; the same key with another body is 422."
    ),
)


class Schema(AutoSchema):
    """What a :class:`common.api.View` says in its class attributes, said in the schema."""

    def get_auth(self) -> list[dict[str, Any]]:
        if getattr(self.view, "public", False):
            return []
        scope = getattr(self.view, "scopes", {}).get(self.method)
        return [
            {name: [scope] if name == "oauth2" and scope else [] for name in requirement}
            for requirement in super().get_auth()
        ]

    def get_override_parameters(self) -> list[Any]:
        shared = [IDEMPOTENCY_KEY] if getattr(self.view, "idempotent", False) and self.method not in SAFE else []
        return [*super().get_override_parameters(), *shared]

    def _get_paginator(self) -> Any:
        """A GET that answers many answers a cursor page."""
        return CursorPagination() if self.method == "GET" else None


PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem details",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "说明页 / page that explains the code"},
        "title": {"type": "string", "description": "随 Accept-Language / in the caller's language"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": {"type": "string", "description": "稳定的错误代码 / stable error code"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Fault"}},
        "request_id": {"type": "string", "description": "报障时请提供 / quote it when you ask for help"},
    },
    "additionalProperties": True,
}
FAULT = {
    "type": "object",
    "description": "一项错误 / one thing that is wrong; all are reported at once",
    "required": ["pointer", "code", "detail"],
    "properties": {
        "pointer": {"type": "string", "description": "JSON 指针或 XPath / JSON pointer or XPath"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "severity": {"type": "string", "enum": ["error", "warning", "info"]},
    },
}

#: Examples of the shared answers.
EXAMPLES: dict[int, dict[str, Any]] = {
    422: {
        "type": "/api/problems/validation-failed",
        "title": "The content has faults; see each of them",
        "status": 422,
        "code": "validation-failed",
        "errors": [
            {
                "pointer": "/goods_items/0/first_statutory_quantity",
                "code": "required",
                "detail": "The first statutory quantity is missing",
                "severity": "error",
            }
        ],
        "request_id": "5a3d0e0f8d5c4b0e9d0a4c1f0b7e2a11",
    },
    409: {
        "type": "/api/problems/state-conflict",
        "title": "Conflicts with the current state",
        "status": 409,
        "code": "state-conflict",
    },
}


def _response(status: int) -> dict[str, Any]:
    zh, en = {
        409: ("与当前状态冲突", "Conflicts with the current state"),
        412: ("记录已被他人修改（If-Match）", "Changed by somebody else meanwhile (If-Match)"),
        422: ("内容有误，全部错误一次列出", "The content has faults, all listed at once"),
    }.get(status) or problem_codes.both(STANDARD[status][1])
    code = STANDARD[status][0] if status in STANDARD else ""
    example = EXAMPLES.get(status) or {"type": f"/api/problems/{code}", "title": en, "status": status, "code": code}
    media = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        "description": f"{zh} / {en}",
        "content": {CONTENT_TYPE: media | ({"example": example} if code or status in EXAMPLES else {})},
    }


#: status -> name of the shared answer.
ANSWERS = {
    400: "MalformedRequest",
    401: "NotAuthenticated",
    403: "NotPermitted",
    404: "NotFound",
    406: "NotAcceptable",
    409: "Conflict",
    412: "PreconditionFailed",
    413: "TooLarge",
    415: "UnsupportedMediaType",
    422: "ValidationFailed",
}


def add_problems(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Every operation names the problems it may answer, and the description lists all codes."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {}).update({"Problem": PROBLEM, "Fault": FAULT})
    components["schemas"] = dict(sorted(components["schemas"].items()))
    components["responses"] = {name: _response(status) for status, name in ANSWERS.items()} | {
        "Problem": {
            "description": "任何其他错误 / any other problem",
            "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    }
    for operations in result.get("paths", {}).values():
        for method, operation in operations.items():
            if not isinstance(operation, dict) or "responses" not in operation:
                continue
            parameters = operation.get("parameters", [])
            places = {parameter.get("in") for parameter in parameters}
            names = {parameter.get("name") for parameter in parameters}
            statuses: list[int] = []
            if operation.get("security"):
                statuses += [401, 403]
            if "path" in places:
                statuses.append(404)
            if operation.get("requestBody"):
                statuses += [400, 413, 415]
            if operation.get("requestBody") or "query" in places:
                statuses.append(422)
            if "If-Match" in names:
                statuses.append(412)
            if operation.get("security") and method != "get":
                statuses.append(409)
            responses = operation["responses"]
            for status in statuses:
                responses.setdefault(str(status), {"$ref": f"#/components/responses/{ANSWERS[status]}"})
            responses.setdefault("default", {"$ref": "#/components/responses/Problem"})
            operation["responses"] = dict(sorted(responses.items()))
    result["info"]["description"] = description()
    return result


def add_tokens(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """The two OAuth end points, which are not views of ours."""
    form = "application/x-www-form-urlencoded"
    client = {
        "client_id": {"type": "string", "examples": ["demo-firm"]},
        "client_secret": {"type": "string", "format": "password"},
    }
    error = {
        "description": "RFC 6749 §5.2",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/OAuthError"}}},
    }
    result["components"]["schemas"]["OAuthError"] = {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
    }
    grant = {
        "type": "object",
        "required": ["grant_type", "client_id", "client_secret"],
        "properties": {
            "grant_type": {"type": "string", "const": "client_credentials"},
            **client,
            "scope": {"type": "string", "examples": ["declarations:read declarations:write"]},
        },
    }
    answer = {
        "type": "object",
        "required": ["access_token", "expires_in", "token_type", "scope"],
        "properties": {
            "access_token": {"type": "string"},
            "expires_in": {"type": "integer"},
            "token_type": {"type": "string", "const": "Bearer"},
            "scope": {"type": "string"},
        },
        "examples": [{"access_token": "…", "expires_in": 3600, "token_type": "Bearer", "scope": "declarations:write"}],
    }
    paths: dict[str, Any] = {
        "/api/v1/oauth/token": {
            "post": {
                "operationId": "oauth_token",
                "summary": "获取访问令牌 / Get an access token",
                "description": "OAuth 2.0 client credentials (RFC 6749 §4.4). HTTP Basic may carry the client instead.",
                "tags": ["oauth"],
                "requestBody": {"required": True, "content": {form: {"schema": grant}}},
                "responses": {
                    "200": {"description": "", "content": {"application/json": {"schema": answer}}},
                    "400": error,
                    "401": error,
                    "default": {"$ref": "#/components/responses/Problem"},
                },
            }
        },
        "/api/v1/oauth/revoke": {
            "post": {
                "operationId": "oauth_revoke",
                "summary": "作废访问令牌 / Revoke a token",
                "description": "RFC 7009",
                "tags": ["oauth"],
                "requestBody": {
                    "required": True,
                    "content": {
                        form: {
                            "schema": {
                                "type": "object",
                                "required": ["token", "client_id", "client_secret"],
                                "properties": {"token": {"type": "string"}, **client},
                            }
                        }
                    },
                },
                "responses": {
                    "200": {"description": "作废或本就无效 / revoked, or not valid anyway"},
                    "400": error,
                    "401": error,
                    "default": {"$ref": "#/components/responses/Problem"},
                },
            }
        },
    }
    result["paths"] = dict(sorted((result["paths"] | paths).items()))
    return result


def add_webhooks(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """What endpoints are sent, from the same schemas that /api/v1/standards publishes."""
    result["webhooks"] = standards.webhooks()
    for section, components in standards.webhook_components().items():
        result["components"].setdefault(section, {}).update(components)
    return result


def description() -> str:
    """The schema's front page: the promises that hold everywhere, and every problem code."""
    rows = []
    for entry in problem_codes.problems():
        zh, en = entry.texts[0] if entry.texts else ("", "")
        statuses = ", ".join(str(status) for status in sorted(entry.statuses))
        rows.append(f"| [`{entry.code}`](/api/problems/{entry.code}) | {statuses} | {_cell(zh)} | {_cell(en)} |")
    return FRONT_PAGE + "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


FRONT_PAGE = """\
西部陆海新通道单一窗口 · Single window for trade on the New International Land-Sea Trade Corridor

**令牌 / Tokens.** `POST /api/v1/oauth/token`（client credentials），随后 `Authorization: Bearer …`。一个客户端属于一个单位；无权查看的记录一律为 404。
A client belongs to one organisation; what it may not see answers 404.

**语言 / Language.** `Accept-Language: zh-Hans`（默认）或 `en`；代码不随语言变化。Texts follow the language, codes never do.

**重复提交 / Doing it once.** 会改变状态的 `POST` 接受 `Idempotency-Key`：同一键同一内容得到首次的答复。
A `POST` with an `Idempotency-Key` is done once, however often it is sent.

**数字与时间 / Numbers and times.** 金额与数量为十进制字符串；时间为带时区的 UTC；法定日为北京时间。
Amounts and quantities are decimal strings, times are UTC with offset, legal days are days of Asia/Shanghai. New members may appear in
answers at any time; a reader ignores those it does not know.

**列表 / Lists.** `{"next": …, "previous": …, "results": […]}`，按 `next` 继续。Follow `next` until it is null.

**错误 / Errors.** `application/problem+json`（RFC 9457），错误一次列全，`errors[].pointer` 指明位置。全部逐项代码见
All faults at once, each with its place; every code of `errors[]` is explained at [/api/problems/](/api/problems/).

| code | HTTP | 中文 | English |
|---|---|---|---|
"""
