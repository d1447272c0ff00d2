"""The standards desk publishes what the commands really say: every type of event has a schema, and every event fits its own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone
from jsonschema import Draft202012Validator
from psycopg2.extras import DateRange

from bills import journey
from bills.models import LegEvent
from clearance import riskrules
from declarations import lodgement
from events import log
from events.models import Event
from exchange import agreements, cooperation, coverage, endpoints, inbox, messages, partners, signing, standards
from exchange.api import published
from exchange.models import Mirror, Quarantine
from parties import registration
from parties.models import OrganisationRole
from parties.principals import SYSTEM
from portfees import catalogues, figures
from portfees.models import FeeItem, Parameter
from tariffs import payments, refunds
from tariffs.models import DutyRefund
from tests import make
from tests.bills import cast as bills_cast
from tests.cargo import cargo_make
from tests.clearance import states
from tests.exchange.conftest import TERMS, make_partner, principal_of
from tests.exchange.test_inbox import SECRET, message, send
from tests.tariffs import test_fixing

APPS = ("declarations", "bills", "portfees", "cargo", "clearance", "tariffs", "parties", "refdata", "exchange")
#: Dotted words of the code that look like an event type and are none: paths of fields, names of files.
NOT_TYPES = {
    "declaration.unified_number", "inspection.plan", "manifest.number", "upload.zip", "voyage.number", "voyage.plan",
}  # fmt: skip
#: Types put together at run time: how they begin -> how they may end.
MADE = {
    "bill.leg_": set(LegEvent.Kind.values),
    "bill_leg.": set(LegEvent.Kind.values),
    "agreement.": {"made", "ended"},
    "partner.": {"connected", "secret_added", "changed", "suspended", "reinstated"},
    "partner.quarantine_": {"applied", "dropped"},
    "organisation.": {"key.registered", "key.revoked"},
    "transit.": set(cooperation.STEPS),
    "webhook_endpoint.": {
        "created", "changed", "rotated", "paused", "resumed", "deleted", "disabled", "replayed", "retried", "skipped",
        "test", "tested",
    },
}  # fmt: skip


def sources() -> Iterator[tuple[Path, ast.AST]]:
    for app in APPS:
        for path in sorted((settings.BASE_DIR / app).rglob("*.py")):
            if "migrations" not in path.parts or path.name == "_lodgement.py":
                yield path, ast.parse(path.read_text())


TYPE = re.compile(r"[a-z_]+(\.[a-z_]+)+")


def name_of(call: ast.Call) -> str:
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


def type_given(call: ast.Call) -> ast.expr | None:
    return next((keyword.value for keyword in call.keywords if keyword.arg == "type"), None)


def handing_on(tree: ast.AST) -> set[str]:
    """Functions that give ``append`` a type they were given themselves."""
    return {
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and name_of(call) == "append"
        if isinstance(given := type_given(call), ast.Name)
        if given.id in {argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)}
    }


def named_in_the_code() -> set[str]:
    """Every type of event the code names: literals of a known family; whatever their family, types given to ``append`` or to
    a function that hands them on; and those put together at run time."""
    families, found = set(standards.table()["families"]), set()
    for path, tree in sources():
        hands_on = handing_on(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words = [node.value]
                if path.name == "_lodgement.py":  # SQL
                    words = re.findall(r"'([a-z_]+\.[a-z_]+)'", node.value)
                found |= {
                    word
                    for word in words
                    if TYPE.fullmatch(word) and word.partition(".")[0] in families and not word.endswith("_")
                }
            if isinstance(node, ast.keyword) and node.arg == "type":
                for part in ast.walk(node.value):
                    if isinstance(part, ast.JoinedStr) and isinstance(part.values[0], ast.Constant):
                        beginning = part.values[0].value
                        if "." in beginning:
                            assert beginning in MADE, (
                                f"{path}:{node.value.lineno}: say in MADE what {beginning} ends with"
                            )
                            found |= {beginning + end for end in MADE[beginning]}
            if isinstance(node, ast.Call) and name_of(node) == "append" and (given := type_given(node)) is not None:
                found |= {
                    one.value for one in ast.walk(given) if isinstance(one, ast.Constant) and "." in str(one.value)
                }
            if isinstance(node, ast.Call) and name_of(node) in hands_on:
                arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
                found |= {
                    part.value
                    for argument in arguments
                    for part in ast.walk(argument)
                    if isinstance(part, ast.Constant) and TYPE.fullmatch(str(part.value))
                }
    return {one for one in found if not one.endswith((".", "_"))} - NOT_TYPES


def test_every_type_of_event_the_code_appends_has_a_schema_and_no_schema_is_for_nothing():
    assert named_in_the_code() == set(standards.event_types())


def test_types_handed_on_by_a_variable_are_found_whatever_their_family():
    """``_announce(row, "fee_parameter.set", …)`` names the type where no ``append`` stands."""
    tree = ast.parse("def announce(kind, event):\n  append(type=event, subject=kind)\nannounce('x', 'thing.was_done')")
    assert handing_on(tree) == {"announce"}
    assert "fee_ceiling.set" in named_in_the_code()


def test_no_schema_changes_comes_or_goes_without_an_entry_of_the_change_log():
    """After the entry is written: ``manage.py publish_schemas``."""
    assert published.unlogged() == {}


def test_a_schema_is_published_again_only_with_a_new_entry_that_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(published, "FILE", tmp_path / "published.json")
    published.FILE.write_bytes((settings.BASE_DIR / "exchange" / "data" / "published.json").read_bytes())
    described = standards.table()["families"]["bill"]["types"]
    monkeypatch.setitem(described["recalled"]["fields"], "state", {"type": "integer"})
    monkeypatch.setitem(described, "shredded", {"text": "粉碎 / shredded"})
    legs = standards.table()["families"]["bill_leg"]["types"]  # an entry of long ago names bill_leg.*
    monkeypatch.setitem(legs, "shredded", {"text": "粉碎 / shredded"})
    told = {"events/bill.recalled": "changed", "events/bill.shredded": "new", "events/bill_leg.shredded": "new"}
    assert published.unlogged() == told
    assert published.publish() == told
    entry = {"date": "2027-01-01", "version": "1", "change": "增 bill.shredded / bill.shredded added"}
    monkeypatch.setitem(standards.table(), "changes", [*standards.change_log(), entry])
    assert published.publish() == {"events/bill.recalled": "changed", "events/bill_leg.shredded": "new"}
    entry["change"] += "; bill.recalled: state is a number"
    assert published.publish() == {"events/bill_leg.shredded": "new"}
    another = {"date": "2027-01-02", "version": "1", "change": "增 bill_leg.shredded / bill_leg.shredded added"}
    monkeypatch.setitem(standards.table(), "changes", [*standards.change_log(), another])
    assert published.publish() == {}
    assert published.unlogged() == {}


def test_what_no_schema_describes_waits_and_is_applied_once_it_is_known(db, monkeypatch):
    """``declaration.exploded`` is of a known family and no known type: it must not become the last event of a mirror."""
    make_partner(secret=SECRET)
    assert send(message(type="declaration.exploded")).json() == {"status": "quarantined", "code": "unknown-type"}
    assert not Mirror.objects.exists()
    waiting = Quarantine.objects.get()
    assert inbox.run_again(quarantine_id=waiting.pk, actor=SYSTEM).state == "waiting"
    monkeypatch.setitem(standards.table()["families"]["declaration"]["types"], "exploded", {"text": "爆炸 / exploded"})
    assert inbox.run_again(quarantine_id=waiting.pk, actor=SYSTEM).state == "applied"
    assert Mirror.objects.get().last_type == "declaration.exploded"


def test_every_schema_is_a_json_schema():
    for event_type in standards.event_types():
        Draft202012Validator.check_schema(standards.event_schema(event_type))
    for schema in standards.documents().values():
        Draft202012Validator.check_schema(schema)


def test_documents_of_trade_fit_the_schemas_that_are_published(client, db):
    listed = client.get("/api/v1/standards").json()["documents"]
    assert {
        "declaration", "bill", "fee-list", "fee-invoice", "manifest", "port-paper", "assessment", "message", "comparison",
        "conformance-report", "transit", "transit-confirmation", "payment-report", "refund-report", "gate-move",
        "voyage-report", "port-fee-quotation",
    } <= set(listed)  # fmt: skip
    schemas = {name: client.get(f"/api/v1/standards/documents/{name}/1").json() for name in listed}
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
        assert "#/components" not in str(schema)
    Draft202012Validator(schemas["declaration"]).validate(make.message(make.firm(), items=2))
    assert not Draft202012Validator(schemas["declaration"]).is_valid({"goods_items": [{"quantity": 1}]})
    Draft202012Validator(schemas["manifest"]).validate(cargo_make.message())
    assert not Draft202012Validator(schemas["bill"]).is_valid({"kind": "multimodal"})
    paid = {"reference": "B1", "memo": "M1", "amount": "12.00", "paid_at": "2026-11-02T08:00:00+08:00"}
    Draft202012Validator(schemas["payment-report"]).validate(paid)
    assert not Draft202012Validator(schemas["payment-report"]).is_valid(paid | {"amount": 12})
    compared = {"started_at": "2026-11-23T18:00:00Z", "agrees": True, "subjects": 12}
    Draft202012Validator(schemas["comparison"]).validate(compared)
    assert not Draft202012Validator(schemas["comparison"]).is_valid({"agrees": True})
    confirmed = {"province": "500000", "step": "arrived"}
    Draft202012Validator(schemas["transit-confirmation"]).validate(confirmed)
    assert not Draft202012Validator(schemas["transit-confirmation"]).is_valid(confirmed | {"step": "left"})


def faults(event: Event) -> list[str]:
    """What of ``event``, as it travels, its published schema does not say: nothing may be left out of it either."""
    schema: Any = standards.event_schema(event.type)
    if schema is None:
        return [f"{event.type}: no schema"]
    schema["properties"]["data"]["additionalProperties"] = False
    sent = orjson.loads(messages.body(event, data=event.data, previous=0))
    return [
        f"{event.type}: {'/'.join(map(str, one.absolute_path))}: {one.message}"
        for one in Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).iter_errors(sent)
    ]


def unseen(said: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of (type, kind of subject) that the pages of agreements would not show."""
    return {(event_type, kind) for event_type, kind in said if event_type.split(".")[0] not in coverage.families(kind)}


def said_in_the_code() -> set[tuple[str, str]]:
    """(type, kind of subject) of every event whose kind stands beside its type."""
    found = set()
    for _, tree in sources():
        for node in ast.walk(tree):
            given = {one.arg: one.value for one in node.keywords} if isinstance(node, ast.Call) else {}
            subject = given.get("subject")
            if "type" in given and isinstance(subject, ast.Tuple) and isinstance(subject.elts[0], ast.Constant):
                found |= {
                    (part.value, str(subject.elts[0].value))
                    for part in ast.walk(given["type"])
                    if isinstance(part, ast.Constant) and isinstance(part.value, str) and "." in part.value
                }
    return found


def test_every_type_counts_where_an_agreement_on_the_kind_of_its_subject_is_looked_at():
    said = said_in_the_code()
    assert {("inspection.booked", "clearance"), ("gate.passed", "gate_move")} <= said
    assert unseen(said) == set()


def test_of_a_leg_of_a_bill_the_bills_own_types_do_not_count():
    assert coverage.families("bill_leg") == ["bill_leg"]
    assert set(coverage.families("clearance")) == {"clearance", "inspection"}


@pytest.fixture
def told(db) -> Iterator[set[str]]:
    """After the test: every event in the log fits its schema, and its type counts where agreements on the kind of its subject are
    looked at. Yields a set for the types that had to come up."""
    expected: set[str] = set()
    yield expected
    log.publish()
    found = list(Event.objects.all())
    assert [fault for event in found for fault in faults(event)] == []
    assert unseen({(event.type, event.subject_kind) for event in found}) == set()
    assert expected <= {event.type for event in found}


def test_declarations_say_what_their_schemas_say(told):
    firm = make.firm()
    for state in ("draft", "lodged", "under_review", "accepted", "rejected", "returned", "held", "under_inspection"):
        make.declaration(firm, state)
    for state in ("released", "cleared", "withdrawn"):
        make.declaration(firm, state, direction="E")
    returned = make.declaration(firm, "returned")
    changed = returned.message | {"package_count": 399}
    lodgement.amend(number=returned.unified_number, message=changed, reason="count", principal=make.principal(firm))
    told |= {"declaration.amended", "declaration.drafted", "declaration.cleared", "declaration.withdrawn"}


def test_bills_say_what_their_schemas_say(told):
    cast = bills_cast.assemble()
    bill = bills_cast.handed_over(cast, bills_cast.issued(cast))
    journey.report(number=bill.number, principal=cast.p("carrier"), leg=2, kind="departed", occurred_at=timezone.now())
    cast.does("buyer", "PLEDGE", bill, to="bank")
    told |= {"bill.drafted", "bill.issued", "bill.endorsed", "bill.transferred", "bill.leg_departed", "bill.pledged"}


def test_fee_lists_and_sites_say_what_their_schemas_say(told):
    call_command("load_places", verbosity=0)
    Parameter.objects.create(name="notice_days", value=30, basis="test", valid=DateRange(date(2020, 1, 1), None))
    terminal = make.principal(make.organisation(OrganisationRole.TERMINAL))
    for start, rate in ((date(2026, 1, 1), 500), (date(2026, 7, 1), 600)):
        item = FeeItem(
            code="LUMP", name_zh="港口作业包干费", service_content="装卸、堆存", payer="consignee", unit="container",
            rate=Decimal(rate), currency="CNY", tax_included=True, pricing="market", mandatory=True, tiers=[],
            free_days_counted="calendar",
        )  # fmt: skip
        drafted = catalogues.draft(
            principal=terminal, body_class="terminal", port="CNQZH", title="示例", valid_from=start,
            complaint_telephone="12345", items=[item],
        )  # fmt: skip
        catalogues.check(number=drafted.number, principal=terminal)
        catalogues.publish(number=drafted.number, principal=terminal, on=date(2026, 1, 1))
    port_authority = make.principal(make.organisation(OrganisationRole.PORT_AUTHORITY))
    figures.set_parameter(
        name="notice_days", value=Decimal(45), basis="test", valid_from=date(2027, 1, 1), principal=port_authority
    )
    figures.set_ceiling(
        code="LUMP", unit="container", amount=Decimal("500"), basis="test", valid_from=date(2027, 1, 1),
        principal=port_authority,
    )  # fmt: skip
    told |= {"site.designated", "fee_list.published", "fee_list.superseded", "fee_parameter.set", "fee_ceiling.set"}


def test_cargo_clearance_and_tariffs_say_what_their_schemas_say(told):
    make.tariff()
    carrier, firm = states.carrier(), make.firm()
    states.rule(action="inspect")
    goods = states.goods(carrier, "NLSC26000000777")
    made = states.declared(goods, firm=firm)
    states.proceed(made)
    riskrules.list_credit(
        organisation_id=firm.pk, standing="red", factor=Decimal("0.5"), basis="test", valid_from=date(2026, 1, 1),
        valid_to=None, principal=SYSTEM,
    )  # fmt: skip
    make.settle()
    told |= {
        "tariff.changed", "manifest.received", "voyage.arrived", "consignment.declared", "clearance.opened",
        "clearance.selected", "risk_rule.switched_on", "credit_standing.listed",
    }  # fmt: skip


def test_payments_and_refunds_say_what_their_schemas_say(told):
    make.tariff()
    bank = test_fixing.channel()
    test_fixing.fix()
    payments.record(channel=bank, data=test_fixing.report(test_fixing.issue()), actor="bank")
    for price in ("21000", "20000"):  # the second lowering voids the refund of the first
        test_fixing.fix(item={"total": price})
        test_fixing.issue()
    due = DutyRefund.objects.get(state="due")
    report = {"reference": "B1", "refund": due.number, "amount": f"{due.amount:f}", "refunded_at": str(timezone.now())}
    refunds.confirm(channel=bank, data=report, actor="bank")
    told |= {"duty.paid", "duty.refund_due", "duty.refund_voided", "duty.refunded"}


def test_partners_and_endpoints_say_what_their_schemas_say(told, settings):
    settings.EXCHANGE_ALLOW_NETWORKS = ["127.0.0.1/32"]
    firm, broker = make.firm(), make.broker()
    given = make.mandate(firm, broker)
    registration.end_mandate(mandate_id=given.pk, principal=principal_of(firm))
    partner = make_partner("450000", secret=signing.new_secret())
    partners.change(partner=partner, actor=SYSTEM, base_url="", client_id="ours", client_secret="x")
    partners.suspend(partner=partner, actor=SYSTEM)
    partners.reinstate(partner=partner, actor=SYSTEM)
    agreements.end(agreement=agreements.agree(partner=partner, direction="out", actor=SYSTEM, **TERMS), actor=SYSTEM)
    owner = principal_of(firm)
    endpoint, _ = endpoints.create(principal=owner, url="http://127.0.0.1:9/x", event_types=["*"])
    endpoints.change(endpoint_id=endpoint.pk, principal=owner, timeout=5)
    endpoints.rotate(endpoint_id=endpoint.pk, principal=owner)
    endpoints.pause(endpoint_id=endpoint.pk, principal=owner)
    endpoints.resume(endpoint_id=endpoint.pk, principal=owner)
    endpoints.replay(endpoint_id=endpoint.pk, principal=owner, after=0)
    endpoints.delete(endpoint_id=endpoint.pk, principal=owner)
    told |= {"partner.changed", "partner.reinstated", "agreement.ended", "webhook_endpoint.replayed", "mandate.given"}
