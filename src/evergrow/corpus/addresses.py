"""Files that are not here: any address that fsspec reads, such as s3://bucket/folder/*.jsonl."""

import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, BinaryIO, NamedTuple, final

import fsspec
from blake3 import blake3

from evergrow.errors import EvergrowError, InputError

BUFFER_BYTES = 2**17
# What stores call the version of a file's bytes; times of whole seconds are no such thing.
VERSIONS = ("ETag", "etag", "generation", "version_id", "sha")
HUB = "hf://datasets/"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_HUB_FORMAT = re.compile(r"\.(parquet|arrow|jsonl|ndjson|json|csv|tsv|txt)(\.(?:gz|zst|bz2|xz))?$")
_HUB_TRAIN = re.compile(r"(?:^|[\W_])train(?:ing)?(?:[\W_]|$)", re.IGNORECASE)


class Remote(NamedTuple):
    """What a listing says of a file: its size in bytes where it is told, a name that its store
    gives to just these bytes, and their digest where that is told (the hub does)."""

    num_bytes: int | None
    version: str | None
    digest: str | None


def is_address(pattern: str) -> bool:
    """Whether the pattern names a place that fsspec reads; ``file://`` is one too."""
    return "://" in pattern


def is_hub_id(pattern: str) -> bool:
    """Whether the pattern could be the id of a data set on the hub, such as ``owner/name``."""
    return _HUB_ID.fullmatch(pattern) is not None and not set(pattern.split("/")) & {".", ".."}


def matching_addresses(pattern: str, where: str) -> dict[str, Remote]:
    """The files that a glob of addresses matches.

    Raises InputError, which ``where`` opens, for an unknown protocol and for ``..`` in a path, and
    EvergrowError when its server does not answer.
    """
    if ".." in pattern.split("/"):
        raise InputError(f"{where} climbs with '..'; write the address without it")
    system, path = _system(pattern, where)
    with _explained(pattern):
        system.invalidate_cache()
        if (info := _unless_missing(partial(system.info, path))) is not None or not is_wild(path):
            address = pattern if "::" in pattern else system.unstrip_protocol(path)
            return {address: _remote(info)} if info and info["type"] == "file" else {}
    if "::" in pattern:
        raise InputError(f"{where}: a chain of addresses (::) names one file; write it without *")
    with _explained(pattern):
        found = _unless_missing(partial(system.glob, path, detail=True)) or {}
        infos = {name: info for name, info in found.items() if info["type"] == "file"}
        return {system.unstrip_protocol(n): _remote(_sized(system, n, infos[n])) for n in infos}


def hub_files(name: str, where: str) -> tuple[dict[str, Remote], int]:
    """The data files of a data set on the hub: those of the format that most of its bytes have,
    and of its training part where names tell one. And how many others there are."""
    found = matching_addresses(f"{HUB}{name}/**", where)
    formats: dict[str, dict[str, Remote]] = {}
    for address, remote in found.items():
        if match := _HUB_FORMAT.search(address):
            formats.setdefault(match[1], {})[address] = remote
    if not formats:
        raise InputError(f"{where}: the data set holds no Parquet, JSON, CSV or text; name files")
    data = max(formats.values(), key=lambda files: sum(r.num_bytes or 0 for r in files.values()))
    training = {a: r for a, r in data.items() if _HUB_TRAIN.search(a.removeprefix(HUB + name))}
    files = training or data
    return files, len(found) - len(files)


def is_wild(path: str) -> bool:
    """Whether a path has a wildcard."""
    return bool(set(path) & set("*?["))


def _system(address: str, where: str) -> tuple[Any, str]:
    try:
        return fsspec.url_to_fs(address)
    except ImportError as error:
        raise InputError(f"{where} needs another package: {error}") from error
    except ValueError as error:
        raise InputError(f"{where} is no address that fsspec knows ({error})") from error


def _unless_missing(ask: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """What a file system answers; None when nothing is there.

    A web server that does not answer is reported as a missing file, with the reason behind it.
    """
    try:
        return ask()
    except FileNotFoundError as error:
        if error.__cause__ is None or _status(error.__cause__) in (403, 404, 410):
            return None
        raise


def _status(reason: BaseException) -> int | None:
    """Of a server's answer, where the clients of the web and of the hub keep it."""
    response = getattr(reason, "response", None)
    return getattr(reason, "status", None) or getattr(response, "status_code", None)


def _sized(system: Any, name: str, info: Mapping[str, Any]) -> Mapping[str, Any]:
    """Listings of web servers tell no sizes; asked for one file they do."""
    return (
        info
        if info.get("size") is not None
        else (_unless_missing(partial(system.info, name)) or info)
    )


def _remote(info: Mapping[str, Any]) -> Remote:
    size, large = info.get("size"), info.get("lfs")
    version = next((f"{key} {info[key]}" for key in VERSIONS if info.get(key)), None)
    digest = None
    if large and large.get("sha256"):
        digest = f"sha256:{large['sha256']}"
    elif info.get("blob_id"):
        digest = f"git:{info['blob_id']}"
    return Remote(None if size is None else int(size), version, digest)


@contextmanager
def _explained(address: str) -> Iterator[None]:
    """Turn what a file system's client raises into a sentence: their errors stand in packages that
    need not be here, so every one counts as the network's."""
    try:
        yield
    except (EvergrowError, GeneratorExit, KeyboardInterrupt):
        raise
    except Exception as error:
        reason: BaseException = error
        while reason.__cause__ is not None:
            reason = reason.__cause__
        told = str(reason).strip().partition("\n")[0][:200] or type(reason).__name__
        raise EvergrowError(
            f"{address} cannot be read ({told}); check the address, the network and your rights"
        ) from error


@final
class _Read(io.RawIOBase):
    """The file behind an address, whose errors are sentences."""

    def __init__(self, file: Any, address: str) -> None:
        self._file = file
        self._address = address

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def seek(self, offset: int, whence: int = 0, /) -> int:
        with _explained(self._address):
            return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        with _explained(self._address):
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def open_address(address: str) -> Iterator[BinaryIO]:
    """The bytes behind an address, read piece by piece; seekable where the protocol can.

    Opening and reading raise EvergrowError when its server does not answer.
    """
    system, path = _system(address, address)
    with _explained(address):
        opened = system.open(path, "rb")
    with opened as file:
        yield io.BufferedReader(_Read(file, address), BUFFER_BYTES)


def address_checksum(address: str) -> tuple[int, str]:
    """The number of bytes behind an address and their blake3 hex digest; all are read."""
    digest, size = blake3(), 0
    with open_address(address) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()
