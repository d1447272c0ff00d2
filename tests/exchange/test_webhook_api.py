from __future__ import annotations

import socket
from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from events.models import Event
from exchange import addresses, delivery, endpoints, ledger
from exchange.models import Attempt, Delivery, Endpoint
from parties.models import OrganisationRole
from tests import make
from tests.exchange.conftest import deliver, due_now, say

pytestmark = pytest.mark.django_db(transaction=True)

ENDPOINTS = "/api/v1/webhook-endpoints"


def test_a_firm_makes_reads_changes_and_deletes_its_endpoint(api, receiver):
    caller, hook = api(make.firm()), receiver()
    made = caller.post(ENDPOINTS, {"url": hook.url, "event_types": ["declaration.*"]})
    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    path = f"{ENDPOINTS}/{made.json()['id']}"
    assert "secret" not in caller.get(path).json()
    assert caller.patch(path, {"event_types": ["bill.issued"], "rate_limit": 5}).json()["rate_limit"] == 5
    assert caller.get(ENDPOINTS).json()["results"][0]["event_types"] == ["bill.issued"]
    assert caller.delete(path).status_code == 204
    assert caller.get(path).status_code == 404
    assert caller.get(ENDPOINTS).json()["results"] == []


def test_a_strangers_endpoint_is_not_there(api, receiver, subscribe):
    endpoint, _ = subscribe(make.firm(), receiver().url)
    stranger = api(make.firm())
    path = f"{ENDPOINTS}/{endpoint.pk}"
    answers = [
        stranger.get(path), stranger.patch(path, {"description": "mine"}), stranger.delete(path),
        stranger.post(f"{path}/test"), stranger.post(f"{path}/rotate"), stranger.post(f"{path}/pause"),
        stranger.post(f"{path}/resume"), stranger.post(f"{path}/replay", {"after": 0}),
        stranger.get(f"{path}/deliveries"),
    ]  # fmt: skip
    assert {answer.status_code for answer in answers} == {404}
    assert Endpoint.objects.get().state == "active"


def test_deliveries_and_their_attempts_are_readable(api, receiver):
    firm = make.firm()
    caller, hook = api(firm), receiver(lambda received, nth: (500, {}, b"no disk") if nth == 0 else 200)
    endpoint = caller.post(ENDPOINTS, {"url": hook.url, "event_types": ["declaration.*"]}).json()
    say("D1", audience=[firm.pk], data={"state": "lodged"})
    deliver()
    (listed,) = caller.get(f"{ENDPOINTS}/{endpoint['id']}/deliveries?state=pending").json()["results"]
    assert (listed["last_status"], listed["tries"], listed["subject_number"]) == (500, 1, "D1")
    assert listed["next_try"] is not None
    caller.post(f"/api/v1/webhook-deliveries/{listed['id']}/retry")
    deliver()
    detail = caller.get(f"/api/v1/webhook-deliveries/{listed['id']}").json()
    assert detail["state"] == "delivered"
    assert [(one["number"], one["status"], one["answer"]) for one in detail["attempts"]] == [
        (1, 500, "no disk"), (1, 200, '{"status":"ok"}')
    ]  # fmt: skip
    assert '"state":"lodged"' in detail["body"]
    assert api(make.firm()).get(f"/api/v1/webhook-deliveries/{listed['id']}").status_code == 404


def test_a_test_message_shows_what_came_back(api, receiver):
    caller, hook = api(make.firm()), receiver(lambda received, nth: (418, {}, b"teapot"))
    endpoint = caller.post(ENDPOINTS, {"url": hook.url, "event_types": ["*"]}).json()
    sent = caller.post(f"{ENDPOINTS}/{endpoint['id']}/test").json()
    assert (sent["state"], sent["attempts"][0]["status"], sent["attempts"][0]["answer"]) == ("failed", 418, "teapot")


def test_pause_resume_rotate_and_replay_over_the_api(api, receiver):
    firm = make.firm()
    caller, hook = api(firm), receiver()
    made = caller.post(ENDPOINTS, {"url": hook.url, "event_types": ["declaration.*"], "signature": "v1a"}).json()
    assert made["secret"].startswith("whpk_")
    path = f"{ENDPOINTS}/{made['id']}"
    assert caller.post(f"{path}/pause").json()["state"] == "paused"
    assert caller.post(f"{path}/pause").status_code == 409
    assert caller.post(f"{path}/resume").json()["state"] == "active"
    assert caller.post(f"{path}/rotate").json()["secret"] != made["secret"]
    say("D1", audience=[firm.pk])
    deliver()
    assert caller.post(f"{path}/replay", {"after": 0}).json() == {"deliveries": 1, "next": None}
    deliver()
    assert len(hook.taken) == 2


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://user:secret@example.com/x", "url-credentials"),
        ("https://10.0.0.1/x", "private-address"),
        ("https://192.168.1.1", "private-address"),
        ("https://169.254.169.254/latest/meta-data", "private-address"),
        ("https://[::1]/", "private-address"),
        ("https://[::ffff:10.0.0.1]/", "private-address"),
        ("https://0x7f000002/", "private-address"),
        ("https://127.2/", "private-address"),
        ("https://2130706434/", "private-address"),
        ("https://localhost/x", "private-address"),
        ("https://metadata.google.internal/", "private-address"),
        ("http://example.com/x", "url-scheme"),
        ("ftp://example.com/x", "url-scheme"),
        ("javascript:alert(1)", "url"),
        ("https://", "url"),
        ("https://exa mple.com/", "url"),
        ("https://example.com:99999/", "url"),
        ("https://example.com/#frag", "url"),
        ("https://例子.com/", "url"),
    ],
)
def test_a_bad_url_is_refused_when_it_is_given(api, url, code):
    answer = api(make.firm()).post(ENDPOINTS, {"url": url, "event_types": ["*"]})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, code)
    assert Endpoint.objects.count() == 0


@pytest.mark.parametrize(
    "headers", [{"webhook-id": "x"}, {"Host": "x"}, {"Content-Length": "1"}, {"X-A": "a\r\nB: c"}, {"X A": "x"}]
)
def test_headers_that_would_forge_or_break_a_request_are_refused(api, headers):
    body = {"url": "https://example.com/x", "event_types": ["*"], "headers": headers}
    assert api(make.firm()).post(ENDPOINTS, body).status_code == 422


@pytest.mark.parametrize("types", [[], ["decl*"], ["*.released"], ["x" * 81], [3], "declaration.*"])
def test_odd_event_types_are_refused(api, types):
    body = {"url": "https://example.com/x", "event_types": types}
    assert api(make.firm()).post(ENDPOINTS, body).status_code == 422


class Rebinding:
    """A name server that tells a public address once and loopback from then on."""

    def __init__(self, *addresses_: str) -> None:
        self.answers = list(addresses_)

    def __call__(self, host, port, *arguments, **options):
        if host != "rebind.example.com":
            return self.real(host, port, *arguments, **options)
        address = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    real = staticmethod(socket.getaddrinfo)


@pytest.mark.parametrize("answers", [("127.0.0.1",), ("10.1.2.3",), ("169.254.169.254",), ("0.0.0.0",)])  # noqa: S104
def test_a_name_that_resolves_to_a_private_address_is_refused_at_connect_time(
    receiver, subscribe, monkeypatch, settings, answers
):
    hook, firm = receiver(), make.firm()
    settings.EXCHANGE_ALLOW_NETWORKS = []
    port = hook.server.server_port
    subscribe(firm, f"https://rebind.example.com:{port}/hook")
    monkeypatch.setattr(socket, "getaddrinfo", Rebinding(*answers))
    say("D1", audience=[firm.pk])
    deliver()
    assert Delivery.objects.get().last_error == "address refused"
    assert Attempt.objects.count() == 1


def test_a_name_that_resolves_privately_only_at_the_second_look_up_is_refused(
    receiver, subscribe, monkeypatch, settings
):
    """The first look-up tells an address that may be called (here the test host's); the next one another."""
    hook, firm = receiver(), make.firm()
    settings.EXCHANGE_ALLOW_NETWORKS = ["127.0.0.1/32"]
    monkeypatch.setattr(socket, "getaddrinfo", Rebinding("127.0.0.1", "127.0.0.2"))
    subscribe(firm, f"https://rebind.example.com:{hook.server.server_port}/hook")
    say("D1", audience=[firm.pk])
    for _ in range(2):
        due_now()
        deliver(linger=0)
    first, second = Attempt.objects.values_list("error", flat=True)
    assert first.startswith("Client")  # connected, but no TLS is spoken there
    assert second == "address refused"


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("8.8.8.8", True), ("2606:4700::1111", True), ("127.0.0.1", False), ("::1", False), ("10.0.0.1", False),
        ("172.16.0.1", False), ("192.168.0.1", False), ("169.254.169.254", False), ("100.100.100.200", False),
        ("fe80::1%eth0", False), ("fd00:ec2::254", False), ("::ffff:127.0.0.1", False), ("64:ff9b::7f00:1", False),
        ("0.0.0.0", False), ("224.0.0.1", False), ("255.255.255.255", False), ("2002:7f00:1::", False),  # noqa: S104
        ("not an address", False),
    ],
)  # fmt: skip
def test_addresses_that_are_connected_to(settings, address, allowed):
    settings.EXCHANGE_ALLOW_NETWORKS = []
    assert addresses.is_allowed(address) is allowed


def test_a_partner_that_makes_an_endpoint_gets_what_its_agreement_says(api, receiver):
    from tests.exchange.conftest import make_partner

    partner, hook = make_partner(), receiver()
    caller = api(partner.organisation)
    assert caller.post(ENDPOINTS, {"url": hook.url, "event_types": ["*"]}).status_code == 201
    say("D1", data={"state": "lodged", "price": "1.00"})
    deliver()
    assert [one.message["data"] for one in hook.taken] == [{"state": "lodged"}]
    assert OrganisationRole.PARTNER_PROVINCE in partner.organisation.roles
    assert delivery.IN_THE_AIR > delivery.PER_ENDPOINT


def test_a_replay_begins_and_ends_at_a_time_or_a_position(api, receiver, subscribe):
    firm = make.firm()
    endpoint, _ = subscribe(firm, receiver().url)
    for number in ("D1", "D2", "D3"):
        say(number, audience=[firm.pk])
    deliver()
    second = Event.objects.get(subject_number="D2")
    caller, path = api(firm), f"{ENDPOINTS}/{endpoint.pk}/replay"
    moment, soon = second.recorded_at.isoformat(), (timezone.now() + timedelta(hours=1)).isoformat()
    for asked, deliveries in (
        ({"from_time": moment}, 2),
        ({"after": 0, "to_time": moment}, 1),
        ({"from_time": moment, "before": second.position + 1}, 1),
        ({"from_time": soon}, 0),
    ):
        assert caller.post(path, asked).json() == {"deliveries": deliveries, "next": None}, asked
    for asked, pointer in (
        ({}, "/from_time"),
        ({"after": 0, "from_time": moment}, "/after"),
        ({"after": 0, "before": 9, "to_time": soon}, "/before"),
        ({"from_time": soon, "to_time": moment}, "/to_time"),
        ({"from_time": "yesterday"}, "/from_time"),
        ({"from_time": "0001-01-01T00:00:00Z"}, "/from_time"),
    ):
        refused = caller.post(path, asked)
        assert (refused.status_code, [one["pointer"] for one in refused.json()["errors"]]) == (422, [pointer]), asked


def test_a_replay_of_very_much_says_where_to_go_on_and_a_disabled_endpoint_misses_nothing(
    db, api, receiver, monkeypatch
):
    monkeypatch.setattr(endpoints, "MOST_REPLAYED", 2)
    firm = make.firm()
    caller, hook = api(firm), receiver()
    made = caller.post(ENDPOINTS, {"url": hook.url, "event_types": ["declaration.*"]}).json()
    path = f"{ENDPOINTS}/{made['id']}"
    ledger.disable(UUID(made["id"]), "test")
    for nth in range(5):
        say(f"D{nth}", audience=[firm.pk])
    deliver()
    assert hook.taken == []
    caller.post(f"{path}/resume")
    deliver()
    assert {number for number, _ in hook.numbers()} == {"D0", "D1", "D2", "D3", "D4"}
    again, after = [], 0
    while after is not None:
        answer = caller.post(f"{path}/replay", {"after": after}).json()
        again.append(answer["deliveries"])
        after = answer["next"]
    assert sum(again) == 5
    assert max(again) == 2
