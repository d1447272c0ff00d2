"""Decisions from the console are the commands of the API: an event with the officer's name, or a clear refusal."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction
from django.urls import reverse

from clearance import release, requests, selection
from clearance.models import Confirmation
from common import casework
from common.models import ReadRecord
from declarations.models import CheckResult, Declaration
from events.models import Event
from tests import make
from tests.clearance import states
from tests.console.officers import Desk

pytestmark = pytest.mark.django_db


def state(declaration: Declaration) -> str:
    return Declaration.objects.get(pk=declaration.pk).state


def last_event(declaration: Declaration) -> Event:
    return Event.objects.filter(subject_number=declaration.unified_number).order_by("-sequence")[0]


@pytest.mark.parametrize(
    ("before", "command", "reason", "after"),
    [
        ("under_review", "accept", "", "accepted"),
        ("under_review", "return", "documents", "returned"),
        ("under_review", "reject", "prohibited", "rejected"),
        ("accepted", "hold", "risk-analysis", "held"),
        ("held", "resume", "", "accepted"),
        ("accepted", "release", "examined", "released"),
        ("released", "clear", "", "cleared"),
    ],
)
def test_a_decision_is_an_event_with_its_officer(before: str, command: str, reason: str, after: str) -> None:
    case = make.declaration(state=before)
    desk = Desk()
    response = desk.decide(case, command, reason_code=reason, note="核对无误")
    assert state(case) == after
    event = last_event(case)
    assert event.actor == desk.actor
    assert event.data.get("reason_code", "") == reason
    assert event.data["note"] == "核对无误"
    page = response.content.decode()
    assert 'class="success"' in page
    assert "核对无误" in page


def test_a_decision_on_a_page_that_is_out_of_date_is_refused() -> None:
    case = make.declaration(state="under_review")
    one, other = Desk(), Desk()
    assert one.decide(case, "return", reason_code="documents").status_code == 200
    again = make.declaration(state="accepted")
    one.decide(again, "hold", reason_code="valuation")
    one.post("give_back", again.unified_number)
    page = other.decide(again, "release", reason_code="examined").content.decode()
    assert "已被更改" in page
    assert state(again) == "held"
    assert Event.objects.filter(subject_number=again.unified_number, type="declaration.released").count() == 0


def test_a_decision_without_the_version_seen_is_refused() -> None:
    case = make.declaration(state="under_review")
    Desk().decide(case, "accept", etag="")
    assert state(case) == "under_review"


def test_nobody_decides_on_a_case_in_another_officers_hands() -> None:
    case = make.declaration(state="under_review")
    one, other = Desk(), Desk()
    one.post("take_next", desk="review")
    page = other.page(case)
    assert "正在办理" in page
    assert "disabled" in page
    assert "未执行" in other.decide(case, "accept").content.decode()
    assert state(case) == "under_review"
    assert "已完成" in one.decide(case, "accept").content.decode()


def test_a_case_is_given_back_once_nothing_is_left_to_do() -> None:
    case = make.declaration(state="under_review")
    desk = Desk()
    desk.decide(case, "reject", reason_code="prohibited")
    assert casework.held("declaration", [case.unified_number]) == {}


def test_a_decision_outside_ones_duty_or_office_is_refused() -> None:
    case = make.declaration(state="under_review")
    assert Desk(duties=("inspection",)).decide(case, "accept").status_code == 403
    assert (
        Desk(offices=("7200",))
        .decide(make.declaration(state="under_review", border_customs_office="0100"), "accept")
        .status_code
        == 404
    )
    assert Desk().post("decide", case.unified_number, "lodge", etag=case.etag).status_code == 404
    assert Desk().post("decide", case.unified_number, "inspect", etag=case.etag).status_code == 404
    assert state(case) == "under_review"


def test_a_reason_is_asked_for_where_the_table_says_so() -> None:
    case = make.declaration(state="under_review")
    desk = Desk()
    assert "须选择原因" in desk.decide(case, "reject").content.decode()
    assert "原因代码无效" in desk.decide(case, "reject", reason_code="made-up").content.decode()
    assert "500" in desk.decide(case, "accept", note="长" * 501).content.decode()
    assert state(case) == "under_review"


def test_buttons_follow_state_and_duty() -> None:
    case = make.declaration(state="accepted")
    assert 'id="ask-release"' in Desk(duties=("release",)).page(case)
    assert 'id="ask-release"' not in Desk(duties=("inspection",)).page(case)
    assert 'id="ask-accept"' not in Desk().page(case)


def test_a_page_shows_what_was_declared_and_what_was_found() -> None:
    firm = make.firm(name="示例<b>公司</b>")
    case = make.declaration(firm, "under_review", items=2)
    CheckResult.objects.create(
        declaration=case, version=1, check_name="codes", code="made-up", severity="review",
        pointer="/goods_items/1/quantity", since=case.created_at,
    )  # fmt: skip
    page = Desk().page(case)
    assert "示例&lt;b&gt;公司&lt;/b&gt;" in page
    assert "<b>公司" not in page
    assert page.count("3902100090") == 2
    assert 'href="#goods_items-1"' in page
    assert "CSQU3054383" in page
    assert "需审核" in page
    assert "转人工审核" in page


def test_the_other_pages_of_a_declaration() -> None:
    case = make.declaration(state="under_review")
    desk = Desk()
    assert "CodeTS" in desk.page(case, view="message")
    assert "从未" in desk.page(case, view="versions") or "只有一个版本" in desk.page(case, view="versions")
    assert desk.actor in desk.page(case, view="readers")
    assert desk.page(case, view="no-such")


def test_versions_show_what_an_amendment_changed() -> None:
    from console.content import differences

    before = {"gross_weight": "10", "goods_items": [{"goods_name": "甲"}, {"goods_name": "乙"}]}
    after = {"gross_weight": "12", "goods_items": [{"goods_name": "甲"}], "marks": ""}
    assert [(d.pointer, d.before, d.after) for d in differences(before, after)] == [
        ("/gross_weight", "10", "12"),
        ("/goods_items/1/goods_name", "乙", None),
    ]
    assert differences(before, before) == []
    assert differences({}, {"goods_items": [{"quantity": "1"}]})[0].title.startswith("商品表体 1 · ")


def test_every_reading_of_a_declaration_is_recorded_and_stays() -> None:
    case = make.declaration(state="under_review")
    desk = Desk()
    desk.page(case)
    desk.page(case, view="message")
    found = list(ReadRecord.objects.order_by("id").values_list("actor", "kind", "number", "page"))
    assert found == [
        (desk.actor, "declaration", case.unified_number, "content"),
        (desk.actor, "declaration", case.unified_number, "message"),
    ]
    with pytest.raises(DatabaseError), transaction.atomic():
        ReadRecord.objects.all().delete()


def test_a_declaration_of_another_office_is_not_there_and_not_recorded() -> None:
    case = make.declaration(state="under_review", border_customs_office="0100")
    assert Desk(offices=("7200",)).get("declaration", case.unified_number).status_code == 404
    assert not ReadRecord.objects.exists()


def test_search_leads_to_a_declaration_by_number_bill_and_container() -> None:
    case = make.declaration(state="accepted")
    desk = Desk()
    for text in (case.unified_number, case.customs_number, case.transport_document_number, "CSQU3054383"):
        assert desk.get("find", q=text)["Location"].endswith(f"{case.unified_number}/")
    assert (
        case.unified_number
        in desk.http.get("/console/find/", {"q": case.domestic_party_name[:6]}, follow=True).content.decode()
    )
    assert "没有找到" in desk.get("find", q="no such thing").content.decode()
    assert desk.get("find", q="\x00").status_code in (200, 400)


def accepted(risk: int) -> Declaration:
    case = make.declaration(state="accepted")
    Declaration.objects.filter(pk=case.pk).update(risk_score=risk)
    selection.select(case.unified_number)
    return case


def test_bulk_release_looks_twice_and_takes_low_risk_only() -> None:
    low, high, noted = accepted(3), accepted(70), accepted(3)
    CheckResult.objects.create(
        declaration=noted, version=1, check_name="x", code="x", severity="review", since=noted.created_at
    )
    desk = Desk()
    numbers = [case.unified_number for case in (low, high, noted)]
    look = desk.post("bulk_release", number=numbers, step="look").content.decode()
    assert f'value="{low.unified_number}"' in look
    assert f'value="{high.unified_number}"' not in look
    assert {state(case) for case in (low, high, noted)} == {"accepted"}
    desk.post(
        "bulk_release", number=numbers, etag=[low.etag, high.etag, noted.etag], step="release", reason_code="low-risk"
    )
    assert [state(case) for case in (low, high, noted)] == ["released", "accepted", "accepted"]
    assert last_event(low).actor == desk.actor


def test_bulk_release_leaves_out_what_the_rules_of_risk_sent_to_an_officer_until_one_has_looked() -> None:
    unselected = make.declaration(state="accepted")
    Declaration.objects.filter(pk=unselected.pk).update(risk_score=3)
    states.rule(action="review")
    case, desk = accepted(3), Desk()

    def shown() -> str:
        numbers = [case.unified_number, unselected.unified_number]
        return desk.post("bulk_release", number=numbers, step="look").content.decode()

    assert 'name="etag"' not in shown()
    release.review(number=case.unified_number, principal=make.officer_principal(desk.officer))
    page = shown()
    assert f'value="{case.unified_number}"' in page
    assert f'value="{unselected.unified_number}"' not in page


def test_bulk_release_refuses_what_changed_between_the_looks() -> None:
    case = accepted(3)
    page = Desk().post(
        "bulk_release", number=[case.unified_number], etag=['"0"'], step="release", reason_code="low-risk"
    )
    assert "已被更改" in page.content.decode()
    assert state(case) == "accepted"


def test_nobody_decides_on_a_request_a_step_or_an_inspection_of_a_case_another_officer_has() -> None:
    case = states.declared()
    number = case.unified_number
    row = requests.ask(number=number, kind="withdraw", reason="x", principal=make.principal(case.firm))
    holder, other = Desk(), Desk()
    casework.take(kind="declaration", numbers=[number], holder=holder.actor, holder_name="王")
    for name, args, form in (
        ("decide_request", (row.pk,), {"approve": "0"}), ("review", (), {}), ("confirm_step", ("allowed_in",), {}),
        ("see_to_duties", ("settle",), {"reason": "x"}), ("inspection_act", ("order",), {"stage": "port"}),
    ):  # fmt: skip
        assert "此案正由王办理" in other.post(name, number, *args, **form).content.decode(), name
    row.refresh_from_db()
    assert row.state == "pending"
    assert not case.inspection_orders.exists()
    stale = holder.post("decide_request", number, row.pk, approve="0", etag='"0"').content.decode()
    assert "已被更改" in stale
    holder.post("decide_request", number, row.pk, approve="0", etag=case.etag)
    row.refresh_from_db()
    assert row.state == "refused"


def test_an_officer_confirms_no_step_without_the_duty_of_release() -> None:
    case = states.declared(states.goods(states.carrier(), "BLSTEP"), transit_relation="1")
    reader = Desk(duties=("examination",))
    assert reader.post("confirm_step", case.unified_number, "transit_departed").status_code == 403
    assert not Confirmation.objects.exists()


def test_decide_and_take_the_next() -> None:
    first, second = (make.declaration(state="under_review") for _ in range(2))
    desk = Desk()
    desk.post("take_next", desk="review")
    assert 'name="next"' in desk.page(first)
    answer = desk.decide(first, "accept", next="1")
    assert answer.redirect_chain[-1][0].endswith(f"{second.unified_number}/?desk=review")
    assert casework.held_by("declaration", desk.actor)[-1] == second.unified_number
    assert "已无可领取" in desk.decide(second, "accept", next="1").content.decode()


def test_the_next_case_is_of_the_desk_and_the_office_that_the_last_one_was_opened_from() -> None:
    """Whoever works off one office's cases is not handed an older one of another office in between."""
    here = [make.declaration(state="under_review", customs_office="8001") for _ in range(2)]
    older = make.declaration(state="under_review", customs_office="8000")
    Declaration.objects.filter(pk=older.pk).update(state_since=here[0].state_since - timedelta(days=1))
    desk = Desk(offices=("8000", "8001"))
    queue = desk.get("queue", desk="review", office="8001").content.decode()
    opened = f"{reverse('admin:declaration', args=[here[0].unified_number])}?desk=review&amp;office=8001"
    assert opened in queue
    page = desk.http.get(opened.replace("&amp;", "&")).content.decode()
    for carried in ('name="desk" value="review"', 'name="office" value="8001"', "&amp;office=8001&amp;view=compare"):
        assert carried in page
    answer = desk.decide(here[0], "accept", next="1", desk="review", office="8001")
    assert answer.redirect_chain[-1][0].endswith(f"{here[1].unified_number}/?desk=review&office=8001")
    answer = desk.decide(here[1], "accept", next="1", desk="review", office="8001")
    assert "已无可领取" in answer.content.decode()
    assert casework.held("declaration", [older.unified_number]) == {}


@pytest.mark.parametrize("opened_from", [{}, {"desk": "accepted"}])
def test_who_goes_on_to_the_next_is_given_no_case_outside_the_own_duties(opened_from: dict[str, str]) -> None:
    """An examiner returns an accepted case; the desk it lay on is that of those who release."""
    case, other = (make.declaration(state="accepted") for _ in range(2))
    desk = Desk(duties=("examination",))
    answer = desk.decide(case, "return", reason_code="documents", next="1", **opened_from)
    assert state(case) == "returned"
    assert "不属您的职责" in answer.content.decode()
    assert answer.redirect_chain[-1][0] == reverse("admin:queue")
    assert casework.held("declaration", [other.unified_number]) == {}
