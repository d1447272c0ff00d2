"""Rate texts of the United States schedule, read into the rate model of `rates`.

`read(text)` takes one rate (`6.6¢/kg + 4.5%`); `read_programmes(text)` the special column, where each rate is followed
by the programmes it is for (`Free (A+,AU) 4% (KR)`). Both raise RateTextError for what they cannot read: the loader
lists those texts with their line instead of guessing.
"""

import re
from decimal import Decimal

from .rates import FREE, AdValorem, Choice, Degrees, Rate, RateTextError, Refer, Specific, Sum

# The schedule's unit -> (unit in the rate model, how many of them). Customs unit codes where one exists.
UNITS = {
    "kg": "035", "kilogram": "035", "g": "036", "gram": "036", "t": "070", "ton": "070", "metric ton": "070",
    "liter": "095", "litre": "095", "l": "095", "m": "030", "lin. m": "030", "linear m": "030", "m2": "032",
    "m3": "033", "each": "007", "no.": "007", "doz.": "127", "dozen": "127", "doz": "127", "gross": "129", "pr.": "025",
    "pair": "025", "doz. pr.": "dozen_pairs", "dz. pr.": "dozen_pairs", "head": "009", "bbl": "barrel", "barrel": "barrel",
    "pf. liter": "proof_litre", "pf.liter": "proof_litre", "proof liter": "proof_litre", "clean kg": "clean_kg",
    "jewel": "jewel", "line/gross": "line_gross", "degree": "degree", "pack": "pack", "set": "006", "bird": "bird",
    "thousand": "054", "pf. gal": "proof_gallon", "carat": "084", "cm": "centimetre", "article": "011", "mwh": "mwh",
    "lb": "076", "square": "square", "dozen pieces": "127", "doz. pcs.": "127", "doz. pcs": "127", "doz pcs.": "127",
    "millicurie": "millicurie", "fiber m": "fibre_metre",
}  # fmt: skip

_NUMBER = r"(?:\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)"
_PERCENT = re.compile(rf"({_NUMBER})(?: (\d)/(\d))?\s*%\s*(?:(?:on|of) (?:the )?(.+))?")
_MONEY = re.compile(rf"(\$)?\s*({_NUMBER})\s*(¢|c(?=[/ ]))?\s*(?:/|per |for each )?\s*(.+)")
_PER_MANY = re.compile(r"(\d[\d,]*)\s*(.*)")
_DEGREE = re.compile(
    r"(.+?) less (.+?) for each degree under (\d+) degrees \(and fractions of a degree in pro ?portion\),? "
    r"but not less than (.+)"
)
_REFERENCES = ("therate", "see")
_CONDITIONS = ("under bond", "as provided", "subject to", "with")


def _tidy(text: str) -> str:
    text = " ".join(text.replace("\xa0", " ").split())
    text = re.sub(r"<[^>]*>", "", text)
    text = re.sub(r"(?<=[a-z])- (?=[a-z])", "", text)  # a word broken at the end of a printed line
    text = re.sub(r"\s+\d{1,2}/\s*$", "", text)  # the mark of a footnote: 1/
    text = re.sub(r"(?<=\)) \d{1,2}/(?= )", "", text)
    return (
        text.strip().rstrip(",;. ").strip() if not text.endswith("doz.") and not text.endswith("pr.") else text.strip()
    )


def _name(text: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "_", text.strip().lower()).strip("_")
    if not words or len(words) > 80:
        raise RateTextError(text)
    return words


def _number(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def _unit(text: str) -> tuple[str, Decimal, str]:
    """`1000 pins`, `kg on drained weight`, `t, including weight of container` -> unit, how many, basis."""
    text = text.strip().lower()
    basis = ""
    many = Decimal(1)
    if match := _PER_MANY.fullmatch(text):
        many = _number(match[1])
        text = match[2].strip() or "each"
        if text == "pins":
            text, basis = "each", "pins"
    if match := re.fullmatch(r"(.+?)\s*(?:,\s*| )(on|of|over|including|in) (?:the )?(.+)", text):
        text, basis = match[1].strip(), _name(match[3] if match[2] in ("on", "of") else f"{match[2]} {match[3]}")
    text = re.sub(r"\s*/\s*", "/", text)
    text = re.sub(r"^(other piece or part).*", r"\1", text)
    if text == "other piece or part":
        return "piece", many, "other_pieces"
    if text not in UNITS:
        raise RateTextError(text)
    return UNITS[text], many, basis


def _specific(text: str) -> Specific:
    match = _MONEY.fullmatch(text.strip())
    if match is None:
        raise RateTextError(text)
    dollar, number, cent, unit = match.groups()
    if bool(dollar) == bool(cent):
        raise RateTextError(text)
    amount = _number(number) if dollar else _number(number) / 100
    name, many, basis = _unit(unit)
    return Specific(amount, name, "USD", many, basis)


def _term(text: str) -> Rate:
    text = text.strip()
    if match := _PERCENT.fullmatch(text):
        whole, above, below, part = match.groups()
        if part and part.startswith("value of the "):
            part = part.removeprefix("value of the ")
        name = _name(part) if part else ""
        if above:
            return AdValorem(_number(whole) * int(below) + int(above), int(below), name)
        return AdValorem(_number(whole), 1, name)
    return _specific(text)


def read(text: str) -> Rate:
    """One rate of the schedule."""
    text = _tidy(text)
    small = text.lower()
    if not small:
        raise RateTextError(text)
    if small == "free":
        return FREE
    if small.startswith("free, ") and small.removeprefix("free, ").startswith(_CONDITIONS):
        return FREE
    if small.replace(" ", "").replace("-", "").startswith(_REFERENCES):
        return Refer(text.replace(";", ","))
    if match := _DEGREE.fullmatch(small):
        base, step, under, least = match.groups()
        return Degrees(_specific(base), _specific(step), Decimal(under), _specific(least))
    if match := re.fullmatch(r"(.+?),? but (?:in no case )?(?:not )?(less|more|exceed(?:ing)?) than (.+)", small):
        pick = "max" if match[2] == "less" else "min"
        return Choice(pick, (read(match[1]), read(match[3])))
    if match := re.fullmatch(r"(.+?) or (.+?),? whichever is (higher|lower|greater|less)(?:er)?", small):
        return Choice("max" if match[3] in ("higher", "greater") else "min", (read(match[1]), read(match[2])))
    if match := re.fullmatch(r"(.+?), but if .+ the total duty shall not exceed (the duty .+)", small):
        return Choice("min", (read(match[1]), Refer(match[2])))
    terms = re.split(r"\s*\+\s*", small)
    if len(terms) > 1:
        return Sum(tuple(_term(term) for term in terms))
    return _term(small)


_PROGRAMMES = re.compile(r"\s*([^()]*?(?:\(and fractions[^()]*\)[^()]*?)?)\s*\(([A-Z0-9*+&,.;\s]+)\)\s*(?:\(s\))?")


def read_programmes(text: str) -> list[tuple[Rate, tuple[str, ...]]]:
    """The special column: each rate with the programmes it is for."""
    text = _tidy(text)
    found = []
    place = 0
    while place < len(text):
        match = _PROGRAMMES.match(text, place)
        if match is None or not match[1]:
            raise RateTextError(text[place:])
        programmes = tuple(re.sub(r"\s", "", name) for name in re.split(r"[,.;]|(?<=[A-Z]) (?=[A-Z])", match[2]))
        found.append((read(match[1]), tuple(name for name in programmes if name)))
        place = match.end()
    if not found:
        raise RateTextError(text)
    return found
