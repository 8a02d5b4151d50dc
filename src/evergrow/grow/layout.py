"""A family's line, read: which map lies on each dimension of a tensor, and on which side."""

import math
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from evergrow.errors import InputError
from evergrow.grow.axes import AxisMap, joined, times
from evergrow.grow.operators import Views
from evergrow.grow.plan import GrowthPlan
from evergrow.models.family import unmatched

Side = Literal["gives", "reads"]


@dataclass(frozen=True)
class Dimension:
    """One dimension of a tensor; ``words`` is its expression in the family's line."""

    words: str
    side: Side
    map: AxisMap


@dataclass(frozen=True)
class Line:
    """One tensor's dimensions, None where nothing grows; ``norm`` is set for a norm's gain.

    norm     (what the gain reads, what it gives)
    offset   what the model adds to the stored gain
    """

    dimensions: tuple[Dimension | None, ...]
    norm: tuple[AxisMap, AxisMap] | None = None
    offset: float = 0.0

    def piece(self, shape: tuple[int, ...], elements: int) -> tuple[int, int]:
        """(dimension, step) that cuts a grown tensor into pieces of about ``elements``.

        What a matrix reads is never cut: copies of one coordinate are made together.
        """
        for place, dimension in enumerate(self.dimensions):
            whole = self.norm is not None or len(shape) == 1
            if not whole and (dimension is None or dimension.side == "gives"):
                return place, max(1, elements * shape[place] // math.prod(shape))
        return 0, shape[0]

    def narrowed(self, place: int, start: int, stop: int) -> "Line":
        """The line of a piece of the grown tensor."""
        dimension = self.dimensions[place]
        if dimension is None or stop - start == dimension.map.after:
            return self
        cut = replace(dimension, map=dimension.map.narrowed(start, stop))
        return replace(
            self, dimensions=(*self.dimensions[:place], cut, *self.dimensions[place + 1 :])
        )

    def cut(self, source: Tensor, place: int, start: int, step: int) -> Tensor:
        """What a piece of the grown tensor needs of a source tensor."""
        if self.dimensions[place] is not None:
            return source
        return source.narrow(place, start, min(step, source.shape[place] - start))

    @property
    def vocabulary(self) -> list[int]:
        """The dimensions that lie on the vocabulary."""
        return [i for i, d in enumerate(self.dimensions) if d is not None and d.words == "vocab"]

    def grown_shape(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The grown tensor's shape; raises InputError when the source's does not fit its line."""
        dimensions = self.dimensions[: len(shape)]
        for place, dimension in enumerate(dimensions):
            if dimension is not None and shape[place] != dimension.map.before:
                raise InputError(
                    f"{name}: dimension {place} is {shape[place]}, and {dimension.map.before} by "
                    f"config.json ({dimension.words}); both must come from the same model"
                )
        if any(dimension is not None for dimension in self.dimensions[len(shape) :]):
            raise InputError(
                f"{name}: has {len(shape)} dimensions and its line {len(self.dimensions)}; "
                "it is not the tensor that the family describes"
            )
        grown = [size if d is None else d.map.after for size, d in zip(shape, dimensions)]  # noqa: B905
        return (*grown, *shape[len(grown) :])


def line_of(plan: GrowthPlan, name: str) -> Line:
    """The maps of a tensor's dimensions; raises InputError for one without a line."""
    family = plan.family
    line = family.spec_of(name)
    if line is None:
        raise InputError(unmatched(family, name))
    table, *heads = family.tied or ("",)
    if plan.tied and family.bare(name) in [f"{head}.weight" for head in heads]:
        line = family.modules[table]
    if line == "fixed":
        return Line(())
    views = plan.views_at(name)
    if "=>" in line:
        reads, gives = (map_of(views, side) for side in line.split("=>"))
        return Line((Dimension(line, "gives", gives),), (reads, gives), family.gain_offset)
    if "<-" in line:
        gives, reads = line.removeprefix("each ").split("<-")
        both = (_dimension(views, gives, "gives"), _dimension(views, reads, "reads"))
        return Line((None, *both) if line.startswith("each ") else both)
    if "->" in line:
        reads, gives = line.split("->")
        return Line((_dimension(views, reads, "reads"), _dimension(views, gives, "gives")))
    words = line.split(maxsplit=1)[1]
    return Line(tuple(_dimension(views, side, "gives") for side in words.split(",")))


def _dimension(views: Views, words: str, side: Side) -> Dimension | None:
    words = words.strip()
    return None if words == "_" else Dimension(words, side, map_of(views, words))


def map_of(views: Views, words: str) -> AxisMap:
    """The map of an expression such as ``heads*(query + key + value)``, flattened; cached."""
    words = words.strip()
    if words not in views:
        views[words] = _parse(views, words)
    return views[words]


def _parse(views: Views, words: str) -> AxisMap:
    if words.endswith(")"):  # the only bracket a line has closes it
        outer, inner = words[:-1].split("*(")
        return times(map_of(views, outer), map_of(views, inner))
    if "+" in words:
        return joined([map_of(views, part) for part in words.split("+")])
    outer, inner = words.split("*")
    return times(map_of(views, outer), map_of(views, inner))
