"""Tensors read and written one by one: the library's own bytes, and no damaged file accepted."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from evergrow.errors import InputError
from evergrow.models.weights import read_slots, read_tensor, write_weights

TENSORS = {
    "b.weight": torch.arange(6, dtype=torch.float32).reshape(2, 3) / 7,
    "a.flags": torch.tensor([True, False, True]),
    "c": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "d.scalar": torch.tensor(3, dtype=torch.int64),
    "e.empty": torch.zeros(0, 4),
}


def shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
    return {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()}


def test_the_library_reads_what_is_written(tmp_path: Path) -> None:
    (file,) = write_weights(tmp_path, shapes(TENSORS), TENSORS.__getitem__)
    read = load_file(file)
    assert read.keys() == TENSORS.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in TENSORS.items())
    header = json.loads(file.read_bytes()[8:].split(b"}}")[0] + b"}}")
    assert list(header)[:2] == ["__metadata__", "d.scalar"]  # wider types first: aligned


def test_what_the_library_wrote_is_read(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "model.safetensors", metadata={"format": "pt"})
    slots = read_slots(tmp_path)
    for name, tensor in TENSORS.items():
        read = read_tensor(slots[name])
        assert (read.dtype, read.shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(read, tensor)
    assert slots["b.weight"].num_bytes == 24


def test_shards_have_an_index_and_one_tensor_is_made_at_a_time(tmp_path: Path) -> None:
    tensors = {f"layer.{i}": torch.full((10,), float(i)) for i in range(5)}
    made = []

    def make(name: str) -> Tensor:
        made.append(name)
        return tensors[name]

    files = write_weights(tmp_path, shapes(tensors), make, shard_bytes=80)
    assert [f.name for f in files] == [f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)]
    assert made == list(tensors)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"] == {"total_size": 200}
    assert index["weight_map"]["layer.4"] == files[2].name
    slots = read_slots(tmp_path)
    assert all(torch.equal(read_tensor(slots[name]), tensors[name]) for name in tensors)
    files[1].unlink()
    with pytest.raises(InputError, match=r"model-00002-of-00003\.safetensors is missing"):
        read_slots(tmp_path)


def cut(data: bytes) -> bytes:
    return data[:-1]


def longer(data: bytes) -> bytes:
    return data + b"\0"


def no_json(data: bytes) -> bytes:
    return data[:8] + b"#" + data[9:]


def huge(data: bytes) -> bytes:
    return (1 << 60).to_bytes(8, "little") + data[8:]


def overlapping(data: bytes) -> bytes:
    return data.replace(b'"data_offsets":[0,8]', b'"data_offsets":[0,9]')


def unknown_type(data: bytes) -> bytes:
    return data.replace(b'"F32"', b'"F33"')


@pytest.mark.parametrize(
    "damage", [cut, longer, no_json, huge, overlapping, unknown_type, lambda _: b""]
)
def test_a_damaged_file_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    (file,) = write_weights(tmp_path, shapes(TENSORS), TENSORS.__getitem__)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(InputError, match=r"truncated or damaged .*; copy the file again"):
        read_slots(tmp_path)


def test_pickles_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(InputError, match="only pickled weights"):
        read_slots(tmp_path)
