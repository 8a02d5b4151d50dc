"""A node of the lineage: what one release is, where it comes from, what it was fed and scores."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, JsonValue

from evergrow.config import Config, decode
from evergrow.errors import InputError

FORMAT = 2
FILE = "evergrow.json"
NodeKind = Literal["stage", "anneal", "branch", "growth", "soup", "adaptation"]


class Measured(Config):
    """The loss on the held-out part of a source, with its 95 % interval from low to high.

    ``floor`` is the loss of the best constant; ``counts`` says over how much it is. ``part`` is
    what the data's own split calls that part (test, val), where it has one.
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


class Node(Config):
    """What ``evergrow.json`` says of a release.

    ``key`` stands for its content, ``parents`` for what it was made of. ``fed`` counts what every
    source gave on the way to it, in the unit ``counted``. ``details`` is what its maker adds:
    schedule, stages, corpora, growth.
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

    def to_data(self) -> dict[str, Any]:
        """Plain data, as evergrow.json holds it."""
        return self.model_dump(mode="json")


def read_node(folder: Path) -> Node | None:
    """The node of a model folder; None for a folder that evergrow did not make, or long ago.

    Raises InputError for a damaged file.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: damaged ({error}); copy the folder again") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT or "kind" not in data:
        return None
    return decode(Node, data, str(path))
