"""What a model brings besides configuration and weights; a Run keeps it for all its releases."""

import json
import math
import shutil
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedModel

from evergrow.models.weights import read_slots

GENERATION = "generation_config.json"
MERGED = "merged_from.json"  # in a folder that an adapter was merged into (models/adapters.py)
HALVES = (torch.bfloat16, torch.float16)
# What a release writes itself, what would stand for other weights, and what could run.
LEFT_BEHIND = (
    "config.json",
    "evergrow.json",
    "growth.json",
    "README.md",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "adapter_config.json",
    MERGED,
    "modules.json",  # of sentence-transformers, and leads to folders
    "trainer_state.json",
    "*_results.json",
    "*.index.json",
    "*.safetensors",
    "*.bin",
    "*.pt",
    "*.pth",
    "*.ckpt",
    "*.pkl",
    "*.gguf",
    "*.onnx",
    "*.onnx_data",
    "*.h5",
    "*.msgpack",
    "*.ot",
    "*.tflite",
    "*.py",
    ".*",
)
# The same words as in tokenizer.json, for programs that read another format.
OF_TOKENIZER = ("*.model", "*.tiktoken", "vocab.*", "merges.txt", "tekken.json")


def keep_brought(source: Path, folder: Path, own_tokenizer: bool) -> None:
    """Copy to ``folder`` what the model in ``source`` brings, whatever it is called.

    Files of its tokenizer only when that is the Run's: ``own_tokenizer``. Folders stay behind.
    """
    left = LEFT_BEHIND if own_tokenizer else (*LEFT_BEHIND, *OF_TOKENIZER)
    for file in sorted(source.iterdir()):
        if file.is_file() and not any(fnmatch(file.name, pattern) for pattern in left):
            shutil.copyfile(file, folder / file.name)


def brought_files(folder: Path) -> Iterator[Path]:
    """The files that ``keep_brought`` left in ``folder``."""
    return (file for file in sorted(folder.iterdir()) if file.name != "config.json")


def stored_dtype(folder: Path) -> torch.dtype:
    """The half precision that most weights of a model folder are stored in, else float32.

    Of a base that an adapter was merged into, what the base was stored in.
    """
    if (folder / MERGED).exists():
        said = json.loads((folder / MERGED).read_text(encoding="utf-8"))
        return getattr(torch, said["dtype"])
    counts: Counter[torch.dtype] = Counter()
    for slot in read_slots(folder).values():
        counts[slot.dtype] += math.prod(slot.shape)
    most = counts.most_common(1)[0][0]
    return most if most in HALVES else torch.float32


def record_dtype(folder: Path, dtype: torch.dtype) -> None:
    """Say in ``config.json`` of ``folder`` that weights are stored in ``dtype``."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["dtype"] = str(dtype).removeprefix("torch.")
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def recorded_dtype(folder: Path) -> torch.dtype:
    """What ``record_dtype`` wrote into ``folder``."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return getattr(torch, config.get("dtype") or "float32")


def adopt_generation(model: PreTrainedModel, folder: Path) -> None:
    """Let ``model`` end texts as ``folder`` says; only there a chat model names all its ends."""
    if (folder / GENERATION).exists():
        model.generation_config = GenerationConfig.from_pretrained(folder, local_files_only=True)


def round_weights(model: nn.Module, dtype: torch.dtype) -> None:
    """Round float32 weights in place to what ``dtype`` can hold; they stay float32."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.to(dtype))


def stored_weights(model: PreTrainedModel, dtype: torch.dtype) -> dict[str, Tensor]:
    """The model's state with parameters of ``dtype``; those that are one tensor stay one."""
    cast = {id(parameter): parameter.detach().to(dtype) for parameter in model.parameters()}
    names = {name: cast[id(p)] for name, p in model.named_parameters(remove_duplicate=False)}
    return {**model.state_dict(), **names}
