"""A grown model's tensors from the source's, one at a time: W' = M W R + Z (I - M R)."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evergrow.errors import InputError
from evergrow.grow.layout import Dimension, Line, Side, line_of
from evergrow.grow.plan import GrowthPlan
from evergrow.grow.widen import (
    add_free_noise,
    copied,
    give,
    new_along,
    noise_is_free,
    split_pairs,
    take,
)
from evergrow.models.family import unmatched

Read = Callable[[str], Tensor]
Make = Callable[[Line, Tensor], Tensor]

# Elements made at once, so that every step stays in the processor's cache. The noise of a seed
# depends on it.
PIECE = 1 << 18


def read_shape(plan: GrowthPlan, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """What the plan's tokenizer makes of a source tensor's shape."""
    if plan.spelling is None:
        return shape
    rows = line_of(plan, name).vocabulary
    return tuple(plan.spelling.after if d in rows else n for d, n in enumerate(shape))


def target_names(plan: GrowthPlan, source_names: Iterable[str]) -> list[str]:
    """The grown model's tensors in the source's order, the blocks one after another.

    Raises InputError for a tensor that no line of the family describes, and for blocks that
    config.json does not know.
    """
    family, blocks, names = plan.family, {}, list(source_names)
    for name in names:
        if family.spec_of(name) is None:
            raise InputError(unmatched(family, name))
        if (block := family.block_of(name)) is not None:
            blocks.setdefault(block, []).append(name)
    if sorted(blocks) != list(range(plan.num_source_blocks)):
        raise InputError(
            f"config.json: says {plan.num_source_blocks} blocks and the weights have "
            f"{len(blocks)}; both must come from the same model"
        )
    found, placed = [], False
    for name in names:
        if family.block_of(name) is None:
            found.append(name)
        elif not placed:
            placed = True
            for place, block in enumerate(plan.blocks):
                found += [family.in_block(here, place) for here in blocks[block.source]]
    return found


def needed(plan: GrowthPlan, name: str) -> list[str]:
    """The source tensors that a grown tensor is made from."""
    return sorted({source_of(plan, name), *_above(plan, name)})


def source_of(plan: GrowthPlan, name: str) -> str:
    """The source tensor that the grown tensor ``name`` is a copy of."""
    place = plan.family.block_of(name)
    return name if place is None else plan.family.in_block(name, plan.blocks[place].source)


def _above(plan: GrowthPlan, name: str) -> list[str]:
    """The tensor of the block above, where AKI's new units come from; the last has none above."""
    place = plan.family.block_of(name)
    if not plan.upper or place is None:
        return []
    upper = min(plan.blocks[place].source + 1, plan.num_source_blocks - 1)
    return [plan.family.in_block(name, upper)]


def _silent(plan: GrowthPlan, name: str) -> bool:
    """Whether the tensor is what makes an identity block compute nothing."""
    place = plan.family.block_of(name)
    return place is not None and plan.blocks[place].identity and plan.family.zeroed(name)


def expand(plan: GrowthPlan, name: str, read: Read) -> Tensor:
    """The grown tensor ``name``; ``read`` gives a source tensor by its name.

    Computed in fp32 (fp64 for fp64 input), returned in the source's dtype; a tensor that does not
    change is the very one that was read. Raises InputError for
    an undescribed tensor and for one whose shape is not what config.json says.
    """
    line, origin = line_of(plan, name), source_of(plan, name)
    source = _respelt(plan, line, read(origin))
    shape = line.grown_shape(origin, tuple(source.shape))
    if _silent(plan, name):
        return source.new_full(shape, -line.offset)
    if not line.dimensions or not source.is_floating_point():
        return source  # a buffer
    above = [_respelt(plan, line, read(upper)) for upper in _above(plan, name)]
    make = _maker(plan, name, line, source)
    if make is take and not above and (same := copied(line, source)) is not None:
        return same
    place, step = (0, shape[0]) if above else line.piece(shape, PIECE)
    grown = source.new_empty(shape)
    for start in range(0, shape[place], step):
        here = line.narrowed(place, start, min(start + step, shape[place]))
        given = give(here, line.cut(source, place, start, step))
        for upper in above:
            new = new_along(line, tuple(given.shape), ("gives",))
            given = torch.where(new, give(line, upper), given)
        piece = make(here, given)
        grown.narrow(place, start, piece.shape[place]).copy_(piece)
    return grown


def _respelt(plan: GrowthPlan, line: Line, tensor: Tensor) -> Tensor:
    """The tensor with the rows of the plan's tokenizer."""
    if plan.spelling is not None:
        for place in line.vocabulary:
            tensor = plan.spelling.applied(tensor, place)
    return tensor


def _maker(plan: GrowthPlan, name: str, line: Line, source: Tensor) -> Make:
    """How pieces of the tensor are read and made noisy; the pieces of one tensor draw in turn."""
    if not noise_is_free(line, plan.noise):
        return take
    precision = torch.promote_types(source.dtype, torch.float32)
    rms = float(torch.linalg.vector_norm(source, dtype=precision)) / source.numel() ** 0.5
    deviation = plan.noise * rms
    generator = np.random.Generator(np.random.SFC64(_seed(plan, name)))

    def noisy(here: Line, given: Tensor) -> Tensor:
        pairs = split_pairs(here, given, deviation, generator, source.dtype)
        return add_free_noise(here, given, deviation, rms, generator) if pairs is None else pairs

    return noisy


def _seed(plan: GrowthPlan, name: str) -> int:
    """Each tensor draws by itself: the order in which a folder is read does not matter."""
    text = f"{plan.seed}\x1f{plan.family.bare(name)}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def new_parameters(plan: GrowthPlan, name: str, shape: tuple[int, ...]) -> Tensor:
    """True where an element of the grown tensor ``name`` is new; [shape].

    New is what joins a new unit on either side, and all of a block that is not a source block's
    first use.
    """
    place = plan.family.block_of(name)
    if place is not None and plan.blocks[place].new:
        return torch.ones(shape, dtype=torch.bool)
    return new_along(line_of(plan, name), tuple(shape), ("gives", "reads"))


@dataclass(frozen=True)
class Along:
    """A tensor's dimension that grew: the map's hashes, and its index where that is short."""

    words: str
    side: Side
    before: int
    after: int
    coefficients: Literal["M", "R"]
    coefficient_range: tuple[float, float]
    index_blake2b: str
    coefficient_blake2b: str
    index: list[int] | None

    @classmethod
    def of(cls, dimension: Dimension) -> "Along":
        """From the dimension of a line."""
        axis, gives = dimension.map, dimension.side == "gives"
        factors = axis.scale if gives else axis.weight
        return cls(
            words=dimension.words,
            side=dimension.side,
            before=axis.before,
            after=axis.after,
            coefficients="M" if gives else "R",
            coefficient_range=(float(factors.min()), float(factors.max())),
            index_blake2b=_digest(axis.source),
            coefficient_blake2b=_digest(factors),
            index=axis.source.tolist() if axis.after <= 64 else None,
        )


@dataclass(frozen=True)
class Origin:
    """Where a grown tensor comes from; None is left out of growth.json.

    dimensions      None for one that did not grow
    new_units_from  the tensor of the block above (AKI)
    noise           its deviation over the tensor's root mean square, and its seed
    rows            kept by another tokenizer, and the hash of what all are made of
    """

    source: str
    line: str | None
    dimensions: tuple[Along | None, ...]
    new_units_from: str | None
    zero: str | None
    noise: tuple[float, int] | None
    rows: tuple[int, str] | None
    new_block: bool | None

    def record(self) -> dict[str, object]:
        """Plain data for growth.json."""
        told = {name: value for name, value in asdict(self).items() if value is not None}
        told["dimensions"] = [
            "unchanged" if d is None else {k: v for k, v in asdict(d).items() if v is not None}
            for d in self.dimensions
        ]
        if self.noise is not None:
            told["noise"] = dict(zip(("times_rms", "seed"), self.noise, strict=True))
        if self.rows is not None:
            told["rows"] = dict(zip(("kept", "blake2b"), self.rows, strict=True))
        return told


def provenance(plan: GrowthPlan, name: str) -> Origin:
    """Where the grown tensor ``name`` comes from: sources and shares, index maps, coefficients."""
    line, place = line_of(plan, name), plan.family.block_of(name)
    silent, found = _silent(plan, name), plan.spelling
    noisy = plan.noise and not silent and any(_noisy(d) for d in line.dimensions)
    return Origin(
        source=source_of(plan, name),
        line=plan.family.spec_of(name),
        dimensions=tuple(
            None if d is None or d.map.is_identity else Along.of(d) for d in line.dimensions
        ),
        new_units_from=next(iter(_above(plan, name)), None),
        zero="identity block" if silent else None,
        noise=(plan.noise, _seed(plan, name)) if noisy else None,
        rows=(len(found.kept), found.digest) if found is not None and line.vocabulary else None,
        new_block=None if place is None else plan.blocks[place].new,
    )


def _noisy(dimension: Dimension | None) -> bool:
    return dimension is not None and dimension.side == "reads" and not dimension.map.is_identity


def _digest(array: NDArray[Any]) -> str:
    return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).hexdigest()


def grow_state(plan: GrowthPlan, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A whole state dict grown in memory; raises InputError as ``target_names`` and ``expand``."""
    grown = {}
    for name in target_names(plan, tensors):
        made = expand(plan, name, tensors.__getitem__)
        grown[name] = made.clone() if made is tensors[source_of(plan, name)] else made
    return grown
