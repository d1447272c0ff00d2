from __future__ import annotations

from collections.abc import Iterator

from declarations.checks.registry import Context, Finding, Severity, register
from declarations.models import Declaration
from parties.models import Organisation
from parties.registration import may_declare_for

#: Foreign key -> member that names it in the message.
ROLES = {
    "lodged_by": "",
    "firm": "/domestic_party_credit_code",
    "owner": "/owner_credit_code",
    "declarant": "/declarant_credit_code",
}


@register(
    "parties",
    "主体资格与委托",
    "standing of the parties, mandate",
    {
        "party-suspended": ("{name} 自 {since} 起被暂停资格", "{name} is suspended since {since}"),
        "mandate-missing": (
            "申报当日没有 {firm} 给予的、包含监管方式 {procedure} 的委托",
            "No mandate from {firm} that includes procedure {procedure} on the day of lodgement",
        ),
        "party-codes-differ": (
            "海关编码 {customs_code} 与统一社会信用代码 {credit_code} 不属同一单位",
            "Customs code {customs_code} and credit code {credit_code} belong to different organisations",
        ),
        "declarant-differs": (
            "申报单位 {declarant} 不是实际申报方 {lodger}",
            "The declarant named, {declarant}, is not the one who lodged, {lodger}",
        ),
    },
    order=20,
)
def parties_are_entitled(declaration: Declaration, context: Context) -> Iterator[Finding]:
    """Nobody suspended takes part, the mandate holds on the day of sending, and the two codes of a party agree."""
    named = {
        role: getattr(declaration, f"{role}_id") for role in ROLES if getattr(declaration, f"{role}_id") is not None
    }
    found = {one.pk: one for one in Organisation.objects.filter(pk__in=set(named.values()))}
    suspended = set()
    for role, pk in named.items():
        one = found[pk]
        if not one.in_good_standing(context.sent) and pk not in suspended:
            suspended.add(pk)
            severity = Severity.WARNING if role == "owner" else Severity.FATAL
            params = {"name": one.name, "since": str(one.suspended_since)}
            yield Finding("party-suspended", severity, ROLES[role], params, 10)
    firm = found.get(declaration.firm_id or 0)
    if firm is not None and not may_declare_for(
        declarant_id=declaration.lodged_by_id,
        firm_id=firm.pk,
        customs_procedure=declaration.customs_procedure,
        on=context.sent,
    ):
        params = {"firm": firm.name, "procedure": declaration.customs_procedure}
        yield Finding("mandate-missing", Severity.ERROR, "/domestic_party_credit_code", params)
    for role, prefix in (("firm", "domestic_party"), ("declarant", "declarant")):
        code = getattr(declaration, f"{prefix}_code")
        credit = getattr(declaration, f"{prefix}_credit_code")
        by_credit = found.get(named.get(role, 0))
        if code and credit and by_credit and by_credit.customs_code and by_credit.customs_code != code:
            params = {"customs_code": code, "credit_code": credit}
            yield Finding("party-codes-differ", Severity.ERROR, f"/{prefix}_code", params)
    declarant = found.get(declaration.declarant_id or 0)
    if declarant is not None and declarant.pk != declaration.lodged_by_id:
        params = {"declarant": declarant.name, "lodger": found[declaration.lodged_by_id].name}
        yield Finding("declarant-differs", Severity.WARNING, "/declarant_credit_code", params, 5)
