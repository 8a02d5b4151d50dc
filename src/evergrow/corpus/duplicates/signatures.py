"""MinHash: a short signature of a text whose equal places estimate the overlap of its shingles.

Broder 1997. A shingle is a run of five identifiers (``identifiers.py``), lower-cased and without
symbols: quotes, list marks and brackets change with every format that a text passes through, and in
code they are half of what a tokenizer makes, so that five of them would say little. A text of fewer
identifiers has no shingle, and repeats only what it equals.
Of each value one byte is stored, which estimates nearly as well (Li and Koenig 2010, b-bit minwise
hashing); bands are hashes of whole values.
Letters in array names: D documents, P permutations, B bands, N shingles.
"""

from dataclasses import dataclass, field
from typing import final

import numpy as np
import pyarrow as pa

from evergrow.corpus.document import Document
from evergrow.corpus.duplicates.identifiers import IDENTIFIERS, identifiers, said
from evergrow.corpus.duplicates.ngrams import constants, mixed, ngram_chunks, ngram_hashes
from evergrow.corpus.signals.group import SignalGroup
from evergrow.corpus.words import Words
from evergrow.errors import InputError

VERSION = 2
NAME = "minhash"
SHINGLES_AT_A_TIME = 512  # x 112 permutations x 8 bytes: 448 KiB, about a core's second cache
SEED = 0x65766572
BY_CHANCE = 1 / 256  # how often two bytes agree


def minhash(permutations: int = 112, bands: int = 14, shingle: int = 5) -> SignalGroup:
    """The group with the fields ``bands`` (8 bytes each), ``signature`` (a byte a permutation) and
    ``characters``, how many the text's identifiers have.

    Bands and signature are null when the text is shorter than a shingle. Two texts whose shingles
    overlap by a Jaccard similarity s share a band with probability 1 - (1 - s^r)^B,
    r = permutations / bands rows each.
    """
    if min(permutations, bands, shingle) < 1 or permutations % bands:
        raise InputError(
            f"minhash: {permutations} permutations in {bands} bands of a {shingle}-word shingle; "
            "the permutations must be a positive multiple of the bands, such as 112 of 14"
        )
    return SignalGroup(
        name=NAME,
        version=VERSION,
        fields={
            "bands": pa.binary(8 * bands),
            "signature": pa.binary(permutations),
            "characters": pa.int64(),
        },
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
        factors, offsets = np.split(constants(2 * self.permutations, self.seed)[:, None], 2)
        object.__setattr__(self, "factors_P1", factors | np.uint64(1))
        object.__setattr__(self, "offsets_P1", offsets)

    def __call__(self, document: Document, words: Words) -> tuple[bytes | None, bytes | None, int]:
        hashes_W, num_characters = said(document.text)
        if len(hashes_W) < self.shingle:
            return None, None, num_characters
        values_P = self.values(hashes_W)
        bands = band_hashes(values_P, self.bands).tobytes()
        return bands, signature(values_P).tobytes(), num_characters

    def values(self, hashes_W: np.ndarray) -> np.ndarray:
        """uint64 [P]: the least value of each permutation x -> a x + b modulo 2^64, a odd.

        On well mixed hashes that family estimates as well as larger ones do (measured: the error
        of s is that of 112 independent draws). 32 bits take 0.6 of the time, and merge 110 of a
        million texts of one shingle.
        """
        least_P = np.full(self.permutations, 0xFFFFFFFFFFFFFFFF, np.uint64)
        for hashes in ngram_chunks(hashes_W, self.shingle):
            for start in range(0, len(hashes), SHINGLES_AT_A_TIME):
                permuted_PN = hashes[start : start + SHINGLES_AT_A_TIME] * self.factors_P1
                permuted_PN += self.offsets_P1
                np.minimum(least_P, permuted_PN.min(axis=1), out=least_P)
        return least_P


def signature(values_P: np.ndarray) -> np.ndarray:
    """uint8 [P]: one byte of each value."""
    return mixed(values_P).astype(np.uint8)


def band_hashes(values_P: np.ndarray, bands: int) -> np.ndarray:
    """uint64 [B], little-endian and never 0: one hash for the rows of each band."""
    rows_BR = values_P.reshape(bands, -1)
    hashes_B = ngram_hashes(mixed(rows_BR + np.uint64(1)).ravel(), rows_BR.shape[1])
    return np.maximum(hashes_B[:: rows_BR.shape[1]], np.uint64(1)).astype("<u8")


def bands_of(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """uint64 [D, B] from the column ``bands``; zeros where a text has none."""
    return _rows(column, "<u8")


def signatures_of(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """uint8 [D, P] from the column ``signature``; zeros where a text has none."""
    return _rows(column, "u1")


def _rows(column: pa.Array | pa.ChunkedArray, kind: str) -> np.ndarray:
    width = column.type.byte_width // np.dtype(kind).itemsize
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    rows_DX = np.zeros((len(column), width), kind)
    row = 0
    for chunk in chunks:
        known = chunk.drop_null()
        first = known.offset * width
        values = np.frombuffer(known.buffers()[1] or b"", kind)[first:][: len(known) * width]
        there = chunk.is_valid().to_numpy(zero_copy_only=False)
        rows_DX[row : row + len(chunk)][there] = values.reshape(-1, width)
        row += len(chunk)
    return rows_DX


def similarities(signature_P: np.ndarray, others_DP: np.ndarray) -> np.ndarray:
    """float64 [D]: the Jaccard similarities of one text to others as their signatures estimate
    them, without the bytes that agree by chance; standard error sqrt(s (1 - s) / P)."""
    agree_D = (signature_P == others_DP).mean(axis=1)
    return np.maximum((agree_D - BY_CHANCE) / (1 - BY_CHANCE), 0.0)


def shingles(text: str, shingle: int) -> np.ndarray:
    """uint64 [N], sorted: the hashes of the distinct shingles of a text."""
    return np.unique(ngram_hashes(identifiers(text), shingle))


def jaccard(one_N: np.ndarray, other_N: np.ndarray) -> float:
    """The share of all shingles of two texts that both have; 0 without any."""
    shared = len(np.intersect1d(one_N, other_N, assume_unique=True))
    return shared / max(len(one_N) + len(other_N) - shared, 1)
