"""Words people use and the words the nomenclature uses for the same goods: 体温计 -> thermometer, necklace -> jewellery.

`data/thesaurus.csv` is made from two general dictionaries, without regard to any particular goods: nouns for things, food,
plants, animals and substances of WordNet 3.1 (Princeton University, WordNet licence), each with the synonyms and the broader
terms that occur in the names of the Harmonized System 2022; and the Chinese words of CC-CEDICT (CC BY-SA 4.0), by their
English meanings. To make it again:

    python -m tariffs.thesaurus WORDNET_DICT_DIR CEDICT_FILE hs_nomenclature_en.csv tariffs/data/thesaurus.csv
"""

from __future__ import annotations

import csv
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

DATA = Path(__file__).parent / "data" / "thesaurus.csv"
#: WordNet's lexicographer files of things one can declare: animal, artifact, food, object, plant, substance.
THINGS = {"05", "06", "13", "17", "20", "27"}
#: A word in more names than this says too little (machine, article, preparation).
COMMON = 80
SENSES, BROADER, TERMS = 2, 3, 4
_TAXON = re.compile(r"(sub|super|infra)?(genus|family|order|class|phylum|tribe|species|division) ")


@cache
def known() -> dict[str, str]:
    """Word -> the nomenclature's words for it, nearest first, separated by bars."""
    with DATA.open(encoding="utf-8", newline="") as file:
        return {row["word"]: row["terms"] for row in csv.DictReader(file)}


def terms(word: str) -> list[str]:
    """The nomenclature's words for a word, nearest first."""
    found = known().get(word) or known().get(singular(word))
    return found.split("|") if found else []


def singular(word: str) -> str:
    """A plain English singular: enough to look a word up and to compare two."""
    if not word.isascii() or len(word) < 4 or word.endswith("ss"):
        return word
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    if word.endswith(("shes", "ches", "xes", "sses", "oes")):
        return word[:-2]
    return word.removesuffix("s")


# -- making the file


class WordNet:
    """The nouns of WordNet's database files."""

    def __init__(self, folder: Path) -> None:
        self.synsets: dict[str, tuple[str, list[str], list[str]]] = {}  # offset -> (file, lemmas, broader offsets)
        self.senses: dict[str, list[str]] = {}
        for line in _lines(folder / "data.noun"):
            fields = line.split("|")[0].split()
            count = int(fields[3], 16)
            lemmas = [fields[4 + 2 * n].replace("_", " ").lower() for n in range(count)]
            rest = fields[5 + 2 * count :]
            broader = [rest[n + 1] for n in range(0, len(rest) - 3, 4) if rest[n] in ("@", "@i")]
            self.synsets[fields[0]] = (fields[1], lemmas, broader)
        for line in _lines(folder / "index.noun"):
            fields = line.split()
            self.senses[fields[0].replace("_", " ")] = fields[-int(fields[2]) :]

    def things(self, word: str) -> list[str]:
        """The senses in which the word is a thing, commonest first; none where it seldom is one."""
        return [offset for offset in self.senses.get(word, ())[:4] if self.synsets[offset][0] in THINGS][:SENSES]

    def around(self, senses: list[str]) -> Iterator[str]:
        """Synonyms in all senses, then broader terms step by step."""
        level = senses
        for _ in range(BROADER):
            for one in level:
                yield from self.synsets[one][1]
            level = [above for one in level for above in self.synsets[one][2]]


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        yield from (line for line in file if not line.startswith("  "))


class Vocabulary:
    """The words and phrases of the nomenclature, and how many names hold each."""

    def __init__(self, names: list[str]) -> None:
        self.counts: dict[str, int] = defaultdict(int)
        for name in names:
            words = [
                singular(word)
                for word in re.findall(r"[a-z]+", re.split(r"other than|exclud|\bnot\b", name.lower())[0])
            ]
            for phrase in {" ".join(words[n : n + size]) for size in (1, 2, 3) for n in range(len(words) - size + 1)}:
                self.counts[phrase] += 1

    def holds(self, term: str) -> bool:
        words = re.findall(r"[a-z]+", term)
        return 0 < self.counts.get(" ".join(map(singular, words)), 0) <= COMMON


def english(net: WordNet, names: Vocabulary, word: str) -> list[str]:
    """What the nomenclature calls a thing of this name; by its last word where the whole is not known."""
    things = net.things(word) or net.things(singular(word))
    found = list(dict.fromkeys(term for term in (word, *net.around(things)) if names.holds(term)))
    if not found and " " in word:
        return english(net, names, word.rsplit(" ", 1)[1])
    return found[:TERMS]


def chinese(net: WordNet, names: Vocabulary, path: Path) -> Iterator[tuple[str, list[str]]]:
    """Words of two characters or more, and single ones for things, by the first meanings in the dictionary."""
    meanings: dict[str, list[str]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        match = re.match(r"(?!#)\S+ (\S+) \[([^\]]*)\] /(.*)/", line)
        if match is None or match[2][:1].isupper():  # names of persons and places
            continue
        for gloss in match[3].split("/")[:4]:
            plain = re.sub(r"\([^)]*\)|\[[^\]]*\]|CL:.*", "", gloss).strip().lower()
            for part in re.split(r"[;,]", plain):
                part = re.sub(r"^(an?|the|kind of|type of) ", "", part.strip())
                if re.fullmatch(r"[a-z][a-z -]{1,30}", part) and not part.startswith(
                    ("to ", "see ", "variant of", "old ")
                ):
                    meanings[match[1]].append(part)
    for word, glosses in meanings.items():
        if not 1 <= len(word) <= 6:
            continue
        things = [part for part in glosses[:6] if net.things(part) or net.things(singular(part))]
        loose = (
            [] if things else [part for part in glosses[:6] if " " in part and net.things(singular(part.split()[-1]))]
        )
        found: list[str] = []
        said = [part for part in things if names.holds(part)]
        for part in things or loose:
            found += english(net, names, part)
        found = said + found
        if found:
            yield word, list(dict.fromkeys(found))[:TERMS]


def main(wordnet: str, cedict: str, nomenclature: str, out: str) -> None:
    net = WordNet(Path(wordnet))
    with Path(nomenclature).open(encoding="utf-8-sig", newline="") as file:
        names = Vocabulary([row["description"] for row in csv.DictReader(file)])
    rows = dict(chinese(net, names, Path(cedict)))
    for word in net.senses:
        if _TAXON.match(word) or not re.fullmatch(r"[a-z][a-z-]{2,20}( [a-z-]{2,20})?", word):
            continue
        if not names.holds(word) and net.things(word):
            found = english(net, names, word)
            if found:
                rows[word] = found
    with Path(out).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["word", "terms"])
        writer.writerows((word, "|".join(found)) for word, found in sorted(rows.items()))


if __name__ == "__main__":
    main(*sys.argv[1:5])
