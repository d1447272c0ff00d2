"""What every view of the API shares: scopes, language, idempotency."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date
from typing import Any, ClassVar, cast

import orjson
import structlog
from django.db import transaction
from django.utils.cache import patch_vary_headers
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from common import etags, idempotency
from common.asked import FIRST, LAST
from common.pagination import CursorPagination
from common.problems import Fault, invalid, not_found
from common.text import T


class View(APIView):
    """Base of every API view. Declare ``scopes`` per method, or ``public = True``."""

    public: ClassVar[bool] = False
    scopes: ClassVar[dict[str, str]] = {}
    #: POST, PUT, PATCH and DELETE honour ``Idempotency-Key``, recorded in the transaction of the work.
    idempotent: ClassVar[bool] = False
    #: Members of an answer that are told once: what is kept for the same key's next request has null in their place.
    told_once: ClassVar[tuple[str, ...]] = ()

    def paged(
        self,
        request: Request,
        rows: Any,
        represent: type[BaseSerializer[Any]] | Callable[[Any], Any],
        *,
        ordering: tuple[str, ...] = CursorPagination.ordering,
    ) -> Response:
        """A page of ``rows``, each as the serializer or the function ``represent`` shows it."""
        pages = CursorPagination()
        pages.ordering = ordering
        page: list[Any] = pages.paginate_queryset(rows, request, view=self) or []
        if isinstance(represent, type):
            return pages.get_paginated_response(represent(page, many=True).data)
        return pages.get_paginated_response([represent(row) for row in page])

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().dispatch(request, *args, **kwargs)
        patch_vary_headers(response, ("Accept-Language",))
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if "%00" in request.META.get("QUERY_STRING", ""):
            text = T("查询参数不得含有空字符（NUL）", "Query parameters must not hold NUL characters")
            raise invalid([Fault("", "nul-character", text)])
        if "\x00" in request.path:
            raise not_found()
        if "number" in kwargs:
            structlog.contextvars.bind_contextvars(number=kwargs["number"])
        super().initial(request, *args, **kwargs)
        key = request.headers.get("Idempotency-Key")
        if key and self.idempotent and request.method not in ("GET", "HEAD", "OPTIONS"):
            handler_name = request.method.lower()  # type: ignore[union-attr]
            setattr(self, handler_name, _once(getattr(self, handler_name), key, self.told_once))


def _once(method: Any, key: str, told_once: tuple[str, ...]) -> Any:
    """``method`` run at most once for ``key``; the first answer is given again."""

    def run(request: Request, *args: Any, **kwargs: Any) -> Response:
        idempotency.check_key(key)
        fingerprint = hashlib.sha256(
            b"\n".join((str(request.method).encode(), request.get_full_path().encode(), _content(request)))
        ).digest()
        caller: str = cast(Any, request.user).actor
        if (stored := idempotency.find(caller, key, fingerprint)) is not None:
            return replay(stored)
        try:
            with transaction.atomic():
                response: Response = method(request, *args, **kwargs)
                if response.status_code < 400:
                    idempotency.keep(
                        caller,
                        key,
                        fingerprint,
                        status=response.status_code,
                        headers={name: response[name] for name in ("Location", "ETag") if response.has_header(name)},
                        body=response.data | {name: None for name in told_once if name in response.data}
                        if told_once
                        else response.data,
                    )
        except idempotency.Taken:
            stored = idempotency.find(caller, key, fingerprint)
            if stored is None:
                raise
            return replay(stored)
        return response

    return run


class DayField(serializers.DateField):
    """A day of this trade (common/asked.py): reckoning from it by days and years stays within what a date can be."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "out_of_range": T("应在 {first} 与 {last} 之间", "Lies not between {first} and {last}", first=FIRST, last=LAST)
    }

    def to_internal_value(self, value: Any) -> date:
        day: date = super().to_internal_value(value)
        if not FIRST <= day <= LAST:
            self.fail("out_of_range")
        return day


def unchanged(request: Request, tag: str) -> bool:
    """Whether the caller has this very answer: 304."""
    return etags.names(request.headers.get("If-None-Match", ""), tag)


def _content(request: Request) -> bytes:
    """The body as it is compared. A form's boundary is drawn anew each time it is sent, so it does not count."""
    kind, _, boundary = (request.content_type or "").partition("boundary=")
    if not kind.lower().startswith("multipart/") or not boundary:
        return request.body
    return request.body.replace(boundary.partition(";")[0].strip().strip('"').encode(), b"")


def replay(stored: idempotency.Stored) -> Response:
    return Response(
        orjson.loads(stored.body), status=stored.status, headers=stored.headers | {"Idempotency-Replayed": "true"}
    )
