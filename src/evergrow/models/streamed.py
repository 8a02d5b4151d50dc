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

from evergrow.models.gradients import GradientSquares, factors_of, is_factored

Read = Callable[[str], Tensor]


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

    What ``read`` returns is given up to the model, and written to by nobody else.
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


# Elements of the largest matrix that is converted into memory which the next one uses again: new
# memory costs more than the conversion. A vocabulary's head has its own, for as long as it runs.
_SCRATCH = 1 << 24


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
        self._forward: list[Tensor] = []
        self._backward: list[Tensor] = []

    def _load(self, name: str, scratch: list[Tensor] | None) -> Tensor:
        """In the pass's type; a matrix that is converted goes to ``scratch``, which is one."""
        stored = self._read(name)
        few = stored.ndim == 2 and stored.numel() <= _SCRATCH
        if stored.dtype == self._dtype or scratch is None or not few:
            return stored.to(self._dtype)
        if not scratch or scratch[0].numel() < stored.numel():
            scratch[:] = [torch.empty(stored.numel(), dtype=self._dtype)]
        return scratch[0][: stored.numel()].view(stored.shape).copy_(stored)

    def hooks(
        self, module_name: str, empty: Mapping[str, nn.Parameter]
    ) -> tuple[Callable[..., None], Callable[..., None]]:
        """What runs before and after a module's forward pass."""
        prefix = f"{module_name}." if module_name else ""

        def before(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            factored = is_factored(module, inputs)
            for own, shape in empty.items():
                name = self._stored[prefix + own]
                trained = self._gradients is not None and shape.requires_grad
                trained &= not (factored and own == "weight")
                if factored and isinstance(module, nn.Embedding):
                    loaded = self._read(name)  # only the rows that are looked up are converted
                else:
                    loaded = self._load(name, self._forward if factored else None)
                weight = nn.Parameter(loaded, requires_grad=trained)
                if trained:
                    weight.register_post_accumulate_grad_hook(self._taken(name))
                self._alive[weight.untyped_storage()._cdata] = name
                module._parameters[own] = weight

        def after(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> Any:
            for own, parameter in empty.items():
                weight = module._parameters[own]
                assert weight is not None
                self._alive.pop(weight.untyped_storage()._cdata, None)
                if weight.requires_grad:  # autograd's leaf stays until the backward pass, empty
                    weight.data = weight.new_empty(1).expand(weight.shape)
                module._parameters[own] = parameter
            if output is None or not is_factored(module, inputs):
                return output
            output = output.to(self._dtype)
            if self._gradients is None:
                return output
            return self._factored(module, self._stored[f"{prefix}weight"], inputs[0], output)

        return before, after

    def _factored(self, module: nn.Module, name: str, entered: Tensor, output: Tensor) -> Tensor:
        """``output``, whose gradient gives that of the module's weight when it comes back."""
        version = entered._version
        if not output.requires_grad:  # the first of the model: the graph begins here
            output = output.requires_grad_().clone()

        def returned(gradient: Tensor) -> None:
            assert self._gradients is not None
            assert entered._version == version, f"{name}: what it read was overwritten"
            self._gradients.take_factors(name, factors_of(module, entered, gradient))

        output.register_hook(returned)
        return output

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
        return self._load(kept.name, self._backward).as_strided(kept.size, kept.stride, kept.offset)


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
