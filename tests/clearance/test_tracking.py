"""One key, its sharing, its DCSA form, the page; port papers; clearance times."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cargo import places, voyages
from clearance import dcsa, gates, holds, inspections, papers, requests, selection, times, tracking
from clearance.models import ClearanceTime
from common.problems import Problem
from declarations import decisions, lodgement
from events import log
from events.log import append
from events.models import Event
from parties.principals import SYSTEM
from tests import make
from tests.cargo.cargo_make import acting_for, bill, consignment, container, lodge
from tests.clearance import states

pytestmark = pytest.mark.django_db
SCHEMA = Path(__file__).parents[3] / "shared" / "data" / "dcsa" / "TNT_v3.0.0-Beta-1.yaml"


@pytest.fixture
def carrier():
    places.load()
    return states.carrier()


@pytest.fixture
def through(carrier):
    """An import that has left by the gate."""
    box = container()
    goods = states.goods(carrier, "BL-ONE", boxes=[box])
    declaration = states.declared(goods)
    states.proceed(declaration)
    gates.record(
        message_id="G1", container=box, move="GTOT", fullness="LADEN", place="QZHDL", at=timezone.now(),
        principal=acting_for(carrier),
    )  # fmt: skip
    return declaration, goods, box


def test_every_reference_leads_to_the_same_time_line(through):
    declaration, goods, box = through
    lines = {
        reference: [entry["type"] for entry in tracking.timeline(reference, full=True)["entries"]]
        for reference in (declaration.unified_number, declaration.customs_number, box, "BL-ONE", goods.voyage.number)
    }
    assert len({tuple(line) for line in lines.values()}) == 1, lines
    (line,) = {tuple(line) for line in lines.values()}
    assert {
        "consignment.declared", "voyage.arrived", "declaration.lodged", "declaration.accepted", "declaration.released",
        "gate.passed",
    } <= set(line)  # fmt: skip


def test_a_release_that_waited_for_the_payment_stands_after_it(through):
    """Its transaction may have begun first: nobody dated it, so it stands where it was recorded."""
    declaration, _, _ = through
    begun = Event(occurred_at=timezone.now(), recorded_at=timezone.now() + timedelta(milliseconds=300), type="release")
    paid = Event(occurred_at=timezone.now() + timedelta(milliseconds=100), type="paid")
    paid.recorded_at = paid.occurred_at + timedelta(milliseconds=50)
    reported = Event(occurred_at=timezone.now() - timedelta(hours=1), recorded_at=timezone.now(), type="reported")
    assert [one.type for one in sorted((begun, paid, reported), key=tracking._happened)] == [
        "reported",
        "paid",
        "release",
    ]
    at = [entry["at"] for entry in tracking.timeline(declaration.unified_number, full=True)["entries"]]
    assert at == sorted(at)


def test_strangers_see_milestones_without_people_and_holders_of_a_link_everything(through, api):
    declaration, _, box = through
    path = f"/api/v1/tracking/{box}"
    public = api().get(path).json()
    assert "detail" in public, public
    assert public["detail"] == "milestones"
    assert not any("said_by" in entry or "about" in entry for entry in public["entries"])
    assert api(make.firm()).get(path).json()["detail"] == "milestones"
    owner = api(declaration.firm)
    full = owner.get(path).json()
    assert full["detail"] == "full"
    assert any(entry.get("said_by") for entry in full["entries"])
    made = owner.post(f"{path}/links", {"hours": 1}).json()
    assert api().get(f"{path}?share={made['token']}").json()["detail"] == "full"
    assert api().get(f"/api/v1/tracking/BL-ONE?share={made['token']}").status_code == 403
    assert api().get(f"{path}?share=forged").status_code == 403
    assert api(make.firm()).post(f"{path}/links", {"hours": 1}).status_code == 404
    import time_machine

    with time_machine.travel(timezone.now() + timedelta(hours=2), tick=True):
        assert api().get(f"{path}?share={made['token']}").status_code == 410


def types_of(line):
    return {entry["type"] for entry in line["entries"]}


def test_whose_goods_are_only_some_of_what_a_reference_leads_to_sees_milestones(carrier, api):
    """A voyage or a shared container leads to the bills of others too."""
    box = container()
    goods = states.goods(carrier, "B1", boxes=[box])
    lodge(
        carrier, "MT1101", number=goods.manifest.number, voyage_number=goods.voyage.number, means_type="1",
        consignments=[bill("B2", 10, "100", equipment=[{"number": box}])],
    )  # fmt: skip
    declaration = states.declared(goods)
    states.proceed(declaration)
    client = api(declaration.firm)
    for reference in (box, goods.voyage.number):
        assert client.get(f"/api/v1/tracking/{reference}").json()["detail"] == "milestones"
    assert client.get("/api/v1/tracking/B1").json()["detail"] == "full"


def test_a_carrier_sees_its_goods_in_full_but_not_what_their_declarant_owes_or_asks(carrier, api):
    declaration = states.declared(states.goods(carrier, "B1"))
    selection.select(declaration.unified_number)
    with transaction.atomic():
        append(
            type="duty.memo_issued", subject=("duty", declaration.unified_number), actor="system",
            audience=declaration.parties, data={"amount": "12.00"},
        )  # fmt: skip
    requests.ask(
        number=declaration.unified_number, kind="withdraw", reason="x", principal=make.principal(declaration.firm)
    )
    hidden = {"duty.memo_issued", "clearance.change_requested"}
    line = api(carrier).get("/api/v1/tracking/B1").json()
    assert line["detail"] == "full"
    assert any("about" in entry for entry in line["entries"])
    assert not types_of(line) & hidden
    assert (line["declarations"], line["next"]["code"]) == ([], "clearance")
    own = api(declaration.firm).get("/api/v1/tracking/B1").json()
    assert types_of(own) >= hidden
    assert own["next"]["code"] == "change-request"
    link = api(carrier).post("/api/v1/tracking/B1/links", {"hours": 1}).json()["token"]
    assert not types_of(api().get(f"/api/v1/tracking/B1?share={link}").json()) & hidden


def test_the_public_learns_of_no_inspection_rejection_hold_or_debt(carrier, api):
    declaration = states.declared(states.goods(carrier, "B1"))
    number = declaration.unified_number
    inspections.order(number=number, principal=make.officer_principal())
    start = timezone.now() + timedelta(days=1)
    inspections.book(
        number=number, place="CQGYP", starts_at=start, ends_at=start + timedelta(hours=1),
        principal=make.principal(declaration.firm),
    )  # fmt: skip
    public, own = (one.get(f"/api/v1/tracking/{number}").json() for one in (api(), api(declaration.firm)))
    assert "inspection.plan" in types_of(own)
    assert not any("inspection" in one for one in types_of(public))
    assert [row["milestone"] for row in public["milestones"]] == ["lodged", "accepted"]
    assert (public["state"], own["state"]) == ("accepted", "under_inspection")
    assert (public["next"]["code"], own["next"]["code"]) == ("clearance", "inspect")
    decisions.decide(command="return", number=number, principal=SYSTEM, reason_code="checks-failed")
    told = api().get(f"/api/v1/tracking/{number}").json()
    assert (told["state"], told["next"]["code"]) == ("accepted", "clearance")


def test_a_draft_that_was_thrown_away_is_not_found(api):
    draft = make.declaration(state="draft")
    lodgement.withdraw(number=draft.unified_number, reason="x", principal=make.principal(draft.firm))
    for reference in (draft.unified_number, draft.transport_document_number):
        assert api().get(f"/api/v1/tracking/{reference}").status_code == 404


def test_a_time_line_names_the_organisation_whose_client_said_it(carrier, api):
    client = api(carrier)
    goods = states.goods(carrier, "B1", arrived=False)
    report = {"what": "arrived", "at": timezone.now().isoformat()}
    assert client.post(f"/api/v1/voyages/{goods.voyage_id}/reports", report).status_code == 200
    line = client.get("/api/v1/tracking/B1").json()
    assert [one["said_by"] for one in line["entries"] if one["type"] == "voyage.arrived"] == [carrier.name]


def test_a_report_that_was_taken_back_is_not_on_the_line(carrier):
    goods = consignment(carrier)
    arrived = [{"occurred_at": (timezone.now() - timedelta(hours=1)).isoformat()}]
    lodge(carrier, "MT4401", "2", consignments=arrived)
    assert "voyage.arrived" in types_of(tracking.timeline(goods.bill_number, full=True))
    lodge(carrier, "MT4401", "3", consignments=[])
    assert "voyage.arrived" not in types_of(tracking.timeline(goods.bill_number, full=True))


def test_the_other_language_keeps_the_reference(through):
    _, _, box = through
    page = Client().get(f"/track/?reference={box}").content.decode()
    assert f'href="/track/{box}?lang=en"' in page


def test_what_is_not_known_is_not_found(api):
    for reference in ("NOTHING", container(), "I20269999999999999", "a b"):
        assert api().get(f"/api/v1/tracking/{reference}").status_code == 404


def test_the_next_step_and_its_limit(carrier):
    times.load()
    goods = states.goods(carrier, "B1", arrived=False)
    voyages.plan(goods.voyage_id, arrival=timezone.now() + timedelta(days=1), principal=acting_for(carrier))
    line = tracking.timeline("B1", full=False)
    assert line["next"]["code"] == "declare"
    assert [entry["planned"] for entry in line["entries"] if entry["type"] == "voyage.plan"] == [True]
    declaration = states.declared(goods)
    states.proceed(declaration)
    assert tracking.timeline("B1", full=False)["next"]["code"] == "not-arrived"
    voyages.report(goods.voyage_id, what="arrived", at=timezone.now(), principal=acting_for(carrier))
    states.proceed(declaration)
    found = tracking.timeline("B1", full=False)["next"]
    assert (found["code"], found["by"]) == ("gate-out", declaration.released_at + timedelta(hours=48))


def _shapes(value, path=""):
    """Every member and type of an example, as (path, type)."""
    if isinstance(value, dict):
        for name, child in value.items():
            yield from _shapes(child, f"{path}/{name}")
    elif isinstance(value, list):
        for child in value:
            yield from _shapes(child, f"{path}[]")
    else:
        yield path, type(value).__name__


def _examples(node):
    if isinstance(node, dict):
        if set(node) == {"metadata", "payload"}:
            yield node
        for child in node.values():
            yield from _examples(child)
    elif isinstance(node, list):
        for child in node:
            yield from _examples(child)


@pytest.mark.skipif(not SCHEMA.exists(), reason="the DCSA file is not part of this repository")
def test_dcsa_events_have_only_members_and_types_of_the_published_ones(through):
    _, _, box = through
    known: dict[str, set] = {}
    for example in _examples(yaml.safe_load(SCHEMA.read_text())):
        known.setdefault(example["metadata"]["eventType"], set()).update(_shapes(example))
    made = dcsa.events(box)
    assert {event["metadata"]["eventType"] for event in made} == {"TRANSPORT", "SHIPMENT", "EQUIPMENT"}
    for event in made:
        # equipment events stand at a place of their own where no transport call is known: the schema calls it
        # "eventLocation", the drop/pick example "location"
        shapes = {(path.replace("/eventLocation/", "/location/"), type_) for path, type_ in _shapes(event)}
        strange = shapes - known[event["metadata"]["eventType"]]
        assert not strange, strange
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+[+-]\d\d:\d\d", event["payload"]["eventDateTime"])
        assert event["payload"]["eventClassifierCode"] in ("ACT", "PLN", "EST")


#: Of DCSA's event domain 3.1.0, which the Track & Trace interface refers to: what each kind of event must have, and codes.
DEMANDED = {
    "SHIPMENT": {"shipmentEventTypeCode", "documentTypeCode", "documentReference"},
    "TRANSPORT": {"transportEventTypeCode", "transportCall"},
    "EQUIPMENT": {"equipmentEventTypeCode", "emptyIndicatorCode"},
}
ALLOWED = {
    "shipmentEventTypeCode": "RECE DRFT PENA PENU PENC CONF REJE APPR ISSU SURR SUBM VOID REQS CMPL HOLD RELS CANC",
    "documentTypeCode": "CBR BKG SHI TRD DEI DEO TRO CRO ARN VGM CAS CUC DGD OOG CQU INV HCE PCE VCE FCE ICE CEA CEO",
    "equipmentEventTypeCode": "LOAD DISC GTIN GTOT STUF STRP AVPU PICK AVDO DROP INSP RSEA RMVD CUSS CUSI CUSR CROS",
    "transportEventTypeCode": "ARRI DEPA",
    "emptyIndicatorCode": "EMPTY LADEN",
    "eventClassifierCode": "ACT PLN EST",
}


def test_dcsa_events_have_what_the_event_domain_demands_and_its_codes_only(through):
    declaration, goods, box = through
    voyages.plan(
        goods.voyage_id, departure=timezone.now() + timedelta(days=1), principal=acting_for(goods.voyage.carrier)
    )
    holds.place(reference=f"container:{box}", kind="customs", reason="x", holder_reference="D", principal=make.SYSTEM)
    made = dcsa.events(declaration.unified_number)
    assert {event["metadata"]["eventType"] for event in made} == set(DEMANDED)
    for event in made:
        metadata, payload = event["metadata"], event["payload"]
        assert payload.keys() >= DEMANDED[metadata["eventType"]] | {"eventClassifierCode", "eventDateTime"}
        assert metadata["publisherRole"] in ("CA", "AG", "VSP", "SVP")
        assert len(metadata["eventID"]) <= 100
        assert metadata["eventType"] != "SHIPMENT" or payload["eventClassifierCode"] == "ACT"
        assert len(payload.get("documentReference", "")) <= 100
        for name, codes in ALLOWED.items():
            assert payload.get(name, codes.split()[0]) in codes.split(), (name, payload)


def test_dcsa_events_are_for_those_whose_goods_they_are(through, api):
    declaration, _, box = through
    assert api().get(f"/api/v1/tracking/{box}/dcsa-events").status_code == 404
    assert api(declaration.firm).get(f"/api/v1/tracking/{box}/dcsa-events").status_code == 200


def test_the_page_is_in_both_languages_and_escapes_what_it_is_given(through):
    _, _, box = through
    client = Client()
    page = client.get(f"/track/{box}")
    assert "海关放行" in page.content.decode()
    assert "Released by customs" in client.get(f"/track/{box}?lang=en").content.decode()
    assert client.get("/track/NOTHING").status_code == 404
    assert b"<script>alert" not in client.get("/track/?reference=<script>alert(1)</script>").content
    assert page["Referrer-Policy"] == "no-referrer"


def test_papers_are_versioned_verifiable_and_bound_to_release(through, carrier):
    _, goods, box = through
    principal = acting_for(carrier)
    eir = papers.issue(kind="EIR", container=box, content={"condition": "SOUND"}, principal=principal)
    order = papers.issue(kind="DO", consignment_id=goods.pk, content={"free_until": "2026-12-01"}, principal=principal)
    assert (
        papers.issue(kind="DO", consignment_id=goods.pk, content={"free_until": "2026-12-01"}, principal=principal).pk
        == order.pk
    )
    second = papers.issue(kind="DO", consignment_id=goods.pk, content={"free_until": "2026-12-05"}, principal=principal)
    assert (second.number, second.version) == (order.number, 2)
    assert (papers.verify(order.code)["state"], papers.verify(second.code)["state"]) == ("superseded", "in-force")
    assert papers.verify(second.code)["released"] is True
    papers.cancel(number=second.number, principal=principal)
    assert papers.verify(second.code)["state"] == "cancelled"
    assert eir.content["direction"] == "GTOT"
    with pytest.raises(Problem):
        papers.verify("nothing")
    page = Client().get(f"/papers/{eir.code}?lang=en")
    assert b"Genuine and in force" in page.content
    assert Client().get("/papers/forged").status_code == 404


def test_each_passing_of_a_gate_has_its_own_interchange_receipt(through, carrier):
    _, _, box = through
    principal = acting_for(carrier)

    def receipt(**content):
        return papers.issue(kind="EIR", container=box, content=content, principal=principal)

    out = receipt(condition="SOUND")
    gates.record(
        message_id="G2", container=box, move="GTIN", fullness="EMPTY", place="QZHDL", at=timezone.now(),
        principal=principal,
    )  # fmt: skip
    back = receipt(condition="SOUND")
    assert out.number != back.number
    assert [papers.verify(one.code)["state"] for one in (out, back)] == ["in-force", "in-force"]
    assert [papers.released(one) for one in (out, back)] == [True, None]
    assert receipt(condition="DAMAGED").version == 2
    assert papers.verify(back.code)["state"] == "superseded"


def test_a_list_of_papers_asks_no_more_for_many_than_for_two(carrier, api, django_assert_max_num_queries):
    principal = acting_for(carrier)
    boxes = [container() for _ in range(12)]
    goods = states.goods(carrier, "BLPAPER", boxes=boxes)
    states.proceed(states.declared(goods))
    for box in boxes:
        papers.issue(
            kind="CLP", consignment_id=goods.pk, container=box, content={"vgm": "24500", "vgm_method": "1"},
            principal=principal,
        )  # fmt: skip
    client = api(carrier)
    client.get("/api/v1/port-papers?page_size=2")
    with CaptureQueriesContext(connection) as few:
        client.get("/api/v1/port-papers?page_size=2")
    with django_assert_max_num_queries(len(few)):
        found = client.get("/api/v1/port-papers?page_size=12").json()["results"]
    assert [row["released"] for row in found] == [True] * 12


def test_a_packing_list_needs_a_plausible_verified_gross_mass(carrier):
    box = container()
    goods = states.goods(carrier, "B1", boxes=[box])
    principal = acting_for(carrier)
    for vgm in ("", "0", "NaN", "99999"):
        with pytest.raises(Problem) as caught:
            papers.issue(
                kind="CLP",
                consignment_id=goods.pk,
                container=box,
                content={"vgm": vgm, "vgm_method": "1"},
                principal=principal,
            )
        assert [fault.code for fault in caught.value.errors] == ["vgm"]
    paper = papers.issue(
        kind="CLP",
        consignment_id=goods.pk,
        container=box,
        content={"vgm": "24500", "vgm_method": "1"},
        principal=principal,
    )
    assert paper.content["goods"][0]["bill_number"] == "B1"
    for language in ("zh", "en"):
        assert papers.pdf(paper, language).startswith(b"%PDF-")


def test_no_interchange_receipt_without_a_permitted_move(carrier):
    box = container()
    states.goods(carrier, "B1", boxes=[box])
    principal = acting_for(carrier)
    gates.record(
        message_id="G1",
        container=box,
        move="GTOT",
        fullness="LADEN",
        place="QZHDL",
        at=timezone.now(),
        principal=principal,
    )
    with pytest.raises(Problem) as caught:
        papers.issue(kind="EIR", container=box, content={}, principal=principal)
    assert caught.value.code == "not-released"


def test_clearance_times_come_from_the_log_and_are_the_same_rebuilt(through, carrier):
    times.load()
    _, goods, _ = through

    def follow():
        log.publish()
        while times.follow():
            pass

    follow()
    row = ClearanceTime.objects.get()
    assert (row.office, row.direction, row.advance) == ("8000", "I", False)
    assert row.arrived_at == goods.voyage.arrived_at
    assert None not in (row.lodged_at, row.accepted_at, row.released_at, row.gate_out_at)
    (found,) = times.statistics(operation="overall", by=["office", "mode"])
    assert (found["office"], found["count"], found["kept"]) == ("8000", 1, 1)
    assert Decimal(found["median_hours"]) == Decimal(found["mean_hours"]) >= 2

    # the goods' own arrival report comes late and goes before the vessel's
    states.arrive_import(carrier, goods)
    follow()
    assert ClearanceTime.objects.get().arrived_at > goods.voyage.arrived_at
    before = list(ClearanceTime.objects.values())
    assert times.rebuild_all() == 1
    assert list(ClearanceTime.objects.values()) == before


def test_clearance_times_over_the_api(through, api):
    log.publish()
    times.follow()
    client = api(make.firm())
    assert client.get("/api/v1/clearance-times?operation=release").json()["results"][0]["count"] == 1
    answer = client.get("/api/v1/clearance-times?operation=release&by=office,month&format=csv")
    assert answer["Content-Type"].startswith("text/csv")
    assert answer.content.decode().splitlines()[0].startswith("office,month,operation,count")
    assert client.get("/api/v1/clearance-times?operation=x&by=y").status_code == 422
