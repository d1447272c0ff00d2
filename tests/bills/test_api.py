"""The bills over HTTP: one journey from draft to delivery, and what the API refuses."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from bills import exporting, issuing, keys, pdf, recording, signing, verify
from bills.canonical import parse
from bills.models import Bill
from common.pdf import font
from common.problems import Problem
from declarations import decisions
from parties import registration
from parties.principals import SYSTEM
from tests import make
from tests.bills import cast as cast_module
from tests.bills.cast import content, declared, handed_over, issued
from tests.bills.test_pure import efbl_example

BASE = "/api/v1/bills"


@pytest.fixture
def people(cast, api):
    return {who: api(organisation) for who, organisation in vars(cast).items()}


def do(api, number, act, status=201, **more):
    answer = api.post(f"{BASE}/{number}/acts", {"act": act, **more})
    assert answer.status_code == status, answer.content.decode()
    return answer.json()


def test_from_draft_to_delivery(cast, people):
    answer = people["operator"].post(BASE, content(cast))
    assert answer.status_code == 201, answer.content.decode()
    number = answer.json()["number"]
    assert answer["Location"] == f"{BASE}/{number}"
    do(people["operator"], number, "ISSUE")
    do(people["shipper"], number, "PLEDGE", recipient=cast.bank.pk)
    assert people["bank"].get(f"{BASE}?pledged_to_me=true").json()["results"][0]["number"] == number
    problem = do(people["shipper"], number, "ENDORSE_TO_ORDER", 409, recipient=cast.buyer.pk)
    assert problem["code"] == "pledged"
    do(people["bank"], number, "RELEASE")
    do(people["shipper"], number, "ENDORSE_TO_ORDER", recipient=cast.buyer.pk)
    do(people["shipper"], number, "TRANSFER", recipient=cast.buyer.pk)
    departed = {"leg": 2, "kind": "departed", "occurred_at": "2026-11-20T08:00:00+08:00", "place": "CNQZH"}
    assert people["carrier"].post(f"{BASE}/{number}/leg-events", departed).status_code == 201
    seen = people["buyer"].get(f"{BASE}/{number}").json()
    assert (seen["whereabouts"]["status"], seen["whereabouts"]["leg"]) == ("under_way", 2)
    assert (seen["holder"]["id"], seen["pledgee"]) == (cast.buyer.pk, None)
    assert people["buyer"].get(f"{BASE}?held=true&container=CSQU3054383").json()["results"][0]["number"] == number
    assert people["shipper"].get(f"{BASE}?held=true").json()["results"] == []
    paper = {"kind": "import_declaration", "number": declared(Bill.objects.get(number=number), "accepted")}
    assert people["buyer"].post(f"{BASE}/{number}/papers", paper).status_code == 201
    do(people["buyer"], number, "SURRENDER_FOR_DELIVERY")
    do(people["operator"], number, "ACCEPT")
    assert people["operator"].post(f"{BASE}/{number}/delivery-order").json()["code"] == "not-released"
    decisions.decide(number=paper["number"], command="release", principal=SYSTEM, reason_code="examined")
    make.settle()
    order = people["operator"].post(f"{BASE}/{number}/delivery-order").json()["number"]
    answer = people["operator"].post(f"{BASE}/{number}/deliver", {"order": order, "to": cast.buyer.pk})
    assert answer.status_code == 200, answer.content.decode()
    file = people["buyer"].get(f"{BASE}/{number}/export").json()
    assert verify.verify(file).state == "delivered"
    assert make.events_of("bill", number) == [
        "bill.drafted", "bill.issued", "bill.pledged", "bill.pledge_released", "bill.endorsed", "bill.transferred",
        "bill.leg_departed", "bill.paper_linked", "bill.surrendered", "bill.surrender_accepted", "bill.paper_released",
        "bill.delivery_ordered", "bill.delivered",
    ]  # fmt: skip


def test_an_organisation_signs_with_its_own_key(cast, people):
    private = signing.generate()
    answer = people["operator"].post(f"{BASE}/keys", {"jwk": signing.public_part(private), "replace": True})
    assert (answer.status_code, answer.json()["kept_here"]) == (201, False)
    number = people["operator"].post(BASE, content(cast)).json()["number"]
    to_sign = f"{BASE}/{number}/acts/to-sign"
    asked = people["operator"].post(to_sign, {"act": "ISSUE"}).json()
    assert asked["act"] is None
    manifest = signing.sign(asked["issuance_manifest"], private)
    act = people["operator"].post(to_sign, {"act": "ISSUE", "issuance_manifest": manifest}).json()["act"]
    assert (act["act"], act["transportDocumentChecksum"]) == ("ISSUE", asked["checksum"])
    problem = do(people["operator"], number, "ISSUE", 409)
    assert problem["code"] == "no-key-here"
    do(people["operator"], number, "ISSUE", signed=signing.sign(act, private), issuance_manifest=manifest)
    assert verify.verify(people["shipper"].get(f"{BASE}/{number}/export").json()).acts == 1


def test_an_organisation_with_a_key_of_its_own_does_every_act_of_its_capacity(cast, people):
    """Amend, to paper and back, deliver, leave, void: what to sign is told, and what is signed is taken."""
    private = signing.generate()
    bills = [handed_over(cast, issued(cast)) for _ in range(3)]
    keys.register_key(principal=cast.p("operator"), jwk=signing.public_part(private), replace=True)
    operator = people["operator"]

    def signed(bill, act, path, **body):
        to_sign = f"{BASE}/{bill.number}/acts/to-sign"
        asked = operator.post(to_sign, {"act": act} | body)
        assert asked.status_code == 200, asked.content.decode()
        told = asked.json()
        if "issuance_manifest" in told:
            body["issuance_manifest"] = signing.sign(told["issuance_manifest"], private)
            told = operator.post(to_sign, {"act": act} | body).json()["act"]
        assert told["act"] == act
        unsigned = operator.post(f"{BASE}/{bill.number}/{path}", body)
        assert unsigned.json()["code"] == "no-key-here"
        answer = operator.post(f"{BASE}/{bill.number}/{path}", body | {"signed": signing.sign(told, private)})
        assert answer.status_code == 200, answer.content.decode()
        verify.verify(people["buyer"].get(f"{BASE}/{bill.number}/export").json())

    for bill in bills:
        do(people["buyer"], bill.number, "SURRENDER_FOR_AMENDMENT")
    changed = bills[0].versions.get().content | {"clauses": ["said to contain"]}
    signed(bills[0], "AMEND", "amend", content=changed)
    signed(bills[1], "TO_PAPER", "to-paper")
    signed(bills[1], "FROM_PAPER", "from-paper", returned=1, presenter=cast.buyer.pk)
    signed(bills[2], "VOID", "void")
    do(people["buyer"], bills[0].number, "SURRENDER_FOR_DELIVERY")
    accept = operator.post(f"{BASE}/{bills[0].number}/acts/to-sign", {"act": "ACCEPT"}).json()
    do(operator, bills[0].number, "ACCEPT", signed=signing.sign(accept, private))
    link = {"kind": "import_declaration", "number": declared(bills[0], "released")}
    assert operator.post(f"{BASE}/{bills[0].number}/papers", link).status_code == 201
    order = operator.post(f"{BASE}/{bills[0].number}/delivery-order").json()["number"]
    signed(bills[0], "DELIVER", "deliver", order=order, to=cast.buyer.pk)
    assert operator.get(f"{BASE}/{bills[0].number}").json()["state"] == "delivered"


def test_a_text_in_place_of_a_signature_is_not_taken_for_a_question(cast, people):
    bill = issued(cast, "bearer")
    problem = do(people["shipper"], bill.number, "SIGN", 422, signed="?")
    assert problem["code"] == "act-malformed"


@pytest.mark.parametrize("kind", ["private", "short", "garbage"])
def test_a_key_that_is_none_is_refused(cast, people, kind):
    jwk = {"private": signing.generate(), "short": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}, "garbage": {"kty": "?"}}[
        kind
    ]
    answer = people["shipper"].post(f"{BASE}/keys", {"jwk": jwk})
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["code"] == "bad-key"
    assert '"d"' not in answer.content.decode()


def test_faults_of_a_bill_are_told_all_at_once_with_pointers(cast, people):
    made = content(cast)
    made["legs"][1]["from"] = {"unlocode": "CNNNG"}
    made["containers"][0]["number"] = "CSQU3054384"
    number = people["operator"].post(BASE, made).json()["number"]
    answer = people["operator"].post(f"{BASE}/{number}/acts", {"act": "ISSUE"})
    assert answer.status_code == 422
    assert {(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]} >= {
        ("/legs/1/from", "leg-does-not-join"), ("/containers/0/number", "container-check-digit"),
    }  # fmt: skip
    assert people["operator"].get(f"{BASE}/{number}").json()["state"] == "draft"


@pytest.mark.parametrize("end", ["draft", "void"])
def test_nothing_is_done_with_what_was_never_issued(cast, people, end):
    number = people["operator"].post(BASE, content(cast)).json()["number"]
    path = f"{BASE}/{number}"
    if end == "void":
        assert people["operator"].post(f"{path}/void").status_code == 200
    for act in sorted(recording.PLAIN):
        for where in ("acts", "acts/to-sign"):
            answer = people["operator"].post(f"{path}/{where}", {"act": act, "recipient": cast.bank.pk})
            assert (answer.status_code, answer.json()["code"]) == (409, "state-conflict"), (act, where)
    for command in ("TO_PAPER", "FROM_PAPER", "AMEND"):
        given = {"returned": 1, "presenter": cast.buyer.pk, "content": content(cast)}
        answer = people["operator"].post(f"{path}/acts/to-sign", {"act": command} | given)
        assert answer.json()["code"] == "state-conflict", command
    assert people["operator"].post(f"{path}/to-paper").json()["code"] == "state-conflict"
    abroad = {"platform": "WAVE", "name": "X", "codes": [{"codeListProvider": "WAVE", "partyCode": "1"}]}
    keys.register_platform(code="WAVE", name="Wave", base_url="https://wave.example", jwks={})
    answer = people["operator"].post(f"{path}/departures", abroad)
    assert (answer.status_code, answer.json()["code"]) == (409, "state-conflict")


@pytest.mark.parametrize(
    "text", ["soon", "2026-13-01T00:00:00+08:00", "20261201T080000+0800", "2026-12-01", "9999-12-31T23:59:59-14:00", ""]
)
def test_a_planned_time_that_is_none_is_refused(cast, people, text):
    made = content(cast)
    made["legs"][0]["planned_departure"] = text
    answer = people["operator"].post(BASE, made)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/legs/0/planned_departure"]


@pytest.mark.parametrize("body", [b"[]", b"null", b"3", b'"x"', b"{", b'{"kind": []}', b'{"a": "\\u0000"}'])
def test_what_is_no_bill_is_refused(people, body):
    assert people["operator"].post(BASE, body).status_code in (400, 422)


def test_only_operators_and_carriers_issue(cast, people):
    answer = people["shipper"].post(BASE, content(cast))
    assert (answer.status_code, answer.json()["code"]) == (403, "not-an-operator")


@pytest.mark.parametrize("weakened", [False, True])
def test_a_stale_if_match_is_refused_and_one_that_names_the_bill_as_it_is_is_not(cast, people, weakened):
    """A proxy that compresses makes the tag a weak one on its way out: it names the same bill."""
    path = f"{BASE}/{issued(cast, 'bearer').number}"

    def transfer(tag):
        return people["shipper"].post(
            f"{path}/acts", {"act": "TRANSFER", "recipient": cast.buyer.pk}, headers={"If-Match": tag}
        )

    def tag():
        return ("W/" if weakened else "") + people["shipper"].get(path)["ETag"]

    old = tag()
    assert people["shipper"].post(f"{path}/acts", {"act": "SIGN"}, headers={"If-Match": old}).status_code == 201
    assert transfer(old).status_code == 412
    assert transfer(f'"other", {tag()}').status_code == 201


def test_any_version_is_named_by_an_asterisk(cast, people):
    path = f"{BASE}/{issued(cast, 'bearer').number}/acts"
    assert people["shipper"].post(path, {"act": "SIGN"}, headers={"If-Match": "*"}).status_code == 201


def test_a_draft_changed_since_it_was_read_is_not_written_over(cast, people):
    path = f"{BASE}/{people['operator'].post(BASE, content(cast)).json()['number']}"
    etag = people["operator"].get(path)["ETag"]
    changed = content(cast, booking="B1")
    assert people["operator"].put(path, changed, headers={"If-Match": etag}).status_code == 200
    assert people["operator"].put(path, content(cast), headers={"If-Match": etag}).status_code == 412
    assert people["operator"].get(path).json()["content"]["booking"] == "B1"


def test_who_has_the_bill_as_it_is_gets_it_once(cast, people):
    path = f"{BASE}/{issued(cast).number}"
    etag = people["shipper"].get(path)["ETag"]
    for had in (etag, f"W/{etag}", f'"other", {etag}'):
        assert people["shipper"].get(path, headers={"If-None-Match": had}).status_code == 304, had
    departed = {"leg": 2, "kind": "departed", "occurred_at": "2026-11-20T08:00:00+08:00"}
    assert people["carrier"].post(f"{path}/leg-events", departed).status_code == 201
    assert people["shipper"].get(path, headers={"If-None-Match": etag}).status_code == 200


def test_the_same_idempotency_key_acts_once(cast, people):
    bill = issued(cast, "bearer")

    def send():
        return people["shipper"].post(f"{BASE}/{bill.number}/acts", {"act": "SIGN"}, headers={"Idempotency-Key": "k1"})

    assert send().json()["checksum"] == send().json()["checksum"]
    bill.refresh_from_db()
    assert bill.acts == 2


def test_who_only_took_part_sees_its_own_acts_and_no_export(cast, people):
    bill = handed_over(cast, handed_over(cast, issued(cast)), "third", "buyer")
    seen = people["shipper"].get(f"{BASE}/{bill.number}/acts").json()["results"]
    assert [act["sequence"] for act in seen] == [1, 2, 3]
    assert len(people["third"].get(f"{BASE}/{bill.number}/acts").json()["results"]) == 5
    assert people["shipper"].get(f"{BASE}/{bill.number}/export").status_code == 404
    assert people["bank"].get(f"{BASE}/{bill.number}").status_code == 404


def test_who_passed_a_bill_on_sees_what_it_took_part_in_and_no_more(cast, people):
    """Neither today's holder and bank, nor where the goods are, nor a version that came after it."""
    bill = handed_over(cast, issued(cast))
    handed_over(cast, bill, "third", "buyer")
    cast.does("third", "SURRENDER_FOR_AMENDMENT", bill)
    changed = bill.versions.get().content | {"clauses": ["later"]}
    issuing.amend(number=bill.number, principal=cast.p("operator"), content=changed)
    cast.does("third", "PLEDGE", bill, "bank")
    path = f"{BASE}/{bill.number}"

    def seen(who):
        return people[who].get(path).json()

    for who in ("third", "bank", "operator"):
        full = seen(who)
        assert (full["holder"]["id"], full["pledgee"]["id"]) == (cast.third.pk, cast.bank.pk)
        assert (full["content_version"], full["content"]["clauses"]) == (2, ["later"])
    for who in ("shipper", "carrier"):  # named in the version in force
        named = seen(who)
        assert (named["holder"], named["pledgee"], named["content_version"]) == (None, None, 2)
        assert named["whereabouts"] is not None
    past = seen("buyer")
    assert (past["holder"], past["pledgee"], past["content_version"]) == (None, None, 1)
    assert ("clauses" in past["content"], past["whereabouts"], past["legs"]) == (False, None, [])
    listed = people["buyer"].get(BASE).json()["results"][0]
    assert (listed["number"], listed["holder"], listed["pledgee"]) == (bill.number, None, None)
    for part in ("pdf", "efbl", "leg-events", "export", "documents", "delivery-order"):
        assert people["buyer"].get(f"{path}/{part}").status_code == 404, part
    assert people["carrier"].get(f"{path}/leg-events").status_code == 200
    departures = {who: people[who].get(f"{path}/departures").status_code for who in ("buyer", "carrier")}
    assert departures == {"buyer": 200, "carrier": 404}


def test_an_efbl_becomes_a_draft_and_comes_back(people):
    theirs = efbl_example("third")
    answer = people["operator"].post(f"{BASE}/from-efbl", theirs)
    assert answer.status_code == 201, answer.content.decode()
    back = people["operator"].get(f"{BASE}/{answer.json()['number']}/efbl").json()
    back["exchanged_document"].pop("id")
    assert back == theirs
    assert people["operator"].post(f"{BASE}/from-efbl", {"exchanged_document": 1}).status_code == 422


# For people -------------------------------------------------------------------------------------------------------
def test_the_public_page_shows_state_and_version_and_nothing_private(cast):
    bill = issued(cast)
    client = Client()
    page = client.get(f"/verify/bills/{bill.number}/{bill.checksum[:32]}")
    text = page.content.decode()
    assert page.status_code == 200
    assert "有效版本" in text
    english = client.get(f"/verify/bills/{bill.number}/{bill.checksum[:32]}?lang=en").content.decode()
    assert "The version in force" in english
    for private in (cast.shipper.name, cast.buyer.name, "rubber", "橡胶", "CSQU3054383"):
        assert private not in text + english
    for wrong in ("0" * 32, bill.checksum[:8], "x"):
        assert client.get(f"/verify/bills/{bill.number}/{wrong}").status_code == 404
        assert client.get(f"{BASE}/verify/{bill.number}/{wrong}").status_code == 404


def test_the_day_of_issue_is_the_legal_day_everywhere(cast):
    """A bill issued at 23:30 UTC is issued on the next day in China: on the page and the print as in the document."""
    night = (timezone.now() + timedelta(days=1)).replace(hour=23, minute=30)
    with time_machine.travel(night, tick=False):
        bill = issued(cast)
    day = night.date() + timedelta(days=1)
    document = parse(bill.versions.get().document)
    said = exporting.public_state(bill.number, bill.checksum)
    assert (document["issueDate"], said["issued_on"]) == (day.isoformat(), day)
    assert pdf._issued(bill, {}) == day.isoformat()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_pdf_is_made_in_both_languages(cast, people, language):
    if font() is None:
        pytest.skip("no font with Chinese glyphs on this machine")
    bill = issued(cast)
    made = people["shipper"].get(f"{BASE}/{bill.number}/pdf?lang={language}")
    assert (made.status_code, made["Content-Type"]) == (200, "application/pdf")
    assert made.content.startswith(b"%PDF-")
    assert b"/FontFile" in made.content
    draft = people["operator"].post(BASE, content(cast)).json()["number"]
    assert people["operator"].get(f"{BASE}/{draft}/pdf").status_code == 200


def test_a_printed_column_stays_a_column():
    """Captions of the right-hand column were printed over those of the left-hand one."""
    page = pdf.Print("en", "")
    page.add_page()
    page.set_xy(110, 50)
    for text in ("one", "two\nlines", ""):
        page.label("caption", text, 80)
        assert round(page.get_x()) == 110
    assert page.get_y() > 70


def test_without_a_font_the_refusal_says_what_to_install(cast, people, settings):
    bill = issued(cast)
    settings.PDF_FONT = "/no/such/font.ttf"
    font.cache_clear()
    try:
        answer = people["shipper"].get(f"{BASE}/{bill.number}/pdf")
        assert (answer.status_code, answer.json()["code"]) == (503, "no-font")
        assert "fonts-noto-cjk" in answer.json()["detail"]
        with pytest.raises(Problem):
            pdf.render(bill)
    finally:
        font.cache_clear()


def test_verifying_online_is_the_offline_verifier(cast, people):
    bill = issued(cast)
    file = people["shipper"].get(f"{BASE}/{bill.number}/export").json()
    public = cast_module.make.Api()
    said = public.post(f"{BASE}/verify", file).json()
    assert (said["ok"], said["up_to_date"], said["platform_key_is_ours"]) == (True, True, True)
    do(people["shipper"], bill.number, "SIGN")
    assert public.post(f"{BASE}/verify", file).json()["up_to_date"] is False
    signed = file["acts"][0]
    file["acts"][0] = signed[:-10] + ("A" if signed[-10] != "A" else "B") + signed[-9:]  # another signature, always
    assert public.post(f"{BASE}/verify", file).json()["ok"] is False


def test_the_jwks_gives_no_private_half(cast, people):
    issued(cast)
    published = cast_module.make.Api().get(f"{BASE}/jwks").json()
    assert len(published["keys"]) == 2
    assert not any("d" in key for key in published["keys"])


def test_the_console_shows_customs_every_bill(cast, officer_client):
    bill = issued(cast)
    for path in ("/console/bills/bill/", f"/console/bills/bill/{bill.pk}/change/", "/console/bills/signingkey/",
                 "/console/bills/platform/", "/console/bills/departure/", "/console/bills/arrival/",
                 "/console/bills/deliveryorder/"):  # fmt: skip
        assert officer_client.get(path).status_code == 200, path
    assert bill.number in officer_client.get("/console/bills/bill/").content.decode()


def test_the_console_shows_a_bank_what_is_its_own(cast):
    pledged, other = issued(cast), issued(cast)
    cast.does("shipper", "PLEDGE", pledged, "bank")
    clerk = registration.register_officer(
        username="clerk",
        password="a-long-password",
        organisation=cast.bank,
        offices=(),
        duties=(),
        since=date(2020, 1, 1),
    )
    client = Client()
    client.force_login(clerk.user)
    page = client.get("/console/bills/bill/").content.decode()
    assert pledged.number in page
    assert other.number not in page
    assert client.get(f"/console/bills/bill/{pledged.pk}/change/").status_code == 200
    assert client.get(f"/console/bills/bill/{other.pk}/change/").status_code in (302, 404)
    assert client.get("/console/bills/signingkey/").status_code in (302, 403, 404)
