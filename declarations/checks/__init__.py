"""Checks of a lodged declaration: see :mod:`declarations.checks.registry` for how one is added."""

from declarations.checks import codes, documents, duplicates, parties, prices, procedures, risk, sense
from declarations.checks.registry import CONFIDENTIAL, Context, Finding, Severity, checks, register, render, title

__all__ = [
    "CONFIDENTIAL", "Context", "Finding", "Severity", "checks", "codes", "documents", "duplicates", "parties", "prices",
    "procedures", "register", "render", "risk", "sense", "title",
]  # fmt: skip
