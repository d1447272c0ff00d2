from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerView

from bills import views as bill_pages
from clearance import pages
from common.routing import by_first_segment
from singlewindow import operation, problem_codes

api = by_first_segment(
    f"{app}.urls"
    for app in (
        "events", "refdata", "parties", "tariffs", "portfees", "cargo", "declarations", "bills", "clearance", "exchange",
    )
)  # fmt: skip

urlpatterns = [
    path("", RedirectView.as_view(url="/console/")),
    path("api/v1/", include(api)),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path(
        "api/redoc",
        SpectacularRedocView.as_view(url_name="schema", template_name="singlewindow/redoc.html"),
        name="redoc",
    ),
    path("api/problems/", problem_codes.page),
    path("api/problems/<str:code>", problem_codes.page),
    path("port-fees/", include("portfees.web_urls")),
    path("track/", pages.track),
    path("track/<path:reference>", pages.track),
    path("papers/<str:code>", pages.paper),
    path("i18n/", include("django.conf.urls.i18n")),
    path("console/", admin.site.urls),
    path("verify/bills/<str:number>/<str:checksum>", bill_pages.verification),
    path("livez", operation.livez),
    path("readyz", operation.readyz),
    path("metrics", operation.metrics),
]

handler400 = "common.problems.bad_request"
handler403 = "common.problems.permission_denied"
handler404 = "common.problems.page_not_found"
handler500 = "common.problems.server_error"
