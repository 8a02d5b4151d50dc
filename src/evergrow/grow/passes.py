"""One pass of a model whose weights stay on disk: outputs, gradient norm, size of activations.

B sequences, T positions, V ids or features of an output.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from evergrow.models.describe import context_window
from evergrow.models.quiet import undisturbed
from evergrow.models.skeleton import skeleton, stored_names
from evergrow.models.streamed import GradientSquares, Read, weights_from

SEQUENCES, POSITIONS = 2, 32  # of random input


@dataclass(frozen=True)
class Weighed:
    """A model to be run: its modules, its parameters' stored names, and how to read those.

    readout   [features, features read] applied to hidden states of a grown encoder, so that they
              are what a reader of the source's sees; None for logits and for the source
    """

    model: PreTrainedModel
    stored: Mapping[str, str]
    read: Read
    readout: Tensor | None = None

    @classmethod
    def of(
        cls,
        config: Mapping[str, Any],
        names: Iterable[str],
        read: Read,
        readout: Tensor | None = None,
    ) -> "Weighed":
        """From config.json's content and the names of the stored tensors."""
        model = skeleton(config)
        return cls(model, stored_names(model, names), read, readout)


@dataclass(frozen=True)
class Batch:
    """What the model is called with, and the ids that a language model's loss looks for [B, T].

    ``targets`` is -100 where nothing is asked; None for models without a vocabulary.
    """

    inputs: dict[str, Tensor]
    targets: Tensor | None = None


@dataclass(frozen=True)
class Passed:
    """What a pass gave. ``outputs`` [B, T, V]: logits, or hidden states as a reader sees them.

    gradient_norm   L2 over all weights, of the mean loss; 0 without a backward pass
    rms             root mean square of each block's output
    """

    outputs: Tensor
    gradient_norm: float
    rms: list[float]


def is_language_model(model: PreTrainedModel) -> bool:
    """Whether the outputs are logits over the ids that went in."""
    return model.main_input_name == "input_ids" and model.get_output_embeddings() is not None


def random_batch(model: PreTrainedModel, seed: int = 0) -> Batch:
    """Ids drawn uniformly, or pixels from N(0, 1); a masked autoencoder's mask is fixed too."""
    generator = torch.Generator().manual_seed(seed)
    settings: Any = model.config
    if model.main_input_name == "pixel_values":
        shape = (SEQUENCES, settings.num_channels, settings.image_size, settings.image_size)
        inputs = {"pixel_values": torch.randn(shape, generator=generator)}
        if settings.model_type == "vit_mae":
            patches = (settings.image_size // settings.patch_size) ** 2
            inputs["noise"] = torch.rand(SEQUENCES, patches, generator=generator)
        return Batch(inputs)
    window = context_window(model) or POSITIONS + 2
    length = max(1, min(POSITIONS, window - 2))  # RoBERTa's positions begin at 2
    shape = (SEQUENCES, length)
    ids = torch.randint(settings.get_text_config().vocab_size, shape, generator=generator)
    return Batch({"input_ids": ids}, targets_of(model, ids))


def targets_of(model: PreTrainedModel, ids: Tensor) -> Tensor | None:
    """The next id for a causal model, the id itself for a masked one; None without a head."""
    if not is_language_model(model):
        return None
    if not model.can_generate():
        return ids
    return F.pad(ids[:, 1:], (0, 1), value=-100)


def run(weighed: Weighed, batch: Batch, dtype: torch.dtype, backward: bool = False) -> Passed:
    """One pass in ``dtype``; with ``backward`` the gradient's norm too. Leaves no weight behind."""
    model, rms = weighed.model, []
    gradients = GradientSquares(weighed.stored) if backward else None
    handles = [b.register_forward_hook(_measure(rms)) for b in blocks_of(model)]
    inputs = {
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in batch.inputs.items()
    }
    try:
        with (
            undisturbed(),
            torch.set_grad_enabled(backward),
            weights_from(model, weighed.stored, weighed.read, dtype, gradients),
        ):
            outputs = _readable(weighed, model(**inputs))
            if backward:
                _loss(outputs, batch.targets).backward()
    finally:
        for handle in handles:
            handle.remove()
    norm = 0.0 if gradients is None else gradients.norm()
    return Passed(outputs.detach(), norm, rms)


def _measure(rms: list[float]) -> Any:
    def measure(module: nn.Module, inputs: Any, output: Any) -> None:
        hidden = output[0] if isinstance(output, tuple) else output
        rms.append(float(hidden.detach().double().square().mean().sqrt()))

    return measure


def blocks_of(model: PreTrainedModel) -> list[nn.Module]:
    """The blocks in order: the first list of modules as long as config.json says."""
    settings: Any = model.config.get_text_config()
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == settings.num_hidden_layers:
            return list(module)
    return []


def _readable(weighed: Weighed, output: Any) -> Tensor:
    outputs = output.logits if "logits" in output else output.last_hidden_state
    if weighed.readout is None:
        return outputs
    return outputs @ weighed.readout.to(outputs.dtype)


def _loss(outputs: Tensor, targets: Tensor | None) -> Tensor:
    """Mean cross-entropy, or half the mean square where there is no vocabulary."""
    if targets is None:
        return outputs.square().mean() / 2
    return F.cross_entropy(outputs.flatten(0, 1), targets.flatten())
