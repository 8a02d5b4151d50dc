"""A study: one question, arms that differ in one thing, seeds that pair them, a verdict a claim."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from evergrow.disk import write_file
from evergrow.errors import InputError, Stopped
from evergrow.flow.recipes import carry_out
from evergrow.flow.units import unfold
from evergrow.listener import Listener
from evergrow.recipe import Recipe, decode_recipe
from evergrow.run import FORMAT, Run
from evergrow.stage.summary import runs_below
from evergrow.statistics import SEEDS_FOR_A_CLAIM, SEEDS_FOR_THE_LOG, Comparison, compare, holm

Measure = Callable[[Run], float | None]
Number = tuple[str, str]  # an arm, a measure
Expected = Literal["below", "above", "equal"]
Values = dict[str, dict[str, dict[int, float]]]  # arm -> measure -> seed


@dataclass(frozen=True)
class Claim:
    """What a paper says of two numbers, paired by seed: the first lies ``expected`` the second.

    ``margin`` belongs to "equal" alone: the largest difference that does not matter.
    """

    text: str
    first: Number
    expected: Expected
    second: Number
    margin: float = 0.0


@dataclass(frozen=True)
class Study:
    """A question in a file.

    ``recipe`` is plain data without arms and seeds; ``arms`` makes the arms from it once the user's
    overrides are in, so that they follow its rates and budgets. A measure is None where a Run has
    no such number, and infinite where it never came to what is measured. ``unit`` is that of the
    measures, ``notes`` are lines to read them by, ``scales`` are other sizes as overrides.
    """

    question: str
    paper: str
    recipe: Mapping[str, Any]
    arms: Callable[[Recipe], dict[str, dict[str, Any]]]
    measures: Mapping[str, Measure]
    claims: Sequence[Claim]
    unit: str = "bits per byte"
    notes: Sequence[str] = ()
    scales: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def study_recipe(
    study: Study, num_seeds: int, overrides: Mapping[str, Any], scale: str | None = None
) -> Recipe:
    """The recipe that answers ``study`` over seeds 0 to ``num_seeds`` - 1.

    ``overrides`` are dotted paths; ``data.<source>`` is a glob of the user's files that starts in
    the current folder. Raises InputError for fewer than two seeds, for overrides of arms or
    seeds, and for a ``scale`` that the study does not have.
    """
    if scale is not None and scale not in study.scales:
        known = ", ".join(study.scales) or "none but its own"
        raise InputError(f"--scale: the study has no {scale!r}; it has {known}")
    overrides = {**(study.scales[scale] if scale else {}), **overrides}
    if num_seeds < 2:
        raise InputError(f"a study compares paired seeds, got {num_seeds}; give it 2 or more")
    if taken := {path.partition(".")[0] for path in overrides} & {"arms", "seeds"}:
        raise InputError(
            f"{min(taken)}: a study has its own arms, and --seeds says how many seeds; "
            "for other arms write a recipe"
        )
    settings = {k: v for k, v in overrides.items() if not k.startswith("data.")}
    data = {**study.recipe, "seeds": list(range(num_seeds))}
    for path, glob in overrides.items():
        if path.startswith("data."):
            data = _with_files(data, path.removeprefix("data."), str(glob))
    recipe = decode_recipe(data, settings)
    return decode_recipe({**recipe.to_data(), "arms": study.arms(recipe)})


def _with_files(data: dict[str, Any], source: str, glob: str) -> dict[str, Any]:
    """The recipe with a source read from files; what else is said of the source stays."""
    if source not in data["sources"]:
        known = ", ".join(f"data.{name}" for name in data["sources"])
        raise InputError(f"data.{source}: the study has no such source; it has {known}")
    kept = {k: v for k, v in data["sources"][source].items() if k != "installed"}
    files = [str(Path.cwd() / Path(glob).expanduser())]
    return {**data, "sources": {**data["sources"], source: {**kept, "files": files}}}


def carry_out_study(
    study: Study, recipe: Recipe, runs: Path, listener: Listener, fresh: bool = False
) -> dict[str, Any]:
    """Train what is not trained yet, judge every claim, write ``study.json``; returns its content.

    Running again with more seeds adds theirs. Every seed finished in the folder counts, whatever
    is asked for now, so that seeds are never chosen after their results. Raises Stopped after a
    signal (the seeds finished so far are judged and written), and what carrying out raises.
    """
    root = runs / recipe.name
    if not fresh:
        listener.say(_remaining(root, recipe))
    try:
        carry_out(recipe, runs, Path.cwd(), listener, fresh)
    except Stopped:
        write_findings(study, recipe, root, "stopped")
        listener.say(_remaining(root, recipe))
        raise
    return write_findings(study, recipe, root, "done")


def _remaining(root: Path, recipe: Recipe) -> str:
    """How many Runs are done and how many to go."""
    folders = [root / unit.folder for unit in unfold(recipe)]
    num_done = sum(_is_done(folder) for folder in folders)
    return f"{recipe.name}: {num_done} of {len(folders)} runs done, {len(folders) - num_done} to go"


def _is_done(folder: Path) -> bool:
    return (folder / "manifest.json").exists() and Run(folder).manifest.status == "done"


def write_findings(study: Study, recipe: Recipe, root: Path, status: str) -> dict[str, Any]:
    """Judge the claims by the finished Runs below ``root``; writes and returns ``study.json``."""
    done = [run for run in runs_below(root, list(recipe.arms)) if run.manifest.status == "done"]
    numbers = read_numbers(study.measures, done)
    findings = {
        "format": FORMAT,
        "study": recipe.name,
        "status": status,
        "question": study.question,
        "paper": study.paper,
        "unit": study.unit,
        "notes": list(study.notes),
        "seeds": sorted({run.manifest.seed for run in done}),
        "arms": recipe.arms,
        "numbers": numbers,
        "claims": judge(study.claims, numbers),
    }
    text = json.dumps(_without_infinity(findings), indent=1, allow_nan=False)
    write_file(root / "study.json", text + "\n")
    return findings


def _without_infinity(value: Any) -> Any:
    """The same data as JSON can hold it: "infinity" for what was never reached."""
    if isinstance(value, dict):
        return {key: _without_infinity(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_infinity(v) for v in value]
    return "infinity" if value == math.inf else value


def read_numbers(measures: Mapping[str, Measure], runs: Sequence[Run]) -> Values:
    """Every measure of every Run by arm, measure and seed, without what a Run does not have."""
    numbers: Values = {}
    for run in runs:
        of_arm = numbers.setdefault(run.manifest.arm, {name: {} for name in measures})
        for name, read in measures.items():
            value = read(run)
            if value is not None:
                of_arm[name][run.manifest.seed] = value
    return numbers


def judge(claims: Sequence[Claim], numbers: Values) -> list[dict[str, Any]]:
    """A record a claim: its paired difference, interval and verdict.

    ``p_holm`` is corrected for all the claims of a difference that could be compared.
    """
    judged = []
    for claim in claims:
        first, second = (numbers.get(a, {}).get(m, {}) for a, m in (claim.first, claim.second))
        seeds = sorted(first.keys() & second.keys())
        found = None
        if never := _never(claim, first, second, seeds):
            judged.append({**_said(claim, seeds), "never": never, "verdict": "never reached"})
            continue
        if len(seeds) > 1:
            pairs = [first[seed] for seed in seeds], [second[seed] for seed in seeds]
            found = compare(*pairs, ", ".join(claim.first), ", ".join(claim.second))
        judged.append(_judged(claim, seeds, found))
    different = [j for j in judged if j["expected"] != "equal" and "p_value" in j]
    for record, p in zip(different, holm([j["p_value"] for j in different]), strict=True):
        record["p_holm"] = p
    return judged


def _never(
    claim: Claim, first: dict[int, float], second: dict[int, float], seeds: list[int]
) -> str:
    """Which number is infinite on how many of ``seeds``; "" when all are finite."""
    sides = ((claim.first[0], first), (claim.second[0], second))
    counts = [(arm, sum(found[s] == math.inf for s in seeds)) for arm, found in sides]
    return ", ".join(f"{arm} on {n} of {len(seeds)} seeds" for arm, n in counts if n)


def _said(claim: Claim, seeds: list[int]) -> dict[str, Any]:
    record: dict[str, Any] = {
        "claim": claim.text,
        "first": claim.first,
        "expected": claim.expected,
        "second": claim.second,
        "seeds": seeds,
    }
    if claim.expected == "equal":
        record["margin"] = claim.margin
    return record


def _judged(claim: Claim, seeds: list[int], found: Comparison | None) -> dict[str, Any]:
    record = _said(claim, seeds)
    if found is None:
        return {**record, "verdict": "too few seeds"}
    return {
        **record,
        "mean_difference": found.mean_difference,
        "interval": [found.interval.low, found.interval.high],
        "p_value": found.p_value,
        "detectable": found.detectable,
        "comparison": found.verdict,
        "verdict": verdict(claim, found),
    }


def verdict(claim: Claim, found: Comparison) -> str:
    """What the 95 % interval of first - second says of the claim.

    "equal" needs the whole interval inside the margin: a difference that was not found is not
    equality. Three seeds suggest; six are the fewest that reproduce or contradict.
    """
    low, high, margin = found.interval.low, found.interval.high, claim.margin
    holds, opposite = {
        "below": (high < 0, low > 0),
        "above": (low > 0, high < 0),
        "equal": (-margin < low and high < margin, high < -margin or low > margin),
    }[claim.expected]
    if found.num_pairs < SEEDS_FOR_THE_LOG:
        return "too few seeds"
    if not holds and not opposite:
        return "not shown"
    if found.num_pairs < SEEDS_FOR_A_CLAIM:
        return "suggested" if holds else "opposite suggested"
    return "reproduced" if holds else "contradicted"
