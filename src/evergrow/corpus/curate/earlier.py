"""The finished corpora that a new one is compared with."""

from dataclasses import dataclass
from pathlib import Path

from evergrow.corpus.curate.config import NearConfig
from evergrow.corpus.curate.manifest import read_manifest
from evergrow.corpus.duplicates.signatures import NAME as MINHASH
from evergrow.corpus.duplicates.signatures import minhash
from evergrow.corpus.signals.group import SignalGroup
from evergrow.errors import InputError


@dataclass(frozen=True)
class Parent:
    """An earlier corpus: its folder, its name, its key and the checksum of its index."""

    folder: Path
    name: str
    key: str
    index: str


def group_of(near: NearConfig) -> SignalGroup:
    """The signals that near duplicates are found by."""
    return minhash(near.permutations, near.bands, near.shingle)


def parent_at(folder: Path, near: NearConfig | None) -> Parent:
    """The finished corpus in ``folder``, its index read once for its checksum.

    Made with ``near: null`` it has no bands, and only exact repeats of it are found. Raises
    InputError when the index is not its own, or when its bands cannot be compared.
    """
    manifest = read_manifest(folder)
    if not manifest.index.is_whole(folder):
        raise InputError(
            f"{folder / manifest.index.name}: not as it was when the corpus was finished; run its "
            "'evergrow curate' again first"
        )
    theirs = manifest.settings["near"]
    if near is not None and isinstance(theirs, dict):
        for name in ("permutations", "bands", "shingle"):
            if theirs[name] != getattr(near, name):
                raise InputError(
                    f"{folder}: was made with {name} {theirs[name]}, so near duplicates of it "
                    f"cannot be found with {name} {getattr(near, name)}; give both the same, or "
                    "set near: null"
                )
        if manifest.signals[MINHASH] != group_of(near).key:
            raise InputError(
                f"{folder}: its near duplicates were found by another version of evergrow; run its "
                "'evergrow curate' again first, or set near: null"
            )
    return Parent(folder, manifest.name, manifest.key, manifest.index.blake3)
