from __future__ import annotations

from tests.browsing import browser, chromium  # noqa: F401
