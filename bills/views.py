"""The public verification page: where the QR code on a print leads."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import override
from django.views.decorators.http import require_GET

from bills import exporting


@require_GET
def verification(request: HttpRequest, number: str, checksum: str) -> HttpResponse:
    """State and version of the bill whose checksum the visitor has in hand; no parties, no goods."""
    language = "en" if request.GET.get("lang", "").startswith("en") else "zh-hans"
    with override(language):
        found = exporting.public_state(number, checksum)
        return render(
            request,
            "bills/verification.html",
            {"found": found, "number": number, "checksum": checksum, "language": language},
            status=200 if found else 404,
        )
