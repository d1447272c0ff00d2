from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "path", ["codelist/", "code/", "code/?q=新加坡", "code/?in_force=0", "codelist/country/change/"]
)
def test_code_lists_are_browsed_and_searched_in_the_console(admin_client, path):
    assert admin_client.get(f"/console/refdata/{path}").status_code == 200


@pytest.mark.parametrize("path", ["codelist/add/", "code/add/", "codelist/country/delete/"])
def test_nothing_is_edited_in_the_console(admin_client, path):
    assert admin_client.get(f"/console/refdata/{path}").status_code == 403
