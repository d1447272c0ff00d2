from django.urls import path

from exchange.api import corridor, desk, legs, together, webhooks

urlpatterns = [
    path("webhook-endpoints", webhooks.Endpoints.as_view(), name="webhook-endpoints"),
    path("webhook-endpoints/<uuid:pk>", webhooks.EndpointDetail.as_view(), name="webhook-endpoint"),
    path("webhook-endpoints/<uuid:pk>/test", webhooks.TestEndpoint.as_view()),
    path("webhook-endpoints/<uuid:pk>/rotate", webhooks.RotateEndpoint.as_view()),
    path("webhook-endpoints/<uuid:pk>/pause", webhooks.PauseEndpoint.as_view()),
    path("webhook-endpoints/<uuid:pk>/resume", webhooks.ResumeEndpoint.as_view()),
    path("webhook-endpoints/<uuid:pk>/replay", webhooks.ReplayEndpoint.as_view()),
    path("webhook-endpoints/<uuid:pk>/deliveries", webhooks.Deliveries.as_view()),
    path("webhook-deliveries/<int:pk>", webhooks.DeliveryDetail.as_view(), name="webhook-delivery"),
    path("webhook-deliveries/<int:pk>/retry", webhooks.RetryDelivery.as_view()),
    path("webhook-deliveries/<int:pk>/skip", webhooks.SkipDelivery.as_view()),
    path("exchange/inbox/<str:partner>", corridor.Inbox.as_view(), name="exchange-inbox"),
    path("exchange/events", corridor.PartnerFeed.as_view(), name="exchange-events"),
    path("exchange/digest", corridor.Digest.as_view(), name="exchange-digest"),
    path("exchange/reports", corridor.Reports.as_view(), name="exchange-reports"),
    path("exchange/timeline/<str:number>", corridor.TimeLine.as_view()),
    path("exchange/bill-legs", legs.LegReports.as_view()),
    path("exchange/bill-legs/<str:number>", legs.Legs.as_view()),
    path("exchange/transits", together.Transits.as_view()),
    path("exchange/transits/<str:number>", together.TransitDetail.as_view()),
    path("exchange/transits/<str:number>/confirmations", together.TransitConfirmations.as_view()),
    path("exchange/search/fee-lists", together.FeeLists.as_view()),
    path("exchange/search/sites", together.Sites.as_view()),
    path("exchange/conformance", desk.ConformanceRuns.as_view()),
    path("exchange/conformance/<uuid:pk>", desk.ConformanceReport.as_view()),
    path("standards", desk.Standards.as_view(), name="standards"),
    path("standards/events/<str:type>/<str:version>", desk.EventSchema.as_view()),
    path("standards/documents/<str:name>/<str:version>", desk.DocumentSchema.as_view()),
]
