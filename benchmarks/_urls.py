"""The project's addresses and one more: an authenticated view that does nothing, to compare others with."""

from __future__ import annotations

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import View
from singlewindow.urls import handler400, handler403, handler404, handler500
from singlewindow.urls import urlpatterns as project


class Nothing(View):
    scopes = {"GET": "tariff:read", "POST": "tariff:read"}

    def get(self, request: Request) -> Response:
        return Response({})

    def post(self, request: Request) -> Response:
        return Response({})


urlpatterns = [path("api/v1/nothing", Nothing.as_view()), *project]

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]
