"""Port papers without paper: equipment interchange receipt, container packing list, delivery order. Issued and versioned;
anybody with the verification code can see whether one is genuine and still in force."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone, translation

from cargo import equipment
from cargo.models import Consignment
from clearance import goods, release
from clearance.models import GateMove, PortPaper
from common.days import LEGAL_ZONE
from common.problems import Fault, Problem, conflict, invalid, not_found
from common.text import T, pick
from declarations.models import Declaration
from events.log import append
from parties.models import OrganisationRole
from parties.principals import Principal

Kind = PortPaper.Kind

#: Who issues what.
ISSUERS = {
    Kind.EIR: {OrganisationRole.TERMINAL, OrganisationRole.CARRIER},
    Kind.CLP: {OrganisationRole.TERMINAL, OrganisationRole.CARRIER, OrganisationRole.MULTIMODAL_OPERATOR},
    Kind.DO: {OrganisationRole.CARRIER, OrganisationRole.MULTIMODAL_OPERATOR},
}

#: Largest verified gross mass of a container taken as plausible, in kilograms.
MAX_VGM = Decimal(45000)


def issue(
    *, kind: str, consignment_id: int | None = None, container: str = "", content: dict[str, Any], principal: Principal
) -> PortPaper:
    """Issue a paper, or its next version where one of the same goods and container stands. Raises Problem 404, 403, 409, 422."""
    container = equipment.normal(container) if container else ""
    row = _goods(consignment_id, principal)
    if kind not in Kind.values:
        raise invalid([Fault("/kind", "kind", T("没有此类单证", "There is no such paper"))])
    if not principal.roles & ISSUERS[Kind(kind)]:
        raise Problem(403, "not-permitted", T("您不能签发此类单证", "You may not issue this kind of paper"))
    with transaction.atomic():
        made = _MAKERS[Kind(kind)](row, container, content, principal)
        about = f"{row.pk if row else 0}-{container or 'ALL'}"
        if kind == Kind.EIR:  # each passing of a gate has its own receipt
            about = f"M{made['move']}"
        number = f"{kind}{principal.organisation_id}-{about}"
        _lock(number)
        before = PortPaper.objects.filter(number=number).order_by("-version").first()
        if before is not None and before.content == made and before.cancelled_at is None:
            return before
        if before is not None and before.superseded_at is None:
            before.superseded_at = timezone.now()
            before.save(update_fields=["superseded_at"])
        audience = {principal.organisation_id, *(row.audience if row else [])}
        paper = PortPaper.objects.create(
            number=number,
            version=before.version + 1 if before else 1,
            kind=kind,
            issuer_id=principal.organisation_id or 0,
            consignment=row,
            container=container,
            content=made,
            audience=sorted(pk for pk in audience if pk is not None),
            issued_by=principal.actor,
        )
        _say("port_paper.issued", paper, principal)
    return paper


def cancel(*, number: str, principal: Principal) -> PortPaper:
    with transaction.atomic():
        _lock(number)
        paper = (
            PortPaper.objects.filter(number=number, issuer_id=principal.organisation_id).order_by("-version").first()
        )
        if paper is None:
            raise not_found()
        if paper.cancelled_at is None:
            paper.cancelled_at = timezone.now()
            paper.save(update_fields=["cancelled_at"])
            _say("port_paper.cancelled", paper, principal)
    return paper


def _lock(number: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 5))", [number])


def _goods(pk: int | None, principal: Principal) -> Consignment | None:
    if pk is None:
        return None
    row = (
        Consignment.objects.live()
        .visible_to(principal)
        .select_related("manifest", "voyage__means", "voyage__carrier")
        .filter(pk=pk)
        .first()
    )
    if row is None:
        raise not_found()
    return row


def _text(content: dict[str, Any], names: dict[str, int], faults: list[Fault]) -> dict[str, str]:
    found = {}
    for name, length in names.items():
        value = content.get(name, "")
        if not isinstance(value, str) or len(value) > length:
            faults.append(
                Fault(
                    f"/content/{name}", "text", T("应为不超过 {n} 字的文本", "Text of {n} characters at most", n=length)
                )
            )
            continue
        found[name] = value.strip()
    faults += [
        Fault(f"/content/{name}", "unknown-member", T("未知数据项", "Unknown member"))
        for name in content if name not in names and name not in ("move_id", "vgm", "vgm_method", "free_until")
    ]  # fmt: skip
    return found


def _interchange(
    row: Consignment | None, container: str, content: dict[str, Any], principal: Principal
) -> dict[str, Any]:
    """EIR: bound to a gate move that was permitted; a refused one has no receipt."""
    faults: list[Fault] = []
    found: dict[str, Any] = _text(content, {"condition": 200, "damage": 500, "driver": 60}, faults)
    if not container:
        faults.append(Fault("/container", "required", T("必须填写", "Required")))
    if faults:
        raise invalid(faults)
    moves = GateMove.objects.filter(container=container, audience__contains=[principal.organisation_id])
    if isinstance(content.get("move_id"), int):
        moves = moves.filter(pk=content["move_id"])
    move = moves.order_by("-at", "-pk").first()
    if move is None:
        raise conflict("no-move", T("没有此箱的闸口记录", "No gate move of this container is known"))
    if not move.permitted:
        raise conflict("not-released", T("该箱未获准通过闸口", "The container was not permitted to pass"))
    return found | {
        "move": move.pk, "direction": move.move, "fullness": move.fullness, "place": move.place, "at": move.at.isoformat(),
        "truck": move.truck, "seal": move.seal, **_trip(row),
    }  # fmt: skip


def _packing(row: Consignment | None, container: str, content: dict[str, Any], principal: Principal) -> dict[str, Any]:
    """CLP: what is in the container, with its verified gross mass (SOLAS VI/2)."""
    faults: list[Fault] = []
    found: dict[str, Any] = _text(content, {"seal": 35, "stuffed_at": 60, "signed_by": 60}, faults)
    inside = row.stuffings.filter(equipment_id=container).select_related("equipment").first() if row else None
    if row is None or inside is None:
        faults.append(Fault("/container", "container", T("此提运单没有该箱", "The bill has no such container")))
    vgm = _decimal(content.get("vgm"))
    if vgm is None or not 0 < vgm <= MAX_VGM:
        faults.append(
            Fault("/content/vgm", "vgm", T("须填写核实重量（千克）", "The verified gross mass (kg) is needed"))
        )
    elif (
        inside is not None and inside.gross_mass is not None and vgm < inside.gross_mass + (inside.equipment.tare or 0)
    ):
        faults.append(
            Fault("/content/vgm", "vgm-too-small", T("小于货重与皮重之和", "Less than goods and tare together"))
        )
    if content.get("vgm_method") not in ("1", "2"):
        faults.append(
            Fault(
                "/content/vgm_method",
                "vgm-method",
                T("方法应为 1（整箱称重）或 2（累加）", "Method 1 (weighed) or 2 (summed up)"),
            )
        )
    if faults:
        raise invalid(faults)
    assert row is not None
    goods = [
        {
            "bill_number": one.consignment.bill_number, "packages": one.packages or one.consignment.packages,
            "gross_mass": str(one.gross_mass or one.consignment.gross_mass),
            "description": "; ".join(item.get("description", "") for item in one.consignment.items)[:300],
        }
        for one in _inside(container, row)
    ]  # fmt: skip
    return found | {"vgm": str(vgm), "vgm_method": content["vgm_method"], "goods": goods, **_trip(row)}


def _inside(container: str, row: Consignment) -> list[Any]:
    from cargo.models import Stuffing

    return list(
        Stuffing.objects.filter(
            equipment_id=container, consignment__voyage=row.voyage, consignment__deleted_at=None
        ).select_related("consignment")
    )


def _decimal(value: Any) -> Decimal | None:
    try:
        found = Decimal(value) if isinstance(value, str) else None
    except ArithmeticError:
        return None
    return found if found is not None and found.is_finite() else None


def _order(row: Consignment | None, container: str, content: dict[str, Any], principal: Principal) -> dict[str, Any]:
    """D/O: the carrier's word that the goods may be handed over; with it goes customs' release, as it is when read."""
    faults: list[Fault] = []
    found: dict[str, Any] = _text(content, {"consignee": 200, "pickup_code": 40, "remarks": 500}, faults)
    if row is None:
        faults.append(Fault("/consignment", "required", T("必须填写", "Required")))
    free = content.get("free_until", "")
    try:
        if free:
            datetime.fromisoformat(str(free))
    except ValueError:
        faults.append(Fault("/content/free_until", "date", T("日期格式不正确", "Not a date")))
    if faults:
        raise invalid(faults)
    assert row is not None
    return found | {
        "bill_number": row.bill_number, "packages": row.packages, "gross_mass": str(row.gross_mass),
        "consignee": found.get("consignee") or row.consignee, "free_until": free,
        "containers": sorted(row.stuffings.values_list("equipment_id", flat=True)), **_trip(row),
    }  # fmt: skip


def _trip(row: Consignment | None) -> dict[str, Any]:
    if row is None:
        return {}
    means = row.voyage.means
    return {
        "bill_number": row.bill_number, "voyage": row.voyage.number, "carrier": row.voyage.carrier.name,
        "means": (means.name or means.identity) if means else "",
    }  # fmt: skip


_MAKERS = {Kind.EIR: _interchange, Kind.CLP: _packing, Kind.DO: _order}


def released(paper: PortPaper) -> bool | None:
    """Whether customs lets the goods of the paper go, now; None where no goods are bound to it. A receipt for a laden
    container that names no bill is bound to what was in the container when it passed the gate."""
    return released_of([paper])[paper.pk]


def released_of(rows: Sequence[PortPaper]) -> dict[int, bool | None]:
    """:func:`released` for several papers, in a handful of queries however many there are."""
    moves = {
        row.pk: row.content["move"]
        for row in rows
        if row.consignment_id is None and row.content.get("fullness") == GateMove.Fullness.LADEN
    }
    passed = dict(GateMove.objects.filter(pk__in=moves.values()).values_list("pk", "declarations")) if moves else {}
    numbers = {number for found in passed.values() for number in found}
    bills = {row.consignment_id for row in rows if row.consignment_id is not None}
    declarations = list(
        Declaration.objects.filter(Q(case__consignment__in=bills) | Q(unified_number__in=numbers))
        .exclude(state__in=goods.GONE)
        .select_related("case")
    )
    free = release.standing(declarations)
    by_number = {row.unified_number: row for row in declarations}
    by_bill: dict[int | None, list[Declaration]] = {}
    for one in declarations:
        by_bill.setdefault(one.case.consignment_id if hasattr(one, "case") else None, []).append(one)
    found: dict[int, bool | None] = {}
    for row in rows:
        if row.consignment_id is not None:
            bound = by_bill.get(row.consignment_id, [])
            found[row.pk] = bool(bound) and all(one.pk in free for one in bound)
        elif row.pk in moves:
            named = [by_number.get(number) for number in passed.get(moves[row.pk], ())]
            found[row.pk] = bool(named) and all(one is not None and one.pk in free for one in named)
        else:
            found[row.pk] = None
    return found


def state(paper: PortPaper) -> str:
    if paper.cancelled_at is not None:
        return "cancelled"
    return "superseded" if paper.superseded_at is not None else "in-force"


def verify(code: str) -> dict[str, Any]:
    """What the public may know of a paper by its code: that it is genuine, which it is, whether it is still in force.

    Raises Problem 404."""
    paper = PortPaper.objects.filter(code=code).select_related("issuer", "consignment").first()
    if paper is None:
        raise not_found()
    return {
        "number": paper.number, "version": paper.version, "kind": paper.kind, "kind_text": paper.get_kind_display(),
        "issuer": paper.issuer.name, "issued_at": paper.issued_at, "container": paper.container,
        "state": state(paper), "released": released(paper),
    }  # fmt: skip


def verification_url(paper: PortPaper) -> str:
    return f"{settings.PUBLIC_URL}/papers/{paper.code}"


#: member -> Chinese, English; in the order they are printed.
LABELS = {
    "bill_number": ("提运单号", "Bill"), "carrier": ("承运人", "Carrier"), "means": ("运输工具", "Means of transport"),
    "voyage": ("航次", "Voyage"), "direction": ("进出", "Direction"), "fullness": ("空重", "Fullness"),
    "place": ("地点", "Place"), "at": ("时间", "Time"), "truck": ("车牌", "Truck"), "driver": ("司机", "Driver"),
    "seal": ("封志号", "Seal"), "condition": ("箱况", "Condition"), "damage": ("残损", "Damage"),
    "consignee": ("收货人", "Consignee"), "packages": ("件数", "Packages"), "gross_mass": ("毛重（千克）", "Gross mass (kg)"),
    "containers": ("集装箱", "Containers"), "free_until": ("免费堆存至", "Free time until"),
    "pickup_code": ("提货码", "Pick-up code"), "vgm": ("核实重量 VGM（千克）", "Verified gross mass (kg)"),
    "vgm_method": ("称重方法", "Method"), "stuffed_at": ("装箱地点", "Stuffed at"), "signed_by": ("签字", "Signed by"),
    "remarks": ("备注", "Remarks"),
}  # fmt: skip


#: What a code of a paper says, for people.
CODES = {
    "direction": {"GTOT": ("出闸", "out of the gate"), "GTIN": ("进闸", "into the gate")},
    "fullness": {"LADEN": ("重箱", "laden"), "EMPTY": ("空箱", "empty")},
    "condition": {"SOUND": ("完好", "sound"), "DAMAGED": ("残损", "damaged")},
    "vgm_method": {"1": ("整箱称重", "weighed as packed"), "2": ("累加计算", "summed up from its parts")},
}


def _printed(name: str, value: Any) -> str:
    """A member of a paper as it is printed."""
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    if texts := CODES.get(name, {}).get(str(value)):
        return f"{pick(*texts)} ({value})"
    if name in ("gross_mass", "vgm") and (number := _decimal(str(value))) is not None:
        return f"{number.normalize():f}"
    if name == "at":
        return _moment(datetime.fromisoformat(str(value)))
    return str(value)


def _moment(at: datetime) -> str:
    return at.astimezone(LEGAL_ZONE).strftime("%Y-%m-%d %H:%M") + pick("（北京时间）", " (Beijing time)")


def pdf(paper: PortPaper, language: str) -> bytes:
    """The paper as a PDF in ``zh`` or ``en``, with its code as QR."""
    from common.pdf import Document

    english = language.startswith("en")
    with translation.override("en" if english else "zh-hans"):
        page = Document(f"{paper.number} v{paper.version}")
        page.qr(verification_url(paper), x=page.w - 46, y=12)
        title = str(paper.get_kind_display())
        page.heading(title[:1].upper() + title[1:])
        page.set_font_size(8)
        page.cell(0, 5, f"{paper.number} · v{paper.version} · {paper.issuer.name}", new_x="LMARGIN", new_y="NEXT")
        page.cell(0, 5, verification_url(paper), new_x="LMARGIN", new_y="NEXT")
        page.set_y(44)
        page.set_font_size(10)
        standing = released(paper)
        rows = [(str(T("集装箱号", "Container")), paper.container)] if paper.container else []
        for name, (zh, en) in LABELS.items():
            if (value := paper.content.get(name)) not in (None, "", []):
                rows.append((en if english else zh, _printed(name, value)))
        for one in paper.content.get("goods", []):
            told_of = (one["packages"], f"{_printed('gross_mass', one['gross_mass'])} kg", one["description"])
            rows.append((one["bill_number"], " · ".join(str(part) for part in told_of if part)))
        if standing is not None:
            told = T("已放行", "released") if standing else T("未放行", "not released")
            rows.append((str(T("海关放行（打印时）", "Customs release (when printed)")), str(told)))
        rows.append((str(T("签发时间", "Issued")), _moment(paper.issued_at)))
        page.rows(rows)
        return page.bytes()


def _say(type_: str, paper: PortPaper, principal: Principal) -> None:
    append(
        type=type_,
        subject=("port_paper", paper.number),
        actor=principal.actor,
        audience=paper.audience,
        data={"kind": paper.kind, "version": paper.version, "container": paper.container},
    )
