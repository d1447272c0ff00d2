from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import pgtrigger
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import Q
from django.db.models.functions import Upper
from django.utils import timezone

from common.lifecycle import Lifecycle, Transition
from common.text import T
from common.validity import Validity, ValidityQuerySet, no_overlap, written
from parties.models import Organisation, OrganisationRole

if TYPE_CHECKING:
    from parties.principals import Principal


class BodyClass(models.TextChoices):
    """Who charges (收费主体类别)."""

    TERMINAL = "terminal", T("港口经营企业", "terminal")
    CARRIER = "carrier", T("承运人或船代、货代", "carrier or agent")
    BROKER = "broker", T("报关企业", "customs broker")
    TALLY = "tally", T("理货企业", "tally company")
    YARD = "yard", T("堆场、场站", "yard or depot")
    HAULIER = "haulier", T("集卡运输企业", "haulier")
    RAILWAY = "railway", T("铁路", "railway")
    AIRPORT = "airport", T("机场货站", "airport station")
    GOVERNMENT = "government", T("政府部门及事业单位", "government")


class Unit(models.TextChoices):
    """What one rate pays for (计费单位)."""

    CONTAINER = "container", T("箱", "container")
    BILL = "bill", T("票（提单）", "bill of lading")
    DECLARATION = "declaration", T("票（报关单）", "declaration")
    TONNE = "tonne", T("吨", "tonne")
    CUBIC_METRE = "cubic_metre", T("立方米", "cubic metre")
    CONTAINER_DAY = "container_day", T("箱·天", "container and day")


class Condition(models.TextChoices):
    """Which containers a line is for."""

    ANY = "", T("不限", "any")
    ORDINARY = "ordinary", T("普通", "ordinary")
    REEFER = "reefer", T("冷藏", "reefer")
    DANGEROUS = "dangerous", T("危险品", "dangerous")


class Direction(models.TextChoices):
    ANY = "", T("进出口", "both")
    IMPORT = "import", T("进口", "import")
    EXPORT = "export", T("出口", "export")


class DayCount(models.TextChoices):
    """How free days are counted."""

    CALENDAR = "calendar", T("自然日", "calendar days")
    WORKING = "working", T("工作日", "working days")


class Pricing(models.TextChoices):
    """Pricing type (定价方式): government-set, government-guided with a ceiling, market."""

    GOVERNMENT = "government", T("政府定价", "government-set")
    GUIDED = "guided", T("政府指导价", "government-guided")
    MARKET = "market", T("市场调节价", "market")


class Payer(models.TextChoices):
    CONSIGNEE = "consignee", T("收货人", "consignee")
    CONSIGNOR = "consignor", T("发货人", "consignor")
    CARRIER = "carrier", T("承运人", "carrier")
    AGREED = "agreed", T("按合同约定", "as agreed")


class ListState(models.TextChoices):
    #: Being written by the body; nobody else sees it.
    DRAFT = "draft", T("草稿", "draft")
    #: Its rules hold; waiting for publication.
    CHECKED = "checked", T("已校核", "checked")
    #: Public and binding for its period. Never edited.
    PUBLISHED = "published", T("已公布", "published")
    #: A later version took its place; still binding for the days before.
    SUPERSEDED = "superseded", T("已被替代", "superseded")
    #: Given up before anyone saw it. It keeps its number.
    DISCARDED = "discarded", T("已废弃", "discarded")


S = ListState
LIFECYCLE = Lifecycle(
    [
        Transition("check", (S.DRAFT,), S.CHECKED, T("校核", "Check"), "fee_list.checked"),
        Transition("reopen", (S.CHECKED,), S.DRAFT, T("退回草稿", "Reopen"), "fee_list.reopened"),
        Transition("discard", (S.DRAFT, S.CHECKED), S.DISCARDED, T("废弃", "Discard"), "fee_list.discarded"),
        Transition("publish", (S.CHECKED,), S.PUBLISHED, T("公布", "Publish"), "fee_list.published"),
        Transition("supersede", (S.PUBLISHED,), S.SUPERSEDED, T("替代", "Supersede"), "fee_list.superseded"),
    ]
)


class FeeListQuerySet(ValidityQuerySet):
    def public(self) -> Self:
        """What everyone may read: published versions, the superseded ones for their days."""
        return self.filter(state__in=(S.PUBLISHED, S.SUPERSEDED))

    def visible_to(self, principal: Principal) -> Self:
        """Published lists, and one's own drafts."""
        if principal.is_superuser:
            return self
        return self.filter(Q(state__in=(S.PUBLISHED, S.SUPERSEDED)) | Q(body_id=principal.organisation_id))


class FeeList(Validity):
    """One charging body's fee catalogue for a port area (收费目录清单), one version of it.

    Binding by art. 51 of the Chongqing regulation on the business environment: nothing outside it may be charged."""

    number = models.CharField(T("清单编号", "list number"), max_length=40, unique=True)
    body = models.ForeignKey(
        Organisation,
        models.PROTECT,
        related_name="fee_lists",
        verbose_name=T("收费主体", "charging body"),
        db_index=False,
    )
    body_class = models.CharField(T("主体类别", "class"), max_length=20, choices=BodyClass.choices)
    #: UN/LOCODE of the port, airport, station or inland port.
    port = models.CharField(T("口岸", "port"), max_length=5)
    #: A terminal or yard within the port; empty for the whole port.
    area = models.CharField(T("港区", "port area"), max_length=80, blank=True)
    version = models.PositiveIntegerField(T("版本", "version"))
    state = models.CharField(T("状态", "state"), max_length=12, choices=ListState.choices, default=S.DRAFT)
    title = models.CharField(T("名称", "title"), max_length=200)
    complaint_telephone = models.CharField(T("投诉电话", "complaint telephone"), max_length=60)
    #: Made-up amounts for demonstration; told everywhere the list is shown.
    is_example = models.BooleanField(T("示例", "example"), default=False)
    created_at = models.DateTimeField(T("建立时间", "created at"), default=timezone.now)
    published_at = models.DateTimeField(T("公布时间", "published at"), null=True, blank=True)

    objects = FeeListQuerySet.as_manager()

    class Meta:
        verbose_name = T("收费目录清单", "fee list")
        verbose_name_plural = T("收费目录清单", "fee lists")
        constraints = [
            models.UniqueConstraint(fields=["body", "port", "area", "version"], name="fee_list_version_once"),
            ExclusionConstraint(
                name="fee_list_one_binding_at_a_time",
                expressions=[
                    ("body", RangeOperators.EQUAL),
                    ("port", RangeOperators.EQUAL),
                    ("area", RangeOperators.EQUAL),
                    ("valid", RangeOperators.OVERLAPS),
                ],
                condition=Q(state__in=(S.PUBLISHED, S.SUPERSEDED)),
            ),
        ]
        indexes = [models.Index(fields=["port", "state"], name="fee_list_of_port")]
        triggers = [
            LIFECYCLE.trigger("fee_list_life_cycle"),
            pgtrigger.Protect(
                name="fee_list_public_is_fixed",
                operation=pgtrigger.UpdateOf(
                    "number",
                    "body_id",
                    "body_class",
                    "port",
                    "area",
                    "version",
                    "title",
                    "complaint_telephone",
                    "is_example",
                ),
                condition=pgtrigger.Condition("OLD.state IN ('published', 'superseded')"),
            ),
            pgtrigger.Protect(
                name="fee_list_public_stays",
                operation=pgtrigger.Delete,
                condition=pgtrigger.Condition("OLD.state IN ('published', 'superseded')"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} v{self.version}"

    @property
    def period(self) -> str:
        """Its days as people write them: first and last."""
        return written(self.valid)


class FeeItem(models.Model):
    """One line of a list. Rates are per unit, in ``currency``."""

    fee_list = models.ForeignKey(
        FeeList, models.CASCADE, related_name="items", verbose_name=T("清单", "list"), db_index=False
    )
    line = models.PositiveIntegerField(T("序号", "line"))
    #: Lines of one code are the same service at different sizes or conditions; the most specific one applies.
    code = models.CharField(T("项目代码", "item code"), max_length=40)
    name_zh = models.CharField(T("项目名称", "item (Chinese)"), max_length=120)
    name_en = models.CharField(T("英文名称", "item (English)"), max_length=120, blank=True)
    service_content = models.CharField(T("服务内容", "service content"), max_length=500)
    payer = models.CharField(T("付费方", "payer"), max_length=12, choices=Payer.choices)
    unit = models.CharField(T("计费单位", "unit"), max_length=20, choices=Unit.choices)
    container_size = models.CharField(T("箱型尺寸", "container size"), max_length=2, blank=True)
    condition = models.CharField(T("适用条件", "condition"), max_length=12, choices=Condition.choices, blank=True)
    direction = models.CharField(T("进出口", "direction"), max_length=8, choices=Direction.choices, blank=True)
    trade_lane = models.CharField(T("航线/线路", "trade lane"), max_length=40, blank=True)
    rate = models.DecimalField(T("费率", "rate"), max_digits=14, decimal_places=4)
    currency = models.CharField(T("币种", "currency"), max_length=3, default="CNY")
    tax_included = models.BooleanField(T("含税", "tax included"), default=True)
    #: Percent; asked for where the rate is without tax.
    tax_rate = models.DecimalField(T("税率%", "tax rate, %"), max_digits=5, decimal_places=2, null=True, blank=True)
    #: Days without charge, for ``container_day``.
    free_days = models.PositiveSmallIntegerField(T("免费天数", "free days"), null=True, blank=True)
    free_days_counted = models.CharField(
        T("免费天数计法", "free days counted in"), max_length=8, choices=DayCount.choices, default=DayCount.CALENDAR
    )
    #: ``[{"from_day": 1, "rate": "50"}, {"from_day": 6, "rate": "100"}]``: days after the free ones.
    tiers: models.JSONField[Any, Any] = models.JSONField(T("阶梯费率", "tiers"), default=list, blank=True)
    pricing = models.CharField(T("定价方式", "pricing type"), max_length=12, choices=Pricing.choices)
    legal_basis = models.CharField(T("收费依据", "legal basis"), max_length=300, blank=True)
    mandatory = models.BooleanField(T("必收", "mandatory"))

    class Meta:
        verbose_name = T("收费项目", "fee item")
        verbose_name_plural = T("收费项目", "fee items")
        ordering = ["fee_list", "line"]
        constraints = [
            models.UniqueConstraint(fields=["fee_list", "line"], name="fee_item_line_once"),
            models.UniqueConstraint(
                fields=["fee_list", "code", "container_size", "condition", "direction", "trade_lane"],
                name="fee_item_case_once",
            ),
            models.CheckConstraint(condition=Q(rate__gte=0), name="fee_item_rate_not_negative"),
        ]
        indexes = [
            GinIndex(OpClass(Upper("name_zh"), name="gin_trgm_ops"), name="fee_item_name_zh"),
            GinIndex(OpClass(Upper("name_en"), name="gin_trgm_ops"), name="fee_item_name_en"),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="fee_item_of_public_list_is_fixed",
                operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
                when=pgtrigger.Before,
                declare=[("list_id", "bigint")],
                func="""
                    list_id := CASE WHEN TG_OP = 'INSERT' THEN NEW.fee_list_id ELSE OLD.fee_list_id END;
                    IF EXISTS (SELECT 1 FROM portfees_feelist l WHERE l.id = list_id
                               AND l.state IN ('published', 'superseded')) THEN
                        RAISE EXCEPTION 'a published fee list is never edited';
                    END IF;
                    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
                """,
            )
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.name_zh}"


class Ceiling(Validity):
    """The most a government-guided item may cost, set by whoever the law names; entered with its basis, never without."""

    code = models.CharField(T("项目代码", "item code"), max_length=40)
    unit = models.CharField(T("计费单位", "unit"), max_length=20, choices=Unit.choices)
    container_size = models.CharField(T("箱型尺寸", "container size"), max_length=2, blank=True)
    #: Empty: everywhere.
    port = models.CharField(T("口岸", "port"), max_length=5, blank=True)
    amount = models.DecimalField(T("上限", "ceiling"), max_digits=14, decimal_places=4)
    currency = models.CharField(T("币种", "currency"), max_length=3, default="CNY")
    basis = models.CharField(T("依据", "basis"), max_length=300)

    objects = ValidityQuerySet.as_manager()

    class Meta:
        verbose_name = T("政府指导价上限", "ceiling")
        verbose_name_plural = T("政府指导价上限", "ceilings")
        constraints = [
            no_overlap("ceiling_once_at_a_time", "code", "unit", "container_size", "port"),
            models.CheckConstraint(condition=~Q(basis=""), name="ceiling_with_basis"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="ceiling_not_negative"),
        ]


class Parameter(Validity):
    """A dated number this app goes by, with what it rests on: ``notice_days``, ``target_usd_per_container``."""

    name = models.CharField(T("参数", "parameter"), max_length=60)
    value = models.DecimalField(T("值", "value"), max_digits=14, decimal_places=4)
    basis = models.CharField(T("依据", "basis"), max_length=300)

    objects = ValidityQuerySet.as_manager()

    class Meta:
        verbose_name = T("收费参数", "port-fee parameter")
        verbose_name_plural = T("收费参数", "port-fee parameters")
        constraints = [no_overlap("fee_parameter_once_at_a_time", "name")]


def sees_all(principal: Principal) -> bool:
    """Every invoice and complaint: officers of authorities, and the port authority's own systems."""
    return principal.is_authority or OrganisationRole.PORT_AUTHORITY in principal.roles


class InvoiceQuerySet(models.QuerySet["Invoice"]):
    def visible_to(self, principal: Principal) -> Self:
        """The body that charged, the firm that was charged, and the port authority."""
        if sees_all(principal):
            return self
        own = principal.organisation_id
        return self.filter(Q(body_id=own) | Q(payer_id=own))


class Invoice(models.Model):
    """What a charging body asked a firm to pay, reported by the body and checked line by line against its list."""

    body = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name=T("收费主体", "body"), db_index=False
    )
    number = models.CharField(T("账单号", "invoice number"), max_length=60)
    payer = models.ForeignKey(Organisation, models.PROTECT, related_name="+", verbose_name=T("付费方", "payer"))
    port = models.CharField(T("口岸", "port"), max_length=5)
    area = models.CharField(T("港区", "port area"), max_length=80, blank=True)
    issued_on = models.DateField(T("开具日", "issued on"))
    #: Declaration, bill or container the charge is for, as text.
    reference = models.CharField(T("关联单号", "reference"), max_length=60, blank=True)
    created_at = models.DateTimeField(T("报送时间", "reported at"), default=timezone.now)
    #: The invoice this one was made out instead of.
    replaces = models.OneToOneField(
        "self", models.PROTECT, null=True, related_name="replaced_by", verbose_name=T("更正的账单", "corrects")
    )
    cancelled_at = models.DateTimeField(T("作废时间", "cancelled at"), null=True, blank=True)
    cancel_reason = models.CharField(T("作废原因", "why cancelled"), max_length=200, blank=True)

    objects = InvoiceQuerySet.as_manager()

    class Meta:
        verbose_name = T("收费账单", "invoice")
        verbose_name_plural = T("收费账单", "invoices")
        constraints = [models.UniqueConstraint(fields=["body", "number"], name="invoice_once")]

    def __str__(self) -> str:
        return self.number


class Finding(models.TextChoices):
    """What the check of a line found."""

    AS_LISTED = "as_listed", T("与清单一致", "as listed")
    BELOW = "below", T("低于清单", "below the list")
    ABOVE = "above", T("高于清单", "above the list")
    NOT_LISTED = "not_listed", T("清单外收费", "not in the list")
    NO_LIST = "no_list", T("服务日无有效清单", "no list in force on the service day")


class InvoiceLine(models.Model):
    invoice = models.ForeignKey(Invoice, models.CASCADE, related_name="lines", db_index=False)
    line = models.PositiveIntegerField(T("行", "line"))
    code = models.CharField(T("项目代码", "item code"), max_length=40)
    service_day = models.DateField(T("服务日", "service day"))
    container_size = models.CharField(max_length=2, blank=True)
    condition = models.CharField(max_length=12, blank=True)
    direction = models.CharField(max_length=8, blank=True)
    trade_lane = models.CharField(max_length=40, blank=True)
    quantity = models.DecimalField(T("数量", "quantity"), max_digits=14, decimal_places=4)
    #: Days, for an item charged by the day.
    days = models.PositiveSmallIntegerField(null=True, blank=True)
    amount = models.DecimalField(T("金额", "amount"), max_digits=16, decimal_places=2)
    currency = models.CharField(T("币种", "currency"), max_length=3)
    finding = models.CharField(T("核对结果", "finding"), max_length=12, choices=Finding.choices)
    #: What the list allows for this quantity; null where it allows nothing.
    listed_amount = models.DecimalField(T("清单金额", "listed amount"), max_digits=16, decimal_places=2, null=True)
    fee_item = models.ForeignKey(FeeItem, models.PROTECT, null=True, related_name="+")

    class Meta:
        verbose_name = T("账单行", "invoice line")
        verbose_name_plural = T("账单行", "invoice lines")
        ordering = ["invoice", "line"]
        constraints = [models.UniqueConstraint(fields=["invoice", "line"], name="invoice_line_once")]


class ComplaintState(models.TextChoices):
    OPEN = "open", T("已受理", "open")
    ANSWERED = "answered", T("收费主体已答复", "answered by the body")
    UPHELD = "upheld", T("成立", "upheld")
    DISMISSED = "dismissed", T("不成立", "dismissed")
    WITHDRAWN = "withdrawn", T("已撤回", "withdrawn")


C = ComplaintState
COMPLAINT = Lifecycle(
    [
        Transition("answer", (C.OPEN, C.ANSWERED), C.ANSWERED, T("答复", "Answer"), "complaint.answered"),
        Transition("uphold", (C.OPEN, C.ANSWERED), C.UPHELD, T("认定成立", "Uphold"), "complaint.upheld"),
        Transition("dismiss", (C.OPEN, C.ANSWERED), C.DISMISSED, T("认定不成立", "Dismiss"), "complaint.dismissed"),
        Transition("withdraw", (C.OPEN, C.ANSWERED), C.WITHDRAWN, T("撤回", "Withdraw"), "complaint.withdrawn"),
    ]
)


class ComplaintQuerySet(models.QuerySet["Complaint"]):
    def visible_to(self, principal: Principal) -> Self:
        if sees_all(principal):
            return self
        own = principal.organisation_id
        return self.filter(Q(line__invoice__body_id=own) | Q(line__invoice__payer_id=own))


class Complaint(models.Model):
    """A firm objects to a line; what was said since is in the event log (subject ``complaint``)."""

    number = models.CharField(T("投诉编号", "complaint number"), max_length=40, unique=True)
    line = models.ForeignKey(InvoiceLine, models.PROTECT, related_name="complaints")
    text = models.TextField(T("内容", "text"), max_length=2000)
    state = models.CharField(T("状态", "state"), max_length=12, choices=ComplaintState.choices, default=C.OPEN)
    created_at = models.DateTimeField(default=timezone.now)

    objects = ComplaintQuerySet.as_manager()

    class Meta:
        verbose_name = T("收费投诉", "complaint")
        verbose_name_plural = T("收费投诉", "complaints")
        constraints = [
            models.UniqueConstraint(
                fields=["line"], condition=Q(state__in=(C.OPEN, C.ANSWERED)), name="complaint_one_open_per_line"
            )
        ]
        triggers = [COMPLAINT.trigger("complaint_life_cycle")]

    def __str__(self) -> str:
        return self.number
