"""Scores on disk: ``scores/<release's key>/``, a file for each source and kind of score."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError

from evergrow.config import Config
from evergrow.disk import read_object, sealed, write_file
from evergrow.errors import EvergrowError
from evergrow.evals.suites.records import SuiteScore
from evergrow.lineage import Measured
from evergrow.objectives.lines import Probed, Shown
from evergrow.run import refuse_newer

FORMAT = 1
FOLDER = "scores"
Kind = Literal["loss", "shown", "probes", "suite"]


class Score(Config):
    """What was measured of a release on one source: of that data folder, in that way.

    Of a suite ``data`` is its digest.
    """

    format: int = FORMAT
    release: str
    kind: Kind
    data: str
    made: str
    losses: list[Measured] = []
    shown: list[Shown] = []
    probes: list[Probed] = []
    suites: list[SuiteScore] = []


def folder_of(root: Path, release: str) -> Path:
    """Where the scores of the release with this key stand, below a recipe's folder."""
    return root / FOLDER / release


def path_of(root: Path, release: str, kind: Kind, source: str, made: str) -> Path:
    """The file of one score; ``made`` is the key of how it is measured."""
    return folder_of(root, release) / f"{kind}-{source}-{made[:12]}.json"


def write_score(path: Path, score: Score) -> None:
    """Write a score; it is there whole or not at all."""
    text = score.model_dump_json(by_alias=True, exclude_defaults=True)
    data = sealed({"format": FORMAT, **json.loads(text)})
    write_file(path, json.dumps(data, indent=1, sort_keys=True) + "\n")


def copy_scores(root: Path, release: str, other: str) -> None:
    """What was measured of a release as that of another one with the same weights."""
    source, target = folder_of(root, release), folder_of(root, other)
    for path in sorted(source.glob("*")):
        if path.suffix == ".json":
            write_score(target / path.name, _read(path).model_copy(update={"release": other}))
        else:
            write_file(target / path.name, path.read_bytes())


def read_scores(root: Path, release: str, data: Iterable[str]) -> list[Score]:
    """The scores of a release on these data folders (by name), in the order of their files.

    Raises EvergrowError for a damaged file, which may be deleted: it is measured again; InputError
    for one of a newer format.
    """
    wanted = set(data)
    found = [_read(path) for path in sorted(folder_of(root, release).glob("*-*.json"))]
    return [score for score in found if score.data in wanted]


def read_kind(root: Path, release: str, kind: Kind) -> list[Score]:
    """All scores of one kind that a release has; raises as above."""
    return [_read(path) for path in sorted(folder_of(root, release).glob(f"{kind}-*.json"))]


def _read(path: Path) -> Score:
    way_out = "delete it and it is measured again"
    data = read_object(path, way_out)
    refuse_newer(data.get("format"), FORMAT, path)
    try:
        return Score.model_validate(data)
    except ValidationError as error:
        raise EvergrowError(f"{path}: damaged ({error.errors()[0]['msg']}); {way_out}") from error


Line = TypeVar("Line", Measured, Shown, Probed)


def losses(scores: Iterable[Score]) -> dict[str, Measured]:
    """The loss on each source."""
    return {line.source: line for score in scores for line in score.losses}
