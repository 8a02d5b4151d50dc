"""Items of tests found in documents, by the share of an item's n-grams that a document has.

A part of an item (its prompt, its solution) of n or more identifiers is compared by its distinct
n-grams; a shorter one as a whole; one of fewer than LEAST_WORDS cannot be told from text that
anyone may write and is not compared. Nor are n-grams that more than COMMON_ITEMS items of a suite
share: they are the form of the test. Case, white space and punctuation do not count, so a part that
a document holds as a normalised substring has all its n-grams there, and in a row: it is verbatim.

Letters in array names: N identifiers of a document, K n-grams of the suites.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import NamedTuple, final

import numpy as np
import pyarrow as pa

from evergrow.corpus.contamination.suites import Suite
from evergrow.corpus.document import Document
from evergrow.corpus.duplicates.identifiers import IDENTIFIERS, identifiers
from evergrow.corpus.duplicates.ngrams import CHUNK, ngram_chunks, ngram_hashes
from evergrow.corpus.signals.group import SignalGroup
from evergrow.corpus.words import Words
from evergrow.errors import InputError

VERSION = 1
NAME = "contamination"
NO_HITS = "[]"
# Measured on HumanEval against 331 MB of Python packages with their docs: the longest part found
# whole by chance has 9 words (Euclid's algorithm, in sympy and numpy).
LEAST_WORDS = 10
# The same measurement: at most 0.03 of a prompt, 0.23 of a solution (it counts "one", "two" ...): a
# solution may be an idiom, a prompt is its author's. OLMo 2 drops at 0.1 of all n-grams.
LEAST_SHARE = MappingProxyType({"prompt": 0.1, "solution": 0.3})
COMMON_ITEMS = 10
MAX_PLACES = 1000  # where a verbatim part may begin in a document that repeats its first words
_TABLE_BITS = 20  # 1 MiB: of 10^4 n-grams, 1 % of a document's n-grams pass; of 10^6, 61 %
_SHIFT = np.uint64(64 - _TABLE_BITS)


@dataclass(frozen=True)
class Part:
    """The prompt or the solution of an item that can be compared."""

    suite: str
    item: str
    kind: str
    hashes_N: np.ndarray
    grams: frozenset[int]
    length: int


@dataclass(frozen=True)
class Hit:
    """A part of an item that a document holds: ``share`` of its n-grams, or all of it in a row.

    part  "prompt" or "solution"; how: "verbatim" or "n-grams"
    """

    suite: str
    item: str
    part: str
    share: float
    how: str


def hits_in(column: str | None) -> list[Hit]:
    """The hits that a row of the column ``hits`` tells."""
    return [Hit(**hit) for hit in json.loads(column or NO_HITS)]


def contamination(
    suites: Sequence[Suite], n: int = 13, least_share: Mapping[str, float] = LEAST_SHARE
) -> SignalGroup:
    """The group with the fields ``hits`` and ``share`` for these suites.

    hits   JSON: every Hit, of parts with at least that share of their n-grams in the document
    share  of the part found best, in [0, 1], below ``least_share`` too
    """
    names = [suite.name for suite in suites]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"suites: {twice!r} is given twice; give one of them another name")
    if n < LEAST_WORDS:
        raise InputError(
            f"suites: n-grams of {n} words; they must have {LEAST_WORDS} or more, 13 is usual"
        )
    assert least_share.keys() == LEAST_SHARE.keys() and min(least_share.values()) > 0
    return SignalGroup(
        name=NAME,
        version=VERSION,
        fields={"hits": pa.string(), "share": pa.float32()},
        compute=_Overlap([part for suite in suites for part in parts(suite, n)], least_share),
        parameters={
            "suites": [[suite.name, suite.digest] for suite in suites],
            "identifiers": IDENTIFIERS,
            "n": n,
            "least_words": LEAST_WORDS,
            "least_share": dict(least_share),
            "common_items": COMMON_ITEMS,
        },
    )


def parts(suite: Suite, n: int = 13) -> list[Part]:
    """The parts of a suite's items that can be compared, in order."""
    found: list[Part] = []
    items_with: Counter[int] = Counter()
    for item in suite.items:
        own = [
            _part(suite.name, item.id, kind, text, n)
            for kind, text in (("prompt", item.prompt), ("solution", item.solution))
        ]
        found += own
        items_with.update(own[0].grams | own[1].grams)
    common = {gram for gram, times in items_with.items() if times > COMMON_ITEMS}
    telling = [replace(part, grams=part.grams - common) for part in found]
    return [part for part in telling if part.grams]


def _part(suite: str, item: str, kind: str, text: str, n: int) -> Part:
    hashes = identifiers(text)
    length = min(n, len(hashes))
    grams = ngram_hashes(hashes, length).tolist() if length >= LEAST_WORDS else ()
    return Part(suite, item, kind, hashes, frozenset(grams), length)


@final
class _Overlap:
    """What a document has of each part."""

    def __init__(self, all_parts: Sequence[Part], least_share: Mapping[str, float]) -> None:
        self.parts = list(all_parts)
        self.least_share = np.array([least_share[part.kind] for part in self.parts])
        self.num_grams = np.array([len(part.grams) for part in self.parts], np.int64)
        lengths = sorted({part.length for part in self.parts})
        self.tables = {length: _Table(self.parts, length) for length in lengths}

    def __call__(self, document: Document, words: Words) -> tuple[str, float]:
        hashes_N = identifiers(document.text)
        counts = np.zeros(len(self.parts), np.int64)
        found = {length: table.find(hashes_N) for length, table in self.tables.items()}
        for length, (grams, _) in found.items():
            owners = self.tables[length].owners_of(np.unique(grams))
            counts += np.bincount(owners, minlength=len(counts))
        if not counts.any():
            return NO_HITS, 0.0
        shares = counts / self.num_grams
        hits = []
        for number in np.flatnonzero(shares >= self.least_share).tolist():
            part, share = self.parts[number], round(float(shares[number]), 4)
            grams, places = found[part.length]
            own = self.tables[part.length].first(part)
            starts = places[grams == own.number][:MAX_PLACES] - own.offset
            verbatim = _holds(hashes_N, part.hashes_N, starts)
            how = "verbatim" if verbatim else "n-grams"
            hits.append(Hit(part.suite, part.item, part.kind, share, how))
        return json.dumps([asdict(hit) for hit in hits]), float(shares.max())


def _holds(hashes_N: np.ndarray, wanted: np.ndarray, starts: np.ndarray) -> bool:
    """Whether the whole of ``wanted`` stands at one of the places."""
    runs = (hashes_N[start : start + len(wanted)] for start in starts[starts >= 0])
    return any(np.array_equal(run, wanted) for run in runs)


class _First(NamedTuple):
    """The first n-gram of a part that is compared, and how far it stands from the part's start."""

    number: int
    offset: int


@final
class _Table:
    """The n-grams of one length: sorted, with the parts that own each, behind a table of bits."""

    def __init__(self, all_parts: Sequence[Part], length: int) -> None:
        self.length = length
        own = [(i, part.grams) for i, part in enumerate(all_parts) if part.length == length]
        owned = sorted((gram, number) for number, grams in own for gram in grams)
        grams = np.array([gram for gram, _ in owned], np.uint64)
        self.owners = np.array([number for _, number in owned], np.int64)
        self.hashes_K, self.starts = np.unique(grams, return_index=True)
        self.counts = np.diff(self.starts, append=len(grams))
        self.occupied = np.zeros(1 << _TABLE_BITS, bool)
        self.occupied[self.hashes_K >> _SHIFT] = True

    def first(self, part: Part) -> _First:
        grams = ngram_hashes(part.hashes_N, self.length).tolist()
        offset = next(i for i, gram in enumerate(grams) if gram in part.grams)
        return _First(int(np.searchsorted(self.hashes_K, np.uint64(grams[offset]))), offset)

    def find(self, hashes_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of the n-grams that the document has, and where, in order."""
        grams, places = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for chunk, hashes in enumerate(ngram_chunks(hashes_N, self.length)):
            likely = np.flatnonzero(self.occupied[hashes >> _SHIFT])
            if not len(likely):
                continue
            number = np.searchsorted(self.hashes_K, hashes[likely])
            known = self.hashes_K[np.minimum(number, len(self.hashes_K) - 1)] == hashes[likely]
            grams.append(number[known])
            places.append(likely[known] + chunk * CHUNK)
        return np.concatenate(grams), np.concatenate(places)

    def owners_of(self, numbers: np.ndarray) -> np.ndarray:
        """The parts that have these n-grams, once for each of them."""
        counts = self.counts[numbers]
        before = np.cumsum(counts) - counts
        return self.owners[
            np.repeat(self.starts[numbers] - before, counts) + np.arange(sum(counts))
        ]
