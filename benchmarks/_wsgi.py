"""The project's WSGI application with the addresses of benchmarks._urls."""

from __future__ import annotations

import os

from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "singlewindow.settings")
settings.ROOT_URLCONF = "benchmarks._urls"

from singlewindow.wsgi import application  # noqa: E402, F401
