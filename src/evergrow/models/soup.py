"""The average of several models of one shape, a tensor at a time.

Wortsman et al. (2203.05482): models that went different ways from one beginning can be averaged
weight by weight. OLMo 2 (2501.00656, section 4.5) averages orders of mid-training, in fp32.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from evergrow.disk import new_folder, read_object
from evergrow.errors import InputError
from evergrow.lineage import FILE, refuse_changed
from evergrow.models.find import HUB_FILES
from evergrow.models.weights import Slot, read_slots, read_tensor, write_weights

_STATISTICS = "running_mean"  # as torch calls those of a batch norm
# What config.json says without changing what the model computes.
_ASIDE = {"_name_or_path", "dtype", "torch_dtype", "transformers_version", "use_cache"}
# Of one model alone: its record, its card, how its training stood.
_OWN = {FILE, "growth.json", "README.md", "trainer_state.json", "model.safetensors.index.json"}


def refuse_others(folders: Sequence[Path]) -> None:
    """Raise InputError unless the models have one configuration and tensors of the same shapes.

    None may have changed since its record was made. A model with batch norms is refused: what
    these remember of the data belongs to each model's own weights, and the mean of it to none.
    """
    for folder in folders:
        refuse_changed(folder)
    first, own = folders[0], read_slots(folders[0])
    refuse_statistics(str(first), own)
    for other in folders[1:]:
        _refuse_configuration(first, other)
        _refuse_shapes(first, own, other, read_slots(other))


def refuse_statistics(model: str, names: Sequence[str] | Mapping[str, object]) -> None:
    """Raise InputError for a model of whose tensors one is the running mean of a batch norm."""
    found = next((name for name in names if name.endswith(_STATISTICS)), None)
    if found is not None:
        raise InputError(
            f"{model}: has batch norms ({found}), whose statistics belong to one model's weights "
            "and cannot be averaged; soups are for models with layer norms, so take the best one"
        )


def _refuse_configuration(first: Path, other: Path) -> None:
    one, two = (read_object(f / "config.json", "copy the model again") for f in (first, other))
    for key in sorted({*one, *two} - _ASIDE):
        if one.get(key) != two.get(key):
            raise InputError(
                f"{other}: {key} is {two.get(key)!r} in its config.json and {one.get(key)!r} in "
                f"that of {first}; only models of one architecture and shape can be averaged"
            )


def _refuse_shapes(
    first: Path, one: Mapping[str, Slot], other: Path, two: Mapping[str, Slot]
) -> None:
    if strangers := sorted(one.keys() ^ two.keys()):
        here, there = (first, other) if strangers[0] in one else (other, first)
        raise InputError(
            f"{here}: has the tensor {strangers[0]}, which {there} has not; only models of one "
            "architecture and shape can be averaged"
        )
    for name, slot in one.items():
        if slot.shape != two[name].shape:
            raise InputError(
                f"{other}: {name} is {two[name].shape}, and {slot.shape} in {first}; only models "
                "of one architecture and shape can be averaged"
            )


def write_average(folders: Sequence[Path], target: Path) -> None:
    """A model folder whose weights are the mean of those of ``folders``, summed in float64.

    Each tensor keeps the type that it has in the first folder, from which everything else comes
    too; two tensors are in memory at a time. ``target`` appears whole or not at all. Raises
    InputError as ``refuse_others``, and for whole numbers that differ.
    """
    refuse_others(folders)
    stored = [read_slots(folder) for folder in folders]
    shapes = {name: (slot.dtype, slot.shape) for name, slot in stored[0].items()}
    with new_folder(target) as unfinished:
        copy_beside(folders[0], unfinished)
        write_weights(unfinished, shapes, lambda name: _mean([one[name] for one in stored]))


def copy_beside(folder: Path, target: Path) -> None:
    """Configuration, tokenizer, templates and licence of a model; not its weights and record."""
    patterns = [pattern for pattern in HUB_FILES if pattern != "*.safetensors"]
    found = {path for pattern in patterns for path in folder.glob(pattern)}
    for path in sorted(found):
        if path.is_file() and path.name not in _OWN:
            shutil.copyfile(path, target / path.name)


def _mean(slots: Sequence[Slot]) -> Tensor:
    """The mean of one tensor of several models, in the type of the first."""
    first = read_tensor(slots[0])
    if not first.is_floating_point():
        for slot in slots[1:]:
            if not torch.equal(first, read_tensor(slot)):
                raise InputError(
                    f"{slot.file}: holds whole numbers that differ from those of {slots[0].file}, "
                    "which have no mean; only models of one kind can be averaged"
                )
        return first
    total = first.double()
    for slot in slots[1:]:
        total += read_tensor(slot).double()
    return (total / len(slots)).to(first.dtype)
