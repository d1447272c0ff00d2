"""The tariff as tables, and what is fixed with it.

Tariff tables are versioned twice over. `valid` is the period a row holds in law; `since_version` and `until_version` say
from which change of the tables to which one it was what the system knew. A row is never edited: it is superseded, and
the exclusion constraints look only at what is known now. So the answer for any past day, as it was given, stands.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Self

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, RangeOperators
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Concat, Lower

from common.text import T
from common.validity import Validity, ValidityQuerySet
from parties.visibility import AudienceQuerySet

from .selection import KIND_NAMES


class Version(models.Model):
    """One change of the tariff tables. Its number is what caches compare and what an assessment remembers."""

    created_at = models.DateTimeField(T("时间", "at"), auto_now_add=True)
    table = models.CharField(T("表", "table"), max_length=30)
    reason = models.CharField(T("说明", "reason"), max_length=500, blank=True)
    actor = models.CharField(T("操作人", "by"), max_length=200)

    class Meta:
        verbose_name = T("税则版本", "tariff version")
        verbose_name_plural = T("税则版本", "tariff versions")


class VersionedQuerySet(ValidityQuerySet):
    def known(self, version: int | None = None) -> Self:
        """Rows as they are known now, or were known at a version."""
        if version is None:
            return self.filter(until_version=None)
        return self.filter(Q(until_version=None) | Q(until_version__gt=version), since_version__lte=version)


class Versioned(Validity):
    """Mixin: a row of the tariff. Blank `source` is not allowed to pass for official: `example` says what is made up."""

    since_version = models.BigIntegerField(T("始于版本", "since version"))
    until_version = models.BigIntegerField(T("止于版本", "until version"), null=True, blank=True)
    example = models.BooleanField(T("示例", "example"), default=False)
    source = models.CharField(T("来源", "source"), max_length=300, blank=True)

    objects = VersionedQuerySet.as_manager()

    class Meta:
        abstract = True


def one_known(name: str, *fields: str) -> ExclusionConstraint:
    """Of the rows known now, two with the same fields are never in force on the same day."""
    return ExclusionConstraint(
        name=name,
        expressions=[*((field, RangeOperators.EQUAL) for field in fields), ("valid", RangeOperators.OVERLAPS)],
        condition=Q(until_version=None),
    )


class CommodityLine(Versioned):
    """A line of the nomenclature: 2, 4, 6, 8 or 10 digits."""

    code = models.CharField(T("商品编号", "commodity code"), max_length=10)
    name_zh = models.CharField(T("中文名称", "Chinese name"), max_length=1000, blank=True)
    name_en = models.CharField(T("英文名称", "English name"), max_length=1000, blank=True)
    unit1 = models.CharField(T("法定第一单位", "first statutory unit"), max_length=3, blank=True)
    unit2 = models.CharField(T("法定第二单位", "second statutory unit"), max_length=3, blank=True)
    elements: ArrayField = ArrayField(
        models.CharField(max_length=100), verbose_name=T("申报要素", "declaration elements"), default=list, blank=True
    )
    documents = models.CharField(T("监管条件", "supervision conditions"), max_length=30, blank=True)
    inspection = models.CharField(T("检验检疫类别", "inspection categories"), max_length=30, blank=True)
    #: Everyday words people search for (手机, laptop), beside the names.
    keywords = models.CharField(T("检索词", "search words"), max_length=500, blank=True)
    words = models.GeneratedField(
        expression=Lower(Concat("name_zh", Value(" "), "name_en", Value(" "), "keywords")),
        output_field=models.TextField(),
        db_persist=True,
        editable=False,
    )

    class Meta:
        verbose_name = T("商品编号", "commodity code")
        verbose_name_plural = T("商品编号", "commodity codes")
        ordering = ["code"]
        constraints = [one_known("tariffs_one_line", "code")]
        indexes = [
            models.Index(fields=["code"], name="tariffs_line_code"),
            GinIndex(OpClass("words", "gin_trgm_ops"), name="tariffs_line_words", condition=Q(until_version=None)),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.name_zh or self.name_en}"


#: Code, kind, origin and exporter as one number. Only the exporter may hold spaces, and it comes last.
_MEASURE_KEY = Func(
    Concat("code", Value(" "), "kind", Value(" "), "group", Value(" "), "exporter"),
    Value(0),
    function="hashtextextended",
    output_field=models.BigIntegerField(),
)


class TariffMeasure(Versioned):
    """What holds for a code (and everything below it), an origin and a period: a duty, a tax, a remedy."""

    class Kind(models.TextChoices):
        MFN = "mfn", T(*KIND_NAMES["mfn"])
        PROVISIONAL = "provisional", T(*KIND_NAMES["provisional"])
        CONVENTIONAL = "conventional", T(*KIND_NAMES["conventional"])
        PREFERENTIAL = "preferential", T(*KIND_NAMES["preferential"])
        GENERAL = "general", T(*KIND_NAMES["general"])
        QUOTA_IN = "quota_in", T(*KIND_NAMES["quota_in"])
        QUOTA_IN_PROVISIONAL = "quota_in_provisional", T(*KIND_NAMES["quota_in_provisional"])
        QUOTA_OUT = "quota_out", T(*KIND_NAMES["quota_out"])
        EXPORT = "export", T(*KIND_NAMES["export"])
        EXPORT_PROVISIONAL = "export_provisional", T(*KIND_NAMES["export_provisional"])
        ANTI_DUMPING = "anti_dumping", T(*KIND_NAMES["anti_dumping"])
        COUNTERVAILING = "countervailing", T(*KIND_NAMES["countervailing"])
        SAFEGUARD = "safeguard", T(*KIND_NAMES["safeguard"])
        RETALIATION = "retaliation", T(*KIND_NAMES["retaliation"])
        VAT = "vat", T(*KIND_NAMES["vat"])
        CONSUMPTION = "consumption", T(*KIND_NAMES["consumption"])

    code = models.CharField(T("商品编号", "commodity code"), max_length=10)
    kind = models.CharField(T("种类", "kind"), max_length=20, choices=Kind.choices)
    group = models.CharField(T("原产地（组）", "origin (group)"), max_length=20)
    exporter = models.CharField(T("出口商", "exporter"), max_length=100, blank=True)
    agreement = models.CharField(T("优惠贸易协定", "agreement"), max_length=20, blank=True)
    rate = models.CharField(T("税率", "rate"), max_length=500)
    quota = models.CharField(T("关税配额", "tariff quota"), max_length=30, blank=True)
    basis = models.CharField(T("法律依据", "legal basis"), max_length=200, blank=True)

    class Meta:
        verbose_name = T("税率与措施", "measure")
        verbose_name_plural = T("税率与措施", "measures")
        constraints = [
            # Four texts compared in a GiST index make a load of a million rows take five minutes; one number, one.
            # Rows of one key always have one number, so an overlap is always refused.
            ExclusionConstraint(
                name="tariffs_one_measure",
                expressions=[(_MEASURE_KEY, RangeOperators.EQUAL), ("valid", RangeOperators.OVERLAPS)],
                condition=Q(until_version=None),
            ),
            models.CheckConstraint(name="tariffs_measure_kind", condition=Q(kind__in=list(KIND_NAMES))),
        ]
        indexes = [models.Index(fields=["code"], name="tariffs_measure_code")]


class OriginMember(Versioned):
    """A country's membership of an origin group: MFN, an agreement's parties, the least developed countries."""

    group = models.CharField(T("组", "group"), max_length=20)
    agreement = models.CharField(T("优惠贸易协定", "agreement"), max_length=20, blank=True)
    country = models.CharField(T("国家（地区）", "country"), max_length=3)
    name_zh = models.CharField(T("组名", "group name"), max_length=100, blank=True)
    name_en = models.CharField(T("组英文名", "group name in English"), max_length=100, blank=True)

    class Meta:
        verbose_name = T("原产地组成员", "origin group member")
        verbose_name_plural = T("原产地组成员", "origin group members")
        constraints = [one_known("tariffs_one_membership", "group", "country")]


class MonthlyRate(Versioned):
    """The exchange rate customs uses in a period, as a rule a month: yuan for `per` units, or the inverse."""

    currency = models.CharField(T("币制", "currency"), max_length=3)
    rate = models.DecimalField(T("汇率", "rate"), max_digits=16, decimal_places=8)
    per = models.PositiveIntegerField(T("单位数", "per"), default=1)
    inverse = models.BooleanField(T("间接标价", "inverse quotation"), default=False)
    quoted_on = models.DateField(T("中间价日期", "quoted on"))

    class Meta:
        verbose_name = T("计税汇率", "exchange rate")
        verbose_name_plural = T("计税汇率", "exchange rates")
        constraints = [
            one_known("tariffs_one_rate", "currency"),
            models.CheckConstraint(name="tariffs_rate_positive", condition=Q(rate__gt=0, per__gt=0)),
        ]


class Parameter(Versioned):
    """A number the law sets and changes: thresholds, day counts, daily rates, limits."""

    name = models.CharField(T("参数", "parameter"), max_length=60)
    value = models.DecimalField(T("值", "value"), max_digits=16, decimal_places=6)
    basis = models.CharField(T("法律依据", "legal basis"), max_length=200, blank=True)

    class Meta:
        verbose_name = T("法定参数", "legal parameter")
        verbose_name_plural = T("法定参数", "legal parameters")
        constraints = [one_known("tariffs_one_parameter", "name")]


class RegimeEffect(Versioned):
    """What a regime (监管方式) with a levy nature (征免性质) does with each tax. Blank: any."""

    class Effect(models.TextChoices):
        LEVY = "levy", T("照章征税", "levied")
        SUSPEND = "suspend", T("保税（暂缓）", "suspended")
        EXEMPT = "exempt", T("免征", "exempt")
        BY_MODE = "by_mode", T("按征减免税方式", "as the duty mode says")

    direction = models.CharField(T("进出口", "direction"), max_length=1, blank=True)
    regime = models.CharField(T("监管方式", "regime"), max_length=4, blank=True)
    levy_nature = models.CharField(T("征免性质", "levy nature"), max_length=3, blank=True)
    duty = models.CharField(T("关税", "duty"), max_length=10, choices=Effect.choices)
    consumption = models.CharField(T("消费税", "consumption tax"), max_length=10, choices=Effect.choices)
    vat = models.CharField(T("增值税", "VAT"), max_length=10, choices=Effect.choices)
    remedy = models.CharField(T("贸易救济", "trade remedies"), max_length=10, choices=Effect.choices)

    class Meta:
        verbose_name = T("监管方式税收规则", "regime effect")
        verbose_name_plural = T("监管方式税收规则", "regime effects")
        constraints = [one_known("tariffs_one_effect", "direction", "regime", "levy_nature")]


class CalendarDay(Versioned):
    """A weekday off, or a weekend day worked to make up for one. `valid` is that one day."""

    working = models.BooleanField(T("工作日", "working"))
    name = models.CharField(T("名称", "name"), max_length=50, blank=True)

    class Meta:
        verbose_name = T("节假日安排", "calendar day")
        verbose_name_plural = T("节假日安排", "calendar days")
        constraints = [
            ExclusionConstraint(
                name="tariffs_one_day",
                expressions=[("valid", RangeOperators.OVERLAPS)],
                condition=Q(until_version=None),
            )
        ]


class Quota(Versioned):
    """The volume of a tariff quota in a period, in kilograms."""

    number = models.CharField(T("配额编号", "quota"), max_length=30)
    name = models.CharField(T("名称", "name"), max_length=200, blank=True)
    volume = models.DecimalField(T("数量（千克）", "volume (kg)"), max_digits=20, decimal_places=5)

    class Meta:
        verbose_name = T("关税配额", "tariff quota")
        verbose_name_plural = T("关税配额", "tariff quotas")
        constraints = [one_known("tariffs_one_quota", "number")]


class Load(models.Model):
    """A file being brought into the tables: how far it is, what it would change or has changed, its faults."""

    class State(models.TextChoices):
        QUEUED = "queued", T("等待", "queued")
        RUNNING = "running", T("进行中", "running")
        CHECKED = "checked", T("已试算", "dry run done")
        DONE = "done", T("完成", "done")
        REFUSED = "refused", T("被拒绝", "refused")

    table = models.CharField(T("表", "table"), max_length=30)
    file_name = models.CharField(T("文件", "file"), max_length=300)
    path = models.CharField(T("路径", "path"), max_length=500)
    options = models.JSONField(T("选项", "options"), default=dict)
    state = models.CharField(T("状态", "state"), max_length=10, choices=State.choices, default=State.QUEUED)
    rows = models.PositiveIntegerField(T("已读行数", "rows read"), default=0)
    progress = models.PositiveSmallIntegerField(T("进度（%）", "progress (%)"), default=0)
    difference = models.JSONField(T("差异", "difference"), default=dict)
    faults = models.JSONField(T("错误", "faults"), default=list)
    version = models.ForeignKey(Version, models.PROTECT, null=True, blank=True, verbose_name=T("版本", "version"))
    actor = models.CharField(T("操作人", "by"), max_length=200)
    created_at = models.DateTimeField(T("时间", "at"), auto_now_add=True)
    finished_at = models.DateTimeField(T("完成时间", "finished at"), null=True, blank=True)

    class Meta:
        verbose_name = T("税则导入", "tariff load")
        verbose_name_plural = T("税则导入", "tariff loads")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.file_name} ({self.pk})"


class StoredAssessment(models.Model):
    """An assessment fixed for a declaration (or a quotation that was kept). Versions are added, none is changed."""

    subject = models.CharField(T("报关单号", "declaration number"), max_length=40)
    number = models.PositiveIntegerField(T("版本", "version"))
    #: Organisations that may see it.
    audience: ArrayField = ArrayField(models.BigIntegerField(), verbose_name=T("可见单位", "visible to"), default=list)
    request = models.JSONField(T("输入", "input"))
    #: By language, as the API gives it.
    answer = models.JSONField(T("结果", "answer"))
    explanation = models.JSONField(T("说明", "explanation"))
    payable = models.DecimalField(T("应缴税费", "payable"), max_digits=20, decimal_places=2)
    customs_value = models.DecimalField(T("计税价格", "customs value"), max_digits=20, decimal_places=2)
    tariff_version = models.BigIntegerField(T("税则版本", "tariff version"))
    rate_day = models.DateField(T("适用税率日期", "rate day"))
    reason = models.CharField(T("变更原因", "reason"), max_length=500, blank=True)
    overrides = models.JSONField(T("海关核定", "fixed by customs"), default=dict)
    actor = models.CharField(T("操作人", "by"), max_length=200)
    created_at = models.DateTimeField(T("时间", "at"), auto_now_add=True)

    objects = AudienceQuerySet["StoredAssessment"].as_manager()

    class Meta:
        verbose_name = T("税费核定", "assessment")
        verbose_name_plural = T("税费核定", "assessments")
        constraints = [models.UniqueConstraint(fields=["subject", "number"], name="tariffs_one_assessment_version")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.subject} v{self.number}"


class QuotaDraw(models.Model):
    """Kilograms of a quota used by a declaration; a new version of its assessment replaces them."""

    quota = models.CharField(T("配额编号", "quota"), max_length=30)
    subject = models.CharField(T("报关单号", "declaration number"), max_length=40)
    day = models.DateField(T("日期", "day"))
    quantity = models.DecimalField(T("数量（千克）", "quantity (kg)"), max_digits=20, decimal_places=5)

    class Meta:
        verbose_name = T("配额使用", "quota draw")
        verbose_name_plural = T("配额使用", "quota draws")
        indexes = [models.Index(fields=["quota", "day"], name="tariffs_draw_quota")]


class RetailPurchase(models.Model):
    """What a retail buyer bought in a calendar year: the buyer by keyed digest, never by name or number."""

    buyer = models.CharField(T("购买人摘要", "buyer digest"), max_length=64)
    subject = models.CharField(T("报关单号", "declaration number"), max_length=40, unique=True)
    year = models.PositiveSmallIntegerField(T("年度", "year"))
    value = models.DecimalField(T("计税价格", "customs value"), max_digits=20, decimal_places=2)

    class Meta:
        verbose_name = T("跨境电商交易", "retail purchase")
        verbose_name_plural = T("跨境电商交易", "retail purchases")
        indexes = [models.Index(fields=["buyer", "year"], name="tariffs_purchase_buyer")]


class DutyMemo(models.Model):
    """A duty memo (税单): what is to be paid for a declaration, and by when."""

    class State(models.TextChoices):
        #: Waits for payment.
        OPEN = "open", T("待缴", "open")
        #: Secured by a guarantee account, still to be paid; release need not wait.
        GUARANTEED = "guaranteed", T("已担保", "guaranteed")
        #: A bank said so.
        PAID = "paid", T("已缴", "paid")
        #: Replaced by the memo of a newer assessment, or the declaration fell away.
        VOID = "void", T("作废", "void")

    number = models.CharField(T("税单号", "memo number"), max_length=50, unique=True)
    subject = models.CharField(T("报关单号", "declaration number"), max_length=40, db_index=True)
    assessment = models.ForeignKey(StoredAssessment, models.PROTECT, verbose_name=T("税费核定", "assessment"))
    payer_id = models.BigIntegerField(T("纳税单位", "payer"))
    audience: ArrayField = ArrayField(models.BigIntegerField(), verbose_name=T("可见单位", "visible to"), default=list)
    lines = models.JSONField(T("税费", "taxes"))
    amount = models.DecimalField(T("金额", "amount"), max_digits=20, decimal_places=2)
    state = models.CharField(T("状态", "state"), max_length=10, choices=State.choices, default=State.OPEN)
    completed_on = models.DateField(T("申报完成日期", "declaration completed on"))
    due_on = models.DateField(T("缴款期限", "due on"))
    issued_at = models.DateTimeField(T("填发时间", "issued at"), auto_now_add=True)
    paid_on = models.DateField(T("缴款日期", "paid on"), null=True, blank=True)
    #: Of the amount: what a late-payment charge is reckoned on. The rest is the late-declaration fee and deferred interest.
    tax = models.DecimalField(T("其中税款", "of which tax"), max_digits=20, decimal_places=2)
    late_charge = models.DecimalField(
        T("滞纳金", "late-payment charge"), max_digits=20, decimal_places=2, default=Decimal(0)
    )
    #: What was not certain when it was issued: [{"code", "params"}] of `basis.NOTICES`.
    notices = models.JSONField(T("提示", "notices"), default=list)
    #: Unknown for memos voided before this was kept.
    voided_at = models.DateTimeField(T("作废时间", "voided at"), null=True, blank=True)

    objects = AudienceQuerySet["DutyMemo"].as_manager()

    class Meta:
        verbose_name = T("税单", "duty memo")
        verbose_name_plural = T("税单", "duty memos")
        ordering = ["-id"]
        constraints = [models.CheckConstraint(name="tariffs_memo_amount", condition=Q(amount__gt=0))]


class PaymentChannel(models.Model):
    """A bank that reports payments, and the secrets it signs with (two during a change of secrets)."""

    code = models.SlugField(T("代码", "code"), max_length=30, unique=True)
    name = models.CharField(T("名称", "name"), max_length=100)
    organisation_id = models.BigIntegerField(T("单位", "organisation"))
    secrets: ArrayField = ArrayField(models.CharField(max_length=200), verbose_name=T("密钥", "secrets"), size=2)
    active = models.BooleanField(T("启用", "active"), default=True)

    class Meta:
        verbose_name = T("缴款银行", "payment channel")
        verbose_name_plural = T("缴款银行", "payment channels")


class Payment(models.Model):
    """A payment a bank reported, or one taken at the counter (no bank; the reference is the receipt's number). The bank's own
    reference makes a repeated report the same payment."""

    channel = models.ForeignKey(
        PaymentChannel, models.PROTECT, null=True, blank=True, verbose_name=T("银行", "bank"), db_index=False
    )
    reference = models.CharField(T("银行流水号或缴款凭证号", "bank reference or receipt number"), max_length=64)
    memo = models.ForeignKey(DutyMemo, models.PROTECT, verbose_name=T("税单", "memo"))
    amount = models.DecimalField(T("金额", "amount"), max_digits=20, decimal_places=2)
    paid_at = models.DateTimeField(T("缴款时间", "paid at"))
    recorded_at = models.DateTimeField(T("登记时间", "recorded at"), auto_now_add=True)

    class Meta:
        verbose_name = T("缴款", "payment")
        verbose_name_plural = T("缴款", "payments")
        constraints = [models.UniqueConstraint(fields=["channel", "reference"], name="tariffs_one_payment")]


class DutyRefund(models.Model):
    """Duty paid too much for a declaration (应退税款), to be given back through the bank that took the payment, or at the
    counter (no bank)."""

    class State(models.TextChoices):
        #: Waits for the bank.
        DUE = "due", T("待退", "due")
        #: The bank said so.
        PAID = "paid", T("已退", "given back")
        #: A newer assessment made it another sum, or none.
        VOID = "void", T("作废", "void")

    number = models.CharField(T("退税编号", "refund number"), max_length=50, unique=True)
    subject = models.CharField(T("报关单号", "declaration number"), max_length=40, db_index=True)
    assessment = models.ForeignKey(StoredAssessment, models.PROTECT, verbose_name=T("税费核定", "assessment"))
    payee_id = models.BigIntegerField(T("收款单位", "payee"))
    channel = models.ForeignKey(PaymentChannel, models.PROTECT, null=True, blank=True, verbose_name=T("银行", "bank"))
    audience: ArrayField = ArrayField(models.BigIntegerField(), verbose_name=T("可见单位", "visible to"), default=list)
    amount = models.DecimalField(T("金额", "amount"), max_digits=20, decimal_places=2)
    state = models.CharField(T("状态", "state"), max_length=10, choices=State.choices, default=State.DUE)
    created_at = models.DateTimeField(T("时间", "at"), auto_now_add=True)
    refunded_on = models.DateField(T("退税日期", "given back on"), null=True, blank=True)

    objects = AudienceQuerySet["DutyRefund"].as_manager()

    class Meta:
        verbose_name = T("应退税款", "refund")
        verbose_name_plural = T("应退税款", "refunds")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(name="tariffs_refund_amount", condition=Q(amount__gt=0)),
            models.UniqueConstraint(fields=["subject"], condition=Q(state="due"), name="tariffs_one_refund_due"),
        ]

    def __str__(self) -> str:
        return self.number


class RefundConfirmation(models.Model):
    """The bank's word that a refund was given back, or the counter's (no bank; the reference is the voucher's number). The
    bank's own reference makes a repeated report the same one."""

    channel = models.ForeignKey(
        PaymentChannel, models.PROTECT, null=True, blank=True, verbose_name=T("银行", "bank"), db_index=False
    )
    reference = models.CharField(T("银行流水号或退款凭证号", "bank reference or voucher number"), max_length=64)
    refund = models.OneToOneField(DutyRefund, models.PROTECT, verbose_name=T("应退税款", "refund"))
    amount = models.DecimalField(T("金额", "amount"), max_digits=20, decimal_places=2)
    refunded_at = models.DateTimeField(T("退税时间", "given back at"))
    recorded_at = models.DateTimeField(T("登记时间", "recorded at"), auto_now_add=True)

    class Meta:
        verbose_name = T("退税回执", "refund confirmation")
        verbose_name_plural = T("退税回执", "refund confirmations")
        constraints = [models.UniqueConstraint(fields=["channel", "reference"], name="tariffs_one_confirmation")]


class Guarantee(Validity):
    """A guarantee account of an organisation: what it secures at once, drawn by memos and restored by their payment."""

    number = models.CharField(T("担保编号", "guarantee number"), max_length=40, unique=True)
    organisation_id = models.BigIntegerField(T("单位", "organisation"), db_index=True)
    #: Summary payment (汇总征税): memos fall due on the fifth working day of the next month.
    summary = models.BooleanField(T("汇总征税", "summary payment"), default=False)
    amount = models.DecimalField(T("担保额度", "amount"), max_digits=20, decimal_places=2)
    drawn = models.DecimalField(T("已占用", "drawn"), max_digits=20, decimal_places=2, default=Decimal(0))

    class Meta:
        verbose_name = T("担保账户", "guarantee account")
        verbose_name_plural = T("担保账户", "guarantee accounts")
        constraints = [
            models.CheckConstraint(name="tariffs_guarantee_covers", condition=Q(drawn__gte=0, drawn__lte=F("amount")))
        ]

    def free(self) -> Decimal:
        return self.amount - self.drawn

    def holds_on(self, day: date) -> bool:
        lower, upper = self.valid.lower, self.valid.upper
        return (lower is None or lower <= day) and (upper is None or day < upper)


class GuaranteeDraw(models.Model):
    """A memo secured by a guarantee: drawn, and restored when it was paid or fell away. Without a memo: goods that were let go
    before their duties were fixed."""

    guarantee = models.ForeignKey(Guarantee, models.PROTECT, verbose_name=T("担保账户", "guarantee"))
    subject = models.CharField(T("报关单号", "declaration number"), max_length=40, db_index=True)
    memo = models.OneToOneField(DutyMemo, models.PROTECT, null=True, blank=True, verbose_name=T("税单", "memo"))
    amount = models.DecimalField(T("金额", "amount"), max_digits=20, decimal_places=2)
    drawn_at = models.DateTimeField(T("占用时间", "drawn at"), auto_now_add=True)
    restored_at = models.DateTimeField(T("恢复时间", "restored at"), null=True, blank=True)

    class Meta:
        verbose_name = T("担保占用", "guarantee draw")
        verbose_name_plural = T("担保占用", "guarantee draws")
        constraints = [
            models.UniqueConstraint(
                name="tariffs_one_draw_for_goods", fields=["subject"], condition=Q(memo=None, restored_at=None)
            )
        ]
