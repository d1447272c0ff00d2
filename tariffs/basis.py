"""Legal bases and formulas by key, in Chinese and English. The arithmetic names the key; the texts are made when read."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from .rates import plain

BASES: dict[str, tuple[str, str]] = {
    "tariff-law-12": ("关税法第十二条", "Tariff Law art. 12"),
    "tariff-law-13": ("关税法第十三条", "Tariff Law art. 13"),
    "tariff-law-14": ("关税法第十四条", "Tariff Law art. 14"),
    "tariff-law-16": ("关税法第十六条", "Tariff Law art. 16"),
    "tariff-law-17": ("关税法第十七条", "Tariff Law art. 17"),
    "tariff-law-18": ("关税法第十八条", "Tariff Law art. 18"),
    "tariff-law-19": ("关税法第十九条", "Tariff Law art. 19"),
    "tariff-law-20": ("关税法第二十条、海关总署令第272号第十四条", "Tariff Law art. 20, GACC Order 272 art. 14"),
    "tariff-law-23": ("关税法第二十三条", "Tariff Law art. 23"),
    "tariff-law-24": ("关税法第二十四条", "Tariff Law art. 24"),
    "tariff-law-25": ("关税法第二十五条", "Tariff Law art. 25"),
    "tariff-law-26": ("关税法第二十六条", "Tariff Law art. 26"),
    "tariff-law-27": ("关税法第二十七条", "Tariff Law art. 27"),
    "tariff-law-29": ("关税法第二十九条", "Tariff Law art. 29"),
    "tariff-law-32": ("关税法第三十二条第一项", "Tariff Law art. 32(1)"),
    "tariff-law-43": ("关税法第四十三条", "Tariff Law art. 43"),
    "order-272-13": ("海关总署令第272号第十三条", "GACC Order 272 art. 13"),
    "order-213": ("海关总署令第213号（一般知识）", "GACC Order 213 (general knowledge)"),
    "order-128": ("海关总署令第128号（一般知识）", "GACC Order 128 (general knowledge)"),
    "customs-law-24": ("海关法第二十四条", "Customs Law art. 24"),
    "vat-law-10-14": ("增值税法第十条、第十四条", "VAT Law arts 10 and 14"),
    "consumption-5": ("消费税暂行条例第五条", "Consumption Tax Regulation art. 5"),
    "consumption-9": ("消费税暂行条例第九条", "Consumption Tax Regulation art. 9"),
    "deferred-interest": ("缓税利息（一般知识）", "deferred interest (general knowledge)"),
    "price-class": ("税率表所列价格档次", "the price classes of the rate table"),
    "retail-2016-18": ("财关税〔2016〕18号（一般知识）", "Caiguanshui [2016] 18 (general knowledge)"),
    "retail-2018-49": ("财关税〔2018〕49号（一般知识）", "Caiguanshui [2018] 49 (general knowledge)"),
    "split": ("分摊规则：按价格累计取整", "split rule: by price, cumulative rounding"),
    "officer": ("海关核定", "fixed by a customs officer"),
    "regime": ("监管方式与征免性质规则表", "regime and levy-nature table"),
}

ROUNDINGS: dict[str, tuple[str, str]] = {
    "": ("", ""),
    "fen": ("四舍五入到分", "rounded half-up to the fen"),
    "yuan-down": ("不足一元舍去", "fractions of a yuan dropped"),
}

#: code -> what the figure is, and how it is made. Names in formulas are the names of the step's inputs.
FORMULAS: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "rate-day": (
        ("适用税率日期", "Rate day"),
        (
            "申报完成之日；提前申报的为运输工具申报进境之日",
            "the day the declaration is completed; declared ahead, the day the means of transport declares entry",
        ),
    ),
    "regime": (
        ("监管方式与征免性质", "Regime and levy nature"),
        ("规则表对关税、贸易救济、消费税、增值税的处理", "what the table does with duty, remedies, consumption tax, VAT"),
    ),
    "price": (("货价", "Price in yuan"), ("原币总价 × 汇率", "price × exchange rate")),
    "freight": (("运费", "Freight"), ("申报运费折合人民币", "declared freight in yuan")),
    "freight-rate": (("运费", "Freight"), ("货价 × 运费率", "price × freight rate")),
    "freight-unit": (("运费", "Freight"), ("毛重吨数 × 每吨运费 × 汇率", "gross tonnes × freight per tonne × exchange rate")),
    "insurance": (("保险费", "Insurance"), ("申报保险费折合人民币", "declared insurance in yuan")),
    "insurance-rate": (
        ("保险费", "Insurance"),
        ("(货价 + 运费) × 保险费率 ÷ (1 − 保险费率)", "(price + freight) × insurance rate ÷ (1 − insurance rate)"),
    ),
    "insurance-default": (
        ("保险费（无法确定时）", "Insurance (not known)"),
        ("(货价 + 运费) × 千分之三", "(price + freight) × 0.3 %"),
    ),
    "insurance-included": (("保险费", "Insurance"), ("成交价 × 保险费率", "price × insurance rate")),
    "misc": (("杂费", "Miscellaneous"), ("申报杂费折合人民币", "declared miscellaneous charges in yuan")),
    "misc-rate": (("杂费", "Miscellaneous"), ("货价 × 杂费率", "price × miscellaneous rate")),
    "share": (
        ("分摊费用", "Share of a charge"),
        ("费用 × 累计货价 ÷ 货价合计 − 已分摊", "charge × running price ÷ total price − given to the items before"),
    ),
    "addition": (("计入项目", "Addition"), ("计入项目折合人民币", "addition in yuan")),
    "deduction": (("扣除项目", "Deduction"), ("扣除项目折合人民币", "deduction in yuan")),
    "customs-value": (
        ("计税价格", "Customs value"),
        ("货价 + 运费 + 保险费 + 杂费 + 计入 − 扣除", "price + freight + insurance + misc + additions − deductions"),
    ),
    "customs-value-export": (
        ("出口计税价格", "Export customs value"),
        ("(离岸价 − 从量税额) ÷ (1 + 出口关税税率)", "(FOB price − specific duty) ÷ (1 + export duty rate)"),
    ),
    "customs-value-fixed": (("计税价格", "Customs value"), ("海关核定", "fixed by customs")),
    "duty": (("关税", "Customs duty"), ("计税价格（或数量）× 税率", "customs value (or quantity) × rate")),
    "export-duty": (("出口关税", "Export duty"), ("出口计税价格（或数量）× 税率", "export value (or quantity) × rate")),
    "anti-dumping": (("反倾销税", "Anti-dumping duty"), ("计税价格 × 反倾销税税率", "customs value × anti-dumping rate")),
    "countervailing": (("反补贴税", "Countervailing duty"), ("计税价格 × 反补贴税税率", "customs value × countervailing rate")),
    "safeguard": (("保障措施关税", "Safeguard duty"), ("计税价格 × 保障措施税率", "customs value × safeguard rate")),
    "retaliation": (("报复性（对等）关税", "Retaliation duty"), ("计税价格 × 加征税率", "customs value × additional rate")),
    "reduction": (("减征后税额", "After reduction"), ("税额 × 减征比例", "tax × share levied")),
    "consumption-base": (
        ("消费税计税价格", "Consumption tax base"),
        (
            "(计税价格 + 关税 + 数量 × 定额税率) ÷ (1 − 比例税率)",
            "(customs value + duty + quantity × specific rate) ÷ (1 − ad valorem rate)",
        ),
    ),
    "price-class": (
        ("消费税价格档次", "Consumption tax price class"),
        ("每单位价格与分档标准比较", "price of one unit against the mark between the classes"),
    ),
    "consumption-tax": (
        ("消费税", "Consumption tax"),
        ("消费税计税价格 × 比例税率 + 数量 × 定额税率", "base × ad valorem rate + quantity × specific rate"),
    ),
    "vat-base": (("增值税计税价格", "VAT base"), ("计税价格 + 关税 + 消费税", "customs value + duty + consumption tax")),
    "vat": (("增值税", "VAT"), ("增值税计税价格 × 税率", "VAT base × rate")),
    "retail-limit": (
        ("跨境电商零售进口订单金额", "Retail order"),
        ("计税价格合计与单次交易限值比较", "total customs value against the limit of one order"),
    ),
    "retail-consumption-tax": (
        ("跨境电商综合税：消费税", "Retail composite tax: consumption tax"),
        ("法定消费税 × 征收比例", "statutory consumption tax × share levied"),
    ),
    "retail-vat": (
        ("跨境电商综合税：增值税", "Retail composite tax: VAT"),
        ("法定增值税 × 征收比例", "statutory VAT × share levied"),
    ),
    "de-minimis": (
        ("起征点以下免征", "Below the threshold, not levied"),
        ("单项税额合计 ≤ 起征额", "total of the tax ≤ threshold"),
    ),
    "days-late": (
        ("滞报天数", "Days late"),
        ("申报日 − 免费期最后一日", "the day of declaration − the last free day"),
    ),
    "late-declaration-fee": (
        ("滞报金", "Late-declaration fee"),
        ("计税价格合计 × 日率 × 滞报天数", "total customs value × daily rate × days late"),
    ),
    "deferred-interest": (
        ("缓税利息", "Deferred interest"),
        ("应缴税款 × 日利率 × 计息天数", "taxes × daily rate × days"),
    ),
    "late-payment": (("滞纳金", "Late-payment charge"), ("税款 × 日率 × 滞纳天数", "tax × daily rate × days late")),
    "exchange-rate": (("汇率", "Exchange rate"), ("上月第三个星期三（顺延）中间价", "parity of last month's third Wednesday")),
}  # fmt: skip

NOTICES: dict[str, tuple[str, str]] = {
    "fee-in-price": ("成交方式已含该费用，未另行计入：{fee}", "the trade terms include this charge; not added: {fee}"),
    "insurance-default": ("未申报保险费，按千分之三计算", "no insurance declared; 0.3 % was used"),
    "eight-digits": (
        "税则只到八位，{code} 的后两位未核对",
        "the tariff ends at 8 digits; the last two of {code} were not checked",
    ),
    "exw-costs": (
        "EXW：出口国内费用须列入杂费或计入项目",
        "EXW: costs up to export belong in miscellaneous or additions",
    ),
    "calendar-missing": (
        "{year} 年节假日安排未加载，仅按周末和固定日期的法定节假日计算",
        "holidays of {year} are not loaded; only weekends and statutory days of fixed date count",
    ),
    "arrival-unknown": (
        "提前申报：税率和汇率将按运输工具申报进境之日重新确定",
        "declared before arrival: rates will be fixed again on the day the means of transport declares entry",
    ),
    "example-tariff": ("所用税则为示例数据，并非官方税率", "the tariff used is example data, not official rates"),
    "regime-unknown": ("规则表中无该监管方式，按照章征税计算", "the regime is not in the table; levied as prescribed"),
    "exemption-unsupported": (
        "该监管方式、征免性质不支持所报征减免税方式，按照章征税计算",
        "regime and levy nature do not support the duty mode claimed; levied as prescribed",
    ),
    "reduction-not-fixed": (
        "特案减免的征收比例未核定，按照章征税计算",
        "the share levied in this special case is not fixed yet; levied as prescribed",
    ),
    "preference-not-used": (
        "另有可申请的优惠税率：{agreement}（{rate}）",
        "another preferential rate could be claimed: {agreement} ({rate})",
    ),
    "retail-over-limit": (
        "超过单次限值且仅一件商品，按货物税率全额征税",
        "over the single limit with one article only: taxed in full as goods",
    ),
    "secured": ("税款以保证金或保函担保", "secured by deposit or guarantee"),
    "exporter-rates": (
        "该原产地另有为出口商规定的税率，申报的出口商不在其中：{rates}",
        "there are rates for named exporters of this origin, none of which is the one declared: {rates}",
    ),
    "quota-volume-unknown": (
        "未加载该配额的数量，未核对余量",
        "the volume of the quota is not loaded; what is left was not checked",
    ),
    "vat-default": ("未列增值税税率，按基本税率计算", "no VAT rate listed; the standard rate was used"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One figure: how it was made, from what, rounded how, on what legal basis."""

    code: str
    item: int | None
    worked: str  # the arithmetic with its numbers
    result: Decimal | str  # text where the figure is no number
    basis: str
    rounding: str = "fen"
    inputs: dict[str, str] = field(default_factory=dict)

    def line(self, side: int) -> str:
        """One readable line in the language of that side (common.text.side)."""
        label, formula = FORMULAS[self.code]
        rounding, basis = ROUNDINGS[self.rounding], BASES[self.basis]
        chinese = side == 0
        where = ""
        if self.item is not None:
            where = f"第{self.item}项 " if chinese else f"Item {self.item}: "
        result = self.shown() if self.rounding or isinstance(self.result, str) else plain(self.result)
        arithmetic = "" if self.worked == result else f" = {self.worked}"
        grounds = [part for part in (rounding[side], basis[side]) if part]
        because = f"（{'；'.join(grounds)}）" if chinese else f" ({'; '.join(grounds)})"
        return f"{where}{label[side]} = {formula[side]}{arithmetic} = {result}{because}"

    def shown(self) -> str:
        return self.result if isinstance(self.result, str) else f"{self.result:f}"

    def as_json(self, side: int) -> dict[str, Any]:
        label, formula = FORMULAS[self.code]
        return {
            "code": self.code,
            "item": self.item,
            "label": label[side],
            "formula": formula[side],
            "worked": self.worked,
            "inputs": self.inputs,
            "result": self.shown(),
            "rounding": self.rounding,
            "basis": self.basis,
            "basis_text": BASES[self.basis][side],
            "line": self.line(side),
        }


@dataclass(frozen=True, slots=True)
class Notice:
    code: str
    item: int | None = None
    params: dict[str, str] = field(default_factory=dict)

    def text(self, side: int) -> str:
        return NOTICES[self.code][side].format(**self.params)

    def as_json(self, side: int) -> dict[str, Any]:
        return {"code": self.code, "item": self.item, "text": self.text(side)}
