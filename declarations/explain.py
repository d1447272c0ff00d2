"""Why a value that failed its field's pattern is wrong: the slow half of the check, needed only for what is wrong."""

from typing import Any

from common.problems import Fault
from common.text import T
from declarations.fields import OPERATIONS, Field


def explain(at: str, one: Field, value: Any) -> Fault:
    """The fault of a value that does not fit its field."""
    if value is None:
        return Fault(at, "null", T("不接受 null；没有值时请省略该字段", "null is not accepted: leave the member out"))
    if type(value) is float:
        return Fault(at, "float", T('请用字符串写小数，例如 "12.50"', 'Write decimals as strings, for example "12.50"'))
    if one.kind == "integer":
        return _integer(at, one, value)
    if one.kind == "decimal":
        return _decimal(at, one, value)
    if type(value) is not str:
        return Fault(at, "not-text", T("应为字符串", "A string is expected"))
    if one.kind == "date":
        return Fault(
            at, "not-a-date", T("不是日历上的日期（应为 YYYY-MM-DD）", "Not a day of the calendar (YYYY-MM-DD)")
        )
    if one.kind == "base64":
        return Fault(at, "not-base64", T("应为 base64 编码，不超过 1 MB", "Base64 is expected, at most 1 MB"))
    return _format(at, one) or _text(at, one, value)


def unknown_legacy(at: str, one: Field, value: str) -> Fault:
    return Fault(
        at,
        "unknown-legacy-code",
        T(
            "{name}：旧代码 {value} 没有对应的现行代码",
            "{name}: the old code {value} has no code of today",
            name=one.title,
            value=value,
        ),
    )


def _format(at: str, one: Field) -> Fault | None:
    match one.format:
        case "country":
            return Fault(at, "country", T("国别代码应为三位字母", "A country code is three letters"))
        case "currency":
            return Fault(at, "currency", T("币制代码应为三位字母", "A currency code is three letters"))
        case "direction":
            return Fault(at, "direction", T("应为 I（进口）或 E（出口）", "Must be I (import) or E (export)"))
        case "oper":
            words = ", ".join(OPERATIONS.values())
            return Fault(at, "oper", T("应为以下之一：{words}", "Must be one of: {words}", words=words))
        case "office":
            return Fault(at, "office", T("关区代码应为四位数字", "A customs office is four digits"))
        case "commodity":
            return Fault(
                at,
                "commodity",
                T(
                    "商品编号应为 10 位数字（概要申报可为 6 位）",
                    "A commodity code is 10 digits (6 in a summary declaration)",
                ),
            )
        case "digits":
            return Fault(at, "digits", T("应为数字，最多 {n} 位", "Digits only, at most {n}", n=one.length))
    return None


def _text(at: str, one: Field, value: str) -> Fault:
    if len(value) > one.length:
        return Fault(
            at,
            "too-long",
            T(
                "最长 {n} 个字符，现有 {found} 个",
                "At most {n} characters, there are {found}",
                n=one.length,
                found=len(value),
            ),
        )
    if one.element == "Type":
        return Fault(at, "document-type", T("应为大写字母、数字或空格", "Capital letters, digits and blanks only"))
    return Fault(
        at, "control-character", T("含有不允许的控制字符", "Contains control characters, which are not allowed")
    )


def _integer(at: str, one: Field, value: Any) -> Fault:
    if type(value) is int:
        return Fault(
            at,
            "out-of-range",
            T("应为 0 至 {n} 位的整数", "A whole number of at most {n} digits, not negative", n=one.length),
        )
    return Fault(at, "not-an-integer", T("应为整数", "A whole number is expected"))


def _decimal(at: str, one: Field, value: Any) -> Fault:
    digits = str(value).removeprefix("-") if type(value) in (int, str) else ""
    whole, point, fraction = digits.partition(".")
    if not (_digits(whole) and (not point or _digits(fraction))):
        return Fault(at, "not-a-decimal", T("应为十进制数字符串", "A decimal string is expected"))
    if str(value).startswith("-") and one.format != "signed":
        return Fault(at, "negative", T("不得为负数", "Must not be negative"))
    return Fault(
        at,
        "precision",
        T(
            "整数部分最多 {whole} 位，小数部分最多 {scale} 位",
            "At most {whole} digits before the point and {scale} after it",
            whole=one.length - one.scale,
            scale=one.scale,
        ),
    )


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
