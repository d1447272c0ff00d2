"""Port fees in the console: a body keeps its lists, complaints are followed, the port authority sets dated figures; each sees
what is theirs."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from openpyxl import Workbook
from psycopg2.extras import DateRange

from common.days import today
from parties.models import OrganisationRole
from parties.principals import Principal
from portfees import catalogues, figures, invoices, sheets
from portfees.models import Ceiling, Complaint, FeeList, Parameter
from tests import make
from tests.make import events_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def reference() -> None:
    call_command("load_reference", verbosity=0)
    since = DateRange(date(2020, 1, 1), None)
    Parameter.objects.create(name="notice_days", value=30, basis="test", valid=since)


def desk(client, organisation):
    """The console as somebody of ``organisation`` sees it."""
    officer = make.officer(organisation=organisation, offices=(), duties=())
    client.force_login(officer.user)
    return client


def principal(organisation) -> Principal:
    return Principal(actor="test", organisation_id=organisation.pk, roles=frozenset(organisation.roles))


def listed(body, rate: str = "500", valid_from: date | None = None) -> FeeList:
    from tests.portfees.conftest import item

    fee_list = catalogues.draft(
        principal=principal(body), body_class="terminal", port="CNQZH", title="码头收费清单", complaint_telephone="12345",
        valid_from=valid_from or date(2026, 1, 1), items=[item(rate=Decimal(rate))],
    )  # fmt: skip
    catalogues.check(number=fee_list.number, principal=principal(body))
    return catalogues.publish(number=fee_list.number, principal=principal(body), on=date(2025, 11, 1))


def begun(browser) -> FeeList:
    first = today() + timedelta(days=60)
    answer = browser.post(
        "/console/port-fees/lists/",
        {"title": "新清单", "body_class": "terminal", "port": "CNQZH", "valid_from": first.isoformat(), "complaint_telephone": "1"},
    )  # fmt: skip
    assert answer.status_code == 302, answer.content.decode()
    return FeeList.objects.order_by("-pk")[0]


def test_a_body_uploads_a_list_tries_it_writes_it_and_publishes_it(client):
    body = make.organisation(OrganisationRole.TERMINAL)
    before = listed(body)
    browser = desk(client, body)
    row = begun(browser)
    url = f"/console/port-fees/lists/{row.number}/"
    from tests.portfees.conftest import item

    sheet = sheets.write_xlsx([item(rate=Decimal(450)), item("SEAL", name_zh="封志费", rate=Decimal(20))], "x")
    tried = browser.post(url, {"file": SimpleUploadedFile("list.xlsx", sheet)})
    html = tried.content.decode()
    assert "<del>500</del>" in html
    assert "封志费" in html
    assert not row.items.exists()
    written = re.search(r'<textarea name="sheet" hidden>(.*?)</textarea>', html, re.S)
    assert written
    assert browser.post(url, {"sheet": tried.context["sheet"]}).status_code == 302
    assert row.items.count() == 2
    for act, state in (("check", "checked"), ("reopen", "draft"), ("check", "checked"), ("publish", "published")):
        browser.post(f"{url}{act}/")
        row.refresh_from_db()
        assert row.state == state
    before.refresh_from_db()
    assert before.state == "superseded"


def test_every_fault_of_a_sheet_is_told_by_row_and_column_and_nothing_is_written(client):
    body = make.organisation(OrganisationRole.TERMINAL)
    browser = desk(client, body)
    row = begun(browser)
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.append(["code", "name_zh", "service_content", "payer", "unit", "rate", "pricing", "mandatory"])
    sheet.append(["A", "装卸费", "x", "consignee", "container", "abc", "market", "perhaps"])
    sheet.append(["B", "", "x", "consignee", "container", "1", "market", "true"])
    from io import BytesIO

    out = BytesIO()
    book.save(out)
    html = browser.post(
        f"/console/port-fees/lists/{row.number}/", {"file": SimpleUploadedFile("l.xlsx", out.getvalue())}
    ).content.decode()
    for place in ("/rows/2/rate", "/rows/2/mandatory", "/rows/3/name_zh"):
        assert place in html
    assert 'name="sheet"' not in html
    assert not row.items.exists()


def test_another_body_does_not_reach_the_draft(client):
    row = begun(desk(client, make.organisation(OrganisationRole.TERMINAL)))
    stranger = desk(client, make.organisation(OrganisationRole.TERMINAL))
    assert stranger.get(f"/console/port-fees/lists/{row.number}/").status_code == 404
    assert stranger.post(f"/console/port-fees/lists/{row.number}/check/").status_code == 404
    assert row.title not in stranger.get("/console/port-fees/lists/").content.decode()


def test_who_charges_nothing_keeps_no_list(client):
    browser = desk(client, make.firm())
    assert 'name="complaint_telephone"' not in browser.get("/console/port-fees/lists/").content.decode()
    assert browser.post("/console/port-fees/lists/", {"title": "x"}).status_code == 403
    assert not FeeList.objects.exists()


def complained() -> tuple[Complaint, dict[str, object]]:
    body, payer = make.organisation(OrganisationRole.TERMINAL), make.firm()
    listed(body)
    line = invoices.Line(
        code="LUMP", service_day=date(2026, 3, 1), quantity=Decimal(1), amount=Decimal(900), currency="CNY",
        container_size="", condition="", direction="", trade_lane="", days=None,
    )  # fmt: skip
    invoice = invoices.report(
        number="INV-1", payer_id=payer.pk, port="CNQZH", area="", issued_on=date(2026, 3, 2), reference="", lines=[line],
        principal=principal(body),
    )  # fmt: skip
    complaint = invoices.complain(invoice_id=invoice.pk, line=1, text="高于公布的费率", principal=principal(payer))
    return complaint, {"body": body, "payer": payer}


def test_a_complaint_is_followed_from_both_sides_to_the_port_authoritys_decision(client):
    complaint, people = complained()
    url = f"/console/port-fees/complaints/{complaint.number}/"
    browser = desk(client, people["body"])
    html = browser.get(url).content.decode()
    assert 'value="answer"' in html
    assert 'value="uphold"' not in html
    browser.post(url, {"command": "answer", "text": "将退还 400 元"})
    assert browser.post(url, {"command": "uphold", "text": "no"}).status_code == 404
    browser = desk(client, make.organisation(OrganisationRole.PORT_AUTHORITY))
    html = browser.get(url).content.decode()
    assert "将退还 400 元" in html
    assert "高于公布的费率" in html
    assert browser.post(url, {"command": "uphold", "text": ""}).status_code == 200
    browser.post(url, {"command": "uphold", "text": "成立"})
    complaint.refresh_from_db()
    assert complaint.state == "upheld"
    assert events_of("complaint", complaint.number) == ["complaint.opened", "complaint.answered", "complaint.upheld"]
    assert complaint.number in browser.get("/console/port-fees/complaints/?state=upheld").content.decode()


def test_people_of_a_firm_see_their_own_complaints_and_invoices_only(client):
    complaint, people = complained()
    for organisation, seen in ((people["payer"], True), (make.firm(), False), (make.organisation("bank"), False)):
        browser = desk(client, organisation)
        assert (complaint.number in browser.get("/console/port-fees/complaints/").content.decode()) == seen
        assert browser.get(f"/console/port-fees/complaints/{complaint.number}/").status_code == (200 if seen else 404)
        assert ("INV-1" in browser.get("/console/portfees/invoice/").content.decode()) == seen


def test_the_port_authority_sets_figures_from_a_day_on_and_closes_what_was_in_force(client):
    browser = desk(client, make.organisation(OrganisationRole.PORT_AUTHORITY))
    first = today() + timedelta(days=5)
    form = {"what": "parameter", "name": "notice_days", "value": "45", "basis": "公告 2026-1", "valid_from": first}
    assert browser.post("/console/port-fees/figures/", form).status_code == 302
    old, new = Parameter.objects.filter(name="notice_days").order_by("valid")
    assert (old.valid.upper, new.valid.lower, new.value) == (first, first, 45)
    ceiling = {
        "code": "PILOT", "unit": "container", "amount": "100", "currency": "CNY", "basis": "令 2", "valid_from": first,
    }  # fmt: skip
    for amount in ("100", "120"):
        begins = first if amount == "100" else first + timedelta(days=30)
        browser.post("/console/port-fees/figures/", ceiling | {"amount": amount, "valid_from": begins})
    assert [(row.amount, row.valid.upper) for row in Ceiling.objects.order_by("valid")] == [
        (Decimal(100), first + timedelta(days=30)),
        (Decimal(120), None),
    ]
    html = browser.get("/console/port-fees/figures/").content.decode()
    assert "公告 2026-1" in html
    assert "令 2" in html


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"basis": " "}, "basis-missing"), ({"valid_from": date(2020, 1, 1)}, "in-the-past"),
        ({"amount": Decimal(-1)}, "amount-out-of-range"), ({"amount": Decimal("NaN")}, "amount-out-of-range"),
        ({"unit": "barrel"}, "unknown-unit"), ({"container_size": "53"}, "unknown-size"),
        ({"currency": "yuan"}, "unknown-currency"), ({"port": "X"}, "unknown-port"), ({"code": ""}, "code-missing"),
    ],
)  # fmt: skip
def test_a_ceiling_without_its_reason_or_out_of_range_is_refused(change, code):
    authority = principal(make.organisation(OrganisationRole.PORT_AUTHORITY))
    wanted = {
        "code": "PILOT", "unit": "container", "amount": Decimal(100), "basis": "令 2", "valid_from": today(),
    }  # fmt: skip
    from common.problems import Problem

    with pytest.raises(Problem) as refused:
        figures.set_ceiling(**wanted | change, principal=authority)
    assert [fault.code for fault in refused.value.errors] == [code]
    assert not Ceiling.objects.exists()


def test_nobody_else_sets_figures(client):
    browser = desk(client, make.organisation(OrganisationRole.CUSTOMS_OFFICE))
    assert "set-parameter" not in browser.get("/console/port-fees/figures/").content.decode()
    form = {"what": "parameter", "name": "notice_days", "value": "1", "basis": "x", "valid_from": today()}
    assert browser.post("/console/port-fees/figures/", form).status_code == 403
    assert Parameter.objects.count() == 1
