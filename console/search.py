from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect


def find(request: HttpRequest) -> HttpResponse:
    return redirect("admin:index")
