"""A forward and a backward pass whose weights are read when a module needs them and dropped after.

So a model is run in memory that holds its largest module instead of all of it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedModel

Read = Callable[[str], Tensor]


class GradientSquares:
    """Sums of squares of each stored weight's gradient, kept instead of the gradients.

    ``watch`` sees each gradient before it is forgotten, but those of tied weights.
    """

    def __init__(
        self, stored: Mapping[str, str], watch: Callable[[str, Tensor], None] | None = None
    ) -> None:
        self._watch = watch
        uses = list(stored.values())
        self._shared = {name for name in uses if uses.count(name) > 1}
        self._whole: dict[str, Tensor] = {}
        self._squares: dict[str, float] = {}

    def take(self, name: str, parameter: Tensor) -> None:
        """Count and forget a parameter's gradient; that of a tied weight is the sum of its uses."""
        gradient, parameter.grad = parameter.grad, None
        assert gradient is not None
        if name in self._shared:
            known = self._whole.get(name)
            self._whole[name] = gradient if known is None else known.add_(gradient)
        else:
            assert name not in self._squares, f"{name} has two gradients"
            self._squares[name] = _square(gradient)
            if self._watch is not None:
                self._watch(name, gradient)

    def norm(self) -> float:
        """The L2 norm over all weights; in float64."""
        whole = sum(_square(gradient) for gradient in self._whole.values())
        return (sum(self._squares.values()) + whole) ** 0.5


def _square(tensor: Tensor) -> float:
    parts = tensor.flatten().split(1 << 20)  # sums of a million in its own type, theirs in float64
    return sum(float(torch.dot(part, part)) for part in parts)


class _Reread(NamedTuple):
    """Stands in autograd's memory for a weight, or a view of one."""

    name: str
    size: torch.Size
    stride: tuple[int, ...]
    offset: int


@contextmanager
def weights_from(
    model: PreTrainedModel,
    stored: Mapping[str, str],
    read: Read,
    dtype: torch.dtype,
    gradients: GradientSquares | None = None,
) -> Iterator[None]:
    """Inside, ``model`` (a skeleton) runs with ``read(stored[parameter])`` in ``dtype``.

    What ``read`` returns is given up to the model: it must be memory of its own.
    With ``gradients`` a backward pass inside the block is counted into it, and weights are read
    once more where it needs them.
    """
    stream = _Stream(stored, read, dtype, gradients)
    handles, replaced = [], []
    for module_name, module in model.named_modules():
        own = dict(module.named_parameters(recurse=False))
        if own:
            replaced.append((module, own))
            empty = {  # of the right type: some models ask their first weight which one to use
                name: nn.Parameter(value.to(dtype), requires_grad=value.requires_grad)
                for name, value in own.items()
            }
            module._parameters.update(empty)
            before, after = stream.hooks(module_name, empty)
            handles.append(module.register_forward_pre_hook(before))
            handles.append(module.register_forward_hook(after, always_call=True))
    wide = StaysWide() if dtype == torch.float64 else nullcontext()
    try:
        with wide, torch.autograd.graph.saved_tensors_hooks(stream.pack, stream.unpack):
            yield
    finally:
        for handle in handles:
            handle.remove()
        for module, own in replaced:
            module._parameters.update(own)


class _Stream:
    def __init__(
        self,
        stored: Mapping[str, str],
        read: Read,
        dtype: torch.dtype,
        gradients: GradientSquares | None,
    ) -> None:
        self._stored, self._read, self._dtype = stored, read, dtype
        self._gradients = gradients
        self._alive: dict[int, str] = {}  # storage -> stored name, while a module runs

    def _load(self, name: str) -> Tensor:
        return self._read(name).to(self._dtype)

    def hooks(
        self, module_name: str, empty: Mapping[str, nn.Parameter]
    ) -> tuple[Callable[..., None], Callable[..., None]]:
        """What runs before and after a module's forward pass."""
        prefix = f"{module_name}." if module_name else ""

        def before(module: nn.Module, _: Any) -> None:
            for own, shape in empty.items():
                name = self._stored[prefix + own]
                trained = self._gradients is not None and shape.requires_grad
                weight = nn.Parameter(self._load(name), requires_grad=trained)
                if trained:
                    weight.register_post_accumulate_grad_hook(self._taken(name))
                self._alive[weight.untyped_storage()._cdata] = name
                module._parameters[own] = weight

        def after(module: nn.Module, *_: Any) -> None:
            for own, parameter in empty.items():
                storage = module._parameters[own].untyped_storage()  # pyright: ignore
                self._alive.pop(storage._cdata, None)
                if self._gradients is not None:  # autograd's leaf holds it until the backward pass
                    storage.resize_(0)
                module._parameters[own] = parameter

        return before, after

    def _taken(self, name: str) -> Callable[[Tensor], None]:
        def taken(parameter: Tensor) -> None:
            assert self._gradients is not None
            self._gradients.take(name, parameter)

        return taken

    def pack(self, tensor: Tensor) -> Tensor | _Reread:
        """What autograd keeps: a note in place of a weight."""
        name = self._alive.get(tensor.untyped_storage()._cdata)
        if name is None:
            return tensor
        return _Reread(name, tensor.size(), tensor.stride(), int(tensor.storage_offset()))

    def unpack(self, kept: Tensor | _Reread) -> Tensor:
        """The tensor that was packed."""
        if isinstance(kept, Tensor):
            return kept
        return self._load(kept.name).as_strided(kept.size, kept.stride, kept.offset)


class StaysWide(TorchFunctionMode):
    """Inside, float64 stays float64 where transformers casts it to float32: norms, softmax."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if args and isinstance(args[0], Tensor) and args[0].dtype == torch.float64:
            if func is Tensor.float:
                return args[0]
            args = tuple(torch.float64 if value is torch.float32 else value for value in args)
            if kwargs.get("dtype") is torch.float32:
                kwargs = {**kwargs, "dtype": torch.float64}
        return func(*args, **kwargs)
