"""Which source block each grown block is a copy of: stacked, listed or identity."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """One block of the grown model.

    source    number of the source's block
    identity  a copy whose output is 0, so that it computes nothing
    new       not the first use of a source block
    """

    source: int
    identity: bool = False
    new: bool = False


def copies(order: list[int]) -> tuple[Block, ...]:
    """The source's blocks in any order; all but the first use of one are new."""
    return tuple(Block(block, new=block in order[:place]) for place, block in enumerate(order))


def stack(before: int, after: int) -> tuple[Block, ...]:
    """0 1 2 0 1 2, the remainder from the top (bert2BERT section 3.4; G_stack 2405.15319)."""
    whole, rest = divmod(after, before)
    return copies([*range(before)] * whole + [*range(before - rest, before)])


def identity(before: int, after: int) -> tuple[Block, ...]:
    """Each block followed by its share of silent copies, spread evenly (LLaMA-Pro 2401.02415)."""
    blocks = []
    for block in range(before):
        extra = (block + 1) * (after - before) // before - block * (after - before) // before
        blocks += [Block(block)]
        blocks += [Block(block, identity=True, new=True)] * extra
    return tuple(blocks)


DEPTH_OPERATORS: dict[str, Callable[[int, int], tuple[Block, ...]]] = {
    "identity": identity,
    "stack": stack,
}
