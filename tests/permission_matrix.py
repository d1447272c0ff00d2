"""Every route × every kind of caller. A route that is missing here fails tests/test_permissions.py.

``ROUTES``: URL template (as in ``singlewindow.urls``, with sample arguments filled in by the test) -> method -> who may
call it. "public" means without a token. Any organisation whose roles may hold the scope passes the door; what it then
finds is a matter of ``visible_to`` and tested with the app."""

from __future__ import annotations

#: path -> {method: scope or "public" or "officer" (console duty) or "custom"}
ROUTES: dict[str, dict[str, str]] = {}
