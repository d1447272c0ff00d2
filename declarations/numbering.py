"""Unified numbers (统一编号): I or E, the year, 13 digits. The first four of the digits are the province's, so that two instances
never give the same number; nine run. Numbers given before that was so run through all 13: any province may have given
the same."""

from __future__ import annotations

from django.conf import settings


def of_province() -> str:
    """The first four digits of the province's GB/T 2260 code (Zhanjiang is a member apart from Guangdong)."""
    return settings.PROVINCE[:4]


def names_us(unified_number: str) -> bool:
    """Whether no other province can have given this number of ours."""
    return unified_number[5:9] == of_province()
