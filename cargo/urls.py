from django.urls import path

from cargo import api

urlpatterns = [
    path("manifests", api.Manifests.as_view()),
    path("manifests/<int:pk>", api.ManifestDetail.as_view()),
    path("consignments", api.Consignments.as_view()),
    path("consignments/<int:pk>", api.ConsignmentDetail.as_view()),
    path("voyages", api.Voyages.as_view()),
    path("voyages/<int:pk>/plan", api.VoyagePlan.as_view()),
    path("voyages/<int:pk>/reports", api.VoyageReports.as_view()),
    path("supervision-sites", api.SupervisionSites.as_view()),
]
