from __future__ import annotations

import secrets
import uuid
from typing import TYPE_CHECKING, Any, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from cargo.models import Consignment, Direction
from clearance.modes import MODES
from common.text import T
from common.validity import Validity, ValidityQuerySet, no_overlap
from declarations.models import Declaration
from parties.models import Organisation

if TYPE_CHECKING:
    from parties.principals import Principal


CASE_MODES = [(code, mode.label) for code, mode in MODES.items()]


class CaseQuerySet(models.QuerySet["Case"]):
    def visible_to(self, principal: Principal) -> Self:
        return self.filter(declaration__in=Declaration.objects.visible_to(principal))


class Case(models.Model):
    """A declaration on its way through clearance: which mode it takes, what was decided about it, what it waits for."""

    class Lane(models.TextChoices):
        RELEASE = "release", T("低风险直放", "low risk")
        REVIEW = "review", T("人工审核", "an officer looks")
        INSPECT = "inspect", T("布控查验", "inspection")

    declaration = models.OneToOneField(
        Declaration, models.CASCADE, related_name="case", verbose_name=T("报关单", "declaration")
    )
    mode = models.CharField(T("通关模式", "mode"), max_length=30, choices=CASE_MODES, default="ordinary")
    #: Where the firm wants the goods handed over (ship-side pick-up, direct loading) or kept (designated site).
    place = models.CharField(T("场所", "place"), max_length=17, blank=True)
    #: Lodged before the goods arrived.
    advance = models.BooleanField(T("提前申报", "lodged in advance"), default=False)
    consignment = models.ForeignKey(
        Consignment,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="cases",
        verbose_name=T("提运单货物", "consignment"),
    )
    #: The version of the declaration that selection has looked at; 0 for none yet.
    selected_version = models.PositiveIntegerField(T("已选查版本", "version selected"), default=0)
    lane = models.CharField(T("通道", "lane"), max_length=10, choices=Lane.choices, blank=True)
    #: An officer has looked at what selection sent to review.
    reviewed_at = models.DateTimeField(T("审核时间", "reviewed at"), null=True, blank=True)
    created_at = models.DateTimeField(T("建立时间", "created at"), default=timezone.now)

    objects = CaseQuerySet.as_manager()

    class Meta:
        verbose_name = T("通关案件", "clearance case")
        verbose_name_plural = T("通关案件", "clearance cases")

    def __str__(self) -> str:
        return str(self.declaration)


class Confirmation(models.Model):
    """A step of a mode that somebody has to confirm: the barge left, the transit arrived, the goods are allowed in."""

    case = models.ForeignKey(Case, models.CASCADE, related_name="confirmations", verbose_name=T("案件", "case"))
    step = models.CharField(T("步骤", "step"), max_length=30)
    at = models.DateTimeField(T("发生时间", "at"))
    place = models.CharField(T("场所", "place"), max_length=17, blank=True)
    actor = models.CharField(T("确认人", "confirmed by"), max_length=120)

    class Meta:
        verbose_name = T("步骤确认", "confirmation")
        verbose_name_plural = T("步骤确认", "confirmations")
        constraints = [models.UniqueConstraint(fields=["case", "step"], name="confirmation_once")]

    def __str__(self) -> str:
        return f"{self.case} {self.step}"


class RiskRule(Validity):
    """What is looked for in declarations from-to. Edited by closing a row and opening another; tried before it is switched
    on."""

    class Action(models.TextChoices):
        SCORE = "score", T("加分", "adds to the score")
        REVIEW = "review", T("人工审核", "an officer looks")
        INSPECT = "inspect", T("查验", "inspect")

    code = models.SlugField(T("代码", "code"), max_length=40)
    name = models.CharField(T("名称", "name"), max_length=120)
    condition: models.JSONField[Any, Any] = models.JSONField(T("条件", "condition"))
    action = models.CharField(T("处置", "action"), max_length=10, choices=Action.choices)
    #: Agencies that inspect together: "customs" or an organisation's id.
    agencies: ArrayField = ArrayField(
        models.CharField(max_length=20), default=list, blank=True, verbose_name=T("查验单位", "agencies")
    )
    instruction = models.CharField(T("查验要求", "instruction"), max_length=500, blank=True)
    #: Of those the condition hits, how many per cent are taken; drawn once per declaration.
    share = models.DecimalField(T("抽中比例（%）", "share (%)"), max_digits=6, decimal_places=3, default=100)
    basis = models.CharField(T("依据", "basis"), max_length=300)
    active = models.BooleanField(T("启用", "switched on"), default=False)
    #: What the last trial found: days, declarations, hits.
    trial: models.JSONField[Any, Any] = models.JSONField(T("试算结果", "trial"), null=True, blank=True)
    created_by = models.CharField(T("建立人", "created by"), max_length=120)
    created_at = models.DateTimeField(T("建立时间", "created at"), default=timezone.now)

    objects = ValidityQuerySet.as_manager()

    class Meta:
        verbose_name = T("风险规则", "risk rule")
        verbose_name_plural = T("风险规则", "risk rules")
        constraints = [
            no_overlap("risk_rule_once", "code"),
            models.CheckConstraint(condition=Q(share__gte=0, share__lte=100), name="risk_rule_share"),
            models.CheckConstraint(condition=Q(active=False) | Q(trial__isnull=False), name="risk_rule_tried_first"),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class CreditStanding(Validity):
    """What a firm's conduct earned it from-to (红黑名单), and on what basis; it scales the random shares."""

    class Standing(models.TextChoices):
        RED = "red", T("红名单", "red list: trusted")
        BLACK = "black", T("黑名单", "black list: distrusted")

    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name=T("单位", "organisation")
    )
    standing = models.CharField(T("名单", "list"), max_length=5, choices=Standing.choices)
    #: Multiplies the share of every rule: 0.2 for a fifth of the inspections, 5 for five times.
    factor = models.DecimalField(T("抽查系数", "factor"), max_digits=5, decimal_places=2)
    basis = models.CharField(T("依据", "basis"), max_length=300)

    objects = ValidityQuerySet.as_manager()

    class Meta:
        verbose_name = T("信用名单", "credit standing")
        verbose_name_plural = T("信用名单", "credit standings")
        constraints = [no_overlap("credit_standing_once", "organisation")]

    def __str__(self) -> str:
        return f"{self.organisation} {self.standing}"


class Selection(models.Model):
    """What the rules of the day found in one version of a declaration. Written once, never changed."""

    declaration = models.ForeignKey(
        Declaration, models.CASCADE, related_name="selections", verbose_name=T("报关单", "declaration")
    )
    version = models.PositiveIntegerField(T("版本", "version"))
    lane = models.CharField(T("通道", "lane"), max_length=10, choices=Case.Lane.choices)
    #: Rules that hit: code, action, drawn, share.
    hits: models.JSONField[Any, Any] = models.JSONField(T("命中规则", "rules hit"), default=list)
    score = models.PositiveIntegerField(T("风险分", "score"), default=0)
    at = models.DateTimeField(T("时间", "at"), default=timezone.now)

    class Meta:
        verbose_name = T("选查结果", "selection")
        verbose_name_plural = T("选查结果", "selections")
        constraints = [models.UniqueConstraint(fields=["declaration", "version"], name="selection_once")]

    def __str__(self) -> str:
        return f"{self.declaration} v{self.version} {self.lane}"


class HoldQuerySet(models.QuerySet["Hold"]):
    def standing(self) -> Self:
        return self.filter(lifted_at=None)

    def visible_to(self, principal: Principal) -> Self:
        if principal.is_officer:
            return self
        return self.filter(audience__contains=[principal.organisation_id or 0])


class Hold(models.Model):
    """Somebody with the right to does not want goods to go. ``reference`` is ``declaration:…``, ``bill:…`` or
    ``container:…``. PostgreSQL refuses to release a declaration while one stands on it."""

    class Kind(models.TextChoices):
        CUSTOMS = "customs", T("海关", "customs")
        INSPECTION = "inspection", T("查验单位", "inspection agency")
        CARRIER = "carrier", T("承运人", "carrier")
        TERMINAL = "terminal", T("码头/场站", "terminal")
        DUTY = "duty", T("税费", "duty")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    reference = models.CharField(T("对象", "on"), max_length=60)
    kind = models.CharField(T("类别", "kind"), max_length=10, choices=Kind.choices)
    reason = models.CharField(T("原因", "reason"), max_length=300)
    holder = models.ForeignKey(
        Organisation, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=T("扣留单位", "holder")
    )
    #: The holder's own number of this hold: a repeated message is the same hold.
    holder_reference = models.CharField(T("扣留方编号", "holder's reference"), max_length=64)
    audience: ArrayField = ArrayField(models.BigIntegerField(), default=list)
    placed_by = models.CharField(T("扣留人", "placed by"), max_length=120)
    placed_at = models.DateTimeField(T("扣留时间", "placed at"), default=timezone.now)
    #: Placed after release: it cannot take the release back, but no gate lets the goods out.
    after_release = models.BooleanField(T("放行后扣留", "after release"), default=False)
    lifted_by = models.CharField(T("解除人", "lifted by"), max_length=120, blank=True)
    lifted_at = models.DateTimeField(T("解除时间", "lifted at"), null=True, blank=True)

    objects = HoldQuerySet.as_manager()

    class Meta:
        verbose_name = T("扣留", "hold")
        verbose_name_plural = T("扣留", "holds")
        constraints = [
            models.UniqueConstraint(fields=["holder", "holder_reference"], name="hold_once", nulls_distinct=False),
        ]
        indexes = [models.Index(fields=["reference"], condition=Q(lifted_at=None), name="hold_standing")]

    def __str__(self) -> str:
        return f"{self.reference} {self.kind}"


class Release(models.Model):
    """The one fact that terminal, carrier and firm ask for: customs lets the goods go. ``pickup`` lets them leave the
    port before everything is done (two-step, two-stage); ``final`` is the release."""

    class Stage(models.TextChoices):
        PICKUP = "pickup", T("提离放行", "released for pick-up")
        FINAL = "final", T("放行", "released")

    declaration = models.ForeignKey(
        Declaration, models.PROTECT, related_name="releases", verbose_name=T("报关单", "declaration")
    )
    stage = models.CharField(T("阶段", "stage"), max_length=6, choices=Stage.choices)
    at = models.DateTimeField(T("时间", "at"), default=timezone.now)
    actor = models.CharField(T("放行人", "by"), max_length=120)
    #: What had been fulfilled: the conditions of the mode, by name.
    conditions: models.JSONField[Any, Any] = models.JSONField(T("条件", "conditions"), default=list)

    class Meta:
        verbose_name = T("放行", "release")
        verbose_name_plural = T("放行", "releases")
        constraints = [models.UniqueConstraint(fields=["declaration", "stage"], name="release_once")]

    def __str__(self) -> str:
        return f"{self.declaration} {self.stage}"


class GateMoveQuerySet(models.QuerySet["GateMove"]):
    def visible_to(self, principal: Principal) -> Self:
        if principal.is_officer:
            return self
        return self.filter(audience__contains=[principal.organisation_id or 0])


class GateMove(models.Model):
    """A container passes a gate, or is kept from passing. Codes as terminals send them: GTIN/GTOT, EMPTY/LADEN."""

    class Move(models.TextChoices):
        IN = "GTIN", T("进闸", "gate in")
        OUT = "GTOT", T("出闸", "gate out")

    class Fullness(models.TextChoices):
        EMPTY = "EMPTY", T("空箱", "empty")
        LADEN = "LADEN", T("重箱", "laden")

    reporter = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name=T("报送单位", "reported by")
    )
    message_id = models.CharField(T("报文编号", "message id"), max_length=64)
    container = models.CharField(T("集装箱号", "container"), max_length=11)
    move = models.CharField(T("进出", "move"), max_length=4, choices=Move.choices)
    fullness = models.CharField(T("空重", "fullness"), max_length=5, choices=Fullness.choices)
    place = models.CharField(T("场所", "place"), max_length=17)
    truck = models.CharField(T("车牌", "truck"), max_length=35, blank=True)
    seal = models.CharField(T("封志号", "seal"), max_length=35, blank=True)
    at = models.DateTimeField(T("发生时间", "at"))
    recorded_at = models.DateTimeField(T("记录时间", "recorded at"), default=timezone.now)
    permitted = models.BooleanField(T("准予通过", "permitted"))
    #: Why not: codes.
    reasons: ArrayField = ArrayField(models.CharField(max_length=120), default=list)
    declarations: ArrayField = ArrayField(models.CharField(max_length=18), default=list)
    audience: ArrayField = ArrayField(models.BigIntegerField(), default=list)

    objects = GateMoveQuerySet.as_manager()

    class Meta:
        verbose_name = T("闸口记录", "gate move")
        verbose_name_plural = T("闸口记录", "gate moves")
        constraints = [models.UniqueConstraint(fields=["reporter", "message_id"], name="gate_move_once")]
        indexes = [models.Index(fields=["container", "at"], name="gate_move_container")]

    def __str__(self) -> str:
        return f"{self.container} {self.move}"


class Appointment(models.Model):
    """One time and place at which all agencies look at a consignment together (一次查验)."""

    class State(models.TextChoices):
        OPEN = "open", T("待约定", "to be agreed")
        BOOKED = "booked", T("已预约", "booked")
        DONE = "done", T("已完成", "done")
        CANCELLED = "cancelled", T("已取消", "cancelled")

    declaration = models.ForeignKey(
        Declaration, models.CASCADE, related_name="appointments", verbose_name=T("报关单", "declaration")
    )
    place = models.CharField(T("查验场所", "place"), max_length=17, blank=True)
    starts_at = models.DateTimeField(T("开始", "from"), null=True, blank=True)
    ends_at = models.DateTimeField(T("结束", "to"), null=True, blank=True)
    state = models.CharField(T("状态", "state"), max_length=10, choices=State.choices, default=State.OPEN)
    created_at = models.DateTimeField(T("建立时间", "created at"), default=timezone.now)

    class Meta:
        verbose_name = T("查验预约", "inspection appointment")
        verbose_name_plural = T("查验预约", "inspection appointments")
        constraints = [
            models.UniqueConstraint(
                fields=["declaration"], condition=Q(state__in=["open", "booked"]), name="one_appointment_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(starts_at=None) | Q(ends_at__gt=models.F("starts_at")), name="appointment_has_length"
            ),
        ]
        indexes = [models.Index(fields=["place", "starts_at"], name="appointment_calendar")]

    def __str__(self) -> str:
        return f"{self.declaration} {self.starts_at}"


class InspectionOrderQuerySet(models.QuerySet["InspectionOrder"]):
    def visible_to(self, principal: Principal) -> Self:
        if principal.is_officer:
            return self.filter(declaration__in=Declaration.objects.visible_to(principal))
        return self.filter(
            Q(agency_id=principal.organisation_id) | Q(declaration__in=Declaration.objects.visible_to(principal))
        )

    def open(self) -> Self:
        return self.filter(state=InspectionOrder.State.ORDERED)


class InspectionOrder(models.Model):
    """One agency wants to look at the goods."""

    class State(models.TextChoices):
        ORDERED = "ordered", T("待查验", "ordered")
        PASSED = "passed", T("通过", "passed")
        #: Something differs from what was declared: followed up by an amendment or a penalty case.
        DIFFERENCE = "difference", T("有差异", "difference found")
        CANCELLED = "cancelled", T("已取消", "cancelled")

    class Stage(models.TextChoices):
        PORT = "port", T("口岸查验", "at the port")
        DESTINATION = "destination", T("目的地查验", "at destination")

    declaration = models.ForeignKey(
        Declaration, models.CASCADE, related_name="inspection_orders", verbose_name=T("报关单", "declaration")
    )
    appointment = models.ForeignKey(
        Appointment, models.PROTECT, related_name="orders", verbose_name=T("预约", "appointment")
    )
    #: Null for customs itself.
    agency = models.ForeignKey(
        Organisation, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=T("查验单位", "agency")
    )
    stage = models.CharField(T("阶段", "stage"), max_length=12, choices=Stage.choices, default=Stage.PORT)
    instruction = models.CharField(T("查验要求", "instruction"), max_length=500, blank=True)
    ordered_by = models.CharField(T("下达人", "ordered by"), max_length=120)
    ordered_at = models.DateTimeField(T("下达时间", "ordered at"), default=timezone.now)
    state = models.CharField(T("状态", "state"), max_length=10, choices=State.choices, default=State.ORDERED)
    result_note = models.CharField(T("结果说明", "result"), max_length=1000, blank=True)
    result_by = models.CharField(T("登记人", "result by"), max_length=120, blank=True)
    result_at = models.DateTimeField(T("登记时间", "result at"), null=True, blank=True)
    #: For a difference: "amendment" or "penalty", and when it was settled.
    follow_up = models.CharField(T("后续", "follow-up"), max_length=10, blank=True)
    settled_at = models.DateTimeField(T("处理完毕", "settled at"), null=True, blank=True)

    objects = InspectionOrderQuerySet.as_manager()

    class Meta:
        verbose_name = T("查验指令", "inspection order")
        verbose_name_plural = T("查验指令", "inspection orders")
        constraints = [
            models.UniqueConstraint(
                fields=["declaration", "agency", "stage"], condition=Q(state="ordered"), nulls_distinct=False,
                name="one_open_order_per_agency",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.declaration} {self.state}"


class Evidence(models.Model):
    """A photo, a sample slip or a report that belongs to an inspection. The file lies outside the web root under a name of
    our own; its type is what its content says."""

    order = models.ForeignKey(
        InspectionOrder, models.CASCADE, related_name="evidence", verbose_name=T("查验指令", "order")
    )
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(T("文件名", "file name"), max_length=200)
    content_type = models.CharField(T("类型", "type"), max_length=40)
    size = models.PositiveIntegerField(T("大小", "size"))
    sha256 = models.CharField(max_length=64)
    #: A sample taken: its number; empty for photos and reports.
    sample_number = models.CharField(T("样品编号", "sample"), max_length=40, blank=True)
    added_by = models.CharField(T("上传人", "added by"), max_length=120)
    added_at = models.DateTimeField(T("上传时间", "added at"), default=timezone.now)

    class Meta:
        verbose_name = T("查验凭证", "evidence")
        verbose_name_plural = T("查验凭证", "evidence")

    def __str__(self) -> str:
        return self.name


class PenaltyCase(models.Model):
    """A difference that has to be dealt with as a breach of rules. Release waits until it is closed."""

    declaration = models.ForeignKey(
        Declaration, models.PROTECT, related_name="penalty_cases", verbose_name=T("报关单", "declaration")
    )
    order = models.OneToOneField(InspectionOrder, models.PROTECT, verbose_name=T("查验指令", "inspection order"))
    reason = models.CharField(T("事由", "reason"), max_length=1000)
    opened_at = models.DateTimeField(T("立案时间", "opened at"), default=timezone.now)
    outcome = models.CharField(T("处理结果", "outcome"), max_length=1000, blank=True)
    closed_by = models.CharField(T("结案人", "closed by"), max_length=120, blank=True)
    closed_at = models.DateTimeField(T("结案时间", "closed at"), null=True, blank=True)

    class Meta:
        verbose_name = T("处罚案件", "penalty case")
        verbose_name_plural = T("处罚案件", "penalty cases")

    def __str__(self) -> str:
        return str(self.declaration)


class ChangeRequest(models.Model):
    """A declarant asks customs to let an accepted declaration be amended or withdrawn (Customs Law art. 26)."""

    class Kind(models.TextChoices):
        AMEND = "amend", T("修改", "amend")
        WITHDRAW = "withdraw", T("撤销", "withdraw")

    class State(models.TextChoices):
        PENDING = "pending", T("待审核", "pending")
        APPROVED = "approved", T("同意", "approved")
        REFUSED = "refused", T("不同意", "refused")

    declaration = models.ForeignKey(
        Declaration, models.CASCADE, related_name="change_requests", verbose_name=T("报关单", "declaration")
    )
    kind = models.CharField(T("类别", "kind"), max_length=10, choices=Kind.choices)
    reason = models.CharField(T("理由", "reason"), max_length=255)
    message: models.JSONField[Any, Any] = models.JSONField(T("修改后内容", "proposed content"), null=True, blank=True)
    #: Against which version the difference was made.
    version = models.PositiveIntegerField(T("版本", "version"))
    difference: models.JSONField[Any, Any] = models.JSONField(T("差异", "difference"), default=list)
    requested_by = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name=T("申请人", "requested by")
    )
    actor = models.CharField(max_length=120)
    requested_at = models.DateTimeField(T("申请时间", "requested at"), default=timezone.now)
    state = models.CharField(T("状态", "state"), max_length=10, choices=State.choices, default=State.PENDING)
    decided_by = models.CharField(T("审核人", "decided by"), max_length=120, blank=True)
    decided_at = models.DateTimeField(T("审核时间", "decided at"), null=True, blank=True)
    note = models.CharField(T("意见", "note"), max_length=500, blank=True)

    class Meta:
        verbose_name = T("修撤单申请", "change request")
        verbose_name_plural = T("修撤单申请", "change requests")
        constraints = [
            models.UniqueConstraint(
                fields=["declaration"], condition=Q(state="pending"), name="one_pending_change_request"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.declaration} {self.kind}"


class Deadline(models.Model):
    """A day by which something has to be done, reckoned on the legal calendar; warned of before, told of when missed."""

    class Kind(models.TextChoices):
        DECLARE = "declare", T("进境申报期限", "declare after entry")
        FULL_DECLARATION = "full_declaration", T("完整申报期限", "full declaration")
        ABANDONMENT = "abandonment", T("超期未报", "undeclared for three months")

    kind = models.CharField(T("类别", "kind"), max_length=20, choices=Kind.choices)
    consignment = models.ForeignKey(
        Consignment,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="deadlines",
        verbose_name=T("货物", "consignment"),
    )
    case = models.ForeignKey(
        Case, models.CASCADE, null=True, blank=True, related_name="deadlines", verbose_name=T("案件", "case")
    )
    due_on = models.DateField(T("截止日", "due on"))
    warned_at = models.DateTimeField(T("提醒时间", "warned at"), null=True, blank=True)
    met_at = models.DateTimeField(T("完成时间", "met at"), null=True, blank=True)
    missed_at = models.DateTimeField(T("逾期时间", "missed at"), null=True, blank=True)

    class Meta:
        verbose_name = T("期限", "deadline")
        verbose_name_plural = T("期限", "deadlines")
        constraints = [
            models.UniqueConstraint(fields=["kind", "consignment", "case"], nulls_distinct=False, name="deadline_once"),
        ]
        indexes = [
            models.Index(fields=["due_on"], condition=Q(met_at=None, missed_at=None), name="deadline_running"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.due_on}"


def _code() -> str:
    return secrets.token_urlsafe(18)


class PortPaperQuerySet(models.QuerySet["PortPaper"]):
    def visible_to(self, principal: Principal) -> Self:
        if principal.is_officer:
            return self
        return self.filter(audience__contains=[principal.organisation_id or 0])


class PortPaper(models.Model):
    """A paper of the port, without the paper: issued, versioned, verifiable by anybody who holds its code."""

    class Kind(models.TextChoices):
        EIR = "EIR", T("设备交接单", "equipment interchange receipt")
        CLP = "CLP", T("装箱单", "container packing list")
        DO = "DO", T("提货单", "delivery order")

    number = models.CharField(T("编号", "number"), max_length=40)
    version = models.PositiveIntegerField(T("版本", "version"), default=1)
    kind = models.CharField(T("类别", "kind"), max_length=3, choices=Kind.choices)
    issuer = models.ForeignKey(Organisation, models.PROTECT, related_name="+", verbose_name=T("签发单位", "issuer"))
    consignment = models.ForeignKey(
        Consignment, models.PROTECT, null=True, blank=True, related_name="papers", verbose_name=T("货物", "consignment")
    )
    container = models.CharField(T("集装箱号", "container"), max_length=11, blank=True)
    content: models.JSONField[Any, Any] = models.JSONField(T("内容", "content"))
    audience: ArrayField = ArrayField(models.BigIntegerField(), default=list)
    code = models.CharField(T("验证码", "verification code"), max_length=24, unique=True, default=_code)
    issued_by = models.CharField(T("签发人", "issued by"), max_length=120)
    issued_at = models.DateTimeField(T("签发时间", "issued at"), default=timezone.now)
    superseded_at = models.DateTimeField(T("被替代时间", "superseded at"), null=True, blank=True)
    cancelled_at = models.DateTimeField(T("作废时间", "cancelled at"), null=True, blank=True)

    objects = PortPaperQuerySet.as_manager()

    class Meta:
        verbose_name = T("港口单证", "port paper")
        verbose_name_plural = T("港口单证", "port papers")
        constraints = [models.UniqueConstraint(fields=["number", "version"], name="port_paper_version_once")]

    def __str__(self) -> str:
        return f"{self.number} v{self.version}"


class TimeLimit(Validity):
    """How long an operation may take, as published (口岸作业时限标准); rows with an office go before rows without."""

    operation = models.CharField(T("作业", "operation"), max_length=30)
    office = models.CharField(T("海关", "customs office"), max_length=4, blank=True)
    direction = models.CharField(T("进出口", "direction"), max_length=1, choices=Direction.choices)
    hours = models.DecimalField(T("时限（小时）", "hours"), max_digits=7, decimal_places=2)
    source = models.CharField(T("依据", "source"), max_length=300)

    objects = ValidityQuerySet.as_manager()

    class Meta:
        verbose_name = T("作业时限", "time limit")
        verbose_name_plural = T("作业时限", "time limits")
        constraints = [no_overlap("time_limit_once", "operation", "office", "direction")]

    def __str__(self) -> str:
        return f"{self.operation} {self.direction} {self.hours} h"


class ClearanceTime(models.Model):
    """The milestones of one declaration, read from the event log and nowhere else; rebuilt at will."""

    unified_number = models.CharField(T("统一编号", "unified number"), max_length=18, primary_key=True)
    office = models.CharField(T("海关", "customs office"), max_length=4)
    direction = models.CharField(T("进出口", "direction"), max_length=1)
    mode = models.CharField(T("通关模式", "mode"), max_length=30, default="ordinary")
    advance = models.BooleanField(T("提前申报", "lodged in advance"), default=False)
    #: First day of the month of release (or of acceptance, while not released).
    month = models.DateField(T("月份", "month"), null=True)
    arrived_at = models.DateTimeField(T("运抵", "arrived"), null=True)
    lodged_at = models.DateTimeField(T("申报", "declared"), null=True)
    accepted_at = models.DateTimeField(T("接受申报", "accepted"), null=True)
    released_at = models.DateTimeField(T("放行", "released"), null=True)
    gate_out_at = models.DateTimeField(T("提离", "gate out"), null=True)

    class Meta:
        verbose_name = T("通关时间", "clearance time")
        verbose_name_plural = T("通关时间", "clearance times")
        indexes = [models.Index(fields=["month", "office"], name="clearance_time_month")]

    def __str__(self) -> str:
        return self.unified_number
