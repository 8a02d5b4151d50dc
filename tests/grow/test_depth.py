"""Where each grown block comes from, by hand."""

import pytest

from evergrow.grow.depth import DEPTH_OPERATORS, copies, identity, stack


def test_stacking_repeats_and_takes_the_remainder_from_the_top() -> None:
    assert [b.source for b in stack(3, 8)] == [0, 1, 2, 0, 1, 2, 1, 2]
    assert [b.new for b in stack(3, 6)] == [False] * 3 + [True] * 3


def test_any_order() -> None:
    assert [b.source for b in copies([0, 0, 2, 1])] == [0, 0, 2, 1]
    assert [b.new for b in copies([0, 0, 2, 1])] == [False, True, False, False]


def test_identity_blocks_are_spread_evenly_after_their_source() -> None:
    blocks = identity(3, 5)
    assert [(b.source, b.identity) for b in blocks] == [
        (0, False),
        (1, False),
        (1, True),
        (2, False),
        (2, True),
    ]
    assert [b.new for b in blocks] == [b.identity for b in blocks]


@pytest.mark.parametrize("name", DEPTH_OPERATORS)
@pytest.mark.parametrize(("before", "after"), [(1, 1), (1, 3), (4, 4), (4, 5), (4, 9), (12, 24)])
def test_every_source_block_is_used_and_old_once(name: str, before: int, after: int) -> None:
    blocks = DEPTH_OPERATORS[name](before, after)
    assert len(blocks) == after
    assert {b.source for b in blocks} == set(range(before))
    assert sum(not b.new for b in blocks) == before
