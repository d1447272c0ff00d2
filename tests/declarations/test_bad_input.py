"""What strangers send: each gets a clear problem, nothing is stored, nothing is a 500."""

from __future__ import annotations

import importlib
import io
import zipfile
from datetime import timedelta

import orjson
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from declarations import lodgement, uploads
from declarations.models import Declaration, Upload
from declarations.wire import decmessage
from parties import registration
from tests import make

pytestmark = pytest.mark.django_db
URL = "/api/v1/declarations"

BOMB = b"""<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<DecMessage xmlns="http://www.chinaport.gov.cn/dec"><DecHead><NoteS>&b;</NoteS></DecHead></DecMessage>"""
EXTERNAL = b"""<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<DecMessage xmlns="http://www.chinaport.gov.cn/dec"><DecHead><NoteS>&a;</NoteS></DecHead></DecMessage>"""


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 422),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b'"text"', "application/json", 422),
        (b"\xff\xfe{}", "application/json", 400),
        (b'{"gross_weight": NaN}', "application/json", 400),
        (b'{"gross_weight": 1e400}', "application/json", 400),
        (b'{"remarks": "\\ud800"}', "application/json", 400),
        (b'{"remarks": "a\\u0000b"}', "application/json", 422),
        (b"[" * 100_000, "application/json", 400),
        (b'{"a":' * 60 + b'"\\u0000"' + b"}" * 60, "application/json", 422),
        (b'{"a":' * 900 + b"1" + b"}" * 900, "application/json", 400),
        (b'{"remarks": "' + b"x" * (10 << 20) + b'"}', "application/json", 413),
        (b"<DecMessage", "application/xml", 422),
        (b"", "application/xml", 422),
        (b"<a/>", "application/xml", 422),
        (BOMB, "application/xml", 422),
        (EXTERNAL, "application/xml", 422),
        (b"<?xml version='1.0' encoding='big5'?><DecMessage/>", "application/xml", 422),
        ("<?xml version='1.0' encoding='UTF-8'?><a>好</a>".encode("gb18030"), "application/xml", 422),
        (b"<a>" * 100_000, "application/xml", 422),
        (b"<a>" + b"x" * (10 << 20), "application/xml", 413),
        (b"a=b", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/plain", 415),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else str(value),
)
def test_a_body_that_is_no_declaration(firm, api, body, content_type, status):
    answer = api(firm).post(URL, body, content_type=content_type, headers={"Accept": "application/json"})
    assert answer.status_code == status, answer.content[:300]
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"]
    assert Declaration.objects.count() == 0


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"gross_weight": "1e400"}, "/gross_weight"),
        ({"gross_weight": "NaN"}, "/gross_weight"),
        ({"gross_weight": "Infinity"}, "/gross_weight"),
        ({"gross_weight": "-1"}, "/gross_weight"),
        ({"gross_weight": 1.5}, "/gross_weight"),
        ({"gross_weight": True}, "/gross_weight"),
        ({"gross_weight": "99999999999999999999"}, "/gross_weight"),
        ({"gross_weight": "１２"}, "/gross_weight"),
        ({"package_count": 10**18}, "/package_count"),
        ({"package_count": -1}, "/package_count"),
        ({"border_crossing_date": "20260230"}, "/border_crossing_date"),
        ({"border_crossing_date": "2026-02-30"}, "/border_crossing_date"),
        ({"remarks": None}, "/remarks"),
        ({"remarks": {"deep": {"deeper": []}}}, "/remarks"),
        ({"unheard_of": "x"}, "/unheard_of"),
        ({"goods_items": []}, "/goods_items"),
        ({"goods_items": "x"}, "/goods_items"),
        ({"goods_items": [None]}, "/goods_items/0"),
        ({"direction": "X"}, "/direction"),
        ({"domestic_party_credit_code": "91500000MA5U000010"}, "/domestic_party_credit_code"),
        ({"trading_country": "999"}, "/trading_country"),
    ],
    ids=str,
)
def test_a_value_that_cannot_be(firm, api, changes, pointer):
    answer = api(firm).post(URL, make.message(firm, **changes))
    assert answer.status_code == 422, answer.content
    assert pointer in {fault["pointer"] for fault in answer.json()["errors"]}
    assert Declaration.objects.count() == 0


@pytest.mark.parametrize("levels", [*range(950, 1031, 16), 1023, 1024, 1025])
def test_a_nest_that_the_decoder_still_takes_is_no_500(firm, api, levels):
    """The decoder goes down 1024 levels, which is more than anything that walks what it found."""
    nest = b'{"a":' * levels + b'"\\u0000"' + b"}" * levels
    caller = api(firm)
    draft = caller.post(URL, make.message(firm, oper="save")).json()["unified_number"]
    answers = [
        caller.post(URL, nest),
        caller.put(f"{URL}/{draft}", nest),
        caller.patch(f"{URL}/{draft}", nest, content_type="application/merge-patch+json"),
        caller.post(f"{URL}/batch", nest),
    ]
    assert [answer.status_code for answer in answers] == [400, 400, 400, 400 if levels > 1024 else 422]
    assert {answer.json()["code"] for answer in answers[:3]} <= {"too-deep", "malformed-json"}
    lines = caller.post(f"{URL}/batch", nest + b"\n{}", content_type="application/x-ndjson")
    assert [row["status"] for row in lines.json()["results"]] == [400, 422]


def test_a_nest_deeper_than_any_message_says_so(firm, api):
    answer = api(firm).post(URL, b'{"a":' * 65 + b"[]" + b"}" * 65)
    assert (answer.status_code, answer.json()["code"]) == (400, "too-deep")
    answer = api(firm).post(URL, b'{"a":' * 63 + b"[]" + b"}" * 63)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "unknown-member")


def test_51_items_are_one_too_many(firm, api):
    assert api(firm).post(URL, make.message(firm, items=50)).status_code == 201
    answer = api(firm).post(URL, make.message(firm, items=51))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/goods_items"


def test_unknown_elements_are_named_by_their_path(firm, api):
    body = decmessage.render(make.message(firm)).replace(b"<DecHead>", b"<DecHead><Mystery>1</Mystery>")
    answer = api(firm).post(URL, body, content_type="application/xml", headers={"Accept": "application/json"})
    assert answer.status_code == 422
    assert "Mystery" in answer.json()["errors"][0]["pointer"]


def test_a_token_that_is_missing_or_expired_opens_nothing(firm, api):
    client, _ = registration.register_client(organisation=firm, name="erp")
    expired = make.token_of(client, expired=True)
    for headers in ({}, {"Authorization": f"Bearer {expired}"}, {"Authorization": "Bearer \x00"}):
        answer = Client().post(URL, orjson.dumps(make.message(firm)), content_type="application/json", headers=headers)
        assert answer.status_code == 401
    assert Declaration.objects.count() == 0


@pytest.mark.parametrize(
    "number", ["%00", "x" * 300, "../../etc", "I2026", "'; DROP TABLE x; --", "%F0%9F%92%A9", "．"]
)
def test_a_number_that_is_none_is_not_found(firm, api, number):
    for suffix in ("", "/events", "/checks", "/receipts", "/versions/99999999999999999999"):
        assert api(firm).get(f"{URL}/{number}{suffix}").status_code == 404
    assert api().get(f"/api/v1/tracking/{number}").status_code == 404


def test_a_draft_may_be_odd_but_never_breaks(firm, api):
    message = make.message(firm, oper="save", goods_items=[{"item_number": 9_999_999_999_999_999_999}, {}])
    message["goods_items"][1] = {"commodity_code": "390210", "destination_country": "CHN", "item_number": 9 * 10**18}
    answer = api(firm).post(URL, message)
    assert answer.status_code in (201, 422), answer.content


#: The same message in every example: what varies is what hypothesis draws.
FIXED = {"client_reference": "FUZZ", "contract_number": "HT", "transport_document_number": "BL"}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_is_broken_in_a_message_the_answer_is_never_a_500(firm, api, data):
    caller = api(firm)
    message = make.message(firm, **FIXED)
    odd = st.sampled_from(
        ["", " ", "x" * 400, None, 0, -1, 1.5, 2**63 - 1, [], {}, [{}], "2026-13-01", "１", "\u2028", "NaN"]
    )
    targets = [message, message["goods_items"][0], message["containers"][0]]
    for _ in range(data.draw(st.integers(1, 4))):
        target = data.draw(st.sampled_from(targets))
        target[data.draw(st.sampled_from(sorted(target)))] = data.draw(odd)
    answer = caller.post(URL, orjson.dumps(message, default=str))
    assert answer.status_code in (200, 201, 400, 403, 409, 422), answer.content


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_is_broken_in_an_xml_the_answer_is_never_a_500(firm, api, data):
    body = bytearray(decmessage.render(make.message(firm, **FIXED)))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(body) - 1))
        action = data.draw(st.sampled_from(["cut", "change", "insert", "double"]))
        if action == "cut":
            del body[at : at + data.draw(st.integers(1, 40))]
        elif action == "change":
            body[at] = data.draw(st.integers(0, 255))
        elif action == "insert":
            body[at:at] = data.draw(
                st.sampled_from([b"<", b"&", b"]]>", b"<!--", b"\x00", b"</DecHead>", b"<?x?>", "好".encode()])
            )
        else:
            body[at:at] = body[at : at + 200]
    answer = api(firm).post(URL, bytes(body), content_type="application/xml")
    assert answer.status_code in (200, 201, 400, 403, 409, 413, 422), answer.content


# Archives.


def archive(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as made:
        for name, body in files.items():
            made.writestr(name, body)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"not a zip", 422),
        (b"", 422),
        (archive({}), 422),
        (archive({"../../etc/passwd.xml": b"x"}), 422),
        (archive({"/etc/x.xml": b"x"}), 422),
        (archive({"C:\\x.xml": b"x"}), 422),
        (archive({"x.exe": b"x"}), 422),
        (archive({"x.xml": b"<a/>"}, zipfile.ZIP_LZMA), 422),
        (archive({"x.xml": b"<a/>"}, zipfile.ZIP_BZIP2), 422),
        (archive({"bomb.xml": b"\x00" * (9 << 20)}), 422),
        (archive({f"{n}.xml": b"0" * (8 << 20) for n in range(33)}), 422),
    ],
    ids=range(11),
)
def test_an_archive_that_cannot_be_trusted_is_refused_whole(firm, api, body, status):
    answer = api(firm).post("/api/v1/uploads", body, content_type="application/zip")
    assert answer.status_code == status, answer.content
    assert Upload.objects.count() == 0


def test_an_archive_is_worked_off_in_the_background_file_by_file(firm, api):
    good = [make.message(firm) for _ in range(2)]
    files = {
        "a.xml": decmessage.render(good[0]),
        "sub/b.XML": decmessage.render(good[1], "GB18030"),
        "broken.xml": b"<DecMessage",
        "faulty.xml": decmessage.render(make.message(firm, package_type="TOO LONG")),
        "again.xml": decmessage.render(good[0]),
        "stranger.xml": decmessage.render(make.message(make.firm())),
    }
    answer = api(firm).post("/api/v1/uploads", archive(files), content_type="application/zip")
    assert answer.status_code == 202, answer.content
    path = answer["Location"]
    assert api(firm).get(path).json()["state"] == "waiting"
    assert api(make.firm()).get(path).status_code == 404
    make.settle()
    told = api(firm).get(path).json()
    assert (told["state"], told["total"], told["processed"], told["lodged"], told["refused"]) == ("done", 6, 6, 3, 3)
    found = api(firm).get(told["files"]).json()["results"]
    assert [file["status"] for file in found] == [201, 201, 422, 422, 200, 403]
    assert found[0]["unified_number"] == found[4]["unified_number"]
    assert all(file["errors"] for file in found if file["status"] > 300)
    assert Declaration.objects.count() == 2
    refused = api(firm).get(f"{told['files']}?refused=true&page_size=2").json()
    assert [file["name"] for file in refused["results"]] == ["broken.xml", "faulty.xml"]
    rest = api(firm).get(refused["next"]).json()
    assert ([file["name"] for file in rest["results"]], rest["next"]) == (["stranger.xml"], None)
    assert api(firm).get(f"{told['files']}?refused=some").status_code == 422
    assert api(make.firm()).get(told["files"]).status_code == 404


def test_ones_uploads_are_listed_newest_first(firm, api):
    for name in ("a", "b"):
        archived = archive({f"{name}.xml": decmessage.render(make.message(firm))})
        uploads.receive(archive=archived, file_name=f"{name}.zip", principal=make.principal(firm))
    listed = api(firm).get("/api/v1/uploads").json()["results"]
    assert [(row["file_name"], row["total"], row["processed"]) for row in listed] == [("b.zip", 1, 0), ("a.zip", 1, 0)]
    assert api(make.firm()).get("/api/v1/uploads").json()["results"] == []


def test_what_a_page_of_uploads_costs_does_not_grow_with_their_files(firm, api):
    files = {f"{n}.xml": decmessage.render(make.message(firm)) for n in range(3)} | {"bad.xml": b"<a/>"}
    upload = uploads.receive(archive=archive(files), file_name="a.zip", principal=make.principal(firm))
    caller, address = api(firm), f"/api/v1/uploads/{upload.pk}"
    assert uploads.work(upload.pk) is False
    for path in ("/api/v1/uploads", address, f"{address}/files?page_size=1"):
        with CaptureQueriesContext(connection) as asked:
            answer = caller.get(path).json()
        assert not [one["sql"] for one in asked if "count(" in one["sql"].lower()], path
        told = answer["results"][0] if "results" in answer else answer
        if "total" in told:
            assert [told[name] for name in ("total", "processed", "lodged", "refused")] == [4, 4, 3, 1]


def test_the_migration_counts_the_files_of_uploads_before_it(firm):
    files = {"good.xml": decmessage.render(make.message(firm)), "bad.xml": b"<a/>"}
    done, waiting = (
        uploads.receive(archive=archive(files), file_name="a.zip", principal=make.principal(firm)) for _ in range(2)
    )
    uploads.work(done.pk)
    Upload.objects.update(total=0, processed=0, lodged=0)
    with connection.cursor() as cursor:
        cursor.execute(importlib.import_module("declarations.migrations.0008_filled_from_files_and_log").COUNTS)
    counted = {row.pk: (row.total, row.processed, row.lodged) for row in Upload.objects.all()}
    assert counted == {done.pk: (2, 2, 1), waiting.pk: (2, 0, 0)}


def form(boundary: str, body: bytes) -> tuple[bytes, str]:
    """An archive in a form, and the form's content type."""
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n'
    head += "Content-Type: application/zip\r\n\r\n"
    made = head.encode() + body + f"\r\n--{boundary}--\r\n".encode()
    return made, f"multipart/form-data; boundary={boundary}"


def test_an_archive_sent_again_under_its_key_is_the_same_upload(firm, api):
    caller, headers = api(firm), {"Idempotency-Key": "archive-1"}
    body = archive({"a.xml": decmessage.render(make.message(firm))})
    first = caller.post("/api/v1/uploads", body, content_type="application/zip", headers=headers)
    again = caller.post("/api/v1/uploads", body, content_type="application/zip", headers=headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert (first.json()["id"], again["Idempotency-Replayed"]) == (again.json()["id"], "true")
    other = caller.post("/api/v1/uploads", archive({"b.xml": b"x"}), content_type="application/zip", headers=headers)
    assert (other.status_code, Upload.objects.count()) == (422, 1)
    # A client draws the boundary of a form anew each time: it is the same request all the same.
    ids = set()
    for boundary in ("first-9d0a", "second-4c1f"):
        sent, content_type = form(boundary, body)
        answer = caller.post(
            "/api/v1/uploads", sent, content_type=content_type, headers={"Idempotency-Key": "archive-2"}
        )
        assert answer.status_code == 202, answer.content
        ids.add(answer.json()["id"])
    assert len(ids) == 1


def test_an_upload_that_breaks_again_and_again_is_given_up_and_stands_in_nobodys_way(firm):
    principal = make.principal(firm)
    upload = uploads.receive(archive=archive({"a.xml": b"x"}), file_name="a.zip", principal=principal)
    Upload.objects.filter(pk=upload.pk).update(archive=b"the disk lost it")
    good = archive({"b.xml": decmessage.render(make.message(firm))})
    behind = uploads.receive(archive=good, file_name="b.zip", principal=principal)
    for attempt in range(uploads.ATTEMPTS):
        assert uploads.waiting(timedelta(0))[-1 if attempt else 0] == upload.pk
        with pytest.raises(zipfile.BadZipFile):
            uploads.work(upload.pk)
    upload.refresh_from_db()
    assert (upload.state, bytes(upload.archive)) == ("failed", b"")
    assert upload.finished_at
    assert uploads.waiting(timedelta(0)) == [behind.pk]
    assert make.events_of("upload", str(upload.pk)) == ["upload.received", "upload.failed"]


def test_a_damaged_member_harms_no_other_file(firm):
    files = {"bad.xml": b"<a/>" * 200, "good.xml": decmessage.render(make.message(firm))}
    body = bytearray(archive(files))
    at = body.index(b"bad.xml") + len("bad.xml")
    body[at : at + 8] = b"\xff" * 8
    upload = uploads.receive(archive=bytes(body), file_name="a.zip", principal=make.principal(firm))
    assert uploads.work(upload.pk) is False
    assert list(upload.files.values_list("status", flat=True)) == [422, 201]


def test_an_archive_may_come_as_a_form(firm, api):
    body, content_type = form("x1y2z3", archive({"a.xml": decmessage.render(make.message(firm))}))
    answer = api(firm).post("/api/v1/uploads", body, content_type=content_type)
    assert answer.status_code == 202, answer.content
    assert answer.json()["file_name"] == "a.zip"
    assert api(firm).post("/api/v1/uploads", b"", content_type=content_type).status_code in (400, 422)


def test_work_on_an_archive_goes_on_where_it_stopped(firm):
    files = {f"{n}.xml": decmessage.render(make.message(firm)) for n in range(uploads.STEP + 5)}
    upload = uploads.receive(archive=archive(files), file_name="a.zip", principal=make.principal(firm))
    assert uploads.work(upload.pk) is True
    assert upload.files.count() == uploads.STEP
    assert uploads.work(upload.pk) is False
    assert uploads.work(upload.pk) is False
    assert (upload.files.filter(status=201).count(), Declaration.objects.count()) == (uploads.STEP + 5,) * 2


def test_a_batch_of_bad_lines_harms_nothing(firm, api):
    lines = [b"{", b'{"a":' * 2000, b"null", b"1e400", orjson.dumps(make.message(firm)), b"\xff"]
    answer = api(firm).post(f"{URL}/batch", b"\n".join(lines), content_type="application/x-ndjson")
    assert [row["status"] for row in answer.json()["results"]] == [400, 400, 422, 400, 201, 400]
    assert lodgement.BATCH == 500


def test_one_entry_of_an_array_that_cannot_be_stored_harms_no_other(firm, api):
    entries = [orjson.dumps(make.message(firm, **changes)) for changes in ({"remarks": "a\x00b"}, {}, {})]
    entries.insert(2, b"[" * 900 + b"]" * 900)
    answer = api(firm).post(f"{URL}/batch", b"[" + b",".join(entries) + b"]")
    assert [row["status"] for row in answer.json()["results"]] == [422, 201, 400, 201]
    assert answer.json()["results"][0]["problem"]["errors"][0]["pointer"] == "/remarks"


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "large"}], ids=["plain", "with-a-key"])
def test_a_batch_may_be_larger_than_one_declaration_may(firm, api, key):
    """Five hundred declarations of fifty items are some 13 MB."""
    body = b" " * (13 << 20) + orjson.dumps([make.message(firm)])
    assert api(firm).post(f"{URL}/batch", body, headers=key).json()["lodged"] == 1
    too_large = api(firm).post(f"{URL}/batch", b" " * (33 << 20) + b"[]", headers=key)
    assert (too_large.status_code, too_large.json()["code"]) == (413, "too-large")
