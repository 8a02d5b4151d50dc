"""Duplicates and ranks that can be counted by hand."""

import math

import pytest
import torch

from evergrow.grow import symmetry
from evergrow.grow.symmetry import duplicate_units, effective_rank, symmetry_of


def test_duplicates_are_rows_of_one_direction() -> None:
    matrix = torch.tensor(
        [[1.0, 2.0], [0.5, 1.0], [1.0, -2.0], [-1.0, 2.0], [0.0, 0.0], [3.0, 6.0]]
    )
    assert duplicate_units(matrix) == 2  # rows 1 and 5 repeat row 0; the opposite of a row does not
    assert duplicate_units(torch.zeros(3, 2)) == 2
    assert duplicate_units(torch.eye(4)) == duplicate_units(torch.ones(1, 4)) == 0


def test_a_copied_matrix_keeps_its_sources_rank_and_noise_frees_it() -> None:
    torch.manual_seed(0)
    source = torch.randn(4, 6)
    grown = source.repeat(2, 2) / 2  # rows copied, columns copied and divided
    locked = symmetry_of(grown)
    assert (locked.duplicate_rows, locked.duplicate_columns) == (4, 6)
    assert locked.rank == 4
    free = symmetry_of(grown + 1e-3 * torch.randn(8, 12))
    assert (free.duplicate_rows, free.duplicate_columns, free.rank) == (0, 0, 8)


def test_effective_rank_by_hand() -> None:
    assert effective_rank(torch.ones(5)) == pytest.approx(5)
    assert effective_rank(torch.tensor([1.0, 0.0])) == pytest.approx(1)
    two = effective_rank(torch.tensor([3.0, 1.0]))
    assert two == pytest.approx(math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25))))
    assert effective_rank(torch.zeros(3)) == 0


def test_singular_values_are_those_of_the_decomposition() -> None:
    torch.manual_seed(1)
    matrix = torch.randn(5, 3, 2)
    values = torch.linalg.svdvals(matrix.flatten(1).double())
    found = symmetry_of(matrix)
    assert found.shape == (5, 6)
    assert found.effective_rank == pytest.approx(effective_rank(values), rel=1e-9)


def test_large_matrices_have_no_rank_but_duplicates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symmetry, "RANK_LIMIT", 2)
    found = symmetry_of(torch.ones(3, 4))
    assert (found.rank, found.effective_rank, found.duplicate_rows) == (None, None, 2)
