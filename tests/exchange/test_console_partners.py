"""Partners on one page, with how things stand between us; what reaches them and what verifies them is changed there."""

from __future__ import annotations

import re
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from common.problems import Problem
from events.models import Event
from exchange import conformance, endpoints, inbox, partners, signing, vault
from exchange.models import Delivery, DigestReport, Endpoint, Mirror, Partner
from parties.models import Officer
from parties.principals import SYSTEM
from tests import make
from tests.console.officers import Desk
from tests.exchange.conftest import TERMS, deliver, make_partner, principal_of, say
from tests.exchange.test_inbox import SECRET, message, send

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/console/exchange/partner/"


@pytest.fixture
def desk() -> Desk:
    return Desk(duties=(Officer.Duty.EXCHANGE,))


def hook(partner: Partner, url: str) -> Endpoint:
    return endpoints.create(principal=principal_of(partner.organisation), url=url, event_types=["*"])[0]


def row(desk: Desk, code: str = "450000") -> dict[str, str]:
    """Column -> text, of a partner's row."""
    page = desk.http.get(PAGE).content.decode()
    line = next(one for one in re.findall(r"<tr>.*?</tr>", page, re.S) if f">{code}<" in one)
    cells = re.findall(r'<t[dh] class="field-(\w+)[^"]*">(.*?)</t[dh]>', line, re.S)
    return {name: re.sub(r"<[^>]+>", "", text).strip() for name, text in cells}


def test_the_page_of_partners_says_what_waits_fails_lacks_and_when_we_last_agreed(desk, receiver):
    partner = make_partner(secret=SECRET)
    endpoint = hook(partner, receiver(lambda received, nth: 500).url)
    assert row(desk)["hooks"] == "启用"
    say("D1", data={"state": "x"})
    deliver()
    Delivery.objects.update(created_at=timezone.now() - timedelta(seconds=100))
    send(message(seq=3, prev=2))  # a gap
    send(message("D9", type="declaration.exploded"))
    for code in ("wrong", "wrong", "late"):
        inbox.refuse(partner.pk, Problem(401, code, code))
    found = row(desk)
    assert found["hooks"] == "启用，连续失败 1"
    assert 100 <= int(found["lag"].split()[0]) < 200
    assert {name: found[name] for name in ("waiting", "parked", "gaps", "quarantined", "refused")} == {
        "waiting": "1", "parked": "0", "gaps": "1", "quarantined": "1", "refused": "3",
    }  # fmt: skip
    Endpoint.objects.update(spared_until=timezone.now() + timedelta(minutes=5))
    assert "暂缓至" in row(desk)["hooks"]
    Endpoint.objects.update(state="disabled", state_reason=Endpoint.Reason.GONE)
    assert row(desk)["hooks"] == "停用 已应答 410"
    endpoints.resume(endpoint_id=endpoint.pk, principal=None)
    endpoints.delete(endpoint_id=endpoint.pk, principal=principal_of(partner.organisation))
    assert row(desk)["hooks"] == "—"


def test_what_a_partner_reports_is_its_word_and_not_our_last_agreement(desk):
    partner = make_partner()
    DigestReport.objects.create(partner=partner, made_by="theirs", agrees=True)
    DigestReport.objects.create(partner=partner, made_by="own", agrees=False)
    assert row(desk)["last_agreement"] == "—"
    DigestReport.objects.create(partner=partner, made_by="own", agrees=True)
    assert row(desk)["last_agreement"] != "—"


def test_more_partners_and_more_transits_for_here_cost_no_more_queries(desk, receiver, settings):
    settings.PROVINCE = "450000"
    release = Desk(duties=(Officer.Duty.RELEASE,))
    terms = TERMS | {"kinds": ["transit"], "types": ["transit.*"], "fields": {"*": ["to_province"]}}
    pages = ((desk, PAGE), (release, "/console/exchange/incomingtransit/"))

    def add(code: str) -> None:
        secret = signing.new_secret()
        hook(make_partner(code, secret=secret, incoming=terms), receiver().url)
        told = message(f"T{code}", kind="transit", type="transit.opened", data={"to_province": "450000"})
        assert send(told, code=code, secret=secret).status_code == 200

    def asked() -> list[int]:
        counts = []
        for who, page in pages:
            with CaptureQueriesContext(connection) as queries:
                assert who.http.get(page).status_code == 200
            counts.append(len(queries))
        return counts

    add("500000")
    asked()
    one = asked()
    for code in ("510000", "520000", "530000"):
        add(code)
    assert asked() == one
    assert Mirror.objects.count() == 4


def test_where_a_partner_is_reached_is_changed_in_the_console_and_secrets_are_not_shown(desk):
    partner = make_partner(base_url="https://old.example.com/api/v1", client_id="ours", client_secret="before")
    Partner.objects.update(spared_until=timezone.now() + timedelta(hours=1), last_error="no answer")
    page = desk.get("partner_connection", "450000").content.decode()
    assert 'value="https://old.example.com/api/v1"' in page
    assert "before" not in page
    wrong = desk.post("partner_connection", "450000", base_url="http://10.0.0.1", client_id="x", client_secret="typed")
    assert 'id="e-base_url"' in wrong.content.decode()
    assert "typed" not in wrong.content.decode()
    partner.refresh_from_db()
    assert (partner.base_url, partner.client_id) == ("https://old.example.com/api/v1", "ours")
    new = {"base_url": "https://new.example.com/api/v1/", "client_id": "ours", "client_secret": ""}
    desk.post("partner_connection", "450000", **new)
    partner.refresh_from_db()
    assert (partner.base_url, vault.unseal(partner.client_secret)) == ("https://new.example.com/api/v1", "before")
    assert (partner.spared_until, partner.last_error) == (None, "")
    desk.post("partner_connection", "450000", **new | {"client_secret": "after"})
    desk.post("partner_connection", "450000", **new)  # as it is: nothing to say
    partner.refresh_from_db()
    assert vault.unseal(partner.client_secret) == "after"
    said = [
        (event.actor, event.data["changed"]) for event in Event.objects.filter(type="partner.changed").order_by("entry")
    ]
    assert said == [(desk.actor, ["base_url"]), (desk.actor, ["client_secret"])]


def test_a_partners_secret_is_rotated_in_the_console_and_both_verify_for_a_day(desk):
    partner, new = make_partner(secret=SECRET), signing.new_secret()
    wrong = desk.post("partner_secret", "450000", secret="whsec_short")
    assert 'id="e-secret"' in wrong.content.decode()
    assert "whsec_short" not in wrong.content.decode()
    assert partner.secrets.count() == 1
    done = desk.post("partner_secret", "450000", secret=new)
    assert "24 小时" in done.content.decode()
    assert new not in done.content.decode()
    assert send(message("D1")).status_code == 200
    assert send(message("D2"), secret=new).status_code == 200
    partner.secrets.filter(expires_at__isnull=False).update(expires_at=timezone.now())
    assert send(message("D3")).status_code == 401
    assert send(message("D4"), secret=new).status_code == 200
    assert Event.objects.filter(type="partner.secret_added", actor=desk.actor).count() == 1


def test_of_two_secrets_given_at_once_one_is_good_from_now_on():
    partner = make_partner(secret=SECRET)

    def second() -> None:
        partners.add_secret(partner=partner, secret=signing.new_secret(), actor=SYSTEM)
        connection.close()

    thread = threading.Thread(target=second)
    with transaction.atomic(), connection.cursor() as cursor:
        partners.add_secret(partner=partner, secret=signing.new_secret(), actor=SYSTEM)
        thread.start()
        deadline, waiting = time.monotonic() + 20, 0
        while not waiting and time.monotonic() < deadline:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            waiting = cursor.fetchone()[0]
        assert waiting
    thread.join(20)
    assert partner.secrets.filter(expires_at=None).count() == 1
    assert partner.secrets.count() == 3


@pytest.mark.parametrize("page", ["partner_connection", "partner_secret"])
def test_others_have_no_business_with_a_partners_connection(page):
    make_partner()
    other = Desk(duties=(Officer.Duty.RELEASE,))
    assert (other.get(page, "450000").status_code, other.post(page, "450000").status_code) == (403, 403)


def test_a_delivery_is_tried_again_with_one_click_where_it_is_shown(desk, receiver):
    partner, target = make_partner(), receiver(lambda received, nth: 500 if nth < 3 else 200)
    endpoint = hook(partner, target.url)
    say("D1", data={"state": "x"})
    say("D1", type="declaration.accepted", data={"state": "y"})
    deliver()
    first, behind = Delivery.objects.order_by("position")
    pages = (
        "/console/exchange/delivery/",
        f"/console/exchange/delivery/{first.pk}/change/",
        f"/console/exchange/endpoints/{endpoint.pk}/",
    )
    address = f"/console/exchange/deliveries/{first.pk}/retry/"
    for page in pages:
        shown = desk.http.get(page).content.decode()
        assert f'action="{address}"' in shown, page
        assert f"/deliveries/{behind.pk}/retry/" not in shown  # waits behind the first
        answer = desk.http.post(address, headers={"Referer": f"http://testserver{page}?state=pending"})
        assert (answer.status_code, answer["Location"]) == (302, f"http://testserver{page}?state=pending")
        assert Delivery.objects.get(pk=first.pk).ready_at <= timezone.now()
    away = desk.http.post(address, headers={"Referer": "https://elsewhere.example/"})
    assert away["Location"] == pages[1]
    assert Event.objects.filter(type="webhook_endpoint.retried", actor=desk.actor).count() == 4
    told = desk.post("delivery_retry", behind.pk)
    assert "更早的投递未送达" in told.content.decode()
    strict = Desk(duties=(Officer.Duty.EXCHANGE,))
    strict.http.handler.enforce_csrf_checks = True
    assert strict.http.post(address).status_code == 403
    assert Desk(duties=(Officer.Duty.RELEASE,)).http.post(address).status_code == 403
    while Delivery.objects.filter(state="pending").exists():
        desk.http.post(address)
        deliver()
    assert target.numbers() == [("D1", 1), ("D1", 2)]


def test_a_conformance_report_reads_as_a_table_in_both_languages(desk, receiver):
    made, _ = conformance.start(principal=principal_of(make.firm()), url=receiver().url)
    conformance.run(made.pk)
    page = desk.http.get(f"/console/exchange/conformancerun/{made.pk}/change/").content.decode()
    assert "错误签名被拒绝" in page
    assert "未通过" in page
    assert "&quot;verdict&quot;" not in page
    desk.http.post("/i18n/setlang/", {"language": "en"})
    english = desk.http.get(f"/console/exchange/conformancerun/{made.pk}/change/").content.decode()
    assert "a wrong signature is refused" in english
    assert "compare in constant time; answer 401 when it differs" in english
    assert "错误签名被拒绝" not in english
