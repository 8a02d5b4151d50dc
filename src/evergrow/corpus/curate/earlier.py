"""Finished corpora: their manifests, and those a new corpus is compared with."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evergrow.corpus.curate.config import NearConfig
from evergrow.errors import InputError

FORMAT = 1
MANIFEST = "corpus.json"


@dataclass(frozen=True)
class Parent:
    """An earlier corpus: its folder, its name, its key and the checksum of its index."""

    folder: Path
    name: str
    key: str
    index: str


def read_manifest(folder: Path) -> dict[str, Any]:
    """``corpus.json`` of a finished corpus; InputError when there is none, or a newer one."""
    path = folder / MANIFEST
    if not path.exists():
        raise InputError(
            f"{folder}: no finished corpus here ({MANIFEST} is missing); make it with "
            "'evergrow curate', or give the folder that holds it"
        )
    manifest = json.loads(path.read_text(encoding="utf-8"))
    if manifest["format"] > FORMAT:
        raise InputError(
            f"{path}: format {manifest['format']} is newer than this evergrow reads ({FORMAT}); "
            "upgrade evergrow"
        )
    return manifest


def parent_at(folder: Path, near: NearConfig | None) -> Parent:
    """The finished corpus in ``folder``. Raises InputError when its bands cannot be compared."""
    manifest = read_manifest(folder)
    theirs = manifest["settings"]["near"]
    if near is not None:
        for name in ("permutations", "bands", "shingle"):
            if theirs is None or theirs[name] != getattr(near, name):
                found = "no near duplicates" if theirs is None else f"{name} {theirs[name]}"
                raise InputError(
                    f"{folder}: was made with {found}, so near duplicates of it cannot be found "
                    f"with {name} {getattr(near, name)}; give both the same, or set near: null"
                )
    return Parent(folder, manifest["name"], manifest["key"], manifest["index"]["blake3"])
