from django.urls import URLPattern, path

from clearance import duty_api

urlpatterns: list[URLPattern] = [
    path("declarations/<str:number>/assessment", duty_api.Assessment.as_view()),
    path("declarations/<str:number>/assessment/explain", duty_api.Explanation.as_view()),
]
