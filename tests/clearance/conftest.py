from tests.browsing import browser, chromium  # noqa: F401
