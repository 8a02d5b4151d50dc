"""Globs to files with checksums, here or behind an address, and groups of them."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from blake3 import blake3

from evergrow.corpus.addresses import (
    address_checksum,
    address_size,
    is_address,
    matching_addresses,
)
from evergrow.disk import checksum
from evergrow.errors import InputError

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


class Fault(NamedTuple):
    """Why a file is not read, and what to do about it."""

    reason: str
    way_out: str


NAMELESS = Fault("file names that are not UTF-8", "rename the file or leave it out of `files`")
OUTSIDE = Fault(
    "links that a wildcard finds and that lead out of its folder",
    "name the file they lead to, or put it into the folder",
)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a source; ``name`` is its path as recorded: relative to the base when inside it.

    ``path`` is text when it is an address that fsspec reads, which then is the name too. ``tree``
    is the checkout that the file belongs to, None for a file of its own. A file with a ``fault`` is
    never opened: it has no size and no checksum.
    """

    path: Path | str
    name: str
    num_bytes: int
    blake3: str
    tree: Path | None = None
    fault: Fault | None = None

    @classmethod
    def at(
        cls, path: Path | str, base: Path, tree: Path | None = None, fault: Fault | None = None
    ) -> "SourceFile":
        """Describe the file at ``path``, which is read once for its checksum.

        A name that is not UTF-8 is a fault, and recorded with ``\\xff`` for such bytes.
        """
        if isinstance(path, str):
            return cls(path, path, address_size(path), address_checksum(path))
        name = (path.relative_to(base) if path.is_relative_to(base) else path).as_posix()
        if not is_utf8(name):
            name, fault = os.fsencode(name).decode(errors="backslashreplace"), NAMELESS
        if fault is not None:
            return cls(path, name, 0, "", tree, fault)
        return cls(path, name, path.stat().st_size, checksum(path), tree)

    def record(self) -> dict[str, object]:
        """The file as a manifest's ``created_from`` lists it."""
        return {"path": self.name, "bytes": self.num_bytes, "blake3": self.blake3}

    @property
    def suffixes(self) -> tuple[str, str]:
        """The last suffix before one of packing, and that one: ``(".jsonl", ".gz")``."""
        found = [s.lower() for s in PurePosixPath(self.name).suffixes]
        packing = found.pop() if found and found[-1] in COMPRESSIONS else ""
        return (found[-1] if found else ""), packing


def is_utf8(name: str) -> bool:
    """Whether a file's name, as Python decodes it, can be written down."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def in_order(files: Iterable[SourceFile]) -> list[SourceFile]:
    """The files ordered by a hash of their names: spread out, and the same on every machine."""
    return sorted(files, key=lambda file: blake3(file.name.encode()).digest())


def file_groups(files: Iterable[SourceFile], max_bytes: int | None) -> list[list[SourceFile]]:
    """The files in their order, in groups of at most ``max_bytes``; None for one group.

    A larger file is a group of its own, and so is a checkout whatever its size: its licences and
    dates are looked up once. Only names and sizes decide.
    """
    ordered = in_order(files)
    if max_bytes is None:
        return [ordered] if ordered else []
    groups: list[list[SourceFile]] = []
    room = 0
    trees: dict[Path, list[SourceFile]] = {}
    for file in ordered:
        if file.tree is not None:
            trees.setdefault(file.tree, []).append(file)
        elif groups and file.num_bytes <= room:
            groups[-1].append(file)
            room -= file.num_bytes
        else:
            groups.append([file])
            room = max_bytes - file.num_bytes
    return groups + list(trees.values())


def match_files(patterns: Sequence[str], base: Path, source: str) -> dict[Path | str, Fault | None]:
    """The non-empty files that the globs match, sorted, each once; addresses after paths.

    Links that lead out of the folder before the first wildcard have a fault, unless they are named
    without one. Empty files are skipped when a wildcard found them (packages are full of empty
    ``__init__.py``). Raises InputError for a pattern without a match or with empty files only, for
    a folder, and for ``..`` after a wildcard.
    """
    paths: dict[Path, Fault | None] = {}
    addresses: set[str] = set()
    for pattern in patterns:
        where = f"sources.{source}.files: {pattern!r}"
        if is_address(pattern) and not pattern.startswith("file://"):
            sizes = matching_addresses(pattern, where)
            _refuse_none(where, list(sizes), [a for a, size in sizes.items() if size], "")
            addresses.update(address for address, size in sizes.items() if size)
            continue
        matches = match_paths(pattern, base, where)
        files = [path for path in matches if path.is_file()]
        if matches and not files:
            raise InputError(f"{where} is a folder; name its files, for example {pattern}/**/*.txt")
        filled = [path for path in files if path.stat().st_size > 0]
        _refuse_none(where, files, filled, f" under {base}")
        folder = _folder_of(pattern, base)
        for path in filled:
            fault = None if folder is None or _leads_into(folder, path) else OUTSIDE
            paths[path] = paths.get(path, fault) and fault
    return {**_each_once(paths), **dict.fromkeys(sorted(addresses))}


def _leads_into(folder: Path, path: Path) -> bool:
    """Whether a file stands in the folder; or in the ``blobs`` that Hugging Face's cache keeps
    beside its ``snapshots``, which consist of links alone."""
    above = [folder, *folder.parents]
    own = [place.parent / "blobs" for place in above if place.name == "snapshots"]
    target = path.resolve()
    return any(target.is_relative_to(place.resolve()) for place in [folder, *own])


def _each_once(paths: Mapping[Path, Fault | None]) -> dict[Path, Fault | None]:
    """Sorted; of two spellings of one place, a/b and c/../a/b, the one that does not climb."""
    spellings: dict[Path, list[Path]] = {}
    for path in sorted(paths, key=lambda path: (".." in path.parts, path)):
        spellings.setdefault(path.parent.resolve() / path.name, []).append(path)
    faults = {same[0]: [paths[path] for path in same] for same in spellings.values()}
    return {path: None if None in faults[path] else faults[path][0] for path in sorted(faults)}


def _refuse_none(where: str, files: Sequence[object], filled: Sequence[object], at: str) -> None:
    if not files:
        raise InputError(f"{where} matches no file{at}; check the path")
    if not filled:
        raise InputError(f"{where} matches only empty files; remove it or fill them")


def match_paths(pattern: str, base: Path, where: str) -> list[Path]:
    """What a glob matches here, files and folders; a name with brackets also as it is.

    Raises InputError for ``..`` after a wildcard: what it matches would decide where it leads.
    """
    path = _path_of(pattern, base)
    parts, wild = path.parts, _first_wildcard(path)
    if wild is None or path.exists():
        return [path] if path.exists() else []
    if ".." in parts[wild:]:
        raise InputError(f"{where} climbs with '..' after a wildcard; name the folder itself")
    return list(Path(*parts[:wild]).glob("/".join(parts[wild:])))


def _path_of(pattern: str, base: Path) -> Path:
    if pattern.startswith("file://"):
        pattern = unquote(urlsplit(pattern).path)
    return base / Path(pattern).expanduser()


def _first_wildcard(path: Path) -> int | None:
    """The first part of a path that has one."""
    return next((i for i, part in enumerate(path.parts) if set(part) & set("*?[")), None)


def _folder_of(pattern: str, base: Path) -> Path | None:
    """The folder before the first wildcard; None for the name of a file, with brackets or not."""
    path = _path_of(pattern, base)
    wild = _first_wildcard(path)
    return None if wild is None or path.exists() else Path(*path.parts[:wild])


def inside(root: Path, name: str) -> Path:
    """The path of ``name`` below ``root``. Raises InputError for a name that leads out of it."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise InputError(f"{name!r} leads out of {root}; the record that names it is not to trust")
    return root / name
