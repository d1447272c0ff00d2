from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from bills import title
from bills.title import Title
from common.text import T
from parties.models import Organisation

if TYPE_CHECKING:
    from parties.principals import Principal


class BillState(models.TextChoices):
    DRAFT = title.DRAFT, T("草稿", "draft")
    ISSUED = title.ISSUED, T("流通中", "in circulation")
    SURRENDERED = title.SURRENDERED, T("已交单待接受", "surrendered")
    ACCEPTED = title.ACCEPTED, T("交单已接受", "surrender accepted")
    DELIVERED = title.DELIVERED, T("已交付", "delivered")
    AMENDING = title.AMENDING, T("交单更改中", "surrendered for amendment")
    REPLACED = title.REPLACED, T("已被分单/并单取代", "replaced")
    PAPER = title.PAPER, T("已转纸质", "on paper")
    LEAVING = title.LEAVING, T("转出中", "leaving for another platform")
    AWAY = title.AWAY, T("在其他平台", "on another platform")
    RECALLED = title.RECALLED, T("已在其他平台更改", "amended on another platform")
    VOID = title.VOID, T("作废", "void")


class Platform(models.Model):
    """An eBL platform we exchange envelopes with (DCSA PINT), ourselves not included."""

    code = models.CharField(T("平台代码", "platform code"), max_length=4, primary_key=True)
    name = models.CharField(T("名称", "name"), max_length=100)
    #: Where its PINT API stands; ``/v3/envelopes`` and the rest follow it.
    base_url = models.URLField(T("PINT 地址", "PINT base URL"))
    token_url = models.URLField(T("令牌地址", "token URL"), blank=True)
    client_id = models.CharField(T("客户端标识", "client id"), max_length=100, blank=True)
    #: Sealed with the key secret, like private keys.
    client_secret = models.BinaryField(null=True)
    #: The organisation whose API clients speak for this platform here.
    organisation = models.OneToOneField(
        Organisation, models.PROTECT, related_name="ebl_platform", null=True, verbose_name=T("单位", "organisation")
    )
    active = models.BooleanField(T("启用", "active"), default=True)

    class Meta:
        verbose_name = T("电子提单平台", "eBL platform")
        verbose_name_plural = T("电子提单平台", "eBL platforms")

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class SigningKey(models.Model):
    """A public key that signs for one organisation here, for another platform or one of its carriers, or for ourselves.

    ``owner`` is what a signature must match: a party key (:func:`bills.title.party_key`), or a platform code. Where the
    register keeps the private half for its owner, it is sealed (:mod:`bills.keys`)."""

    kid = models.CharField(T("指纹", "thumbprint"), max_length=64, unique=True)
    jwk: models.JSONField[Any, Any] = models.JSONField(T("公钥", "public key"))
    owner = models.CharField(T("所属", "owner"), max_length=340, db_index=True)
    platform = models.CharField(T("平台", "platform"), max_length=4)
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, null=True, related_name="signing_keys", verbose_name=T("单位", "organisation")
    )
    private = models.BinaryField(null=True)
    valid_from = models.DateTimeField(T("启用时间", "valid from"), default=timezone.now)
    revoked_at = models.DateTimeField(T("停用时间", "revoked at"), null=True, blank=True)
    reason = models.CharField(T("停用原因", "reason"), max_length=200, blank=True)

    class Meta:
        verbose_name = T("签名密钥", "signing key")
        verbose_name_plural = T("签名密钥", "signing keys")
        triggers = [
            pgtrigger.Protect(name="keys_are_kept", operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="keys_do_not_change",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "OLD.kid <> NEW.kid OR OLD.jwk <> NEW.jwk OR OLD.owner <> NEW.owner OR OLD.valid_from <> NEW.valid_from"
                    " OR (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at)"
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.owner} {self.kid[:12]}"


class BillQuerySet(models.QuerySet["Bill"]):
    def visible_to(self, principal: Principal) -> Self:
        """Authorities see all; an organisation the bills it issued, holds or held, has in pledge, or is named in."""
        if principal.is_authority:
            return self
        return self.filter(
            Q(pk__in=Involvement.objects.filter(organisation_id=principal.organisation_id or 0).values("bill_id"))
        )


class Bill(models.Model):
    """A multimodal bill: where its title stands now. Its content is in its versions, its past in its acts.

    The columns of title are what :class:`bills.title.Title` holds: one ``holder_key``, so there are never two holders;
    a constraint sees that a bill in circulation has one."""

    number = models.CharField(T("提单号", "number"), max_length=20, unique=True)
    kind = models.CharField(T("种类", "kind"), max_length=10)
    negotiability = models.CharField(T("可转让性", "negotiability"), max_length=8)
    state = models.CharField(T("状态", "state"), max_length=12, choices=BillState.choices, default=BillState.DRAFT)
    version = models.PositiveIntegerField(T("版本", "version"), default=0)
    checksum = models.CharField(T("单证摘要", "document checksum"), max_length=64, blank=True)
    acts = models.PositiveIntegerField(T("行为数", "acts"), default=0)
    head = models.CharField(T("末一行为摘要", "last act's checksum"), max_length=64, blank=True)
    #: When the last act was done, by its own time: none is recorded as earlier.
    head_at = models.DateTimeField(T("末一行为时间", "last act at"), null=True)

    issuer = models.ForeignKey(
        Organisation, models.PROTECT, related_name="bills_issued", null=True, verbose_name=T("签发人", "issuer")
    )
    holder = models.ForeignKey(
        Organisation, models.PROTECT, related_name="bills_held", null=True, verbose_name=T("持有人", "holder")
    )
    pledgee = models.ForeignKey(
        Organisation, models.PROTECT, related_name="bills_in_pledge", null=True, verbose_name=T("质权人", "pledgee")
    )
    issuer_key = models.CharField(max_length=340, blank=True)
    holder_key = models.CharField(max_length=340, blank=True)
    consignee_key = models.CharField(max_length=340, blank=True)
    endorsee_key = models.CharField(max_length=340, blank=True)
    may_endorse = models.BooleanField(default=True)
    pledgee_key = models.CharField(max_length=340, blank=True)
    #: Name of a holder on another platform.
    holder_name = models.CharField(T("持有人名称", "holder's name"), max_length=70, blank=True)

    #: What a draft says; versions hold it once issued.
    draft: models.JSONField[Any, Any] = models.JSONField(null=True)
    #: PINT chain entries (JWS) that are fixed: those it came with and those it left with.
    entries: models.JSONField[Any, Any] = models.JSONField(default=list)
    created_at = models.DateTimeField(T("建立时间", "created at"), default=timezone.now)
    updated_at = models.DateTimeField(T("更新时间", "updated at"), default=timezone.now)
    issued_at = models.DateTimeField(T("签发时间", "issued at"), null=True)

    objects = BillQuerySet.as_manager()

    class Meta:
        verbose_name = T("多式联运提单", "multimodal bill")
        verbose_name_plural = T("多式联运提单", "multimodal bills")
        indexes = [models.Index(fields=["updated_at", "id"], name="bill_updated")]
        constraints = [
            models.CheckConstraint(
                name="bill_has_one_holder",
                condition=Q(state__in=[title.DRAFT, title.VOID, title.PAPER]) | ~Q(holder_key=""),
            ),
            models.CheckConstraint(
                name="bill_pledge_has_pledgee", condition=Q(pledgee_key="") | Q(state=title.ISSUED, pledgee__isnull=False)
            ),
            models.CheckConstraint(name="bill_pledgee_is_not_holder", condition=Q(pledgee_key="") | ~Q(pledgee_key=F("holder_key"))),
            models.CheckConstraint(
                name="bill_in_force_has_version",
                condition=Q(state__in=[title.DRAFT, title.VOID]) | Q(version__gt=0, acts__gt=0),
            ),
        ]  # fmt: skip
        triggers = [
            pgtrigger.FSM(name="bill_state", field="state", transitions=title.edges()),
            pgtrigger.Protect(
                name="bills_are_kept", operation=pgtrigger.Delete, condition=pgtrigger.Condition("OLD.state <> 'draft'")
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def title(self) -> Title:
        return Title(
            self.state,
            self.negotiability,
            self.issuer_key,
            self.holder_key,
            self.consignee_key,
            self.endorsee_key,
            self.may_endorse,
            self.pledgee_key,
        )

    @property
    def ended(self) -> bool:
        return self.state in title.ENDED


class Version(models.Model):
    """One version of a bill as it was signed: never changed. ``document`` is its canonical form, letter by letter."""

    bill = models.ForeignKey(
        Bill, models.PROTECT, related_name="versions", verbose_name=T("提单", "bill"), db_index=False
    )
    number = models.PositiveIntegerField(T("版本", "version"))
    checksum = models.CharField(T("摘要", "checksum"), max_length=64, db_index=True)
    content: models.JSONField[Any, Any] = models.JSONField(T("内容", "content"))
    document = models.TextField()
    created_at = models.DateTimeField(T("建立时间", "created at"), default=timezone.now)

    class Meta:
        verbose_name = T("提单版本", "version of a bill")
        verbose_name_plural = T("提单版本", "versions of bills")
        constraints = [models.UniqueConstraint(fields=["bill", "number"], name="bill_version_once")]
        triggers = [pgtrigger.Protect(name="versions_stand", operation=pgtrigger.Update | pgtrigger.Delete)]


class ActQuerySet(models.QuerySet["Act"]):
    def visible_to(self, principal: Principal) -> Self:
        """All acts of a bill for its issuer, holder and pledgee, and for authorities; for others those they took part in."""
        if principal.is_authority:
            return self
        own = principal.organisation_id or 0
        return self.filter(
            Q(bill__issuer_id=own)
            | Q(bill__holder_id=own)
            | Q(bill__pledgee_id=own)
            | Q(actor_id=own)
            | Q(recipient_id=own)
        )


class Act(models.Model):
    """One signed act on a bill, in order. ``token`` is the JWS."""

    bill = models.ForeignKey(
        Bill, models.PROTECT, related_name="act_set", verbose_name=T("提单", "bill"), db_index=False
    )
    sequence = models.PositiveIntegerField(T("序号", "sequence"))
    version = models.PositiveIntegerField(T("版本", "version"))
    code = models.CharField(T("行为", "act"), max_length=30)
    actor = models.ForeignKey(
        Organisation, models.PROTECT, null=True, related_name="+", verbose_name=T("行为人", "actor")
    )
    recipient = models.ForeignKey(
        Organisation, models.PROTECT, null=True, related_name="+", verbose_name=T("相对方", "recipient")
    )
    acted_at = models.DateTimeField(T("行为时间", "acted at"))
    recorded_at = models.DateTimeField(T("登记时间", "recorded at"), default=timezone.now)
    checksum = models.CharField(T("摘要", "checksum"), max_length=64, unique=True)
    token = models.TextField()

    objects = ActQuerySet.as_manager()

    class Meta:
        verbose_name = T("提单行为", "act on a bill")
        verbose_name_plural = T("提单行为", "acts on bills")
        constraints = [models.UniqueConstraint(fields=["bill", "sequence"], name="act_once_in_chain")]
        triggers = [pgtrigger.Protect(name="acts_stand", operation=pgtrigger.Update | pgtrigger.Delete)]


class Involvement(models.Model):
    """An organisation has to do with a bill: that is why it may see it."""

    class Role(models.TextChoices):
        CONSIGNOR = "consignor", T("托运人", "consignor")
        CONSIGNEE = "consignee", T("收货人", "consignee")
        NOTIFY = "notify", T("通知方", "notify party")
        OPERATOR = "operator", T("多式联运经营人", "operator")
        AGENT = "delivery_agent", T("提货代理", "agent for delivery")
        CARRIER = "carrier", T("区段承运人", "carrier of a leg")
        HOLDER = "holder", T("持有人（含曾持有）", "holder, now or before")
        PLEDGEE = "pledgee", T("质权人（含曾为）", "pledgee, now or before")

    bill = models.ForeignKey(
        Bill, models.CASCADE, related_name="involved", verbose_name=T("提单", "bill"), db_index=False
    )
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, verbose_name=T("单位", "organisation"), db_index=False
    )
    role = models.CharField(T("身份", "role"), max_length=15, choices=Role.choices)

    class Meta:
        verbose_name = T("提单关系人", "party to a bill")
        verbose_name_plural = T("提单关系人", "parties to bills")
        constraints = [models.UniqueConstraint(fields=["organisation", "bill", "role"], name="bill_involvement_once")]
        indexes = [models.Index(fields=["bill"], name="bill_involvement_of")]


class Succession(models.Model):
    """``new`` came out of ``old`` by splitting or combining."""

    old = models.ForeignKey(Bill, models.PROTECT, related_name="replaced_by", db_index=False)
    new = models.ForeignKey(Bill, models.PROTECT, related_name="replaces")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["old", "new"], name="bill_succession_once")]


class Mode(models.TextChoices):
    SEA = "sea", T("海运", "sea")
    RAIL = "rail", T("铁路", "rail")
    ROAD = "road", T("公路", "road")
    INLAND_WATER = "inland_water", T("内河", "inland water")
    AIR = "air", T("航空", "air")


class Leg(models.Model):
    """A leg of the journey as it is lived: planned by the version in force, actual by what carriers report."""

    bill = models.ForeignKey(Bill, models.CASCADE, related_name="legs", verbose_name=T("提单", "bill"), db_index=False)
    sequence = models.PositiveSmallIntegerField(T("区段", "leg"))
    mode = models.CharField(T("运输方式", "mode"), max_length=12, choices=Mode.choices)
    origin = models.CharField(T("起点", "from"), max_length=5, blank=True)
    destination = models.CharField(T("终点", "to"), max_length=5, blank=True)
    carrier = models.ForeignKey(Organisation, models.PROTECT, null=True, verbose_name=T("承运人", "carrier"))
    carrier_name = models.CharField(T("承运人名称", "carrier's name"), max_length=70, blank=True)
    means = models.CharField(T("运输工具", "means"), max_length=50, blank=True)
    voyage = models.CharField(T("航次/车次", "voyage"), max_length=50, blank=True)
    planned_departure = models.DateTimeField(T("计划出发", "planned departure"), null=True)
    planned_arrival = models.DateTimeField(T("计划到达", "planned arrival"), null=True)
    actual_departure = models.DateTimeField(T("实际出发", "actual departure"), null=True)
    actual_arrival = models.DateTimeField(T("实际到达", "actual arrival"), null=True)

    class Meta:
        verbose_name = T("运输区段", "leg")
        verbose_name_plural = T("运输区段", "legs")
        ordering = ["sequence"]
        constraints = [models.UniqueConstraint(fields=["bill", "sequence"], name="bill_leg_once")]


class Container(models.Model):
    """A container that stands in the version in force; its number finds the bill."""

    bill = models.ForeignKey(
        Bill, models.CASCADE, related_name="containers", verbose_name=T("提单", "bill"), db_index=False
    )
    number = models.CharField(T("箱号", "container number"), max_length=11, db_index=True)
    size_type = models.CharField(T("箱型", "size and type"), max_length=4, blank=True)
    seals: ArrayField = ArrayField(models.CharField(max_length=15), default=list, verbose_name=T("封志", "seals"))

    class Meta:
        verbose_name = T("集装箱", "container")
        verbose_name_plural = T("集装箱", "containers")
        constraints = [models.UniqueConstraint(fields=["bill", "number"], name="bill_container_once")]


class LegEvent(models.Model):
    """What a carrier reported of a leg. Reports come late and out of order: ``occurred_at`` says what is later."""

    class Kind(models.TextChoices):
        LOADED = "loaded", T("装载", "loaded")
        DEPARTED = "departed", T("出发", "departed")
        ARRIVED = "arrived", T("到达", "arrived")
        TRANSFERRED = "transferred", T("换装", "transferred")
        INSPECTED = "inspected", T("查验", "inspected")
        DELAYED = "delayed", T("延误", "delayed")
        DAMAGED = "damaged", T("货损", "damaged")
        DELIVERED = "delivered", T("交付", "delivered")

    bill = models.ForeignKey(
        Bill, models.CASCADE, related_name="leg_events", verbose_name=T("提单", "bill"), db_index=False
    )
    leg = models.PositiveSmallIntegerField(T("区段", "leg"), null=True)
    kind = models.CharField(T("类型", "kind"), max_length=12, choices=Kind.choices)
    occurred_at = models.DateTimeField(T("发生时间", "occurred at"))
    recorded_at = models.DateTimeField(T("登记时间", "recorded at"), default=timezone.now)
    place = models.CharField(T("地点", "place"), max_length=5, blank=True)
    container = models.CharField(T("箱号", "container"), max_length=11, blank=True)
    remark = models.CharField(T("说明", "remark"), max_length=500, blank=True)
    reporter = models.ForeignKey(Organisation, models.PROTECT, verbose_name=T("报送单位", "reported by"))

    class Meta:
        verbose_name = T("区段事件", "event of a leg")
        verbose_name_plural = T("区段事件", "events of legs")
        ordering = ["occurred_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["bill", "leg", "kind", "occurred_at", "container"], name="leg_event_once", nulls_distinct=False
            )
        ]


class Paper(models.Model):
    """A declaration, manifest or port paper that stands under the bill, by its number."""

    class Kind(models.TextChoices):
        IMPORT = "import_declaration", T("进口报关单", "import declaration")
        EXPORT = "export_declaration", T("出口报关单", "export declaration")
        TRANSIT = "transit_declaration", T("过境/转关单", "transit declaration")
        MANIFEST = "manifest", T("舱单", "manifest")
        PORT = "port_paper", T("港口单证", "port paper")

    bill = models.ForeignKey(
        Bill, models.CASCADE, related_name="papers", verbose_name=T("提单", "bill"), db_index=False
    )
    kind = models.CharField(T("种类", "kind"), max_length=20, choices=Kind.choices)
    number = models.CharField(T("编号", "number"), max_length=40, db_index=True)
    released_at = models.DateTimeField(T("放行时间", "released at"), null=True, blank=True)
    created_at = models.DateTimeField(T("关联时间", "linked at"), default=timezone.now)

    class Meta:
        verbose_name = T("名下单证", "paper under a bill")
        verbose_name_plural = T("名下单证", "papers under bills")
        constraints = [models.UniqueConstraint(fields=["bill", "kind", "number"], name="bill_paper_once")]


class DeliveryOrder(models.Model):
    """The order to hand the goods to the last holder: bound to the accepted surrender and to release by customs."""

    bill = models.OneToOneField(Bill, models.PROTECT, related_name="delivery_order", verbose_name=T("提单", "bill"))
    number = models.CharField(T("提货单号", "number"), max_length=24, unique=True)
    to = models.ForeignKey(Organisation, models.PROTECT, null=True, verbose_name=T("提货人", "to"))
    surrender = models.CharField(T("交单行为摘要", "checksum of the surrender"), max_length=64)
    issued_at = models.DateTimeField(T("签发时间", "issued at"), default=timezone.now)
    used_at = models.DateTimeField(T("提货时间", "used at"), null=True, blank=True)

    class Meta:
        verbose_name = T("提货单", "delivery order")
        verbose_name_plural = T("提货单", "delivery orders")


class SupportingDocument(models.Model):
    """A document that travels with a bill in PINT envelopes."""

    bill = models.ForeignKey(
        Bill, models.CASCADE, null=True, related_name="documents", verbose_name=T("提单", "bill"), db_index=False
    )
    arrival = models.ForeignKey("Arrival", models.CASCADE, null=True, related_name="documents")
    checksum = models.CharField(T("摘要", "checksum"), max_length=64, db_index=True)
    name = models.CharField(T("名称", "name"), max_length=200)
    media_type = models.CharField(T("类型", "media type"), max_length=100)
    size = models.PositiveIntegerField(T("字节数", "bytes"))
    content = models.BinaryField()

    class Meta:
        verbose_name = T("随附文件", "supporting document")
        verbose_name_plural = T("随附文件", "supporting documents")
        constraints = [
            models.UniqueConstraint(fields=["bill", "arrival", "checksum"], name="bill_document_once", nulls_distinct=False)
        ]  # fmt: skip


class Departure(models.Model):
    """An envelope on its way to another platform; sent again until a signed answer comes."""

    class State(models.TextChoices):
        WAITING = "waiting", T("待发送", "waiting")
        ACCEPTED = "accepted", T("已接收", "accepted")
        REFUSED = "refused", T("被拒收", "refused")
        DISPUTED = "disputed", T("有争议", "disputed")

    class Purpose(models.TextChoices):
        TRANSFER = "transfer", T("转让", "transfer")
        SURRENDER = "surrender", T("交单", "surrender")
        RETURN = "return", T("退回交单", "surrender rejected")
        REISSUE = "reissue", T("更改后重新签发", "reissued after amendment")
        NOTICE = "notice", T("通知（不移交提单）", "notice, the bill does not move")

    bill = models.ForeignKey(Bill, models.PROTECT, related_name="departures", verbose_name=T("提单", "bill"))
    platform = models.ForeignKey(Platform, models.PROTECT, verbose_name=T("平台", "platform"))
    state = models.CharField(T("状态", "state"), max_length=10, choices=State.choices, default=State.WAITING)
    purpose = models.CharField(T("事由", "purpose"), max_length=10, choices=Purpose.choices, default=Purpose.TRANSFER)
    body = models.TextField()
    last = models.CharField(T("末一条目摘要", "last entry's checksum"), max_length=64, unique=True)
    reference = models.CharField(T("对方编号", "their reference"), max_length=100, blank=True)
    attempts = models.PositiveIntegerField(T("已发送次数", "attempts"), default=0)
    next_attempt_at = models.DateTimeField(T("下次发送", "next attempt"), default=timezone.now)
    last_error = models.CharField(T("最近错误", "last error"), max_length=500, blank=True)
    answer = models.TextField(blank=True)
    answer_code = models.CharField(T("应答", "answer"), max_length=4, blank=True)
    created_at = models.DateTimeField(T("建立时间", "created at"), default=timezone.now)

    class Meta:
        verbose_name = T("转出信封", "outgoing envelope")
        verbose_name_plural = T("转出信封", "outgoing envelopes")
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(state="waiting"), name="departure_due"),
        ]


class Arrival(models.Model):
    """An envelope from another platform."""

    class State(models.TextChoices):
        ACTIVE = "active", T("传输中", "active")
        ACCEPTED = "accepted", T("已接收", "accepted")

    reference = models.CharField(T("编号", "reference"), max_length=40, unique=True)
    platform = models.CharField(T("平台", "platform"), max_length=4)
    bill_number = models.CharField(T("提单号", "bill"), max_length=20, db_index=True)
    document_checksum = models.CharField(max_length=64, db_index=True)
    last = models.CharField(T("末一条目摘要", "last entry's checksum"), max_length=64, unique=True)
    state = models.CharField(T("状态", "state"), max_length=10, choices=State.choices, default=State.ACTIVE)
    #: The PINT action it tells of, and to whom of ours.
    action = models.CharField(T("行为", "act"), max_length=50, blank=True)
    recipient = models.ForeignKey(
        Organisation, models.PROTECT, null=True, related_name="+", verbose_name=T("收件单位", "addressed to")
    )
    body = models.TextField()
    answer = models.TextField(blank=True)
    created_at = models.DateTimeField(T("建立时间", "created at"), default=timezone.now)

    class Meta:
        verbose_name = T("转入信封", "incoming envelope")
        verbose_name_plural = T("转入信封", "incoming envelopes")
