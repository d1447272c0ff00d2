from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.db import InternalError, transaction
from psycopg2.extras import DateRange

from common.problems import Problem
from portfees import catalogues, invoices
from portfees.models import Ceiling, FeeItem, FeeList
from tests import make
from tests.portfees.conftest import item, principal

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("parameters")]


def draft(terminal, *items, **details) -> FeeList:
    return catalogues.draft(
        principal=principal(terminal),
        **{
            "body_class": "terminal",
            "port": "CNQZH",
            "title": "示例清单",
            "valid_from": date(2026, 1, 1),
            "complaint_telephone": "12345",
            "items": items or [item()],
        }
        | details,
    )


def published(terminal, *items, on=date(2025, 11, 1), **details) -> FeeList:
    fee_list = draft(terminal, *items, **details)
    catalogues.check(number=fee_list.number, principal=principal(terminal))
    return catalogues.publish(number=fee_list.number, principal=principal(terminal), on=on)


def refusal(call, *args, **details) -> Problem:
    with pytest.raises(Problem) as refused:
        call(*args, **details)
    return refused.value


def test_a_list_is_drafted_checked_and_published_and_each_step_is_an_event(terminal):
    fee_list = published(terminal)
    assert fee_list.state == "published"
    assert make.events_of("fee_list", fee_list.number) == ["fee_list.drafted", "fee_list.checked", "fee_list.published"]


def test_a_published_list_is_never_edited(terminal):
    fee_list = published(terminal)
    changes = (
        lambda: FeeItem.objects.filter(fee_list=fee_list).update(rate=1),
        lambda: FeeItem.objects.filter(fee_list=fee_list).delete(),
        lambda: FeeList.objects.filter(pk=fee_list.pk).update(title="other"),
        lambda: FeeItem.objects.bulk_create([item("NEW", fee_list=fee_list, line=9)]),
    )
    for change in changes:
        with pytest.raises(InternalError), transaction.atomic():
            change()
    problem = refusal(catalogues.replace_items, number=fee_list.number, items=[item()], principal=principal(terminal))
    assert problem.code == "list-not-draft"


def test_the_next_version_supersedes_and_the_old_one_binds_to_the_day_before(terminal):
    first = published(terminal)
    second = published(terminal, item(rate=Decimal(600)), valid_from=date(2026, 7, 1), on=date(2026, 5, 1))
    first.refresh_from_db()
    assert (first.state, first.valid.upper, second.version) == ("superseded", date(2026, 7, 1), 2)
    assert [line.rate for line in catalogues.in_force("CNQZH", date(2026, 6, 30))] == [500]
    assert [line.rate for line in catalogues.in_force("CNQZH", date(2026, 7, 1))] == [600]


def test_a_change_needs_its_notice_period(terminal):
    published(terminal)
    second = draft(terminal, valid_from=date(2026, 7, 1))
    catalogues.check(number=second.number, principal=principal(terminal))
    late = refusal(catalogues.publish, number=second.number, principal=principal(terminal), on=date(2026, 6, 2))
    assert late.code == "notice-too-short"
    catalogues.publish(number=second.number, principal=principal(terminal), on=date(2026, 6, 1))


def test_a_version_that_begins_before_the_one_in_force_is_refused(terminal):
    published(terminal)
    second = draft(terminal, valid_from=date(2025, 12, 1))
    catalogues.check(number=second.number, principal=principal(terminal))
    assert (
        refusal(catalogues.publish, number=second.number, principal=principal(terminal), on=date(2025, 10, 1)).code
        == "list-overlaps"
    )


def test_every_fault_is_told_at_once_with_its_line(terminal):
    faulty = draft(
        terminal,
        item("A", unit="piece"),
        item("B", tax_included=False),
        item("C", pricing="guided"),
        item("D", free_days=3),
        item("E", payer="nobody", currency="ZZZ"),
        complaint_telephone=" ",
    )
    problem = refusal(catalogues.check, number=faulty.number, principal=principal(terminal))
    assert {(fault.pointer, fault.code) for fault in problem.errors} == {
        ("/complaint_telephone", "telephone-missing"),
        ("/items/1/unit", "unknown-unit"),
        ("/items/2/tax_rate", "tax-rate-missing"),
        ("/items/3/legal_basis", "basis-missing"),
        ("/items/3/rate", "ceiling-unknown"),
        ("/items/4/tiers", "tiers-without-days"),
        ("/items/5/payer", "unknown-payer"),
        ("/items/5/currency", "unknown-currency"),
    }


def test_a_rate_below_zero_and_a_case_that_stands_twice_are_refused_at_once(terminal):
    assert refusal(draft, terminal, item(rate=Decimal(-1))).errors[0].code == "rate-negative"
    assert refusal(draft, terminal, item(), item()).errors[0].code == "case-twice"
    assert not FeeList.objects.exists()


def test_a_guided_price_stays_under_its_ceiling(terminal):
    Ceiling.objects.create(
        code="PILOT", unit="container", amount=100, basis="示例依据", valid=DateRange(date(2020, 1, 1), None)
    )

    def guided(rate):
        return item("PILOT", pricing="guided", legal_basis="示例依据", rate=Decimal(rate))

    above = draft(terminal, guided("100.01"))
    problem = refusal(catalogues.check, number=above.number, principal=principal(terminal))
    assert [fault.code for fault in problem.errors] == ["above-ceiling"]
    catalogues.replace_items(number=above.number, items=[guided("100")], principal=principal(terminal))
    catalogues.check(number=above.number, principal=principal(terminal))


def test_another_body_does_not_find_the_list(terminal):
    fee_list = draft(terminal)
    stranger = principal(make.organisation("terminal"))
    assert refusal(catalogues.check, number=fee_list.number, principal=stranger).status == 404


def test_the_difference_between_versions_names_what_changed(terminal):
    before, after = [item("A"), item("B"), item("C")], [item("A"), item("B", rate=Decimal(9)), item("D")]
    found = catalogues.difference(before, after)
    assert [one.code for one in found.added] == ["D"]
    assert [one.code for one in found.removed] == ["C"]
    assert [(one.after.code, one.fields) for one in found.changed] == [("B", {"rate": (Decimal(500), Decimal(9))})]
    assert [one.code for one in found.unchanged] == ["A"]


def test_a_day_without_a_list_is_told(terminal):
    published(terminal)
    assert refusal(catalogues.in_force, "CNQZH", date(2025, 12, 31)).code == "no-list-in-force"


def publish(terminal, fee_list, on):
    catalogues.check(number=fee_list.number, principal=principal(terminal))
    return catalogues.publish(number=fee_list.number, principal=principal(terminal), on=on)


def test_a_list_does_not_bind_days_gone_by(terminal):
    late = draft(terminal, valid_from=date(2026, 1, 1))
    assert refusal(publish, terminal, late, date(2026, 1, 2)).code == "first-day-passed"
    late.refresh_from_db()
    assert late.state == "checked"


@pytest.mark.parametrize("way", [{"area": "East"}, {"valid_from": date(2026, 3, 10)}])
def test_neither_another_area_nor_a_gap_saves_the_notice_period(terminal, way):
    published(terminal, valid_to=date(2026, 2, 1))
    second = draft(terminal, **{"valid_from": date(2026, 3, 1)} | way)
    assert refusal(publish, terminal, second, date(2026, 2, 20)).code == "notice-too-short"


def test_the_rules_hold_on_the_day_of_publication_too(terminal):
    checked = draft(terminal, item("PILOT", rate=Decimal(200)))
    catalogues.check(number=checked.number, principal=principal(terminal))
    Ceiling.objects.create(
        code="PILOT", unit="container", amount=100, basis="示例依据", valid=DateRange(date(2020, 1, 1), None)
    )
    problem = refusal(catalogues.publish, number=checked.number, principal=principal(terminal), on=date(2026, 1, 1))
    assert [fault.code for fault in problem.errors] == ["above-ceiling"]


@pytest.mark.parametrize("pricing", ["market", "government", "guided"])
def test_a_ceiling_binds_whatever_pricing_is_declared(terminal, pricing):
    Ceiling.objects.create(
        code="PILOT", unit="container", amount=100, basis="示例依据", valid=DateRange(date(2020, 1, 1), None)
    )
    above = draft(terminal, item("PILOT", pricing=pricing, legal_basis="示例依据", rate=Decimal(101)))
    problem = refusal(catalogues.check, number=above.number, principal=principal(terminal))
    assert [fault.code for fault in problem.errors] == ["above-ceiling"]


def test_a_draft_is_mended_and_one_that_is_not_wanted_is_discarded(terminal):
    fee_list = draft(terminal)
    by = {"number": fee_list.number, "principal": principal(terminal)}
    period = refusal(catalogues.redraft, **by, valid_to=date(2025, 1, 1))
    assert period.errors[0].code == "period"
    mended = catalogues.redraft(**by, title="新名称", valid_from=date(2026, 3, 1), complaint_telephone="999")
    assert (mended.title, mended.valid.lower, mended.complaint_telephone) == ("新名称", date(2026, 3, 1), "999")
    catalogues.discard(**by)
    assert refusal(catalogues.redraft, **by, title="x").code == "list-not-draft"
    assert refusal(catalogues.check, **by).code == "state-conflict"
    assert make.events_of("fee_list", fee_list.number) == [
        "fee_list.drafted", "fee_list.redrafted", "fee_list.discarded",
    ]  # fmt: skip
    public = published(terminal)
    assert refusal(catalogues.discard, number=public.number, principal=principal(terminal)).code == "state-conflict"
    assert public.number != fee_list.number


def test_a_long_name_of_an_area_does_not_break_the_numbers(terminal):
    areas = ["东" * 80, "东" * 79 + "西", ""]
    numbers = [draft(terminal, area=area).number for area in areas for _ in range(2)]
    assert numbers == [f"FL{terminal.pk}-CNQZH-{serial}" for serial in range(1, 7)]
    assert refusal(draft, terminal, area="A/B").errors[0].code == "area-name"


def test_publication_is_told_to_the_port_authority_and_to_the_firms_the_body_charges(terminal, authority, firm):
    from events import log

    published(terminal)
    invoices.report(
        principal=principal(terminal), number="1", payer_id=firm.pk, port="CNQZH", issued_on=date(2026, 2, 1),
        lines=[invoices.Line("LUMP", date(2026, 2, 1), Decimal(1), Decimal(500))],
    )  # fmt: skip
    published(terminal, item(rate=Decimal(600)), valid_from=date(2026, 7, 1), on=date(2026, 5, 1))
    log.publish()

    def told(organisation) -> list[str]:
        return [event.type for event in log.read_after(0, organisation_id=organisation.pk)]

    assert told(authority).count("fee_list.published") == 2
    assert {"fee_list.superseded", "fee_list.published"} <= set(told(firm))
    assert "fee_list.drafted" not in told(firm)
