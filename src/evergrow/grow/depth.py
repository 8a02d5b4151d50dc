"""Which source blocks each grown block is made of: stacked, interleaved, mixed or identity."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """One block of the grown model.

    sources   (source block, share); shares sum to 1
    identity  a copy whose output is 0, so that it computes nothing
    new       not the first use of a source block
    """

    sources: tuple[tuple[int, float], ...]
    identity: bool = False
    new: bool = False


def _copies(order: list[int]) -> tuple[Block, ...]:
    return tuple(
        Block(((block, 1.0),), new=block in order[:place]) for place, block in enumerate(order)
    )


def stack(before: int, after: int) -> tuple[Block, ...]:
    """0 1 2 0 1 2, the remainder from the top (bert2BERT section 3.4; G_stack 2405.15319)."""
    whole, rest = divmod(after, before)
    return _copies([*range(before)] * whole + [*range(before - rest, before)])


def interleave(before: int, after: int) -> tuple[Block, ...]:
    """0 0 1 1 2 2, evenly where ``after`` is no multiple."""
    return _copies([place * before // after for place in range(after)])


def interpolate(before: int, after: int) -> tuple[Block, ...]:
    """Each block a linear mix of its two neighbours in the source, spread evenly from end to end.

    A block is old where it sits nearest to a source block that none before it sat nearer to.
    """
    blocks, used = [], set()
    for place in range(after):
        position = place * (before - 1) / (after - 1) if after > 1 else 0.0
        low = min(int(position), before - 1)
        share = position - low
        mixed = ((low, 1 - share), (low + 1, share)) if share > 1e-9 else ((low, 1.0),)
        nearest = round(position)
        blocks.append(Block(mixed, new=nearest in used))
        used.add(nearest)
    return tuple(blocks)


def identity(before: int, after: int) -> tuple[Block, ...]:
    """Each block followed by its share of silent copies, spread evenly (LLaMA-Pro 2401.02415)."""
    blocks = []
    for block in range(before):
        extra = (block + 1) * (after - before) // before - block * (after - before) // before
        blocks += [Block(((block, 1.0),))]
        blocks += [Block(((block, 1.0),), identity=True, new=True)] * extra
    return tuple(blocks)


DEPTH_OPERATORS: dict[str, Callable[[int, int], tuple[Block, ...]]] = {
    "identity": identity,
    "stack": stack,
    "interleave": interleave,
    "interpolate": interpolate,
}
