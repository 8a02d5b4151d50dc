"""Globs to paths and addresses, and what of them a wildcard leaves out."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from glob import escape
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from evergrow.corpus.addresses import (
    Remote,
    hub_files,
    is_address,
    is_hub_id,
    is_wild,
    matching_addresses,
)
from evergrow.corpus.files import Fault
from evergrow.errors import EvergrowError, InputError

HIDDEN = "hidden files, or files in hidden folders"
HUB_OTHERS = "files of data sets on the hub that are not their training data"
OUTSIDE = Fault(
    "links that a wildcard finds and that lead out of its folder",
    "name the file they lead to, or put it into the folder",
)


class Matches(NamedTuple):
    """The files that globs match, with their faults or what is told of them; and those they match
    and leave out, counted by kind."""

    files: dict[Path | str, Fault | Remote | None]
    skipped: Counter[str]


def match_files(patterns: Sequence[str], base: Path, source: str) -> Matches:
    """The non-empty files that the globs match, sorted, each once; addresses after paths.

    Links that lead out of the folder before the first wildcard have a fault, unless they are named
    without one. What a wildcard finds is left out where it or a folder above it is hidden, unless
    the pattern spells the dot. Empty files are skipped when a wildcard found them (packages are
    full of empty ``__init__.py``). Raises InputError for a pattern without a match or with empty
    files only, and for ``..`` after a wildcard. A folder stands for every file below it.
    """
    _resolved.cache_clear()
    paths: dict[Path, Fault | None] = {}
    remotes: dict[str, Remote] = {}
    hidden: set[Path | str] = set()
    left_out: Counter[str] = Counter()
    for pattern in patterns:
        where = f"sources.{source}.files: {pattern!r}"
        if is_address(pattern) and not pattern.startswith("file://"):
            remotes |= _matching_remotes(pattern, where, hidden)
        elif _names_hub(pattern, base):
            files, num_others = _hub_remotes(pattern, base, where)
            remotes |= files
            left_out[HUB_OTHERS] += num_others
        else:
            for path, fault in _matching_paths(pattern, base, where, hidden).items():
                paths[path] = paths.get(path, fault) and fault
    left_out[HIDDEN] = len(hidden - paths.keys() - remotes.keys())
    return Matches({**_each_once(paths), **dict(sorted(remotes.items()))}, +left_out)


def _matching_paths(
    pattern: str, base: Path, where: str, hidden: set[Path | str]
) -> dict[Path, Fault | None]:
    """The files here that one glob matches; those it leaves out go to ``hidden``."""
    matches = match_paths(pattern, base, where)
    folder = _folder_of(pattern, base)
    if len(matches) == 1 and matches[0].is_dir():
        folder = matches[0]
        pattern = f"{escape(pattern.rstrip('/'))}/**/*"
        matches = match_paths(pattern, base, where)
    files = [path for path in matches if path.is_file()]
    filled = [path for path in files if path.stat().st_size > 0]
    _refuse_none(where, files, filled, f" under {base}")
    if folder is None:
        return dict.fromkeys(filled)
    asked = _path_of(pattern, base).parts
    mine = {path for path in filled if _is_hidden(path.relative_to(folder).parts, asked)}
    hidden |= mine
    seen = [path for path in filled if path not in mine]
    _refuse_hidden(where, seen)
    allowed = _allowed(folder)
    return {path: None if _leads_into(allowed, path) else OUTSIDE for path in seen}


def _matching_remotes(pattern: str, where: str, hidden: set[Path | str]) -> dict[str, Remote]:
    """The files that one glob of addresses matches, in the same way."""
    found = matching_addresses(pattern, where)
    filled = {address: remote for address, remote in found.items() if remote.num_bytes != 0}
    _refuse_none(where, list(found), list(filled), "")
    asked = pattern.split("/")
    mine = {a for a in filled if is_wild(pattern) and _is_hidden(a.split("/"), asked)}
    hidden |= mine
    seen = {address: remote for address, remote in filled.items() if address not in mine}
    _refuse_hidden(where, list(seen))
    return seen


def _is_hidden(parts: Sequence[str], asked: Sequence[str]) -> bool:
    """Whether a part of a path begins with a dot that no part of the pattern spells."""
    spelt = [part for part in asked if part.startswith(".")]
    dotted = [part for part in parts if part.startswith(".")]
    return any(not any(fnmatchcase(part, one) for one in spelt) for part in dotted)


def _refuse_hidden(where: str, seen: Sequence[object]) -> None:
    if not seen:
        raise InputError(f"{where} matches only {HIDDEN}; write their dotted names into it")


def _names_hub(pattern: str, base: Path) -> bool:
    """Whether a pattern without a match here is the id of a data set on the hub."""
    owner, _, name = pattern.partition("/")
    has_suffix = PurePosixPath(name).suffix[1:2].isalpha()
    return is_hub_id(pattern) and not has_suffix and not (base / owner).exists()


def _hub_remotes(name: str, base: Path, where: str) -> tuple[dict[str, Remote], int]:
    try:
        return hub_files(name, where)
    except InputError:
        raise
    except EvergrowError as error:
        raise EvergrowError(
            f"{where} matches no file under {base}, and as a data set of the hub {error}"
        ) from error


def _allowed(folder: Path) -> list[Path]:
    """Where files of a folder may lie: in it; or in the ``blobs`` that Hugging Face's cache keeps
    beside its ``snapshots``, which consist of links alone."""
    above = [folder, *folder.parents]
    own = [place.parent / "blobs" for place in above if place.name == "snapshots"]
    return [place.resolve() for place in [folder, *own]]


def _leads_into(allowed: Sequence[Path], path: Path) -> bool:
    """Whether a file stands in one of the folders."""
    target = path.resolve() if path.is_symlink() else _resolved(path.parent)
    return any(target.is_relative_to(place) for place in allowed)


@lru_cache(maxsize=1024)
def _resolved(folder: Path) -> Path:
    """Of a folder of many files, looked up once while they are matched."""
    return folder.resolve()


def _each_once(paths: Mapping[Path, Fault | None]) -> dict[Path, Fault | None]:
    """Sorted; of two spellings of one place, a/b and c/../a/b, the one that does not climb."""
    spellings: dict[Path, list[Path]] = {}
    for path in sorted(paths, key=lambda path: (".." in path.parts, path)):
        spellings.setdefault(_resolved(path.parent) / path.name, []).append(path)
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
    return _without_climbing(base / Path(pattern).expanduser())


def _without_climbing(path: Path) -> Path:
    """The path without ``..``, which would be part of names, unless it climbs out of a link."""
    head = Path(*path.parts[: _first_wildcard(path)])
    plain = Path(os.path.normpath(head))
    if ".." not in head.parts or plain.resolve() != head.resolve():
        return path
    return plain / path.relative_to(head)


def _first_wildcard(path: Path) -> int | None:
    """The first part of a path that has one."""
    return next((i for i, part in enumerate(path.parts) if set(part) & set("*?[")), None)


def _folder_of(pattern: str, base: Path) -> Path | None:
    """The folder before the first wildcard; None for the name of a file, with brackets or not."""
    path = _path_of(pattern, base)
    wild = _first_wildcard(path)
    return None if wild is None or path.exists() else Path(*path.parts[:wild])
