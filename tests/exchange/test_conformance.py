"""The self-service check: what a receiver does right, does wrong, or does not show; runs that are lost; one at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest
from celery import current_app
from django.utils import timezone
from kombu.exceptions import OperationalError

from common.problems import Problem
from exchange import conformance, signing, tasks
from exchange.models import ConformanceRun
from parties.models import Organisation, OrganisationRole
from tests import make
from tests.exchange.conftest import principal_of
from tests.exchange.receiver import Answer, Received, slow

pytestmark = pytest.mark.django_db


def newcomer() -> Organisation:
    return make.organisation(OrganisationRole.PARTNER_PROVINCE)


def check(url: str, secret: str, **options: Any) -> ConformanceRun:
    made, _ = conformance.start(principal=principal_of(newcomer()), url=url, secret=secret, **options)
    return conformance.run(made.pk)


def verdicts(report: ConformanceRun, verdict: str) -> set[str]:
    return {one["check"] for one in report.results if one["verdict"] == verdict}


def careful(verifier: str, *, telling: bool = True) -> Callable[[Received, int], Answer]:
    """A receiver that does everything right; it says what became of a message, or answers with nothing."""
    seen: dict[str, bytes] = {}
    subjects: dict[str, set[int]] = {}

    def answer(received: Received, nth: int) -> Answer:
        try:
            identifier = signing.verify([verifier], received.headers, received.body)
        except Problem as problem:
            return problem.status, {}, b""
        if identifier in seen:
            return (200 if seen[identifier] == received.body else 409), {}, status("duplicate")
        seen[identifier] = received.body
        event = received.message
        known = subjects.setdefault(event["subjectnumber"], set())
        word = "late" if known and event["seq"] < max(known) else "applied" if event["prev"] in {0, *known} else "gap"
        known.add(event["seq"])
        return 200, {}, status(word)

    def status(word: str) -> bytes:
        return orjson.dumps({"status": word}) if telling else b""

    return answer


@pytest.mark.parametrize("secret", [signing.new_secret(), signing.new_key()], ids=["v1", "v1a"])
def test_a_careful_receiver_passes_with_a_shared_secret_and_with_a_public_key(receiver, secret):
    verifier = signing.public_key(secret) if secret.startswith("whsk_") else secret
    report = check(receiver(careful(verifier)).url, secret)
    assert [one for one in report.results if one["verdict"] != "passed"] == []
    assert (report.state, report.passed, len(report.results)) == ("finished", True, len(conformance.STEPS) + 1)


def test_a_receiver_that_accepts_everything_is_told_what_it_does_wrong(receiver):
    report = check(receiver().url, signing.new_secret())
    wrong = {one["check"]: one["advice"] for one in report.results if one["verdict"] == "failed"}
    assert set(wrong) == {"wrong-signature", "no-signature", "old-timestamp", "replayed-id"}
    # It says {"status": "ok"}: a word of its own, which shows nothing.
    assert verdicts(report, "not-shown") == {"duplicate", "gap", "late"}
    assert "signed" in verdicts(report, "passed")
    assert all(advice["zh"] and advice["en"] for advice in wrong.values())
    assert report.passed is False


def test_what_2xx_with_an_empty_body_does_not_show_is_said_not_to_be_shown(receiver):
    """A receiver that files every duplicate a second time answers just the same."""
    secret = signing.new_secret()
    report = check(receiver(careful(secret, telling=False)).url, secret)
    assert verdicts(report, "not-shown") == {"duplicate", "gap", "late"}
    assert verdicts(report, "failed") == set()
    assert report.passed is None
    assert all(one["advice"] for one in report.results if one["verdict"] == "not-shown")


def test_a_slow_receiver_fails_the_step_on_slow_answers(receiver, monkeypatch):
    monkeypatch.setattr(conformance, "PROMPT", 0.05)
    secret = signing.new_secret()
    right = careful(secret)

    def answer(received: Received, nth: int) -> Answer:
        slow(0.1 if nth == 3 else 0)(received, nth)
        return right(received, nth)

    report = check(receiver(answer).url, secret)
    assert verdicts(report, "failed") == {"slow-answers"}
    assert next(one for one in report.results if one["check"] == "slow-answers")["milliseconds"] >= 100


def test_the_whole_check_ends_in_time_whatever_the_receiver_does(receiver, monkeypatch):
    monkeypatch.setattr(conformance, "WHOLE", 0.3)
    hook = receiver(slow(0.2))
    report = check(hook.url, signing.new_secret())
    not_reached = [one["check"] for one in report.results if one["seen"] == "> 0 s"]
    assert len(hook.received) <= 2
    assert not_reached[-1] == "large"
    assert len(report.results) == len(conformance.STEPS) + 1
    assert (report.state, report.passed) == ("finished", False)


def test_over_the_api_one_asks_for_a_check_and_reads_its_report(api, receiver):
    secret = signing.new_secret()
    hook, caller = receiver(careful(secret)), api(newcomer())
    asked = caller.post("/api/v1/exchange/conformance", {"url": hook.url, "secret": secret})
    assert (asked.status_code, asked.json()["state"], asked.json()["secret"]) == (202, "waiting", secret)
    address = f"/api/v1/exchange/conformance/{asked.json()['id']}"
    assert caller.get(address).json()["passed"] is None
    tasks.check_conformance(asked.json()["id"])
    report = caller.get(address).json()
    assert (report["state"], report["passed"]) == ("finished", True)
    assert report["results"][0]["title"] == {
        "zh": "正确签名的消息被接受",
        "en": "a correctly signed message is accepted",
    }
    assert "sealed" not in report
    assert api(newcomer()).get(address).status_code == 404
    public = caller.post("/api/v1/exchange/conformance", {"url": hook.url, "signature": "v1a"})
    assert public.json()["secret"].startswith("whpk_")
    wrong = api(newcomer()).post("/api/v1/exchange/conformance", {"url": hook.url, "secret": "whpk_" + "A" * 44})
    assert [error["pointer"] for error in wrong.json()["errors"]] == ["/secret"]


def test_an_organisation_has_one_check_at_a_time_and_all_together_a_few(api, receiver):
    url = receiver().url
    first = api(newcomer())
    assert first.post("/api/v1/exchange/conformance", {"url": url}).status_code == 202
    again = first.post("/api/v1/exchange/conformance", {"url": url})
    assert (again.status_code, again.json()["code"]) == (409, "check-under-way")
    for _ in range(conformance.AT_ONCE - 1):
        assert api(newcomer()).post("/api/v1/exchange/conformance", {"url": url}).status_code == 202
    full = api(newcomer()).post("/api/v1/exchange/conformance", {"url": url})
    assert (full.status_code, full.json()["code"]) == (429, "too-many-checks")
    conformance.run(ConformanceRun.objects.earliest("started_at").pk)
    assert first.post("/api/v1/exchange/conformance", {"url": url}).status_code == 202


def test_a_check_whose_hint_was_lost_is_hinted_again_and_is_sent_once(receiver):
    hook = receiver()
    made, _ = conformance.start(principal=principal_of(newcomer()), url=hook.url)
    assert conformance.sweep() == []  # its hint may still come
    ConformanceRun.objects.update(started_at=timezone.now() - conformance.UNHEARD)
    assert conformance.sweep() == [made.pk]
    conformance.run(made.pk)
    came = len(hook.received)
    conformance.run(made.pk)
    assert (len(hook.received), conformance.sweep()) == (came, [])


@pytest.mark.django_db(transaction=True)
def test_a_check_asked_for_while_the_broker_is_away_is_entered_and_its_secret_told(api, receiver, monkeypatch):
    def away(*args: Any, **options: Any) -> None:
        raise OperationalError("no broker")

    monkeypatch.setattr(current_app, "send_task", away)
    asked = api(newcomer()).post("/api/v1/exchange/conformance", {"url": receiver().url})
    assert (asked.status_code, asked.json()["secret"][:6]) == (202, "whsec_")
    ConformanceRun.objects.update(started_at=timezone.now() - conformance.UNHEARD)
    assert [str(pk) for pk in conformance.sweep()] == [asked.json()["id"]]


def test_a_check_of_a_host_whose_name_is_none_ends_with_a_report():
    made, _ = conformance.start(principal=principal_of(newcomer()), url="https://test.example.com/inbox")
    ConformanceRun.objects.update(url="https://test..example.com/inbox")
    report = conformance.run(made.pk)
    assert (report.state, report.passed) == ("finished", False)
    assert {one["verdict"] for one in report.results if one["check"] != "slow-answers"} == {"failed"}


def test_a_host_that_cannot_be_one_is_refused():
    with pytest.raises(Problem) as refused:
        conformance.start(principal=principal_of(newcomer()), url="https://test..example.com/inbox")
    assert [(fault.pointer, fault.code) for fault in refused.value.errors] == [("/url", "url")]


def test_whatever_word_a_receiver_says_the_report_is_kept(receiver):
    report = check(receiver(lambda received, nth: (200, {}, b'{"status": "ap\\u0000plied"}')).url, signing.new_secret())
    assert (report.state, report.results[0]["seen"]) == ("finished", "200 applied")


@pytest.mark.parametrize("state", ["waiting", "running"])
def test_a_check_lost_with_its_worker_ends_as_lost_and_makes_room(receiver, state):
    firm, url = principal_of(newcomer()), receiver().url
    made, _ = conformance.start(principal=firm, url=url)
    ConformanceRun.objects.update(state=state, started_at=timezone.now() - conformance.LOST - timedelta(seconds=1))
    assert conformance.sweep() == []
    made.refresh_from_db()
    assert (made.state, made.passed) == ("lost", False)
    assert made.finished_at is not None
    conformance.start(principal=firm, url=url)
