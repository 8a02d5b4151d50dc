"""A model folder as growth sees it: config.json, and weights that are read one at a time."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from evergrow.errors import InputError
from evergrow.models.weights import Slot, read_slots, read_tensor


@dataclass(frozen=True)
class Stored:
    """``slots`` are the headers' entries by tensor name; ``made`` tensors are not in the file."""

    folder: Path
    config: dict[str, Any]
    slots: dict[str, Slot]
    made: Mapping[str, Callable[[], Tensor]] = field(default_factory=dict)

    def read(self, name: str) -> Tensor:
        """A tensor in its stored type."""
        if name in self.made:
            return self.made[name]()
        return read_tensor(self.slots[name])

    def read_wide(self, name: str) -> Tensor:
        """A tensor in at least float32, so that what is made from it is not rounded."""
        tensor = self.read(name)
        return tensor.float() if tensor.is_floating_point() and tensor.itemsize < 4 else tensor

    @property
    def files(self) -> set[Path]:
        """The files that hold its weights."""
        return {slot.file for slot in self.slots.values()}

    @property
    def bytes_per_weight(self) -> int:
        """Of the type that most bytes are stored in."""
        sizes: dict[int, int] = {}
        for slot in self.slots.values():
            width = slot.dtype.itemsize
            sizes[width] = sizes.get(width, 0) + slot.num_bytes
        return max(sizes, key=lambda width: sizes[width])


def open_folder(folder: Path) -> Stored:
    """A model folder by its config.json and the headers of its weights.

    Raises InputError for one that is missing, damaged, pickled or quantised.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder}: no model here (config.json is missing); give a model folder")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not readable as JSON ({error}); copy it again") from error
    if not isinstance(config, dict):
        raise InputError(f"{path}: expected a JSON object, got a {type(config).__name__}")
    if "quantization_config" in config:
        raise InputError(
            f"{path}: the weights are quantised and cannot be grown; "
            "use the model's full-precision weights"
        )
    if "auto_map" in config:
        raise InputError(
            f"{path}: names code to run (auto_map), which is never run; if transformers knows this "
            "architecture itself, remove auto_map in a copy of the folder"
        )
    slots = read_slots(folder)
    if not slots:
        raise InputError(f"{folder}: its weight files hold no tensor; copy the whole model again")
    return Stored(folder, config, slots)
