"""Another eBL platform, made of the pure functions: it issues bills and sends envelopes."""

from __future__ import annotations

import base64
import itertools
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from bills import chain, examples, signing
from bills.canonical import canonical, checksum, document_checksum, parse
from bills.envelope import answer, envelope, schema_fault
from bills.title import party_key
from bills.wire import dcsa

_serial = itertools.count(1)


def party(name: str, platform: str = "WAVE") -> dict[str, Any]:
    code = {"codeListProvider": platform, "codeListName": "ID", "partyCode": f"{name}-1"}
    return {"partyName": name, "eblPlatform": platform, "identifyingCodes": [code]}


@dataclass
class Foreign:
    code: str = "WAVE"
    private: dict[str, Any] = field(default_factory=signing.generate)
    carrier_private: dict[str, Any] = field(default_factory=signing.generate)

    @property
    def carrier(self) -> dict[str, Any]:
        return party("Ocean Carrier", self.code)

    @property
    def shipper(self) -> dict[str, Any]:
        return party("Shipper", self.code)

    def jwks(self) -> dict[str, Any]:
        return {
            "keys": [
                signing.public_part(self.private),
                {**signing.public_part(self.carrier_private), "owner": party_key(self.carrier)},
            ]
        }

    def document(self, **changes: Any) -> dict[str, Any]:
        content = examples.content(**changes)
        content["parties"]["consignor"] = {
            "name": "Shipper",
            "identifiers": [{"provider": self.code, "list": "ID", "code": "Shipper-1"}],
        }
        return dcsa.to_document(
            content, reference=f"{self.code}26{next(_serial):08d}", version=1, issued_on=date(2026, 11, 1),
            platform=self.code, endorsee=content["parties"]["consignor"],
        )  # fmt: skip

    def transaction(
        self, action: str, actor: dict[str, Any], recipient: dict[str, Any] | None = None, day: int = 1
    ) -> dict[str, Any]:
        made = {"actionCode": action, "actor": actor, "actionDateTime": f"2026-11-{day:02d}T08:00:00.000Z"}
        return made | ({"recipient": recipient} if recipient else {})

    def issuance_manifest(
        self, document: dict[str, Any], private: dict[str, Any] | None = None, to: dict[str, Any] | None = None
    ) -> str:
        said = {
            "documentChecksum": document_checksum(document), "issueToChecksum": document_checksum(to or self.shipper),
        }  # fmt: skip
        return signing.sign(said, private or self.carrier_private)

    def entry(
        self, document: dict[str, Any], transactions: list[dict[str, Any]], previous: str = "", **more: Any
    ) -> str:
        return chain.chain_entry(
            platform=more.get("platform", self.code),
            document=document_checksum(document),
            transactions=transactions,
            previous=previous,
            issuance_manifest="" if previous else more.get("manifest") or self.issuance_manifest(document),
            visualisation=more.get("visualisation"),
            private=more.get("private", self.private),
        )

    def transactions(self, to: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            self.transaction("ISSUE", self.carrier, self.shipper),
            self.transaction("ENDORSE_TO_ORDER", self.shipper, to, 2),
            self.transaction("TRANSFER", self.shipper, to, 3),
        ]

    def envelope(self, to: dict[str, Any], *, document: dict[str, Any] | None = None, entries: list[str] | None = None,
                 documents: list[dict[str, Any]] | None = None, private: dict[str, Any] | None = None, visualisation: dict[str, Any] | None = None) -> dict[str, Any]:  # fmt: skip
        document = document or self.document()
        entries = entries or [self.entry(document, self.transactions(to), visualisation=visualisation)]
        made = envelope(
            document=document, entries=entries, private=private or self.private, documents=documents,
            visualisation=visualisation,
        )  # fmt: skip
        assert schema_fault("EblEnvelope", made) == ""
        return made

    def onward(self, body: dict[str, Any], *transactions: dict[str, Any]) -> dict[str, Any]:
        """The envelope that follows ``body``: its chain and one more entry."""
        document, entries = body["transportDocument"], body["envelopeTransferChain"]
        return self.envelope(
            {}, document=document, entries=[*entries, self.entry(document, list(transactions), entries[-1])]
        )

    def answer(self, body: bytes, code: str, **more: Any) -> str:
        last = checksum(parse(body)["envelopeTransferChain"][-1])
        return answer(code, more.pop("last", last), more.pop("private", self.private), **more)


def metadata(content: bytes, name: str = "invoice.pdf") -> dict[str, Any]:
    return {"name": name, "size": len(content), "mediaType": "application/pdf", "documentChecksum": checksum(content)}


def encoded(content: bytes) -> bytes:
    return canonical(base64.b64encode(content).decode())
