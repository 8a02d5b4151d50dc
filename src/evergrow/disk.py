"""Files that are whole or not there (write beside the target, fsync, rename), and the lock."""

import errno
import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from blake3 import blake3
from safetensors import SafetensorError

from evergrow.errors import EvergrowError, InputError

LOCK_PATIENCE = 3.0  # seconds: the children of a killed process need a moment to notice and end
SEAL = "seal"  # the key of an object's hash of itself
_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
# Arrow and safetensors give the reason only in their text.
_FULL_TEXT = ("No space left on device", "File too large", "Disk quota exceeded")


@contextmanager
def _full_disk_explained(target: Path) -> Iterator[None]:
    """Turn a full disk or a file-size limit into a sentence that says what is still whole."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        full = isinstance(error, OSError) and error.errno in _FULL
        if full or any(text in str(error) for text in _FULL_TEXT):
            raise EvergrowError(
                f"{target}: no space left while writing; nothing was replaced and nothing "
                "half-written is left, so free some space and run the same command again"
            ) from error
        raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path whose file replaces ``path`` when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.writing-{os.getpid()}")
    try:
        with _full_disk_explained(path):
            yield temporary
            _sync(temporary)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


def write_file(path: Path, data: str | bytes) -> None:
    """Replace ``path`` by ``data`` in one step; readers see the old file or the new one."""
    with new_file(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


def append_file(path: Path, text: str) -> None:
    """Add ``text`` at the end of ``path``: all of it, or on a full disk nothing."""
    data = text.encode()
    with _full_disk_explained(path), path.open("ab", buffering=0) as file:
        size = file.tell()
        try:
            while data:
                data = data[file.write(data) :]
        except OSError:
            file.truncate(size)
            raise


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes ``path`` when the block ends without an error.

    A folder already at ``path`` is replaced. Left-overs of a killed process are removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(path)
    temporary = path.with_name(f".{path.name}.writing-{os.getpid()}")
    temporary.mkdir()
    try:
        with _full_disk_explained(path):
            yield temporary
            for file in sorted(temporary.rglob("*")):
                _sync(file)
            _sync(temporary)
            if path.exists():
                replaced = path.with_name(f".{path.name}.replaced-{os.getpid()}")
                path.rename(replaced)
                temporary.rename(path)
                shutil.rmtree(replaced)
            else:
                temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    _sync(path.parent)


def remove_unfinished(path: Path) -> None:
    """Delete what a killed process left while it was writing the folder ``path``.

    A folder that was moved aside to be replaced is moved back when its replacement never arrived.
    """
    for left in path.parent.glob(f".{path.name}.replaced-*"):
        if path.exists():
            shutil.rmtree(left)
        else:
            left.rename(path)
    for left in path.parent.glob(f".{path.name}.writing-*"):
        shutil.rmtree(left)


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with a hash of all else that it says under ``SEAL``."""
    rest = {name: value for name, value in record.items() if name != SEAL}
    return {**rest, SEAL: _seal(rest)}


def unsealed(
    path: Path, found: Mapping[str, Any], way_out: str, wrong: type[EvergrowError] = EvergrowError
) -> dict[str, Any]:
    """The object of a file without its seal, if it has one.

    Raises ``wrong`` for one that says something else than what was sealed.
    """
    rest = {name: value for name, value in found.items() if name != SEAL}
    if SEAL in found and found[SEAL] != _seal(rest):
        raise wrong(f"{path}: damaged (it is not what was written); {way_out}")
    return rest


def _seal(record: Mapping[str, Any]) -> str:
    return blake3(json.dumps(record, sort_keys=True).encode()).hexdigest()[:32]


def read_object(
    path: Path, way_out: str, wrong: type[EvergrowError] = EvergrowError
) -> dict[str, Any]:
    """The JSON object that a file holds, without its seal.

    Raises ``wrong``, with damage and way out, for a file that is missing, holds no object or is
    not what was sealed.
    """
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise wrong(f"{path}: damaged ({error}); {way_out}") from error
    if not isinstance(found, dict):
        kind = type(found).__name__
        raise wrong(f"{path}: damaged (it holds a {kind} and no object); {way_out}")
    return unsealed(path, found, way_out, wrong)


def checksum(path: Path, length: int | None = None) -> str:
    """The blake3 hex digest of a file's bytes, or of its first ``length``.

    3.5 GB/s on one core with AVX-512; more threads were no faster.
    """
    digest, left = blake3(), path.stat().st_size if length is None else length
    with path.open("rb") as file:
        while chunk := file.read(min(1 << 20, left)):
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest()


_KNOWN: dict[tuple[str, int, int, int], str] = {}


def checksum_once(path: Path) -> str:
    """``checksum``, read once a process for as long as the file is the same to the file system.

    What a disk loses between two processes is found by the second one: nothing is kept on disk.
    """
    facts = path.stat()
    mark = str(path.resolve()), facts.st_ino, facts.st_size, facts.st_mtime_ns
    if mark not in _KNOWN:
        _KNOWN[mark] = checksum(path)
    return _KNOWN[mark]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; a second process is refused, naming host and pid.

    The lock is the kernel's (flock), so a killed process never leaves one behind. Raises
    InputError when it is still held after LOCK_PATIENCE seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lock"
    with path.open("a+") as file:
        give_up = time.monotonic() + LOCK_PATIENCE
        while not _taken(file):
            if time.monotonic() > give_up:
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise InputError(f"{folder}: in use by {holder}; wait for it or stop it")
            time.sleep(0.05)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


def _taken(file: IO[str]) -> bool:
    """Whether the lock on ``file`` is ours now."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
