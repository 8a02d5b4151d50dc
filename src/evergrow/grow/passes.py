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
from evergrow.models.gradients import GradientSquares, Watch
from evergrow.models.skeleton import joined, skeleton, split_parts, stored_names
from evergrow.models.streamed import Read, weights_from

POSITIONS = 16  # of random input: of one sequence, or of one picture all


@dataclass(frozen=True)
class Weighed:
    """A model to be run: its modules, its parameters' stored names, and how to read those.

    parts     parameter that is stored in parts -> those (experts of a block)
    ids       of the outputs that are compared, in order, where a tokenizer changed; after the loss
    readout   [features, features read] applied to hidden states of a grown encoder, so that they
              are what a reader of the source's sees; None for logits and for the source
    """

    model: PreTrainedModel
    stored: Mapping[str, str]
    parts: Mapping[str, Iterable[str]]
    read: Read
    readout: Tensor | None = None
    ids: Tensor | None = None

    def whole(self, name: str) -> Tensor:
        """A parameter by its stored name, put together where it is stored in parts."""
        if name not in self.parts:
            return self.read(name)
        experts = self.model.get_parameter(name).shape[0]
        return joined([self.read(part) for part in self.parts[name]], experts)

    @classmethod
    def of(
        cls,
        config: Mapping[str, Any],
        names: Iterable[str],
        read: Read,
        readout: Tensor | None = None,
    ) -> "Weighed":
        """From config.json's content and the names of the stored tensors."""
        model, names = skeleton(config), [*names]
        return cls(model, stored_names(model, names), split_parts(model, names), read, readout)


@dataclass(frozen=True)
class Batch:
    """What the model is called with, and the ids that a language model's loss looks for [B, T].

    ``targets`` is -100 where nothing is asked; None for models without a vocabulary. ``num_bytes``
    of text are asked for, where somebody counts them.
    """

    inputs: dict[str, Tensor]
    targets: Tensor | None = None
    num_bytes: int = 0


@dataclass(frozen=True)
class Passed:
    """What a pass gave. ``outputs`` [B, T, V]: logits, or hidden states as a reader sees them.

    gradient_norm   L2 over all weights, of the mean loss; 0 without a backward pass
    rms             root mean square of each block's output
    loss            the mean loss
    others          what a model with several heads says besides: next sentence, ends of answers
    """

    outputs: Tensor
    gradient_norm: float
    rms: list[float]
    others: tuple[Tensor, ...] = ()
    loss: float = 0.0


def is_language_model(model: PreTrainedModel) -> bool:
    """Whether the outputs are logits over the ids that went in."""
    return model.main_input_name == "input_ids" and model.get_output_embeddings() is not None


def rows_at_once(config: Mapping[str, Any], rows: int) -> int:
    """``rows``, or 1 where a classifier looks for the last token and knows no padding."""
    name = (config.get("architectures") or [""])[0]
    unpadded = config.get("pad_token_id") is None and name.endswith("ForSequenceClassification")
    return 1 if unpadded else rows


def random_batch(model: PreTrainedModel, seed: int = 0) -> Batch:
    """Ids drawn uniformly, or pixels from N(0, 1); a masked autoencoder's mask is fixed too."""
    generator = torch.Generator().manual_seed(seed)
    settings: Any = model.config
    if model.main_input_name == "pixel_values":
        shape = (1, settings.num_channels, settings.image_size, settings.image_size)
        inputs = {"pixel_values": torch.randn(shape, generator=generator)}
        if settings.model_type == "vit_mae":
            patches = (settings.image_size // settings.patch_size) ** 2
            inputs["noise"] = torch.rand(1, patches, generator=generator)
        return Batch(inputs)
    window = context_window(model) or POSITIONS + 2
    length = max(1, min(POSITIONS, window - 2))  # RoBERTa's positions begin at 2
    ids = torch.randint(settings.get_text_config().vocab_size, (1, length), generator=generator)
    return Batch({"input_ids": ids}, targets_of(model, ids))


def targets_of(model: PreTrainedModel, ids: Tensor) -> Tensor | None:
    """The next id for a causal model, the id itself for a masked one; None without a head."""
    if not is_language_model(model):
        return None
    if not model.can_generate():
        return ids
    return F.pad(ids[:, 1:], (0, 1), value=-100)


def run(
    weighed: Weighed,
    batch: Batch,
    dtype: torch.dtype,
    backward: bool = False,
    watch: Watch | None = None,
) -> Passed:
    """One pass in ``dtype``; with ``backward`` the gradient's norm too. Leaves no weight behind.

    ``watch`` sees how to get the gradient of each stored weight that is used once. Passes of two
    models may run in two threads; transformers' log lines are the caller's to silence.
    """
    model, rms = weighed.model, []
    gradients = GradientSquares(weighed.stored, watch) if backward else None
    handles = [b.register_forward_hook(_measure(rms)) for b in blocks_of(model)]
    inputs = {
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in batch.inputs.items()
    }
    try:
        with (
            torch.set_grad_enabled(backward),
            weights_from(model, weighed.stored, weighed.whole, dtype, gradients),
        ):
            outputs = _readable(weighed, model(**inputs))
            loss = _loss(outputs, batch.targets)
            if backward:
                loss.backward()
    finally:
        for handle in handles:
            handle.remove()
    norm = 0.0 if gradients is None else gradients.norm()
    first, *others = [found.detach() for found in outputs]
    if weighed.ids is not None:
        first = first[..., weighed.ids]
    return Passed(first, norm, rms, tuple(others), float(loss.detach()))


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


def _readable(weighed: Weighed, output: Any) -> list[Tensor]:
    """Logits (of every head), a picture made again, or hidden states."""
    heads = [value for name, value in output.items() if name.endswith("logits")]
    heads += [output.reconstruction] if "reconstruction" in output else []
    outputs = heads or [output.last_hidden_state]
    if weighed.readout is None:
        return outputs
    return [found @ weighed.readout.to(found.dtype) for found in outputs]


def _loss(outputs: list[Tensor], targets: Tensor | None) -> Tensor:
    """Mean cross-entropy, and half the mean square of what has no vocabulary."""
    rest = outputs if targets is None else outputs[1:]
    squares = [found.square().mean() / 2 for found in rest]
    if targets is not None:
        squares.append(F.cross_entropy(outputs[0].flatten(0, 1), targets.flatten()))
    return torch.stack(squares).sum()
