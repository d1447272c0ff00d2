"""The description is true: what the schema says of an operation is what the running service does.

schemathesis makes requests out of the schema, well formed and not, and sends them through the WSGI application; no
answer is a 500, and every answer has a status, a media type and a body that the schema names."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import bills.chain
import bills.signing
import bills.title
from declarations import fields
from declarations.checks import registry
from declarations.rules import RULES
from parties.scopes import SCOPES
from singlewindow import openapi, problem_codes
from singlewindow.wsgi import application
from tests import make

#: Requests per operation. The whole run stays within a minute or two.
EXAMPLES = 12
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@cache
def document() -> dict[str, Any]:
    return SchemaGenerator().get_schema(request=None, public=True)


#: schemathesis can also walk every bound of every member: thousands of requests for a large body, minutes in all.
EVERY_BOUND = os.environ.get("EVERY_BOUND") == "1"

schema = schemathesis.openapi.from_dict(
    document(), config=SchemathesisConfig.from_dict({"phases": {"coverage": {"enabled": EVERY_BOUND}}})
)
schema.app = application


@pytest.fixture
def one_connection(db) -> Iterator[None]:
    """Requests through the bare WSGI application stay in the test's transaction, as those of Django's client do."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def opener(operation: dict[str, Any], tokens: dict[str, str]) -> str | None:
    needed = {scope for requirement in operation.get("security", []) for scope in requirement.get("oauth2", [])}
    return next((tokens[scope] for scope in needed), None)


@pytest.fixture
def tokens(db) -> dict[str, str]:
    """scope -> token of an organisation whose role may hold it."""
    roles = {name: min(scope.roles) for name, scope in SCOPES.items()}
    of_role = {role: make.token(make.organisation(role)) for role in sorted(set(roles.values()))}
    return {name: of_role[role] for name, role in roles.items()}


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_what_the_schema_says(case, tokens, one_connection):
    token = opener(case.operation.definition.raw, tokens)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if case.query and "wait" in case.query:
        case.query["wait"] = 0  # a long poll that is asked to wait does, and there is nothing to wait for
    case.call_and_validate(headers=headers, checks=CHECKS)


def test_the_schema_is_openapi_31_and_is_served(client: Client):
    response = client.get("/api/schema")
    served = yaml.safe_load(response.content)
    assert served["openapi"].startswith("3.1")
    assert served["paths"].keys() == document()["paths"].keys()


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_operation_has_a_summary_and_names_its_problems():
    bare = [name for name, operation in operations() if not operation.get("summary")]
    assert bare == []
    silent = [name for name, operation in operations() if "default" not in operation["responses"]]
    assert silent == []


def test_every_closed_operation_names_the_scope_that_opens_it():
    unknown = [
        name
        for name, operation in operations()
        for requirement in operation.get("security", [])
        if not set(requirement.get("oauth2", [])) <= set(SCOPES) or requirement.get("oauth2", ["x"]) == []
    ]
    assert unknown == []


def test_operation_names_are_unique():
    names = sorted(operation["operationId"] for _, operation in operations())
    assert [name for name, group in itertools.groupby(names) if len(list(group)) > 1] == []


def test_every_operation_that_takes_a_body_shows_an_example():
    without = []
    for name, operation in operations():
        for kind, media in operation.get("requestBody", {}).get("content", {}).items():
            if kind == "application/json" and not (media.get("examples") or media.get("example")):
                without.append(name)
    assert without == []


@pytest.mark.parametrize("page", ["/api/docs", "/api/redoc"])
def test_the_pages_load_nothing_from_elsewhere(client: Client, page):
    html = client.get(page).content.decode()
    assert "/static/drf_spectacular_sidecar/" in html
    assert "://" not in html.replace("http://www.w3.org", "")


def test_the_front_page_lists_every_problem_code():
    front = document()["info"]["description"]
    assert [entry.code for entry in problem_codes.problems() if f"`{entry.code}`" not in front] == []


def test_the_type_of_every_problem_leads_to_its_explanation(client: Client):
    for code in problem_codes.catalogue():
        response = client.get(f"/api/problems/{code}", headers={"Accept": "application/json"})
        assert response.status_code == 200, code
    body = client.get("/api/problems/validation-failed", headers={"Accept": "application/json"}).json()
    assert body["status"] == [422]
    assert {"zh": "内容有误，请按所列各项更正", "en": "The content has faults; see each of them"} in body["texts"]


def test_the_page_of_all_codes_is_readable_in_both_languages(client: Client):
    for language, word in (("zh-Hans", "错误代码"), ("en", "Error codes")):
        html = client.get(
            "/api/problems/", headers={"Accept": "text/html", "Accept-Language": language}
        ).content.decode()
        assert word in html
        assert "idempotency-key-reused" in html


def test_an_unknown_code_is_404(client: Client):
    response = client.get("/api/problems/no-such-code")
    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"


def test_every_problem_has_a_text_in_both_languages():
    assert [entry.code for entry in problem_codes.problems() if not entry.texts] == []


def test_every_rule_and_every_finding_of_a_check_is_explained_but_those_for_officers_only():
    codes = {rule.code for rule in RULES} | set(registry._texts)
    assert sorted(codes - registry.CONFIDENTIAL - set(problem_codes.catalogue())) == []
    assert sorted(registry.CONFIDENTIAL & set(problem_codes.catalogue())) == []


def test_every_refusal_of_the_table_of_title_and_of_a_broken_chain_is_explained():
    catalogue = problem_codes.catalogue()
    title = {refusal.code for refusal in bills.title.GUARDS.values()} | {
        f"not-the-{who}" for who in (bills.title.ISSUER, bills.title.HOLDER, bills.title.PLEDGEE)
    }
    assert sorted((title | set(bills.chain.FAULTS) | {"recipient-missing", "not-pledged"}) - set(catalogue)) == []
    assert catalogue["pledged"].statuses == {409}
    assert catalogue["leg-does-not-join"].statuses == set()
    signed = {f"act-{code}" for code in bills.signing.BadSignature.CODES}
    assert sorted(signed - set(catalogue)) == []


def test_what_takes_if_match_says_so_and_what_it_answers_when_it_is_stale():
    paths = document()["paths"]
    takes = [
        ("/api/v1/declarations/{number}", "put"), ("/api/v1/declarations/{number}", "patch"),
        *((f"/api/v1/declarations/{{number}}/{name}", "post") for name in ("lodge", "amendments", "withdrawal", "decisions")),
    ]  # fmt: skip
    for path, method in takes:
        operation = paths[path][method]
        assert "If-Match" in {parameter["name"] for parameter in operation["parameters"]}, (path, method)
        assert "412" in operation["responses"], (path, method)


def test_the_examples_name_members_there_are():
    """A pointer of an example leads to a member of the message, an event's subject to the number the log knows."""
    fault = openapi.EXAMPLES[422]["errors"][0]["pointer"]
    _, block, _, member = fault.split("/")
    assert member in fields.blocks()[block].fields
    feed = document()["paths"]["/api/v1/events"]["get"]["responses"]["200"]["content"]["application/json"]
    numbers = [event["subject"]["number"] for one in feed["examples"].values() for event in one["value"]["events"]]
    assert all(re.fullmatch(r"[IE]\d{17}", number) for number in numbers)
    guide = (Path(__file__).parents[1] / "docs" / "api.md").read_text()
    assert fault in guide
