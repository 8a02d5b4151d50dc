"""MinHash: a short signature of a text whose equal places estimate the overlap of its shingles.

Broder 1997. A shingle is a run of five identifiers (``identifiers.py``), lower-cased and without
symbols: quotes, list marks and brackets change with every format that a text passes through, and in
code they are half of what a tokenizer makes, so that five of them would say little. A text of fewer
identifiers is one shingle.
Letters in array names: D documents, P permutations, B bands, N shingles.
"""

from dataclasses import dataclass, field
from typing import final

import numpy as np
import pyarrow as pa

from evergrow.corpus.document import Document
from evergrow.corpus.duplicates.identifiers import IDENTIFIERS, identifiers
from evergrow.corpus.duplicates.ngrams import constants, mixed, ngram_chunks, ngram_hashes
from evergrow.corpus.signals.group import SignalGroup
from evergrow.corpus.words import Words
from evergrow.errors import InputError

VERSION = 1
NAME = "minhash"
SHINGLES_AT_A_TIME = 1024  # x 112 permutations x 4 bytes: 448 KiB, about a core's second cache
SEED = 0x65766572


def minhash(permutations: int = 112, bands: int = 14, shingle: int = 5) -> SignalGroup:
    """The group with the fields ``bands`` (8 bytes each) and ``signature`` (4 bytes each).

    Both are null when the text has no word. Two texts whose shingles overlap by a Jaccard
    similarity s share a band with probability 1 - (1 - s^r)^B, r = permutations / bands rows each.
    """
    if min(permutations, bands, shingle) < 1 or permutations % bands:
        raise InputError(
            f"minhash: {permutations} permutations in {bands} bands of a {shingle}-word shingle; "
            "the permutations must be a positive multiple of the bands, such as 112 of 14"
        )
    return SignalGroup(
        name=NAME,
        version=VERSION,
        fields={"bands": pa.binary(8 * bands), "signature": pa.binary(4 * permutations)},
        compute=MinHash(permutations, bands, shingle),
        parameters={
            "permutations": permutations,
            "bands": bands,
            "shingle": shingle,
            "identifiers": IDENTIFIERS,
        },
    )


@final
@dataclass(frozen=True)
class MinHash:
    """Computes the values of the group; ``seed`` draws the permutations."""

    permutations: int
    bands: int
    shingle: int
    seed: int = SEED
    factors_P1: np.ndarray = field(init=False, repr=False)
    offsets_P1: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        numbers = (constants(2 * self.permutations, self.seed) >> np.uint64(32)).astype(np.uint32)
        factors, offsets = np.split(numbers[:, None], 2)
        object.__setattr__(self, "factors_P1", factors | np.uint32(1))
        object.__setattr__(self, "offsets_P1", offsets)

    def __call__(self, document: Document, words: Words) -> tuple[bytes | None, bytes | None]:
        hashes = identifiers(document.text)
        if not len(hashes):
            return None, None
        signature = self.signature(hashes)
        return band_hashes(signature, self.bands).tobytes(), signature.astype("<u4").tobytes()

    def signature(self, hashes_W: np.ndarray) -> np.ndarray:
        """uint32 [P]: the least value of each permutation x -> a x + b modulo 2^32, a odd.

        On well mixed hashes that family estimates as well as larger ones do (measured: the error
        of s is that of 112 independent draws), in half the time of 64 bits.
        """
        least_P = np.full(self.permutations, 0xFFFFFFFF, np.uint32)
        for hashes in ngram_chunks(hashes_W, min(self.shingle, len(hashes_W))):
            values = (hashes >> np.uint64(32)).astype(np.uint32)
            for start in range(0, len(values), SHINGLES_AT_A_TIME):
                permuted_PN = values[start : start + SHINGLES_AT_A_TIME] * self.factors_P1
                permuted_PN += self.offsets_P1
                np.minimum(least_P, permuted_PN.min(axis=1), out=least_P)
        return least_P


def band_hashes(signature_P: np.ndarray, bands: int) -> np.ndarray:
    """uint64 [B], little-endian and never 0: one hash for the rows of each band."""
    rows_BR = signature_P.reshape(bands, -1).astype(np.uint64)
    hashes_B = ngram_hashes(mixed(rows_BR + np.uint64(1)).ravel(), rows_BR.shape[1])
    return np.maximum(hashes_B[:: rows_BR.shape[1]], np.uint64(1)).astype("<u8")


def bands_of(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """uint64 [D, B] from the column ``bands``; zeros where a text had no word."""
    bands = column.type.byte_width // 8
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    bands_DB = np.zeros((len(column), bands), np.uint64)
    row = 0
    for chunk in chunks:
        known = chunk.drop_null()
        first = known.offset * bands
        values = np.frombuffer(known.buffers()[1] or b"", "<u8")[first:][: len(known) * bands]
        there = chunk.is_valid().to_numpy(zero_copy_only=False)
        bands_DB[row : row + len(chunk)][there] = values.reshape(-1, bands)
        row += len(chunk)
    return bands_DB


def similarity(one: bytes | None, other: bytes | None) -> float:
    """The Jaccard similarity of two texts as their signatures estimate it; standard error
    sqrt(s (1 - s) / P). 0 when one of them has no word."""
    if one is None or other is None:
        return 0.0
    return float(np.mean(np.frombuffer(one, "<u4") == np.frombuffer(other, "<u4")))
