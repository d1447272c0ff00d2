"""POST /declarations and what belongs to it, as owner, broker, stranger and officer."""

from __future__ import annotations

import orjson
import pytest
from lxml import etree

from declarations.models import Declaration
from declarations.wire import decmessage
from declarations.wire.receipts import parse_receipt
from tests import make

pytestmark = pytest.mark.django_db
URL = "/api/v1/declarations"


def xml(message, encoding="UTF-8") -> bytes:
    return decmessage.render(message, encoding)


def test_a_firm_lodges_and_is_told_where_to_look(firm, api):
    message = make.message(firm, items=2)
    answer = api(firm).post(URL, message)
    assert answer.status_code == 201, answer.content
    told = answer.json()
    assert answer["Location"] == f"{URL}/{told['unified_number']}"
    assert answer["ETag"] == '"1"'
    assert told == {
        "unified_number": told["unified_number"],
        "client_reference": message["client_reference"],
        "state": "lodged",
        "version": 1,
        "revision": 1,
    }


def test_lodged_again_it_is_the_same_declaration(firm, api):
    caller, message = api(firm), make.message(firm)
    first = caller.post(URL, message)
    again = caller.post(URL, message)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()


def test_a_replayed_idempotency_key_gives_the_first_answer_and_lodges_nothing(firm, api):
    caller, message = api(firm), make.message(firm, client_reference="")
    headers = {"Idempotency-Key": "a-key"}
    first = caller.post(URL, message, headers=headers)
    again = caller.post(URL, message, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert Declaration.objects.count() == 1
    other = caller.post(URL, message | {"remarks": "x"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")


def test_a_broker_needs_a_mandate_and_a_stranger_has_none(firm, broker, api):
    message = make.message(firm, lodger=broker)
    refused = api(broker).post(URL, message)
    assert (refused.status_code, refused.json()["code"]) == (403, "no-mandate")
    make.mandate(firm, broker)
    assert api(broker).post(URL, message).status_code == 201
    assert api(make.firm()).post(URL, make.message(firm)).status_code == 403
    assert Declaration.objects.count() == 1


def test_all_faults_come_at_once_with_pointers(firm, api):
    message = make.message(firm, gross_weight="1.0", border_crossing_date="20260230", nonsense="x")
    message["goods_items"][0]["quantity"] = "many"
    answer = api(firm).post(URL, message, headers={"Accept-Language": "en"})
    assert answer.status_code == 422
    assert answer["Content-Type"] == "application/problem+json"
    pointers = {fault["pointer"] for fault in answer.json()["errors"]}
    assert pointers == {"/border_crossing_date", "/nonsense", "/goods_items/0/quantity", "/gross_weight"}


def test_xml_comes_in_and_is_answered_in_xml(firm, api):
    message = make.message(firm)
    for encoding, content_type in (
        ("UTF-8", "application/xml"),
        ("GB18030", "application/xml; charset=gb18030"),
        ("UTF-8", "text/xml"),
    ):
        message = make.message(firm)
        answer = api(firm).post(URL, xml(message, encoding), content_type=content_type)
        assert answer.status_code == 201, answer.content
        assert answer["Content-Type"].startswith("application/xml")
        receipt = parse_receipt(answer.content)
        assert (receipt.code, receipt.client_reference) == ("0", message["client_reference"])
        assert Declaration.objects.get(unified_number=receipt.unified_number).domestic_party_name == firm.name


def test_xml_that_is_refused_is_answered_with_a_failed_import_response_and_xpaths(firm, api):
    message = make.message(firm, package_type="TOOLONG")
    answer = api(firm).post(URL, xml(message), content_type="application/xml")
    assert answer.status_code == 422
    receipt = parse_receipt(answer.content)
    assert (receipt.code, receipt.client_reference) == ("validation-failed", message["client_reference"])
    assert "/DecMessage/DecHead/WrapType" in receipt.message


def test_a_sender_that_only_speaks_decmessage_saves_and_then_declares(firm, api):
    """OperType G and then C under one ClientSeqNo: there is no other word for it in the interface."""
    caller, message = api(firm), make.message(firm, oper="save")

    def send(**changes):
        answer = caller.post(URL, xml(message | changes), content_type="application/xml")
        return answer.status_code, parse_receipt(answer.content)

    status, saved = send()
    assert status == 201
    assert send(gross_weight="20600")[0] == 200
    declaration = Declaration.objects.get(unified_number=saved.unified_number)
    assert (declaration.state, str(declaration.gross_weight), declaration.version) == ("draft", "20600.00000", 1)
    status, refused = send(oper="declare", direction="E")
    assert (status, refused.client_reference) == (422, message["client_reference"])
    status, declared = send(oper="declare", gross_weight="20700")
    assert (status, declared.code, declared.unified_number) == (200, "0", saved.unified_number)
    declaration.refresh_from_db()
    assert (declaration.state, str(declaration.gross_weight)) == ("lodged", "20700.00000")
    assert declaration.message["gross_weight"] == "20700"
    assert make.events_of("declaration", saved.unified_number) == [
        "declaration.drafted", "declaration.draft_changed", "declaration.lodged"
    ]  # fmt: skip
    assert send(oper="declare", gross_weight="20700")[0] == 200
    status, refused = send(oper="declare", gross_weight="20800")
    assert (status, refused.code) == (409, "client-reference-used")
    assert (refused.client_reference, refused.unified_number) == (
        message["client_reference"],
        saved.unified_number,
    )


def test_what_may_not_be_declared_leaves_the_draft_as_it_was(firm, broker, api):
    message = make.message(firm, lodger=broker, oper="save")
    assert api(broker).post(URL, message).status_code == 201
    refused = api(broker).post(URL, message | {"oper": "declare", "gross_weight": "20600"})
    assert (refused.status_code, refused.json()["code"]) == (403, "no-mandate")
    declaration = Declaration.objects.get()
    assert (declaration.state, str(declaration.gross_weight)) == ("draft", "20500.00000")
    assert declaration.message["oper"] == "save"


def test_a_batch_declares_what_it_finds_as_drafts(firm, api):
    messages = [make.message(firm, oper="save") for _ in range(2)]
    api(firm).post(f"{URL}/batch", messages)
    answer = api(firm).post(f"{URL}/batch", [message | {"oper": "declare"} for message in messages])
    assert [(row["status"], row["state"]) for row in answer.json()["results"]] == [(200, "lodged")] * 2


def test_a_sender_of_xml_may_ask_for_json(firm, api):
    answer = api(firm).post(
        URL, xml(make.message(firm)), content_type="application/xml", headers={"Accept": "application/json"}
    )
    assert answer.json()["state"] == "lodged"


def test_what_comes_in_as_json_goes_out_as_xml_and_the_other_way_round(firm, api):
    caller, message = api(firm), make.message(firm, direction="E")
    number = caller.post(
        URL, xml(message), content_type="application/xml", headers={"Accept": "application/json"}
    ).json()["unified_number"]
    as_json = caller.get(f"{URL}/{number}").json()["message"]
    as_xml = caller.get(f"{URL}/{number}", headers={"Accept": "application/xml"})
    assert as_xml["Content-Type"].startswith("application/xml")
    assert decmessage.parse(as_xml.content)[0] == as_json
    root = etree.fromstring(as_xml.content)
    assert root.findtext(".//{*}OriginCountry") == "SGP"  # the export swap
    assert as_json["goods_items"][0]["origin_country"] == "CHN"
    gb = caller.get(f"{URL}/{number}", headers={"Accept": "application/xml; charset=gb18030"})
    assert decmessage.parse(gb.content)[0] == as_json


# Batches.


@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson"])
def test_a_batch_has_a_result_for_each_entry(firm, api, content_type):
    good = [make.message(firm) for _ in range(2)]
    entries = [good[0], make.message(firm, direction="X"), good[1], good[0]]
    body = orjson.dumps(entries)
    if content_type.endswith("ndjson"):
        lines = [orjson.dumps(entry) for entry in entries]
        body = b"\n".join([lines[0], b"{not json", *lines[1:], b""])
    answer = api(firm).post(f"{URL}/batch", body, content_type=content_type)
    assert answer.status_code == 200, answer.content
    told = answer.json()
    expected = [201, 422, 201, 200] if content_type == "application/json" else [201, 400, 422, 201, 200]
    assert [row["status"] for row in told["results"]] == expected
    assert [row["index"] for row in told["results"]] == list(range(len(expected)))
    assert (told["lodged"], told["refused"]) == (3, len(expected) - 3)
    assert Declaration.objects.count() == 2


def test_a_batch_holds_at_most_500(firm, api):
    answer = api(firm).post(f"{URL}/batch", [{}] * 501)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "too-many")


def test_a_broker_lodges_a_batch_for_several_firms_of_which_one_gave_no_mandate(broker, api):
    firms = [make.firm() for _ in range(3)]
    make.mandate(firms[0], broker)
    make.mandate(firms[2], broker)
    answer = api(broker).post(f"{URL}/batch", [make.message(firm, lodger=broker) for firm in firms])
    assert [row["status"] for row in answer.json()["results"]] == [201, 403, 201]


# Drafts, amendments, withdrawal.


def test_a_draft_is_kept_changed_and_declared(firm, api):
    caller = api(firm)
    message = make.message(firm, oper="save", gross_weight="")
    number = caller.post(URL, message).json()["unified_number"]
    path = f"{URL}/{number}"
    assert caller.post(f"{path}/lodge").status_code == 422
    etag = caller.get(path)["ETag"]
    patched = caller.patch(path, {"gross_weight": "20500", "remarks": None}, headers={"If-Match": etag})
    assert patched.status_code == 200, patched.content
    assert caller.patch(path, {"remarks": "late"}, headers={"If-Match": etag}).status_code == 412
    assert caller.put(path, message | {"gross_weight": "20600"}).status_code == 200
    lodged = caller.post(f"{path}/lodge")
    assert (lodged.status_code, lodged.json()["state"]) == (200, "lodged")
    assert caller.patch(path, {"remarks": "x"}).status_code == 409
    assert api(make.firm()).patch(path, {"remarks": "x"}).status_code == 404


def test_an_amendment_over_the_api_and_its_difference(firm, api):
    declaration = make.declaration(firm, "returned")
    caller, path = api(firm), f"{URL}/{declaration.unified_number}"
    message = caller.get(path).json()["message"]
    answer = caller.post(f"{path}/amendments", {"message": message | {"remarks": "更正"}, "reason": "漏填备注"})
    assert (answer.status_code, answer.json()["version"]) == (201, 2)
    versions = caller.get(f"{path}/versions").json()
    assert [version["version"] for version in versions] == [1, 2]
    assert versions[1]["changes"] == [{"pointer": "/remarks", "before": None, "after": "更正"}]
    assert "remarks" not in caller.get(f"{path}/versions/1").json()["message"]
    assert caller.get(f"{path}/versions/3").status_code == 404
    assert api(make.firm()).post(f"{path}/amendments", {"message": message, "reason": "x"}).status_code == 404


def test_an_amendment_in_xml(firm, api):
    declaration = make.declaration(firm, "returned")
    body = xml(declaration.message | {"remarks": "更正"})
    answer = api(firm).post(
        f"{URL}/{declaration.unified_number}/amendments?reason=x", body, content_type="application/xml"
    )
    assert answer.status_code == 201, answer.content


def test_a_withdrawal_over_the_api(firm, api):
    declaration = make.declaration(firm)
    path = f"{URL}/{declaration.unified_number}/withdrawal"
    assert api(make.firm()).post(path, {"reason": "x"}).status_code == 404
    assert api(firm).post(path, {}).status_code == 422
    assert api(firm).post(path, {"reason": "错报"}).json()["state"] == "withdrawn"
