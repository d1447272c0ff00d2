from django.urls import path

from clearance import duty_api
from clearance.api import cases, documents, gates, inspections, tracking

urlpatterns = [
    path("declarations/<str:number>/assessment", duty_api.Assessment.as_view()),
    path("declarations/<str:number>/assessment/explain", duty_api.Explanation.as_view()),
    path("declarations/<str:number>/deadlines", documents.Deadlines.as_view()),
    path("clearance/<str:number>", cases.CaseDetail.as_view()),
    path("clearance/<str:number>/mode", cases.ChooseMode.as_view()),
    path("clearance/<str:number>/confirmations", cases.Confirmations.as_view()),
    path("clearance/<str:number>/full-declaration", cases.FullDeclaration.as_view()),
    path("clearance/<str:number>/change-requests", cases.ChangeRequests.as_view()),
    path("clearance/<str:number>/documents", documents.Documents.as_view()),
    path("clearance-documents/<uuid:pk>", documents.DocumentFile.as_view()),
    path("clearance/<str:number>/inspections", inspections.InspectionsOfDeclaration.as_view()),
    path("clearance/<str:number>/appointment", inspections.Appointments.as_view()),
    path("clearance-times", tracking.ClearanceTimes.as_view()),
    path("gate-moves", gates.GateMoves.as_view()),
    path("holds", gates.Holds.as_view()),
    path("holds/<uuid:pk>/lift", gates.LiftHold.as_view()),
    path("inspection-orders", inspections.InspectionOrders.as_view()),
    path("inspection-orders/<int:pk>", inspections.InspectionOrderDetail.as_view()),
    path("inspection-orders/<int:pk>/appointment", inspections.AppointmentOfOrder.as_view()),
    path("inspection-orders/<int:pk>/evidence/<uuid:evidence>", inspections.EvidenceOfOrder.as_view()),
    path("inspection-orders/<int:pk>/result", inspections.InspectionResult.as_view()),
    path("inspection-orders/<int:pk>/evidence", inspections.InspectionEvidence.as_view()),
    path("inspection-evidence/<uuid:pk>", inspections.EvidenceFile.as_view()),
    path("port-papers", gates.PortPapers.as_view()),
    path("port-papers/<str:number>/cancel", gates.CancelPaper.as_view()),
    path("port-papers/<str:number>/pdf", gates.PaperPdf.as_view()),
    path("port-papers/verify/<str:code>", gates.VerifyPaper.as_view()),
    path("tracking/<path:reference>/links", tracking.TrackingLinks.as_view()),
    path("tracking/<path:reference>/dcsa-events", tracking.DcsaEvents.as_view()),
    path("tracking/<path:reference>", tracking.Tracking.as_view()),
]
