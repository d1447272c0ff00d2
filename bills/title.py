"""Title to a bill as one table: which act is possible in which state, who may do it, what stands in its way, and where
it leads. The commands, the offline verifier, the PINT receiver and the tests all ask this table; PostgreSQL holds the
state graph made from it. Pure: no Django, no database.

A party is named by its key (:func:`party_key`): platform, code list, code. ``holder`` is who has possession, that is,
control of the one electronic original; ``endorsee`` is who is entitled by endorsement (empty: in blank or to bearer)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

# States -----------------------------------------------------------------------------------------------------------
DRAFT = "draft"  # being written; no title in it
ISSUED = "issued"  # in circulation, one holder
SURRENDERED = "surrendered"  # given up for delivery; the issuer has to answer
ACCEPTED = "accepted"  # surrender accepted; the goods may be handed to the last holder
DELIVERED = "delivered"  # goods handed over: the end
AMENDING = "amending"  # given up for amendment, paper, split or combination; the issuer has to answer
REPLACED = "replaced"  # split or combined into other bills: the end
PAPER = "paper"  # paper originals circulate instead
LEAVING = "leaving"  # on its way to another platform, no signed answer yet
AWAY = "away"  # held on another platform
RECALLED = "recalled"  # amended by its issuer on another platform; the next version has not come here
VOID = "void"  # the end

STATES = (DRAFT, ISSUED, SURRENDERED, ACCEPTED, DELIVERED, AMENDING, REPLACED, PAPER, LEAVING, AWAY, RECALLED, VOID)
ENDED = frozenset({DELIVERED, REPLACED, VOID})

# How the bill passes from hand to hand (Maritime Code art. 79) ----------------------------------------------------
STRAIGHT, ORDER, BEARER = "straight", "order", "bearer"

# Who acts ---------------------------------------------------------------------------------------------------------
ISSUER, HOLDER, PLEDGEE, PLATFORM = "issuer", "holder", "pledgee", "platform"


class Refusal(NamedTuple):
    """Why an act is not possible: a stable code and the text in both languages."""

    code: str
    zh: str
    en: str


class Rule(NamedTuple):
    """One row. ``recipient``: "" none, "party" somebody named, "issuer", "holder". ``guards`` are names of
    :data:`GUARDS`. ``pint`` is the act's code in DCSA PINT 3.0.0; empty where PINT has none."""

    act: str
    sources: tuple[str, ...]
    target: str
    who: str
    recipient: str
    guards: tuple[str, ...]
    pint: str
    zh: str
    en: str


RULES: dict[str, Rule] = {
    rule.act: rule
    for rule in (
        Rule("ISSUE", (DRAFT,), ISSUED, ISSUER, "party", (), "ISSUE", "签发", "issue"),
        Rule("SIGN", (ISSUED,), ISSUED, HOLDER, "", (), "SIGN", "持有人签署", "sign"),
        Rule("ENDORSE", (ISSUED,), ISSUED, HOLDER, "party",
             ("straight", "pledged", "entitled", "may_endorse", "other"), "ENDORSE",
             "记名背书（不得再背书）", "endorse"),
        Rule("ENDORSE_TO_ORDER", (ISSUED,), ISSUED, HOLDER, "party",
             ("straight", "pledged", "entitled", "may_endorse", "other"), "ENDORSE_TO_ORDER",
             "指示背书", "endorse to order"),
        Rule("BLANK_ENDORSE", (ISSUED,), ISSUED, HOLDER, "",
             ("straight", "pledged", "entitled", "may_endorse"), "BLANK_ENDORSE", "空白背书", "endorse in blank"),
        Rule("TRANSFER", (ISSUED,), ISSUED, HOLDER, "party", ("pledged", "other", "due"), "TRANSFER",
             "转让交付", "transfer"),
        Rule("PLEDGE", (ISSUED,), ISSUED, HOLDER, "party", ("straight", "pledged", "entitled", "other"), "",
             "出质", "pledge"),
        Rule("RELEASE", (ISSUED,), ISSUED, PLEDGEE, "holder", (), "", "解除质押", "release the pledge"),
        Rule("SURRENDER_FOR_DELIVERY", (ISSUED,), SURRENDERED, HOLDER, "issuer", ("pledged", "entitled"),
             "SURRENDER_FOR_DELIVERY", "交单提货", "surrender for delivery"),
        Rule("SURRENDER_FOR_AMENDMENT", (ISSUED,), AMENDING, HOLDER, "issuer", ("pledged",),
             "SURRENDER_FOR_AMENDMENT", "交单更改", "surrender for amendment"),
        Rule("ACCEPT", (SURRENDERED,), ACCEPTED, ISSUER, "holder", (), "SACC", "接受交单", "accept the surrender"),
        Rule("REJECT", (SURRENDERED, AMENDING), ISSUED, ISSUER, "holder", ("here",), "SREJ", "退回交单",
             "reject the surrender"),
        Rule("RETURN", (SURRENDERED, AMENDING), LEAVING, ISSUER, "holder", ("elsewhere",), "SREJ",
             "退回交单（持有人在其他平台）", "reject the surrender of a holder on another platform"),
        Rule("AMEND", (AMENDING,), ISSUED, ISSUER, "holder", ("here",), "SACC", "更改（新版本）",
             "amend (new version)"),
        Rule("REISSUE", (AMENDING,), LEAVING, ISSUER, "holder", ("elsewhere",), "SACC",
             "更改（新版本，发往持有人所在平台）", "amend (new version, sent to the holder's platform)"),
        Rule("SPLIT", (AMENDING,), REPLACED, ISSUER, "holder", ("here",), "SACC", "分单", "split"),
        Rule("COMBINE", (AMENDING,), REPLACED, ISSUER, "holder", ("here",), "SACC", "并单", "combine"),
        Rule("TO_PAPER", (AMENDING,), PAPER, ISSUER, "holder", (), "SACC", "转为纸质", "switch to paper"),
        Rule("FROM_PAPER", (PAPER,), ISSUED, ISSUER, "party", (), "", "纸质收回转电子", "switch back from paper"),
        Rule("VOID", (DRAFT, AMENDING), VOID, ISSUER, "", (), "SACC", "作废", "void"),
        Rule("DELIVER", (ACCEPTED,), DELIVERED, ISSUER, "holder", (), "", "交付货物", "deliver"),
        Rule("LEAVE", (ISSUED,), LEAVING, HOLDER, "party", ("pledged", "other", "due"), "TRANSFER",
             "转往其他平台", "transfer to another platform"),
        Rule("LEFT", (LEAVING,), AWAY, PLATFORM, "", (), "", "对方平台已接收", "received by the other platform"),
        Rule("STAY", (LEAVING, SURRENDERED, AMENDING), ISSUED, PLATFORM, "", (), "", "对方平台拒收",
             "refused by the other platform"),
        Rule("ARRIVE", (DRAFT, AWAY, RECALLED), ISSUED, PLATFORM, "party", (), "", "自其他平台转入",
             "arrived from another platform"),
        # What was done on another platform and told by a signed envelope.
        Rule("SURRENDERED_AWAY", (AWAY,), SURRENDERED, PLATFORM, "party", (), "", "他平台持有人交单提货",
             "surrendered for delivery by a holder on another platform"),
        Rule("GIVEN_UP_AWAY", (AWAY,), AMENDING, PLATFORM, "party", (), "", "他平台持有人交单更改",
             "surrendered for amendment by a holder on another platform"),
        Rule("ACCEPTED_AWAY", (SURRENDERED,), ACCEPTED, PLATFORM, "holder", (), "", "他平台签发人接受交单",
             "surrender accepted by the issuer on another platform"),
        Rule("RECALLED_AWAY", (AMENDING,), RECALLED, PLATFORM, "holder", (), "", "他平台签发人接受更改",
             "amendment accepted by the issuer on another platform"),
        Rule("REJECTED_AWAY", (SURRENDERED, AMENDING), ISSUED, PLATFORM, "holder", (), "", "他平台签发人退回交单",
             "surrender rejected by the issuer on another platform"),
    )
}  # fmt: skip

#: Refusals of the guards; each is checked by a function of the same name below.
GUARDS: dict[str, Refusal] = {
    "straight": Refusal(
        "straight-bill", "记名提单不得背书、出质或转让", "A straight bill cannot be endorsed, pledged or transferred on"
    ),
    "pledged": Refusal(
        "pledged", "已出质，质权人解除前不得处分", "Pledged: the pledgee has to release it before anything else"
    ),
    "entitled": Refusal(
        "not-entitled",
        "持有人不是被背书人（或记名收货人）",
        "The holder is not the one the bill is endorsed or made out to",
    ),
    "may_endorse": Refusal(
        "no-further-endorsement", "最近一次背书不允许再背书", "The last endorsement allows no further one"
    ),
    "other": Refusal("recipient-is-holder", "受让人就是现持有人", "The recipient already holds the bill"),
    "here": Refusal(
        "holder-on-another-platform",
        "持有人在其他平台：须先转回本平台",
        "The holder is on another platform: the bill has to come home first",
    ),
    "elsewhere": Refusal("holder-is-here", "持有人就在本平台", "The holder is on this platform"),
    "due": Refusal(
        "not-endorsed-to-recipient",
        "提单未背书给受让人：指示提单须先背书，记名提单只能交给记名收货人",
        "The bill is not endorsed to the recipient: endorse an order bill first; a straight bill goes to its consignee only",
    ),
}


class Title(NamedTuple):
    """Who may do what with one bill, now."""

    state: str = DRAFT
    kind: str = ORDER
    issuer: str = ""
    holder: str = ""
    #: Named consignee of a straight bill.
    consignee: str = ""
    endorsee: str = ""
    may_endorse: bool = True
    pledgee: str = ""


class Act(NamedTuple):
    """What the table needs to know of an act. ``terms`` come with ISSUE, AMEND, FROM_PAPER and ARRIVE."""

    code: str
    actor: str
    recipient: str = ""
    terms: Mapping[str, Any] = MappingProxyType({})


def party_key(party: dict[str, Any] | None) -> str:
    """One name for a party of a PINT transaction: platform, code list provider and name, code."""
    if not party:
        return ""
    code = party["identifyingCodes"][0]
    return ":".join(
        (party.get("eblPlatform", ""), code["codeListProvider"], code.get("codeListName", ""), code["partyCode"])
    )


def platform_of(key: str) -> str:
    """The platform a party key names."""
    return key.partition(":")[0]


def _guarded(title: Title, act: Act, guard: str) -> bool:
    """Whether ``guard`` stands in the way."""
    match guard:
        case "straight":
            return title.kind == STRAIGHT
        case "pledged":
            return bool(title.pledgee)
        case "entitled":
            entitled = title.consignee if title.kind == STRAIGHT else title.endorsee
            return bool(entitled) and entitled != title.holder
        case "may_endorse":
            return bool(title.endorsee) and not title.may_endorse
        case "other":
            return act.recipient == title.holder
        case "here":
            return platform_of(title.holder) != platform_of(title.issuer)
        case "elsewhere":
            return platform_of(title.holder) == platform_of(title.issuer)
        case "due":
            due = title.consignee if title.kind == STRAIGHT else title.endorsee
            return bool(due) and due != act.recipient
    raise AssertionError(guard)


def _holders_name(title: Title, who: str) -> str:
    return {ISSUER: title.issuer, HOLDER: title.holder, PLEDGEE: title.pledgee}[who]


def _not_for(rule: Rule) -> Refusal:
    """That the act is for somebody else."""
    match rule.who:
        case "issuer":
            return Refusal("not-the-issuer", f"只有签发人可以{rule.zh}", f"Only the issuer may {rule.en}")
        case "pledgee":
            return Refusal("not-the-pledgee", f"只有质权人可以{rule.zh}", f"Only the pledgee may {rule.en}")
    return Refusal("not-the-holder", f"只有现持有人可以{rule.zh}", f"Only the current holder may {rule.en}")


def refusals(title: Title, act: Act) -> list[Refusal]:
    """Everything that stands in the way of ``act``; empty means it may be done."""
    rule = RULES.get(act.code)
    if rule is None:
        return [Refusal("unknown-act", f"没有此行为：{act.code}", f"There is no act {act.code}")]
    if title.state not in rule.sources:
        possible = ", ".join(row.act for row in RULES.values() if title.state in row.sources) or "-"
        return [
            Refusal(
                "state-conflict",
                f"状态“{title.state}”下不能{rule.zh}；可执行：{possible}",
                f"Cannot {rule.en} in state “{title.state}”; possible: {possible}",
            )
        ]
    found: list[Refusal] = []
    if rule.who == PLEDGEE and not title.pledgee:
        found.append(Refusal("not-pledged", "未出质", "The bill is not pledged"))
    elif rule.who != PLATFORM and title.state != DRAFT and act.actor != _holders_name(title, rule.who):
        found.append(_not_for(rule))
    if rule.recipient and not act.recipient:
        found.append(Refusal("recipient-missing", "缺少相对方", "A recipient has to be named"))
    elif not rule.recipient and act.recipient:
        found.append(Refusal("recipient-not-allowed", "此行为没有相对方", "This act has no recipient"))
    elif rule.recipient == "issuer" and act.recipient != title.issuer:
        found.append(Refusal("recipient-not-issuer", "只能向签发人交单", "A bill is surrendered to its issuer only"))
    elif rule.recipient == "holder" and act.recipient != title.holder:
        found.append(
            Refusal("recipient-not-holder", "相对方必须是现持有人", "The recipient has to be the current holder")
        )
    found.extend(GUARDS[guard] for guard in rule.guards if _guarded(title, act, guard))
    return found


def _terms(title: Title, act: Act, holder: str) -> Title:
    """A bill newly put into ``holder``'s hands under the terms of the document."""
    kind = act.terms.get("kind", title.kind)
    order = act.terms.get("endorsee", holder)
    return title._replace(
        kind=kind,
        issuer=act.terms.get("issuer", title.issuer),
        holder=holder,
        consignee=act.terms.get("consignee", "") if kind == STRAIGHT else "",
        endorsee=order if kind == ORDER else "",
        may_endorse=act.terms.get("may_endorse", True),
        pledgee="",
    )


def apply(title: Title, act: Act) -> Title:
    """The title after ``act``, which :func:`refusals` let pass."""
    title = title._replace(state=RULES[act.code].target)
    match act.code:
        case "ISSUE":
            return _terms(title._replace(issuer=act.actor), act, act.recipient)
        case "ARRIVE" | "FROM_PAPER":
            return _terms(title, act, act.recipient)
        case "AMEND" | "REISSUE":
            return _terms(title, act, title.holder)
        case "SURRENDERED_AWAY" | "GIVEN_UP_AWAY":
            return title._replace(holder=act.recipient, endorsee=act.terms.get("endorsee", title.endorsee))
        case "TRANSFER":
            return title._replace(holder=act.recipient)
        case "ENDORSE":
            return title._replace(endorsee=act.recipient, may_endorse=False)
        case "ENDORSE_TO_ORDER":
            return title._replace(endorsee=act.recipient, may_endorse=True)
        case "BLANK_ENDORSE":
            return title._replace(endorsee="", may_endorse=True)
        case "PLEDGE":
            return title._replace(pledgee=act.recipient)
        case "RELEASE":
            return title._replace(pledgee="")
    return title


def edges() -> list[tuple[str, str]]:
    """The state graph, for PostgreSQL's trigger and for the diagram in the docs."""
    return sorted(
        {(source, rule.target) for rule in RULES.values() for source in rule.sources if source != rule.target}
    )
