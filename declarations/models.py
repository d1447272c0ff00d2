"""The declaration as the system reasons about it. Columns that hold what was declared have the names of the message's
members (declarations/data/message_fields.csv) and are filled from it by name (:mod:`declarations.projection`); the whole
message, every element of it, is kept per version."""

from __future__ import annotations

import uuid
from typing import Any, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from common.text import T
from declarations.lifecycle import LIFECYCLE, State
from parties.models import Organisation
from parties.principals import SYSTEM, Principal


def text(length: int, zh: str, en: str, **options: Any) -> models.CharField[str, str]:
    return models.CharField(T(zh, en), max_length=length, blank=True, default="", **options)


def number(zh: str, en: str, digits: int = 19, places: int = 5) -> models.DecimalField[Any, Any]:
    return models.DecimalField(T(zh, en), max_digits=digits, decimal_places=places, null=True, blank=True)


def party(zh: str, en: str) -> models.ForeignKey[Any, Any]:
    return models.ForeignKey(
        Organisation,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=T(zh, en),
    )


#: The day of declaration is noted at the first lodgement and stays: withdrawal and return do not take it away.
EVER_LODGED = Q(lodged_at__isnull=False)


class DeclarationQuerySet(models.QuerySet["Declaration"]):
    def visible_to(self, principal: Principal) -> Self:
        """An officer sees what was declared at the offices assigned; a firm or broker what it lodged, and what it is
        named in once that is declared; the system all; nobody else anything."""
        if principal is SYSTEM:
            return self
        if principal.is_superuser:
            return self.declared()
        if principal.is_officer:
            offices = sorted(principal.offices)
            return self.declared().filter(Q(customs_office__in=offices) | Q(border_customs_office__in=offices))
        own = principal.organisation_id
        if own is None:
            return self.none()
        named = (
            Q(firm_id=own)
            | (Q(owner_id=own) & ~Q(owner_id=F("firm_id")))
            | (Q(declarant_id=own) & ~Q(declarant_id=F("lodged_by_id")))
        )
        return self.filter(Q(lodged_by_id=own) | (named & EVER_LODGED))

    def declared(self) -> Self:
        """What was ever declared. A draft was not, nor one that was withdrawn as a draft: it is its declarant's alone."""
        return self.filter(EVER_LODGED)

    def numbered(self, number: str, principal: Principal) -> Self:
        """By unified number, customs number, or the caller's own client reference."""
        if len(number) == 18 and number[0] in "IE" and number[1:].isdigit():
            return self.filter(unified_number=number)
        if len(number) == 18 and number.isdigit():
            return self.filter(
                Q(customs_number=number) | Q(client_reference=number, lodged_by_id=principal.organisation_id)
            )
        return self.filter(client_reference=number, lodged_by_id=principal.organisation_id)

    def awaiting_checks(self) -> Self:
        return self.filter(state=State.LODGED)


class Declaration(models.Model):
    """A customs declaration in its present version and state."""

    unified_number = models.CharField(T("统一编号", "unified number"), max_length=18, unique=True)
    customs_number = models.CharField(
        T("海关编号", "customs number"), max_length=18, null=True, blank=True, unique=True, default=None
    )
    #: The sender's own key (DecMessage ClientSeqNo), unique per lodging organisation; null where none was sent.
    client_reference = models.CharField(T("客户端编号", "client reference"), max_length=18, null=True, blank=True)
    state = models.CharField(T("状态", "state"), max_length=20, choices=State.choices, default=State.DRAFT)
    state_since = models.DateTimeField(T("状态起始", "in this state since"), default=timezone.now)
    version = models.PositiveIntegerField(T("版本", "version"), default=1)
    #: Counts every change, of content or state: the ETag.
    revision = models.PositiveIntegerField(T("修订号", "revision"), default=1)

    lodged_by = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", db_index=False, verbose_name=T("申报方", "lodged by")
    )
    #: The domestic consignee or consignor as registered here: the one it is declared for.
    firm = party("境内收发货人（已登记）", "domestic party (registered)")
    owner = party("消费使用/生产销售单位（已登记）", "owner (registered)")
    declarant = party("申报单位（已登记）", "declarant (registered)")

    direction = text(1, "进出口标志", "direction")
    document_type = text(7, "单据类型", "document type")
    customs_office = text(4, "申报地海关", "customs office")
    border_customs_office = text(4, "进出境关别", "border customs office")
    declarant_code = text(10, "申报单位代码", "declarant code")
    declarant_name = text(100, "申报单位", "declarant")
    declarant_credit_code = text(18, "申报单位信用代码", "declarant credit code")
    domestic_party_code = text(18, "境内收发货人代码", "domestic party code")
    domestic_party_name = text(100, "境内收发货人", "domestic party")
    domestic_party_credit_code = text(18, "境内收发货人信用代码", "domestic party credit code")
    owner_code = text(18, "消费使用/生产销售单位代码", "owner code")
    owner_name = text(100, "消费使用/生产销售单位", "owner")
    owner_credit_code = text(18, "消费使用/生产销售单位信用代码", "owner credit code")
    overseas_consignor_foreign_name = text(100, "境外发货人", "overseas consignor")
    overseas_consignee_foreign_name = text(400, "境外收货人", "overseas consignee")
    customs_procedure = text(4, "监管方式", "customs procedure")
    levy_nature = text(3, "征免性质", "levy nature")
    entry_type = text(1, "报关单类型", "entry type")
    filing_number = text(12, "备案号", "filing number")
    licence_number = text(20, "许可证号", "licence number")
    contract_number = text(32, "合同协议号", "contract number")
    transport_mode = text(1, "运输方式", "transport mode")
    transport_means = text(50, "运输工具", "transport means")
    voyage_number = text(32, "航次号", "voyage number")
    transport_document_number = text(32, "提运单号", "transport document number")
    border_crossing_date = models.DateField(T("进出境日期", "border crossing date"), null=True, blank=True)
    trade_terms = text(1, "成交方式", "trade terms")
    freight_mark = text(1, "运费标记", "freight mark")
    freight_value = number("运费", "freight")
    freight_currency = text(3, "运费币制", "freight currency")
    insurance_mark = text(1, "保费标记", "insurance mark")
    insurance_value = number("保费", "insurance")
    insurance_currency = text(3, "保费币制", "insurance currency")
    other_fee_mark = text(1, "杂费标记", "other fee mark")
    other_fee_value = number("杂费", "other fees")
    other_fee_currency = text(3, "杂费币制", "other fee currency")
    package_count = models.BigIntegerField(T("件数", "packages"), null=True, blank=True)
    package_type = text(2, "包装种类", "package type")
    gross_weight = number("毛重（千克）", "gross weight (kg)")
    net_weight = number("净重（千克）", "net weight (kg)")
    trading_country = text(3, "贸易国", "trading country")
    departure_arrival_country = text(3, "启运/运抵国", "country of departure or arrival")
    departure_port = text(8, "启运港", "departure port")
    call_or_destination_port = text(6, "经停/指运港", "port of call or destination")
    border_port = text(8, "入境/离境口岸", "border port")
    goods_location = text(100, "货物存放地点", "location of goods")
    price_confirmations = text(32, "价格说明", "price confirmations")

    #: 0 to 100, from the checks of the present version; null until they have run.
    risk_score = models.PositiveSmallIntegerField(T("风险分", "risk score"), null=True, blank=True)
    created_at = models.DateTimeField(T("建立时间", "created at"), default=timezone.now)
    updated_at = models.DateTimeField(T("更新时间", "updated at"), default=timezone.now)
    #: When it was first declared. An amendment does not move the day of declaration.
    lodged_at = models.DateTimeField(T("申报时间", "lodged at"), null=True, blank=True)
    amended_at = models.DateTimeField(T("最近修改时间", "last amended at"), null=True, blank=True)
    accepted_at = models.DateTimeField(T("接受申报时间", "accepted at"), null=True, blank=True)
    released_at = models.DateTimeField(T("放行时间", "released at"), null=True, blank=True)
    cleared_at = models.DateTimeField(T("结关时间", "cleared at"), null=True, blank=True)

    objects = DeclarationQuerySet.as_manager()

    class Meta:
        verbose_name = T("报关单", "declaration")
        verbose_name_plural = T("报关单", "declarations")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["lodged_by", "client_reference"], name="client_reference_once"),
        ]
        indexes = [
            models.Index(fields=["lodged_by", "-created_at", "-id"], name="declaration_by_lodger"),
            models.Index(fields=["firm", "-created_at", "-id"], name="declaration_by_firm"),
            models.Index(
                fields=["owner", "-created_at"], name="declaration_by_owner", condition=~Q(owner_id=F("firm_id"))
            ),
            models.Index(
                fields=["declarant", "-created_at"],
                name="declaration_by_declarant",
                condition=~Q(declarant_id=F("lodged_by_id")),
            ),
            models.Index(fields=["customs_office", "state", "state_since"], name="declaration_work_queue"),
            models.Index(fields=["updated_at", "id"], name="declaration_changes"),
            models.Index(
                fields=["transport_document_number"],
                name="declaration_by_bill",
                condition=~Q(transport_document_number=""),
            ),
            models.Index(
                fields=["client_reference"],
                name="declaration_by_reference",
                condition=Q(client_reference__isnull=False),
            ),
            models.Index(fields=["state_since"], name="declaration_waits_for_checks", condition=Q(state=State.LODGED)),
            # What the sweeps of clearance look for among all that was ever declared.
            models.Index(
                fields=["state", "state_since", "id"],
                name="declaration_under_way",
                condition=Q(state__in=[State.ACCEPTED, State.HELD, State.UNDER_INSPECTION, State.RELEASED]),
            ),
        ]
        triggers = [LIFECYCLE.trigger("declaration_life_cycle")]

    def __str__(self) -> str:
        return self.customs_number or self.unified_number

    @property
    def etag(self) -> str:
        return f'"{self.revision}"'

    @property
    def parties(self) -> list[int]:
        """The organisations that are told of it: who lodged it, and the registered ones it names once it is declared."""
        if self.lodged_at is None:
            return [self.lodged_by_id]
        return sorted({pk for pk in (self.lodged_by_id, self.firm_id, self.owner_id, self.declarant_id) if pk})

    @property
    def message(self) -> dict[str, Any]:
        """The present version as declared."""
        return self.versions.get(version=self.version).message


class DeclarationVersion(models.Model):
    """The message as it was declared, in full. Never changed once the declaration is lodged."""

    declaration = models.ForeignKey(
        Declaration, models.CASCADE, related_name="versions", db_index=False, verbose_name=T("报关单", "declaration")
    )
    version = models.PositiveIntegerField(T("版本", "version"))
    message: models.JSONField[Any, Any] = models.JSONField(T("报文", "message"))
    #: Why it was amended; empty for the first.
    reason = models.CharField(T("修改原因", "reason"), max_length=255, blank=True, default="")
    actor = models.CharField(T("操作者", "actor"), max_length=120)
    created_at = models.DateTimeField(T("建立时间", "created at"), default=timezone.now)

    class Meta:
        verbose_name = T("报关单版本", "declaration version")
        verbose_name_plural = T("报关单版本", "declaration versions")
        ordering = ["version"]
        constraints = [models.UniqueConstraint(fields=["declaration", "version"], name="declaration_version_once")]

    def __str__(self) -> str:
        return f"{self.declaration_id} v{self.version}"


class Part(models.Model):
    """A row of a list of the present version; ``position`` counts from 1 in the order of the message."""

    declaration = models.ForeignKey(
        Declaration,
        models.CASCADE,
        related_name="%(class)s_set",
        db_index=False,
        verbose_name=T("报关单", "declaration"),
    )
    position = models.PositiveSmallIntegerField(T("序号", "position"))

    class Meta:
        abstract = True
        ordering = ["position"]


class GoodsItem(Part):
    item_number = models.BigIntegerField(T("项号", "item number"), null=True)
    filing_item_number = models.BigIntegerField(T("备案序号", "filing item number"), null=True)
    commodity_code = text(10, "商品编号", "commodity code")
    goods_name = text(255, "商品名称", "goods name")
    specification = text(255, "规格型号", "specification")
    quantity = number("成交数量", "quantity")
    quantity_unit = text(3, "成交单位", "unit")
    first_statutory_quantity = number("法定第一数量", "first statutory quantity")
    first_statutory_unit = text(3, "法定第一单位", "first statutory unit")
    second_statutory_quantity = number("法定第二数量", "second statutory quantity")
    second_statutory_unit = text(3, "法定第二单位", "second statutory unit")
    unit_price = number("单价", "unit price", 19, 4)
    invoice_amount = number("总价", "invoice amount", 19, 4)
    invoice_currency = text(3, "币制", "currency")
    origin_country = text(3, "原产国", "country of origin")
    destination_country = text(3, "最终目的国", "country of destination")
    domestic_district = text(5, "境内目的地/货源地", "domestic district")
    duty_mode = text(1, "征免方式", "duty mode")
    preferential_origin = text(3, "优惠贸易协定项下原产地", "preferential origin")

    class Meta(Part.Meta):
        verbose_name = T("商品项", "goods item")
        verbose_name_plural = T("商品项", "goods items")
        constraints = [models.UniqueConstraint(fields=["declaration", "position"], name="goods_item_position")]

    def __str__(self) -> str:
        return f"{self.item_number} {self.commodity_code} {self.goods_name}"


class Container(Part):
    container_number = text(32, "集装箱号", "container number")
    container_type = text(32, "规格", "container type")
    #: Numbers of the goods items in it, "1,3".
    item_numbers = text(255, "商品项号", "item numbers")
    shared_load = text(1, "拼箱标识", "shared load")
    goods_weight = number("箱货重量", "weight of goods")
    tare_weight = number("自重", "tare weight", 18)

    class Meta(Part.Meta):
        verbose_name = T("集装箱", "container")
        verbose_name_plural = T("集装箱", "containers")
        constraints = [models.UniqueConstraint(fields=["declaration", "position"], name="container_position")]
        indexes = [models.Index(fields=["container_number"], name="container_by_number")]

    def __str__(self) -> str:
        return self.container_number


class AttachedDocument(Part):
    document_code = text(1, "单证代码", "document code")
    document_number = text(32, "单证编号", "document number")

    class Meta(Part.Meta):
        verbose_name = T("随附单证", "attached document")
        verbose_name_plural = T("随附单证", "attached documents")
        constraints = [models.UniqueConstraint(fields=["declaration", "position"], name="attached_document_position")]

    def __str__(self) -> str:
        return f"{self.document_code} {self.document_number}"


class Severity(models.TextChoices):
    INFO = "info", T("提示", "information")
    #: Adds to the risk score; alone it stops nothing.
    WARNING = "warning", T("警告", "warning")
    #: An officer must look before acceptance.
    REVIEW = "review", T("需审核", "needs review")
    #: The declarant must put it right: the declaration is returned.
    ERROR = "error", T("错误", "error")
    #: Cannot be put right: the declaration is rejected.
    FATAL = "fatal", T("不予受理", "fatal")


class CheckResult(models.Model):
    """What a check found in one version: what, where, why, since when. Texts are made from code and params, in the reader's
    language (:func:`declarations.checks.texts.render`)."""

    declaration = models.ForeignKey(
        Declaration,
        models.CASCADE,
        related_name="check_results",
        db_index=False,
        verbose_name=T("报关单", "declaration"),
    )
    version = models.PositiveIntegerField(T("版本", "version"))
    check_name = models.CharField(T("检查", "check"), max_length=60)
    code = models.CharField(T("代码", "code"), max_length=60)
    severity = models.CharField(T("级别", "severity"), max_length=10, choices=Severity.choices)
    #: JSON pointer into the message.
    pointer = models.CharField(T("位置", "pointer"), max_length=200, blank=True, default="")
    params: models.JSONField[Any, Any] = models.JSONField(default=dict)
    risk_points = models.PositiveSmallIntegerField(T("风险分", "risk points"), default=0)
    #: When this fault was first found in this declaration, in whatever version.
    since = models.DateTimeField(T("首次发现", "since"))
    found_at = models.DateTimeField(T("发现时间", "found at"), default=timezone.now)

    class Meta:
        verbose_name = T("检查结果", "check result")
        verbose_name_plural = T("检查结果", "check results")
        ordering = ["version", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["declaration", "version", "check_name", "code", "pointer"], name="check_result_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.pointer}"


class UploadQuerySet(models.QuerySet["Upload"]):
    def visible_to(self, principal: Principal) -> Self:
        return self.filter(organisation_id=principal.organisation_id)

    def without_archive(self) -> Self:
        """Without the archive and its directory, which may be large."""
        return self.defer("archive", "names")


class Upload(models.Model):
    """A ZIP of DecMessage files, worked off in the background. It lies in the database, so any worker can take it."""

    class State(models.TextChoices):
        WAITING = "waiting", T("等待处理", "waiting")
        WORKING = "working", T("处理中", "working")
        DONE = "done", T("已完成", "done")
        FAILED = "failed", T("无法处理", "failed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    organisation = models.ForeignKey(
        Organisation, models.CASCADE, db_index=False, verbose_name=T("单位", "organisation")
    )
    actor = models.CharField(max_length=120)
    file_name = models.CharField(T("文件名", "file name"), max_length=255)
    archive = models.BinaryField()
    state = models.CharField(T("状态", "state"), max_length=10, choices=State.choices, default=State.WAITING)
    names: ArrayField = ArrayField(models.CharField(max_length=255), default=list)
    #: How many files there are, and what became of those worked off; counted once, as each step ends.
    total = models.PositiveIntegerField(T("文件数", "files"), default=0)
    processed = models.PositiveIntegerField(T("已处理", "processed"), default=0)
    lodged = models.PositiveIntegerField(T("已受理", "lodged"), default=0)
    #: How often in a row the present step broke.
    attempts = models.PositiveSmallIntegerField(T("中断次数", "attempts that broke"), default=0)
    created_at = models.DateTimeField(T("上传时间", "uploaded at"), default=timezone.now)
    finished_at = models.DateTimeField(T("完成时间", "finished at"), null=True, blank=True)

    objects = UploadQuerySet.as_manager()

    class Meta:
        verbose_name = T("批量上传", "upload")
        verbose_name_plural = T("批量上传", "uploads")
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["created_at"], name="upload_waiting", condition=Q(finished_at=None)),
            models.Index(fields=["organisation", "-created_at", "-id"], name="upload_by_organisation"),
        ]

    def __str__(self) -> str:
        return self.file_name


class UploadedFile(models.Model):
    """What became of one file of an upload."""

    upload = models.ForeignKey(Upload, models.CASCADE, related_name="files", db_index=False)
    position = models.PositiveIntegerField()
    name = models.CharField(max_length=255)
    #: As the API would have answered.
    status = models.PositiveSmallIntegerField()
    declaration = models.ForeignKey(Declaration, models.SET_NULL, null=True, related_name="+", db_index=False)
    faults: models.JSONField[Any, Any] = models.JSONField(default=list)

    class Meta:
        verbose_name = T("上传文件", "uploaded file")
        verbose_name_plural = T("上传文件", "uploaded files")
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["upload", "position"], name="uploaded_file_once")]
