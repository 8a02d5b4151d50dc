"""A language model from a folder, a run or the hub; whatever is not whole is refused."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from blake3 import blake3
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import AutoConfig, PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.disk import checksum_once, read_object
from evergrow.errors import InputError
from evergrow.lineage import refuse_changed
from evergrow.models.config import ModelConfig
from evergrow.models.describe import context_window
from evergrow.models.folder import refuse_no_model
from evergrow.models.kind import (
    KINDS,
    OF_PICTURES,
    Kind,
    kind_of,
    kind_of_architecture,
)
from evergrow.models.presets import from_scratch
from evergrow.models.quiet import undisturbed
from evergrow.models.trial import refuse_untrainable

# What a language model of BERT's kind was trained with besides, and has no place for alone.
OTHER_HEADS = re.compile(r"(^|\.)(pooler|seq_relationship|sop_classifier)\.|\.position_ids$")
COPY = "copy it again"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def model_from_config(
    config: ModelConfig,
    tokenizer: PreTrainedTokenizerBase,
    sequence_length: int,
    seed: int,
    find: Callable[[str], Path] = Path,
) -> PreTrainedModel:
    """The model a recipe starts from: drawn from ``seed``, or loaded; ready to be trained.

    ``find`` leads to the folder of the loaded one.

    Raises InputError when a loaded model has too few rows for the tokenizer or a window shorter
    than ``sequence_length``, and whatever ``load_model`` refuses.
    """
    if config.from_ is None:
        model = from_scratch(config, tokenizer, sequence_length, seed)
    else:
        model = load_model(find(config.from_))
        if kind_of(model) in OF_PICTURES:
            raise InputError(
                f"model.from: {config.from_} is a {type(model).__name__} and reads pictures, the "
                "sources are text; give a language model or sources of images"
            )
        _check_fit(model, config.from_, len(tokenizer), sequence_length)
        refuse_untrainable(model, config.from_, sequence_length)
    _train_every_row(model)
    return model


def empty_model(folder: Path) -> PreTrainedModel:
    """The architecture of ``config.json`` in ``folder``; a checkpoint brings the weights."""
    with undisturbed():
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        architecture = next(iter(config.architectures or []), "")  # none was written: causal
        kind = kind_of_architecture(architecture) or "causal"
        model = KINDS[kind].auto_class.from_config(config, dtype=torch.float32)
    if kind not in OF_PICTURES:
        _train_every_row(model)
    return model


def _train_every_row(model: PreTrainedModel) -> None:
    """Let the padding token's embedding be trained: some models pad with EOS."""
    table = model.get_input_embeddings()
    if isinstance(table, nn.Embedding):
        table.padding_idx = None


def _check_fit(model: PreTrainedModel, source: str, num_ids: int, sequence_length: int) -> None:
    table = model.get_input_embeddings()
    if not isinstance(table, nn.Embedding):
        raise InputError(
            f"{source}: a {type(model).__name__} reads tokens by a {type(table).__name__}, which "
            "cannot be trained here; give a model with a plain table of embeddings"
        )
    rows = table.num_embeddings
    if num_ids > rows:
        raise InputError(
            f"{source}: the tokenizer has {num_ids} ids, the model's embedding {rows} rows; "
            "use the model's own tokenizer"
        )
    window = context_window(model)
    if window is not None and sequence_length > window:
        raise InputError(
            f"train.sequence_length: {sequence_length} is longer than the {window} positions of "
            f"{source}; set it to {window} or less"
        )


def load_model(folder: Path) -> PreTrainedModel:
    """Load fp32 weights on the CPU in evaluation mode; runs no code of it.

    Attention is what transformers chooses: SDPA where the architecture has it.

    ``folder`` is what ``find_model`` gives. Raises InputError for a folder that is not a whole
    causal or masked language model in safetensors: every weight must be there, fit, and be used (a
    weight the architecture has no place for means that config.json describes another function),
    and for files that are not those the folder's node recorded.
    """
    refuse_changed(folder)
    architecture = _check_config(folder)
    check_weights(folder)
    kind = kind_of_architecture(architecture) or "causal"
    with undisturbed():
        model, found = KINDS[kind].auto_class.from_pretrained(
            folder,
            dtype=torch.float32,
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=True,
            ignore_mismatched_sizes=True,  # reported below, in one sentence
            output_loading_info=True,  # makes it return a pair
        )
    if mismatched := sorted(found["mismatched_keys"]):
        name, stored, expected = mismatched[0]
        raise InputError(
            f"{folder}: {name} is {tuple(stored)} in the file and {tuple(expected)} by config.json "
            f"({len(mismatched)} such weights); both must come from the same model"
        )
    if missing := found["missing_keys"]:
        raise InputError(
            f"{folder}: weights of {architecture} are missing ({_first(missing)}); "
            "copy the whole model again"
        )
    if unused := [n for n in found["unexpected_keys"] if not OTHER_HEADS.search(n)]:
        raise InputError(
            f"{folder}: {architecture} has no place for weights in the file ({_first(unused)}); "
            "correct config.json or remove them from the file"
        )
    _refuse_untied(folder, model)
    # A resumed run knows nothing of how these weights were named when they were loaded.
    vars(model).pop("_weight_conversions", None)
    return model.eval()


def _refuse_untied(folder: Path, model: PreTrainedModel) -> None:
    """Raise InputError where config.json ties weights that the file holds twice, differently.

    transformers loads both, but builds the model from config.json with one.
    """
    asked: Any = model.get_expanded_tied_weights_keys(all_submodels=True)
    if untied := asked.keys() - model.all_tied_weights_keys.keys():
        name = min(untied)
        raise InputError(
            f"{folder}: config.json ties {name} to {asked[name]}, the file holds two that differ; "
            "set tie_word_embeddings to false in config.json if both are meant, or copy the whole "
            "model again"
        )


def _first(names: Iterable[str]) -> str:
    names = sorted(names)
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + rest


def kind_in(folder: Path, of_pictures: bool) -> Kind:
    """The kind of the model in a folder, by its config.json; refuses what cannot be trained.

    ``of_pictures``: a body without a head, or with another, is a classifier to be.
    """
    if of_pictures:
        config = read_object(folder / "config.json", COPY, InputError)
        return kind_of_architecture(_architecture(config)) or "classes"
    return kind_of_architecture(_check_config(folder)) or "causal"


def model_key(folder: Path) -> str:
    """A hash of what a model folder computes: weights, configuration and tokenizer.

    Raises InputError for a file that is not the one the folder's node recorded.
    """
    refuse_changed(folder)
    files = [folder / name for name in ("config.json", "tokenizer.json")]
    found = [*(path for path in files if path.exists()), *weight_files(folder)]
    parts = "".join(f"{path.name} {checksum_once(path)}\n" for path in found)
    return blake3(parts.encode()).hexdigest()[:32]


def _check_config(folder: Path) -> str:
    """The architecture's name, after refusing what this room cannot or will not load."""
    path = folder / "config.json"
    refuse_no_model(folder)  # a snapshot of the hub may have none
    config = read_object(path, COPY, InputError)
    if "auto_map" in config:
        raise InputError(
            f"{path}: names code to run (auto_map), which is never run; if transformers knows this "
            "architecture itself, remove auto_map in a copy of the folder"
        )
    if "quantization_config" in config:
        raise InputError(
            f"{path}: the weights are quantised and cannot be trained; "
            "use the model's full-precision weights"
        )
    name = _architecture(config)
    if kind_of_architecture(name) is None:
        raise InputError(
            f"{path}: architecture {name} is no model that evergrow trains; give a causal or "
            "masked language model, an image classifier or ViTMAEForPreTraining"
        )
    return name


def _architecture(config: Mapping[str, object]) -> str:
    """The class that config.json names first; "none" where it names none."""
    names = config.get("architectures")
    return str(names[0]) if isinstance(names, list) and names else "none"


def check_weights(folder: Path) -> None:
    """Every weight file is safetensors, is there, and has the length its header promises."""
    for file in weight_files(folder):
        if not file.exists():
            raise InputError(
                f"{folder}: {file.name} is missing, which model.safetensors.index.json names; "
                "copy the whole model again"
            )
        try:
            with safe_open(file, framework="pt"):
                pass
        except SafetensorError as error:
            raise InputError(
                f"{file}: truncated or damaged ({error}); copy the file again"
            ) from error


def weight_files(folder: Path) -> list[Path]:
    """The files of a model's weights; raises InputError when it has none, or only pickles."""
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.exists():
        return [single]
    if index.exists():
        shards = read_object(index, COPY, InputError).get("weight_map")
        if not isinstance(shards, dict) or not shards:
            raise InputError(f"{index}: damaged (no weight_map); {COPY}")
        return [folder / str(name) for name in sorted(set(shards.values()))]
    pickled = sorted(file.name for pattern in PICKLES for file in folder.glob(pattern))
    if pickled:
        raise InputError(
            f"{folder}: holds only pickled weights ({pickled[0]}), which can run code when read; "
            "convert them to safetensors elsewhere, or take a copy that has model.safetensors"
        )
    raise InputError(f"{folder}: no weights here (model.safetensors is missing); copy them too")
