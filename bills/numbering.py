"""Numbers of bills and delivery orders: platform code, year, a running number. At most 20 characters, as DCSA's
``transportDocumentReference`` allows; the platform's code keeps numbers of two platforms apart."""

from __future__ import annotations

from django.conf import settings
from django.db import connection

from common.days import today


def next_number(sequence: str, prefix: str = "") -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(%s)", [sequence])
        return f"{prefix}{settings.EBL_PLATFORM}{today():%y}{cursor.fetchone()[0]:09d}"
