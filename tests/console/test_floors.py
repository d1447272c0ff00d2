"""What officers look at and do beside deciding: documents themselves, duties at the desk, lists of what clearance keeps,
published time limits as targets."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.backends.postgresql.psycopg_any import DateRange
from django.utils import timezone

from clearance import documents, duties, gates, holds, inspections, times
from clearance.models import TimeLimit
from common.days import today
from common.models import ReadRecord
from common.problems import Problem
from console import ages
from declarations.models import Declaration
from events.models import Event
from tariffs import memos
from tariffs.models import DutyMemo
from tests import make
from tests.cargo.cargo_make import acting_for, container
from tests.clearance import states
from tests.console.officers import Desk

pytestmark = pytest.mark.django_db

PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF"
INVOICE = {"document_type": "00000001", "document_id": "530120000000001IM000000000000000001.pdf"}
LIST = {"document_type": "00000002", "document_id": "530120000000002IM000000000000000002.pdf"}


@pytest.fixture(autouse=True)
def _apart(settings: Any, tmp_path: Any) -> Any:
    settings.MEDIA_ROOT = tmp_path
    cache.clear()
    yield
    cache.clear()


def with_documents(**changes: Any) -> Declaration:
    goods = states.goods(states.carrier(), "BLDOC" + container())
    return states.declared(
        goods, package_count=goods.packages, gross_weight=f"{goods.gross_mass:.5f}", net_weight="1.00000",
        electronic_documents=[INVOICE | {"document_format": "US"}, LIST | {"document_format": "US"}], **changes,
    )  # fmt: skip


def attach(case: Declaration, of: dict[str, str], states_: dict[str, str] | None = None, data: bytes = PDF) -> Any:
    return documents.attach(
        number=case.unified_number, document_id=of["document_id"], name="C:\\scans\\装箱单.pdf", data=data,
        states=states_, principal=make.principal(case.firm),
    )  # fmt: skip


def test_documents_stand_beside_what_was_declared_and_what_they_state_is_compared() -> None:
    case, desk = with_documents(), Desk()
    page = desk.page(case, view="compare")
    assert INVOICE["document_id"] in page
    assert "未上传" in page
    same = attach(case, LIST, {"packages": str(case.package_count), "gross_weight": f"{case.gross_weight:.1f}"})
    page = desk.page(case, view="compare")
    assert "与舱单相符" in page
    assert f"documents/{same.pk}/" in page
    attach(case, LIST, {"packages": str(case.package_count + 1)}, PDF + b" ")
    page = desk.page(case, view="compare")
    assert "1 处不符" in page
    assert f'<b class="differs">{case.package_count + 1}</b>' in page


def test_a_document_is_looked_at_in_the_console_and_the_look_is_recorded() -> None:
    case, desk = with_documents(), Desk()
    file = attach(case, LIST)
    answer = desk.get("document", case.unified_number, file.pk)
    assert b"".join(answer.streaming_content) == PDF
    assert answer["Content-Type"] == "application/pdf"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Disposition"].startswith("inline")
    assert ReadRecord.objects.filter(page="document", number=case.unified_number, actor=desk.actor).count() == 1
    assert desk.get("document", make.declaration(state="accepted").unified_number, file.pk).status_code == 404
    assert Desk(offices=("0100",)).get("document", case.unified_number, file.pk).status_code == 404
    assert "随附单证" in Desk(duties=("supervision",)).get("audit", officer=desk.actor).content.decode()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"of": {"document_id": "NOT-NAMED"}}, "not-named"),
        ({"states_": {"packages": 4}}, "text"),
        ({"states_": {"colour": "red"}}, "unknown-member"),
        ({"data": b"<html>"}, "file-type"),
        ({"data": PDF + b"0" * documents.MAX_FILE}, "too-large"),
    ],
)
def test_what_is_no_document_of_the_declaration_is_refused(changes: dict[str, Any], code: str) -> None:
    case = with_documents()
    with pytest.raises(Problem) as caught:
        attach(case, **({"of": LIST} | changes))
    assert code in ([fault.code for fault in caught.value.errors] or [caught.value.code])


def test_documents_over_the_api(api: Any) -> None:
    case = with_documents()
    path = f"/api/v1/clearance/{case.unified_number}/documents"
    client = api(case.firm)

    def send(form: dict[str, Any]) -> Any:
        return client.http.post(path, form, headers=client.headers)

    form = {"document_id": LIST["document_id"], "states": '{"packages": "400"}'}
    made = send(form | {"file": SimpleUploadedFile("list.pdf", PDF)})
    assert made.status_code == 201, made.content
    again = send(form | {"file": SimpleUploadedFile("list.pdf", PDF)})
    assert again.json()["id"] == made.json()["id"], "the same file is the same document"
    (row,) = client.get(path).json()["results"]
    assert row["states"] == {"packages": "400"}
    file = client.get(f"/api/v1/clearance-documents/{row['id']}")
    assert b"".join(file.streaming_content) == PDF
    assert file["Content-Disposition"].startswith("attachment")
    other = api(make.firm())
    assert other.get(path).status_code == 404
    assert other.get(f"/api/v1/clearance-documents/{row['id']}").status_code == 404
    assert send({"document_id": "x"}).status_code == 422


def owing() -> tuple[Declaration, DutyMemo]:
    make.tariff()
    firm = make.firm()
    case = states.declared(firm=firm)
    duties.assess(case.unified_number)
    return case, DutyMemo.objects.get(subject=case.unified_number)


def test_an_officer_records_a_payment_at_the_counter() -> None:
    case, memo = owing()
    desk, other = Desk(duties=("duties",)), Desk(duties=("release",))
    assert "登记柜台缴款" in desk.page(case)
    assert "登记柜台缴款" not in other.page(case)
    assert other.post("see_to_duties", case.unified_number, "pay", reference="R-1").status_code == 403
    assert "未执行" in desk.post("see_to_duties", case.unified_number, "pay", reference=" ").content.decode()
    desk.post("see_to_duties", case.unified_number, "pay", reference="R-1")
    memo.refresh_from_db()
    assert (memo.state, memo.paid_on) == ("paid", today())
    event = Event.objects.get(type="duty.paid", subject_number=case.unified_number)
    assert (event.actor, event.data["reference"]) == (desk.actor, "R-1")
    assert duties.standing(case) == []
    assert "没有未缴的税单" in desk.post("see_to_duties", case.unified_number, "pay", reference="R-2").content.decode()


def test_an_officer_draws_a_guarantee_for_what_is_open() -> None:
    case, memo = owing()
    desk = Desk(duties=("duties",))
    account = memos.open_guarantee(
        number="G-1", organisation_id=case.firm_id, amount=memo.amount, valid_from=today(), last_day=None, summary=False,
        actor="officer:x",
    )  # fmt: skip
    assert "G-1" in desk.page(case)
    assert "未执行" in desk.post("see_to_duties", case.unified_number, "guarantee", guarantee="G-9").content.decode()
    desk.post("see_to_duties", case.unified_number, "guarantee", guarantee="G-1")
    account.refresh_from_db()
    assert account.drawn == memo.amount
    assert set(DutyMemo.objects.values_list("state", flat=True)) == {"void", "guaranteed"}
    assert duties.standing(case) == []
    assert desk.post("see_to_duties", case.unified_number, "no-such").status_code == 404


def test_the_lists_show_what_clearance_keeps_of_ones_own_offices(superuser_pages: list[str]) -> None:
    carrier = states.carrier()
    box = container()
    case = states.declared(states.goods(carrier, f"BLADM{box}", boxes=[box]))
    order = inspections.order(number=case.unified_number, principal=make.SYSTEM)
    inspections.add_evidence(pk=order.pk, name="a.pdf", data=PDF, sample_number="S-9", principal=make.SYSTEM)
    holds.place(
        reference=f"declaration:{case.unified_number}", kind="customs", reason="示例", holder_reference="H",
        principal=make.SYSTEM,
    )  # fmt: skip
    gates.record(
        message_id="M", container=box, move="GTIN", fullness="LADEN", place="QZHDL", at=timezone.now(),
        principal=acting_for(carrier),
    )  # fmt: skip
    times.load()
    mine, elsewhere = Desk(), Desk(offices=("0100",))
    number = case.unified_number
    for path in superuser_pages:
        answer = mine.http.get(f"/console/clearance/{path}/")
        assert answer.status_code == 200, path
    for path in ("inspectionorder", "evidence", "appointment"):
        assert number in mine.http.get(f"/console/clearance/{path}/").content.decode(), path
        assert number not in elsewhere.http.get(f"/console/clearance/{path}/").content.decode(), path
    detail = mine.http.get(f"/console/clearance/inspectionorder/{order.pk}/change/").content.decode()
    assert "a.pdf" in detail
    assert ReadRecord.objects.filter(page="inspectionorder", number=number, actor=mine.actor).count() == 1
    assert 'name="_save"' not in detail
    assert mine.http.post(f"/console/clearance/inspectionorder/{order.pk}/change/", {}).status_code == 403
    assert b"".join(mine.get("evidence", order.evidence.get().pk).streaming_content) == PDF
    assert elsewhere.get("evidence", order.evidence.get().pk).status_code == 404


@pytest.fixture
def superuser_pages() -> list[str]:
    return [
        "case", "release", "selection", "changerequest", "hold", "gatemove", "appointment", "inspectionorder", "evidence",
        "penaltycase", "deadline", "portpaper", "creditstanding", "timelimit",
    ]  # fmt: skip


def test_a_published_limit_is_the_target_and_an_offices_own_goes_before_it() -> None:
    case = make.declaration(state="accepted")
    assert ages.target("accepted", "8000", "I") == ages.TARGETS["accepted"]
    times.load()
    TimeLimit.objects.create(
        operation="release", office="8000", direction="I", hours=Decimal(6), source="示例",
        valid=DateRange(today() - timedelta(days=1), None),
    )  # fmt: skip
    cache.clear()
    assert ages.target("accepted", "8000", "I") == timedelta(hours=6)
    assert ages.target("accepted", "8001", "I") == timedelta(hours=24)
    assert ages.target("accepted", "8000", "E") == timedelta(hours=4)
    assert ages.target("held", "8000", "I") == ages.TARGETS["held"], "nothing is published for it"
    Declaration.objects.filter(pk=case.pk).update(state_since=timezone.now() - timedelta(hours=7))
    desk = Desk()
    assert case.unified_number in desk.get("queue", desk="accepted", late="1").content.decode()
    assert "超时 1" in desk.http.get("/console/").content.decode()
    TimeLimit.objects.filter(office="8000").update(hours=Decimal(8))
    cache.clear()
    assert case.unified_number not in desk.get("queue", desk="accepted", late="1").content.decode()


def test_a_time_limit_is_entered_and_closed_but_not_rewritten() -> None:
    times.load()
    row = TimeLimit.objects.filter(operation="release", direction="I").get()
    chief, reader = Desk(duties=("supervision",)), Desk(duties=("examination",))
    url = f"/console/clearance/timelimit/{row.pk}/change/"
    assert reader.http.post(url, {"valid_0": "2022-01-01", "valid_1": "2026-01-01"}).status_code == 403
    chief.http.post(url, {"valid_0": "2022-01-01", "valid_1": "2099-01-01", "hours": "1"})
    row.refresh_from_db()
    assert (row.hours, str(row.valid.upper)) == (Decimal(24), "2099-01-01")
