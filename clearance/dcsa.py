"""The time line as DCSA Track & Trace 3 events (metadata + payload), for software that speaks them."""

from __future__ import annotations

from typing import Any

from clearance.tracking import Found, _entry, _events, find, subjects_of
from common.problems import not_found
from events.models import Event

#: transport mode code -> DCSA mode
MODES = {"2": "VESSEL", "3": "RAIL", "4": "TRUCK"}

_TRANSPORT = {"voyage.departed": "DEPA", "voyage.arrived": "ARRI"}
_EQUIPMENT = {"consignment.loaded": "LOAD"}
#: customs' decisions are shipment events on the document type CUC (customs clearance)
_SHIPMENT = {
    "declaration.lodged": "RECE", "declaration.accepted": "APPR", "declaration.rejected": "REJE",
    "declaration.held": "HOLD", "declaration.released": "RELS", "declaration.withdrawn": "CANC",
    "clearance.pickup_released": "RELS",
}  # fmt: skip


def events(reference: str, *, viewer: int | None = None) -> list[dict[str, Any]]:
    """What ``viewer`` sees of the time line in full and DCSA has a code for. Raises Problem 404."""
    found = find(reference)
    if not found:
        raise not_found()
    made: list[dict[str, Any]] = []
    for event in _events(subjects_of(found)):
        if _entry(event, True, viewer) is not None:
            made.extend(_render(event, found))
    for voyage in found.voyages:
        for at, done, code in (
            (voyage.planned_departure, voyage.departed_at, "DEPA"),
            (voyage.planned_arrival, voyage.arrived_at, "ARRI"),
        ):
            if at is not None and done is None:
                made.append(
                    {
                        "metadata": _metadata(f"{voyage.pk}-{code}-plan", voyage.created_at, "TRANSPORT"),
                        "payload": {
                            "eventClassifierCode": "PLN",
                            "eventDateTime": at.isoformat(),
                            "transportEventTypeCode": code,
                            "transportCall": _call(voyage, code),
                            "relatedDocumentReferences": _documents(found),
                            "references": _references(found),
                        },
                    }
                )
    return made


def _metadata(id_: str, created: Any, kind: str) -> dict[str, Any]:
    return {
        "eventID": id_,
        "eventCreatedDateTime": created.isoformat(),
        "eventType": kind,
        "publisher": {"partyName": "Corridor Single Window"},
        "publisherRole": "SVP",  # a service provider: the list has no customs
    }


def _render(event: Event, found: Found) -> list[dict[str, Any]]:
    at = event.occurred_at.isoformat()
    base = {"eventClassifierCode": "ACT", "eventDateTime": at}
    if code := _TRANSPORT.get(event.type):
        voyage = next((one for one in found.voyages if one.reference == event.subject_number), None)
        if voyage is None:
            return []
        payload: dict[str, Any] = base | {"transportEventTypeCode": code, "transportCall": _call(voyage, code)}
        payload |= {"relatedDocumentReferences": _documents(found), "references": _references(found)}
        return [{"metadata": _metadata(str(event.id), event.recorded_at, "TRANSPORT"), "payload": payload}]
    if event.type == "gate.passed":
        return [
            _box(
                event,
                event.data["move"],
                event.data["container"],
                event.data["fullness"],
                event.data.get("place", ""),
                base,
                found,
            )
        ]
    if code := _EQUIPMENT.get(event.type):
        boxes = event.data.get("containers") or found.containers
        return [_box(event, code, box, "LADEN", "", base, found) for box in boxes]
    if code := _SHIPMENT.get(event.type):
        payload = base | {
            "shipmentEventTypeCode": code, "documentTypeCode": "CUC", "documentReference": event.subject_number,
            "relatedDocumentReferences": _documents(found), "references": _references(found),
        }  # fmt: skip
        return [{"metadata": _metadata(str(event.id), event.recorded_at, "SHIPMENT"), "payload": payload}]
    return []


def _box(
    event: Event, code: str, container: str, fullness: str, place: str, base: dict[str, Any], found: Found
) -> dict[str, Any]:
    payload = base | {
        "equipmentEventTypeCode": code, "equipmentReference": container, "emptyIndicatorCode": fullness,
        "isTransshipmentMove": False,
    }  # fmt: skip
    if place:
        payload["eventLocation"] = _location(place)
    payload |= {"relatedDocumentReferences": _documents(found), "references": _references(found)}
    return {"metadata": _metadata(f"{event.id}-{container}", event.recorded_at, "EQUIPMENT"), "payload": payload}


def _location(code: str) -> dict[str, Any]:
    from cargo.models import Place

    place = Place.objects.filter(code=code).first()
    found = {"locationType": "UNLO", "locationName": place.name_en or place.name if place else code}
    if place and place.unlocode:
        found["UNLocationCode"] = place.unlocode
    return found


def _call(voyage: Any, code: str) -> dict[str, Any]:
    place = voyage.loading_place if code == "DEPA" else voyage.unloading_place
    call: dict[str, Any] = {
        "transportCallReference": str(voyage.pk),
        "transportCallSequenceNumber": 1 if code == "DEPA" else 2,
    }
    if mode := MODES.get(voyage.mode):
        call["modeOfTransport"] = mode
    if place:
        call["location"] = _location(place)
    if voyage.mode == "2":
        name = "carrierExportVoyageNumber" if voyage.direction == "E" else "carrierImportVoyageNumber"
        call[name] = voyage.number
        if voyage.means:
            call["vessel"] = {"name": voyage.means.name or voyage.means.identity}
            if voyage.means.identity.isdigit() and len(voyage.means.identity) == 7:
                call["vessel"]["vesselIMONumber"] = voyage.means.identity
    elif voyage.mode == "4" and voyage.means:
        call["licencePlate"] = voyage.means.identity
    return call


def _documents(found: Found) -> list[dict[str, str]]:
    return [{"type": "TRD", "value": number} for number in sorted({one.bill_number for one in found.consignments})]


def _references(found: Found) -> list[dict[str, str]]:
    return [{"type": "EQ", "value": number} for number in found.containers]
