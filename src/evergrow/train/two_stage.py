"""Two-stage training of a grown model (bert2BERT, arXiv 2110.07143, section 3.5).

First sub-models, each the bottom layers of the whole with its head: one is drawn a step, and only
its top layers and the head are updated. Then the whole model.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import Tensor, nn

from evergrow.errors import InputError
from evergrow.train.ladder import SubModels


@contextmanager
def sub_model(model: nn.Module, rule: SubModels, step: int) -> Iterator[None]:
    """Inside, ``model`` is the sub-model of ``step``; what is not trained gets no gradient."""
    depth = rule.depth_at(step)
    if depth is None:
        yield
        return
    with only_top(model, depth, rule.step_layers):
        yield


class Blocks(NamedTuple):
    """The layers of a model and where they hang."""

    owner: nn.Module
    name: str
    layers: nn.ModuleList


def blocks_of(model: Any) -> Blocks:
    """The one list of a Hugging Face model's layers.

    Raises InputError when there is none, or several: an encoder with a decoder.
    """
    number = model.config.get_text_config().num_hidden_layers
    found = [
        Blocks(module, name, child)
        for module in model.modules()
        for name, child in module.named_children()
        if isinstance(child, nn.ModuleList) and len(child) == number
    ]
    if len(found) != 1:
        raise InputError(
            f"two_stage: {type(model).__name__} has {len(found)} lists of {number} layers where "
            "sub-models need one; remove two_stage"
        )
    return found[0]


@contextmanager
def only_top(model: nn.Module, depth: int, num_trained: int) -> Iterator[None]:
    """Inside, ``model`` has its ``depth`` bottom layers, and gradients reach the top of these.

    Below the ``num_trained`` top ones nothing is kept for a backward pass; the lookup of input
    embeddings gets no gradient either, a tied table only its part as output head.
    """
    owner, name, layers = blocks_of(model)
    top = max(0, depth - num_trained)
    cuts = [layers[i].register_forward_pre_hook(_detached, with_kwargs=True) for i in {0, top}]
    frozen = [p for layer in layers[:top] for p in layer.parameters() if p.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(False)
    setattr(owner, name, nn.ModuleList(layers[:depth]))
    try:
        yield
    finally:
        setattr(owner, name, layers)
        for parameter in frozen:
            parameter.requires_grad_(True)
        for cut in cuts:
            cut.remove()


def _detached(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Cut the graph below a layer, wherever its hidden states stand among its arguments."""

    def cut(value: Any) -> Any:
        return value.detach() if isinstance(value, Tensor) and value.requires_grad else value

    return tuple(map(cut, args)), {key: cut(value) for key, value in kwargs.items()}


def flops_per_token(
    model: nn.Module, whole: int, sequence_length: int, depth: int, num_trained: int
) -> int:
    """Operations of one token in a sub-model: 2 N forward, 4 N backward where gradients flow.

    ``whole`` is the model's own 6 N + 12 L d T (see ``models.describe``); the attention's 12 L d T
    divides in the same way. Forward: ``depth`` layers and the head; backward: the top ones and it.
    """
    config: Any = model.config
    text = config.get_text_config()
    attention = text.hidden_size * sequence_length  # times 4 forward, 8 backward, a layer
    layers = blocks_of(model).layers
    block = sum(p.numel() for p in layers.parameters()) // len(layers)
    head = (whole - 12 * len(layers) * attention) // 6 - len(layers) * block
    top = min(num_trained, depth)
    forward = 2 * (depth * block + head) + 4 * depth * attention
    return forward + 4 * (top * block + head) + 8 * top * attention
