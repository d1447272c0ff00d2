from django.urls import URLPattern, path

from parties import api

urlpatterns: list[URLPattern] = [
    path("oauth/token", api.token),
    path("oauth/revoke", api.revoke),
    path("organisations", api.Organisations.as_view()),
    path("organisations/<int:pk>", api.OrganisationDetail.as_view()),
    path("mandates", api.Mandates.as_view()),
    path("mandates/<int:pk>/end", api.EndMandate.as_view()),
]
