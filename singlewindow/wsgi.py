import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from singlewindow.garbage import spare_what_is_loaded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "singlewindow.settings")

application = get_wsgi_application()

# Every view, before the first request asks for one.
get_resolver().url_patterns  # noqa: B018
spare_what_is_loaded()
