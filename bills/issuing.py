"""From a draft to a bill, and from one version to the next: issue, amend, to paper and back, void."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from bills import chain, departing, exporting, keys, recording, rules
from bills.canonical import NotCanonical, canonical, checksum, document_checksum
from bills.chain import moment_of
from bills.content import parties, with_parties
from bills.envelope import schema_fault
from bills.models import Act, Bill, BillState, Container, Departure, Involvement, Leg, Version
from bills.numbering import next_number
from bills.recording import ASK, Unsigned
from bills.rules import Violation
from bills.signing import BadSignature, opened, peek
from bills.title import ORDER, STRAIGHT, party_key
from bills.wire import dcsa
from common.days import legal_day, today
from common.problems import Fault, Problem, conflict, invalid
from common.text import T
from events.log import append
from parties.models import Organisation, OrganisationRole
from parties.principals import Principal
from refdata import codes


# Drafts -----------------------------------------------------------------------------------------------------------
def refuse(violations: list[Violation], prefix: str = "") -> None:
    if violations:
        raise invalid(Fault(f"{prefix}{v.pointer}", v.code, T(v.zh, v.en)) for v in violations)


def _registered(party: dict[str, Any] | None) -> Organisation | None:
    """The registered organisation a party of the content is: by its number, or by its codes."""
    if not party:
        return None
    if party.get("organisation"):
        return Organisation.objects.filter(pk=party["organisation"]).first()
    return keys.organisation_of({"identifyingCodes": dcsa.identifying_codes(party)})


@transaction.atomic
def draft(*, principal: Principal, content: dict[str, Any]) -> Bill:
    """A new draft of the caller, who is a multimodal operator or a carrier. It may be unfinished."""
    operator = recording.caller(principal)
    refuse(rules.check_draft(content))
    if not {OrganisationRole.MULTIMODAL_OPERATOR, OrganisationRole.CARRIER} & set(operator.roles):
        raise Problem(
            403,
            "not-an-operator",
            T("只有多式联运经营人或承运人可以签发提单", "Only a multimodal operator or carrier issues bills"),
        )
    bill = Bill.objects.create(
        number=next_number("bills_bill_number"), kind=content["kind"], negotiability=content["negotiability"],
        issuer=operator, issuer_key=party_key(keys.party_of(operator)), draft=content,
    )  # fmt: skip
    recording.involve(bill, operator, Involvement.Role.OPERATOR)
    append(
        type="bill.drafted", subject=("bill", bill.number), actor=principal.actor, audience=[operator.pk],
        data={"kind": bill.kind, "negotiability": bill.negotiability},
    )  # fmt: skip
    return bill


@transaction.atomic
def redraft(*, principal: Principal, number: str, content: dict[str, Any]) -> Bill:
    bill = recording.lock(number, principal)
    as_issuer(bill, principal)
    if bill.state != BillState.DRAFT:
        raise conflict("state-conflict", T("提单已签发：请按更改办理", "The bill is issued: amend it instead"))
    refuse(rules.check_draft(content))
    bill.kind, bill.negotiability, bill.draft = content["kind"], content["negotiability"], content
    bill.updated_at = timezone.now()
    bill.save(update_fields=["kind", "negotiability", "draft", "updated_at"])
    return bill


def as_issuer(bill: Bill, principal: Principal) -> Organisation:
    if bill.issuer_id is None or bill.issuer_id != principal.organisation_id:
        raise Problem(409, "not-the-issuer", T("只有签发人可以办理", "Only the issuer may do this"))
    return recording.caller(principal)


# Making a version -------------------------------------------------------------------------------------------------
def complete(content: dict[str, Any], operator: Organisation) -> dict[str, Any]:
    """The content as it will be signed: operator and registered parties named as the register knows them."""
    people = dict(content["parties"])
    own = people.get("operator") or {"name": operator.name[:70]}
    if not own.get("contact") and (operator.telephone or operator.email):
        own = own | {
            "contact": {k: v for k, v in (("telephone", operator.telephone[:30]), ("email", operator.email)) if v}
        }
    people["operator"] = own | {"organisation": operator.pk}
    return with_parties(content | {"parties": people}, _named)


def _named(party: dict[str, Any]) -> dict[str, Any]:
    found = _registered(party)
    if found is None:
        return party
    code = keys.party_of(found)["identifyingCodes"][0]
    made = {"provider": code["codeListProvider"], "list": code["codeListName"], "code": code["partyCode"]}
    others = [row for row in party.get("identifiers", ()) if row != made]
    return party | {"organisation": found.pk, "identifiers": [made, *others]}


def from_elsewhere(content: dict[str, Any]) -> dict[str, Any]:
    """The content of another register's document, its parties known here by their codes only: the numbers of organisations
    in it are that register's, and mean others here."""

    def known(party: dict[str, Any]) -> dict[str, Any]:
        codes = {name: value for name, value in party.items() if name != "organisation"}
        found = _registered(codes)
        return codes | {"organisation": found.pk} if found else codes

    return with_parties(content, known)


def _places(content: dict[str, Any]) -> list[Violation]:
    """A UN/LOCODE stands in the register's list of the day, where that list is loaded."""
    found = []
    for pointer, code in rules.codes_of(content):
        try:
            if codes.is_valid("unlocode", code) or not codes.is_complete("unlocode"):
                continue
        except codes.NotLoaded:
            return []
        found.append(Violation(pointer, "unlocode", f"没有此 UN/LOCODE：{code}", f"There is no UN/LOCODE {code}"))
    return found


def check_to_issue(content: dict[str, Any]) -> list[Violation]:
    """Everything that keeps ``content`` from being issued here."""
    found = rules.check(content)
    if found:
        return found
    found = _places(content)
    people = content["parties"]
    if _registered(people["consignor"]) is None:
        found.append(
            Violation(
                "/parties/consignor", "not-registered", "托运人未在本平台登记", "The consignor is not registered here"
            )
        )
    consignee = people.get("consignee")
    if consignee and _registered(consignee) is None:
        found.append(
            Violation(
                "/parties/consignee",
                "not-registered",
                "收货人（指示人）未在本平台登记",
                "The consignee (to whose order) is not registered here",
            )
        )
    return found


def compose(
    bill: Bill, content: dict[str, Any], *, version: int, at: datetime, endorsee: dict[str, Any] | None
) -> dict[str, Any]:
    """The transport document of a version. Raises Problem 422 where DCSA's schema would not take it."""
    try:
        document = dcsa.to_document(
            content, reference=bill.number, version=version, issued_on=legal_day(at), platform=settings.EBL_PLATFORM,
            endorsee=endorsee,
        )  # fmt: skip
        canonical(document)
    except NotCanonical as error:
        raise invalid([Fault("", "not-canonical", str(error))]) from error
    if fault := schema_fault("TransportDocument", document):
        raise invalid(
            [
                Fault(
                    "",
                    "transport-document",
                    T("不能成为 DCSA 运输单证：{fault}", "Makes no DCSA transport document: {fault}", fault=fault),
                )
            ]
        )
    return document


def _terms(bill: Bill, content: dict[str, Any], holder: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Terms of title of a document newly in ``holder``'s hands, and the party whose order it is to."""
    kind = content["negotiability"]
    consignee = _registered(content["parties"].get("consignee"))
    if kind == STRAIGHT:
        return {"kind": kind, "consignee": party_key(keys.party_of(consignee)) if consignee else ""}, None
    if kind == ORDER:
        party = keys.party_of(consignee) if consignee else holder
        return {"kind": kind, "endorsee": party_key(party)}, party
    return {"kind": kind}, None


def _as_content(party: dict[str, Any] | None) -> dict[str, Any] | None:
    return dcsa.party_of(party) if party else None


def _issuance_manifest(operator: Organisation, wanted: dict[str, Any], given: str) -> str:
    """What the carrier signs for PINT: document and party to issue to. ``given`` is one it signed itself."""
    owner = party_key(keys.party_of(operator))
    if not given:
        return recording.sign_for(owner, wanted)
    try:
        found = opened(given, keys.ring([str(peek(given)[0].get("kid"))]))
    except BadSignature as error:
        raise invalid(
            [
                Fault(
                    "/issuance_manifest",
                    "manifest-signature",
                    T("签发清单的签名不成立：{why}", "The issuance manifest: {why}", why=error),
                )
            ]
        ) from error
    if found.key.owner != owner or found.payload != wanted or found.key.fault_at(timezone.now()):
        raise invalid(
            [
                Fault(
                    "/issuance_manifest",
                    "manifest-differs",
                    T("签发清单与单证不符", "The issuance manifest is not this document's"),
                )
            ]
        )
    return given


def new_version(
    bill: Bill,
    code: str,
    *,
    principal: Principal,
    operator: Organisation,
    content: dict[str, Any],
    holder: Organisation | dict[str, Any],
    comments: str = "",
    signed: str = "",
    issuance_manifest: str = "",
    extra: dict[str, Any] | None = None,
) -> Act:
    """Compose, sign and put in force the next version of ``bill`` in ``holder``'s hands (a party of another platform is
    named as it names itself there)."""
    content = complete(content, operator)
    refuse(check_to_issue(content))
    at = timezone.now()
    if signed and signed is not ASK:
        try:
            at = moment_of(peek(signed)[1]["actionDateTime"])
        except (BadSignature, KeyError, TypeError) as error:
            raise invalid([Fault("/signed", "malformed-act", str(error))]) from error
    party = holder if isinstance(holder, dict) else keys.party_of(holder)
    terms, order = _terms(bill, content, party)
    if order is not None and (code != "ISSUE" or "replaces" in (extra or {})):
        # A bill that has gone from hand to hand is made out anew to the order of who holds it.
        terms, order = terms | {"endorsee": party_key(party)}, party
    document = compose(bill, content, version=bill.version + 1, at=at, endorsee=_as_content(order))
    text = canonical(document).decode()
    made = checksum(text)
    manifest = {"documentChecksum": made, "issueToChecksum": document_checksum(party)}
    beside = {"document": document, "checksum": made, "issuance_manifest": manifest}
    if signed is ASK and not issuance_manifest:
        raise Unsigned({}, **beside)
    details: dict[str, Any] = {
        "terms": terms,
        "issuanceManifestSignedContent": _issuance_manifest(operator, manifest, issuance_manifest),
        **(extra or {}),
    }
    if code != "ISSUE":
        details["document"] = made
    try:
        kept = recording.record(
            bill, code, actor=operator, by=principal.actor, recipient=None if isinstance(holder, dict) else holder,
            recipient_party=party, comments=comments, details=details, document=made, signed=signed, at=at,
        )  # fmt: skip
    except Unsigned as asked:
        raise Unsigned(asked.payload, **beside) from None
    write_version(bill, content, text, at)
    return kept


def write_version(bill: Bill, content: dict[str, Any], text: str, at: datetime) -> None:
    """The version's row and the rows that find it: parties, legs, containers."""
    Version.objects.create(
        bill=bill, number=bill.version, checksum=bill.checksum, content=content, document=text, created_at=at
    )
    for role, party in parties(content):
        if found := _registered(party):
            recording.involve(bill, found, role)
    for sequence, leg in enumerate(content["legs"], 1):
        carrier = _registered(leg.get("carrier"))
        Leg.objects.update_or_create(
            bill=bill,
            sequence=sequence,
            defaults={
                "mode": leg["mode"],
                "origin": leg["from"].get("unlocode", ""),
                "destination": leg["to"].get("unlocode", ""),
                "carrier": carrier,
                "carrier_name": leg.get("carrier", {}).get("name", ""),
                "means": leg.get("means", ""),
                "voyage": leg.get("voyage", ""),
                "planned_departure": leg.get("planned_departure"),
                "planned_arrival": leg.get("planned_arrival"),
            },
        )
    bill.legs.filter(sequence__gt=len(content["legs"])).delete()
    bill.containers.all().delete()
    Container.objects.bulk_create(
        Container(
            bill=bill,
            number=box["number"],
            size_type=box.get("size_type", ""),
            seals=[seal["number"] for seal in box.get("seals", ())],
        )
        for box in content.get("containers", ())
    )


# Commands ---------------------------------------------------------------------------------------------------------
def current(bill: Bill) -> Version:
    return bill.versions.get(number=bill.version)


@transaction.atomic
def issue(
    *, number: str, principal: Principal, signed: str = "", issuance_manifest: str = "", comments: str = ""
) -> Act:
    """Issue a draft to its consignor, who becomes the first holder."""
    bill = recording.lock(number, principal)
    operator = as_issuer(bill, principal)
    if bill.state != BillState.DRAFT:
        raise conflict("state-conflict", T("提单已签发", "The bill is issued already"))
    content = complete(bill.draft, operator)
    refuse(check_to_issue(content) or rules.dated(content, today()))
    consignor = _registered(content["parties"]["consignor"])
    assert consignor is not None
    bill.issued_at, bill.draft = timezone.now(), None
    return new_version(
        bill, "ISSUE", principal=principal, operator=operator, content=content, holder=consignor, signed=signed,
        issuance_manifest=issuance_manifest, comments=comments,
    )  # fmt: skip


@transaction.atomic
def amend(
    *, number: str, principal: Principal, content: dict[str, Any], comments: str = "", signed: str = "",
    issuance_manifest: str = "",
) -> Act:  # fmt: skip
    """The issuer's answer to a surrender for amendment: version n+1 to the same holder; version n no longer verifies. A
    holder on another platform is sent the acceptance, which ends the old chain, and then the new bill."""
    bill = recording.lock(number, principal)
    operator = as_issuer(bill, principal)
    if bill.state != BillState.AMENDING:
        raise conflict(
            "state-conflict", T("须由持有人先交单更改", "The holder has to surrender it for amendment first")
        )
    refuse(rules.check(content) or rules.dated(content, today()))
    if bill.holder is not None:
        return new_version(
            bill, "AMEND", principal=principal, operator=operator, content=content, holder=bill.holder, comments=comments,
            signed=signed, issuance_manifest=issuance_manifest,
        )  # fmt: skip
    abroad = departing.party_abroad(bill, "holder")
    assert abroad is not None
    fixed, document, version = list(bill.entries), bill.checksum, bill.version
    done = exporting.said(bill)
    kept = new_version(
        bill, "REISSUE", principal=principal, operator=operator, content=content, holder=abroad, comments=comments,
        signed=signed, issuance_manifest=issuance_manifest,
    )  # fmt: skip
    accepted = chain.transaction(chain.read(peek(kept.token)[1]), kept.checksum)
    assert accepted is not None
    entries = exporting.continued(fixed, document, [*chain.transactions(done), accepted], manifest="")
    departing.tell(bill, abroad, Departure.Purpose.NOTICE, entries, version=version)
    departing.tell(bill, abroad, Departure.Purpose.REISSUE)
    return kept


def _tell_abroad(bill: Bill) -> None:
    """A holder on another platform is told that its surrender is accepted."""
    if bill.holder_id is None and (abroad := departing.party_abroad(bill, "holder")):
        departing.tell(bill, abroad, Departure.Purpose.NOTICE)


@transaction.atomic
def to_paper(*, number: str, principal: Principal, comments: str = "", signed: str = "") -> Act:
    """The electronic bill leaves circulation; its paper originals take its place."""
    bill = recording.lock(number, principal)
    operator = as_issuer(bill, principal)
    if bill.state != BillState.AMENDING:
        raise conflict(
            "state-conflict", T("须由持有人先交单更改", "The holder has to surrender it for amendment first")
        )
    originals = int(current(bill).content.get("originals", "1")) or 1
    kept = recording.record(
        bill, "TO_PAPER", actor=operator, by=principal.actor, recipient=bill.holder,
        recipient_party=None if bill.holder_id else departing.party_abroad(bill, "holder"), comments=comments,
        details={"originals": originals}, signed=signed,
    )  # fmt: skip
    _tell_abroad(bill)
    return kept


@transaction.atomic
def from_paper(
    *, number: str, principal: Principal, returned: int, presenter: int, comments: str = "", signed: str = "",
    issuance_manifest: str = "",
) -> Act:  # fmt: skip
    """Back from paper, into the hands of who presented every original."""
    bill = recording.lock(number, principal)
    operator = as_issuer(bill, principal)
    if bill.state != BillState.PAPER:
        raise conflict("state-conflict", T("提单不在纸质流通中", "The bill is not on paper"))
    version = current(bill)
    originals = int(version.content.get("originals", "1")) or 1
    if returned != originals:
        raise invalid(
            [
                Fault(
                    "/returned",
                    "originals-missing",
                    T("须收回全部 {n} 份正本", "All {n} originals have to be returned", n=originals),
                )
            ]
        )
    holder = recording.addressee(presenter, "/presenter")
    assert holder is not None
    return new_version(
        bill, "FROM_PAPER", principal=principal, operator=operator, content=version.content, holder=holder,
        comments=comments, signed=signed, issuance_manifest=issuance_manifest, extra={"originalsReturned": returned},
    )  # fmt: skip


@transaction.atomic
def void(*, number: str, principal: Principal, comments: str = "", signed: str = "") -> Act | None:
    """End a draft, or a bill its holder gave up for that. A draft leaves no act: nothing had been signed."""
    bill = recording.lock(number, principal)
    operator = as_issuer(bill, principal)
    if bill.state == BillState.DRAFT and signed:
        raise conflict("nothing-to-sign", T("草稿作废无需签名", "A draft is voided without a signature"))
    if bill.state == BillState.DRAFT:
        bill.state, bill.updated_at = BillState.VOID, timezone.now()
        bill.save(update_fields=["state", "updated_at"])
        append(
            type="bill.voided", subject=("bill", bill.number), actor=principal.actor, audience=[operator.pk], data={}
        )
        return None
    kept = recording.record(bill, "VOID", actor=operator, by=principal.actor, comments=comments, signed=signed)
    _tell_abroad(bill)
    return kept
