from django.urls import path

from events import api

urlpatterns = [
    path("events", api.Feed.as_view(), name="events"),
]
