"""What blocks, heads, neurons and channels of a model do on text, so that the least of them can go.

B sequences, T positions, D the residual's width, H heads of K coordinates, F neurons.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evergrow.grow.fields import Sizes
from evergrow.grow.passes import Batch, Weighed, blocks_of, run
from evergrow.grow.stored import Stored
from evergrow.models.family import Family
from evergrow.models.quiet import undisturbed


@dataclass
class Importance:
    """Sums over tokens, in float64; a share of them or their order is what counts.

    influence  block -> [1], 1 - cosine of its input and output (ShortGPT, arXiv 2403.03853 eq. 1)
    hidden     [D], absolute output of every norm on the residual (Minitron, arXiv 2407.14679
               section 2.2)
    heads      block -> [H], L2 norm of what a head gives (ibidem)
    ffn        block -> [F], absolute activation that the second matrix reads (ibidem)
    """

    num_tokens: int = 0
    influence: dict[int, Tensor] = field(default_factory=dict)
    hidden: dict[int, Tensor] = field(default_factory=dict)
    heads: dict[int, Tensor] = field(default_factory=dict)
    ffn: dict[int, Tensor] = field(default_factory=dict)

    def mean_influence(self) -> list[float]:
        """Of each block, a token; empty for a model whose blocks nobody found."""
        return [float(self.influence[b]) / self.num_tokens for b in sorted(self.influence)]


def importance_of(
    source: Stored, family: Family, sizes: Sizes, texts: Sequence[Batch]
) -> Importance:
    """Measure the model that ``source`` stores on ``texts``, its weights a module at a time."""
    weighed = Weighed.of(source.config, source.slots, source.read)
    found = Importance()
    with undisturbed(), _watching(weighed.model, family, sizes["heads"], found):
        for batch in texts:
            run(weighed, batch, torch.float32)
            found.num_tokens += batch.inputs["input_ids"].numel()
    return found


@contextmanager
def _watching(model: nn.Module, family: Family, heads: int, found: Importance) -> Iterator[None]:
    """Inside, every pass of ``model`` adds to ``found``."""
    handles: list[Any] = []
    for place, block in enumerate(blocks_of(model)):  # pyright: ignore  a skeleton
        hook = _influence(found.influence, place)
        handles.append(block.register_forward_hook(hook, with_kwargs=True))
    for name, module in model.named_modules():
        line, block = family.spec_of(f"{name}.weight"), family.block_of(f"{name}.weight")
        if line is None:
            continue
        if "=>" in line and line.split("=>")[0].strip() == "hidden":
            handles.append(module.register_forward_hook(_outputs(found.hidden)))
        elif block is not None and (read := _read_by(line)) in ("ffn", "heads*value"):
            sums = found.ffn if read == "ffn" else found.heads
            units = None if read == "ffn" else heads
            handles.append(module.register_forward_pre_hook(_inputs(sums, block, units)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _read_by(line: str) -> str | None:
    """What a matrix of this line reads."""
    if "<-" in line:
        return line.split("<-")[1].strip()
    return line.split("->")[0].strip() if "->" in line else None


def _influence(sums: dict[int, Tensor], block: int) -> Callable[..., None]:
    def hook(module: nn.Module, args: Any, kwargs: Mapping[str, Any], output: Any) -> None:
        before = args[0] if args else kwargs["hidden_states"]
        after = output[0] if isinstance(output, tuple) else output
        _add(sums, block, 1 - F.cosine_similarity(before, after, dim=-1)[..., None])

    return hook


def _outputs(sums: dict[int, Tensor]) -> Callable[..., None]:
    def hook(module: nn.Module, args: Any, output: Tensor) -> None:
        _add(sums, 0, output.abs())

    return hook


def _inputs(sums: dict[int, Tensor], block: int, heads: int | None) -> Callable[..., None]:
    def hook(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        units = args[0].abs() if heads is None else args[0].unflatten(-1, (heads, -1)).norm(dim=-1)
        _add(sums, block, units)

    return hook


def _add(sums: dict[int, Tensor], place: int, values: Tensor) -> None:
    """Sum ``values`` [B, T, units] over tokens into ``sums[place]``."""
    total = values.flatten(0, -2).double().sum(0)
    sums[place] = total if place not in sums else sums[place] + total
