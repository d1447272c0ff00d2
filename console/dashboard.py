from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def dashboard(request: HttpRequest) -> HttpResponse:
    context = admin.site.each_context(request) | {"title": admin.site.index_title}
    return render(request, "console/dashboard.html", context)
