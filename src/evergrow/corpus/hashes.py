"""What files hashed to when they were last seen, so that only those that changed are read again."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, final

from blake3 import blake3

from evergrow.disk import write_file

FORMAT = 1
# A file that was written as late as this before it was hashed may be written once more within the
# same tick of its file system's clock (FAT counts two seconds): it is hashed again next time.
SETTLED_NS = 2 * 10**9


class Hashed(NamedTuple):
    """A file as it was hashed. A writer can set ``mtime_ns`` back, but not ``ctime_ns``."""

    num_bytes: int
    mtime_ns: int
    ctime_ns: int
    blake3: str


class HashedAddress(NamedTuple):
    """A file behind an address; ``version`` is what its store calls these bytes."""

    num_bytes: int
    version: str
    blake3: str


@final
class Hashes:
    """A record of hashes; those that were asked for are its next content.

    Threads may ask at once: each asks for files of its own.
    """

    def __init__(self, files: dict[str, Hashed], addresses: dict[str, HashedAddress]) -> None:
        self._files, self._addresses = files, addresses
        self.asked_files: dict[str, Hashed] = {}
        self.asked_addresses: dict[str, HashedAddress] = {}

    def of_file(self, path: Path) -> Hashed:
        """The hash of a file: as recorded while its size and times are the same, else read now.

        The numbers are from before it was read, so a file that grows meanwhile differs next time.
        """
        name, stat = str(path), path.stat()
        seen = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        known = self._files.get(name)
        if known is None or known[:3] != seen:
            now = time.time_ns()
            known = Hashed(*seen, _checksum(path, stat.st_size))
            if max(seen[1:]) > now - SETTLED_NS:
                return known
        self.asked_files[name] = known
        return known

    def of_address(self, address: str, version: str | None) -> HashedAddress | None:
        """The hash of what a store calls ``version``, when it was recorded."""
        known = self._addresses.get(address)
        if known is None or known.version != version:
            return None
        self.asked_addresses[address] = known
        return known

    def add_address(self, address: str, hashed: HashedAddress) -> None:
        self.asked_addresses[address] = hashed


def _checksum(path: Path, num_bytes: int) -> str:
    """Of the first ``num_bytes``: what is appended while they are read is not in it."""
    digest = blake3()
    with path.open("rb", buffering=0) as file:
        while num_bytes and (chunk := file.read(min(num_bytes, 2**20))):
            digest.update(chunk)
            num_bytes -= len(chunk)
    return digest.hexdigest()


@contextmanager
def recorded_hashes(path: Path | None) -> Iterator[Hashes]:
    """The hashes that ``path`` holds, which afterwards holds those that were asked for.

    None, a missing or a damaged record: everything is hashed.
    """
    hashes = Hashes(*_read(path)) if path is not None else Hashes({}, {})
    yield hashes
    if path is None or not (hashes.asked_files or hashes.asked_addresses):
        return
    data = {"format": FORMAT, "files": hashes.asked_files, "addresses": hashes.asked_addresses}
    text = json.dumps(data, sort_keys=True) + "\n"
    if not path.exists() or path.read_bytes() != text.encode():
        write_file(path, text)


def hashes_beside(made: Path, source: str) -> Path:
    """Where the hashes of a source's files are recorded: beside what is made of them, since they
    tell times of this machine."""
    return made.with_name(f".{made.name}-{source}.hashes.json")


def _read(path: Path) -> tuple[dict[str, Hashed], dict[str, HashedAddress]]:
    try:
        data = json.loads(path.read_bytes())
        if data["format"] != FORMAT:
            return {}, {}
        files = {name: Hashed(*values) for name, values in data["files"].items()}
        return files, {name: HashedAddress(*v) for name, v in data["addresses"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}, {}
