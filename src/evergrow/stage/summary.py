"""summary.json: what every arm learnt and forgot, computed from the records of its Runs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import JsonValue, ValidationError

from evergrow.config import Config, damage
from evergrow.disk import read_object, sealed, write_file
from evergrow.errors import InputError
from evergrow.evals.loss_matrix import measure
from evergrow.lineage import Soup
from evergrow.recipe import load_recipe
from evergrow.run import FORMAT, Run, StageRecord
from evergrow.scores.store import losses, read_scores
from evergrow.stage.changes import (
    Change,
    Moment,
    change,
    mean_changes,
    moment,
    verdict,
)
from evergrow.stage.digest import read_digest
from evergrow.stage.flops import counts_of, stage_flops
from evergrow.stage.records import Evaluation, Timing, read_lines, refuse_changed_records
from evergrow.statistics import t_interval
from evergrow.stream.proof import read_data_manifest

FILE = "summary.json"
MEASURES = ("average", "forgetting", "backward_transfer", "forward_transfer", "transient_peak")
COUNTS = (
    "num_tokens",
    "num_tokens_total",
    "flops",
    "flops_total",
    "tokens_per_second",
    "spike_score",
)
Row = list[float | None]


class Life(Config):
    """What a model kept and lost on the way to one leaf of its stages; None: not defined yet.

    ``loss_matrix`` has a row for every finished stage on the way, a column for every stream.
    ``extra`` are the sources that no stage learns alone: before the first stage and after each;
    ``changes`` are what became of all of them. A stream is ``not_learnt`` when its own release is
    no better than a constant.
    """

    streams: list[str]
    loss_matrix: list[Row] = []
    before: Row = []
    average: float | None = None
    forgetting: float | None = None
    backward_transfer: float | None = None
    forward_transfer: float | None = None
    transient_peak: float | None = None
    extra: dict[str, Row] = {}
    changes: list[Change] = []
    not_learnt: list[str] = []


class ArmSummary(Life):
    """An arm's life to its last stage, other leaves beside it, and what it all cost.

    Means where there are several seeds, whose own numbers stand in ``seeds``.
    """

    others: dict[str, Life] = {}
    num_tokens: float | None = None
    num_tokens_total: float | None = None
    flops: float | None = None
    flops_total: float | None = None
    tokens_per_second: float | None = None
    spike_score: float | None = None
    releases: dict[str, str] = {}
    soups: dict[str, Soup] = {}
    intervals: dict[str, tuple[float, float]] = {}
    seeds: dict[str, "ArmSummary"] = {}

    def verdict(self, arrow: str = "->") -> str:
        """What was learnt and forgotten, as sentences; "" before the first release."""
        others = {leaf: life.changes for leaf, life in self.others.items()}
        return verdict(self.changes, others, arrow)


class Summary(Config):
    """What summary.json says of a whole recipe."""

    format: int = FORMAT
    name: str
    status: str
    streams: list[str]
    unit: str
    counted: str
    seeds: list[int]
    arms: dict[str, ArmSummary]
    data: dict[str, dict[str, JsonValue]]


def write_summary(root: Path, status: str) -> Summary:
    """Compute and write ``summary.json`` of the Runs below ``root``; returns its content."""
    recipe = load_recipe(root / "recipe.yaml")
    runs = runs_below(root, list(recipe.arms))
    arms: dict[str, ArmSummary] = {}
    for arm in dict.fromkeys(run.manifest.arm for run in runs):
        own = [run for run in runs if run.manifest.arm == arm]
        by_seed = {str(run.manifest.seed): summarise_run(run, root) for run in own}
        arms[arm] = next(iter(by_seed.values())) if len(own) == 1 else _over_seeds(by_seed)
    longest = max((run.manifest.stages for run in runs), key=len)
    summary = Summary(
        name=recipe.name,
        status=status,
        streams=[stage.name for stage in _way(longest, len(longest) - 1)],
        unit=longest[-1].unit,
        counted=longest[-1].counted,
        seeds=recipe.seeds,
        arms=arms,
        data=_data_facts(root),
    )
    text = json.dumps(sealed(summary.model_dump(mode="json")), indent=1)
    write_file(root / FILE, text + "\n")
    return summary


def read_summary(root: Path) -> Summary:
    """``summary.json`` of a recipe's folder; raises InputError for a damaged one."""
    way_out = "run the recipe again, which writes it anew"
    found = read_object(root / FILE, way_out, InputError)
    try:
        return Summary.model_validate(found)
    except ValidationError as error:
        raise InputError(f"{root / FILE}: {damage(error)}; {way_out}") from error


def runs_below(root: Path, arms: list[str]) -> list[Run]:
    """Every Run of a recipe's folder, in the order of ``arms``, then by seed."""
    found = [
        Run(p.parent) for p in (*root.glob("*/manifest.json"), *root.glob("*/seed-*/manifest.json"))
    ]
    known = {arm: place for place, arm in enumerate(arms)}
    return sorted(
        found, key=lambda run: (known.get(run.manifest.arm, len(known)), run.manifest.seed)
    )


def leaves(stages: Sequence[StageRecord]) -> list[int]:
    """The stages that no other goes on from or is made of, in their order."""
    parents = {stage.begin.stage for stage in stages}
    parents |= {place for stage in stages for place in stage.ingredients}
    return [index for index in range(len(stages)) if index not in parents]


def _way(stages: Sequence[StageRecord], leaf: int) -> list[StageRecord]:
    return [stages[place] for place in stages[leaf].path]


def summarise_run(run: Run, root: Path) -> ArmSummary:
    """The numbers of one Run; measures that are not defined yet are None."""
    refuse_changed_records(run.folder, run.manifest)
    stages = run.manifest.stages
    done = [record for record in stages if record.status == "done"]
    scored = _Scored(run, root)
    last = len(stages) - 1
    others = {
        stages[leaf].name: scored.life(_way(stages, leaf))
        for leaf in leaves(stages)
        if leaf != last
    }
    flops = _flops(run)
    on_way = [record for record in _way(stages, last) if record.status == "done"]
    return ArmSummary(
        **dict(scored.life(_way(stages, last))),
        others=others,
        num_tokens=on_way[-1].clock_at(on_way[-1].last_step) if on_way else 0,
        num_tokens_total=sum(_compute(record) for record in done)
        + sum(branch.tokens for branch in run.manifest.branches),
        flops=flops["flops"],
        flops_total=flops["flops_total"],
        tokens_per_second=_speed(run),
        spike_score=read_digest(run.folder).spike_score,
        releases={
            record.name: (run.folder / str(record.release)).relative_to(root).as_posix()
            for record in done
        },
        soups={record.name: record.soup for record in done if record.soup is not None},
    )


class _Scored:
    """The scores and curves of a Run."""

    def __init__(self, run: Run, root: Path) -> None:
        self._run = run
        data = [Path(path).name for path in run.manifest.data.values()]
        keys = [run.manifest.start.key, *(stage.key for stage in run.manifest.stages)]
        self._losses = {key: losses(read_scores(root, key, data)) for key in keys}
        self._curves = read_lines(run.folder / "evals.jsonl", Evaluation)
        alone = (stage.mixture for stage in run.manifest.stages if len(stage.mixture) == 1)
        self._streams = {source for mixture in alone for source in mixture}

    def life(self, way: Sequence[StageRecord]) -> Life:
        """The way to a leaf: its matrix of losses, and what that says."""
        done = [record for record in way if record.status == "done"]
        rows = [self._row(record.key, way) for record in done]
        start = self._run.manifest.start.key if way[0].begin.kind == "start" else ""
        before = self._row(start, way)
        life = Life(
            streams=[record.name for record in way],
            loss_matrix=rows,
            before=before,
            extra=self._extra(start, done),
            changes=self._changes(start, done),
            not_learnt=[s for record in done for s in self._not_learnt(record)],
        )
        if not rows or any(None in row[: len(rows)] for row in rows):
            return life
        known = None if None in before else [b for b in before if b is not None]
        matrix = [[x for x in row[: len(rows)] if x is not None] for row in rows]
        curves = [self._curve(way[: len(rows)], self._watched(record)) for record in done]
        found = measure(matrix, known, curves, [record.name for record in way[: len(rows)]])
        return life.model_copy(update={name: getattr(found, name) for name in MEASURES})

    def _row(self, key: str, streams: Sequence[StageRecord]) -> Row:
        """The losses on every stage's data; a mixture counts by its weights."""
        found = {name: line.loss for name, line in self._losses.get(key, {}).items()}
        return [_mixed(found, record.mixture) for record in streams]

    def _measured_only(self, start: str, done: Sequence[StageRecord]) -> list[str]:
        keys = [start, *(record.key for record in done)]
        return sorted({name for key in keys for name in self._losses.get(key, {})} - self._streams)

    def _extra(self, start: str, done: Sequence[StageRecord]) -> dict[str, Row]:
        keys = [start, *(record.key for record in done)]
        rows = {}
        for name in self._measured_only(start, done):
            found = [self._losses.get(key, {}).get(name) for key in keys]
            rows[name] = [None if line is None else line.loss for line in found]
        return rows

    def _changes(self, start: str, done: Sequence[StageRecord]) -> list[Change]:
        """What became of the streams of the finished stages, then of what is only measured.

        A source counts once, since the first stage that reads it; one that has a stage for itself
        is called as the stage is, of a mixture each by itself: one may gain where another loses.
        """
        streams: dict[str, tuple[str, int | None]] = {}
        for place, record in enumerate(done):
            for source in record.mixture:
                name = record.name if len(record.mixture) == 1 else source
                streams.setdefault(source, (name, place))
        learnt = [name for record in done for name in record.mixture]
        failed = {n for n in learnt if learnt.count(n) == self._num_not_learnt(n, done)}
        measured = [name for name in self._measured_only(start, done) if name not in streams]
        found = []
        for source, (name, own) in {**streams, **{n: (n, None) for n in measured}}.items():
            rows = [self._moment(record.key, source) for record in done]
            one = change(name, own, self._moment(start, source), rows)
            found.append(one.model_copy(update={"has_failed": source in failed}))
        return found

    def _moment(self, key: str, source: str) -> Moment | None:
        return moment(self._losses.get(key, {}).get(source))

    def _num_not_learnt(self, source: str, done: Sequence[StageRecord]) -> int:
        """How many stages read a source and tell it no better than a constant does."""
        return sum(source in self._not_learnt(record) for record in done)

    def _not_learnt(self, record: StageRecord) -> list[str]:
        """Sources that the release of their own stage tells no better than a constant does.

        What was not learnt cannot be forgotten. Text has no such floor.
        """
        found = self._losses.get(record.key, {})
        return [name for name in record.mixture if name in found and not found[name].is_learnt]

    def _watched(self, record: StageRecord) -> str:
        """The stage whose looks are those of ``record``: of several orders the first."""
        first = record.ingredients[:1]
        return self._run.manifest.stages[first[0]].name if first else record.name

    def _curve(
        self, streams: Sequence[StageRecord], stage: str
    ) -> list[tuple[int, dict[str, float]]]:
        """The looks inside a stage, (step, {stream: loss}), the first at its start."""
        steps: dict[int, dict[str, float]] = {}
        for line in self._curves:
            if line.stage == stage:
                steps.setdefault(line.step, {})[line.source] = line.loss
        points = []
        for step, found in sorted(steps.items()):
            mixed = {record.name: _mixed(found, record.mixture) for record in streams}
            points.append((step, {name: loss for name, loss in mixed.items() if loss is not None}))
        return points


def _mixed(found: Mapping[str, float], mixture: Mapping[str, float]) -> float | None:
    if not mixture.keys() <= found.keys():
        return None
    return sum(weight * found[source] for source, weight in mixture.items())


def _compute(record: StageRecord) -> int:
    """What a stage read on its trunk and for its release."""
    return record.all_steps * record.per_step


def _flops(run: Run) -> dict[str, float]:
    """Operations on the way to the last leaf, as ``num_tokens`` counts, and of all computed."""
    manifest = run.manifest
    done = [i for i, record in enumerate(manifest.stages) if record.status == "done"]
    costs = {index: stage_flops(manifest, index) for index in done}
    way = set(manifest.stages[-1].path)
    places = {record.name: index for index, record in enumerate(manifest.stages)}
    branches = sum(
        branch.tokens * counts_of(manifest, places[branch.stage]).flops_per_token
        for branch in manifest.branches
        if manifest.stages[places[branch.stage]].model is not None  # made longer: not begun again
    )
    return {
        "flops": sum(trunk for index, (trunk, _) in costs.items() if index in way),
        "flops_total": sum(
            sum(cost) for index, cost in costs.items() if not manifest.stages[index].ingredients
        )
        + branches,
    }


def _speed(run: Run) -> float | None:
    """Tokens a second of training, over everything timed."""
    timing = read_lines(run.folder / "timing.jsonl", Timing)
    seconds = sum(line.seconds for line in timing)
    tokens = sum(line.seconds * line.tokens_per_second for line in timing)
    return round(tokens / seconds, 1) if seconds else None


def _over_seeds(by_seed: dict[str, ArmSummary]) -> ArmSummary:
    """Means over seeds, 95 % t-intervals of the measures, and every seed's own numbers."""
    runs = list(by_seed.values())
    first = runs[0]
    merged: dict[str, Any] = {
        "not_learnt": sorted({source for run in runs for source in run.not_learnt}),
        "changes": mean_changes([run.changes for run in runs]),
        "extra": _mean_extra([run.extra for run in runs]),
    }
    for key in ("loss_matrix", "before"):
        same = [
            getattr(r, key)
            for r in runs
            if np.shape(getattr(r, key)) == np.shape(getattr(first, key))
        ]
        values = np.array(same, dtype=float)
        mean = [] if not values.size else np.mean(values, axis=0).tolist()
        merged[key] = (
            [[_number(x) for x in row] for row in mean]
            if key == "loss_matrix"
            else [_number(x) for x in mean]
        )
    intervals = {}
    for name in (*MEASURES, *COUNTS):
        values = [v for r in runs if (v := getattr(r, name)) is not None]
        merged[name] = float(np.mean(values)) if values else None
        if len(values) > 1 and name in MEASURES:
            interval = t_interval(values)
            intervals[name] = (interval.low, interval.high)
    return first.model_copy(update={**merged, "intervals": intervals, "seeds": by_seed})


def _mean_extra(extras: Sequence[Mapping[str, Row]]) -> dict[str, Row]:
    """The rows that all seeds have, up to the seed that is least far."""
    shared = [name for name in extras[0] if all(name in other for other in extras)]
    columns = {name: zip(*(extra[name] for extra in extras), strict=False) for name in shared}
    return {name: [_mean_known(values) for values in rows] for name, rows in columns.items()}


def _mean_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _number(value: float) -> float | None:
    return None if value != value else value


def _data_facts(root: Path) -> dict[str, dict[str, JsonValue]]:
    """Counts of every prepared source, from its manifest."""
    facts = {}
    keys = (
        "train",
        "num_documents",
        "num_tokens",
        "num_bytes",
        "held_out",
        "in_others",
        "num_dropped",
    )
    for manifest in sorted((root / "data").glob("*/manifest.json")):
        data = read_data_manifest(manifest.parent)
        facts[data["source"]] = {
            **{key: data[key] for key in keys if key in data},
            "quarantined": len(data.get("quarantine", [])),
        }
    return facts
