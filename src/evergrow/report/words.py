"""Numbers as text and the sentences of the report, computed from the run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from evergrow.report.folder import Arm, RunFolder
from evergrow.report.matrix import best_released, released
from evergrow.statistics import compare


@dataclass(frozen=True)
class Measure:
    """A column of the table of arms; ``better``: -1 lower wins, 1 higher wins, 0 neither."""

    key: str
    label: str
    unit: str
    better: int
    definition: str


MEASURES = (
    Measure(
        "average", "average", "{unit}", -1,
        "Mean over the streams after the last stage's release. Lower is better.",
    ),
    Measure(
        "forgetting", "forgetting", "{unit}", -1,
        "How far the last release lies above the lowest value that any release reached, mean over "
        "the streams before the last. Lower is better; 0 means that nothing was lost.",
    ),
    Measure(
        "backward_transfer", "backward transfer", "{unit}", 1,
        "A stream's value right after its own stage minus its value at the end, mean over the "
        "streams before the last. Above 0, later stages helped it; below 0, they hurt it.",
    ),
    Measure(
        "forward_transfer", "forward transfer", "{unit}", 1,
        "How much the stages before a stream's own had already lowered it, against the model "
        "before stage 1. Higher is better.",
    ),
    Measure(
        "transient_peak", "transient peak", "{unit}", -1,
        "Largest rise of an old stream inside a stage over its value at that stage's start, on "
        "the trunk. Lower is better.",
    ),
    Measure(
        "num_tokens", "{counted}", "to the release", 0,
        "{Counted} from the first weights to the last release. Equal numbers make arms comparable.",
    ),
    Measure(
        "num_tokens_total", "{counted}, all", "with forks", 0, "All {counted} that were computed."
    ),
    Measure(
        "flops", "FLOPs", "to the release", 0,
        "Operations of training along the trunk to the last release, of the model as it was in "
        "each stage; how they are counted stands in docs/recipes.md. Forks are not in it.",
    ),
    Measure(
        "tokens_per_second", "speed", "{counted}/s", 0,
        "{Counted} a second of training; depends on what else the machine was doing.",
    ),
)  # fmt: skip


def measures(folder: RunFolder) -> list[Measure]:
    """The columns, in the unit of what was learnt and with what its clock counts."""

    def told(words: str) -> str:
        words = words.replace("{unit}", folder.unit).replace("{counted}", folder.counted)
        return words.replace("{Counted}", folder.counted.capitalize())

    return [
        replace(m, label=told(m.label), unit=told(m.unit), definition=told(m.definition))
        for m in MEASURES
    ]


MINUS, DASH = "\u2212", "\u2013"


def bits(value: float | None) -> str:
    """Bits per byte with three decimals; a dash when there is no number."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:.3f}".replace("-", MINUS)


def signed(value: float) -> str:
    """A difference with its sign and two decimals."""
    return f"{value:+.2f}".replace("-", MINUS)


def count(value: float | None) -> str:
    """A count in three digits: 812, 8.12k, 540k, 1.2M."""
    if value is None or not math.isfinite(value):
        return DASH
    if value >= 1e15:
        return f"{value:.3g}"
    for factor, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= factor * 0.9995:
            return f"{value / factor:.3g}{letter}"
    return f"{value:.3g}" if value != round(value) else str(round(value))


def size(num_bytes: float) -> str:
    """Bytes as B, kB, MB, GB (powers of ten)."""
    for factor, letter in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if num_bytes >= factor:
            return f"{num_bytes / factor:.3g} {letter}"
    return f"{num_bytes:.0f} B"


def listing(names: Sequence[str], last: str = "and") -> str:
    """``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def plural(number: int, noun: str, several: str = "") -> str:
    """``1 arm``, ``3 arms``; ``several`` where an s is not enough."""
    return f"{number} {noun}" if number == 1 else f"{number} {several or noun + 's'}"


def best_arms(folder: RunFolder, measure: Measure) -> set[str]:
    """Arms whose value is the best as printed; none where nothing differs."""
    values = {arm.name: getattr(arm.scores, measure.key) for arm in folder.arms if arm.scores}
    shown = {name: round(value, 3) for name, value in values.items() if value is not None}
    if not measure.better or len(set(shown.values())) < 2:
        return set()
    best = max(shown.values(), key=lambda value: value * measure.better)
    return {name for name, value in shown.items() if value == best}


NOT_LEARNT = "Not all was learnt, so nothing is said of what was forgotten."


def headline(folder: RunFolder) -> str:
    """What was learnt, what was forgotten, which arm forgot least, and what that is worth."""
    sentences = [_learnt(folder), _forgotten(folder), _lowest_average(folder)]
    if len(_scored(folder, "average")) > 1 and folder.num_seeds == 1:
        sentences.append("One seed: no verdict.")
    return " ".join(sentence for sentence in sentences if sentence)


def verdict(folder: RunFolder) -> str:
    """Comparison, paired by seed, of the arms that forgot least and most; "" for one seed."""
    scored = _scored(folder, "forgetting")
    if folder.num_seeds == 1 or len(scored) < 2:
        return ""
    best, worst = scored[0][1], scored[-1][1]
    pairs = _pairs(best, worst)
    if len(pairs) < 2:
        return ""
    comparison = compare([a for a, _ in pairs], [b for _, b in pairs], best.name, worst.name)
    return f"Forgetting, paired by seed: {comparison.verdict}."


def _learnt(folder: RunFolder) -> str:
    """Each stream from the model before stage 1 to the best release, over all arms."""
    parts = []
    for stream in folder.streams:
        before = [v for arm in folder.arms if (v := released(arm, None, stream)) is not None]
        after = [v for arm in folder.arms if (v := best_released(arm, stream)) is not None]
        if before and after:
            unit = "" if parts else f" {folder.unit}"
            parts.append(f"{stream} ({sum(before) / len(before):.2f} → {_range(after)}{unit})")
    if not parts:
        return "Nothing has been released yet, so there is nothing to judge."
    subject = "The model" if len(folder.arms) == 1 else f"The {len(folder.arms)} arms"
    return f"{subject} learnt {listing(parts)}."


def _range(values: list[float]) -> str:
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


def _forgotten(folder: RunFolder) -> str:
    scored = _scored(folder, "forgetting")
    if len(folder.streams) < 2:
        return "With one stream, nothing could be forgotten."
    if not scored:
        return ""
    (least, best), (most, worst) = scored[0], scored[-1]
    if most <= 0:
        gains = _range([-value for value, _ in scored])
        return (
            f"Nothing was forgotten: earlier streams ended {gains} {folder.unit} lower, on average."
        )
    if len(scored) == 1:
        return f"It forgot {_fine(least)} {folder.unit} of earlier streams, on average."
    if bits(least) == bits(most):
        return f"All arms forgot the same, {_fine(least)} {folder.unit} of earlier streams."
    return (
        f"Of earlier streams {best.name} forgot least ({_fine(least)} {folder.unit} on average), "
        f"{worst.name} most ({_fine(most)})."
    )


def _lowest_average(folder: RunFolder) -> str:
    scored = _scored(folder, "average")
    if len(scored) < 2 or bits(scored[0][0]) == bits(scored[1][0]):
        return ""
    value, arm = scored[0]
    return f"Over all streams {arm.name} ends lowest ({bits(value)})."


def _scored(folder: RunFolder, key: str) -> list[tuple[float, Arm]]:
    """Arms that have the measure, lowest first."""
    pairs = [(getattr(arm.scores, key), arm) for arm in folder.arms if arm.scores]
    return sorted((pair for pair in pairs if pair[0] is not None), key=lambda pair: pair[0])


def _pairs(first: Arm, second: Arm) -> list[tuple[float, float]]:
    """Forgetting of both arms, seed by seed."""
    if first.scores is None or second.scores is None:
        return []
    others = {seed: scores.forgetting for seed, scores in second.scores.seeds.items()}
    return [
        (scores.forgetting, other)
        for seed, scores in first.scores.seeds.items()
        if scores.forgetting is not None and (other := others.get(seed)) is not None
    ]


def _fine(value: float) -> str:
    return (f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}").replace("-", MINUS)
