"""What a GGUF file says of itself, and whether it is whole; no weight is read."""

import re
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from evergrow.errors import InputError

MAGIC = b"GGUF"
UNBLOCKED = ("F32", "F16", "BF16")  # values as they are; all other types are blocks of few bits
LONGEST = 4096  # of an array that is read: one value a layer, never one a token
# What gguf raises where a file ends early or a length in it is nonsense.
DAMAGES = (ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError, struct.error)


@dataclass(frozen=True)
class GgufFile:
    """An open file: ``metadata`` has every key of its head, ``tensors`` lie in it as mapped bytes.

    ``reader`` is gguf's, which transformers reads from as well.
    """

    path: Path
    reader: Any

    @cached_property
    def metadata(self) -> Mapping[str, Any]:
        """Key -> value; short arrays are lists, the vocabulary's are left out."""
        fields = self.reader.fields.items()
        return {name: field.contents() for name, field in fields if len(field.data) <= LONGEST}

    @property
    def architecture(self) -> str:
        """What llama.cpp calls the family."""
        return str(self.metadata["general.architecture"])

    @property
    def tensors(self) -> list[Any]:
        return self.reader.tensors

    @cached_property
    def weights_by_type(self) -> Counter[str]:
        """Name of a type -> how many weights are stored in it, the commonest first."""
        counts: Counter[str] = Counter()
        for tensor in self.tensors:
            counts[tensor.tensor_type.name] += int(tensor.n_elements)
        return Counter(dict(counts.most_common()))

    @property
    def main_type(self) -> str:
        """The type that most weights are stored in, such as Q4_1."""
        return next(iter(self.weights_by_type))

    @property
    def bits(self) -> int | None:
        """How many bits a weight has in a block of the main type, by its name; None without."""
        if self.main_type in UNBLOCKED:
            return None
        found = re.search(r"\d", self.main_type)  # Q4_1, IQ2_XXS, MXFP4
        return int(found[0]) if found else None


def open_gguf(path: Path) -> GgufFile:
    """Read the head of ``path``; raises InputError unless it is a whole model of known types."""
    reader_of = _package(path)
    with path.open("rb") as file:
        if (first := file.read(len(MAGIC))) != MAGIC:
            raise InputError(
                f"{path}: no GGUF file (it begins with {first!r}); give a model's GGUF, or a "
                "folder with config.json"
            )
    try:
        found = GgufFile(path, reader_of(path))
        found.metadata, found.weights_by_type  # noqa: B018 - reads all of the head
    except DAMAGES as error:
        raise InputError(f"{path}: {_damage(error)}") from error
    _refuse_no_model(found)
    _refuse_types(found)
    return found


def _package(path: Path) -> Any:
    try:
        from gguf import GGUFReader
    except ImportError as error:
        raise InputError(
            f"{path}: a GGUF file needs the package gguf; install evergrow[gguf]"
        ) from error
    return GGUFReader


def _damage(error: Exception) -> str:
    said = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    if "GGMLQuantizationType" in said:
        return (
            f"holds weights of a type that is not known here ({said}); update the package gguf, "
            "or take the model in another type, such as Q8_0"
        )
    if "version" in said:
        return f"{said}; convert the model again with a newer llama.cpp"
    return f"truncated or damaged ({said}); copy the file again"


def _refuse_no_model(file: GgufFile) -> None:
    metadata, path = file.metadata, file.path
    if (parts := int(metadata.get("split.count", 1))) > 1:
        raise InputError(
            f"{path}: one of {parts} parts of a model; join them first: llama-gguf-split --merge"
        )
    kind = metadata.get("general.type", "model")
    if "general.architecture" not in metadata or kind != "model" or not file.tensors:
        what = "no architecture" if "general.architecture" not in metadata else f"type {kind}"
        raise InputError(
            f"{path}: holds no model ({what}, {len(file.tensors)} tensors); give a model's GGUF"
        )


def _refuse_types(file: GgufFile) -> None:
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, dequantize
    from numpy import uint8, zeros

    for name in file.weights_by_type:
        kind = GGMLQuantizationType[name]
        try:
            dequantize(zeros((1, GGML_QUANT_SIZES[kind][1]), uint8), kind)
        except NotImplementedError as error:
            raise InputError(
                f"{file.path}: holds weights of type {name}, which gguf cannot unpack; take the "
                "model in another type, such as Q8_0"
            ) from error
