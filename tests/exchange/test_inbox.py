from __future__ import annotations

import base64
import threading
import time

import orjson
import pytest
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange import inbox, partners, signing
from exchange.models import InboxMessage, Mirror, MirrorEvent, Partner, Quarantine, Refusal
from parties.principals import SYSTEM
from tests.exchange.conftest import TERMS, make_partner

pytestmark = pytest.mark.django_db

SECRET = signing.new_secret()


def message(number="D1", seq=1, prev=None, *, kind="declaration", type="declaration.lodged", **changes) -> dict:
    return {
        "specversion": "1.0",
        "id": f"00000000-0000-7000-8000-{abs(hash((kind, number, seq))) % 10**12:012d}",
        "source": "urn:singlewindow:450000",
        "type": type,
        "subject": f"{kind}/{number}",
        "time": f"2026-11-{min(seq, 28):02d}T08:00:00Z",
        "subjectkind": kind,
        "subjectnumber": number,
        "seq": seq,
        "prev": seq - 1 if prev is None else prev,
        "position": str(seq),
        "data": {"state": f"s{seq}"},
    } | changes


def send(value, *, code="450000", secret=SECRET, headers=None, message_id=None, timestamp=None):
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    message_id = message_id or (value["id"] if isinstance(value, dict) else "m1")
    signed = signing.headers([secret], message_id, body, timestamp=timestamp) | (headers or {})
    return Client(raise_request_exception=False).post(
        f"/api/v1/exchange/inbox/{code}", body, content_type="application/json", headers=signed
    )


def refused(answer, status: int, code: str) -> bool:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content
    assert answer["Content-Type"] == "application/problem+json"
    return Refusal.objects.get(code=code).count == 1


@pytest.fixture
def partner(db) -> Partner:
    return make_partner(secret=SECRET)


def test_a_message_becomes_part_of_a_mirror_marked_with_its_source(partner):
    answer = send(message())
    assert (answer.status_code, answer.json()) == (200, {"status": "applied", "seq": 1})
    mirror = Mirror.objects.get()
    assert (mirror.partner, mirror.subject_kind, mirror.subject_number, mirror.sequence, mirror.data) == (
        partner, "declaration", "D1", 1, {"state": "s1"}
    )  # fmt: skip
    assert bytes(InboxMessage.objects.get().body) == orjson.dumps(message())


def test_a_duplicate_changes_nothing(partner):
    send(message())
    assert send(message()).json()["status"] == "duplicate"
    assert (InboxMessage.objects.count(), MirrorEvent.objects.count(), Mirror.objects.get().count) == (1, 1, 1)


def test_the_same_content_spaced_differently_is_a_duplicate(partner):
    send(message())
    spaced = orjson.dumps(message(), option=orjson.OPT_INDENT_2)
    assert send(spaced, message_id=message()["id"]).json()["status"] == "duplicate"


def test_a_replayed_id_with_another_body_is_refused_and_nothing_changes(partner):
    send(message())
    assert refused(send(message(data={"state": "forged"})), 409, "message-id-reused")
    assert Mirror.objects.get().data == {"state": "s1"}


def test_a_gap_is_noticed_and_closed_by_the_late_event(partner):
    send(message(seq=1))
    assert send(message(seq=3)).json()["status"] == "gap"
    partner.refresh_from_db()
    assert partner.missing_since is not None
    assert Mirror.objects.get().missing == 1
    assert send(message(seq=2)).json()["status"] == "late"
    assert Mirror.objects.get().missing == 0


def test_a_hole_that_was_not_shared_is_no_gap(partner):
    send(message(seq=1))
    assert send(message(seq=7, prev=1)).json()["status"] == "applied"


def test_a_late_event_never_moves_a_record_backwards(partner):
    send(message(seq=3))
    send(message(seq=1, data={"state": "s1", "port": "CNCKG"}))
    mirror = Mirror.objects.get()
    assert (mirror.sequence, mirror.data, mirror.last_time.day) == (3, {"state": "s3", "port": "CNCKG"}, 3)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(1, 7)), again=st.lists(st.integers(1, 6), max_size=4))
def test_whatever_the_order_and_the_repetitions_the_mirror_ends_the_same(partner, order, again):
    MirrorEvent.objects.all().delete()
    Mirror.objects.all().delete()
    InboxMessage.objects.all().delete()
    for seq in [*order, *again]:
        assert send(message(seq=seq, data={"state": f"s{seq}"})).status_code == 200
    mirror = Mirror.objects.get()
    assert (mirror.sequence, mirror.count, mirror.missing, mirror.data, mirror.day.day) == (6, 6, 0, {"state": "s6"}, 1)


def test_another_event_in_a_taken_place_waits_in_quarantine(partner):
    send(message())
    other = message(id="00000000-0000-7000-8000-ffffffffffff", data={"state": "jumped back"})
    assert send(other).json()["code"] == "sequence-taken"
    assert Mirror.objects.get().data == {"state": "s1"}
    assert Quarantine.objects.get().code == "sequence-taken"


def test_a_wiped_mirror_is_rebuilt_by_the_same_messages(partner):
    for seq in (1, 2):
        send(message(seq=seq))
    Mirror.objects.all().delete()
    MirrorEvent.objects.all().delete()
    for seq in (2, 1):
        send(message(seq=seq))
    assert (Mirror.objects.get().sequence, Mirror.objects.get().missing) == (2, 0)


def test_fields_that_were_not_agreed_do_not_enter_the_mirror(partner):
    send(message(data={"state": "s1", "price": "100.00", "port": {"code": "x"}}))
    assert Mirror.objects.get().data == {"state": "s1"}
    assert MirrorEvent.objects.get().data == {"state": "s1"}


def test_ones_own_events_and_a_mirror_of_the_same_number_stay_apart(partner):
    from tests.exchange.conftest import say

    say("D1", data={"state": "own"})
    send(message())
    from events.models import Event

    assert Event.objects.get(subject_number="D1").data == {"state": "own"}


def test_a_missing_signature_is_refused(partner):
    body = orjson.dumps(message())
    answer = Client().post("/api/v1/exchange/inbox/450000", body, content_type="application/json")
    assert refused(answer, 400, "webhook-headers-missing")


@pytest.mark.parametrize("bad", ["v1,AAAA", "v2,x", "v1,", "garbage", "v1a,AAAA", "v1,%%%", "v1,é"])
def test_a_wrong_signature_is_refused(partner, bad):
    assert refused(send(message(), headers={"webhook-signature": bad}), 401, "webhook-signature")
    assert InboxMessage.objects.count() == 0


def test_a_body_changed_under_way_is_refused(partner):
    body = orjson.dumps(message())
    signed = signing.headers([SECRET], "m1", body)
    answer = Client().post(
        "/api/v1/exchange/inbox/450000", body.replace(b"s1", b"s9"), content_type="application/json", headers=signed
    )
    assert refused(answer, 401, "webhook-signature")


@pytest.mark.parametrize("off", [-signing.TOLERANCE - 2, signing.TOLERANCE + 2])
def test_an_old_or_future_timestamp_is_refused(partner, off):
    assert refused(send(message(), timestamp=time.time() + off), 401, "webhook-timestamp")


@pytest.mark.parametrize("stamp", ["", "soon", "1e9", "-5", "9" * 30, "１２３４５６７８９０"])
def test_an_odd_timestamp_is_refused(partner, stamp):
    assert send(message(), headers={"webhook-timestamp": stamp.encode("utf-8").decode("latin-1")}).status_code == 401


def test_an_ed25519_signature_is_verified(db):
    key = signing.new_key()
    make_partner(secret=signing.public_key(key))
    assert send(message(), secret=key).status_code == 200
    assert send(message(seq=2), secret=signing.new_key()).status_code == 401


def test_both_secrets_are_good_during_a_rotation(partner):
    new = signing.new_secret()
    partners.add_secret(partner=partner, secret=new, actor=SYSTEM)
    assert send(message(seq=1), secret=new).status_code == 200
    assert send(message(seq=2)).status_code == 200
    partner.secrets.filter(expires_at__isnull=False).delete()
    assert send(message(seq=3)).status_code == 401


def test_an_unknown_partner_is_answered_like_a_wrong_signature(partner):
    assert refused(send(message(), code="999999"), 401, "webhook-signature")


def test_a_suspended_partner_is_refused(partner):
    partners.suspend(partner=partner, actor=SYSTEM)
    assert send(message()).status_code == 401


def test_a_partner_without_an_agreement_is_refused(db):
    make_partner(secret=SECRET, incoming=None)
    assert refused(send(message()), 403, "no-agreement")
    assert InboxMessage.objects.count() == 0


def test_a_kind_the_agreement_does_not_name_is_refused(partner):
    assert refused(send(message(kind="manifest", type="manifest.received")), 403, "not-agreed")
    assert InboxMessage.objects.count() == 0


def test_of_a_type_the_agreement_does_not_cover_the_frame_is_taken_and_nothing_of_its_data(db):
    partner = make_partner(secret=SECRET, incoming=TERMS | {"types": ["declaration.released"]})
    assert send(message()).json() == {"status": "applied", "seq": 1}
    assert send(message(seq=2, type="declaration.released")).json() == {"status": "applied", "seq": 2}
    assert [event.data for event in MirrorEvent.objects.order_by("sequence")] == [{}, {"state": "s2"}]
    send(message(seq=3, dataschema="x/9"))
    waiting = Quarantine.objects.get()
    InboxMessage.objects.filter(pk=waiting.message_id).update(body=orjson.dumps(message(seq=3)))
    assert inbox.run_again(quarantine_id=waiting.pk, actor=SYSTEM).state == "applied"
    assert Mirror.objects.get(partner=partner).data == {"state": "s2"}


def test_a_five_megabyte_body_is_refused(partner):
    answer = send(message(data={"x": "y" * 5_000_000}))
    assert refused(answer, 413, "too-large")


def test_deep_nesting_waits_in_quarantine(partner):
    body = orjson.dumps(message())[:-1] + b',"deep":' + b"[" * 200 + b"]" * 200 + b"}"
    assert send(body, message_id="m1").json()["status"] == "quarantined"
    body = b'{"a":' * 100_00 + b"1" + b"}" * 100_00
    assert send(body, message_id="m2").json()["status"] == "quarantined"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"dataschema": "https://x/api/v1/standards/events/declaration.lodged/9"}, "unknown-version"),
        ({"type": "weather.changed"}, "unknown-type"),
        ({"seq": 0}, "validation-failed"),
        ({"seq": 3, "prev": 3}, "validation-failed"),
        ({"seq": 1e400}, "malformed-json"),
        ({"time": "20260230"}, "validation-failed"),
        ({"id": "not-a-uuid"}, "validation-failed"),
        ({"data": []}, "validation-failed"),
        ({"specversion": "0.3"}, "validation-failed"),
        ({"subjectnumber": "x" * 81}, "validation-failed"),
        ({"data": {"state": "\x00"}}, "validation-failed"),
        ({"data": {"state": 1e25}}, "validation-failed"),
        ({"data": {"state": [-(10**20)]}}, "validation-failed"),
    ],
)
def test_what_cannot_be_understood_waits_in_quarantine(partner, changes, code):
    import json

    body = json.dumps(message() | changes).encode()
    answer = send(body, message_id="m1")
    assert (answer.status_code, answer.json()) == (202, {"status": "quarantined", "code": code})
    waiting = Quarantine.objects.get()
    assert bytes(waiting.message.body) == body
    assert Mirror.objects.count() == 0
    again = inbox.run_again(quarantine_id=waiting.pk, actor=SYSTEM)
    assert (again.state, again.runs) == ("waiting", 1)


def test_a_quarantined_message_is_applied_once_it_is_understood(partner, monkeypatch):
    from exchange import standards

    send(message(dataschema="x/2"))
    monkeypatch.setattr(standards, "VERSIONS", frozenset({"1", "2"}))
    settled = inbox.run_again(quarantine_id=Quarantine.objects.get().pk, actor=SYSTEM)
    assert settled.state == "applied"
    assert Mirror.objects.get().sequence == 1


@pytest.mark.django_db(transaction=True)
def test_twins_at_the_same_moment_have_one_effect():
    make_partner(secret=SECRET)
    answers = []

    def one(seq: int) -> None:
        answers.append(send(message(seq=seq)).status_code)
        connection.close()

    threads = [threading.Thread(target=one, args=(seq,)) for seq in (1, 1, 2, 2, 3, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    mirror = Mirror.objects.get()
    assert (answers, mirror.count, mirror.sequence, mirror.missing) == ([200] * 6, 3, 3, 0)


def test_signatures_made_by_others_are_understood(partner):
    from datetime import UTC, datetime

    from standardwebhooks import Webhook

    body = orjson.dumps(message()).decode()
    now = datetime.now(UTC)
    signed = Webhook(SECRET).sign("m7", now, body)
    headers = {"webhook-id": "m7", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signed}
    assert Client().post(
        "/api/v1/exchange/inbox/450000", body, content_type="application/json", headers=headers
    ).status_code == 200  # fmt: skip
    assert base64.b64decode(SECRET[6:])
    assert TERMS["kinds"] == ["declaration", "bill"]
