"""The table of arms: a row each, a column for every measure that any arm has."""

from collections.abc import Callable
from dataclasses import dataclass

from evergrow.report.folder import Arm, RunFolder
from evergrow.report.words import bits, count
from evergrow.stage.changes import Change
from evergrow.stage.summary import ArmSummary

Value = float | None


@dataclass(frozen=True)
class Measure:
    """A column; ``better``: -1 lower wins, 1 higher wins, 0 neither.

    ``interval`` names the measure of the summary that has one over seeds.
    """

    label: str
    unit: str
    better: int
    definition: str
    value: Callable[[ArmSummary], Value]
    interval: str = ""
    is_count: bool = False

    def told(self, value: Value) -> str:
        """A value as the table shows it."""
        return count(value) if self.is_count else bits(value)


@dataclass(frozen=True)
class Cell:
    """One number, as a number and as text, and its interval over seeds."""

    value: Value
    text: str
    bounds: str
    is_best: bool


@dataclass(frozen=True)
class ArmsTable:
    """Columns, and the cells of every arm."""

    measures: list[Measure]
    rows: list[tuple[Arm, list[Cell]]]

    @property
    def has_best(self) -> bool:
        """Whether any column tells the arms apart."""
        return any(cell.is_best for _, cells in self.rows for cell in cells)


def arms_table(folder: RunFolder) -> ArmsTable:
    """The columns that hold a number."""
    kept = [
        measure
        for measure in measures(folder)
        if any(measure.value(arm.scores) is not None for arm in folder.arms if arm.scores)
    ]
    best = [best_arms(folder, measure) for measure in kept]
    rows = [
        (arm, [_cell(arm, m, arm.name in names) for m, names in zip(kept, best, strict=True)])
        for arm in folder.arms
    ]
    return ArmsTable(kept, rows)


def _cell(arm: Arm, measure: Measure, is_best: bool) -> Cell:
    value = measure.value(arm.scores) if arm.scores else None
    found = arm.scores.intervals.get(measure.interval) if arm.scores else None
    bounds = f"{measure.told(found[0])} to {measure.told(found[1])}" if found else ""
    return Cell(value, measure.told(value), bounds, is_best)


def best_arms(folder: RunFolder, measure: Measure) -> set[str]:
    """Arms whose value is the best as printed; none where nothing differs."""
    values = {arm.name: measure.value(arm.scores) for arm in folder.arms if arm.scores}
    shown = {name: round(value, 3) for name, value in values.items() if value is not None}
    if not measure.better or len(set(shown.values())) < 2:
        return set()
    best = max(shown.values(), key=lambda value: value * measure.better)
    return {name for name, value in shown.items() if value == best}


def measures(folder: RunFolder) -> list[Measure]:
    """All columns, in the unit of what was learnt and with what its clock counts."""
    unit, counted = folder.unit, folder.counted
    return [
        *_kept_and_lost(unit),
        *_told_right(folder),
        *(_rise(source, unit) for source in folder.sources if source not in folder.learnt),
        *_costs(counted),
    ]


def _kept_and_lost(unit: str) -> list[Measure]:
    return [
        Measure(
            "average", unit, -1,
            "Mean over the streams after the last stage's release. Lower is better.",
            lambda arm: arm.average, "average",
        ),
        Measure(
            "constant", unit, 0,
            "What the best constant answer scores on the same (the mean picture; how common each "
            "class is). What lies above it has learnt nothing.",
            lambda arm: _beside(arm, "floor"),
        ),
        Measure(
            "forgetting", unit, -1,
            "How far the last release lies above the lowest value that any release reached, mean "
            "over the streams before the last. Lower is better; 0 means that nothing was lost.",
            lambda arm: arm.forgetting, "forgetting",
        ),
        Measure(
            "backward transfer", unit, 1,
            "A stream's value right after its own stage minus its value at the end, mean over the "
            "streams before the last. Above 0, later stages helped it; below 0, they hurt it.",
            lambda arm: arm.backward_transfer, "backward_transfer",
        ),
        Measure(
            "forward transfer", unit, 1,
            "How much the stages before a stream's own had already lowered it, against the model "
            "before stage 1. Higher is better.",
            lambda arm: arm.forward_transfer, "forward_transfer",
        ),
        Measure(
            "transient peak", unit, -1,
            "Largest rise of an old stream inside a stage over its value at that stage's start, on "
            "the trunk. Lower is better.",
            lambda arm: arm.transient_peak, "transient_peak",
        ),
    ]  # fmt: skip


# Of classifiers, as their scores record them: the name, its words, and what is meant.
TOLD_RIGHT = {
    "accuracy": ("accuracy", "Share of held-out pictures told right, mean over the streams."),
    "balanced_accuracy": (
        "balanced accuracy",
        "Share told right of each class, mean over classes: the commonest class counts no more "
        "than the rarest.",
    ),
    "auroc": ("AUROC", "How often a picture of a class is put above one of another; .5 is chance."),
    "majority": ("majority", "What always naming the commonest class would tell right."),
}


def _told_right(folder: RunFolder) -> list[Measure]:
    """Columns of what a classifier tells right."""

    def value(name: str) -> Callable[[ArmSummary], Value]:
        return lambda arm: _beside(arm, name)

    better = {"majority": 0}
    return [
        Measure(label, "share", better.get(name, 1), meant, value(name))
        for name, (label, meant) in TOLD_RIGHT.items()
    ]


def _beside(arm: ArmSummary, name: str) -> Value:
    """The mean of what was measured with the losses of the learnt streams, at the end."""
    ends = [c.last for c in arm.changes if c.is_learnt and c.last is not None]
    values = [end.beside[name] for end in ends if name in end.beside]
    return sum(values) / len(values) if values and len(values) == len(ends) else None


def _rise(source: str, unit: str) -> Measure:
    """How far a source that is only measured has risen."""

    def value(arm: ArmSummary) -> Value:
        changes = {change.stream: change for change in arm.changes}
        return changes[source].rise if source in changes else None

    return Measure(
        f"{source}, rise", f"{unit}, measured only", -1,
        f"How far {source}, which no stage learns, lies above the lowest value that it had before. "
        "Above 0 it was forgotten, below 0 it gained.",
        value,
    )  # fmt: skip


def _costs(counted: str) -> list[Measure]:
    whole = counted.capitalize()
    return [
        Measure(
            counted, "to the release", 0,
            f"{whole} from the first weights to the last release. Equal numbers make arms "
            "comparable.",
            lambda arm: arm.num_tokens, is_count=True,
        ),
        Measure(
            f"{counted}, all", "with forks", 0, f"All {counted} that were computed.",
            lambda arm: arm.num_tokens_total, is_count=True,
        ),
        Measure(
            "FLOPs", "to the release", 0,
            "Operations of training along the trunk to the last release, of the model as it was "
            "in each stage; how they are counted stands in docs/recipes.md. Forks are not in it.",
            lambda arm: arm.flops, is_count=True,
        ),
        Measure(
            "speed", f"{counted}/s", 0,
            f"{whole} a second of training; depends on what else the machine was doing.",
            lambda arm: arm.tokens_per_second, is_count=True,
        ),
    ]  # fmt: skip


def changes_of(arm: Arm) -> list[Change]:
    """What became of the arm's streams; none before its first summary."""
    return arm.scores.changes if arm.scores else []
