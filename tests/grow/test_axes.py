"""R M = I, whatever the copies and shares."""

import numpy as np
import pytest

from evergrow.grow.axes import (
    MEAN,
    ZERO,
    AxisMap,
    circular,
    contiguous,
    drawn,
    equal_split,
    first_only,
    joined,
    times,
    unchanged,
    uneven_split,
    view,
)


def copies(source: list[int], before: int) -> AxisMap:
    index = np.array(source)
    return AxisMap(before, index, np.ones(len(index)), equal_split(index, before))


def test_copies_by_hand() -> None:
    axis = copies([0, 1, 2, 0], 3)
    grow, read = axis.matrices()
    assert grow.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert read.tolist() == [[0.5, 0, 0, 0.5], [0, 1, 0, 0], [0, 0, 1, 0]]
    assert axis.new.tolist() == [False, False, False, True]
    assert axis.counts.tolist() == [2, 1, 1]


def test_which_unit_is_copied() -> None:
    assert circular(3, 7).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert contiguous(2, 6).tolist() == [0, 0, 0, 1, 1, 1]
    random = drawn(4, 400, np.random.default_rng(0))
    assert random[:4].tolist() == [0, 1, 2, 3]
    assert set(random[4:]) == {0, 1, 2, 3}  # not only the first 396 - 4 of them


@pytest.mark.parametrize("split", ["equal", "uneven", "first"])
@pytest.mark.parametrize("source", [[0, 1, 2, 0, 1, 2], [0, 1, 2, 2, 2], [0, 1, 2]])
def test_what_is_read_is_what_was_held(split: str, source: list[int]) -> None:
    index, random = np.array(source), np.random.default_rng(3)
    shares = {
        "equal": equal_split(index, 3),
        "uneven": uneven_split(index, 3, random),
        "first": first_only(index, 3),
    }[split]
    grow, read = AxisMap(3, index, np.ones(len(index)), shares).matrices()
    assert np.abs(read @ grow - np.eye(3)).max() < 1e-15


def test_uneven_shares_differ_within_every_pair() -> None:
    shares = uneven_split(circular(50, 100), 50, np.random.default_rng(0))
    assert np.abs(shares[:50] - shares[50:]).min() > 1e-4
    assert shares.min() > 0.24  # 0.5 / (0.5 + 1.5)


def test_products_and_fused_parts_read_back_too() -> None:
    heads, width = copies([0, 1, 0], 2), copies([0, 0, 1, 1, 2, 2], 3)
    product = times(heads, width)
    grow, read = product.matrices()
    outer, inner = heads.matrices(), width.matrices()
    assert np.array_equal(grow, np.kron(outer[0], inner[0]))
    assert np.array_equal(read, np.kron(outer[1], inner[1]))
    fused = joined([product, unchanged(2)])
    assert fused.source[-2:].tolist() == [6, 7]
    assert np.array_equal(fused.matrices()[1] @ fused.matrices()[0], np.eye(8))


def test_means_become_zeros_in_another_view() -> None:
    base = AxisMap(2, np.array([0, 1, MEAN]), np.full(3, 2.0), np.array([0.5, 0.5, 0]))
    grow, read = base.matrices()
    assert grow.tolist() == [[2, 0], [0, 2], [1, 1]]
    assert np.array_equal(read @ grow, np.eye(2))
    assert view(base, np.ones(3), np.ones(3)).source.tolist() == [0, 1, ZERO]
    assert base.new.tolist() == [False, False, True]


def test_doubled_are_found_only_where_one_or_two_copies_are_read_in_equal_parts() -> None:
    found = copies([1, 0, 0, 1, 2], 3).doubled
    assert found is not None
    places = (found.single, found.first, found.second)
    assert [p.tolist() for p in places] == [[4], [1, 0], [2, 3]]
    assert copies([0, 1, 0, 0], 2).doubled is None
    assert unchanged(2).doubled is None


def test_runs_are_copies_that_lie_as_their_sources_do() -> None:
    assert copies([0, 1, 2, 0, 1], 3).runs == [(0, 0, 3), (3, 0, 2)]
    assert copies([1, 0], 2).runs == [(0, 1, 1), (1, 0, 1)]
    padded = AxisMap(2, np.array([0, 1, ZERO]), np.ones(3), np.ones(3))
    assert padded.runs == [(0, 0, 2)]


def test_a_copy_holds_the_sources_coordinates_as_they_are() -> None:
    assert unchanged(2).is_copy
    assert not copies([0, 1, 0], 2).is_copy  # its readers get half
    assert not AxisMap(2, np.array([0, 1, ZERO]), np.ones(3), np.ones(3)).is_copy
