"""How an architecture is described as data: its tensors by name, their axes, norms and ties.

A line of a family names a module and says what its weight joins. `*` is a block's number.

    OUT <- IN       a linear map [out, in] or a convolution [out, in, ...]; its bias lies on OUT
    IN -> OUT       the same stored as [in, out] (GPT-2's Conv1D)
    IN => OUT       a norm's gain: it reads IN and gives OUT; its bias lies on OUT
    table A, B      a lookup table's weight, rows on A, columns on B
    param A, B      a parameter by its own name, without `.weight`
    fixed           not on any axis that grows

A side is a product (`heads*key`), a sum of products (fused: `heads*query + heads*key`), or `_` for
what keeps its size. Its words are the views of an axis (evergrow.grow.axes): `hidden` is the
residual stream, `normed` what a norm gives to the matrices that read it, `logits` what the last
norm gives to the head; `query`, `key`, `value` lie inside a head; `raw_*` is before a QK-norm.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from evergrow.errors import InputError

NormKind = Literal["rms", "layer"]
Place = int | Literal["embed", "head"]


@dataclass(frozen=True)
class Family:
    """One architecture.

    fields   axis -> field of config.json; an axis without one does not exist or follows others
    post     norms stand after the sum, so that the residual is a norm's output (post-LN)
    rotary   heads turn pairs of coordinates by rotary positions
    zero     modules of a block which, when 0, make it compute nothing and train well: the gain of
             a norm on the block's output where there is one (0 before it would be divided by
             sqrt(eps): a gradient 1,700 times too large was measured); () where no zero does
    tied     (module of the table, modules of heads) that share a weight when config says so, or
             when it is silent and ``tied_by_default``
    kept     field -> axis it stands for when absent: written out, so that it does not follow
    own      configuration fields that this architecture alone has; carried as they are
    bound    field -> (value, axis, unless): with this value the function depends on that axis's
             size or numbering in a way that no weight can undo, unless another field is set
    blocks   where numbered blocks stand; a second name is the one of files on disk
    modules  module -> line, in the order of the forward pass
    """

    name: str
    prefix: str
    blocks: tuple[str, ...]
    fields: Mapping[str, str]
    norm: NormKind
    modules: Mapping[str, str]
    zero: tuple[str, ...]
    post: bool = False
    rotary: bool = False
    tied: tuple[str, ...] = ()
    tied_by_default: bool = False
    kept: Mapping[str, str] = field(default_factory=dict)
    own: str = ""
    bound: Mapping[str, tuple[Any, str, str | None]] = field(default_factory=dict)

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], str]]:
        return [(_pattern(name), line) for name, line in _tensors(self.modules)]

    @cached_property
    def _block(self) -> re.Pattern[str]:
        roots = "|".join(map(re.escape, self.blocks))
        return re.compile(rf"(?P<root>{roots})\.(?P<number>\d+)\.(?P<module>.+?)(\.(weight|bias))?")

    def bare(self, name: str) -> str:
        """A tensor's name without the prefix that a model with a head puts before its trunk."""
        return name.removeprefix(self.prefix)

    def spec_of(self, name: str) -> str | None:
        """The line that describes a tensor; None when the family has none."""
        bare = self.bare(name)
        return next((line for pattern, line in self._patterns if pattern.fullmatch(bare)), None)

    def block_of(self, name: str) -> int | None:
        """The number of the block that a tensor belongs to; None outside the blocks."""
        found = self._block.fullmatch(self.bare(name))
        return int(found["number"]) if found else None

    def in_block(self, name: str, block: int) -> str:
        """The same tensor's name in another block."""
        bare = self.bare(name)
        found = self._block.fullmatch(bare)
        assert found is not None, f"{name} is in no block"
        start, end = found.span("number")
        return f"{name.removesuffix(bare)}{bare[:start]}{block}{bare[end:]}"

    def zeroed(self, name: str) -> bool:
        """Whether an identity block holds 0 here."""
        found = self._block.fullmatch(self.bare(name))
        return found is not None and found["module"] in self.zero

    def depth_of(self, name: str) -> Place:
        """Where a tensor stands: "embed" before the blocks, a block's number, "head" after them.

        Raises InputError for a tensor that the family does not know.
        """
        if (block := self.block_of(name)) is not None and self.spec_of(name) is not None:
            return block
        bare, passed = self.bare(name), False
        for pattern, _ in self._patterns:  # in the order of the forward pass
            if pattern.fullmatch(bare):
                return "head" if passed else "embed"
            passed = passed or pattern.pattern.startswith(re.escape(self.blocks[0] + "."))
        raise InputError(unmatched(self, name))


def unmatched(family: Family, name: str) -> str:
    """The sentence about a tensor without a line."""
    return (
        f"{name}: no line of the {family.name} family describes this tensor, and none is skipped; "
        "add one to evergrow.models.families or remove the tensor from the model"
    )


def _tensors(modules: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(name pattern, line) of every tensor that the modules' lines stand for."""
    for module, line in modules.items():
        if line.startswith(("param", "fixed")):
            yield module, line
            continue
        yield f"{module}.weight", line
        if "=>" in line:
            yield f"{module}.bias", "param " + line.split("=>")[1].strip()
        elif "<-" in line:
            yield f"{module}.bias", "param " + line.split("<-")[0].strip()
        elif "->" in line:
            yield f"{module}.bias", "param " + line.split("->")[1].strip()


def _pattern(name: str) -> re.Pattern[str]:
    text = re.escape(name).replace(r"\*\*", r".+").replace(r"\*", r"\w+")
    return re.compile(text)
