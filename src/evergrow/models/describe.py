"""What a model is in numbers: parameters, operations a token, bytes of a checkpoint and a step."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel

from evergrow.models.kind import OF_PICTURES, forward_settings, kind_of
from evergrow.models.quiet import undisturbed

FP32 = 4  # bytes


@dataclass(frozen=True)
class ModelFacts:
    """Counts of one model at one sequence length T; tied weights count once.

    num_embedding_parameters  weights of lookup tables (tokens, learned positions)
    flops_per_token           6 N + 12 L d T, forward and backward (PaLM, arXiv 2204.02311, app. B);
                              N leaves out tables that are only looked up, so a tied table counts
                              (it is the output head) and an untied input embedding does not.
                              All experts of a mixture count, as if each token went through each.
    checkpoint_bytes          weights and two Adam moments in fp32
    """

    num_parameters: int
    num_embedding_parameters: int
    num_layers: int
    hidden: int
    flops_per_token: int
    checkpoint_bytes: int


def embedding_parameter_names(model: nn.Module) -> set[str]:
    """Names of all weights of lookup tables; of a tied table also the name as output head."""
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    named = model.named_parameters(remove_duplicate=False)
    return {name for name, parameter in named if id(parameter) in tables}


def undecayed_parameter_names(model: nn.Module) -> set[str]:
    """What weight decay spares: of a language model its tables, of a vision model more.

    OLMo 2 decays all but embeddings, norms' gains too (2501.00656, section 3.3). Of pictures, the
    maps alone decay: biases, gains and the bare tables of classes, masks and positions do not (He
    et al. 2022, 2111.06377, their code).
    """
    if kind_of(model) not in OF_PICTURES:
        return embedding_parameter_names(model)
    maps = {
        id(module.weight)
        for module in model.modules()
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd)
    }
    return {name for name, parameter in model.named_parameters() if id(parameter) not in maps}


def describe(model: PreTrainedModel, sequence_length: int) -> ModelFacts:
    """Count a Hugging Face model; ``sequence_length`` enters the operations of attention.

    A masked model's head counts for every token, though training asks it for the masked ones only.
    """
    if kind_of(model) in OF_PICTURES:
        return _describe_vision(model)
    config = model.config.get_text_config()
    embeddings = embedding_parameter_names(model)
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    num_parameters = sum(sizes.values())
    num_embedding = sum(size for name, size in sizes.items() if name in embeddings)
    head = model.get_output_embeddings()
    assert head is not None
    looked_up = sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if name in embeddings and parameter is not head.weight
    )
    layers, hidden = config.num_hidden_layers, config.hidden_size
    return ModelFacts(
        num_parameters=num_parameters,
        num_embedding_parameters=num_embedding,
        num_layers=layers,
        hidden=hidden,
        flops_per_token=6 * (num_parameters - looked_up) + 12 * layers * hidden * sequence_length,
        checkpoint_bytes=3 * FP32 * num_parameters,
    )


def black_pictures(model: PreTrainedModel, number: int) -> dict[str, Tensor]:
    """The inputs of ``number`` pictures [N, C, H, W], and a mask's noise where one is drawn."""
    config: Any = model.config
    shape = (number, config.num_channels, config.image_size, config.image_size)
    inputs = {"pixel_values": torch.zeros(shape, device=model.device)}
    if kind_of(model) == "patches":
        num_patches = (config.image_size // config.patch_size) ** 2
        inputs["noise"] = torch.zeros(number, num_patches, device=model.device)
    return inputs


def _describe_vision(model: PreTrainedModel) -> ModelFacts:
    """``flops_per_token`` is that of a picture: three times the counted forward pass."""
    config: Any = model.config
    training = model.training
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(**black_pictures(model, 1))
    model.train(training)
    num_parameters = sum(p.numel() for p in model.parameters())
    of_stages = config.model_type == "resnet"
    return ModelFacts(
        num_parameters=num_parameters,
        num_embedding_parameters=0,
        num_layers=sum(config.depths) if of_stages else config.num_hidden_layers,
        hidden=config.hidden_sizes[-1] if of_stages else config.hidden_size,
        flops_per_token=3 * counter.get_total_flops(),
        checkpoint_bytes=3 * FP32 * num_parameters,
    )


# Families whose positions are counted from the padding id on, plus one (fairseq's convention).
_POSITIONS_AFTER_PADDING = {
    "camembert",
    "data2vec-text",
    "ibert",
    "longformer",
    "luke",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
}


def context_window(model: PreTrainedModel) -> int | None:
    """The most tokens the model can attend over; None where its architecture sets no limit."""
    config = model.config.get_text_config()
    # Absent in architectures without position embeddings (ALiBi, recurrent), so asked for gently.
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None or positions < 1:  # XLNet says -1
        return None
    if config.model_type not in _POSITIONS_AFTER_PADDING:
        return positions
    return positions - config.pad_token_id - 1


def training_bytes(model: PreTrainedModel, num_sequences: int, sequence_length: int) -> int:
    """Memory of one fp32 training step of ``num_sequences`` windows, without the process itself.

    Weights, and gradients and two moments of those that are trained; what the forward pass keeps
    for the backward, counted in a real pass of one window (arrays that windows share count once for
    each); and three arrays of the logits' size in the loss (logits, log-probabilities, gradient).
    No activation checkpointing, no chunked loss: an upper estimate for those.
    Measured: 12.7M parameters, 8 x 256 tokens, 8192 ids on a CPU rose by 894 MB; this says 803 MB.
    """
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    weights = FP32 * sum(size * (4 if is_trained else 1) for size, is_trained in sizes)
    if kind_of(model) in OF_PICTURES:
        # Two: of one picture whose maps have shrunk to one value, a batch norm has no variance.
        kept = num_sequences * _kept_bytes(model, black_pictures(model, 2)) // 2
        return weights + kept
    vocabulary = model.config.get_text_config().vocab_size
    logits = num_sequences * sequence_length * vocabulary
    tokens_BT = torch.zeros(1, sequence_length, dtype=torch.long, device=model.device)
    inputs = {"input_ids": tokens_BT, **forward_settings(model)}
    kept = num_sequences * _kept_bytes(model, inputs)
    return weights + kept + 3 * FP32 * logits


def _kept_bytes(model: PreTrainedModel, inputs: dict[str, Any]) -> int:
    """Bytes that autograd keeps for ``inputs`` besides weights and logits, by a forward pass."""
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor  # held, so that the key stays unique
        return tensor

    training = model.training
    with undisturbed(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = model.train()(**inputs)
    model.train(training)
    own = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    own.add(output.logits.untyped_storage()._cdata)
    return sum(t.untyped_storage().nbytes() for key, t in kept.items() if key not in own)
