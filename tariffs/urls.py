from django.urls import path

from tariffs import api

urlpatterns = [
    path("tariff/commodities", api.Commodities.as_view()),
    path("tariff/commodities/<str:code>", api.CommodityDetail.as_view()),
    path("tariff/changes", api.Changes.as_view()),
    path("tariff/assessments", api.Assessments.as_view()),
    path("tariff/assessments/<int:pk>", api.AssessmentDetail.as_view()),
    path("tariff/assessments/<int:pk>/explain", api.Explain.as_view()),
    path("tariff/memos", api.Memos.as_view()),
    path("tariff/memos/<str:number>", api.MemoDetail.as_view()),
    path("tariff/payments", api.Payments.as_view()),
    path("tariff/refunds", api.Refunds.as_view()),
    path("tariff/refunds/<str:number>", api.RefundDetail.as_view()),
    path("tariff/refund-confirmations", api.RefundConfirmations.as_view()),
]
