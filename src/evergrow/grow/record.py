"""growth.json: how a model came to be larger, what was verified, and what comes next."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from evergrow.config import decode
from evergrow.disk import checksum
from evergrow.errors import InputError
from evergrow.grow.config import GrowConfig
from evergrow.grow.cost import Cost, ratios
from evergrow.grow.expand import provenance
from evergrow.grow.plan import GrowthPlan
from evergrow.grow.stored import Stored

FORMAT = 1
FILE = "growth.json"
NO_OPTIMIZER = "a model folder holds no optimiser state; grow: in a recipe carries a run's"
RULE = (
    "Go on at the rate at which the source stopped, without a warmup: warming up again right after "
    "growth lost 0.16 nats first (0.03 at a third of the rate). New parameters alone are warmed up "
    "from 0 to rho times that rate on a clock of their own."
)


def growth_record(
    source: Stored,
    folder: Path,
    grow: GrowConfig,
    plan: GrowthPlan,
    before: Cost,
    after: Cost,
    names: Sequence[str],
    checked: Mapping[str, Any],
    optimizer: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What growth.json holds of a model grown into ``folder``; the same growth, the same bytes.

    ``names`` are the grown tensors; ``optimizer`` is moment -> what happened to it, None when
    there was no optimiser. Paths are relative to ``folder``.
    """
    return {
        "format": FORMAT,
        "evergrow": version("evergrow"),
        "source": {
            "path": Path(os.path.relpath(source.folder.absolute(), folder.absolute())).as_posix(),
            "blake3": _hashes(source),
        },
        "grow": grow.model_dump(mode="json"),
        **plan_record(plan, before, after),
        "tensors": {name: provenance(plan, name) for name in names},
        "optimizer": dict(optimizer) if optimizer is not None else NO_OPTIMIZER,
        "learning_rate": next_rate(source.folder, grow),
        "verification": dict(checked),
    }


def plan_record(plan: GrowthPlan, before: Cost, after: Cost) -> dict[str, Any]:
    """What is known before any weight is read: verdicts, changed fields, cost."""
    return {
        "family": plan.family.name,
        "exactness": plan.exactness,
        "axes": [asdict(verdict) for verdict in plan.verdicts],
        "config": {field: list(pair) for field, pair in plan.changed.items()},
        "cost": cost_record(before, after),
    }


def cost_record(before: Cost, after: Cost) -> dict[str, Any]:
    """Both costs and their ratios."""
    both = {"source": before.record(), "grown": after.record()}
    return {**both, "ratios": ratios(before, after)}


def _hashes(source: Stored) -> dict[str, str]:
    files = {slot.file for slot in source.slots.values()} | {source.folder / "config.json"}
    return {file.name: checksum(file) for file in sorted(files)}


def next_rate(folder: Path, grow: GrowConfig) -> dict[str, Any]:
    """The rate to go on with and why; None where the source does not say at which it stopped."""
    segments = _json_or_empty(folder / "evergrow.json").get("schedule") or []
    last = segments[-1] if segments else {}
    rate = last.get("from_lr" if last.get("shape") == "constant" else "to_lr")
    return {
        "next": rate,
        "new_parameters": None if rate is None else grow.rho * rate,
        "rho": grow.rho,
        "warm_steps": grow.warm_steps,
        "rule": RULE
        + ("" if rate is not None else " The source records no rate: a third of its peak is safe."),
    }


def _json_or_empty(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def lineage_record(source: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """evergrow.json of the grown folder: the source's, and where it now comes from."""
    return {
        **_json_or_empty(source / "evergrow.json"),
        "format": FORMAT,
        "evergrow": record["evergrow"],
        "parent": record["source"]["path"],
        "grown": {axis["axis"]: [axis["before"], axis["after"]] for axis in record["axes"]},
    }


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Into a folder that is being written; keys sorted. Raises ValueError for NaN or infinity."""
    text = json.dumps(record, indent=1, sort_keys=True, allow_nan=False) + "\n"
    (folder / FILE).write_text(text, encoding="utf-8")


def read_record(folder: Path) -> dict[str, Any] | None:
    """growth.json, None without one; raises InputError for a damaged one or a newer format."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        number = record["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a record of a growth ({error}); grow again") from error
    if number > FORMAT:
        raise InputError(
            f"{path}: format {number} is newer than this evergrow's {FORMAT}; update evergrow"
        )
    return record


def grow_config(record: Mapping[str, Any]) -> GrowConfig:
    """The settings that a record's growth was made with."""
    return decode(GrowConfig, record["grow"], f"{FILE}: grow")


def changed_files(source: Stored, record: Mapping[str, Any]) -> list[str]:
    """Names of source files that are not those the model was grown from."""
    known, found = record["source"]["blake3"], _hashes(source)
    return sorted(n for n in known.keys() | found.keys() if known.get(n) != found.get(n))


def card_with_growth(source: Path, record: Mapping[str, Any]) -> str:
    """The source's model card with a section on this growth; a short one where there is none."""
    card = source / "README.md"
    head = card.read_text(encoding="utf-8").rstrip() if card.is_file() else "# Grown model"
    cost, checked = record["cost"], record["verification"]
    rows = [
        f"| {a['axis']} | {a['before']:,} | {a['after']:,} | {a['operator']} | {a['exactness']} |"
        for a in record["axes"]
    ]
    parts = [
        "## Grown",
        f"Grown by evergrow {record['evergrow']} from {cost['source']['num_parameters']:,} to "
        f"{cost['grown']['num_parameters']:,} parameters, and not trained since. On random input "
        f"its outputs differ from the source's by at most "
        f"{checked['difference']['maximum']:.2g} in float32, where the source's own rounding is "
        f"{checked['noise']['float32']['maximum']:.2g}. `{FILE}` holds every tensor's origin.",
        "\n".join(["| axis | from | to | operator | function |", "| --- " * 5 + "|", *rows]),
    ]
    return head + "\n\n" + "\n\n".join(parts) + "\n"
