"""How an architecture is described as data: its tensors by name, their axes, norms and ties.

A line of a family names a module and says what its weight joins. `*` is a block's number.

    OUT <- IN       a linear map [out, in] or a convolution [out, in, ...]; its bias lies on OUT
    IN -> OUT       the same stored as [in, out] (GPT-2's Conv1D)
    IN => OUT       a norm's gain: it reads IN and gives OUT; its bias lies on OUT
    table A, B      a lookup table's weight, rows on A, columns on B
    param A, B      a parameter by its own name, without `.weight`
    each OUT <- IN  such a parameter that holds a linear map for each expert, [experts, out, in]
    fixed           not on any axis that grows

A side is a product (`heads*key`), a sum of products (fused: `heads*query + heads*key`), or `_` for
what keeps its size. Its words are the views of an axis (evergrow.grow.axes): `hidden` is the
residual stream, `embedded` a table's rows before they are scaled or projected to it, `normed` what
a norm gives to the matrices that read it, `logits` what the last norm gives to the head; `query`,
`key`, `value` lie inside a head; `raw_*` is before a QK-norm.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from evergrow.errors import InputError

NormKind = Literal["rms", "layer"]
Place = int | Literal["embed", "head"]

# How files of BERT's first years end the names of a norm; transformers reads both.
OLD_ENDINGS = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}


@dataclass(frozen=True)
class Family:
    """One architecture.

    fields   axis -> field of config.json; an axis without one does not exist or follows others
    post     norms stand after the sum, so that the residual is a norm's output (post-LN)
    whole_heads  transformers refuses a residual that heads do not divide, head_dim or not
    only_copies  a norm, or a scale per coordinate, stands on the way into the residual, so that no
             coordinate of it can hold the mean of the others
    gain_offset  norms multiply by this plus their weight (Gemma: 1)
    table_times_root  rows of the table are multiplied by the root of the residual's width
    table_field  field of the width of the table's rows, which follow the residual if it is equal
    fixed_scores a field, and not the width of a head, says what attention divides by
    ffn_times    field that says how many times the residual's width the feed-forward has
    per_layer    fields with one entry a block; where silent, transformers counts from the bottom
    named_by_depth  fields that name a backbone's stages; left out of a deeper model
    rotary   heads turn pairs of coordinates by rotary positions
    rotary_share  the share of a head that is turned where the file does not say it
    zero     modules of a block which, when 0, make it compute nothing and train well: the gain of
             a norm on the block's output where there is one (0 before it would be divided by
             sqrt(eps): a gradient 1,700 times too large was measured); () where no zero does.
             `*` is an expert's number
    tied     (module of the table, modules of heads) that share a weight when config says so, or
             when it is silent and ``tied_by_default``
    kept     field -> axis it stands for when absent: written out, so that it does not follow
    own      configuration fields that this architecture alone has; carried as they are
    bound    field -> (harmless values, axis): with any other value the function depends on that
             axis's size or numbering in a way that no weight can undo
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
    rotary_share: float = 1.0
    whole_heads: bool = False
    only_copies: bool = False
    gain_offset: float = 0.0
    table_times_root: bool = False
    table_field: str | None = None
    fixed_scores: bool = False
    ffn_times: str | None = None
    per_layer: tuple[str, ...] = ()
    named_by_depth: tuple[str, ...] = ()
    tied: tuple[str, ...] = ()
    tied_by_default: bool = False
    kept: Mapping[str, str] = field(default_factory=dict)
    own: str = ""
    bound: Mapping[str, tuple[tuple[Any, ...], str]] = field(default_factory=dict)

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], str]]:
        return [(_pattern(name), line) for name, line in _tensors(self.modules)]

    @cached_property
    def _zero(self) -> list[re.Pattern[str]]:
        return [_pattern(module) for module in self.zero]

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
        for ending, old in OLD_ENDINGS.items():
            bare = bare.removesuffix(old) + ending if bare.endswith(old) else bare
        return next((line for pattern, line in self._patterns if pattern.fullmatch(bare)), None)

    def axes_of(self, name: str) -> tuple[str, str]:
        """What a matrix's rows and columns lie on, by one name for all views of the residual.

        A matrix without such a line, or that keeps its size, has axes of its own.
        """
        line = self.spec_of(name) or ""
        arrow = next((arrow for arrow in ("<-", "->") if arrow in line), None)
        if arrow is None or line.startswith("each"):
            return f"rows of {name}", f"columns of {name}"
        rows, columns = (_axis(side.strip()) for side in line.split(arrow))
        return rows or f"rows of {name}", columns or f"columns of {name}"

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
        return found is not None and any(p.fullmatch(found["module"]) for p in self._zero)

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


def _axis(words: str) -> str | None:
    if words in ("hidden", "normed", "logits", "embedded"):
        return "hidden"
    return None if words == "_" else words.replace("raw_", "")


def unmatched(family: Family, name: str) -> str:
    """The sentence about a tensor without a line."""
    return (
        f"{name}: no line of the {family.name} family describes this tensor, and none is skipped; "
        "add one to evergrow.models.families or remove the tensor from the model"
    )


def _tensors(modules: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(name pattern, line) of every tensor that the modules' lines stand for."""
    for module, line in modules.items():
        if line.startswith(("param", "fixed", "each")):
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
