"""A folder of peft's as a model: its base with the adapter merged in, made once, as a whole folder.

Adapters are read by their JSON and safetensors alone. What their settings may say is a list: the
rest changes the base, names code, or is not known to merge exactly.
"""

import json
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from blake3 import blake3
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from evergrow.disk import checksum_once, new_folder, read_object
from evergrow.errors import InputError
from evergrow.models.brought import (
    MERGED,
    OF_TOKENIZER,
    keep_brought,
    record_dtype,
    stored_dtype,
)
from evergrow.models.cache import cache
from evergrow.models.load import COPY, load_model, model_key
from evergrow.models.lora import CONFIG, WEIGHTS, refuse_without_peft
from evergrow.models.quiet import undisturbed

VERSION = 1  # raised when the same adapter and base would give another folder
TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
)
# Settings that may have any value: what peft merges exactly, and what is only said.
_TAKEN = {
    "r", "lora_alpha", "target_modules", "exclude_modules", "lora_dropout", "fan_in_fan_out",
    "bias", "lora_bias", "use_rslora", "use_dora", "modules_to_save", "layers_to_transform",
    "layers_pattern", "rank_pattern", "alpha_pattern", "init_lora_weights", "peft_type",
    "peft_version", "task_type", "inference_mode", "auto_mapping", "base_model_name_or_path",
}  # fmt: skip
_SAID = {"peft_type", "peft_version", "auto_mapping", "base_model_name_or_path", "task_type"}
_DRAWN = (True, False, "gaussian", "orthogonal", "eva")  # beginnings that leave the base as it is


def merged_folder(folder: Path, find: Callable[[str | Path], Path]) -> Path:
    """The whole model that the adapter in ``folder`` makes of its base, in the cache; in fp32.

    ``find`` leads to the base. Raises InputError for an adapter of another kind or of another
    model, for one in a pickle, and when its base is not there.
    """
    refuse_without_peft(str(folder))
    settings = _settings(folder)
    base = _base(folder, settings, find)
    target = cache() / "adapters" / f"{folder.resolve().name}-{_key(folder, base)}"
    if not (target / "config.json").exists():
        _write(target, folder, base, settings)
    return target


def _key(folder: Path, base: Path) -> str:
    """A hash of all that goes in."""
    files = [folder / CONFIG, folder / WEIGHTS, *_tokenizer(folder)]
    parts = [str(VERSION), model_key(base), *(checksum_once(file) for file in files)]
    return blake3("\n".join(parts).encode()).hexdigest()[:16]


def _tokenizer(folder: Path) -> list[Path]:
    """The files of an adapter's own tokenizer, which has words that its base's has not."""
    if not (folder / TOKENIZER[0]).exists():
        return []
    plain = [folder / name for name in TOKENIZER if (folder / name).exists()]
    return [*plain, *(file for pattern in OF_TOKENIZER for file in sorted(folder.glob(pattern)))]


def _settings(folder: Path) -> dict[str, Any]:
    """What adapter_config.json says, after refusing what is not merged here."""
    import peft

    path = folder / CONFIG
    found = read_object(path, COPY, InputError)
    if (kind := found.get("peft_type")) != "LORA":
        raise InputError(
            f"{path}: an adapter of type {kind}, and only LORA is merged here; merge it into its "
            "base with peft elsewhere, and give the whole model"
        )
    usual = json.loads(json.dumps(peft.LoraConfig().to_dict(), default=sorted))
    others = {k: v for k, v in found.items() if k not in _TAKEN and v != usual.get(k)}
    if found.get("init_lora_weights", True) not in _DRAWN:
        others["init_lora_weights"] = found["init_lora_weights"]
    if others := {name: value for name, value in others.items() if value}:
        name = min(others)
        raise InputError(
            f"{path}: {name} is {json.dumps(others[name])}, and such an adapter is not known to "
            "merge exactly here; merge it into its base with peft elsewhere, and give the whole "
            "model"
        )
    if not (folder / WEIGHTS).exists():
        pickled = folder / "adapter_model.bin"
        what = f"only pickled weights ({pickled.name})" if pickled.exists() else f"no {WEIGHTS}"
        why = ", which can run code when read; convert them to safetensors elsewhere"
        raise InputError(f"{folder}: holds {what}{why if pickled.exists() else f'; {COPY}'}")
    return dict(found)


def _base(folder: Path, settings: Mapping[str, Any], find: Callable[[str | Path], Path]) -> Path:
    """The folder of the model that an adapter goes on: a path, from here or from the adapter, or a
    hub id."""
    name = str(settings.get("base_model_name_or_path") or "")
    beside = folder / name
    try:
        found = find(beside if name and (beside / "config.json").exists() else name)
    except InputError as error:
        raise InputError(
            f"{folder}: an adapter for {name or 'no model'!r}, which is not to be had ({error}); "
            f"correct base_model_name_or_path in its {CONFIG}"
        ) from error
    return found


def _write(target: Path, folder: Path, base: Path, settings: Mapping[str, Any]) -> None:
    """Merge in fp32 and write what was merged as it is; what is released goes back to the base's
    half precision, which ``MERGED`` keeps (models/brought.py)."""
    model: Any = load_model(base)
    _merge(model, folder, settings)
    with new_folder(target) as unfinished, undisturbed():
        model.save_pretrained(unfinished)
        dtype = stored_dtype(base)
        record_dtype(unfinished, dtype)
        keep_brought(base, unfinished, own_tokenizer=True)
        for file in (*(base / name for name in TOKENIZER), *_tokenizer(folder)):
            if file.exists():
                shutil.copyfile(file, unfinished / file.name)
        said = {"adapter": str(folder), "base": str(settings["base_model_name_or_path"])}
        said["dtype"] = str(dtype).removeprefix("torch.")
        text = json.dumps(said, indent=2, sort_keys=True) + "\n"
        (unfinished / MERGED).write_text(text, encoding="utf-8")


def _merge(model: Any, folder: Path, settings: Mapping[str, Any]) -> None:
    """Add the adapter in ``folder`` to the model's weights, and put its whole modules in place."""
    import peft
    from peft.utils import set_peft_model_state_dict

    try:
        tensors = load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise InputError(f"{folder / WEIGHTS}: truncated or damaged ({error}); {COPY}") from error
    kept = {k: v for k, v in settings.items() if k in _TAKEN - _SAID}
    config = peft.LoraConfig(**{**kept, "init_lora_weights": True, "inference_mode": True})
    _untie(model, tensors)
    with undisturbed(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            wrapped: Any = peft.PeftModel(model, config)
            found: Any = set_peft_model_state_dict(wrapped, tensors)
        except (ValueError, RuntimeError, KeyError) as error:
            raise _other_model(folder, model, str(error).strip().split("\n")[-1].strip()) from error
        missing = [n for n in found.missing_keys if "lora_" in n or ".modules_to_save." in n]
        if strange := sorted([*found.unexpected_keys, *missing]):
            raise _other_model(folder, model, f"{strange[0]} is on one side only")
        wrapped.merge_and_unload()
    model.requires_grad_(True)


def _other_model(folder: Path, model: nn.Module, reason: str) -> InputError:
    said = reason.rstrip(".")
    return InputError(
        f"{folder}: its adapter is not for this {type(model).__name__} ({said}); give the model "
        f"that it was trained on as base_model_name_or_path in its {CONFIG}"
    )


def _untie(model: Any, tensors: Mapping[str, Tensor]) -> None:
    """Give the head a weight of its own where it shares the table's and the adapter changes one."""
    head, table = model.get_output_embeddings(), model.get_input_embeddings()
    if head is None or head.weight is not table.weight:
        return
    names = [name for name, module in model.named_modules() if module is head or module is table]
    if any(f".{name}." in f".{tensor}" for name in names for tensor in tensors):
        head.weight = nn.Parameter(head.weight.detach().clone())
        model.config.get_text_config().tie_word_embeddings = False
        model.config.tie_word_embeddings = False
        model.all_tied_weights_keys = {}
