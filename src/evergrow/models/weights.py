"""Weights on disk, a tensor at a time: safetensors without a whole model in memory.

The file: 8 bytes length of the header (little-endian), a JSON header, the tensors one after
another (https://huggingface.co/docs/safetensors, "Format"). The safetensors library maps whole
files, whose pages count as the process's own, and has no writer that works piece by piece.
"""

import json
import math
import mmap
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from evergrow.errors import InputError
from evergrow.models.load import weight_files

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_CODES = {dtype: code for code, dtype in DTYPES.items()}
SHARD_BYTES = 5 * 10**9  # what transformers cuts at too
_HEADER_LIMIT = 100_000_000  # bytes; the library's own


@dataclass(frozen=True)
class Slot:
    """Where a tensor lies: ``start`` is its first byte in ``file``."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    file: Path
    start: int

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def read_slots(folder: Path) -> dict[str, Slot]:
    """Every tensor of a model folder by name, from the headers alone.

    Raises InputError for pickled, missing, truncated or damaged files, and for a tensor in two.
    """
    slots: dict[str, Slot] = {}
    for file in weight_files(folder):
        if not file.exists():
            raise InputError(
                f"{folder}: {file.name} is missing, which model.safetensors.index.json names; "
                "copy the whole model again"
            )
        for name, slot in _file_slots(file).items():
            if name in slots:
                raise InputError(
                    f"{file}: holds {name}, which {slots[name].file.name} holds too; "
                    "copy the whole model again"
                )
            slots[name] = slot
    return slots


def _file_slots(file: Path) -> dict[str, Slot]:
    try:
        return _parse_header(file)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{file}: truncated or damaged ({error}); copy the file again") from error


def _parse_header(file: Path) -> dict[str, Slot]:
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(size - 8, _HEADER_LIMIT):
            raise ValueError(f"a header of {length} bytes in a file of {size}")
        header: dict[str, Any] = json.loads(stream.read(length))
    header.pop("__metadata__", None)
    slots, position = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        start, end = entry["data_offsets"]
        if entry["dtype"] not in DTYPES:
            raise ValueError(f"{name} has the unknown type {entry['dtype']}")
        slot = Slot(DTYPES[entry["dtype"]], tuple(entry["shape"]), file, 8 + length + start)
        if start != position or end - start != slot.num_bytes:
            raise ValueError(f"{name} does not fill the bytes {start} to {end}")
        slots[name], position = slot, end
    if 8 + length + position != size:
        raise ValueError(f"{size - 8 - length} bytes of weights, its header promises {position}")
    return slots


def read_tensor(slot: Slot) -> Tensor:
    """The tensor at ``slot`` in its stored type; what is written to it stays in memory.

    A part of the file mapped for this tensor alone, unmapped when it goes: nothing is copied, and
    no more of the file than that counts as the process's memory.
    """
    if not slot.num_bytes:
        return torch.empty(slot.shape, dtype=slot.dtype)
    before = slot.start % mmap.ALLOCATIONGRANULARITY
    try:
        with slot.file.open("rb") as stream:
            mapped = mmap.mmap(
                stream.fileno(), before + slot.num_bytes, access=mmap.ACCESS_COPY,
                offset=slot.start - before,
            )  # fmt: skip
    except ValueError as error:
        raise InputError(f"{slot.file}: truncated; copy the file again") from error
    flat = torch.frombuffer(mapped, dtype=torch.uint8, offset=before)
    if slot.start % slot.dtype.itemsize:
        flat = flat.clone()  # numbers lie at multiples of their size
    return flat.view(slot.dtype).view(slot.shape)


def write_weights(
    folder: Path,
    shapes: Mapping[str, tuple[torch.dtype, tuple[int, ...]]],
    make: Callable[[str], Tensor],
    shard_bytes: int = SHARD_BYTES,
) -> list[Path]:
    """Write ``model.safetensors``, or shards of at most ``shard_bytes`` with their index.

    ``make(name)`` gives each tensor once, in the order of ``shapes`` (wider types first, so that
    every tensor is aligned); two are in memory at a time. It must have the type and shape
    announced (AssertionError). A tensor larger than a shard has a shard of its own.
    """
    shapes = dict(sorted(shapes.items(), key=lambda item: -item[1][0].itemsize))
    shards = _cut(shapes, shard_bytes)
    names = (
        ["model.safetensors"]
        if len(shards) == 1
        else [f"model-{i:05d}-of-{len(shards):05d}.safetensors" for i in range(1, len(shards) + 1)]
    )
    for file, shard in zip(names, shards, strict=True):
        with (folder / file).open("wb") as stream:
            _write_header(stream, {name: shapes[name] for name in shard})
            _write_behind(stream, shard, shapes, make)
    if len(shards) > 1:
        total = sum(_num_bytes(*shape) for shape in shapes.values())
        places = {name: file for file, shard in zip(names, shards, strict=True) for name in shard}
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
        text = json.dumps(index, indent=2) + "\n"
        (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")
    return [folder / name for name in names]


def _write_behind(
    stream: IO[bytes],
    names: Sequence[str],
    shapes: Mapping[str, tuple[torch.dtype, tuple[int, ...]]],
    make: Callable[[str], Tensor],
) -> None:
    """One tensor is written while the next is made.

    Made in this thread: what other threads free, their allocators keep to themselves.
    """
    with ThreadPoolExecutor(1) as pool:
        writing: Future[None] | None = None
        for name in names:
            tensor = make(name)
            if writing is not None:
                writing.result()
            writing = pool.submit(_write_tensor, stream, tensor, *shapes[name], name)
        if writing is not None:
            writing.result()


def _num_bytes(dtype: torch.dtype, shape: tuple[int, ...]) -> int:
    return math.prod(shape) * dtype.itemsize


def _cut(
    shapes: Mapping[str, tuple[torch.dtype, tuple[int, ...]]], shard_bytes: int
) -> list[list[str]]:
    shards: list[list[str]] = [[]]
    filled = 0
    for name, shape in shapes.items():
        size = _num_bytes(*shape)
        if shards[-1] and filled + size > shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += size
    return shards


def _write_header(
    stream: IO[bytes], shapes: Mapping[str, tuple[torch.dtype, tuple[int, ...]]]
) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, (dtype, shape) in shapes.items():
        end = position + _num_bytes(dtype, shape)
        entry = {"dtype": _CODES[dtype], "shape": list(shape), "data_offsets": [position, end]}
        header[name], position = entry, end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors start at a multiple of 8 bytes
    stream.write(len(text).to_bytes(8, "little") + text)


def _write_tensor(
    stream: IO[bytes], tensor: Tensor, dtype: torch.dtype, shape: tuple[int, ...], name: str
) -> None:
    made = (tensor.dtype, tuple(tensor.shape))
    assert made == (dtype, shape), f"{name}: announced {(dtype, shape)}, made {made}"
    if tensor.numel():
        stream.write(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
