"""Clearance in the console: side by side with the manifest, inspections and their calendar, risk rules."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from clearance import cases, holds, inspections, release, requests, selection
from clearance.models import Appointment, Confirmation, CreditStanding, Evidence, Hold, InspectionOrder, RiskRule
from common.days import LEGAL_ZONE, today
from console import rules
from declarations.models import Declaration
from events.models import Event
from parties.models import OrganisationRole
from tests import make
from tests.cargo.cargo_make import bill, lodge
from tests.clearance import states
from tests.console.officers import Desk

pytestmark = pytest.mark.django_db
_unique = itertools.count(1)


def test_the_declaration_stands_beside_its_manifest_with_differences_marked() -> None:
    goods = states.goods(states.carrier(), f"BLCMP{next(_unique)}")
    same = states.declared(
        goods, package_count=goods.packages, gross_weight=f"{goods.gross_mass:.5f}", net_weight="1.00000"
    )
    page = Desk().page(same, view="compare")
    assert goods.manifest.number in page
    assert "与舱单相符" in page
    assert "differs" not in page
    other = states.goods(states.carrier(), f"BLCMP{next(_unique)}")
    wrong = states.declared(
        other, package_count=other.packages + 1, gross_weight=f"{other.gross_mass:.5f}", net_weight="1.00000"
    )
    page = Desk().page(wrong, view="compare")
    assert "1 处不符" in page
    assert page.count('class="differs"') == 2


def test_a_declaration_without_manifest_says_so() -> None:
    assert "没有对应的舱单" in Desk().page(make.declaration(state="accepted"), view="compare")


def test_an_inspection_from_order_to_result() -> None:
    case = states.declared()
    desk, reader = Desk(), Desk(duties=("examination",))
    number = case.unified_number
    assert reader.post("inspection_act", number, "order").status_code == 403
    agency = make.organisation(OrganisationRole.INSPECTION_AGENCY)
    desk.post("inspection_act", number, "order", agency="", stage="port", instruction="开箱核对")
    desk.post("inspection_act", number, "order", agency=str(agency.pk), stage="port")
    orders = list(InspectionOrder.objects.order_by("pk"))
    assert len({order.appointment_id for order in orders}) == 1
    assert "待约定" in desk.get("inspection", number).content.decode()
    assert number in desk.get("inspections").content.decode()
    start = timezone.localtime(timezone.now() + timedelta(hours=3))
    answer = desk.post("inspection_act", number, "book", place="CNCKG1", starts_at="x", ends_at="y")
    assert "时间无效" in answer.content.decode()
    desk.post(
        "inspection_act", number, "book", place="CNCKG1", starts_at=f"{start:%Y-%m-%dT%H:%M}",
        ends_at=f"{start + timedelta(hours=1):%Y-%m-%dT%H:%M}",
    )  # fmt: skip
    assert Appointment.objects.get().state == "booked"
    assert case.domestic_party_name in desk.get("inspections", month=f"{start:%Y-%m}").content.decode()
    photo = SimpleUploadedFile("箱.png", b"\x89PNG\r\n\x1a\n" + b"0" * 20)
    desk.post("inspection_act", number, "evidence", order=orders[0].pk, file=photo, sample_number="S-1")
    assert Evidence.objects.get().content_type == "image/png"
    script = SimpleUploadedFile("x.png", b"<script>")
    assert "JPEG" in desk.post("inspection_act", number, "evidence", order=orders[0].pk, file=script).content.decode()
    desk.post("inspection_act", number, "finish", order=orders[0].pk, passed="1", note="相符")
    page = desk.post("inspection_act", number, "finish", order=orders[1].pk, passed="0", note="", follow_up="penalty")
    assert "须说明差异" in page.content.decode()
    desk.post("inspection_act", number, "finish", order=orders[1].pk, passed="1", note="相符")
    case.refresh_from_db()
    assert case.state == "accepted"
    assert set(InspectionOrder.objects.values_list("result_by", flat=True)) == {desk.actor}


def test_an_order_of_another_declaration_is_not_reached_through_this_one() -> None:
    one, other = states.declared(), states.declared(border_customs_office="0100", customs_office="0100")
    order = inspections.order(number=other.unified_number, principal=make.SYSTEM)
    desk = Desk()
    assert desk.post("inspection_act", one.unified_number, "finish", order=order.pk, passed="1").status_code == 404
    assert desk.post("inspection_act", other.unified_number, "finish", order=order.pk, passed="1").status_code == 404
    assert desk.post("inspection_act", one.unified_number, "no-such").status_code == 404
    assert desk.get("inspection", other.unified_number).status_code == 404
    assert InspectionOrder.objects.get().state == "ordered"


@pytest.mark.parametrize("month", ["", "2026-13", "x", "2026-02", "9999-12", "0001-01"])
def test_any_month_may_be_asked_for(month: str) -> None:
    assert Desk().get("inspections", month=month).status_code == 200


def test_a_release_says_everything_that_is_missing_and_a_hold_is_lifted_on_the_page() -> None:
    case = states.declared()
    hold = holds.place(
        reference=f"declaration:{case.unified_number}", kind="customs", reason="示例", holder_reference="H-1",
        principal=make.SYSTEM,
    )  # fmt: skip
    desk = Desk()
    assert "未执行" in desk.decide(case, "release", reason_code="examined").content.decode()
    assert Declaration.objects.get(pk=case.pk).state == "accepted"
    assert "示例" in desk.page(case)
    assert Desk(duties=("tariff",)).post("lift_hold", case.unified_number, str(hold.pk)).status_code == 403
    assert desk.post("lift_hold", make.declaration(state="accepted").unified_number, str(hold.pk)).status_code == 404
    desk.post("lift_hold", case.unified_number, str(hold.pk))
    hold.refresh_from_db()
    assert hold.lifted_by == desk.actor


def test_an_officer_holds_released_goods_from_the_page_of_their_declaration() -> None:
    goods = states.goods(states.carrier(), f"BLHOLD{next(_unique)}")
    case = states.declared(goods)
    assert states.proceed(case) == "released"
    desk, number = Desk(duties=("risk",)), case.unified_number
    bill = f"bill:{goods.bill_number}"
    assert bill in desk.page(case)
    assert "holds/" not in Desk(duties=("examination",)).page(case)
    form = {"reference": bill, "kind": "customs", "reason": "待核查"}
    assert Desk(duties=("examination",)).post("place_hold", number, **form).status_code == 403
    assert desk.post("place_hold", number, **form | {"kind": "duty"}).status_code == 403
    assert desk.post("place_hold", number, **form | {"reference": "bill:OTHER"}).status_code == 404
    assert "已扣留" in desk.post("place_hold", number, **form).content.decode()
    hold = Hold.objects.get()
    assert (hold.after_release, hold.placed_by) == (True, desk.actor)
    assert not release.stands(case)
    desk.post("lift_hold", number, str(hold.pk))
    assert release.stands(case)


def test_an_officer_confirms_the_two_stages_on_the_page() -> None:
    case = states.declared(states.goods(states.carrier(), f"BLSTG{next(_unique)}"))
    cases.choose_mode(number=case.unified_number, mode="two_stage", principal=make.principal(case.firm))
    desk, reader = Desk(), Desk(duties=("examination",))
    assert "合格入市" in reader.page(case)
    assert "steps/" not in reader.page(case)
    assert reader.post("confirm_step", case.unified_number, "allowed_in").status_code == 403
    assert "未执行" in desk.post("confirm_step", case.unified_number, "allowed_for_use").content.decode()
    for step, other in (("allowed_in", "allowed_for_use"), ("allowed_for_use", "allowed_in")):
        assert f"steps/{step}/" in desk.page(case)
        assert f"steps/{other}/" not in desk.page(case)
        desk.post("confirm_step", case.unified_number, step)
    assert list(Confirmation.objects.order_by("pk").values_list("step", "actor")) == [
        ("allowed_in", desk.actor), ("allowed_for_use", desk.actor),
    ]  # fmt: skip
    assert desk.post("confirm_step", make.declaration(state="accepted").unified_number, "allowed_in").status_code == 200
    assert Confirmation.objects.count() == 2


def test_an_officer_refuses_or_approves_what_a_declarant_asks() -> None:
    firm = make.firm()
    case = states.declared(firm=firm)
    message = case.message | {"contract_number": "HT-NEW"}
    asked = requests.ask(
        number=case.unified_number, kind="amend", reason="合同号有误", message=message, principal=make.principal(firm)
    )
    desk = Desk()
    page = desk.page(case)
    assert "合同号有误" in page
    assert "HT-NEW" in page
    assert (
        Desk(duties=("release",)).post("decide_request", case.unified_number, asked.pk, approve="1").status_code == 403
    )
    assert desk.post("decide_request", make.declaration(state="accepted").unified_number, asked.pk).status_code == 404
    desk.post("decide_request", case.unified_number, asked.pk, approve="0", note="请附合同")
    asked.refresh_from_db()
    assert (asked.state, asked.note) == ("refused", "请附合同")


def test_an_officer_says_that_a_case_was_looked_at() -> None:
    states.rule(action="review")
    case = states.declared()
    assert states.proceed(case) == "accepted"
    desk = Desk()
    assert "已审核，同意继续" in desk.page(case)
    assert "已审核，同意继续" not in Desk(duties=("release",)).page(case)
    assert Desk(duties=("release",)).post("review", case.unified_number).status_code == 403
    desk.post("review", case.unified_number)
    assert Event.objects.filter(type="clearance.reviewed", actor=desk.actor).count() == 1
    assert "已审核，同意继续" not in desk.page(case)


def rule_form(**changes: Any) -> dict[str, Any]:
    return {
        "code": f"rule-{next(_unique)}", "name": "肉类抽查", "basis": "示例", "action": "inspect", "share": "12.5",
        "join": "all", "field-0": "goods.code", "op-0": "starts_with", "value-0": "0202",
        "field-1": "route_country", "op-1": "in", "value-1": "BRA, ARG",
    } | changes  # fmt: skip


def test_a_rule_is_written_tried_and_switched_on() -> None:
    make.declaration(state="accepted")
    desk = Desk(duties=("risk",))
    assert "已保存" in desk.post("risk_edit", **rule_form()).content.decode()
    rule = RiskRule.objects.get()
    assert rule.condition == {
        "all": [
            {"field": "goods.code", "op": "starts_with", "value": "0202"},
            {"field": "route_country", "op": "in", "value": ["BRA", "ARG"]},
        ]
    }
    assert (rule.active, rule.created_by) == (False, desk.actor)
    assert "须先试算" in desk.post("risk_act", rule.pk, "on").content.decode()
    assert "1 票中命中 0 票" in desk.post("risk_act", rule.pk, "try").content.decode()
    desk.post("risk_act", rule.pk, "on")
    assert RiskRule.objects.get().active
    assert Event.objects.filter(type="risk_rule.switched_on", actor=desk.actor).exists()
    page = desk.get("risk").content.decode()
    assert "商品编号 开头为 0202" in page
    form = desk.get("risk_edit", of=rule.pk).content.decode()
    assert 'value="BRA, ARG"' in form
    desk.post("risk_act", rule.pk, "off")
    assert not RiskRule.objects.get().active
    assert desk.post("risk_act", rule.pk, "burn").status_code == 404


def test_a_revision_keeps_the_agencies_and_the_end_of_the_rule() -> None:
    agency = make.organisation(OrganisationRole.INSPECTION_AGENCY)
    desk = Desk(duties=("risk",))
    desk.post("risk_edit", **rule_form(agencies=["customs", str(agency.pk)], valid_to="2031-01-01"))
    rule = RiskRule.objects.get()
    assert (rule.agencies, str(rule.valid.upper)) == (["customs", str(agency.pk)], "2031-01-01")
    form = desk.get("risk_edit", of=rule.pk).content.decode()
    for text in ('value="customs" checked', f'value="{agency.pk}" checked', 'value="2031-01-01"'):
        assert text in form


def test_a_firm_is_listed_through_the_command_and_its_standing_is_ended_not_rewritten() -> None:
    firm, desk = make.firm(), Desk(duties=("risk",))
    form = {
        "organisation": firm.pk, "standing": "black", "factor": "0.5", "basis": "示例",
        "valid_0": "2026-01-01", "valid_1": "",
    }  # fmt: skip
    add = "/console/clearance/creditstanding/add/"
    assert "黑名单大于 1" in desk.http.post(add, form).content.decode()
    assert not CreditStanding.objects.exists()
    assert desk.http.post(add, form | {"factor": "5"}).status_code == 302
    row = CreditStanding.objects.get()
    listed = Event.objects.get(type="credit_standing.listed")
    assert (listed.actor, listed.data["organisation"]) == (desk.actor, firm.pk)
    change = f"/console/clearance/creditstanding/{row.pk}/change/"
    ends = (today() + timedelta(days=5)).isoformat()
    assert (
        "不得终止于今日之前"
        in desk.http.post(change, {"valid_0": "2026-01-01", "valid_1": today().isoformat()}).content.decode()
    )
    assert desk.http.post(change, {"valid_0": "2025-01-01", "valid_1": ends}).status_code == 302
    row.refresh_from_db()
    assert (str(row.valid.lower), str(row.valid.upper), row.factor) == ("2026-01-01", ends, 5)
    assert Event.objects.filter(type="credit_standing.ended", actor=desk.actor).count() == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"field-0": "", "field-1": ""}, "至少写一个条件"),
        ({"json": "{"}, "不是有效的 JSON"),
        ({"json": "[" * 5000}, "不是有效的 JSON"),
        ({"json": '{"field": "secret", "op": "eq", "value": "x"}'}, "没有此字段"),
        ({"share": "NaN"}, "比例"),
        ({"share": "120"}, "比例"),
        ({"valid_from": "2026-02-30"}, "日期应为"),
        ({"value-0": ""}, ""),
    ],
)
def test_a_faulty_rule_is_explained_and_not_kept(changes: dict[str, str], said: str) -> None:
    page = Desk(duties=("risk",)).post("risk_edit", **rule_form(**changes))
    assert page.status_code == 200
    assert said in page.content.decode()
    assert "肉类抽查" in page.content.decode()
    if said:
        assert not RiskRule.objects.exists()


def test_a_condition_reads_as_a_sentence() -> None:
    one = {"field": "value", "op": "gt", "value": "100"}
    assert rules.described({"any": [one, {"all": [one, {"not": one}]}]}) == (
        "总价合计（各币制之和） 大于 100 或 （总价合计（各币制之和） 大于 100 且 非（总价合计（各币制之和） 大于 100））"
    )


def test_a_change_of_a_declared_bill_is_decided_on_the_page_of_manifest_changes() -> None:
    carrier = states.carrier()
    goods = states.goods(carrier, f"BLCHG{next(_unique)}")
    declaration = states.declared(goods, customs_office="8001")
    selection.select(declaration.unified_number)
    waiting = lodge(
        carrier, "MT1101", "5", number=goods.manifest.number,
        consignments=[bill(goods.bill_number, 390, "20500", change_reason="004")],
    )  # fmt: skip
    assert waiting.response_code == "02"
    desk = Desk(duties=("examination",), offices=("8001",))
    page = desk.get("manifest_changes").content.decode()
    for text in (goods.bill_number, "<del>400</del> → <ins>390</ins>", declaration.customs_number):
        assert text in page
    other = Desk(duties=("examination",), offices=("8000",))
    assert goods.bill_number not in other.get("manifest_changes").content.decode()
    assert other.post("manifest_decide", waiting.pk, approve="1").status_code == 404
    assert "已审核" in desk.post("manifest_decide", waiting.pk, approve="1").content.decode()
    goods.refresh_from_db()
    waiting.refresh_from_db()
    assert (goods.packages, waiting.decided_by) == (390, desk.actor)
    assert goods.bill_number not in desk.get("manifest_changes").content.decode()


def test_an_officer_puts_the_time_of_a_trip_right_from_the_list_of_trips() -> None:
    goods = states.goods(states.carrier(), f"BLTRIP{next(_unique)}")
    desk = Desk(duties=("examination",))
    assert (
        f"/console/manifests/trips/{goods.voyage_id}/correct/"
        in desk.http.get("/console/cargo/voyage/").content.decode()
    )
    assert "必须填写" in desk.post("voyage_correct", goods.voyage_id, what="arrived", at="").content.decode()
    page = desk.post("voyage_correct", goods.voyage_id, what="arrived", at="2026-11-20T08:30").content.decode()
    assert "已更正" in page
    goods.voyage.refresh_from_db()
    assert goods.voyage.arrived_at == datetime(2026, 11, 20, 8, 30, tzinfo=LEGAL_ZONE)
