"""A release: a whole Hugging Face folder, there at once, of the same bytes every time."""

import copy
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import JsonValue
from safetensors import SafetensorError
from transformers import GenerationConfig, PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.disk import new_folder
from evergrow.lineage import write_node
from evergrow.models.brought import (
    GENERATION,
    brought_files,
    record_dtype,
    recorded_dtype,
    stored_weights,
)
from evergrow.models.pixels import scale_of
from evergrow.models.quiet import undisturbed
from evergrow.models.save_tokenizer import save_tokenizer


def save_release(
    folder: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    card: str,
    record: Mapping[str, JsonValue],
    brought: Path | None = None,
) -> None:
    """Write weights, configuration, tokenizer, ``card`` (README.md) and ``record`` (evergrow.json).

    ``brought`` is the folder of what the Run's first model brought, and says the weights' type
    (models/brought.py). ``folder`` appears whole or not at all; one that is there is replaced. Same
    inputs, same bytes: the weight file's metadata holds only its format. Raises EvergrowError on a
    full disk and ValueError for a record with NaN or infinity.
    """
    with new_folder(folder) as unfinished, undisturbed():
        _save_model(unfinished, model, brought)
        save_tokenizer(tokenizer, unfinished)
        _forget_origin(unfinished / "tokenizer_config.json")
        (unfinished / "README.md").write_text(card, encoding="utf-8")
        write_node(unfinished, record)


def save_vision_release(
    folder: Path,
    model: PreTrainedModel,
    card: str,
    record: Mapping[str, JsonValue],
    white: int,
    brought: Path | None = None,
) -> None:
    """The same for a vision model; preprocessor_config.json says how its pictures are made.

    ``white`` is the largest value of a pixel in them, 255 or 65,535.
    """
    config: Any = model.config
    processor = _processor(config, white)
    with new_folder(folder) as unfinished, undisturbed():
        _save_model(unfinished, model, brought)
        text = json.dumps(processor, indent=2, sort_keys=True) + "\n"
        (unfinished / "preprocessor_config.json").write_text(text, encoding="utf-8")
        (unfinished / "README.md").write_text(card, encoding="utf-8")
        write_node(unfinished, record)


def _save_model(folder: Path, model: PreTrainedModel, brought: Path | None) -> None:
    """Write weights, configuration and what was brought; what is written after it replaces it."""
    written, weights = copy.copy(model), None
    dtype = recorded_dtype(brought) if brought else model.dtype
    if dtype != model.dtype:
        weights = stored_weights(model, dtype)
    if brought and (brought / GENERATION).exists():
        # The file as it came: many on the hub hold settings that transformers refuses to write.
        written.generation_config = GenerationConfig()
    try:
        written.save_pretrained(folder, state_dict=weights)
    except SafetensorError as error:  # no OSError, though it stands for one
        raise OSError(str(error)) from error
    if dtype != model.dtype:
        record_dtype(folder, dtype)
    for file in brought_files(brought) if brought else ():
        shutil.copyfile(file, folder / file.name)


def _processor(config: Any, white: int) -> dict[str, Any]:
    """The centre square of the model's size, from 0 to 1, as the settings of transformers say it.

    transformers resizes in 8 bits alone, and refuses larger values: of 16 bits it only crops.
    """
    mean, deviation = scale_of(config)
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_convert_rgb": config.num_channels == 3 and white == 255,
        "do_resize": white == 255,
        "size": {"shortest_edge": config.image_size},
        "resample": 2,  # bilinear
        "do_center_crop": True,
        "crop_size": {"height": config.image_size, "width": config.image_size},
        "do_rescale": True,
        "rescale_factor": 1 / white,
        "do_normalize": mean is not None,
        **({"image_mean": mean, "image_std": deviation} if mean is not None else {}),
    }


def _forget_origin(path: Path) -> None:
    """Drop what transformers notes of how this process came by the tokenizer: bytes must repeat."""
    settings = json.loads(path.read_text(encoding="utf-8"))
    kept = {k: v for k, v in settings.items() if k not in ("is_local", "local_files_only")}
    path.write_text(json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
