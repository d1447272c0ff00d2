"""The shapes of the tariff's answers, for the description of the API. Decimals are strings."""

from __future__ import annotations

from rest_framework import serializers as s


class FoundCommoditySerializer(s.Serializer):
    code = s.CharField()
    name = s.CharField(allow_blank=True)
    name_zh = s.CharField(allow_blank=True)
    name_en = s.CharField(allow_blank=True)
    unit1 = s.CharField(allow_blank=True)
    unit2 = s.CharField(allow_blank=True)
    example = s.BooleanField()


class FoundSerializer(s.Serializer):
    results = FoundCommoditySerializer(many=True)


class NamedSerializer(s.Serializer):
    code = s.CharField()
    name = s.CharField(allow_blank=True)


class MeasureSerializer(s.Serializer):
    kind = s.CharField()
    name = s.CharField()
    code = s.CharField(help_text="措施所在的编号，可为上级 / where it stands, maybe a parent")
    origin = s.CharField()
    agreement = s.CharField(allow_blank=True)
    exporter = s.CharField(allow_blank=True)
    rate = s.CharField(help_text="docs/tariffs.md 所述的税率写法 / as docs/tariffs.md writes rates")
    units = s.ListField(child=s.CharField())
    quota = s.CharField(allow_blank=True)
    legal_basis = s.CharField(allow_blank=True)
    valid_from = s.DateField(allow_null=True)
    valid_to = s.DateField(allow_null=True, help_text="第一个不再有效的日子 / first day without it")
    example = s.BooleanField()


class ApplicableSerializer(s.Serializer):
    origin = s.CharField()
    groups = s.ListField(child=s.CharField())
    duty = MeasureSerializer(allow_null=True)
    reason = s.CharField()
    remedies = MeasureSerializer(many=True)


class CommoditySerializer(s.Serializer):
    code = s.CharField()
    name = s.CharField(allow_blank=True)
    name_zh = s.CharField(allow_blank=True)
    name_en = s.CharField(allow_blank=True)
    on = s.DateField()
    path = NamedSerializer(many=True)
    units = NamedSerializer(many=True)
    elements = s.ListField(child=s.CharField())
    documents = NamedSerializer(many=True)
    inspection = s.CharField(allow_blank=True)
    valid_from = s.DateField(allow_null=True)
    valid_to = s.DateField(allow_null=True)
    example = s.BooleanField(help_text="含示例数据，并非官方税率 / holds example data, no official rates")
    tariff_version = s.IntegerField()
    measures = MeasureSerializer(many=True)
    applicable = ApplicableSerializer(allow_null=True)


class ChangeSerializer(s.Serializer):
    code = s.CharField()
    kind = s.CharField()
    kind_text = s.CharField()
    origin = s.CharField()
    exporter = s.CharField(allow_blank=True)
    before = s.CharField(allow_null=True)
    after = s.CharField(allow_null=True)


class OtherChangeSerializer(s.Serializer):
    table = s.CharField()
    key = s.CharField()
    before = s.CharField(allow_null=True)
    after = s.CharField(allow_null=True)


class ChangesSerializer(s.Serializer):
    to = s.DateField()
    complete = s.BooleanField()
    changes = ChangeSerializer(many=True)
    others = OtherChangeSerializer(
        many=True, help_text="其他各表；按编号前缀查询时为空 / the other tables; empty with a prefix"
    )

    def get_fields(self) -> dict[str, s.Field]:
        return {"from": s.DateField(), **super().get_fields()}


class TaxSerializer(s.Serializer):
    tax = s.CharField()
    base = s.CharField()
    rate = s.CharField()
    computed = s.CharField()
    due = s.CharField()
    payable = s.CharField()
    status = s.ChoiceField(choices=["levied", "reduced", "suspended", "exempt", "de-minimis"])
    secured = s.BooleanField()


class CandidateSerializer(s.Serializer):
    kind = s.CharField()
    kind_text = s.CharField()
    code = s.CharField()
    origin = s.CharField()
    agreement = s.CharField(allow_blank=True)
    exporter = s.CharField(allow_blank=True)
    rate = s.CharField()
    valid_from = s.DateField(allow_null=True)
    valid_to = s.DateField(allow_null=True)
    legal_basis = s.CharField(allow_blank=True)
    taken = s.BooleanField()
    amount = s.CharField(allow_null=True)
    reason = s.CharField()
    reason_text = s.CharField()
    article = s.CharField()
    article_text = s.CharField()


class RateTakenSerializer(s.Serializer):
    kind = s.CharField()
    rate = s.CharField()
    reason = s.CharField()


class AssessedItemSerializer(s.Serializer):
    number = s.IntegerField()
    code = s.CharField()
    origin = s.CharField(allow_blank=True)
    customs_value = s.CharField()
    rate_taken = RateTakenSerializer(allow_null=True)
    taxes = TaxSerializer(many=True)
    candidates = CandidateSerializer(many=True)


class TotalSerializer(s.Serializer):
    tax = s.CharField()
    name = s.CharField()
    computed = s.CharField()
    payable = s.CharField()


class ExchangeRateSerializer(s.Serializer):
    currency = s.CharField()
    rate = s.CharField()
    per = s.IntegerField()
    inverse = s.BooleanField()
    quoted_on = s.DateField()


class NoticeSerializer(s.Serializer):
    code = s.CharField()
    item = s.IntegerField(allow_null=True)
    text = s.CharField()


class StepSerializer(s.Serializer):
    code = s.CharField()
    item = s.IntegerField(allow_null=True)
    label = s.CharField()  # type: ignore[assignment]
    formula = s.CharField()
    worked = s.CharField()
    inputs = s.DictField(child=s.CharField())
    result = s.CharField()
    rounding = s.CharField(allow_blank=True)
    basis = s.CharField()
    basis_text = s.CharField()
    line = s.CharField(help_text="一行可读说明 / one readable line")


class AssessmentSerializer(s.Serializer):
    id = s.IntegerField(allow_null=True)
    declaration = s.CharField(allow_null=True)
    version = s.IntegerField()
    direction = s.CharField()
    regime = s.CharField()
    levy_nature = s.CharField()
    rate_day = s.DateField()
    tariff_version = s.IntegerField()
    example = s.BooleanField()
    currency = s.CharField()
    customs_value = s.CharField()
    items = AssessedItemSerializer(many=True)
    totals = TotalSerializer(many=True)
    late_declaration_fee = s.CharField()
    days_late = s.IntegerField()
    deferred_interest = s.CharField()
    days_deferred = s.IntegerField()
    payable = s.CharField()
    exchange_rates = ExchangeRateSerializer(many=True)
    notices = NoticeSerializer(many=True)
    explanation = StepSerializer(many=True, required=False)
    fixed_at = s.DateTimeField(required=False)
    reason = s.CharField(required=False, allow_blank=True)
    overrides = s.DictField(required=False)


class ExplanationSerializer(s.Serializer):
    id = s.IntegerField()
    version = s.IntegerField()
    steps = StepSerializer(many=True)


class FeeSerializer(s.Serializer):
    mark = s.ChoiceField(choices=["1", "2", "3"], help_text="1 率% / rate, 2 每吨 / a tonne, 3 总价 / total")
    value = s.CharField()
    currency = s.CharField(required=False)


class QuotationItemSerializer(s.Serializer):
    code = s.CharField(help_text="8 或 10 位 / 8 or 10 digits")
    total = s.CharField(help_text="成交总价 / invoice amount")
    currency = s.CharField(required=False)
    origin = s.CharField(required=False)
    quantities = s.DictField(
        child=s.CharField(), required=False, help_text="计量单位代码 → 数量 / unit code -> quantity"
    )
    duty_mode = s.CharField(required=False)
    agreement = s.CharField(required=False)
    certificate = s.BooleanField(required=False)
    preferential_origin = s.CharField(
        required=False, help_text="协定项下原产地（与原产国不同时）/ origin under the agreement, where it differs"
    )
    origin_proven = s.BooleanField(required=False)
    exporter = s.CharField(required=False)
    quota = s.CharField(required=False)
    parts = s.DictField(child=s.CharField(), required=False)
    reduction = s.CharField(required=False)


class AdjustmentSerializer(s.Serializer):
    kind = s.CharField()
    amount = s.CharField()
    currency = s.CharField(required=False)
    item = s.IntegerField(required=False, allow_null=True)


class BuyerSerializer(s.Serializer):
    reference = s.CharField(required=False)
    used_this_year = s.CharField(required=False)
    articles = s.IntegerField(required=False)


class QuotationRequestSerializer(s.Serializer):
    direction = s.CharField(required=False, help_text="I 进口 / import, E 出口 / export")
    completed_on = s.CharField(help_text="日期或带时区的时间 / a day, or a time with its offset")
    entered_on = s.CharField(required=False)
    advance = s.BooleanField(required=False)
    deferred_since = s.DateField(
        required=False, help_text="保税货物内销时，原进口日 / goods out of bond: the day of the import under suspension"
    )
    regime = s.CharField(required=False)
    levy_nature = s.CharField(required=False)
    trade_terms = s.CharField(required=False)
    freight = FeeSerializer(required=False)
    insurance = FeeSerializer(required=False)
    misc = FeeSerializer(required=False)
    gross_weight = s.CharField(required=False)
    adjustments = AdjustmentSerializer(many=True, required=False)
    buyer = BuyerSerializer(required=False)
    items = QuotationItemSerializer(many=True)
    explain = s.BooleanField(required=False)
    keep = s.BooleanField(required=False)


class MemoLineSerializer(s.Serializer):
    tax = s.CharField()
    amount = s.CharField()


class MemoSerializer(s.Serializer):
    number = s.CharField()
    declaration = s.CharField()
    assessment = s.IntegerField()
    state = s.CharField()
    state_text = s.CharField()
    lines = MemoLineSerializer(many=True)
    amount = s.CharField()
    tax = s.CharField(help_text="其中税款，滞纳金以此计算 / of which tax: what a late-payment charge is reckoned on")
    currency = s.CharField()
    issued_at = s.DateTimeField()
    completed_on = s.DateField()
    due_on = s.DateField()
    paid_on = s.DateField(allow_null=True)
    late_charge = s.CharField(help_text="已缴的滞纳金 / the charge that was paid")
    days_late = s.IntegerField(help_text="今日已滞纳天数 / days late if paid today")
    late_charge_today = s.CharField(help_text="今日缴纳的滞纳金 / the charge if paid today")
    late_charge_line = s.CharField(allow_blank=True, help_text="滞纳金算式 / how that charge is made")
    payable_today = s.CharField(help_text="今日应缴合计 / what is to be paid today, the charge included")
    notices = NoticeSerializer(many=True)


class MemoPageSerializer(s.Serializer):
    next = s.URLField(allow_null=True)
    previous = s.URLField(allow_null=True)
    results = MemoSerializer(many=True)


class RefundSerializer(s.Serializer):
    number = s.CharField()
    declaration = s.CharField()
    assessment = s.IntegerField()
    state = s.CharField()
    state_text = s.CharField()
    amount = s.CharField()
    currency = s.CharField()
    bank = s.CharField(allow_null=True, help_text="空：在柜台退还 / null: given back at the counter")
    created_at = s.DateTimeField()
    refunded_on = s.DateField(allow_null=True)


class RefundPageSerializer(s.Serializer):
    next = s.URLField(allow_null=True)
    previous = s.URLField(allow_null=True)
    results = RefundSerializer(many=True)


class RefundConfirmationSerializer(s.Serializer):
    reference = s.CharField()
    refund = s.CharField()
    amount = s.CharField()
    refunded_at = s.DateTimeField()


class PaymentSerializer(s.Serializer):
    reference = s.CharField()
    memo = s.CharField()
    amount = s.CharField()
    paid_at = s.DateTimeField()
    late_charge = s.CharField()
    settled = s.BooleanField()
