"""Lines and paragraphs that occurred before in a corpus: a map over shards, a merge, a map.

Of prose a piece is a line or a paragraph; of code only a comment before the first line of code,
since a line in the middle is part of what stands around it (``head_comments.py``).

The first occurrence in the order of shards and rows stays. Every shard writes the sorted hashes of
its pieces; a merge of one slice of the hash range finds, shard by shard, those that an earlier
shard has; then every shard drops these and what it had itself. No step holds more than a shard or a
slice, and the result does not depend on who does which step when.

Hashes have 64 bits: among 10^8 pieces the chance of one false repeat is 3e-4.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, final

import numpy as np
from xxhash import xxh3_64_intdigest

from evergrow.corpus.document import Document
from evergrow.corpus.head_comments import head_comments
from evergrow.corpus.signals.programming import programming_language
from evergrow.disk import new_file

VERSION = 2  # raised by hand when other pieces would be found or cut
Unit = Literal["line", "paragraph"]
_BREAKS = {"line": re.compile(r"\n"), "paragraph": re.compile(r"\n[^\S\n]*\n(?:[^\S\n]*\n)*")}
_CODE = re.compile(  # a fence closes itself, or with the text; prompts of Python and of a shell
    r"^ {0,3}(`{3,}|~{3,})[^`\n]*\n[\s\S]*?(?:^ {0,3}\1[`~]*[^\S\n]*$|\Z)"
    r"|^[^\S\n]*(?:>>>|\.\.\.|In \[\d+\]:|[$%]) [^\n]*",
    re.M,
)


class Piece(NamedTuple):
    """Where a piece stands, with the break that follows it, and the hash of what it says."""

    start: int
    end: int
    hash: int


def pieces(document: Document, unit: Unit, min_characters: int) -> Iterator[Piece]:
    """What may be cut out of a document where it was said before, in order."""
    if language := programming_language(document):
        return comment_pieces(document.text, language, min_characters)
    return prose_pieces(document.text, unit, min_characters)


def comment_pieces(text: str, language: str, min_characters: int) -> Iterator[Piece]:
    """The comments that a file of code begins with; their words alone count."""
    for start, end, said in head_comments(text, language):
        if len(said) >= min_characters:
            yield Piece(start, end, xxh3_64_intdigest(said.encode()))


def prose_pieces(text: str, unit: Unit, min_characters: int) -> Iterator[Piece]:
    """The lines or paragraphs of at least ``min_characters``, in order.

    White space at both ends counts neither for length nor for identity; nor, in a paragraph, does
    how its lines are broken. Paragraphs are parted by blank lines. Code that stands in prose,
    between fences or behind a prompt, is no piece.
    """
    start, code = 0, _CodeInProse(text)
    while start < len(text):
        found = _BREAKS[unit].search(text, start)
        stop, end = found.span() if found else (len(text), len(text))
        if stop - start >= min_characters and not code.touches(start, stop):
            said = text[start:stop].strip()
            if unit == "paragraph":
                said = " ".join(said.split())
            if len(said) >= max(min_characters, 1):
                yield Piece(start, end, xxh3_64_intdigest(said.encode()))
        start = end


@final
class _CodeInProse:
    """The code in a text of prose; it is asked about places from left to right."""

    def __init__(self, text: str) -> None:
        self._spans = (match.span() for match in _CODE.finditer(text))
        self._next = next(self._spans, None)

    def touches(self, start: int, stop: int) -> bool:
        while self._next is not None and self._next[1] <= start:
            self._next = next(self._spans, None)
        return self._next is not None and self._next[0] < stop


@final
@dataclass
class KnownPieces:
    """What an earlier shard has (uint64, sorted) and what this one had; about 60 bytes a piece."""

    earlier: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))
    seen: set[int] = field(default_factory=set)

    def repeated(self, found: Sequence[Piece]) -> list[Piece]:
        """The pieces that are known; the others are from now on."""
        hashes = np.array([piece.hash for piece in found], np.uint64)
        repeated = []
        for piece, is_earlier in zip(found, _in_sorted(hashes, self.earlier), strict=True):
            if is_earlier or piece.hash in self.seen:
                repeated.append(piece)
            else:
                self.seen.add(piece.hash)
        return repeated


def _in_sorted(hashes: np.ndarray, known: np.ndarray) -> np.ndarray:
    if not len(known):
        return np.zeros(len(hashes), bool)
    return known[np.minimum(np.searchsorted(known, hashes), len(known) - 1)] == hashes


def repeated_spans(
    document: Document, unit: Unit, min_characters: int, known: KnownPieces
) -> list[tuple[int, int]]:
    """What to cut out of a text, (start, end) in order, none overlapping; adds to ``known``.

    A piece goes with the break after it.
    """
    found = list(pieces(document, unit, min_characters))
    return [(piece.start, piece.end) for piece in known.repeated(found)]


def without_spans(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """The text without what ``spans`` names; they are in order and do not overlap."""
    kept, place = [], 0
    for start, end in spans:
        kept.append(text[place:start])
        place = end
    return "".join(kept) + text[place:]


def write_piece_hashes(
    path: Path, documents: Iterable[Document], unit: Unit, min_characters: int
) -> None:
    """First map: the distinct hashes of a shard's pieces, sorted, 8 bytes each, as a .npy file."""
    distinct: set[int] = set()
    for document in documents:
        distinct.update(piece.hash for piece in pieces(document, unit, min_characters))
    hashes = np.fromiter(distinct, np.uint64, len(distinct))
    hashes.sort()
    _write(path, hashes)


def num_slices(shards: Sequence[Path], hashes_a_slice: int) -> int:
    """How many slices of the hash range the merge takes; at least one."""
    total = sum(len(np.load(path, mmap_mode="r")) for path in shards)
    return max(1, -(-total // hashes_a_slice))


def write_repeated(path: Path, shards: Sequence[Path], part: int, of: int) -> None:
    """Merge: of one slice, shard by shard, the sorted hashes that an earlier shard has.

    The file holds the S + 1 places where the shards' hashes begin and end, then the hashes.
    """
    low, high = ((1 << 64) * part // of, (1 << 64) * (part + 1) // of)
    slices = [_between(np.load(shard, mmap_mode="r"), low, high) for shard in shards]
    shard_of = np.repeat(np.arange(len(slices), dtype=np.int32), [len(s) for s in slices])
    hashes = np.concatenate([np.empty(0, np.uint64), *slices])
    order = np.argsort(hashes, kind="stable")  # equal hashes stay in the order of the shards
    again = np.zeros(len(hashes), bool)
    again[order[1:]] = hashes[order[1:]] == hashes[order[:-1]]
    counts = np.bincount(shard_of[again], minlength=len(slices))
    starts = np.concatenate(([0], np.cumsum(counts))).astype(np.uint64)
    _write(path, np.concatenate((starts, hashes[again])))


def _between(hashes: np.ndarray, low: int, high: int) -> np.ndarray:
    first = np.searchsorted(hashes, np.uint64(low))
    last = np.searchsorted(hashes, np.uint64(high - 1), side="right")
    return hashes[first:last]


def repeated_in_shard(slices: Sequence[Path], shard: int, num_shards: int) -> np.ndarray:
    """uint64, sorted: the pieces of a shard that an earlier one has, from all slices in order."""
    parts = [np.empty(0, np.uint64)]
    for path in slices:
        stored = np.load(path, mmap_mode="r")
        first, last = (int(place) for place in stored[shard : shard + 2])
        parts.append(stored[num_shards + 1 :][first:last])
    return np.concatenate(parts)


def _write(path: Path, array: np.ndarray) -> None:
    with new_file(path) as temporary, temporary.open("wb") as file:
        np.save(file, array.astype("<u8"), allow_pickle=False)
