"""What a model costs, before and after growth, from its configuration alone."""

from dataclasses import asdict, dataclass
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from evergrow.models.describe import context_window

SEQUENCE_LENGTH = 2048  # tokens, for the attention's operations; less where the window is shorter
TRAINING_BYTES = 16  # a parameter in fp32: weight, gradient and AdamW's two moments


@dataclass(frozen=True)
class Cost:
    """Counts of one model; tied weights count once.

    flops_per_token            6 N + 12 L a T, forward and backward (PaLM, arXiv 2204.02311, app.
                               B): N without tables that are only looked up and without
                               experts that are not chosen, a the width of all
                               heads, T ``sequence_length``
    kv_cache_bytes_per_token   keys and values of all layers in the stored type; None for models
                               that keep none
    training_bytes             weights, gradients and two moments in fp32, without activations
    """

    num_parameters: int
    flops_per_token: int
    sequence_length: int
    kv_cache_bytes_per_token: int | None
    weight_bytes: int
    training_bytes: int

    def record(self) -> dict[str, int | None]:
        """Plain data for growth.json."""
        return asdict(self)


def cost_of(model: PreTrainedModel, bytes_per_weight: int) -> Cost:
    """The cost of a model; a skeleton will do."""
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    multiplied = sum(_share(model, p) * p.numel() for p in _multiplied(model))
    settings: Any = model.config.get_text_config()
    layers, heads = settings.num_hidden_layers, settings.num_attention_heads
    # Families differ in which of these exist: head_dim only under rotary, kv heads only with GQA.
    width = getattr(settings, "head_dim", None) or settings.hidden_size // heads
    kv_heads = getattr(settings, "num_key_value_heads", None) or heads
    tokens = _sequence_length(model)
    return Cost(
        num_parameters=num_parameters,
        flops_per_token=6 * round(multiplied) + 12 * layers * heads * width * tokens,
        sequence_length=tokens,
        kv_cache_bytes_per_token=(
            2 * layers * kv_heads * width * bytes_per_weight if model.can_generate() else None
        ),
        weight_bytes=bytes_per_weight * num_parameters,
        training_bytes=TRAINING_BYTES * num_parameters,
    )


def _multiplied(model: nn.Module) -> list[nn.Parameter]:
    """Parameters that enter a product with each token: all but tables that are only looked up."""
    tables = [m for m in model.modules() if isinstance(m, nn.Embedding)]
    others = [m for m in model.modules() if not isinstance(m, nn.Embedding)]
    used = {id(p) for m in others for p in m.parameters(recurse=False)}
    only_looked_up = {id(m.weight) for m in tables} - used
    return [p for p in model.parameters() if id(p) not in only_looked_up]


def _share(model: PreTrainedModel, parameter: nn.Parameter) -> float:
    """The share of a parameter that a token meets: of all experts [experts, ...], the chosen."""
    chosen = model.config.to_dict().get("num_experts_per_tok")
    return chosen / parameter.shape[0] if chosen and parameter.ndim == 3 else 1.0


def _sequence_length(model: PreTrainedModel) -> int:
    if model.main_input_name == "pixel_values":
        settings: Any = model.config
        return (settings.image_size // settings.patch_size) ** 2 + 1  # and the class token
    return min(context_window(model) or SEQUENCE_LENGTH, SEQUENCE_LENGTH)


def ratios(before: Cost, after: Cost) -> dict[str, float]:
    """after / before of every count that both have, the attention's T aside."""
    pairs = {name: (value, after.record()[name]) for name, value in before.record().items()}
    del pairs["sequence_length"]
    return {name: big / small for name, (small, big) in pairs.items() if small and big}
