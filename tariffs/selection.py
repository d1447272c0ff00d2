"""Which rate applies: Tariff Law arts 10 to 19 as a pure function over candidate measures.

The answer keeps every candidate, whether it was taken, why, and the article that says so.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from .basis import BASES
from .book import ALL, MFN_GROUP, REMEDY_KINDS, Measure
from .rates import ZERO, Goods, RateMissing

ENDLESS = Decimal("Infinity")
#: Origins that say "not known" (facts: the general rate applies).
UNKNOWN_ORIGINS = ("", "ZZZ", "UNK")

KIND_NAMES: dict[str, tuple[str, str]] = {
    "mfn": ("最惠国税率", "MFN rate"),
    "provisional": ("进口暂定税率", "provisional import rate"),
    "conventional": ("协定税率", "conventional rate"),
    "preferential": ("特惠税率", "special preferential rate"),
    "general": ("普通税率", "general rate"),
    "quota_in": ("关税配额内税率", "in-quota rate"),
    "quota_in_provisional": ("关税配额内暂定税率", "provisional in-quota rate"),
    "quota_out": ("关税配额外暂定税率", "provisional out-of-quota rate"),
    "export": ("出口税率", "export rate"),
    "export_provisional": ("出口暂定税率", "provisional export rate"),
    "anti_dumping": ("反倾销税", "anti-dumping duty"),
    "countervailing": ("反补贴税", "countervailing duty"),
    "safeguard": ("保障措施", "safeguard duty"),
    "retaliation": ("报复性（对等）关税", "retaliation duty"),
    "vat": ("增值税", "VAT"),
    "consumption": ("消费税", "consumption tax"),
}

#: why -> (article, Chinese, English)
REASONS: dict[str, tuple[str, str, str]] = {
    "mfn": ("tariff-law-12", "原产地适用最惠国待遇", "the origin has most-favoured-nation treatment"),
    "claimed": ("tariff-law-12", "申报享惠并有原产地证明", "claimed, with proof of origin"),
    "general": ("tariff-law-12", "原产地不适用最惠国或优惠待遇", "the origin has no MFN or preferential treatment"),
    "unknown-origin": ("tariff-law-12", "原产地不明", "the origin is not known"),
    "provisional": ("tariff-law-13", "有暂定税率的适用暂定税率", "a provisional rate replaces the MFN rate"),
    "provisional-lower": ("tariff-law-13", "暂定税率低于优惠税率，从低适用", "the provisional rate is lower than the preference"),
    "mfn-lower": ("tariff-law-13", "最惠国税率低于协定税率且无暂定税率", "MFN is lower than the conventional rate, no provisional"),
    "quota": ("tariff-law-14", "配额内进口", "imported within the quota"),
    "quota-provisional": ("tariff-law-14", "配额内有暂定税率", "a provisional rate within the quota"),
    "quota-out": ("tariff-law-14", "配额外进口，适用配额外暂定税率", "outside the quota, the provisional rate for it"),
    "remedy": ("tariff-law-16", "贸易救济措施，另行加征", "a trade remedy, on top"),
    "retaliation": ("tariff-law-18", "对等或报复性关税，另行加征", "retaliation, on top"),
    "art19-sum": (
        "tariff-law-19",
        "不能排除原产于被采取措施国家：最高措施税率与适用税率之和较高",
        "origin not excluded: the highest measure plus the applicable rate is the higher",
    ),
    "art19-general": (
        "tariff-law-19",
        "不能排除原产于被采取措施国家：普通税率较高",
        "origin not excluded: the general rate is the higher",
    ),
    "export": ("tariff-law-12", "出口税率", "the export rate"),
    "export-provisional": ("tariff-law-13", "有出口暂定税率的适用暂定税率", "a provisional rate replaces the export rate"),
    "officer": ("officer", "海关核定税率", "the rate was fixed by an officer"),
    # not taken
    "not-claimed": ("tariff-law-12", "未申报享惠", "not claimed"),
    "no-certificate": ("tariff-law-12", "无原产地证明", "no proof of origin"),
    "not-entitled": ("tariff-law-12", "原产地不享受该税率", "the origin is not entitled to it"),
    "preference-taken": ("tariff-law-12", "适用优惠税率", "a preference was taken"),
    "replaced": ("tariff-law-13", "被暂定税率取代", "replaced by the provisional rate"),
    "higher": ("tariff-law-13", "从低适用，未采用", "not the lower one"),
    "not-with-general": ("tariff-law-13", "普通税率不适用暂定税率", "never applies to the general rate"),
    "not-in-quota": ("tariff-law-14", "未申报关税配额", "no quota claimed"),
    "in-quota-taken": ("tariff-law-14", "适用配额内税率", "the in-quota rate was taken"),
    "entitled-better": ("tariff-law-12", "适用其他税率", "another rate applies"),
    "other-exporter": ("tariff-law-16", "为其他出口商规定的税率", "set for another exporter"),
    "art19-lower": ("tariff-law-19", "第十九条比较中较低", "the lower one in the comparison of art. 19"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Claim:
    origin: str
    agreement: str = ""  # the preferential agreement claimed
    certificate: bool = False  # a valid proof of origin is held
    origin_proven: bool = True  # False: nothing proves that art. 19 does not concern these goods
    quota: bool = False
    exporter: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    measure: Measure
    taken: bool
    reason: str
    amount: Decimal | None = None

    def as_json(self, side: int) -> dict[str, Any]:
        article, *texts = REASONS[self.reason]
        measure = self.measure
        return {
            "kind": measure.kind,
            "kind_text": KIND_NAMES[measure.kind][side],
            "code": measure.code,
            "origin": measure.group,
            "agreement": measure.agreement,
            "exporter": measure.exporter,
            "rate": str(measure.rate),
            "valid_from": measure.start,
            "valid_to": measure.end,
            "legal_basis": measure.basis,
            "taken": self.taken,
            "amount": None if self.amount is None else f"{self.amount:f}",
            "reason": self.reason,
            "reason_text": texts[side],
            "article": article,
            "article_text": BASES[article][side],
        }


@dataclass(slots=True)
class Selection:
    """`duty` is the base duty (None: nothing to pay, as on most exports); `remedies` come on top of it."""

    duty: Measure | None
    reason: str
    remedies: list[Measure] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    missing: str = ""  # why no rate could be found
    unclaimed: list[Measure] = field(default_factory=list)
    #: What comparing rates asks for and was not given: without it nobody knows which rate applies.
    needs: list[RateMissing] = field(default_factory=list)
    #: Remedies of the origin set for exporters by name, where none of them is the goods' exporter.
    exporters: list[Measure] = field(default_factory=list)


def amount_of(measure: Measure, goods: Goods) -> Decimal | None:
    """What a measure would come to, or None where something it needs was not given."""
    try:
        return measure.rate.amount(goods)
    except RateMissing:
        return None


def _needed(measure: Measure, goods: Goods, needs: list[RateMissing]) -> Decimal | None:
    """The same; what it needs is put down in ``needs``."""
    try:
        return measure.rate.amount(goods)
    except RateMissing as missing:
        needs.append(missing)
        return None


def _lower(first: Measure, second: Measure, goods: Goods, needs: list[RateMissing]) -> bool:
    """First comes to less than second; nothing comes to less than nothing."""
    two = _needed(second, goods, needs)
    if two == 0:
        return False
    one = _needed(first, goods, needs)
    return one is not None and two is not None and one < two


def exporter_key(name: str) -> str:
    """A company's name as it is compared: declared and published texts differ in case, spaces, width and punctuation."""
    return "".join(sign for sign in unicodedata.normalize("NFKC", name).casefold() if sign.isalnum())


def _agrees(measure: Measure, claimed: str) -> bool:
    return bool(claimed) and claimed in (measure.agreement, measure.group)


def select_export(measures: Sequence[Measure]) -> Selection:
    """Art. 13: a provisional export rate replaces the export rate."""
    by_kind = {measure.kind: measure for measure in measures if measure.kind in ("export", "export_provisional")}
    regular, provisional = by_kind.get("export"), by_kind.get("export_provisional")
    taken = provisional or regular
    reason = "export-provisional" if provisional else "export"
    chosen = Selection(taken, reason)
    for measure in by_kind.values():
        chosen.candidates.append(Candidate(measure, measure is taken, reason if measure is taken else "replaced"))
    return chosen


def select_import(
    measures: Sequence[Measure],
    groups: Mapping[str, str],
    claim: Claim,
    goods: Goods,
    preferred: Mapping[str, str] | None = None,
    groups_of: Callable[[str], Collection[str]] = lambda origin: (ALL, origin),
) -> Selection:
    """Arts 12 to 14, then the trade remedies of arts 16 to 18, then art. 19. ``preferred`` are the groups of the origin under
    the agreement claimed, where its rules find another than the origin that everything else goes by; ``groups_of`` gives those
    of an origin that a remedy names."""
    preferred = groups if preferred is None else preferred
    needs: list[RateMissing] = []
    one: dict[str, Measure] = {}
    preferences: list[Measure] = []
    all_remedies: list[Measure] = []
    not_for_origin: list[Measure] = []
    for measure in measures:
        kind = measure.kind
        if kind in REMEDY_KINDS:
            all_remedies.append(measure)
        elif kind in ("conventional", "preferential"):
            if measure.group in preferred:
                preferences.append(measure)
        elif measure.group in groups:
            if kind not in one or one[kind].group == ALL:
                one[kind] = measure
        elif kind in ("mfn", "provisional", "quota_out") and measure.group == MFN_GROUP:
            not_for_origin.append(measure)
    mfn, general, provisional = one.get("mfn"), one.get("general"), one.get("provisional")
    quota_out = one.get("quota_out")
    unknown = claim.origin in UNKNOWN_ORIGINS
    entitled = not unknown and MFN_GROUP in groups
    why: dict[int, str] = {}

    preference: Measure | None = None
    for measure in preferences:
        if unknown:
            why[measure.id] = "not-entitled"
        elif not _agrees(measure, claim.agreement):
            why[measure.id] = "not-claimed"
        elif not claim.certificate:
            why[measure.id] = "no-certificate"
        elif preference is None or _lower(measure, preference, goods, needs):
            if preference is not None:
                why[preference.id] = "higher"
            preference = measure
        else:
            why[measure.id] = "higher"

    temporary = provisional
    temporary_reason = "provisional"
    if quota_out is not None and not claim.quota:
        temporary, temporary_reason = quota_out, "quota-out"

    taken: Measure | None
    if claim.quota and "quota_in" in one:
        needs.clear()  # no comparison decides
        taken, reason = one["quota_in"], "quota"
        if "quota_in_provisional" in one:
            taken, reason = one["quota_in_provisional"], "quota-provisional"
            why[one["quota_in"].id] = "replaced"
    elif preference is not None:
        taken, reason = preference, "claimed"
        if temporary is not None and (entitled or temporary.group != MFN_GROUP):
            if _lower(temporary, preference, goods, needs):
                taken, reason = temporary, "provisional-lower"
        elif (
            preference.kind == "conventional" and mfn is not None and entitled and _lower(mfn, preference, goods, needs)
        ):
            taken, reason = mfn, "mfn-lower"
    elif entitled and (mfn is not None or temporary is not None):
        taken, reason = (temporary, temporary_reason) if temporary is not None else (mfn, "mfn")
    elif entitled:
        taken, reason = None, "mfn"
    else:
        taken, reason = general, "unknown-origin" if unknown else "general"

    for measure in not_for_origin:
        general_taken = taken is not None and taken.kind == "general" and measure.kind != "mfn"
        why[measure.id] = "not-with-general" if general_taken else "not-entitled"
    chosen = Selection(taken, reason, needs=needs)
    if taken is None:
        chosen.missing = "mfn" if entitled else "general"
    _remedies(chosen, all_remedies, groups, claim, general, goods, why, groups_of)
    _list_candidates(
        chosen, [*one.values(), *not_for_origin, *preferences, *all_remedies], groups, entitled, why, goods
    )
    if chosen.duty is not None and chosen.reason in ("mfn", "provisional"):
        chosen.unclaimed = [
            m for m in preferences if why.get(m.id) == "not-claimed" and _lower(m, chosen.duty, goods, [])
        ]
    return chosen


def _for_exporter(remedies: Sequence[Measure], exporter: str, why: dict[int, str]) -> list[Measure]:
    """Of each kind and origin the exporter's own rate, else the rate for all others."""
    found: dict[tuple[str, str], Measure] = {}
    for measure in remedies:
        if measure.exporter and exporter_key(measure.exporter) != exporter_key(exporter):
            why[measure.id] = "other-exporter"
            continue
        key = (measure.kind, measure.group)
        held = found.get(key)
        if held is None or measure.exporter:
            if held is not None:
                why[held.id] = "other-exporter"
            found[key] = measure
        else:
            why[measure.id] = "other-exporter"
    return list(found.values())


def _remedies(
    chosen: Selection,
    remedies: Sequence[Measure],
    groups: Mapping[str, str],
    claim: Claim,
    general: Measure | None,
    goods: Goods,
    why: dict[int, str],
    groups_of: Callable[[str], Collection[str]],
) -> None:
    if not remedies:
        return
    if claim.origin_proven and claim.origin not in UNKNOWN_ORIGINS:
        named = [m for m in remedies if m.group in groups]
        chosen.remedies = _for_exporter(named, claim.exporter, why)
        if not any(measure.exporter for measure in chosen.remedies):
            chosen.exporters = [measure for measure in named if measure.exporter]
        return
    # Art. 19: of each named origin the highest rate of each kind and group that reaches it, everybody's too; the origin where
    # these come to most. What cannot be worked out counts as the highest, so that it is asked for and not passed over.
    worst: list[Measure] = []
    worst_amount = ZERO
    for origin in sorted({measure.group for measure in remedies}):
        reaching = groups_of(origin)
        highest: dict[tuple[str, str], tuple[Decimal, Measure]] = {}
        for measure in remedies:
            if measure.group in reaching:
                known = amount_of(measure, goods)
                amount = ENDLESS if known is None else known
                key = (measure.kind, measure.group)
                if key not in highest or highest[key][0] < amount:
                    highest[key] = (amount, measure)
        total = sum((amount for amount, _ in highest.values()), ZERO)
        if total > worst_amount or not worst:
            worst, worst_amount = [measure for _, measure in highest.values()], total
    base = amount_of(chosen.duty, goods) if chosen.duty is not None else ZERO
    against = None if general is None or general is chosen.duty else _needed(general, goods, chosen.needs)
    if against is not None and base is not None and against > base + worst_amount:
        if chosen.duty is not None:
            why[chosen.duty.id] = "art19-lower"
        chosen.duty, chosen.reason, chosen.missing = general, "art19-general", ""
        for measure in worst:
            why[measure.id] = "art19-lower"
        return
    chosen.remedies = worst
    for measure in worst:
        why[measure.id] = "art19-sum"


def _list_candidates(
    chosen: Selection,
    measures: Sequence[Measure],
    groups: Mapping[str, str],
    entitled: bool,
    why: dict[int, str],
    goods: Goods,
) -> None:
    taken_kind = chosen.duty.kind if chosen.duty is not None else ""
    remedies = {measure.id for measure in chosen.remedies}
    for measure in measures:
        kind = measure.kind
        if measure is chosen.duty:
            chosen.candidates.append(Candidate(measure, True, chosen.reason, amount_of(measure, goods)))
            continue
        if measure.id in remedies:
            reason = why.get(measure.id) or ("retaliation" if kind == "retaliation" else "remedy")
            chosen.candidates.append(Candidate(measure, True, reason, amount_of(measure, goods)))
            continue
        if kind in REMEDY_KINDS and measure.group not in groups and measure.id not in why:
            continue
        reason = why.get(measure.id) or _not_taken(kind, taken_kind, chosen.reason, entitled)
        chosen.candidates.append(Candidate(measure, False, reason, amount_of(measure, goods)))


def _not_taken(kind: str, taken_kind: str, taken_reason: str, entitled: bool) -> str:
    if kind.startswith("quota_in"):
        return "not-in-quota"
    if taken_kind.startswith("quota_in"):
        return "in-quota-taken"
    if kind in ("provisional", "quota_out"):
        if taken_kind == "general":
            return "not-with-general"
        return "higher" if taken_reason in ("claimed", "mfn-lower") else "replaced"
    if kind == "mfn":
        if not entitled:
            return "not-entitled"
        return "replaced" if taken_reason in ("provisional", "provisional-lower", "quota-out") else "preference-taken"
    if kind in REMEDY_KINDS:
        return "other-exporter"
    return "entitled-better"


__all__ = ["KIND_NAMES", "REASONS", "Candidate", "Claim", "Selection", "amount_of", "select_export", "select_import"]
