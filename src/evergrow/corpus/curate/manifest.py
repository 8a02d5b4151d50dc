"""The manifests of finished corpora on disk, and which corpora a recipe has."""

import json
from pathlib import Path

from pydantic import ValidationError

from evergrow.config import damage
from evergrow.corpus.records import Manifest
from evergrow.disk import unsealed
from evergrow.errors import InputError

FORMAT = 2
MANIFEST = "corpus.json"
MADE = "corpora/made.json"  # the names of the corpora that a recipe has, as it was last made


def read_manifest(folder: Path) -> Manifest:
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


def parse_manifest(text: bytes, path: Path) -> Manifest:
    """The manifest that stands at ``path``; InputError when it is damaged, newer or older."""
    again = "run its 'evergrow curate' again, which writes it anew"
    try:
        data = json.loads(text)
    except ValueError as error:
        raise InputError(f"{path}: {damage(error)}; {again}") from error
    data = unsealed(path, data, again, InputError) if isinstance(data, dict) else {}
    number = data.get("format")
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
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{path}: {damage(error)}; {again}") from error
