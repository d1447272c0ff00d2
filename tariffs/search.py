"""Finding a commodity by words, in Chinese or English, or by the beginning of its code.

Names of a tariff are not the words people use. `data/search_words.csv` adds everyday words to headings (手机 -> 851713);
`thesaurus` leads from any word of two general dictionaries to the nomenclature's words for such a thing. Candidates come from
the database (trigram index); the order is made here, from where and how the words are found.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from datetime import date
from functools import cache
from pathlib import Path

from django.contrib.postgres.search import TrigramWordSimilarity
from django.db.models import Q
from django.db.models.functions import Length

from . import thesaurus
from .models import CommodityLine

MAX_WORDS = 8
CANDIDATES = 300
#: What follows these in a name is what the line is not.
_NEGATED = re.compile(r"除外|不包括|以外|other than|excluding|excl\b|\bnot\b|without|n\.e\.c", re.IGNORECASE)
_PLURAL = r"(?:s|es|y|ies)?"
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


@cache
def everyday() -> dict[str, frozenset[str]]:
    """Code prefix -> the everyday words for it."""
    with (Path(__file__).parent / "data" / "search_words.csv").open(encoding="utf-8", newline="") as file:
        return {row["code"]: frozenset(row["words"].lower().split()) for row in csv.DictReader(file)}


def find(query: str, on: date, *, limit: int = 20) -> list[CommodityLine]:
    """Lines in force on the day, best first."""
    query = " ".join(query.lower().split())
    known = CommodityLine.objects.known().on(on)
    digits = re.sub(r"[ .]", "", query)
    if digits.isdigit():
        return list(known.filter(code__startswith=digits[:10]).order_by("code")[:limit])
    words = [word for word in query.split() if word][:MAX_WORDS]
    if not words:
        return []
    prefixes = _prefixes(query, words)
    others = [term.split() for term in thesaurus.terms(query)]
    if not others and len(words) > 1 and words[-1].isascii():
        # "bicycle helmet" is a helmet, whatever else it is.
        others = [words[-1:], *(term.split() for term in thesaurus.terms(words[-1]))]
    found = {}
    for asked in (words, *others):
        for line in known.filter(_all_of(asked)).order_by(Length("words"))[:CANDIDATES]:
            found[line.pk] = line
    if prefixes:
        named = Q()
        for prefix in prefixes:
            named |= Q(code__startswith=prefix)
        found |= {line.pk: line for line in known.filter(named)}
    lines = list(found.values())
    if not lines:
        near = TrigramWordSimilarity(query, "words")
        return list(known.annotate(near=near).filter(near__gt=0.45).order_by("-near", Length("words"), "code")[:limit])
    lines.sort(key=lambda line: (-_score(line, query, words, prefixes, others), len(line.code), line.code))
    return _spread(lines, limit)


def _all_of(words: Iterable[str]) -> Q:
    wanted = Q()
    for word in words:
        stem = _stem(word)
        # An English word is looked for at the beginning of words: "car" is no carp.
        wanted &= Q(words__contains=stem) if _CHINESE.search(stem) else Q(words__regex=rf"\m{re.escape(stem)}")
    return wanted


def _stem(word: str) -> str:
    if _CHINESE.search(word) or len(word) < 4:
        return word
    for ending in ("ies", "es", "s"):
        if word.endswith(ending) and not word.endswith("ss"):
            return word[: -len(ending)]
    return word


def _prefixes(query: str, words: list[str]) -> dict[str, int]:
    """Code prefix -> how well the everyday words for it fit the query."""
    asked = {query, query.replace(" ", ""), *([query] if len(words) > 1 else words), _stem(query)}
    found = {}
    for prefix, known in everyday().items():
        if asked & known:
            found[prefix] = 100
        elif len(words) > 1 and set(words) <= known:
            found[prefix] = 90
        elif len(query) >= 2 and _CHINESE.search(query) and any(query in word for word in known):
            found[prefix] = 45
    return found


def _score(
    line: CommodityLine, query: str, words: list[str], prefixes: dict[str, int], others: list[list[str]]
) -> float:
    score: float = max((fit for prefix, fit in prefixes.items() if line.code.startswith(prefix)), default=0)
    chinese = bool(_CHINESE.search(query))
    name = (line.name_zh if chinese else line.name_en).lower()
    best = _chinese_fit(name, query) if chinese else _english_fit(name, words)
    # What only the thesaurus says counts for less, and each further term for less again.
    other = line.name_en.lower()
    fits = [fit - 8 - 5 * rank for rank, asked in enumerate(others) if (fit := _english_fit(other, asked)) >= 30]
    if fits:
        best = max(best, max(fits) + 8 * (len(fits) - 1))  # a name that holds several of the terms is the likelier
    score += best
    score -= min(len(name or other), 120) / 12
    if name.startswith(("其他", "other", "未列名")):
        score -= 4
    if len(line.code) >= 8:
        score += 4
    elif len(line.code) == 2:
        score -= 20  # a chapter says too little
    return score


def _chinese_fit(name: str, query: str) -> float:
    if name == query:
        return 80
    positive = _NEGATED.split(name)[0]
    clause = next((part for part in re.split(r"[，；（(]", positive) if query in part), "")
    if "的" in clause[clause.find(query) + len(query) :]:
        return 12  # 灯泡的封装机器 is a machine
    if positive.startswith(query):
        return 50
    if query in positive:
        return 40 if re.split(r"[，；、（(]", positive)[0].endswith(query) else 28
    return -10 if query in name else 0


def _english_fit(name: str, words: list[str]) -> float:
    if name == " ".join(words):
        return 80
    positive = _NEGATED.split(name)[0]
    stems = [_stem(word) for word in words]
    if not all(re.search(rf"\b{re.escape(stem)}", positive) for stem in stems):
        return 2 if all(stem in name for stem in stems) else 0
    if not all(re.search(rf"\b{re.escape(stem)}{_PLURAL}\b", positive) for stem in stems):
        return 15  # the beginning of another word: "banknotes" are no bank
    if re.match(rf"{re.escape(stems[0])}{_PLURAL}\b", positive):
        fit = 50.0
    elif re.search(rf"\b{re.escape(stems[-1])}{_PLURAL}\s*(?:[,;:(]|$)", positive):
        fit = 38  # what a phrase ends with is what it is: "printed books", not "book covers"
    else:
        fit = 30
    return fit + 5 if re.search(rf"\b{re.escape(words[-1])}\b", positive) else fit


def _spread(lines: Iterable[CommodityLine], limit: int) -> list[CommodityLine]:
    """At most three lines of one subheading before others are heard."""
    first: list[CommodityLine] = []
    rest: list[CommodityLine] = []
    seen: dict[str, int] = {}
    for line in lines:
        key = line.code[:6]
        seen[key] = seen.get(key, 0) + 1
        (first if seen[key] <= 3 else rest).append(line)
    return (first + rest)[:limit]
