from django.urls import URLPattern, path

from refdata import api

urlpatterns: list[URLPattern] = [
    path("reference", api.CodeLists.as_view()),
    path("reference/<slug:slug>", api.Codes.as_view()),
    path("reference/<slug:slug>/<str:code>", api.CodeDetail.as_view()),
]
