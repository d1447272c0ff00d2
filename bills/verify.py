"""Verify a bill offline: ``python -m bills.verify FILE [--trust THUMBPRINT] [--json]``

FILE is what ``GET /api/v1/bills/{number}/export`` gives. Nothing but this file is read: no network, no database, no
Django. Exit code 0 the file holds, 1 it does not, 2 it could not be read. docs/one-bill.md tells what is checked, and
what only the platform's own key (``--trust``) can prove.

核验提单：不联网、不连数据库，只读导出文件。退出码 0 通过，1 不通过，2 无法读取。"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bills.canonical import NotCanonical, checksum, document_checksum, parse
from bills.chain import Broken, Statement, moment_of, replay, transactions
from bills.envelope import Rejected, check_issuance, schema_fault, walk
from bills.signing import BadKey, BadSignature, Key, KeyRing, opened, public_part, thumbprint
from bills.title import ENDED, Title

FORMAT = "one-bill/1"


class Fails(Exception):
    """The file does not hold; ``code`` is stable."""

    def __init__(self, code: str, zh: str, en: str) -> None:
        super().__init__(f"{code}: {en}")
        self.code, self.zh, self.en = code, zh, en


@dataclass(slots=True)
class Report:
    """What the file proves."""

    bill: str = ""
    platform: str = ""
    state: str = ""
    version: int = 0
    checksum: str = ""
    acts: int = 0
    holder: str = ""
    platform_key: str = ""
    trusted: bool = False
    attested_at: str = ""
    checks: list[str] = field(default_factory=list)


def _keys(file: Mapping[str, Any], trust: str) -> tuple[KeyRing, dict[str, Any], Report]:
    """The platform's key, its attestation, and the keys it attests."""
    report = Report(bill=str(file.get("bill", "")), platform=str(file.get("platform", "")))
    try:
        root = public_part(file["platformKey"])
        report.platform_key = thumbprint(root)
    except (KeyError, TypeError, BadKey) as error:
        raise Fails("no-platform-key", f"缺少平台公钥：{error}", f"No usable platform key: {error}") from error
    if trust and trust != report.platform_key:
        raise Fails(
            "platform-key-not-trusted",
            f"平台公钥指纹 {report.platform_key} 与您信任的 {trust} 不同",
            f"The platform key {report.platform_key} is not the one you trust, {trust}",
        )
    report.trusted = bool(trust)
    ring = KeyRing([Key(report.platform_key, root, report.platform, report.platform)])
    try:
        said = opened(file.get("attestation"), ring).payload
        if not isinstance(said, dict) or said["bill"] != report.bill or said["platform"] != report.platform:
            raise Fails("attestation-of-another", "平台证明属于另一份提单", "The attestation is of another bill")
        report.attested_at = str(said["attestedAt"])
        for entry in said["keys"]:
            jwk = public_part(entry["jwk"])
            if thumbprint(jwk) != entry["kid"]:
                raise Fails("key-name", "公钥与其指纹不符", "A key does not have the thumbprint it is listed under")
            ring.add(
                Key(
                    entry["kid"],
                    jwk,
                    entry["owner"],
                    entry.get("platform", ""),
                    moment_of(entry["validFrom"]) if entry.get("validFrom") else None,
                    moment_of(entry["revokedAt"]) if entry.get("revokedAt") else None,
                )
            )
    except BadSignature as error:
        raise Fails(
            f"attestation-{error.code}", "平台证明的签名无效", f"The platform's attestation: {error}"
        ) from error
    except (KeyError, TypeError, BadKey, Broken) as error:
        raise Fails("attestation-malformed", "平台证明内容不完整", f"The attestation is not whole: {error}") from error
    report.checks.append("attestation")
    return ring, said, report


def _versions(file: Mapping[str, Any]) -> list[str]:
    found = []
    for number, version in enumerate(file.get("versions") or [], 1):
        try:
            counted = document_checksum(version["document"])
            if version["number"] != number or version["checksum"] != counted:
                raise Fails(
                    "document-changed", f"第 {number} 版内容被改动", f"Version {number} is not the document it was"
                )
        except (KeyError, TypeError, NotCanonical) as error:
            raise Fails("document-malformed", f"第 {number} 版不完整", f"Version {number}: {error}") from error
        found.append(counted)
    if not found:
        raise Fails("no-document", "文件中没有单证", "The file holds no document")
    return found


def _abridged(entry: dict[str, Any], ours: list[Any]) -> tuple[dict[str, Any], list[Any]]:
    """An entry of the platform's own as the schema is to see it, and what follows it of ``ours``. Transactions that are those
    made of the acts have times and references of our making: of those that differ in nothing else, one is looked at."""
    told = entry.get("transactions")
    if not isinstance(told, list) or told != ours[: len(told)]:
        return entry, ours
    kinds = {
        json.dumps(
            {name: value for name, value in one.items() if name not in ("actionDateTime", "auditReference")}
        ): one
        for one in told
    }
    return entry | {"transactions": list(kinds.values())}, ours[len(told) :]


def _pint(file: Mapping[str, Any], ring: KeyRing, said: list[Statement], acts: list[str], document: str) -> None:
    """The PINT chain entries: signatures, links, and that they tell the same story as the acts."""
    tokens = file.get("envelopeTransferChain") or []
    if not tokens:
        return
    ours = transactions(zip(said, map(checksum, acts), strict=True))
    rest, entries, previous = ours, [], None
    for number, token in enumerate(tokens, 1):
        try:
            found = opened(token, ring)
        except BadSignature as error:
            raise Fails(
                f"entry-{error.code}", f"第 {number} 个链条目签名无效", f"Chain entry {number}: {error}"
            ) from error
        shape = found.payload
        if isinstance(shape, dict) and shape.get("eblPlatform") == file.get("platform"):
            shape, rest = _abridged(shape, rest)
        if fault := schema_fault("EnvelopeTransferChainEntry", shape):
            raise Fails("entry-malformed", f"第 {number} 个链条目不合规范", f"Chain entry {number}: {fault}")
        if (
            found.payload.get("previousEnvelopeTransferChainEntrySignedContentChecksum") != previous
            or found.payload["transportDocumentChecksum"] != document
            or found.payload["eblPlatform"] != found.key.owner
        ):
            raise Fails(
                "entry-broken", f"第 {number} 个链条目不衔接", f"Chain entry {number} does not fit the one before"
            )
        previous = checksum(token)
        entries.append(found.payload)
    try:
        check_issuance(entries[0], document, ring)
        walk(entries, file["versions"][-1]["document"])
    except Rejected as error:
        raise Fails("entry-rules", "链条目不合规则", str(error)) from error
    told = [entry["transactions"] for entry in entries if entry["eblPlatform"] == file.get("platform")]
    if [transaction for entry in told for transaction in entry] != ours:
        raise Fails("entry-differs", "链条目与行为记录不一致", "The last chain entry does not tell what the acts tell")


def verify(file: Any, *, trust: str = "") -> Report:
    """Check a file. Raises Fails with the first thing that does not hold."""
    if not isinstance(file, dict) or file.get("format") != FORMAT:
        raise Fails("not-an-export", f"不是 {FORMAT} 导出文件", f"This is no {FORMAT} export")
    ring, said, report = _keys(file, trust)
    versions = _versions(file)
    report.checks.append("documents")
    acts = file.get("acts")
    if not isinstance(acts, list) or not acts:
        raise Fails("no-acts", "文件中没有行为记录", "The file holds no acts")
    try:
        found = replay(acts, ring, bill=report.bill)
    except Broken as error:
        raise Fails(error.code, f"行为链不成立（{error.code}）", str(error)) from error
    report.checks += ["signatures", "chain", "title"]
    if found.document != versions[-1]:
        raise Fails(
            "version-not-in-force", "末一版不是有效版本", "The last version is not the one the acts put in force"
        )
    title: Title = found.title
    expected = {
        "state": title.state,
        "holder": "" if title.state in ENDED else title.holder,
        "acts": len(acts),
        "lastActChecksum": found.head,
        "versions": versions,
    }
    for name, value in expected.items():
        if said.get(name) != value:
            raise Fails(
                "attestation-differs",
                f"平台证明与文件不一致（{name}）：可能删去了最后的行为",
                f"The attestation says another {name}: acts may have been cut off",
            )
    _pint(file, ring, found.statements, acts, versions[-1])
    report.checks.append("pint")
    report.state, report.version, report.checksum = title.state, len(versions), versions[-1]
    report.acts, report.holder = len(acts), expected["holder"]  # type: ignore[assignment]
    return report


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bills.verify", description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--trust", default="", help="thumbprint of the platform key you know to be right")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args(arguments)
    try:
        file = parse(options.file.read_bytes())
    except (OSError, NotCanonical) as error:
        print(f"无法读取 / cannot be read: {error}", file=sys.stderr)
        return 2
    try:
        report = verify(file, trust=options.trust)
    except Fails as error:
        if options.json:
            print(json.dumps({"ok": False, "code": error.code, "zh": error.zh, "en": error.en}, ensure_ascii=False))
        else:
            print(f"不通过 / FAILS  [{error.code}]\n  {error.zh}\n  {error.en}")
        return 1
    if options.json:
        print(json.dumps({"ok": True, **asdict(report)}, ensure_ascii=False))
        return 0
    print(f"通过 / HOLDS  {report.bill}  版本 / version {report.version}  状态 / state {report.state}")
    print(f"  行为 / acts: {report.acts}   持有人 / holder: {report.holder or '-'}")
    print(f"  单证摘要 / document SHA-256: {report.checksum}")
    print(f"  平台 / platform: {report.platform}  公钥指纹 / key {report.platform_key}")
    print(f"  证明时间 / attested at {report.attested_at}；此后的行为本文件不能反映 / later acts are not in this file")
    if not report.trusted:
        print(
            "  未指定 --trust：请将指纹与平台公布的对照 / no --trust: compare the key with the one the platform publishes"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
