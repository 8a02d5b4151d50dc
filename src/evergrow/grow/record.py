"""growth.json: how a model came to be larger, what was verified, and what comes next."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from blake3 import blake3
from pydantic import BaseModel, JsonValue

from evergrow.config import decode
from evergrow.disk import checksum_once, read_object, sealed
from evergrow.errors import InputError
from evergrow.grow.checked import Checked
from evergrow.grow.config import GrowConfig
from evergrow.grow.cost import Cost, ratios
from evergrow.grow.expand import provenance
from evergrow.grow.plan import GrowthPlan
from evergrow.grow.respell import Spelling
from evergrow.grow.shrink import Pruning
from evergrow.grow.stored import Stored
from evergrow.lineage import Node, read_node
from evergrow.made import Made, chosen
from evergrow.models.load import model_key
from evergrow.run import refuse_newer

VERSION = 2  # raise by hand when the same growth of the same source gives other weights
FORMAT = 1
FILE = "growth.json"
NO_OPTIMIZER = "a model folder holds no optimiser state; grow: in a recipe carries a run's"
RULE = (
    "Go on at the rate at which the source stopped, without a warmup: warming up again right after "
    "growth lost 0.16 nats first (0.03 at a third of the rate). New parameters alone are warmed up "
    "from 0 to rho times that rate on a clock of their own. grow: in a recipe's stage does all of "
    "this; so does continue RUN --set grow.to.AXIS=SIZE, on the run's trunk."
)
PRUNED_RULE = (
    "What is lost is won back by training on: evergrow continue FOLDER --data TEXT --tokens N "
    "--peak-lr RATE."
)


def growth_record(
    source: Stored,
    folder: Path,
    grow: GrowConfig,
    plan: GrowthPlan,
    before: Cost,
    after: Cost,
    names: Sequence[str],
    checked: Checked,
    left: Mapping[str, str],
    hashes: Mapping[str, str],
) -> dict[str, Any]:
    """What growth.json holds of a model grown into ``folder``; the same growth, the same bytes.

    ``names`` are the grown tensors; ``left`` is file -> why it stayed behind; ``hashes`` those of
    the source's files. Paths are relative
    to ``folder``.
    """
    return {
        "format": FORMAT,
        "evergrow": version("evergrow"),
        "source": {
            "path": Path(os.path.relpath(source.folder.absolute(), folder.absolute())).as_posix(),
            "blake3": dict(hashes),
        },
        "grow": grow.model_dump(mode="json"),
        **plan_record(plan, before, after),
        "tensors": {name: provenance(plan, name).record() for name in names},
        "optimizer": NO_OPTIMIZER,
        "learning_rate": asdict(next_rate(source.folder, grow, plan.pruning is not None)),
        "verification": checked.record(),
        "left_behind": dict(left),
    }


def plan_record(plan: GrowthPlan, before: Cost, after: Cost) -> dict[str, Any]:
    """What is known before any weight is read: verdicts, changed fields, cost."""
    return {
        "family": plan.family.name,
        "exactness": plan.exactness,
        "axes": [asdict(verdict) for verdict in plan.verdicts],
        **({} if plan.pruning is None else {"pruning": plan.pruning.model_dump(mode="json")}),
        "config": {field: list(pair) for field, pair in plan.changed.items()},
        "unread": list(plan.unread),
        "cost": cost_record(before, after),
    }


def cost_record(before: Cost, after: Cost) -> dict[str, Mapping[str, float | None]]:
    """Both costs and their ratios."""
    both = {"source": before.record(), "grown": after.record()}
    return {**both, "ratios": ratios(before, after)}


def hashes_of(source: Stored) -> dict[str, str]:
    """blake3 of the files that a model is grown from, by name."""
    files = source.files | {source.folder / "config.json"}
    return {file.name: checksum_once(file) for file in sorted(files)}


@dataclass(frozen=True)
class Rate:
    """The rate to go on with and why; ``next`` is None where the source does not say any."""

    next: float | None
    new_parameters: float | None
    rho: float
    warm_steps: int
    rule: str


def next_rate(folder: Path, grow: GrowConfig, pruned: bool) -> Rate:
    """What the source's own record says of the rate at which it stopped."""
    node = read_node(folder)
    segments: Any = [] if node is None else node.details.get("schedule") or []
    last = segments[-1] if segments else {}
    rate = last.get("from_lr" if last.get("shape") == "constant" else "to_lr")
    unknown = (
        "" if rate is not None else " The source records no rate: a third of its peak is safe."
    )
    return Rate(
        next=rate,
        new_parameters=None if rate is None or pruned else grow.rho * rate,
        rho=grow.rho,
        warm_steps=grow.warm_steps,
        rule=(PRUNED_RULE if pruned else RULE) + unknown,
    )


# What a release says that stays true of the model grown from it: what it was fed and at which
# rates. Its scores, its step and its place in the run do not.
_INHERITED = ("schedule", "start", "stages", "corpora", "growth")


def grown_node(
    source: Path, grow: GrowConfig, record: Mapping[str, Any], spelling: Spelling | None
) -> Node:
    """What the grown folder is in the lineage: fed what its source was, scored nothing yet."""
    content = model_key(source)
    before = read_node(source)
    told = {} if before is None else before.details
    details = {name: told[name] for name in _INHERITED if name in told}
    details["grown"] = {axis["axis"]: [axis["before"], axis["after"]] for axis in record["axes"]}
    details["source"] = record["source"]["path"]
    inputs = {"source": content} | ({} if spelling is None else {"rows": spelling.digest})
    done = "grown"
    if (pruning := record.get("pruning")) is not None:
        done = "pruned"
        details["pruned"] = {"by": [axis["reason"] for axis in record["axes"]], **pruning}
        inputs["kept"] = blake3(json.dumps(pruning, sort_keys=True).encode()).hexdigest()
    settings = chosen(grow.model_copy(update={"tokenizer": None}))  # by content, not by its path
    made = Made(version=VERSION, settings=settings, inputs=inputs)
    return Node(
        key=made.key[:16],
        kind="growth",
        name=f"{source.name if before is None else before.name}, {done}",
        parents=[content[:16] if before is None else before.key],
        of="" if before is None else before.of,
        evergrow=str(record["evergrow"]),
        counted="tokens" if before is None else before.counted,
        fed={} if before is None else before.fed,
        details=details,
    )


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Into a folder that is being written; keys sorted. Raises ValueError for NaN or infinity."""
    text = json.dumps(sealed(record), indent=1, sort_keys=True, allow_nan=False) + "\n"
    (folder / FILE).write_text(text, encoding="utf-8")


class Grown(BaseModel):
    """What is read of a model's source."""

    path: str
    blake3: dict[str, str]


class Recorded(BaseModel):
    """What is read of growth.json to verify a pair again; the rest is for people."""

    format: int
    source: Grown
    grow: GrowConfig
    pruning: Pruning | None = None
    optimizer: JsonValue
    learning_rate: JsonValue


def read_record(folder: Path) -> Recorded | None:
    """growth.json, None without one; raises InputError for a damaged one or a newer format."""
    path = folder / FILE
    if not path.is_file():
        return None
    record = read_object(path, "grow again", InputError)
    refuse_newer(record.get("format"), FORMAT, path)
    return decode(Recorded, record, str(path))


def changed_files(source: Stored, record: Recorded) -> list[str]:
    """Names of source files that are not those the model was grown from."""
    known, found = record.source.blake3, hashes_of(source)
    return sorted(n for n in known.keys() | found.keys() if known.get(n) != found.get(n))
