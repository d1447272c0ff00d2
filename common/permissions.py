from __future__ import annotations

from typing import Any

from rest_framework import permissions
from rest_framework.request import Request


class HasScope(permissions.BasePermission):
    """The caller's token carries the scope the view names for the method; a view without scopes is closed."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if view.public:
            return True
        caller: Any = request.user
        if not caller or not caller.is_authenticated:
            return False
        method = "GET" if request.method in ("HEAD", "OPTIONS") else request.method
        return caller.has_scope(view.scopes.get(method))
