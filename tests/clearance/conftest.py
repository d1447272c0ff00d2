import pytest

from tariffs import lookup
from tests.browsing import browser, chromium  # noqa: F401


@pytest.fixture(autouse=True)
def _no_tariff_of_another_test():
    """The tariff is cached in the process; a test begins without what an earlier one had loaded."""
    lookup.forget()
    yield
    lookup.forget()
