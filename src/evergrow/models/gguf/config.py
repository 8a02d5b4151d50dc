"""config.json out of a GGUF file's head: all that the head says of the function is in it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from transformers import CONFIG_MAPPING, PreTrainedConfig
from transformers.modeling_gguf_pytorch_utils import (
    GGUF_SUPPORTED_ARCHITECTURES,
    GGUF_TO_TRANSFORMERS_MAPPING,
    load_gguf_checkpoint,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from evergrow.errors import InputError
from evergrow.models.gguf.file import GgufFile
from evergrow.models.skeleton import settings_of

# What llama.cpp's head says and transformers' reading (5.23) leaves out -> the setting of that
# meaning. A model whose class has no such setting is refused.
LEFT_OUT = {
    "attention.key_length": "head_dim",
    "attention.value_length": "head_dim",
    "attention.sliding_window": "sliding_window",
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
    "expert_feed_forward_length": "moe_intermediate_size",
    "expert_shared_feed_forward_length": "shared_expert_intermediate_size",
}
# What transformers calls a family in its table of keys, where it is not llama.cpp's name.
OTHER_NAMES = {
    "qwen2moe": "qwen2_moe",
    "qwen3moe": "qwen3_moe",
    "gpt-oss": "gpt_oss",
    "minimax-m2": "minimax_m2",
}
# Says nothing that is not said elsewhere, or nothing about the function.
SAYS_NOTHING = {
    "vocab_size",  # the rows of the embedding say it
    "rope.dimension_count",  # compared below
    "rope.freq_base",  # compared below
    "rope.scaling.original_context_length",
    "rope.scaling.finetuned",
    "rope.scaling.type",  # compared below
    "tensor_data_layout",
    "attention.causal",
}
# The scaling of Llama 3.1 and 3.2, which the file keeps as its result (rope_freqs.weight), one
# factor a frequency: only how far the slowest are slowed differs, and is the largest of them.
LLAMA3 = {
    "rope_type": "llama3",
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
FREQUENCIES = "rope_freqs.weight"


def config_of(file: GgufFile) -> PreTrainedConfig:
    """transformers' configuration of the model in ``file``.

    Raises InputError for a family that transformers does not read from GGUF or that is no causal
    language model, and for a setting of the function that it would leave out.
    """
    said = _read(file)
    config = settings_of(said)
    named = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(config.model_type)
    if named is None or named.endswith("ConditionalGeneration"):
        raise InputError(
            f"{file.path}: a {config.model_type} is no causal language model; give one that is"
        )
    config.architectures = [named]
    for key, value in _of_family(file):
        _state(file, config, key, value)
    _scale_rotation(file, config)
    _refuse_rotation(file, config)
    return config


def _read(file: GgufFile) -> dict[str, Any]:
    try:
        said = load_gguf_checkpoint(file.path, return_tensors=False)["config"]
    except ValueError as error:
        known = ", ".join(sorted({*GGUF_SUPPORTED_ARCHITECTURES} & {*CONFIG_MAPPING}))
        raise InputError(
            f"{file.path}: architecture {file.architecture} is none that transformers unpacks "
            f"from GGUF; give the model as a folder, or one of {known}"
        ) from error
    said.pop("_model_name_or_path", None)
    said = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None, **said}
    if file.architecture == "gpt2":  # which reads other names than transformers gives it
        said |= {"n_positions": said["n_ctx"], "n_inner": said.pop("feed_forward_length", None)}
    said["vocab_size"] = next(
        int(tensor.shape[1]) for tensor in file.tensors if tensor.name == "token_embd.weight"
    )
    return {name: _shortest(value) for name, value in said.items()}


def _shortest(value: Any) -> Any:
    """1e-05 for 9.999999747378752e-06: the head holds 32 bits."""
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _of_family(file: GgufFile) -> Iterator[tuple[str, Any]]:
    """The settings under the family's own name that transformers' reading leaves out."""
    prefix = f"{file.architecture}."
    read = GGUF_TO_TRANSFORMERS_MAPPING["config"]
    name = OTHER_NAMES.get(file.architecture, file.architecture)
    known = {key for key, to in read.get(name, {}).items() if to}
    for key, value in file.metadata.items():
        rest = key.removeprefix(prefix)
        if key.startswith(prefix) and rest not in known and rest not in SAYS_NOTHING:
            yield rest, _shortest(value)


def _state(file: GgufFile, config: Any, key: str, value: Any) -> None:
    """Set what ``key`` says; raises InputError where there is no setting of that meaning."""
    name = LEFT_OUT.get(key)
    if name is None or name not in config.to_dict():
        raise InputError(
            f"{file.path}: its head says {key} {value}, which transformers' {config.model_type} "
            "does not read from GGUF, so that the model would be another; give it as a folder"
        )
    setattr(config, name, value)


def _scale_rotation(file: GgufFile, config: Any) -> None:
    """Take up the scaled frequencies of Llama 3; raises InputError for any other scaling."""
    kind = file.metadata.get(f"{file.architecture}.rope.scaling.type", "none")
    scaled = [tensor for tensor in file.tensors if tensor.name.startswith("rope_f")]
    if kind == "none" and not scaled:
        return
    factors = np.array(scaled[0].data, dtype=np.float32) if scaled else np.ones(1)
    rope = {**config.rope_parameters, **LLAMA3, "factor": float(factors.max())}
    if kind == "none" and scaled[0].name == FREQUENCIES and _slowed(rope, factors):
        config.rope_parameters = rope
        return
    raise InputError(
        f"{file.path}: scales its rotation ({kind if kind != 'none' else scaled[0].name}), which "
        "transformers does not read from GGUF; give the model as a folder"
    )


def _slowed(rope: dict[str, Any], factors_F: np.ndarray) -> bool:
    """Whether Llama 3's rule gives these factors of the wavelengths, to the bits of the file."""
    places = np.arange(len(factors_F)) / len(factors_F)
    wave_F = 2 * np.pi * rope["rope_theta"] ** places
    turns_F = rope["original_max_position_embeddings"] / wave_F
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    share_F = np.clip((turns_F - low) / (high - low), 0, 1)
    expected_F = 1 / ((1 - share_F) / rope["factor"] + share_F)
    return bool(np.allclose(expected_F, factors_F, rtol=1e-4))


def _refuse_rotation(file: GgufFile, config: Any) -> None:
    """Raise InputError where the file turns other dimensions, or at another rate, than config."""
    said = file.metadata
    asked = said.get(f"{file.architecture}.rope.dimension_count")
    rate = said.get(f"{file.architecture}.rope.freq_base")
    rope = getattr(config, "rope_parameters", None) or {}  # GPT-2 has none
    rope = rope.get("full_attention") or rope  # Gemma 3 has two kinds of layers
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    turned = int(head * rope.get("partial_rotary_factor", 1.0))
    if rope and asked is not None and asked != turned:
        raise InputError(
            f"{file.path}: turns {asked} dimensions of a head, transformers' {config.model_type} "
            f"would turn {turned}; give the model as a folder"
        )
    if rope and rate is not None and not np.isclose(rate, rope["rope_theta"]):
        raise InputError(
            f"{file.path}: its rotation has base {rate:g}, transformers' {config.model_type} "
            f"would take {rope['rope_theta']:g}; give the model as a folder"
        )
