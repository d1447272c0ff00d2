from django.urls import URLPattern, path

from portfees import web

app_name = "portfees"
urlpatterns: list[URLPattern] = [
    path("", web.index, name="index"),
    path("feed.atom", web.Changes(), name="feed"),
    path("<str:number>/", web.detail, name="detail"),
    path("<str:number>/difference/<str:other>/", web.difference, name="difference"),
]
