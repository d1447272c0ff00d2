"""DCSA PINT: what comes in gets the signed answer the standard names; what goes out is sent until a signed answer comes."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.utils import timezone

from bills import departing, exporting, interchange, keys, sight, signing, verify
from bills.canonical import canonical, checksum, parse
from bills.departing import Reply
from bills.envelope import schema_fault
from bills.models import Arrival, Bill, Departure, SigningKey, SupportingDocument
from bills.wire import dcsa
from common.problems import Problem
from parties.models import OrganisationRole
from tests import make
from tests.bills.cast import issued
from tests.bills.foreign import Foreign, encoded, metadata, party
from tests.make import events_of

URL = "/api/v1/pint/v3"


@pytest.fixture
def wave(db) -> Foreign:
    return Foreign()


@pytest.fixture
def partner(wave):
    organisation = make.organisation(OrganisationRole.PARTNER_PROVINCE)
    keys.register_platform(
        code="WAVE", name="Wave", base_url="https://wave.example", jwks=wave.jwks(), organisation=organisation
    )
    return organisation


@pytest.fixture
def pint(partner, api):
    return api(partner)


def said(answer: Any, code: str) -> dict[str, Any]:
    """The signed answer, checked with our published key and against the standard's schema."""
    token = answer.json()
    assert isinstance(token, str), token
    ring = signing.KeyRing(
        signing.Key(key["kid"], signing.public_part(key), key["owner"]) for key in keys.jwks()["keys"]
    )
    payload = signing.opened(token, ring).payload
    assert schema_fault("EnvelopeTransferFinishedResponse", payload) == ""
    assert payload["responseCode"] == code, payload
    expected = {"RECE": 200, "DUPE": 200, "BENV": 422, "BSIG": 422, "INCD": 409, "MDOC": 409, "DISE": 409}[code]
    assert (answer.status_code, answer["API-Version"]) == (expected, "3.0.0")
    return payload


def send(pint, body: Any) -> Any:
    return pint.post(f"{URL}/envelopes", body if isinstance(body, bytes) else canonical(body))


def test_an_envelope_is_received_and_its_recipient_holds_the_bill(cast, wave, pint):
    body = wave.envelope(keys.party_of(cast.buyer))
    payload = said(send(pint, body), "RECE")
    assert payload["lastEnvelopeTransferChainEntrySignedContentChecksum"] == checksum(body["envelopeTransferChain"][-1])
    bill = Bill.objects.get(number=body["transportDocument"]["transportDocumentReference"])
    assert (bill.state, bill.holder, bill.endorsee_key) == ("issued", cast.buyer, bill.holder_key)
    assert bill.issuer is None
    assert parse(bill.versions.get().document) == body["transportDocument"]
    assert events_of("bill", bill.number) == ["bill.arrived"]
    report = verify.verify(exporting.export(bill))
    assert (report.state, report.acts) == ("issued", 1)
    cast.does("buyer", "ENDORSE_TO_ORDER", bill, "third")
    cast.does("buyer", "TRANSFER", bill, "third")
    bill.refresh_from_db()
    assert bill.holder == cast.third
    verify.verify(exporting.export(bill))


def test_organisation_numbers_of_another_register_mean_nobody_here(cast, wave, pint, api):
    """The numbers in ``oneBill`` are the sender's own; who is named here is told by codes alone, also to notify and the
    carrier of a leg."""

    def of(organisation):
        code = {"provider": "ZZZ", "list": "USCC", "code": organisation.social_credit_code}
        return {"name": organisation.name, "organisation": cast.shipper.pk, "identifiers": [code]}

    document = wave.document()
    told = document["oneBill"]
    for own in (told["parties"]["consignor"], told["parties"]["operator"]):
        own["organisation"] = cast.shipper.pk
    told["parties"]["notify"] = [of(cast.third)]
    told["legs"][1]["carrier"] = of(cast.carrier)
    document = dcsa.to_document(
        told, reference=document["transportDocumentReference"], version=1, issued_on=date(2026, 11, 1), platform="WAVE",
        endorsee=told["parties"]["consignor"],
    )  # fmt: skip
    said(send(pint, wave.envelope(keys.party_of(cast.buyer), document=document)), "RECE")
    bill = Bill.objects.get()
    assert parse(bill.versions.get().document) == document
    involved = set(bill.involved.values_list("organisation", "role"))
    assert involved == {(cast.third.pk, "notify"), (cast.carrier.pk, "carrier"), (cast.buyer.pk, "holder")}
    assert sight.names(bill.versions.get().content) == {cast.third.pk, cast.carrier.pk}
    assert api(cast.shipper).get(f"/api/v1/bills/{bill.number}").status_code == 404
    for named in (cast.third, cast.carrier):
        assert api(named).get(f"/api/v1/bills/{bill.number}/leg-events").status_code == 200


def test_an_envelope_sent_twice_is_a_duplicate_and_acts_once(cast, wave, pint):
    body = wave.envelope(keys.party_of(cast.buyer))
    said(send(pint, body), "RECE")
    payload = said(send(pint, body), "DUPE")
    assert payload["duplicateOfAcceptedEnvelopeTransferChainEntrySignedContent"] == body["envelopeTransferChain"][-1]
    assert Bill.objects.get().acts == 1


@pytest.mark.parametrize("cut", ["half the body", "nothing", "an array", "no chain", "twice a name"])
def test_what_cannot_be_read_is_answered_unsigned_so_that_it_is_sent_again(cast, wave, pint, cut):
    whole = canonical(wave.envelope(keys.party_of(cast.buyer)))
    body = {"half the body": whole[: len(whole) // 2], "nothing": b"", "an array": b"[]", "no chain": b"{}",
            "twice a name": whole.replace(b'{"envelope', b'{"envelopeTransferChain":[],"envelope', 1)}[cut]  # fmt: skip
    answer = send(pint, body)
    assert answer.status_code == 400
    assert schema_fault("ErrorResponse", answer.json()) == ""
    assert not Bill.objects.exists()
    said(send(pint, whole), "RECE")


def broken(wave: Foreign, to: dict[str, Any], how: str) -> dict[str, Any]:
    document = wave.document()
    deeds = wave.transactions(to)
    match how:
        case "document changed":
            body = wave.envelope(to)
            body["transportDocument"]["termsAndConditions"] += "."
            return body
        case "entry left out":
            first = wave.entry(document, deeds[:1])
            second = wave.entry(document, deeds[1:2], first)
            third = wave.entry(document, deeds[2:], second)
            return wave.envelope(to, document=document, entries=[first, third])
        case "entries swapped":
            first = wave.entry(document, deeds[:1])
            second = wave.entry(document, deeds[1:2], first)
            third = wave.entry(document, deeds[2:], second)
            return wave.envelope(to, document=document, entries=[second, first, third])
        case "manifest of another chain":
            body, other = wave.envelope(to), wave.envelope(to)
            return body | {"envelopeManifestSignedContent": other["envelopeManifestSignedContent"]}
        case "not for us":
            return wave.envelope(party("Stranger", "BOLE"))
        case "nobody here":
            return wave.envelope(party("Nobody", "NLSC"))
        case "no issue":
            return wave.envelope(to, document=document, entries=[wave.entry(document, deeds[1:])])
        case "issued twice":
            return wave.envelope(to, document=document, entries=[wave.entry(document, [deeds[0], *deeds])])
        case "after the end":
            ended = [
                deeds[0],
                wave.transaction("SURRENDER_FOR_DELIVERY", wave.shipper, wave.carrier, 2),
                wave.transaction("SACC", wave.carrier, wave.shipper, 3),
                deeds[2],
            ]
            return wave.envelope(to, document=document, entries=[wave.entry(document, ended)])
        case "surrender to a stranger":
            deed = wave.transaction("SURRENDER_FOR_DELIVERY", wave.shipper, to, 2)
            return wave.envelope(to, document=document, entries=[wave.entry(document, [deeds[0], deed])])
        case "unknown action":
            deed = wave.transaction("STEAL", wave.shipper, to, 2)
            return wave.envelope(to, document=document, entries=[wave.entry(document, [deeds[0], deed])])
        case "straight endorsed":
            consignee = {"name": "C", "identifiers": [{"provider": "WAVE", "code": "C"}]}
            parties = wave_parties(consignee)
            straight = wave.document(negotiability="straight", parties=parties)
            return wave.envelope(to, document=straight, entries=[wave.entry(straight, deeds)])
        case "endorsed by a stranger":
            deed = wave.transaction("ENDORSE_TO_ORDER", party("Stranger"), to, 2)
            return wave.envelope(to, document=document, entries=[wave.entry(document, [deeds[0], deed, deeds[2]])])
        case "another's issuance manifest":
            manifest = wave.issuance_manifest(wave.document())
            return wave.envelope(to, document=document, entries=[wave.entry(document, deeds, manifest=manifest)])
        case "not the schema":
            body = wave.envelope(to)
            del body["transportDocument"]["carrierCode"]
            return body
    raise AssertionError(how)


def wave_parties(consignee: dict[str, Any]) -> dict[str, Any]:
    from bills import examples

    return examples.content()["parties"] | {"consignee": consignee}


@pytest.mark.parametrize(
    "how",
    [
        "document changed", "entry left out", "entries swapped", "manifest of another chain", "not for us", "nobody here",
        "no issue", "issued twice", "after the end", "surrender to a stranger", "unknown action", "straight endorsed",
        "another's issuance manifest", "not the schema", "endorsed by a stranger",
    ],
)  # fmt: skip
def test_a_bad_envelope_is_benv(cast, wave, pint, how):
    said(send(pint, broken(wave, keys.party_of(cast.buyer), how)), "BENV")
    assert not Bill.objects.exists()


@pytest.mark.parametrize(
    "how", ["unknown key", "revoked key", "flipped", "foreign carrier", "stranger's entry", "other sender"]
)
def test_a_bad_signature_is_bsig(cast, wave, pint, api, how):
    to = keys.party_of(cast.buyer)
    document = wave.document()
    body = wave.envelope(to, document=document)
    match how:
        case "unknown key":
            body = wave.envelope(to, document=document, private=signing.generate())
        case "revoked key":
            kid = signing.thumbprint(signing.public_part(wave.private))
            SigningKey.objects.filter(kid=kid).update(revoked_at=timezone.now())
        case "flipped":
            manifest = body["envelopeManifestSignedContent"]
            body["envelopeManifestSignedContent"] = (
                manifest[:-9] + ("A" if manifest[-9] != "A" else "B") + manifest[-8:]
            )
        case "foreign carrier":
            manifest = wave.issuance_manifest(document, signing.generate())
            entries = [wave.entry(document, wave.transactions(to), manifest=manifest)]
            body = wave.envelope(to, document=document, entries=entries)
        case "stranger's entry":
            entries = [wave.entry(document, wave.transactions(to), private=signing.generate())]
            body = wave.envelope(to, document=document, entries=entries)
        case "other sender":
            pint = api(make.organisation(OrganisationRole.PARTNER_PROVINCE))
    said(send(pint, body), "BSIG")
    assert not Bill.objects.exists()


def test_documents_are_asked_for_checked_and_confirmed(cast, wave, pint):
    papers = [b"the invoice", b"the packing list"]
    body = wave.envelope(keys.party_of(cast.buyer), documents=[metadata(paper) for paper in papers])
    started = send(pint, body)
    assert started.status_code == 201
    assert schema_fault("EnvelopeTransferStartedResponse", started.json()) == ""
    reference, names = started.json()["envelopeReference"], [checksum(paper) for paper in papers]
    assert started.json()["missingAdditionalDocumentChecksums"] == sorted(names)
    where = f"{URL}/envelopes/{reference}"
    assert said(pint.put(f"{where}/finish-transfer"), "MDOC")["missingAdditionalDocumentChecksums"] == sorted(names)
    assert pint.put(f"{where}/additional-documents/{names[0]}", encoded(papers[0])).status_code == 204
    for wrong in (encoded(b"another paper"), b'"not base64!"', b"{", b'{"a":1}'):
        said(pint.put(f"{where}/additional-documents/{names[1]}", wrong), "INCD")
    said(pint.put(f"{where}/additional-documents/{'0' * 64}", encoded(b"x")), "INCD")
    assert said(pint.put(f"{where}/finish-transfer"), "MDOC")["missingAdditionalDocumentChecksums"] == [names[1]]
    again = send(pint, body)
    assert (again.status_code, again.json()["envelopeReference"]) == (201, reference)
    assert again.json()["missingAdditionalDocumentChecksums"] == [names[1]]
    assert pint.put(f"{where}/additional-documents/{names[1]}", encoded(papers[1])).status_code == 204
    assert not Bill.objects.exists()
    received = said(pint.put(f"{where}/finish-transfer"), "RECE")["receivedAdditionalDocumentChecksums"]
    assert received == sorted(names)
    assert said(pint.put(f"{where}/finish-transfer"), "DUPE")["receivedAdditionalDocumentChecksums"] == sorted(names)
    assert SupportingDocument.objects.filter(bill=Bill.objects.get()).count() == 2


def test_an_unknown_reference_is_not_found(pint):
    for path in ("finish-transfer", f"additional-documents/{'0' * 64}"):
        answer = pint.put(f"{URL}/envelopes/nothing/{path}", b'"eA=="')
        assert answer.status_code == 404
        assert schema_fault("ErrorResponse", answer.json()) == ""


def test_a_bill_that_is_here_cannot_arrive_once_more(cast, wave, pint):
    """Double spending: the same document, another transfer."""
    document = wave.document()
    said(send(pint, wave.envelope(keys.party_of(cast.buyer), document=document)), "RECE")
    said(send(pint, wave.envelope(keys.party_of(cast.third), document=document)), "DISE")
    assert Bill.objects.get().holder == cast.buyer


def test_a_chain_that_says_it_began_here_and_did_not_is_benv(cast, wave, pint):
    issue = wave.transactions(keys.party_of(cast.buyer))
    document = wave.document()
    ours = keys.private_of(keys.platform_key())
    mine = [wave.transaction("ISSUE", party("X", "NLSC"), party("Y", "NLSC"))]
    first = wave.entry(document, mine, platform="NLSC", private=ours)
    body = wave.envelope(
        keys.party_of(cast.buyer), document=document, entries=[first, wave.entry(document, issue[2:], first)]
    )
    answer = send(pint, body)
    assert answer.status_code == 422


def test_the_receiver_is_told_by_name_or_not_at_all(cast, pint):
    code = keys.party_of(cast.buyer)["identifyingCodes"][0]
    found = pint.post(f"{URL}/receiver-validation", code)
    assert (found.status_code, found.json()) == (200, {"partyName": cast.buyer.name})
    assert schema_fault("ReceiverValidationResponse", found.json()) == ""
    for unknown in ({**code, "partyCode": "91500000MA0000000X"}, {"codeListProvider": "W3C", "partyCode": "did:x"}):
        assert pint.post(f"{URL}/receiver-validation", unknown).status_code == 404
    assert pint.post(f"{URL}/receiver-validation", {"x": 1}).status_code == 400


# Leaving ----------------------------------------------------------------------------------------------------------
class Scripted:
    """A peer that answers from a list and remembers what it was sent."""

    def __init__(self, *replies: Any) -> None:
        self.replies, self.sent = list(replies), []

    def _next(self, path: str, body: bytes) -> Reply:
        self.sent.append((path, body))
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply(body) if callable(reply) else reply

    post = put = _next


def leaving(cast, negotiability: str = "order", documents: tuple[bytes, ...] = ()) -> tuple[Bill, Departure]:
    bill = issued(cast, negotiability)
    for paper in documents:
        SupportingDocument.objects.create(
            bill=bill, checksum=checksum(paper), name="invoice.pdf", media_type="application/pdf", size=len(paper), content=paper
        )  # fmt: skip
    there = party("Buyer Abroad")
    departure = departing.leave(
        number=bill.number, principal=cast.p("shipper"), platform="WAVE", name=there["partyName"],
        codes=there["identifyingCodes"],
    )  # fmt: skip
    bill.refresh_from_db()
    return bill, departure


def attempt(departure: Departure, *replies: Any) -> tuple[str, Scripted]:
    Departure.objects.filter(pk=departure.pk).update(next_attempt_at=timezone.now())
    (due,) = departing.claim()
    peer = Scripted(*replies)
    return departing.attempt(due, peer), peer


@pytest.mark.usefixtures("partner")
def test_a_bill_leaves_when_the_other_platform_says_so_signed(cast, wave):
    bill, departure = leaving(cast)
    assert bill.state == "leaving"
    assert schema_fault("EblEnvelope", parse(departure.body)) == ""
    with pytest.raises(Problem):
        cast.does("shipper", "SIGN", bill)
    code, _ = attempt(departure, lambda body: Reply(200, wave.answer(body, "RECE")))
    bill.refresh_from_db()
    departure.refresh_from_db()
    assert (code, bill.state, departure.state) == ("RECE", "away", "accepted")
    assert verify.verify(exporting.export(bill)).state == "away"
    assert departing.claim() == []


@pytest.mark.usefixtures("partner")
@pytest.mark.parametrize("code", ["BENV", "BSIG"])
def test_a_refused_bill_stays_with_its_holder_and_can_leave_again(cast, wave, code):
    bill, departure = leaving(cast)
    attempt(departure, lambda body: Reply(422, wave.answer(body, code, reason="no such party")))
    bill.refresh_from_db()
    assert (bill.state, bill.holder) == ("issued", cast.shipper)
    verify.verify(exporting.export(bill))
    there = party("Buyer Abroad")
    again = departing.leave(
        number=bill.number, principal=cast.p("shipper"), platform="WAVE", name=there["partyName"],
        codes=there["identifyingCodes"],
    )  # fmt: skip
    assert again.last != departure.last
    assert len(parse(again.body)["envelopeTransferChain"]) == 1
    attempt(again, lambda body: Reply(200, wave.answer(body, "RECE")))
    bill.refresh_from_db()
    assert bill.state == "away"
    verify.verify(exporting.export(bill))


@pytest.mark.usefixtures("partner")
def test_nothing_but_a_signed_answer_to_this_envelope_counts(cast, wave):
    bill, departure = leaving(cast)
    unsigned = [
        OSError("connection refused"),
        Reply(500, {"statusCode": 500}),
        Reply(200, None),
        Reply(200, "not.a.jws"),
        lambda body: Reply(200, wave.answer(body, "RECE", private=signing.generate())),
        lambda body: Reply(200, wave.answer(body, "RECE", private=wave.carrier_private)),
        lambda body: Reply(200, wave.answer(body, "RECE", last="0" * 64)),
        Reply(201, {"envelopeReference": "x"}),
    ]
    waits = []
    for reply in unsigned:
        code, _ = attempt(departure, reply)
        departure.refresh_from_db()
        assert (code, departure.state, departure.last_error != "") == ("", "waiting", True), reply
        waits.append(departure.next_attempt_at - timezone.now())
    assert waits == sorted(waits)
    bill.refresh_from_db()
    assert bill.state == "leaving"


@pytest.mark.usefixtures("partner")
def test_missing_documents_are_sent_until_the_transfer_is_finished(cast, wave):
    papers = (b"the invoice", b"the list")
    bill, departure = leaving(cast, documents=papers)
    started = Reply(
        201,
        {
            "envelopeReference": "ref-1", "transportDocumentChecksum": bill.checksum,
            "lastEnvelopeTransferChainEntrySignedContentChecksum": departure.last,
            "missingAdditionalDocumentChecksums": [checksum(papers[0])],
        },
    )  # fmt: skip
    body = departure.body.encode()
    missing = wave.answer(body, "MDOC", missing=[checksum(papers[1])])
    code, peer = attempt(
        departure,
        started,
        Reply(204, None),
        Reply(409, missing),
        Reply(204, None),
        Reply(200, wave.answer(body, "RECE")),
    )
    assert code == "RECE"
    assert [path.split("/")[-2] for path, _ in peer.sent[1:]] == [
        "additional-documents", "ref-1", "additional-documents", "ref-1",
    ]  # fmt: skip


@pytest.mark.usefixtures("partner")
def test_a_dispute_is_left_to_people(cast, wave):
    bill, departure = leaving(cast)
    attempt(departure, lambda body: Reply(409, wave.answer(body, "DISE", reason="we know another chain")))
    departure.refresh_from_db()
    bill.refresh_from_db()
    assert (departure.state, bill.state) == ("disputed", "leaving")
    assert departing.claim() == []


def exchange_officer():
    return make.officer_principal(make.officer(duties=("exchange",)))


def by_hand(departure, outcome, **changes):
    asked = {"reason": "their letter of today", "evidence": "ab" * 32, "principal": exchange_officer()} | changes
    return departing.settle_by_hand(pk=departure.pk, outcome=outcome, **asked)


@pytest.mark.usefixtures("partner")
@pytest.mark.parametrize(("outcome", "state"), [("left", "away"), ("stay", "issued")])
def test_a_dispute_is_settled_by_an_officer_with_evidence_in_a_signed_act(cast, wave, outcome, state):
    bill, departure = leaving(cast)
    attempt(departure, lambda body: Reply(409, wave.answer(body, "DISE", reason="we know another chain")))
    by_hand(departure, outcome)
    bill.refresh_from_db()
    assert bill.state == state
    last = signing.peek(bill.act_set.order_by("-sequence")[0].token)[1]
    assert (last["capacity"], last["details"]["evidence"]) == ("platform", "ab" * 32)
    assert events_of("bill", bill.number)[-1] == "bill.envelope_settled"
    assert verify.verify(exporting.export(bill)).state == state
    with pytest.raises(Problem) as again:
        by_hand(departure, outcome)
    assert again.value.code == "not-open"


@pytest.mark.usefixtures("partner")
def test_a_disputed_envelope_can_be_sent_again(cast, wave):
    bill, departure = leaving(cast)
    attempt(departure, lambda body: Reply(409, wave.answer(body, "DISE")))
    by_hand(departure, "again")
    attempt(departure, lambda body: Reply(200, wave.answer(body, "RECE")))
    bill.refresh_from_db()
    assert bill.state == "away"


@pytest.mark.usefixtures("partner")
def test_settling_by_hand_needs_an_officer_a_reason_and_evidence(cast, wave):
    bill, departure = leaving(cast)
    with pytest.raises(Problem) as early:
        by_hand(departure, "left")
    assert early.value.code == "not-open"
    attempt(departure, lambda body: Reply(409, wave.answer(body, "DISE")))
    for principal in (cast.p("shipper"), make.officer_principal(make.officer(duties=("release",)))):
        with pytest.raises(Problem) as refused:
            by_hand(departure, "left", principal=principal)
        assert refused.value.status == 403
    for changes in ({"reason": " "}, {"evidence": "letter.pdf"}):
        with pytest.raises(Problem) as refused:
            by_hand(departure, "left", **changes)
        assert refused.value.status == 422
    bill.refresh_from_db()
    assert bill.state == "leaving"


def test_the_carriers_visualisation_travels_on_unchanged(cast, wave, pint, api):
    """PINT: eBLVisualisationByCarrier stands in the manifest and in every entry, the same for the whole chain."""
    picture = metadata(b"the picture", "bill.pdf")
    body = wave.envelope(keys.party_of(cast.buyer), visualisation=picture, documents=[metadata(b"the invoice")])
    reference = send(pint, body).json()["envelopeReference"]
    for content in (b"the picture", b"the invoice"):
        where = f"{URL}/envelopes/{reference}"
        assert pint.put(f"{where}/additional-documents/{checksum(content)}", encoded(content)).status_code == 204
    said(pint.put(f"{where}/finish-transfer"), "RECE")
    bill = Bill.objects.get()
    there = party("Buyer Abroad")
    departure = departing.leave(
        number=bill.number, principal=cast.p("buyer"), platform="WAVE", name=there["partyName"],
        codes=there["identifyingCodes"],
    )  # fmt: skip
    out = parse(departure.body)
    assert schema_fault("EblEnvelope", out) == ""
    manifest = signing.peek(out["envelopeManifestSignedContent"])[1]
    entries = [signing.peek(token)[1] for token in out["envelopeTransferChain"]]
    assert [row.get("eBLVisualisationByCarrier") for row in (manifest, *entries)] == [picture] * 3
    assert [row["name"] for row in manifest["supportingDocuments"]] == ["invoice.pdf"]
    documents = f"/api/v1/bills/{bill.number}/documents"
    listed = api(cast.buyer).get(documents).json()["results"]
    assert sorted(row["name"] for row in listed) == ["bill.pdf", "invoice.pdf"]
    assert api(cast.buyer).get(f"{documents}/{picture['documentChecksum']}").content == b"the picture"
    assert api(cast.buyer).get(f"{documents}/{'0' * 64}").status_code == 404
    assert api(cast.third).get(documents).status_code == 404


@pytest.mark.usefixtures("partner")
def test_who_signs_itself_endorses_and_leaves_with_its_own_signatures(cast, api):
    bill = issued(cast)
    private = signing.generate()
    keys.register_key(principal=cast.p("shipper"), jwk=signing.public_part(private), replace=True)
    there = party("Buyer Abroad")
    to = {"platform": "WAVE", "name": there["partyName"], "codes": there["identifyingCodes"]}
    shipper, base = api(cast.shipper), f"/api/v1/bills/{bill.number}"
    early = shipper.post(f"{base}/acts/to-sign", to | {"act": "TRANSFER"})
    assert early.json()["code"] == "not-endorsed-to-recipient"
    for act in ("ENDORSE_TO_ORDER", "TRANSFER"):
        asked = shipper.post(f"{base}/acts/to-sign", to | {"act": act}).json()
        answer = shipper.post(f"{base}/departures", to | {"act": act, "signed": signing.sign(asked, private)})
        assert answer.status_code == 202, answer.content.decode()
    bill.refresh_from_db()
    assert bill.state == "leaving"
    verify.verify(exporting.export(bill))


@pytest.mark.parametrize("owner", ["NLSC:ZZZ:USCC:91500000MA0000001X", "BOLE", "WAVEX:ID:ID:1"])
def test_a_platform_publishes_no_keys_of_others(wave, owner):
    jwks = {"keys": [{**signing.public_part(signing.generate()), "owner": owner}]}
    with pytest.raises(Problem) as refused:
        keys.register_platform(code="WAVE", name="Wave", base_url="https://wave.example", jwks=jwks)
    assert refused.value.errors[0].code == "owner-of-another"
    assert not SigningKey.objects.filter(owner=owner).exists()


def test_a_key_registered_for_one_is_not_taken_over_by_another(cast, partner):
    row = SigningKey.objects.get(organisation=cast.operator)
    with pytest.raises(Problem) as refused:
        keys.register_platform(
            code="WAVE", name="Wave", base_url="https://wave.example", jwks={"keys": [row.jwk]}, organisation=partner
        )
    assert refused.value.code == "key-known"


def test_a_bill_comes_home(cast, wave, pint):
    """Out to the other platform and back: the chain goes on where it left."""
    bill, departure = leaving(cast)
    attempt(departure, lambda body: Reply(200, wave.answer(body, "RECE")))
    out = parse(departure.body)
    there, home = party("Buyer Abroad"), keys.party_of(cast.third)
    back = [wave.transaction("ENDORSE_TO_ORDER", there, home, 20), wave.transaction("TRANSFER", there, home, 21)]
    entry = wave.entry(out["transportDocument"], back, out["envelopeTransferChain"][-1])
    body = wave.envelope(home, document=out["transportDocument"], entries=[*out["envelopeTransferChain"], entry])
    issue, _, transfer = wave.transactions(home)
    other = wave.entry(out["transportDocument"], [issue, transfer])
    forged = wave.envelope(home, document=out["transportDocument"], entries=[other])
    said(send(pint, forged), "DISE")
    said(send(pint, body), "RECE")
    bill.refresh_from_db()
    assert (bill.state, bill.holder, bill.version) == ("issued", cast.third, 1)
    assert verify.verify(exporting.export(bill)).state == "issued"
    cast.does("third", "SURRENDER_FOR_DELIVERY", bill)
    cast.does("operator", "ACCEPT", bill)
    verify.verify(exporting.export(bill))
    assert Arrival.objects.get(state="accepted").answer
    assert interchange.parse_manifest(body) == []
