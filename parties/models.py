from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from common.text import T
from common.validity import Validity, ValidityQuerySet, no_overlap

if TYPE_CHECKING:
    from parties.principals import Principal


class OrganisationRole(models.TextChoices):
    TRADING_FIRM = "trading_firm", T("贸易企业", "trading firm")
    CUSTOMS_BROKER = "customs_broker", T("报关企业", "customs broker")
    CARRIER = "carrier", T("承运人", "carrier")
    TERMINAL = "terminal", T("码头/场站", "terminal")
    CHARGING_BODY = "charging_body", T("收费主体", "charging body")
    BANK = "bank", T("银行", "bank")
    INSURER = "insurer", T("保险人", "insurer")
    MULTIMODAL_OPERATOR = "multimodal_operator", T("多式联运经营人", "multimodal transport operator")
    CUSTOMS_OFFICE = "customs_office", T("海关", "customs office")
    INSPECTION_AGENCY = "inspection_agency", T("查验单位", "inspection agency")
    PORT_AUTHORITY = "port_authority", T("口岸管理部门", "port authority")
    PARTNER_PROVINCE = "partner_province", T("协作省份", "partner province")


#: Officers of these supervise what others do; people of any other organisation see what is their own.
AUTHORITIES = frozenset(
    {OrganisationRole.CUSTOMS_OFFICE, OrganisationRole.PORT_AUTHORITY, OrganisationRole.INSPECTION_AGENCY}
)


class OrganisationQuerySet(models.QuerySet["Organisation"]):
    def visible_to(self, principal: Principal) -> Self:
        """Officers of authorities see all; others their own organisation and those they have a mandate with."""
        if principal.is_authority:
            return self
        own = principal.organisation_id
        return self.filter(Q(pk=own) | Q(mandates_given__broker_id=own) | Q(mandates_received__firm_id=own)).distinct()


class Organisation(models.Model):
    """A legal person that takes part: it declares, carries, handles, charges, inspects or decides."""

    name = models.CharField(T("名称", "name"), max_length=200)
    name_en = models.CharField(T("英文名称", "English name"), max_length=200, blank=True)
    #: 18 characters, GB 32100-2015; the check character is verified by parties.registration.
    social_credit_code = models.CharField(
        T("统一社会信用代码", "unified social credit code"), max_length=18, null=True, blank=True, unique=True
    )
    #: 10 characters, given by customs on registration (海关编码).
    customs_code = models.CharField(
        T("海关注册编码", "customs registration code"), max_length=10, null=True, blank=True, unique=True
    )
    roles: ArrayField = ArrayField(
        models.CharField(max_length=30, choices=OrganisationRole.choices), verbose_name=T("角色", "roles")
    )
    #: GB/T 2260 code of the province it belongs to.
    province = models.CharField(T("省份", "province"), max_length=6, blank=True)
    address = models.CharField(T("地址", "address"), max_length=300, blank=True)
    telephone = models.CharField(T("电话", "telephone"), max_length=60, blank=True)
    email = models.EmailField(T("电子邮件", "e-mail"), blank=True)
    suspended_since = models.DateField(T("暂停资格自", "suspended since"), null=True, blank=True)
    created_at = models.DateTimeField(T("建立时间", "created at"), default=timezone.now)

    objects = OrganisationQuerySet.as_manager()

    class Meta:
        verbose_name = T("单位", "organisation")
        verbose_name_plural = T("单位", "organisations")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def in_good_standing(self, day: date) -> bool:
        return self.suspended_since is None or day < self.suspended_since


class MandateQuerySet(ValidityQuerySet):
    def visible_to(self, principal: Principal) -> Self:
        if principal.is_authority:
            return self
        own = principal.organisation_id
        return self.filter(Q(firm_id=own) | Q(broker_id=own))


class Mandate(Validity):
    """A firm lets a broker declare for it (委托报关), from-to, for some customs procedures or all.

    Ended by closing ``valid``, never deleted."""

    firm = models.ForeignKey(
        Organisation, models.PROTECT, related_name="mandates_given", verbose_name=T("委托人", "firm")
    )
    broker = models.ForeignKey(
        Organisation, models.PROTECT, related_name="mandates_received", verbose_name=T("受托人", "broker")
    )
    #: Customs procedures (监管方式); empty means all.
    customs_procedures: ArrayField = ArrayField(
        models.CharField(max_length=4), default=list, blank=True, verbose_name=T("监管方式", "customs procedures")
    )
    agreement_number = models.CharField(T("委托协议号", "agreement number"), max_length=40, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = MandateQuerySet.as_manager()

    class Meta:
        verbose_name = T("报关委托", "mandate")
        verbose_name_plural = T("报关委托", "mandates")
        constraints = [
            no_overlap("mandate_once_at_a_time", "firm", "broker"),
            models.CheckConstraint(condition=~Q(firm=models.F("broker")), name="mandate_between_two"),
        ]

    def __str__(self) -> str:
        return f"{self.firm} → {self.broker}"


class ApiClient(models.Model):
    """A machine that acts for one organisation with OAuth 2.0 client credentials, with these scopes at most."""

    application = models.OneToOneField(
        "oauth2_provider.Application", models.CASCADE, related_name="api_client", verbose_name=T("应用", "application")
    )
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="api_clients", verbose_name=T("单位", "organisation")
    )
    scopes: ArrayField = ArrayField(models.CharField(max_length=40), verbose_name=T("权限范围", "scopes"))
    created_at = models.DateTimeField(T("建立时间", "created at"), default=timezone.now)
    revoked_at = models.DateTimeField(T("作废时间", "revoked at"), null=True, blank=True)

    class Meta:
        verbose_name = T("接口客户端", "API client")
        verbose_name_plural = T("接口客户端", "API clients")

    def __str__(self) -> str:
        return str(self.application)


class Officer(models.Model):
    """A person who logs in to the console. What they may decide follows from the offices assigned and the duties."""

    class Duty(models.TextChoices):
        EXAMINATION = "examination", T("审单", "examination")
        INSPECTION = "inspection", T("查验", "inspection")
        RELEASE = "release", T("放行", "release")
        DUTIES = "duties", T("征税", "duties and taxes")
        RISK = "risk", T("风险", "risk")
        TARIFF = "tariff", T("税则", "tariff")
        EXCHANGE = "exchange", T("数据交换", "exchange")
        SUPERVISION = "supervision", T("监督", "supervision")

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="officer", verbose_name=T("用户", "user")
    )
    organisation = models.ForeignKey(Organisation, models.PROTECT, verbose_name=T("单位", "organisation"))
    duties: ArrayField = ArrayField(
        models.CharField(max_length=20, choices=Duty.choices), default=list, verbose_name=T("职责", "duties")
    )

    class Meta:
        verbose_name = T("关员", "officer")
        verbose_name_plural = T("关员", "officers")

    def __str__(self) -> str:
        return self.user.get_full_name() or self.user.get_username()


class OfficeAssignment(Validity):
    """An officer works for a customs office from-to."""

    officer = models.ForeignKey(Officer, models.CASCADE, related_name="assignments", verbose_name=T("关员", "officer"))
    #: Customs office code (refdata list "customs_office").
    office = models.CharField(T("关区代码", "customs office"), max_length=4)

    objects = ValidityQuerySet.as_manager()

    class Meta:
        verbose_name = T("关区分配", "office assignment")
        verbose_name_plural = T("关区分配", "office assignments")
        constraints = [no_overlap("office_assignment_once_at_a_time", "officer", "office")]

    def __str__(self) -> str:
        return f"{self.officer} @ {self.office}"
