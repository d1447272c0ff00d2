from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.utils import timezone

from common.text import T
from common.validity import Validity, ValidityQuerySet, no_overlap
from parties.models import Organisation
from parties.visibility import AudienceQuerySet

if TYPE_CHECKING:
    from parties.principals import Principal


class Direction(models.TextChoices):
    IMPORT = "I", T("进口", "import")
    EXPORT = "E", T("出口", "export")


class Mode(models.TextChoices):
    """Customs codes of the mode of transport that manifests exist for (运输方式)."""

    WATER = "2", T("水路", "water")
    RAIL = "3", T("铁路", "rail")
    ROAD = "4", T("公路", "road")
    AIR = "5", T("航空", "air")


class Place(models.Model):
    """Where goods are loaded, kept, inspected or pass a gate: a terminal, a station, a yard, an airport."""

    code = models.CharField(T("代码", "code"), max_length=17, unique=True)
    name = models.CharField(T("名称", "name"), max_length=120)
    name_en = models.CharField(T("英文名称", "English name"), max_length=120, blank=True)
    unlocode = models.CharField(T("联合国口岸代码", "UN/LOCODE"), max_length=5, blank=True)
    #: Customs office (refdata list "customs_office").
    office = models.CharField(T("主管海关", "customs office"), max_length=4, blank=True)
    operator = models.ForeignKey(
        Organisation, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=T("经营人", "operator")
    )

    class Meta:
        verbose_name = T("场所", "place")
        verbose_name_plural = T("场所", "places")
        ordering = ["code"]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class Category(models.TextChoices):
    """Kinds of goods that may only be cleared where a supervision site for them has been designated."""

    MEAT = "meat", T("肉类", "meat")
    GRAIN = "grain", T("粮食", "grain")
    FRUIT = "fruit", T("水果", "fruit")
    CHILLED_AQUATIC = "chilled_aquatic", T("冰鲜水产品", "chilled aquatic products")
    LIVE_AQUATIC = "live_aquatic", T("食用水生动物", "live edible aquatic animals")
    SEEDLINGS = "seedlings", T("种苗", "seedlings")
    VEHICLES = "vehicles", T("汽车整车", "vehicles")
    MEDICINES = "medicines", T("首次进口药品", "medicines imported for the first time")


class DesignatedSite(Validity):
    """A place designated for a category of goods, from-to (指定监管场地)."""

    place = models.ForeignKey(Place, models.PROTECT, related_name="designations", verbose_name=T("场所", "place"))
    category = models.CharField(T("类别", "category"), max_length=20, choices=Category.choices)
    source = models.CharField(T("依据", "source"), max_length=300)

    objects = ValidityQuerySet.as_manager()

    class Meta:
        verbose_name = T("指定监管场地", "designated supervision site")
        verbose_name_plural = T("指定监管场地", "designated supervision sites")
        constraints = [no_overlap("designated_site_once", "place", "category")]

    def __str__(self) -> str:
        return f"{self.place} {self.category}"


class SiteGoods(Validity):
    """Which commodity codes, by their beginning, fall in a category of designated sites."""

    category = models.CharField(T("类别", "category"), max_length=20, choices=Category.choices)
    code_prefix = models.CharField(T("商品编号前缀", "commodity code prefix"), max_length=10)
    source = models.CharField(T("依据", "source"), max_length=300)

    objects = ValidityQuerySet.as_manager()

    class Meta:
        verbose_name = T("指定场地商品范围", "goods for designated sites")
        verbose_name_plural = T("指定场地商品范围", "goods for designated sites")
        constraints = [no_overlap("site_goods_once", "category", "code_prefix")]

    def __str__(self) -> str:
        return f"{self.category} {self.code_prefix}"


class Service(models.TextChoices):
    SHIP_SIDE_PICKUP = "ship_side_pickup", T("船边直提", "ship-side pick-up")
    DIRECT_LOADING = "direct_loading", T("抵港直装", "direct loading on arrival")
    DEPARTURE_CONFIRMATION = "departure_confirmation", T("离港确认", "departure confirmation")


class PlaceService(Validity):
    """A faster way of handing over that a port area offers, from-to."""

    place = models.ForeignKey(Place, models.PROTECT, related_name="services", verbose_name=T("场所", "place"))
    service = models.CharField(T("服务", "service"), max_length=30, choices=Service.choices)
    source = models.CharField(T("依据", "source"), max_length=300)

    objects = ValidityQuerySet.as_manager()

    class Meta:
        verbose_name = T("口岸服务", "service of a place")
        verbose_name_plural = T("口岸服务", "services of places")
        constraints = [no_overlap("place_service_once", "place", "service")]

    def __str__(self) -> str:
        return f"{self.place} {self.service}"


class ManifestLimit(Validity):
    """How many hours before loading or arrival a manifest is due, by kind, mode and containers or not."""

    kind = models.CharField(T("舱单类别", "manifest kind"), max_length=10)
    mode = models.CharField(T("运输方式", "mode"), max_length=1, choices=Mode.choices)
    containers = models.BooleanField(T("集装箱", "containers"))
    hours = models.PositiveIntegerField(T("提前小时数", "hours before"))
    #: loading or arrival
    anchor = models.CharField(T("起算点", "counted from"), max_length=10)
    source = models.CharField(T("依据", "source"), max_length=300)

    objects = ValidityQuerySet.as_manager()

    class Meta:
        verbose_name = T("舱单传输时限", "manifest time limit")
        verbose_name_plural = T("舱单传输时限", "manifest time limits")
        constraints = [no_overlap("manifest_limit_once", "kind", "mode", "containers")]

    def __str__(self) -> str:
        return f"{self.kind} {self.mode} {self.hours} h"


class MeansOfTransport(models.Model):
    """A vessel, train, aircraft or vehicle."""

    mode = models.CharField(T("运输方式", "mode"), max_length=1, choices=Mode.choices)
    #: IMO number, train number, registration or licence plate.
    identity = models.CharField(T("标识", "identity"), max_length=35)
    name = models.CharField(T("名称", "name"), max_length=70, blank=True)

    class Meta:
        verbose_name = T("运输工具", "means of transport")
        verbose_name_plural = T("运输工具", "means of transport")
        constraints = [models.UniqueConstraint(fields=["mode", "identity"], name="means_once")]

    def __str__(self) -> str:
        return self.name or self.identity


class VoyageQuerySet(models.QuerySet["Voyage"]):
    def visible_to(self, principal: Principal) -> Self:
        if principal.is_customs:
            return self
        return self.filter(
            Q(carrier_id=principal.organisation_id) | Q(consignments__audience__contains=[principal.organisation_id])
        ).distinct()


class Voyage(models.Model):
    """One trip of a means of transport: voyage, flight, train or truck run. Planned and actual times side by side. Two vessels
    of one carrier may sail under the same number."""

    number = models.CharField(T("航次（班次）号", "voyage number"), max_length=32)
    mode = models.CharField(T("运输方式", "mode"), max_length=1, choices=Mode.choices)
    direction = models.CharField(T("进出口", "direction"), max_length=1, choices=Direction.choices)
    means = models.ForeignKey(
        MeansOfTransport, models.PROTECT, null=True, blank=True, verbose_name=T("运输工具", "means of transport")
    )
    carrier = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name=T("承运人", "carrier"), db_index=False
    )
    loading_place = models.CharField(T("装货地", "place of loading"), max_length=17, blank=True)
    unloading_place = models.CharField(T("卸货地", "place of unloading"), max_length=17, blank=True)
    planned_departure = models.DateTimeField(T("计划离港", "planned departure"), null=True, blank=True)
    planned_arrival = models.DateTimeField(T("预计抵港", "planned arrival"), null=True, blank=True)
    departed_at = models.DateTimeField(T("实际离港", "departed at"), null=True, blank=True)
    arrived_at = models.DateTimeField(T("实际抵港", "arrived at"), null=True, blank=True)
    #: The means' entry declaration (运输工具申报进境): the day the declaration's time limit runs from.
    entry_declared_at = models.DateTimeField(T("申报进境时间", "entry declared at"), null=True, blank=True)
    created_at = models.DateTimeField(T("建立时间", "created at"), default=timezone.now)

    objects = VoyageQuerySet.as_manager()

    class Meta:
        verbose_name = T("航次（班次）", "voyage")
        verbose_name_plural = T("航次（班次）", "voyages")
        constraints = [
            models.UniqueConstraint(
                fields=["carrier", "mode", "direction", "number", "means"], nulls_distinct=False, name="voyage_once"
            )
        ]
        indexes = [models.Index(fields=["number"], name="voyage_number")]

    def __str__(self) -> str:
        return self.number

    @property
    def reference(self) -> str:
        """How the event log names it: two carriers may use the same number."""
        return f"{self.number}/{self.pk}"


class ManifestQuerySet(models.QuerySet["Manifest"]):
    def visible_to(self, principal: Principal) -> Self:
        if principal.is_customs:
            return self
        return self.filter(sender_id=principal.organisation_id)


class Manifest(models.Model):
    """What a carrier says it carries on one trip: original (import) or advance (export)."""

    class Kind(models.TextChoices):
        ORIGINAL = "original", T("原始舱单", "original manifest")
        ADVANCE = "advance", T("预配舱单", "advance manifest")

    number = models.CharField(T("舱单号", "manifest number"), max_length=32)
    kind = models.CharField(T("类别", "kind"), max_length=10, choices=Kind.choices)
    sender = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name=T("传输人", "sender"), db_index=False
    )
    voyage = models.ForeignKey(Voyage, models.PROTECT, related_name="manifests", verbose_name=T("航次", "voyage"))
    office = models.CharField(T("海关", "customs office"), max_length=4, blank=True)
    agent = models.CharField(T("代理人", "agent"), max_length=200, blank=True)
    created_at = models.DateTimeField(T("收到时间", "received at"), default=timezone.now)
    updated_at = models.DateTimeField(T("更新时间", "updated at"), auto_now=True)

    objects = ManifestQuerySet.as_manager()

    class Meta:
        verbose_name = T("舱单", "manifest")
        verbose_name_plural = T("舱单", "manifests")
        constraints = [models.UniqueConstraint(fields=["sender", "kind", "number"], name="manifest_once")]
        indexes = [models.Index(fields=["number"], name="manifest_number")]

    def __str__(self) -> str:
        return self.number


class ManifestMessageQuerySet(models.QuerySet["ManifestMessage"]):
    def visible_to(self, principal: Principal) -> Self:
        if principal.is_customs:
            return self
        return self.filter(sender_id=principal.organisation_id)


class ManifestMessage(models.Model):
    """A message as it came, with the receipt it got. Refused ones are kept too: nothing a carrier sent is lost."""

    class Response(models.TextChoices):
        ACCEPTED = "01", T("海关接受申报", "accepted")
        REVIEW = "02", T("待海关人工审核", "waiting for manual review")
        REJECTED = "03", T("海关退单", "rejected")
        DRAFT = "T", T("暂存", "draft")

    sender = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name=T("传输人", "sender"), db_index=False
    )
    message_id = models.CharField(T("报文编号", "message id"), max_length=64)
    message_type = models.CharField(T("报文类型", "message type"), max_length=6)
    function_code = models.CharField(T("功能代码", "function code"), max_length=2)
    number = models.CharField(T("舱单号", "manifest number"), max_length=32)
    sent_at = models.DateTimeField(T("发送时间", "sent at"))
    received_at = models.DateTimeField(T("收到时间", "received at"), default=timezone.now)
    digest = models.CharField(max_length=64)
    content: models.JSONField[Any, Any] = models.JSONField(T("内容", "content"))
    response_code = models.CharField(T("回执代码", "response code"), max_length=2, choices=Response.choices)
    #: Per bill: bill_number, response_code, code, and the text in both languages.
    outcome: models.JSONField[Any, Any] = models.JSONField(T("回执", "receipt"), default=list)
    decided_by = models.CharField(T("审核人", "decided by"), max_length=120, blank=True)
    decided_at = models.DateTimeField(T("审核时间", "decided at"), null=True, blank=True)

    objects = ManifestMessageQuerySet.as_manager()

    class Meta:
        verbose_name = T("舱单报文", "manifest message")
        verbose_name_plural = T("舱单报文", "manifest messages")
        constraints = [models.UniqueConstraint(fields=["sender", "message_id"], name="manifest_message_once")]
        indexes = [
            models.Index(fields=["number"], name="manifest_message_number"),
            models.Index(fields=["received_at"], condition=Q(response_code="02"), name="manifest_message_review"),
        ]

    def __str__(self) -> str:
        return self.message_id


class ConsignmentQuerySet(AudienceQuerySet["Consignment"]):
    def live(self) -> Self:
        return self.filter(deleted_at=None)


class Consignment(models.Model):
    """One bill on one trip: what a declaration is matched with. Later reports of the same bill fill it in."""

    manifest = models.ForeignKey(
        Manifest, models.PROTECT, related_name="consignments", verbose_name=T("舱单", "manifest")
    )
    voyage = models.ForeignKey(Voyage, models.PROTECT, related_name="consignments", verbose_name=T("航次", "voyage"))
    direction = models.CharField(T("进出口", "direction"), max_length=1, choices=Direction.choices)
    bill_number = models.CharField(T("提运单号", "bill number"), max_length=35)
    packages = models.PositiveIntegerField(T("件数", "packages"))
    package_unit = models.CharField(T("包装种类", "package unit"), max_length=3, blank=True)
    gross_mass = models.DecimalField(T("毛重（千克）", "gross mass (kg)"), max_digits=19, decimal_places=5)
    value = models.DecimalField(T("价值", "value"), max_digits=19, decimal_places=5, null=True, blank=True)
    currency = models.CharField(T("币制", "currency"), max_length=3, blank=True)
    consignee = models.CharField(T("收货人", "consignee"), max_length=200, blank=True)
    consignor = models.CharField(T("发货人", "consignor"), max_length=200, blank=True)
    items: models.JSONField[Any, Any] = models.JSONField(T("货物", "goods"), default=list)
    #: Organisations that may see it: the carrier, the terminal, the consignee, whoever declares it.
    audience: ArrayField = ArrayField(models.BigIntegerField(), default=list)
    version = models.PositiveIntegerField(T("版本", "version"), default=1)
    #: When its sender sent the version that holds; an older message never overwrites it.
    sent_at = models.DateTimeField(T("发送时间", "sent at"))
    #: How many hours late the manifest came, by the limit of the day; 0 when in time, null when it cannot be told.
    late_hours = models.DecimalField(T("迟传小时", "hours late"), max_digits=8, decimal_places=1, null=True, blank=True)
    declaration_number = models.CharField(T("报关单号", "declaration"), max_length=18, blank=True)
    arrived_at = models.DateTimeField(T("运抵时间", "arrived at"), null=True, blank=True)
    arrival_place = models.CharField(T("运抵场所", "place of arrival"), max_length=17, blank=True)
    #: Set by customs' release, the one fact that loading and gates ask for.
    released_at = models.DateTimeField(T("放行时间", "released at"), null=True, blank=True)
    loaded_at = models.DateTimeField(T("装载时间", "loaded at"), null=True, blank=True)
    tallied_at = models.DateTimeField(T("理货时间", "tallied at"), null=True, blank=True)
    tallied_packages = models.PositiveIntegerField(T("理货件数", "packages tallied"), null=True, blank=True)
    deleted_at = models.DateTimeField(T("删除时间", "deleted at"), null=True, blank=True)
    created_at = models.DateTimeField(T("建立时间", "created at"), default=timezone.now)
    updated_at = models.DateTimeField(T("更新时间", "updated at"), auto_now=True)

    objects = ConsignmentQuerySet.as_manager()

    class Meta:
        verbose_name = T("提运单货物", "consignment")
        verbose_name_plural = T("提运单货物", "consignments")
        constraints = [
            models.UniqueConstraint(
                fields=["manifest", "bill_number"], condition=Q(deleted_at=None), name="consignment_once_per_manifest"
            ),
        ]
        indexes = [
            models.Index(fields=["bill_number"], name="consignment_bill"),
            models.Index(
                fields=["declaration_number"], condition=~Q(declaration_number=""), name="consignment_declaration"
            ),
            GinIndex(fields=["audience"], name="consignment_audience"),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def reference(self) -> str:
        """How the event log names it."""
        return f"{self.bill_number}/{self.pk}"


class TransportEquipment(models.Model):
    """A container (ISO 6346) or the like, whoever's goods it carries at a time."""

    number = models.CharField(T("集装箱号", "container number"), max_length=11, primary_key=True)
    size_type = models.CharField(T("箱型尺寸", "size and type"), max_length=10, blank=True)
    tare = models.DecimalField(T("皮重（千克）", "tare (kg)"), max_digits=12, decimal_places=3, null=True, blank=True)

    class Meta:
        verbose_name = T("集装箱", "transport equipment")
        verbose_name_plural = T("集装箱", "transport equipment")

    def __str__(self) -> str:
        return self.number


class Stuffing(models.Model):
    """A consignment, or a part of it, in a container."""

    consignment = models.ForeignKey(
        Consignment,
        models.CASCADE,
        related_name="stuffings",
        verbose_name=T("提运单货物", "consignment"),
        db_index=False,
    )
    equipment = models.ForeignKey(
        TransportEquipment, models.PROTECT, related_name="stuffings", verbose_name=T("集装箱", "container")
    )
    seal = models.CharField(T("封志号", "seal"), max_length=35, blank=True)
    packages = models.PositiveIntegerField(T("件数", "packages"), null=True, blank=True)
    gross_mass = models.DecimalField(
        T("货重（千克）", "goods' gross mass (kg)"), max_digits=15, decimal_places=3, null=True, blank=True
    )

    class Meta:
        verbose_name = T("装箱", "stuffing")
        verbose_name_plural = T("装箱", "stuffings")
        constraints = [models.UniqueConstraint(fields=["consignment", "equipment"], name="stuffing_once")]

    def __str__(self) -> str:
        return f"{self.equipment_id} {self.consignment}"
