"""A plain Django REST framework application over the same tables: nested ModelSerializers, no authentication, no checks, no
events, and none of our middleware."""

from singlewindow.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.peers.plain_drf"
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": [], "DEFAULT_PERMISSION_CLASSES": [], "UNAUTHENTICATED_USER": None}
