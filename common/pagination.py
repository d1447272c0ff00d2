"""Cursor pages everywhere: a list that grows while it is read neither repeats nor skips a row."""

from __future__ import annotations

from typing import Any

from rest_framework import pagination
from rest_framework.response import Response


class CursorPagination(pagination.CursorPagination):
    page_size = 50
    max_page_size = 200
    page_size_query_param = "page_size"
    ordering: tuple[str, ...] = ("-created_at", "-id")

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self.get_next_link(), "previous": self.get_previous_link(), "results": data})


#: For ``updated_since`` readers: a row that changes moves to the end and is met again.
OLDEST_CHANGE_FIRST = ("updated_at", "id")
