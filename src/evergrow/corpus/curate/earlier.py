"""Finished corpora: their manifests, and those a new corpus is compared with."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evergrow.corpus.curate.config import NearConfig
from evergrow.corpus.curate.units import StoredFile
from evergrow.corpus.duplicates.signatures import NAME as MINHASH
from evergrow.corpus.duplicates.signatures import minhash
from evergrow.corpus.signals.group import SignalGroup
from evergrow.errors import InputError

FORMAT = 2
MANIFEST = "corpus.json"
MADE = "corpora/made.json"  # the names of the corpora that a recipe has, as it was last made
_FIELDS = {"name", "key", "parents", "settings", "sources", "signals", "suites", "waterfall"}
_FIELDS |= {"index", "card", "read", "documents", "shards"}


@dataclass(frozen=True)
class Parent:
    """An earlier corpus: its folder, its name, its key and the checksum of its index."""

    folder: Path
    name: str
    key: str
    index: str


def read_manifest(folder: Path) -> dict[str, Any]:
    """``corpus.json`` of a finished corpus; InputError for none, a bad, newer or older one."""
    path = folder / MANIFEST
    if not path.exists():
        raise InputError(f"{folder}: no finished corpus here {_instead(folder)}")
    return parse_manifest(path.read_bytes(), path)


def _instead(folder: Path) -> str:
    if (folder / "documents").is_dir():
        return "but an unfinished one; run its 'evergrow curate' again to finish it"
    return (
        f"({MANIFEST} is missing); make it with 'evergrow curate', or give the folder that holds it"
    )


def finished_corpora(root: Path) -> list[Path]:
    """The folders of the finished corpora of the recipe in ``root``, in its order.

    Those of its corpora that were renamed or removed since are not among them; where nothing says
    which it has, all are. Raises InputError when what says so is damaged.
    """
    path = root / MADE
    if not path.exists():
        return sorted(manifest.parent for manifest in root.glob(f"corpora/*/{MANIFEST}"))
    try:
        names = [str(name) for name in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: damaged ({error}); run its 'evergrow curate' again") from error
    folders = [path.parent / name for name in names]
    return [folder for folder in folders if (folder / MANIFEST).exists()]


def parse_manifest(text: bytes, path: Path) -> dict[str, Any]:
    """The manifest that stands at ``path``; InputError when it is damaged, newer or older."""
    again = "run its 'evergrow curate' again, which writes it anew"
    try:
        manifest = json.loads(text)
    except ValueError as error:
        raise InputError(f"{path}: damaged ({error}); {again}") from error
    number = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(number, int):
        raise InputError(f"{path}: damaged (it does not say its format); {again}")
    if number > FORMAT:
        raise InputError(
            f"{path}: format {number} is newer than this evergrow reads ({FORMAT}); "
            "upgrade evergrow"
        )
    if number < FORMAT:
        raise InputError(
            f"{path}: format {number} is older than this evergrow reads ({FORMAT}); {again}"
        )
    if missing := _FIELDS - manifest.keys():
        raise InputError(f"{path}: damaged ({', '.join(sorted(missing))} is missing); {again}")
    return manifest


def group_of(near: NearConfig) -> SignalGroup:
    """The signals that near duplicates are found by."""
    return minhash(near.permutations, near.bands, near.shingle)


def parent_at(folder: Path, near: NearConfig | None) -> Parent:
    """The finished corpus in ``folder``, its index read once for its checksum.

    Made with ``near: null`` it has no bands, and only exact repeats of it are found. Raises
    InputError when the index is not its own, or when its bands cannot be compared.
    """
    manifest = read_manifest(folder)
    index = StoredFile.of(manifest["index"])
    if not index.is_whole(folder):
        raise InputError(
            f"{folder / index.name}: not as it was when the corpus was finished; run its "
            "'evergrow curate' again first"
        )
    theirs = manifest["settings"]["near"]
    if near is not None and theirs is not None:
        for name in ("permutations", "bands", "shingle"):
            if theirs[name] != getattr(near, name):
                raise InputError(
                    f"{folder}: was made with {name} {theirs[name]}, so near duplicates of it "
                    f"cannot be found with {name} {getattr(near, name)}; give both the same, or "
                    "set near: null"
                )
        if manifest["signals"][MINHASH] != group_of(near).key:
            raise InputError(
                f"{folder}: its near duplicates were found by another version of evergrow; run its "
                "'evergrow curate' again first, or set near: null"
            )
    return Parent(folder, manifest["name"], manifest["key"], index.blake3)
