"""Files that do not come in our own columns: what each column of theirs means (docs/tariffs.md describes them).

- `hs-2022`: the Harmonized System 2022 in English, `section,hscode,description,parent,level` -> commodities
- `cn-hs8-2023`: China's 8-digit lines, `code8,hs6,name_zh,name_en,legal_unit1_code,...` -> commodities
- `parities`: daily central parities, `day,currency,rate,per,inverse` -> the exchange rate of each month
- `us-hts-2013`: the United States schedule, pipe-separated, rate columns -> measures; `us-hts-2013-codes` -> commodities
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.problems import Fault
from common.text import T

from . import reading, us_rate_text
from .rates import Rate, RateTextError, Refer
from .tables import CellError, day, exchange_rate, flag, whole
from .workdays import next_month, quotation_day


@dataclass(slots=True)
class Source:
    table: str
    rows: Iterable[tuple[int, list[str] | Fault]]
    #: Texts that could not be read into the rate model, with their line. They are not loaded.
    not_parsed: list[dict[str, Any]] = field(default_factory=list)
    parsed: int = 0
    by_reference: int = 0


def _line(code: str, zh: str, en: str, start: str, source: str, unit1: str = "", unit2: str = "") -> list[str]:
    return [code, zh[:1000], en[:1000], unit1, unit2, "{}", "", "", "", source, "f", f"[{start},)"]


def _header(found: Iterator[reading.Row], wanted: list[str]) -> list[str]:
    """The header row of a file, which must begin with these columns."""
    from .loading import refused

    header = [name.strip() for name in next(found, (1, []))[1]]
    if header[: len(wanted)] != wanted:
        raise refused([Fault("row 1", "unknown-columns" if header else "empty", T(
            "表头须为：{wanted}", "the header must be: {wanted}", wanted=",".join(wanted)))])  # fmt: skip
    return header


def _wide(cells: list[str], width: int) -> list[str]:
    """A row of so many cells at least: what it leaves out at its end is blank."""
    return cells + [""] * (width - len(cells))


def hs_2022(path: Path) -> Source:
    def rows() -> Iterator[tuple[int, list[str] | Fault]]:
        found = reading.rows(path)
        _header(found, ["section", "hscode", "description", "parent", "level"])
        for number, cells in found:
            _, code, description, *_rest = _wide(cells, 3)
            if re.fullmatch(r"\d{2}|\d{4}|\d{6}", code):
                yield number, _line(code, "", description, "2022-01-01", "UN Comtrade, HS 2022")
            elif code != "TOTAL":
                yield number, Fault(f"row {number}, hscode", "malformed", T("编号不正确", "malformed code"))

    return Source("commodities", rows())


def cn_hs8_2023(path: Path) -> Source:
    def rows() -> Iterator[tuple[int, list[str] | Fault]]:
        found = reading.rows(path)
        _header(found, ["code8", "hs6", "name_zh", "name_en", "legal_unit1_code"])
        for number, cells in found:
            code, _, zh, en, unit1, _, _, unit2 = _wide(cells, 8)[:8]
            if re.fullmatch(r"\d{8}", code):
                yield number, _line(code, zh, en, "2023-01-01", "GACC statistics 2023 (chinautils)", unit1, unit2)
            else:
                yield number, Fault(f"row {number}, code8", "malformed", T("编号不正确", "malformed code"))

    return Source("commodities", rows())


_US_HEADER = ["HTS No.", "Stat Suffix", "Level", "Description", "Unit of Quantity", "Col. 1 Rate", "Special Rate",
              "Col. 2 Rate"]  # fmt: skip


def _us_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    found = reading.rows(path, delimiter="|", quoted=False)
    _header(found, _US_HEADER)
    for number, cells in found:
        yield number, _wide(cells, 9)


def _us_code(cells: list[str]) -> str:
    return cells[0].replace(".", "").strip()


def us_hts_2013_codes(path: Path) -> Source:
    """Headings, subheadings, 8-digit lines and 10-digit statistical lines, one row a code (the first that has it)."""

    def rows() -> Iterator[tuple[int, list[str] | Fault]]:
        seen: set[str] = set()
        for number, cells in _us_rows(path):
            code = _us_code(cells)
            if re.fullmatch(r"\d{8}", code) and re.fullmatch(r"\d{2}", cells[1].strip()):
                full = code + cells[1].strip()
                if full not in seen:
                    seen.add(full)
                    yield number, _line(full, "", cells[3], "2013-01-01", "USITC, HTS 2013")
            if re.fullmatch(r"\d{4}|\d{6}|\d{8}", code) and code not in seen:
                seen.add(code)
                yield number, _line(code, "", cells[3], "2013-01-01", "USITC, HTS 2013")

    return Source("commodities", rows())


def us_hts_2013(path: Path) -> Source:
    """Column 1 general -> `mfn` of everybody, special -> `conventional` of each programme, column 2 -> `general`."""
    source = Source("measures", ())

    def measure(code: str, kind: str, group: str, rate: Rate, agreement: str = "") -> list[str]:
        source.parsed += 1
        source.by_reference += isinstance(rate, Refer)
        return [
            code,
            kind,
            group,
            "",
            agreement,
            str(rate)[:500],
            "",
            "",
            "USITC, HTS 2013",
            "f",
            "[2013-01-01,2014-01-01)",
        ]

    def rows() -> Iterator[tuple[int, list[str] | Fault]]:
        seen: set[tuple[str, str, str]] = set()
        for number, cells in _us_rows(path):
            code = _us_code(cells)
            for column, kind, group in ((5, "mfn", "ALL"), (6, "conventional", ""), (7, "general", "ALL")):
                text = cells[column].strip()
                if not text:
                    continue
                try:
                    if column == 6:
                        rates = [(rate, name) for rate, names in us_rate_text.read_programmes(text) for name in names]
                    else:
                        rates = [(us_rate_text.read(text), "")]
                except RateTextError:
                    source.not_parsed.append(
                        {"row": number, "code": cells[0], "column": _US_HEADER[column], "text": text}
                    )
                    continue
                if not re.fullmatch(r"\d{8}", code):
                    continue
                for rate, programme in rates:
                    origin = f"US-{programme}" if programme else group
                    if (code, kind, origin) not in seen:
                        seen.add((code, kind, origin))
                        yield number, measure(code, kind, origin, rate, programme)

    source.rows = rows()
    return source


def parities(path: Path) -> Source:
    """Daily central parities, `day,currency,rate[,per,inverse]`: of each month the one Order 272 art. 13 names."""
    from .lookup import current

    calendar = current().calendar

    def rows() -> Iterator[tuple[int, list[str] | Fault]]:
        found = reading.rows(path)
        header = _header(found, ["day", "currency", "rate"])
        for number, cells in found:
            row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
            name = "day"
            try:
                quoted = day(row["day"])
                month = next_month(quoted)
                if quotation_day(month, calendar) != quoted:
                    continue
                name = "rate"
                rate = exchange_rate(row.get("rate", ""))
                name = "currency"
                if not re.fullmatch(r"[A-Z]{3}", row.get("currency", "")):
                    raise CellError("malformed", T("须为三位字母代码", "three letters"))
                name = "per"
                per = whole(row.get("per") or "1")
                name = "inverse"
                inverse = flag(row.get("inverse") or "0")
            except CellError as error:
                yield number, Fault(f"row {number}, {name}", error.code, error.text)
                continue
            yield number, [row["currency"], rate, per, inverse, quoted.isoformat(), f"parity of {quoted}", "f",
                           f"[{month},{next_month(month)})"]  # fmt: skip

    return Source("exchange-rates", rows())


MAPS: dict[str, Callable[[Path], Source]] = {
    "hs-2022": hs_2022,
    "cn-hs8-2023": cn_hs8_2023,
    "parities": parities,
    "us-hts-2013": us_hts_2013,
    "us-hts-2013-codes": us_hts_2013_codes,
}
