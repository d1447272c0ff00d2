"""Endpoints as operators keep them in the console: every fault at its field, a secret told once, every step with its actor."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from events.models import Event
from exchange import endpoints
from exchange.models import Delivery, Endpoint, EndpointSecret
from parties.models import Officer
from tests import make
from tests.console.officers import Desk
from tests.exchange.conftest import deliver, make_partner, principal_of, say

pytestmark = pytest.mark.django_db(transaction=True)

FORM = {
    "organisation": "", "partner": "", "url": "", "event_types": "declaration.*", "headers": "", "rate_limit": "",
    "timeout": "15", "description": "", "signature": "v1",
}  # fmt: skip


@pytest.fixture
def desk() -> Desk:
    return Desk(duties=(Officer.Duty.EXCHANGE,))


def secret_in(answer: Any) -> str:
    return re.search(r'id="secret"[^>]*>([^<]+)<', answer.content.decode())[1].replace("&#x2B;", "+")


def errors(answer: Any) -> dict[str, str]:
    """Field -> its faults, as the page shows them."""
    text = answer.content.decode()
    return dict(re.findall(r'<div class="error" id="e-(\w+)">(.*?)</div></div>', text))


def made(desk: Desk, url: str, **form: str) -> tuple[Endpoint, str]:
    answer = desk.post("endpoint_new", **(FORM | {"url": url} | form))
    assert answer.status_code == 200, answer
    return Endpoint.objects.latest("created_at"), secret_in(answer)


def test_an_endpoint_is_made_for_a_firm_and_its_secret_is_told_once(desk, receiver, caplog):
    firm, hook = make.firm(), receiver()
    with caplog.at_level(logging.DEBUG):
        answer = desk.post(
            "endpoint_new",
            **FORM
            | {
                "organisation": firm.social_credit_code, "url": hook.url, "event_types": "declaration.*\nbill.issued",
                "headers": "X-Tenant: 7\nAuthorization: Bearer t", "rate_limit": "20", "description": "ERP",
            },
        )  # fmt: skip
    endpoint, secret = Endpoint.objects.get(), secret_in(answer)
    assert (endpoint.organisation, endpoint.partner, endpoint.rate_limit, endpoint.timeout) == (firm, None, 20, 15)
    assert endpoint.headers == {"X-Tenant": "7", "Authorization": "Bearer t"}
    assert endpoint.event_types == ["declaration.*", "bill.issued"]
    assert endpoint.signing_secrets() == [secret]
    assert "no-store" in answer["Cache-Control"]
    # Loading again, as the browser does from the address the answer leaves there, shows no secret; nothing else holds it.
    home = re.search(r'data-leave="([^"]+)"', answer.content.decode())[1]
    again = desk.http.get(home)
    bare = secret.partition("_")[2]
    assert again.status_code == 200
    assert bare not in again.content.decode()
    assert bare not in caplog.text
    assert [str(one) for one in get_messages(answer.wsgi_request)] == []
    assert all(bare not in str(value) for value in desk.http.session.values())
    assert all(bare not in morsel.value for morsel in desk.http.cookies.values())
    assert all(bare not in str(event.data) for event in Event.objects.all())
    # What is sent from now on is verified with what was told.
    say("D1", audience=[firm.pk], data={"state": "x"})
    deliver()
    received = hook.received[0]
    Webhook(secret).verify(received.body, received.headers)
    assert received.headers["x-tenant"] == "7"


def test_an_endpoint_of_a_partner_needs_no_organisation_and_signs_with_a_key(desk, receiver):
    partner = make_partner()
    endpoint, told = made(desk, receiver().url, partner=partner.code, event_types="*", signature="v1a")
    assert (endpoint.partner, endpoint.organisation) == (partner, partner.organisation)
    assert told.startswith("whpk_")


def test_every_fault_stands_at_its_field_and_nothing_typed_is_lost(desk):
    make_partner()
    typed = {
        "organisation": "没有这个单位", "url": "https://user:pw@10.0.0.1/x", "event_types": "declaration.*\nNot A Type",
        "headers": "no colon here\nHost: evil", "rate_limit": "many", "timeout": "99", "description": "说明甲",
        "signature": "v1a",
    }  # fmt: skip
    answer = desk.post("endpoint_new", **FORM | typed)
    found = errors(answer)
    assert set(found) == {"organisation", "url", "event_types", "headers", "rate_limit", "timeout"}
    assert '<span class="mono">2</span>' in found["event_types"]
    assert "Host" in found["headers"]
    page = answer.content.decode()
    for text in ("没有这个单位", "https://user:pw@10.0.0.1/x", "Not A Type", "no colon here", "many", "99", "说明甲"):
        assert text in page, text
    assert '<option value="v1a" selected>' in page
    assert not Endpoint.objects.exists()
    # A partner's share goes to the partner's own organisation and to nobody else's.
    other = make.firm()
    wrong = desk.post(
        "endpoint_new", **FORM | {"organisation": other.name, "partner": "450000", "url": "https://example.com/x"}
    )
    assert set(errors(wrong)) == {"partner"}
    assert set(errors(desk.post("endpoint_new", **FORM | {"url": "https://example.com/x"}))) == {"organisation"}


def test_one_endpoint_more_than_allowed_is_told_above_the_form(desk, subscribe, monkeypatch):
    monkeypatch.setattr(endpoints, "MOST", 1)
    firm = make.firm()
    subscribe(firm, "https://example.com/a")
    answer = desk.post("endpoint_new", **FORM | {"organisation": firm.name, "url": "https://example.com/b"})
    assert "最多 1 个端点" in answer.content.decode()
    assert 'value="https://example.com/b"' in answer.content.decode()


def test_the_old_secret_signs_beside_the_new_one_and_the_page_says_until_when(desk, receiver, subscribe):
    firm, hook = make.firm(), receiver()
    endpoint, old = subscribe(firm, hook.url)
    answer = desk.post("endpoint_rotate", endpoint.pk, signature="v1")
    new = secret_in(answer)
    until = EndpointSecret.objects.get(endpoint=endpoint, expires_at__isnull=False).expires_at
    assert timezone.localtime(until).strftime("%Y-%m-%d %H:%M") in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    shown = desk.get("endpoint", endpoint.pk).content.decode()
    for secret in (old, new):
        assert secret.partition("_")[2] not in shown
        assert secret in endpoint.signing_secrets()
    say("D1", audience=[firm.pk])
    deliver()
    received = hook.received[0]
    for secret in (old, new):
        Webhook(secret).verify(received.body, received.headers)


def test_every_step_is_in_the_log_with_the_officer_who_took_it(desk, receiver):
    firm = make.firm()
    endpoint, _ = made(desk, receiver().url, organisation=firm.name)
    desk.post("endpoint_change", endpoint.pk, **FORM | {"url": endpoint.url, "timeout": "5", "event_types": "bill.*"})
    desk.post("endpoint_rotate", endpoint.pk, signature="v1")
    for act in ("test", "pause", "resume"):
        desk.post("endpoint_act", endpoint.pk, act)
    desk.post("endpoint_replay", endpoint.pk, after="0")
    desk.post("endpoint_act", endpoint.pk, "delete")
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.timeout, endpoint.event_types) == ("deleted", 5, ["bill.*"])
    events = Event.objects.filter(subject_kind="webhook_endpoint").order_by("sequence")
    assert [event.type.partition(".")[2] for event in events] == [
        "created", "changed", "rotated", "tested", "paused", "resumed", "replayed", "deleted",
    ]  # fmt: skip
    assert {event.actor for event in events} == {desk.actor}
    # Deleted: still to be read, with nothing to press; and no step is taken any more.
    page = desk.get("endpoint", endpoint.pk).content.decode()
    assert "ask-rotate" not in page
    assert desk.post("endpoint_rotate", endpoint.pk, signature="v1").status_code == 404


def test_a_change_keeps_what_was_typed_until_it_is_right(desk, subscribe):
    endpoint, _ = subscribe(make.firm(), "https://example.com/a", headers={"X-A": "1"}, rate_limit=7)
    form = desk.get("endpoint_change", endpoint.pk).content.decode()
    for text in ('value="https://example.com/a"', "X-A: 1", 'value="7"', "declaration.*"):
        assert text in form, text
    answer = desk.post("endpoint_change", endpoint.pk, **FORM | {"url": "http://example.com/b", "rate_limit": "0"})
    assert set(errors(answer)) == {"url", "rate_limit"}
    assert 'value="http://example.com/b"' in answer.content.decode()
    endpoint.refresh_from_db()
    assert endpoint.url == "https://example.com/a"


def replayed(desk: Desk, endpoint: Endpoint, **form: str) -> str:
    answer = desk.post("endpoint_replay", endpoint.pk, **form)
    return " ".join(str(one) for one in answer.context["messages"])


def test_a_replay_begins_and_ends_at_a_time_or_a_position_and_says_how_many(desk, receiver, subscribe):
    firm = make.firm()
    endpoint, _ = subscribe(firm, receiver().url)
    for number in ("D1", "D2", "D3"):
        say(number, audience=[firm.pk])
    deliver()
    events = {event.subject_number: event for event in Event.objects.filter(subject_kind="declaration")}
    assert "3 次" in replayed(desk, endpoint, after="0")
    first, last = events["D1"].position, events["D3"].position
    assert "1 次" in replayed(desk, endpoint, after=str(first), before=str(last))
    ago = timezone.localtime(timezone.now() - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
    soon = timezone.localtime(timezone.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
    assert "3 次" in replayed(desk, endpoint, from_time=ago, to_time=soon)
    assert "0 次" in replayed(desk, endpoint, from_time=soon)
    assert "2 次" in replayed(desk, endpoint, from_time=ago, before=str(last))
    # To the moment: what lies at the bound belongs to the later side.
    moment = events["D2"].recorded_at.isoformat()
    assert endpoints.position_after(events["D2"].recorded_at) == first
    assert "2 次" in replayed(desk, endpoint, from_time=moment)
    assert "1 次" in replayed(desk, endpoint, from_time=ago, to_time=moment)
    for form, at in (
        ({}, "from_time"),
        ({"after": "1", "from_time": ago}, "after"),
        ({"after": "-1"}, "after"),
        ({"after": "5", "before": "3"}, "before"),
        ({"from_time": soon, "to_time": ago}, "to_time"),
        ({"from_time": "yesterday"}, "from_time"),
        ({"after": "1", "before": "9", "to_time": soon}, "before"),
    ):
        answer = desk.post("endpoint_replay", endpoint.pk, **form)
        assert set(errors(answer)) == {at}, form
        for text in form.values():
            assert f'value="{text}"' in answer.content.decode()


def test_what_waits_is_given_up_with_a_deleted_endpoint_after_it_was_said(desk, receiver, subscribe):
    firm, hook = make.firm(), receiver(lambda received, nth: 500)
    endpoint, _ = subscribe(firm, hook.url)
    say("D1", audience=[firm.pk])
    deliver()
    assert "待送的 1 次投递" in desk.get("endpoint", endpoint.pk).content.decode()
    desk.post("endpoint_act", endpoint.pk, "delete")
    assert Delivery.objects.get().state == "skipped"


def test_nobody_without_the_duty_comes_to_an_endpoint(subscribe):
    endpoint, _ = subscribe(make.firm(), "https://example.com/a")
    other = Desk(duties=(Officer.Duty.RELEASE, Officer.Duty.SUPERVISION))
    for name in ("endpoint_new", "endpoint", "endpoint_change", "endpoint_replay"):
        args = () if name == "endpoint_new" else (endpoint.pk,)
        assert other.get(name, *args).status_code == 403, name
    assert other.post("endpoint_new", **FORM).status_code == 403
    for name, args in (("endpoint_rotate", ()), ("endpoint_act", ("delete",)), ("endpoint_act", ("test",))):
        assert other.post(name, endpoint.pk, *args).status_code == 403, name
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.secrets.count()) == ("active", 1)


def test_whoever_sets_the_house_up_reads_and_leaves_the_acts_to_officers(subscribe):
    endpoint, _ = subscribe(make.firm(), "https://example.com/a")
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root"))
    for address in ("agreements/", "transits/", f"endpoints/{endpoint.pk}/"):
        assert client.get(f"/console/exchange/{address}").status_code == 200, address
    assert client.post(f"/console/exchange/endpoints/{endpoint.pk}/rotate/").status_code == 403
    assert endpoint.secrets.count() == 1


def test_the_page_of_an_endpoint_asks_the_same_number_of_questions_however_much_was_delivered(
    desk, receiver, subscribe, django_assert_max_num_queries
):
    firm = make.firm()
    endpoint, _ = subscribe(firm, receiver().url)
    endpoints.pause(endpoint_id=endpoint.pk, principal=principal_of(firm))
    for n in range(12):
        say(f"D{n}", audience=[firm.pk])
    deliver()
    with django_assert_max_num_queries(12):
        assert desk.get("endpoint", endpoint.pk).status_code == 200
