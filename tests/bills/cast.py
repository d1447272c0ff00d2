"""The cast of the bills' tests and the ways a bill reaches its states: through the commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bills import acts, issuing, keys
from bills import examples as example
from bills.models import Bill
from parties.models import Organisation, OrganisationRole
from parties.principals import Principal
from tests import make


def principal(organisation: Organisation) -> Principal:
    return Principal(
        actor=f"client:{organisation.pk}",
        organisation_id=organisation.pk,
        organisation_name=organisation.name,
        roles=frozenset(organisation.roles),
        scopes=frozenset({"bills:read", "bills:write"}),
    )


@dataclass
class Cast:
    operator: Organisation
    shipper: Organisation
    buyer: Organisation
    third: Organisation
    bank: Organisation
    carrier: Organisation

    def does(self, who: str, code: str, bill: Bill, to: str = "", **more: Any) -> Any:
        recipient = getattr(self, to).pk if to else None
        return acts.act(number=bill.number, code=code, principal=self.p(who), recipient=recipient, **more)

    def p(self, who: str) -> Principal:
        return principal(getattr(self, who))


def assemble() -> Cast:
    cast = Cast(
        operator=make.organisation(OrganisationRole.MULTIMODAL_OPERATOR, telephone="+86 23 1111 1111"),
        shipper=make.firm(),
        buyer=make.firm(),
        third=make.firm(),
        bank=make.organisation(OrganisationRole.BANK),
        carrier=make.organisation(OrganisationRole.CARRIER),
    )
    for organisation in vars(cast).values():
        keys.ensure_key(organisation)
    return cast


def content(cast: Cast, negotiability: str = "order", consignee: str = "", **changes: Any) -> dict[str, Any]:
    made = example.content(negotiability=negotiability, **changes)
    made["parties"]["consignor"]["organisation"] = cast.shipper.pk
    if consignee:
        organisation = getattr(cast, consignee)
        made["parties"]["consignee"] = {"name": organisation.name, "organisation": organisation.pk}
    made["legs"][1]["carrier"] = {"name": cast.carrier.name, "organisation": cast.carrier.pk}
    return made


def issued(cast: Cast, negotiability: str = "order", consignee: str = "", **changes: Any) -> Bill:
    bill = issuing.draft(principal=cast.p("operator"), content=content(cast, negotiability, consignee, **changes))
    issuing.issue(number=bill.number, principal=cast.p("operator"))
    bill.refresh_from_db()
    return bill


def handed_over(cast: Cast, bill: Bill, to: str = "buyer", by: str = "shipper") -> Bill:
    acts.endorse_and_transfer(number=bill.number, principal=cast.p(by), recipient=getattr(cast, to).pk)
    bill.refresh_from_db()
    return bill


def declared(bill: Bill, state: str = "lodged", **changes: Any) -> str:
    """Number of a declaration that names ``bill`` as its transport document, in ``state``."""
    return make.declaration(state=state, transport_document_number=bill.number, **changes).unified_number
