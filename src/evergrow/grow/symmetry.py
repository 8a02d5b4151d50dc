"""Whether new units can become different from old ones: duplicates and rank of weight matrices.

Units that hold the same weights get the same gradients for ever. Grown by copies alone, a matrix of
twice the size keeps the rank of its source (measured: 32 of 64 after any number of steps).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

RANK_LIMIT = 4 * 10**10  # rows x columns x smaller side: 2048 x 8192 takes 3 CPU seconds
_CHUNK = 1024  # rows in float64 at a time: a vocabulary's table is the largest tensor there is
_RANK_TOLERANCE = 1e-6  # of the largest singular value: of copies' differences, not of float64


@dataclass(frozen=True)
class Symmetry:
    """A matrix [outputs, inputs] as units.

    duplicate_rows, duplicate_columns  how many repeat an earlier one exactly, up to a factor
                                       (copies may be divided); all-zero ones count too
    rank                               singular values above 1e-6 of the largest; None for a
                                       matrix too large to take apart (RANK_LIMIT)
    effective_rank                     exp of the entropy of the singular values' shares (Roy and
                                       Vetterli, 2007); None likewise
    """

    shape: tuple[int, int]
    duplicate_rows: int
    duplicate_columns: int
    rank: int | None
    effective_rank: float | None


def symmetry_of(matrix: Tensor) -> Symmetry:
    """Count duplicates and rank; a matrix of more than two dimensions is taken as [first, rest]."""
    matrix = matrix.flatten(1)
    values = singular_values(matrix)
    return Symmetry(
        (matrix.shape[0], matrix.shape[1]),
        duplicate_units(matrix),
        duplicate_units(matrix.T),
        None if values is None else _rank(values),
        None if values is None else effective_rank(values),
    )


def _rank(values: Tensor) -> int:
    return int((values > _RANK_TOLERANCE * values.max()).sum())


def duplicate_units(matrix: Tensor) -> int:
    """How many rows are a positive multiple of an earlier row, to float32 rounding (1e-6)."""
    if len(matrix) < 2:
        return 0
    probe = _probe(matrix.shape[1])
    keys = torch.cat([_directions(rows) @ probe for rows in matrix.split(_CHUNK)])
    keys, order = torch.sort(keys)  # equal rows become neighbours, most others differ here already
    near = torch.nonzero(keys.diff() < 1e-6).flatten()
    found = 0
    for places in near.split(_CHUNK):
        earlier, later = _directions(matrix[order[places]]), _directions(matrix[order[places + 1]])
        found += int(((later - earlier).abs().amax(dim=1) < 1e-6).sum())
    return found


def _directions(rows: Tensor) -> Tensor:
    rows = rows.double()
    norms = rows.norm(dim=1, keepdim=True)
    return rows / torch.where(norms == 0, 1.0, norms)


def _probe(length: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(length, dtype=torch.float64, generator=generator)


def singular_values(matrix: Tensor) -> Tensor | None:
    """From the smaller Gram matrix in float64 [min(shape)]; None beyond RANK_LIMIT."""
    rows, columns = matrix.shape
    if rows * columns * min(rows, columns) > RANK_LIMIT:
        return None
    tall = matrix if rows > columns else matrix.T
    gram = torch.zeros(tall.shape[1], tall.shape[1], dtype=torch.float64)
    for part in tall.split(_CHUNK):
        part = part.double()
        gram += part.T @ part
    return torch.linalg.eigvalsh(gram).clamp(min=0).sqrt()


def effective_rank(singular_values: Tensor) -> float:
    """exp(-sum p ln p) with p the values' shares of their sum; 0 for a matrix of zeros."""
    total = singular_values.sum()
    if total == 0:
        return 0.0
    shares = singular_values / total
    return float(torch.exp(-torch.xlogy(shares, shares).sum()))
