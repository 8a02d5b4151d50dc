"""A node of the lineage: what one release is, where it comes from, what it was fed and scores."""

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, JsonValue

from evergrow.config import Config, decode
from evergrow.disk import checksum, checksum_once, read_object, sealed
from evergrow.errors import InputError

FORMAT = 2
FILE = "evergrow.json"
# Of a model folder's files those that a program reads; what is for people may be edited.
READ = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt")
FOR_PEOPLE = ("LICENSE*", "NOTICE*")
NodeKind = Literal["stage", "anneal", "branch", "growth", "soup", "adaptation"]


class Share(Config):
    """A share, or an area of at most 1, with its 95 % interval."""

    value: float
    low: float
    high: float


class ByLabel(Config):
    """One label of what is held out: of how many pictures it is known, and how many show it.

    ``auroc`` is against all others of which it is known, whose chance is .5; ``loss`` and ``floor``
    are those of a finding by itself.
    """

    label: str
    known: int
    present: int
    auroc: Share | None = None
    loss: float | None = None
    floor: float | None = None

    @property
    def prevalence(self) -> float:
        """The share that shows it; what precision a guess would have."""
        return self.present / self.known if self.known else 0.0


class Told(Config):
    """What a model tells of held-out pictures, label by label.

    ``auroc`` is the mean over the labels that have one. Where a picture has one label: what is
    (rows) against what is told (columns), in the order of ``labels``; the bounds of the accuracy,
    and what telling the most frequent training label would give.
    """

    labels: list[ByLabel]
    auroc: Share | None = None
    confusion: list[list[int]] = []
    accuracy_bounds: tuple[float, float] | None = None
    balanced_accuracy: Share | None = None
    majority: float | None = None


class Measured(Config):
    """The loss on the held-out part of a source, with its 95 % interval from low to high.

    ``floor`` is the loss of the best constant; ``counts`` says over how much it is. ``part`` is
    what the data's own split calls that part (test, val), where it has one; ``told`` is there for
    what tells labels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)

    source: str
    unit: str
    part: str | None = None
    loss: float
    low: float
    high: float
    accuracy: float | None = None
    floor: float | None = None
    counts: dict[str, int] = {}
    told: Told | None = None

    @property
    def is_learnt(self) -> bool:
        """Whether it is better than the best constant, as far as there is one.

        A classifier that is surer than it may be loses to a constant in log loss though it tells
        classes apart: its ranking counts too.
        """
        auroc = self.told and self.told.auroc
        separates = auroc is not None and auroc.low > 0.5
        return self.floor is None or self.loss < self.floor or separates

    @property
    def majority(self) -> float | None:
        """The accuracy of telling the most frequent training label."""
        return self.told and self.told.majority

    @property
    def auroc(self) -> float | None:
        """The mean area under the curve over labels."""
        return self.told.auroc.value if self.told and self.told.auroc else None


AVERAGE = "average"  # what the average of several models is called among them


class Candidate(Config):
    """A model that stood for choice as a release: what it is called, its key, and its loss, the
    mean over the held-out streams it was trained on."""

    name: str
    key: str
    loss: float


class Soup(Config):
    """What became of several models that were averaged: each of them and their average, in the
    unit of their losses, the shares of each in what was ``chosen``, and what it was chosen on."""

    chosen: str
    shares: dict[str, float]
    candidates: list[Candidate]
    measured_on: list[str]
    unit: str


class Node(Config):
    """What ``evergrow.json`` says of a release.

    ``key`` stands for its content, ``parents`` for what it was made of. ``fed`` counts what every
    source gave on the way to it, in the unit ``counted``. ``details`` is what its maker adds:
    schedule, stages, corpora, growth. ``files`` are the hashes of what stands beside it.
    """

    format: int = FORMAT
    key: str
    kind: NodeKind
    name: str
    parents: list[str]
    of: str = ""  # the Run it belongs to, such as "quickstart, infinite, seed 0"
    evergrow: str = ""
    commit: str | None = None
    counted: str = "tokens"
    fed: dict[str, int] = {}
    scores: list[Measured] = []
    details: dict[str, JsonValue] = {}
    files: dict[str, str] = {}

    def to_data(self) -> dict[str, JsonValue]:
        """Plain data, as evergrow.json holds it."""
        return self.model_dump(mode="json")


def write_node(folder: Path, record: Mapping[str, JsonValue]) -> None:
    """Write a node's data to a folder that is whole but for it, with the hashes of its files.

    Raises ValueError for NaN or infinity.
    """
    files = {file.name: checksum(file) for file in sorted(folder.iterdir()) if _is_read(file.name)}
    data = sealed({**record, "files": files})
    text = json.dumps(data, indent=2, sort_keys=True, allow_nan=False) + "\n"
    (folder / FILE).write_text(text, encoding="utf-8")


def _is_read(name: str) -> bool:
    """Whether a file of this name beside the node has a say in what the model computes."""
    told = name == FILE or any(fnmatch(name, pattern) for pattern in FOR_PEOPLE)
    return not told and any(fnmatch(name, pattern) for pattern in READ)


def read_node(folder: Path) -> Node | None:
    """The node of a model folder; None for a folder that evergrow did not make, or long ago.

    Raises InputError for a damaged file.
    """
    path = folder / FILE
    if not path.exists():
        return None
    data = read_object(path, "copy the folder again", InputError)
    if data.get("format") != FORMAT or "kind" not in data:
        return None
    return decode(Node, data, str(path))


def refuse_changed(folder: Path) -> None:
    """Raise InputError for a file of a model folder that is not the one its node recorded.

    A folder without a node may hold anything.
    """
    node = read_node(folder)
    for name, digest in node.files.items() if node else ():
        path = folder / name
        if not path.exists():
            raise InputError(f"{path}: missing, and {FILE} names it; {_way_out(folder)}")
        if checksum_once(path) != digest:
            raise InputError(
                f"{path}: damaged or changed (its bytes are not those that {FILE} names); "
                f"{_way_out(folder)}"
            )


def _way_out(folder: Path) -> str:
    run = folder.parent.parent
    is_of_run = folder.parent.name == "releases" and (run / "manifest.json").exists()
    again = (
        f"delete {folder} and run the recipe again, which makes its last stage's release anew"
        if is_of_run
        else "copy the folder again"
    )
    return f"{again}, or, if this is on purpose, delete {FILE} in a copy of the folder"


# What a classifier tells, as its scores record it, and in words; what no model needs comes last.
SHARES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "auroc": "AUROC",
    "majority": "the commonest class alone",
}


def numbers_beside(line: Measured) -> dict[str, float]:
    """What was measured with a loss, by name (accuracy, floor); of a share its value."""
    return dict(_numbers(line.model_dump(exclude={"loss", "low", "high"})))


def _numbers(data: Mapping[str, JsonValue]) -> Iterator[tuple[str, float]]:
    for name, value in data.items():
        if isinstance(value, float):
            yield name, value
        elif isinstance(value, dict):
            share = value.get("value")
            yield from [(name, share)] if isinstance(share, float) else _numbers(value)
