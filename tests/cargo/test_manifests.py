"""What a manifest message does, and what its receipt says."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from cargo import consignments, manifests, places, voyages
from cargo.models import Consignment, ManifestMessage, Voyage
from common.problems import Problem
from parties.models import AUTHORITIES, OrganisationRole
from parties.principals import SYSTEM
from tests import make
from tests.cargo.cargo_make import acting_for, bill, consignment, container, lodge, message

SAMPLES = Path(__file__).parent / "samples"
pytestmark = pytest.mark.django_db


@pytest.fixture
def carrier():
    return make.organisation(OrganisationRole.CARRIER)


def code(row: ManifestMessage) -> str:
    return row.outcome[0]["code"]


def test_an_original_manifest_becomes_a_consignment_and_an_event(carrier):
    box = container()
    row = lodge(carrier, consignments=[bill(equipment=[{"number": box, "seal": "S1"}])])
    assert (row.response_code, code(row)) == ("01", "accepted")
    found = Consignment.objects.get()
    assert (found.bill_number, found.packages, found.direction, found.voyage.mode) == ("CQBL20260001", 500, "I", "4")
    assert [(one.equipment_id, one.seal) for one in found.stuffings.all()] == [(box, "S1")]
    assert make.events_of("consignment", found.reference) == ["consignment.declared"]
    assert make.events_of("manifest_message", f"{row.message_id}/{carrier.pk}") == ["manifest.received"]


def test_the_same_message_again_changes_nothing_and_gets_the_same_receipt(carrier):
    sent = message()
    first = manifests.receive(sent, principal=acting_for(carrier))
    again = manifests.receive(sent, principal=acting_for(carrier))
    assert again.pk == first.pk
    assert Consignment.objects.count() == 1


def test_a_message_id_cannot_be_used_for_another_message(carrier):
    sent = message()
    manifests.receive(sent, principal=acting_for(carrier))
    with pytest.raises(Problem) as caught:
        manifests.receive(sent | {"office": "8001"}, principal=acting_for(carrier))
    assert (caught.value.status, caught.value.code) == (409, "message-id-reused")


def test_a_bill_added_twice_is_the_same_or_refused(carrier):
    lodge(carrier)
    assert code(lodge(carrier)) == "repeated"
    assert code(lodge(carrier, consignments=[bill(packages=501)])) == "bill-exists"
    assert Consignment.objects.get().packages == 500


def test_a_change_makes_a_new_version(carrier):
    row = consignment(carrier)
    assert code(lodge(carrier, function="5", consignments=[bill(packages=499, change_reason="004")])) == "accepted"
    row.refresh_from_db()
    assert (row.packages, row.version) == (499, 2)
    assert make.events_of("consignment", row.reference) == ["consignment.declared", "consignment.changed"]


def test_a_change_that_was_sent_before_the_accepted_version_is_stale(carrier):
    consignment(carrier)
    old = (timezone.now() - timedelta(hours=1)).isoformat()
    row = lodge(carrier, function="5", sent_at=old, consignments=[bill(packages=1)])
    assert (row.response_code, code(row)) == ("03", "stale")
    assert Consignment.objects.get().packages == 500


def test_a_change_of_what_was_never_declared_is_refused_and_kept(carrier):
    row = lodge(carrier, function="5")
    assert (row.response_code, code(row)) == ("03", "no-such-bill")
    assert ManifestMessage.objects.count() == 1


def test_a_deleted_bill_can_be_declared_anew(carrier):
    consignment(carrier)
    assert code(lodge(carrier, function="3", consignments=[{"bill_number": "CQBL20260001"}])) == "accepted"
    assert not Consignment.objects.live().exists()
    assert code(lodge(carrier)) == "accepted"


def test_a_draft_is_not_declared(carrier):
    assert lodge(carrier, function="T").response_code == "T"
    assert not Consignment.objects.exists()


def test_a_message_from_the_future_is_refused_for_its_clock(carrier):
    row = lodge(carrier, sent_at=(timezone.now() + timedelta(hours=2)).isoformat())
    assert (row.response_code, code(row)) == ("03", "sender-clock")


def test_a_declared_bill_is_changed_only_by_an_officers_decision(carrier):
    row = consignment(carrier)
    consignments.claim(row.pk, declaration_number="800020261000000001", audience=[])
    waiting = lodge(carrier, function="5", consignments=[bill(packages=400)])
    assert (waiting.response_code, code(waiting)) == ("02", "declared")
    row.refresh_from_db()
    assert row.packages == 500
    decided = manifests.decide(waiting.pk, approve=True, principal=SYSTEM)
    row.refresh_from_db()
    assert (decided.response_code, row.packages) == ("01", 400)
    with pytest.raises(Problem) as caught:
        manifests.decide(waiting.pk, approve=True, principal=SYSTEM)
    assert caught.value.code == "not-waiting"


def test_a_change_an_officer_refuses_changes_nothing(carrier):
    row = consignment(carrier)
    consignments.claim(row.pk, declaration_number="800020261000000001", audience=[])
    waiting = lodge(carrier, function="3", consignments=[{"bill_number": row.bill_number}])
    decided = manifests.decide(waiting.pk, approve=False, principal=SYSTEM, note="已布控")
    assert (decided.response_code, decided.outcome[0]["text_zh"]) == ("03", "已布控")
    assert Consignment.objects.live().exists()


def test_an_officer_is_shown_everything_a_change_would_write(carrier):
    """A seal, a mass or a code that is swapped is what a change is refused for."""
    box, other, new = (container(serial) for serial in (101, 102, 103))
    row = consignment(
        carrier,
        consignments=[
            bill(
                equipment=[{"number": box, "seal": "S1", "packages": 200}, {"number": other, "seal": "S2"}],
                items=[{"sequence": 1, "description": "平板电脑", "code": "8471301000", "gross_mass": "5200"}],
            )
        ],
    )
    consignments.claim(row.pk, declaration_number="800020261000000001", audience=[])
    waiting = lodge(
        carrier,
        function="5",
        consignments=[
            bill(
                equipment=[{"number": box, "seal": "S9", "packages": 200}, {"number": new}],
                items=[
                    {"sequence": 1, "description": "平板电脑", "code": "8517130000", "gross_mass": "5200"},
                    {"sequence": 2, "description": "充电器"},
                ],
            )
        ],
    )
    (change,) = manifests.changes(waiting)
    assert [(str(label), before, after) for label, before, after in change.differences] == [
        (f"集装箱 {box} 封志号", "S1", "S9"),
        ("集装箱", other, None),
        ("集装箱", None, new),
        ("货物 1 商品编号", "8471301000", "8517130000"),
        ("货物", None, "充电器"),
    ]


def claimed(carrier):
    row = consignment(carrier)
    consignments.claim(row.pk, declaration_number="800020261000000001", audience=[])
    return row


def test_a_change_that_was_overtaken_while_it_waited_is_refused_whatever_the_officer_decides(carrier):
    row = claimed(carrier)
    earlier = (timezone.now() - timedelta(minutes=30)).isoformat()
    Consignment.objects.update(sent_at=timezone.now() - timedelta(hours=1))
    first, second, third = (
        lodge(carrier, function="5", sent_at=sent, consignments=[bill(packages=packages)])
        for sent, packages in ((earlier, 400), (timezone.now().isoformat(), 401), (timezone.now().isoformat(), 402))
    )
    assert code(manifests.decide(second.pk, approve=True, principal=SYSTEM)) == "accepted"
    assert code(manifests.decide(first.pk, approve=True, principal=SYSTEM)) == "stale"
    consignments.release(row.pk, declaration_number="800020261000000001", at=timezone.now(), principal=SYSTEM)
    assert code(manifests.decide(third.pk, approve=True, principal=SYSTEM)) == "already-released"
    row.refresh_from_db()
    assert row.packages == 401


def test_a_change_touches_only_its_senders_manifest(carrier):
    """Two carriers may use the same manifest and bill numbers."""
    theirs = claimed(make.organisation(OrganisationRole.CARRIER))
    mine = claimed(carrier)
    waiting = lodge(carrier, function="5", consignments=[bill(packages=400)])
    manifests.decide(waiting.pk, approve=True, principal=SYSTEM)
    for row, packages in ((theirs, 500), (mine, 400)):
        row.refresh_from_db()
        assert row.packages == packages


def test_only_examiners_decide_on_changes_of_manifests(carrier):
    claimed(carrier)
    waiting = lodge(carrier, function="5", consignments=[bill(packages=400)])
    for principal in (acting_for(carrier), make.officer_principal(make.officer(duties=("release",)))):
        with pytest.raises(Problem) as caught:
            manifests.decide(waiting.pk, approve=True, principal=principal)
        assert caught.value.status == 403


def test_the_order_of_an_export_is_enforced(carrier):
    """Advance manifest → arrival → declaration → release → loading → tally; each step refused before its time."""
    only = [{"bill_number": "CQBL20260001"}]
    for kind in ("MT3402", "MT4101", "MT5402"):
        assert code(lodge(carrier, kind, consignments=only)) == "no-such-bill"
    row = consignment(carrier, "E")
    assert code(lodge(carrier, "MT4101", consignments=only)) == "not-arrived"
    assert code(lodge(carrier, "MT3402", consignments=only)) == "accepted"
    refused = lodge(carrier, "MT4101", consignments=only)
    assert (refused.response_code, code(refused)) == ("03", "not-released")
    assert refused.outcome[0]["response_code"] == "12"
    assert code(lodge(carrier, "MT5402", consignments=only)) == "not-loaded"
    consignments.claim(row.pk, declaration_number="800020260000000001", audience=[])
    consignments.release(row.pk, declaration_number="800020260000000001", at=timezone.now(), principal=SYSTEM)
    assert code(lodge(carrier, "MT4101", consignments=only)) == "accepted"
    assert code(lodge(carrier, "MT5402", consignments=only)) == "accepted"
    assert make.events_of("consignment", row.reference) == [
        "consignment.declared", "consignment.arrived", "consignment.released", "consignment.loaded",
        "consignment.tallied",
    ]  # fmt: skip


def test_an_arrival_is_reported_once(carrier):
    consignment(carrier, "E")
    at = (timezone.now() - timedelta(hours=2)).isoformat()
    only = [{"bill_number": "CQBL20260001", "occurred_at": at}]
    assert code(lodge(carrier, "MT3402", consignments=only)) == "accepted"
    assert code(lodge(carrier, "MT3402", consignments=only)) == "repeated"
    assert code(lodge(carrier, "MT3402", consignments=[{"bill_number": "CQBL20260001"}])) == "already-reported"


def test_nothing_happened_in_the_future(carrier):
    consignment(carrier, "E")
    later = (timezone.now() + timedelta(days=1)).isoformat()
    only = [{"bill_number": "CQBL20260001", "occurred_at": later}]
    assert code(lodge(carrier, "MT3402", consignments=only)) == "in-the-future"


def test_a_stranger_cannot_report_on_the_goods_of_others(carrier):
    consignment(carrier, "E")
    stranger = make.organisation(OrganisationRole.TERMINAL)
    assert code(lodge(stranger, "MT3402", consignments=[{"bill_number": "CQBL20260001"}])) == "no-such-bill"


def test_the_terminal_of_the_trip_may_report(carrier):
    terminal = make.organisation(OrganisationRole.TERMINAL)
    places.load()
    from cargo.models import Place

    Place.objects.filter(code="CQTJC").update(operator=terminal)
    consignment(carrier, "E", loading_place="CQTJC")
    assert code(lodge(terminal, "MT3402", consignments=[{"bill_number": "CQBL20260001"}])) == "accepted"


def test_the_samples_go_their_way(carrier, api):
    client = api(carrier)

    def send(name: str):
        return client.post("/api/v1/manifests", (SAMPLES / name).read_bytes(), content_type="application/xml")

    assert send("road_MT4401_new.xml").json()["consignments"][0]["code"] == "no-such-trip"
    assert send("road_MT1401_new.xml").json()["response_code"] == "01"
    assert send("road_MT1401_new.xml").json()["response_code"] == "01"
    assert send("road_MT1401_upd.xml").status_code == 409, "the samples share one message id"
    body = (SAMPLES / "road_MT4401_new.xml").read_bytes().replace(b"0001</MessageID>", b"0002</MessageID>")
    answer = client.post(
        "/api/v1/manifests", body, content_type="application/xml", headers={"Accept": "application/xml"}
    )
    assert answer["Content-Type"] == "application/xml"
    assert b"<StatementCode>01</StatementCode>" in answer.content
    voyage = Voyage.objects.get()
    assert voyage.arrived_at == voyage.entry_declared_at
    assert voyage.means is not None
    assert voyage.means.identity == "渝A00001"


def test_a_late_manifest_is_taken_and_says_how_late_it_is(carrier):
    places.load()
    loading = (timezone.now() + timedelta(hours=4)).isoformat()
    row = consignment(
        carrier, "E", means_type="1", loading_at=loading, consignments=[bill(equipment=[{"number": container()}])]
    )
    assert row.late_hours is not None
    assert row.late_hours == 20
    in_time = consignment(carrier, "E", number="N2", means_type="3", loading_at=loading)
    assert in_time.late_hours == 0


def test_actual_times_of_a_trip_are_reported_once(carrier):
    voyage = consignment(carrier).voyage
    at = timezone.now() - timedelta(minutes=5)
    voyages.report(voyage.pk, what="arrived", at=at, principal=acting_for(carrier))
    voyages.report(voyage.pk, what="arrived", at=at, principal=acting_for(carrier))
    with pytest.raises(Problem) as caught:
        voyages.report(voyage.pk, what="arrived", at=at - timedelta(1), principal=acting_for(carrier))
    assert caught.value.code == "already-reported"
    with pytest.raises(Problem) as caught:
        voyages.report(voyage.pk, what="arrived", at=at, principal=acting_for(make.firm()))
    assert caught.value.status == 404


def test_what_is_not_ones_own_is_not_there(carrier, api, firm):
    row = consignment(carrier, consignments=[bill(consignee_id=firm.social_credit_code)])
    path = f"/api/v1/consignments/{row.pk}"
    assert api(carrier).get(path).status_code == 200
    assert api(firm).get(path).status_code == 200
    assert api(make.firm()).get(path).status_code == 404
    assert api(make.firm()).get("/api/v1/consignments?bill=CQBL20260001").json()["results"] == []
    assert api(firm).get("/api/v1/consignments?bill=CQBL20260001").json()["results"][0]["packages"] == 500


@pytest.mark.parametrize("role", OrganisationRole.values)
def test_officers_of_authorities_see_every_carriers_data_and_people_of_others_none_of_it(carrier, role):
    """People of a bank or a firm work in the console too: on what is their own."""
    row = consignment(carrier)
    client = Client()
    client.force_login(make.officer(organisation=make.organisation(role), offices=(), duties=()).user)
    count = 1 if role in AUTHORITIES else 0
    for path in ("manifests", "voyages", "consignments"):
        assert len(client.get(f"/api/v1/{path}").json()["results"]) == count, path
    for path, text in (
        ("consignment", row.bill_number),
        ("manifest", row.manifest.number),
        ("voyage", row.voyage.number),
    ):
        assert (text in client.get(f"/console/cargo/{path}/").content.decode()) == bool(count), path


def test_sites_by_category_code_and_day(api, firm):
    places.load()
    places.load()
    client = api(firm)

    def codes(query: str):
        return [row["place"] for row in client.get(f"/api/v1/supervision-sites?{query}").json()["results"]]

    assert codes("category=meat") == ["CQGYP", "CQJBA", "CQTJC"]
    assert codes("code=1005900000") == ["CQGYP"]
    assert codes("code=8471300000") == []
    assert codes("category=meat&on=2020-01-01") == []
    assert client.get("/api/v1/supervision-sites?on=tomorrow").status_code == 422
    assert client.get("/api/v1/supervision-sites?category=toys").status_code == 422


@pytest.mark.django_db(transaction=True)
def test_the_same_message_twice_at_once_is_one_message():
    carrier = make.organisation(OrganisationRole.CARRIER)
    sent, principal = message(), acting_for(carrier)
    got: list[str] = []

    def send() -> None:
        got.append(manifests.receive(sent, principal=principal).response_code)
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == ["01"] * 4
    assert Consignment.objects.count() == 1


def test_an_arrival_at_the_border_can_be_withdrawn_until_goods_are_declared(carrier):
    row = consignment(carrier)
    arrived = [{"occurred_at": (timezone.now() - timedelta(hours=1)).isoformat()}]
    assert code(lodge(carrier, "MT4401", "2", consignments=arrived)) == "accepted"
    assert code(lodge(carrier, "MT4401", "3", consignments=[])) == "accepted"
    assert Voyage.objects.get().arrived_at is None
    assert code(lodge(carrier, "MT4401", "2", consignments=arrived)) == "accepted"
    consignments.claim(row.pk, declaration_number="800020261000000001", audience=[])
    assert code(lodge(carrier, "MT4401", "3", consignments=[])) == "declared"


def test_two_vessels_of_a_carrier_may_sail_under_one_number(carrier):
    def sailing(number, vessel):
        return consignment(carrier, number=number, voyage_number="001N", means_type="1", means_id=vessel)

    one, other = sailing("M1", "9300001"), sailing("M2", "9300002")
    assert one.voyage_id != other.voyage_id
    assert sailing("M3", "9300001").voyage_id == one.voyage_id
    voyages.report(one.voyage_id, what="arrived", at=timezone.now(), principal=acting_for(carrier))
    assert Voyage.objects.get(pk=other.voyage_id).arrived_at is None


def test_a_later_message_does_not_turn_a_trip_into_one_that_is_known(carrier):
    """Two vessels, one number: the manifest of the first names the vessel of the second. It is taken; the trips stay two."""

    def sailing(number, vessel, name):
        sea = {"voyage_number": "001N", "means_type": "1", "means_id": vessel}
        assert code(lodge(carrier, number=number, consignments=[bill(name)], **sea)) == "accepted"
        return Consignment.objects.get(bill_number=name).voyage

    one, other = sailing("M1", "9300001", "B1"), sailing("M2", "9300002", "B2")
    assert sailing("M1", "9300002", "B3") == one
    assert [Voyage.objects.get(pk=trip.pk).means.identity for trip in (one, other)] == ["9300001", "9300002"]


def test_a_vehicle_nobody_announced_takes_no_other_vehicles_trip(carrier):
    """The day goods arrived starts the declaration's time limit: each vehicle's own."""
    trips = {
        plate: consignment(
            carrier, number=number, voyage_number="T1", means_id=plate, consignments=[bill(number)]
        ).voyage
        for number, plate in (("M1", "渝A00001"), ("M2", "渝A00002"))
    }

    def crosses(plate):
        at = (timezone.now() - timedelta(hours=1)).isoformat()
        report = {"number": "T1", "consignments": [{"means_id": plate, "occurred_at": at}]}
        return code(lodge(carrier, "MT4401", "2", **report))

    assert crosses("渝A00003") == "no-such-trip"
    assert not Voyage.objects.exclude(arrived_at=None).exists()
    assert crosses("渝A00002") == "accepted"
    trips["渝A00001"].refresh_from_db()
    assert (trips["渝A00001"].arrived_at, trips["渝A00001"].means.identity) == (None, "渝A00001")


def test_a_trip_gets_its_vessel_when_somebody_names_it(carrier):
    unnamed = consignment(carrier, number="M1", voyage_number="002N", means_type="1")
    named = consignment(carrier, number="M2", voyage_number="002N", means_type="1", means_id="9300003")
    assert named.voyage_id == unnamed.voyage_id
    again = lodge(
        carrier, number="M2", voyage_number="002N", means_type="1", means_id="9300004",
        consignments=[bill("B-MORE")],
    )  # fmt: skip
    assert again.response_code == "01"
    voyage = Voyage.objects.get()
    assert voyage.means is not None
    assert voyage.means.identity == "9300004", "a manifest keeps its trip"


def test_a_reported_time_is_changed_by_its_carrier_until_goods_are_released_and_by_customs_after_that(carrier):
    row = consignment(carrier)
    principal, officer = acting_for(carrier), make.officer_principal()
    first, second, third = (timezone.now() - timedelta(hours=hours) for hours in (3, 2, 1))
    voyages.report(row.voyage_id, what="arrived", at=first, principal=principal)
    voyages.report(row.voyage_id, what="arrived", at=second, change=True, principal=principal)
    changed = [{"occurred_at": third.isoformat()}]
    assert code(lodge(carrier, "MT4401", "2", consignments=changed)) == "already-reported"
    assert code(lodge(carrier, "MT4401", "5", consignments=changed)) == "accepted"
    voyage = Voyage.objects.get()
    assert voyage.arrived_at == voyage.entry_declared_at == third
    consignments.claim(row.pk, declaration_number="800020261000000001", audience=[])
    consignments.release(row.pk, declaration_number="800020261000000001", at=timezone.now(), principal=SYSTEM)
    with pytest.raises(Problem) as caught:
        voyages.report(row.voyage_id, what="arrived", at=first, change=True, principal=principal)
    assert caught.value.code == "already-released"
    with pytest.raises(Problem) as caught:
        voyages.correct(row.voyage_id, what="arrived", at=first, principal=principal)
    assert caught.value.status == 403
    voyages.correct(row.voyage_id, what="arrived", at=first, principal=officer)
    assert Voyage.objects.get().arrived_at == first
    assert make.events_of("voyage", voyage.reference) == ["voyage.announced", *["voyage.arrived"] * 4]


def test_a_loading_is_changed_until_it_is_tallied(carrier):
    row = consignment(carrier, "E")
    only = [{"bill_number": row.bill_number}]
    lodge(carrier, "MT3402", consignments=only)
    consignments.claim(row.pk, declaration_number="800020260000000001", audience=[])
    consignments.release(row.pk, declaration_number="800020260000000001", at=timezone.now(), principal=SYSTEM)
    lodge(carrier, "MT4101", consignments=only)
    at = timezone.now() - timedelta(minutes=9)
    changed = [{"bill_number": row.bill_number, "occurred_at": at.isoformat()}]
    assert code(lodge(carrier, "MT4101", "5", consignments=changed)) == "accepted"
    row.refresh_from_db()
    assert row.loaded_at == at
    lodge(carrier, "MT5402", consignments=only)
    assert code(lodge(carrier, "MT4101", "5", consignments=only)) == "already-reported"
