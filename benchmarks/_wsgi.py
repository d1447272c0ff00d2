"""The project's WSGI application with the addresses of benchmarks._urls."""

from __future__ import annotations

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "singlewindow.settings")
settings.ROOT_URLCONF = "benchmarks._urls"
application = get_wsgi_application()
