"""Globs to files with checksums, here or behind an address, and groups of them."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, Protocol

from blake3 import blake3

from evergrow.corpus.addresses import Remote, address_checksum
from evergrow.corpus.file_names import PACKINGS
from evergrow.corpus.hashes import HashedAddress, Hashes
from evergrow.corpus.records import FileRecord
from evergrow.errors import InputError

SHORT_SUFFIXES = {".tgz": (".tar", ".gz"), ".tbz2": (".tar", ".bz2"), ".txz": (".tar", ".xz")}


class Fault(NamedTuple):
    """Why a file is not read, and what to do about it."""

    reason: str
    way_out: str


NAMELESS = Fault("file names that are not UTF-8", "rename the file or leave it out of `files`")


class Member(Protocol):
    """A file in an archive."""

    def open(self) -> BinaryIO: ...


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a source; ``name`` is its path as recorded: relative to the base when inside it.

    ``path`` is text when it is an address that fsspec reads, which then is the name too. ``tree``
    is the checkout that the file belongs to, None for a file of its own. A file with a ``fault`` is
    never opened: it has no size and no checksum. ``blake3`` is what its bytes must have when they
    are read; of a file on the hub it is what the hub calls them, ``sha256:...`` or ``git:...``, and
    a member of an archive has none. ``mtime_ns`` is from before it was hashed.
    """

    path: Path | str | Member
    name: str
    num_bytes: int
    blake3: str
    tree: Path | None = None
    fault: Fault | None = None
    mtime_ns: int | None = None

    @classmethod
    def at(
        cls,
        path: Path,
        base: Path,
        tree: Path | None = None,
        fault: Fault | None = None,
        hashes: Hashes | None = None,
    ) -> "SourceFile":
        """Describe the file at ``path``, which is read for its checksum unless ``hashes`` know it.

        A name that is not UTF-8 is a fault, and recorded with ``\\xff`` for such bytes.
        """
        name = (path.relative_to(base) if path.is_relative_to(base) else path).as_posix()
        if not is_utf8(name):
            name, fault = os.fsencode(name).decode(errors="backslashreplace"), NAMELESS
        if fault is not None:
            return cls(path, name, 0, "", tree, fault)
        hashed = (hashes or Hashes({}, {})).of_file(path)
        return cls(path, name, hashed.num_bytes, hashed.blake3, tree, mtime_ns=hashed.mtime_ns)

    @classmethod
    def behind(cls, address: str, remote: Remote, hashes: Hashes) -> "SourceFile":
        """Describe the file at an address, which is read unless its digest is told or known."""
        if remote.digest is not None and remote.num_bytes is not None:
            return cls(address, address, remote.num_bytes, remote.digest)
        known = hashes.of_address(address, remote.version)
        if known is None:
            size, digest = address_checksum(address)
            known = HashedAddress(size, remote.version or "", digest)
            if remote.version is not None:
                hashes.add_address(address, known)
        return cls(address, address, known.num_bytes, known.blake3)

    def record(self) -> FileRecord:
        """The file as a manifest lists it."""
        return FileRecord(path=self.name, bytes=self.num_bytes, blake3=self.blake3)

    @property
    def suffixes(self) -> tuple[str, str]:
        """The last suffix before one of packing, and that one: ``(".jsonl", ".gz")``."""
        found = [s.lower() for s in PurePosixPath(self.name).suffixes]
        if found and found[-1] in SHORT_SUFFIXES:
            return SHORT_SUFFIXES[found[-1]]
        packing = found.pop() if found and found[-1] in PACKINGS else ""
        return (found[-1] if found else ""), packing


def is_utf8(name: str) -> bool:
    """Whether a file's name, as Python decodes it, can be written down."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def tree_name(file: SourceFile) -> str:
    """The path of a file's tree as that of the file is recorded, with a slash behind it."""
    assert isinstance(file.path, Path) and file.tree is not None
    return file.name.removesuffix(file.path.relative_to(file.tree).as_posix())


def in_order(files: Iterable[SourceFile]) -> list[SourceFile]:
    """The files ordered by a hash of their names: spread out, and the same on every machine."""
    return sorted(files, key=_digest)


def _digest(file: SourceFile) -> bytes:
    return blake3(file.name.encode()).digest()


def file_groups(files: Iterable[SourceFile], max_bytes: int | None) -> dict[str, list[SourceFile]]:
    """The files in groups of at most ``max_bytes``, by a name for each; None for one group.

    Files are parted by the bits of a hash of their names, a bit more for those that are still too
    many: so a file that comes or goes changes its own group, or parts it, and no other. A larger
    file is a group of its own, and so is a checkout whatever its size: its licences and dates are
    looked up once.
    """
    ordered = in_order(files)
    if max_bytes is None:
        return {"all": ordered} if ordered else {}
    small: list[SourceFile] = []
    alone: dict[str, list[SourceFile]] = {}
    for file in ordered:
        if file.tree is not None:
            tree = blake3(tree_name(file).encode()).hexdigest(8)
            alone.setdefault(f"t{tree}", []).append(file)
        elif file.num_bytes > max_bytes:
            alone[f"f{_digest(file).hex()[:16]}"] = [file]
        else:
            small.append(file)
    return {**_parted(small, max_bytes, ""), **alone}


def _parted(files: list[SourceFile], max_bytes: int, bits: str) -> dict[str, list[SourceFile]]:
    if not files:
        return {}
    if len(files) == 1 or sum(file.num_bytes for file in files) <= max_bytes:
        return {f"b{bits}": files}
    halves: tuple[list[SourceFile], list[SourceFile]] = ([], [])
    for file in files:
        halves[_digest(file)[len(bits) // 8] >> (7 - len(bits) % 8) & 1].append(file)
    first, second = (_parted(half, max_bytes, f"{bits}{i}") for i, half in enumerate(halves))
    return {**first, **second}


class Found(NamedTuple):
    """The files of a source, and how many were left out by kind."""

    files: list[SourceFile]
    skipped: Counter[str]


def described(
    told: Mapping[Path, Fault | Remote | None] | Mapping[Path | str, Fault | Remote | None],
    base: Path,
    hashes: Hashes,
    tree: Path | None = None,
) -> list[SourceFile]:
    """Files with their checksums, read by as many threads as there are cores."""

    def describe(some: Sequence[tuple[Path | str, Fault | Remote | None]]) -> list[SourceFile]:
        return [
            SourceFile.behind(str(path), fact, hashes)
            if isinstance(fact, Remote)
            else SourceFile.at(Path(path), base, tree, fact, hashes)
            for path, fact in some
        ]

    pairs, cores = list(told.items()), os.cpu_count() or 1
    size = 1 + len(pairs) // (16 * cores)  # a task a file would cost more than looking at it
    tasks = [pairs[at : at + size] for at in range(0, len(pairs), size)]
    with ThreadPoolExecutor(cores) as threads:
        return [file for files in threads.map(describe, tasks) for file in files]


def inside(root: Path, name: str) -> Path:
    """The path of ``name`` below ``root``. Raises InputError for a name that leads out of it."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise InputError(f"{name!r} leads out of {root}; the record that names it is not to trust")
    return root / name
