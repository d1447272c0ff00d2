from django.urls import path

from exchange.api import corridor

urlpatterns = [
    path("exchange/inbox/<str:partner>", corridor.Inbox.as_view(), name="exchange-inbox"),
    path("exchange/events", corridor.PartnerFeed.as_view(), name="exchange-events"),
    path("exchange/digest", corridor.Digest.as_view(), name="exchange-digest"),
    path("exchange/reports", corridor.Reports.as_view(), name="exchange-reports"),
]
