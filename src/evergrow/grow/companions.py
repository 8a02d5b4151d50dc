"""What lies in a model folder beside its weights: all of it comes along but what no longer fits.

Carried by exclusion, so that licences, notices, chat templates, tokenizers and the modules of
sentence-transformers are there whatever they are called.
"""

import fnmatch
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from evergrow.grow.respell import Spelling

_WRITTEN_ANEW = ("config.json", "README.md", "evergrow.json", "growth.json")
_WEIGHTS = (
    "*.safetensors", "*.index.json", "*.bin", "*.h5", "*.msgpack", "*.ot", "*.onnx", "*.onnx_data",
    "*.gguf", "*.pt", "*.pth", "*.ckpt", "*.npz", "*.tflite", "*.mlmodel", "adapter_config.json",
)  # fmt: skip
_CODE = ("*.py", "*.pyc", "*.sh", "*.so", "*.dll", "*.pkl", "*.pickle", "*.joblib")
_OF_ITS_TRAINING = (
    "trainer_state.json", "*_results.json", "optimizer.*", "scheduler.*", "rng_state*", "events.*",
)  # fmt: skip
# Folders that hold the model once more, with the old sizes, or its training.
_FOLDERS = ("onnx", "openvino", "coreml", "original", "flax", "gguf", "runs", "eval", "checkpoint*")

_LEFT = {
    "weights of the old size": _WEIGHTS,
    "code, which is never run": _CODE,
    "of the source's training": _OF_ITS_TRAINING,
}
NEVER_FETCHED = (
    *(pattern for pattern in (*_WEIGHTS, *_CODE, *_OF_ITS_TRAINING) if pattern not in
      ("*.safetensors", "*.index.json")),
    *(f"{folder}/*" for folder in _FOLDERS),
)  # fmt: skip


# What a tokenizer is made of; a chat's template stays the model's own.
TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "vocab.txt", "merges.txt", "tokenizer.model", "spiece.model",
    "sentencepiece.bpe.model",
)  # fmt: skip


def left_behind(folder: Path, weights: set[Path], tokenizer: bool = True) -> dict[str, str]:
    """File -> why it does not come along; the ``weights`` that grow are not among them.

    ``tokenizer`` says whether the model goes on reading by its own.
    """
    files = [file for file in _files(folder) if folder / file not in weights]
    reasons = ((file, _reason(file) or _old_tokenizer(file, tokenizer)) for file in files)
    return {str(file): reason for file, reason in reasons if reason is not None}


def stays_behind(left: Mapping[str, str]) -> list[str]:
    """A sentence for each reason, naming five files at most."""
    sentences = []
    for reason in dict.fromkeys(left.values()):
        names = [name for name, why in left.items() if why == reason]
        rest = f" and {len(names) - 5} more" if len(names) > 5 else ""
        sentences.append(f"stays behind ({reason}): {', '.join(names[:5])}{rest}")
    return sentences


def _files(folder: Path) -> Iterator[Path]:
    """Relative to ``folder``, sorted; the index of its shards and what is written anew is not."""
    for here, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            file = (Path(here) / name).relative_to(folder)
            if str(file) not in (*_WRITTEN_ANEW, "model.safetensors.index.json"):
                yield file


def _reason(file: Path) -> str | None:
    if any(part.startswith(".") for part in file.parts):
        return "hidden"
    if any(fnmatch.fnmatch(part, pattern) for part in file.parts[:-1] for pattern in _FOLDERS):
        return "the model once more, or its training"
    found = (why for why, patterns in _LEFT.items() if any(file.match(p) for p in patterns))
    return next(found, None)


def carried(folder: Path) -> list[Path]:
    """What comes along, relative to ``folder``."""
    return [file for file in _files(folder) if _reason(file) is None]


def _old_tokenizer(file: Path, kept: bool) -> str | None:
    return None if kept or str(file) not in TOKENIZER else "of the tokenizer before"


def take_tokenizer(folder: Path, grown: Path, found: Spelling) -> None:
    """The tokenizer in ``folder`` for the model in ``grown``, which generates by its ids."""
    for name in TOKENIZER:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, grown / name)
    path = grown / "generation_config.json"
    if path.is_file():
        settings = json.loads(path.read_text(encoding="utf-8"))
        text = json.dumps(found.by_new_ids(settings), indent=2) + "\n"
        path.write_text(text, encoding="utf-8")


def carry(folder: Path, grown: Path, widths: tuple[int, int], tokenizer: bool = True) -> None:
    """Copy it all; a pooling of sentence-transformers is told the grown width (before, after)."""
    for file in carried(folder):
        if _old_tokenizer(file, tokenizer):
            continue
        (grown / file).parent.mkdir(parents=True, exist_ok=True)
        if file.name == "config.json":  # of a module, in a folder of its own
            (grown / file).write_text(_widened(folder / file, *widths), encoding="utf-8")
        else:
            shutil.copyfile(folder / file, grown / file)


def _widened(path: Path, before: int, after: int) -> str:
    text = path.read_text(encoding="utf-8")
    settings = json.loads(text)
    named = [k for k in ("word_embedding_dimension", "embedding_dimension") if k in settings]
    if not any(settings[key] == before != after for key in named):
        return text
    return json.dumps(settings | dict.fromkeys(named, after), indent=2) + "\n"
