"""Prepared data: where it lies, what it was made of, and whether it is still what is asked for."""

import re
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue, ValidationError

from evergrow.config import Record, damage
from evergrow.corpus.records import Facts, FileRecord
from evergrow.errors import EvergrowError, InputError
from evergrow.made import Made, Settings, changes
from evergrow.stream.proof import WAY_OUT, read_data_manifest

SCRATCH = ".documents"
WAYS_OUT = "give the recipe a new name, or start over with --fresh"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """What training reads: the tokenizer's folder, and each source's data folder and manifest."""

    tokenizer: Path | None  # None where there are pictures
    data: dict[str, Path]
    manifests: dict[str, dict[str, Any]]

    @property
    def digest(self) -> str:
        """The tokenizer's hash; of pictures a word that stands for none."""
        return next(iter(self.manifests.values()))["tokenizer"]


@dataclass(frozen=True)
class Asked:
    """What is asked of a folder of prepared data.

    ``read`` names the sources that a stage has begun to read: their data never changes any more.
    Of ``only_measured`` ones everything is held out. Relative paths start at ``base``.
    """

    folder: Path
    base: Path
    say: Say
    only_measured: Collection[str] = ()
    read: Collection[str] = ()

    @property
    def data(self) -> Path:
        return self.folder / "data"


def finished_folder(data: Path, name: str) -> Path | None:
    """The data folder of a source, complete because it appears by one rename."""
    found = [p for p in data.glob(f"{name}-*") if re.fullmatch(name + "-[0-9a-f]{12}", p.name)]
    if len(found) > 1:
        raise EvergrowError(
            f"{data}: {len(found)} folders of source {name}; keep the one the run was trained on"
        )
    return found[0] if found else None


def remove_left_overs(data: Path) -> None:
    """Make the folder of all data folders; what killed runs left in it is removed."""
    data.mkdir(parents=True, exist_ok=True)
    for left in [*data.glob(".*.writing-*"), *data.glob(SCRATCH)]:
        shutil.rmtree(left)


class CreatedFrom(Record):
    """The raw files, or the corpus, that data was made of."""

    files: list[FileRecord]
    corpus: Facts | None = None

    def to_data(self) -> dict[str, JsonValue]:
        """As a data folder's manifest says it."""
        return self.model_dump(exclude_none=True)


class Origin(Record):
    """What every data folder's manifest says of how it was made."""

    made: Made
    created_from: CreatedFrom


def made_of(
    version: int,
    settings: Settings,
    files: Sequence[FileRecord],
    after: Sequence[str],
    tokenizer: str,
) -> Made:
    """What decides a data folder's bytes: settings, files in their order, data made before it."""
    inputs = {f"file {file.path}": file.blake3 for file in files}
    inputs |= {f"data before it, {i + 1}": key for i, key in enumerate(after)}
    return Made(version=version, settings=settings, inputs=inputs | {"tokenizer": tokenizer})


def stands(
    asked: Asked,
    name: str,
    folder: Path | None,
    version: int,
    settings: Settings,
    files: Callable[[list[FileRecord]], list[str] | None],
) -> bool:
    """Whether finished data is taken as it is; where it is to be made again, it is deleted here.

    ``files`` says in words how the raw files differ from those recorded, None when they are gone.
    Data that a stage has read stands whatever became of its files, which is said; asked for with
    other settings it is refused with InputError.
    """
    if folder is None:
        return False
    origin = _origin(folder)
    before = origin.made
    others = changes(before, before.model_copy(update={"settings": settings, "version": version}))
    is_read = name in asked.read
    if others and is_read:
        raise InputError(
            f"sources.{name}: {others[0]}, but a stage has read its finished data; {WAYS_OUT}"
        )
    moved = files(origin.created_from.files)
    if moved is None and not others:
        asked.say(f"{name}: its files are gone; its finished data is used")
        return True
    if not others and not moved:
        return True
    if is_read:
        more = f" and {len(moved) - 1} more" if moved and len(moved) > 1 else ""
        asked.say(
            f"{name}: {(moved or [''])[0]}{more} since its data was made; what was read stays as "
            "it is, what is new can be a stage of its own (evergrow continue RUN --new)"
        )
        return True
    shutil.rmtree(folder)
    return False


def _origin(folder: Path) -> Origin:
    found = read_data_manifest(folder)
    try:
        return Origin.model_validate(found)
    except ValidationError as error:
        raise EvergrowError(f"{folder / 'manifest.json'}: {damage(error)}; {WAY_OUT}") from error
