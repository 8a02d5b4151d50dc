"""Files that are not here: any address that fsspec reads, such as s3://bucket/folder/*.jsonl."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import fsspec
from blake3 import blake3

from evergrow.errors import InputError


def is_address(pattern: str) -> bool:
    """Whether the pattern names a place that fsspec reads; ``file://`` is one too."""
    return "://" in pattern


def matching_addresses(pattern: str, where: str) -> dict[str, int]:
    """The files that a glob of addresses matches, with their sizes in bytes.

    Raises InputError, which ``where`` opens, for an unknown protocol and for ``..`` in a path.
    """
    if ".." in pattern.split("/"):
        raise InputError(f"{where} climbs with '..'; write the address without it")
    system, path = _system(pattern, where)
    is_wild = bool(set(path) & set("*?["))
    if not is_wild or system.exists(path):  # a name may hold brackets
        if not system.exists(path):
            return {}
        info = system.info(path)
        address = pattern if "::" in pattern else system.unstrip_protocol(path)
        return {address: int(info["size"])} if info["type"] == "file" else {}
    if "::" in pattern:
        raise InputError(f"{where}: a chain of addresses (::) names one file; write it without *")
    found = system.glob(path, detail=True)
    return {
        system.unstrip_protocol(name): int(info["size"])
        for name, info in found.items()
        if info["type"] == "file"
    }


def _system(address: str, where: str) -> tuple[Any, str]:
    try:
        return fsspec.url_to_fs(address)
    except ImportError as error:
        raise InputError(f"{where} needs another package: {error}") from error
    except ValueError as error:
        raise InputError(f"{where} is no address that fsspec knows ({error})") from error


@contextmanager
def open_address(address: str) -> Iterator[BinaryIO]:
    """The bytes behind an address, read piece by piece; seekable where the protocol can."""
    system, path = _system(address, address)
    with system.open(path, "rb") as file:
        yield file


def address_size(address: str) -> int:
    """In bytes."""
    system, path = _system(address, address)
    return int(system.size(path))


def address_checksum(address: str) -> str:
    """The blake3 hex digest of the bytes behind an address, which are all read."""
    digest = blake3()
    with open_address(address) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
