"""Source trees: the files of a checkout with repository, licence and date of the last commit."""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.document import Document
from evergrow.corpus.files import Fault, SourceFile, described, is_utf8
from evergrow.corpus.formats.git import (
    Tracked,
    commit_dates,
    head_commit,
    is_checkout,
    repository_name,
    shallow_edge,
    tracked,
)
from evergrow.corpus.formats.licences import (
    MAX_LICENCE_BYTES,
    licence_files,
    nearest_licence_files,
    own_licence,
    recognised_licence,
)
from evergrow.corpus.formats.rows import checked_date
from evergrow.corpus.formats.text import read_text
from evergrow.corpus.globs import match_paths
from evergrow.corpus.hashes import Hashes
from evergrow.corpus.quarantine import Quarantine
from evergrow.errors import InputError

BINARY_HEAD_BYTES = 8000  # a zero byte in so many: what git itself calls binary
OUTSIDE = Fault("paths that lead out of the source tree", "put the file itself into the tree")
IN_CIRCLES = Fault("links that lead in circles", "remove the link")
FAULTS = {"outside": OUTSIDE, "circle": IN_CIRCLES}
SKIPPED = {
    "link": "symbolic links",
    "module": "other repositories inside a checkout",
    "vendored": "vendored files",
    "gone": "tracked files that are not there",
    "empty": "empty files",
    "nameless": "file names that are not UTF-8",
}


def tree_files(config: SourceConfig, base: Path, source: str, hashes: Hashes) -> list[SourceFile]:
    """The files of all trees that the globs match, by tree and name, with their checksums.

    Raises InputError for a glob without a folder, and for a folder without files.
    """
    found = []
    for tree in _match_trees(config.trees, base, source):
        files = described(
            {tree / name: None for name, kind in entries(tree) if kind == "file"},
            base,
            hashes,
            tree,
        )
        if not files:
            raise InputError(f"sources.{source}.trees: {tree} holds no file; check the path")
        found += files
    return found


def _match_trees(patterns: list[str], base: Path, source: str) -> list[Path]:
    trees: set[Path] = set()
    for pattern in patterns:
        where = f"sources.{source}.trees: {pattern!r}"
        if "://" in pattern:
            raise InputError(f"{where} is an address, but trees lie on this machine; clone it")
        folders = [path for path in match_paths(pattern, base, where) if path.is_dir()]
        if not folders:
            raise InputError(f"{where} matches no folder under {base}; check the path")
        trees.update(folders)
    return sorted(trees)


def entries(tree: Path) -> list[Tracked]:
    """What is in a tree, sorted, each with its kind: file, or a key of FAULTS or SKIPPED.

    Of a checkout what git tracks, of any other folder everything but dotted folders.
    """
    listed = tracked(tree) if is_checkout(tree) else _walked(tree)
    top = tree.resolve()
    return [Tracked(name, _kind(tree / name, kind, top)) for name, kind in listed]


def _walked(tree: Path) -> list[Tracked]:
    found = []
    for folder, below, names in os.walk(tree):
        below[:] = sorted(name for name in below if not name.startswith("."))
        found += [(Path(folder) / name).relative_to(tree).as_posix() for name in names]
        found += [
            (Path(folder) / n).relative_to(tree).as_posix()
            for n in below
            if (Path(folder) / n).is_symlink()
        ]
    return [Tracked(name, "file") for name in sorted(found)]


def _kind(path: Path, kind: str, top: Path) -> str:
    if kind in ("module", "vendored"):
        return kind
    if not is_utf8(path.as_posix()):
        return "nameless"
    if _leads_in_circles(path):
        return "circle"
    if not path.resolve().is_relative_to(top):
        return "outside"
    if path.is_symlink():
        return "link"
    if not path.is_file():
        return "gone"
    return "file" if path.stat().st_size else "empty"


def _leads_in_circles(path: Path) -> bool:
    try:
        path.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


@dataclass(frozen=True)
class Tree:
    """What is known of a whole tree: looked up once, for all its files."""

    root: Path
    repository: str
    dates: dict[str, str]
    licence_files: dict[str, list[str]]

    def licence(self, name: str) -> str | None:
        """The SPDX id of the nearest licence file, the paths of those that are unknown or many."""
        nearest = nearest_licence_files(name, self.licence_files)
        if len(nearest) != 1:
            return ", ".join(nearest) or None
        with (self.root / nearest[0]).open("rb") as file:
            text = file.read(MAX_LICENCE_BYTES).decode(errors="replace")
        return recognised_licence(text) or nearest[0]


def open_tree(tree: Path, recorded: str, quarantine: Quarantine) -> Tree:
    """Look up what is known of a tree; what is no document of it is counted in ``quarantine``.

    ``recorded`` is the tree's path as those of its files begin.
    """
    listed = entries(tree)
    for name, kind in listed:
        if kind in FAULTS:
            quarantine.add(f"{recorded}{name}", 0, *FAULTS[kind])
        elif kind != "file":
            quarantine.skipped[SKIPPED[kind]] += 1
    names = [name for name, kind in listed if kind == "file"]
    has_dates = is_checkout(tree) and head_commit(tree) is not None
    dates = commit_dates(tree, names) if has_dates else {}
    return Tree(tree, _name(tree), dates, licence_files(names))


def _name(tree: Path) -> str:
    return repository_name(tree) if is_checkout(tree) else tree.resolve().name


def tree_facts(tree: Path) -> dict[str, object]:
    """What decides a tree's documents beside the bytes of its files: history, name and entries."""
    listed = [[ascii(name), kind] for name, kind in entries(tree)]  # some names are not UTF-8
    history = [head_commit(tree), shallow_edge(tree)] if is_checkout(tree) else []
    return {"name": _name(tree), "history": history, "entries": listed}


def read_tree_file(
    file: SourceFile, tree: Tree, config: SourceConfig, quarantine: Quarantine
) -> Iterator[Document]:
    """The document of one file of a tree; binary files are skipped and counted, packed ones too:
    what is in them is not what git tracks."""
    assert isinstance(file.path, Path)
    with file.path.open("rb") as stream:
        head = stream.read(BINARY_HEAD_BYTES)
    if b"\0" in head or file.suffixes[1]:
        quarantine.skipped["binary files"] += 1
        return
    name = file.path.relative_to(tree.root).as_posix()
    committed = tree.dates.get(name)
    date, _ = checked_date(committed, file.name, 0, quarantine)
    license = own_licence(head) or tree.licence(name)
    for document in read_text(file, config, quarantine):
        yield replace(
            document,
            date=date,
            date_kind="commit" if date else None,
            license=license,
            repository=tree.repository,
        )
