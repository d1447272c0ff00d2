from django.urls import URLPattern, path

from declarations.api import lodging, reading, uploads

urlpatterns: list[URLPattern] = [
    path("declarations", lodging.Declarations.as_view()),
    path("declarations/batch", lodging.Batch.as_view()),
    path("declarations/<str:number>", reading.DeclarationDetail.as_view()),
    path("declarations/<str:number>/lodge", lodging.LodgeDraft.as_view()),
    path("declarations/<str:number>/amendments", lodging.Amendments.as_view()),
    path("declarations/<str:number>/withdrawal", lodging.Withdrawal.as_view()),
    path("declarations/<str:number>/decisions", reading.Decisions.as_view()),
    path("declarations/<str:number>/versions", reading.Versions.as_view()),
    path("declarations/<str:number>/versions/<int:version>", reading.Version.as_view()),
    path("declarations/<str:number>/events", reading.Events.as_view()),
    path("declarations/<str:number>/checks", reading.Checks.as_view()),
    path("declarations/<str:number>/receipts", reading.Receipts.as_view()),
    path("declarations/<str:number>/receipts/<int:index>", reading.Receipt.as_view()),
    path("uploads", uploads.Uploads.as_view()),
    path("uploads/<uuid:upload>", uploads.UploadDetail.as_view()),
    path("uploads/<uuid:upload>/files", uploads.UploadFiles.as_view()),
]
