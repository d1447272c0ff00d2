"""Finding a commodity by words, in Chinese or English, or by the beginning of its code.

Names of a tariff are not the words people use: `data/search_words.csv` adds everyday words to headings (手机 -> 851713).
Candidates come from the database (trigram index); the order is made here, from where and how the words are found.
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

from .models import CommodityLine

MAX_WORDS = 8
CANDIDATES = 300
#: What follows these in a name is what the line is not.
_NEGATED = re.compile(r"除外|不包括|以外|other than|excluding|excl\b|\bnot\b|without|n\.e\.c", re.IGNORECASE)
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
    wanted = Q()
    for word in words:
        stem = _stem(word)
        # An English word is looked for at the beginning of words: "car" is no carp.
        wanted &= Q(words__contains=stem) if _CHINESE.search(stem) else Q(words__regex=rf"\m{re.escape(stem)}")
    lines = list(known.filter(wanted).order_by(Length("words"))[:CANDIDATES])
    if prefixes:
        held = {line.pk for line in lines}
        named = Q()
        for prefix in prefixes:
            named |= Q(code__startswith=prefix)
        lines += [line for line in known.filter(named) if line.pk not in held]
    if not lines:
        near = TrigramWordSimilarity(query, "words")
        return list(known.annotate(near=near).filter(near__gt=0.45).order_by("-near", Length("words"), "code")[:limit])
    lines.sort(key=lambda line: (-_score(line, query, words, prefixes), len(line.code), line.code))
    return _spread(lines, limit)


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


def _score(line: CommodityLine, query: str, words: list[str], prefixes: dict[str, int]) -> float:
    score: float = max((fit for prefix, fit in prefixes.items() if line.code.startswith(prefix)), default=0)
    chinese = bool(_CHINESE.search(query))
    name = (line.name_zh if chinese else line.name_en).lower()
    positive = _NEGATED.split(name)[0] if name else ""
    best = 0.0
    if name == query:
        best = 80
    elif chinese:
        if positive.startswith(query):
            best = 50
        elif query in positive:
            best = 40 if re.split(r"[，；、（(]", positive)[0].endswith(query) else 28
        elif query in name:
            best = -10
    else:
        stems = [_stem(word) for word in words]
        hits = sum(bool(re.search(rf"\b{re.escape(stem)}", positive)) for stem in stems)
        if hits == len(stems):
            best = 50 if re.match(rf"{re.escape(stems[0])}(s|es)?\b", positive) else 30
            if re.search(rf"\b{re.escape(words[-1])}\b", positive):
                best += 5
        elif all(stem in name for stem in stems):
            best = 2
    score += best
    score -= min(len(name), 120) / 12
    if name.startswith(("其他", "other", "未列名")):
        score -= 4
    if len(line.code) >= 8:
        score += 4
    return score


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
