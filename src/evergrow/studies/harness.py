"""A study: one question, arms that differ in one thing, seeds that pair them, a verdict a claim."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from evergrow.disk import write_file
from evergrow.errors import InputError, Stopped
from evergrow.flow.units import unfold
from evergrow.listener import Listener
from evergrow.recipe import Recipe, decode_recipe
from evergrow.run import Run
from evergrow.stage.summary import runs_below
from evergrow.statistics import SEEDS_FOR_A_CLAIM, SEEDS_FOR_THE_LOG, Comparison, compare, holm
from evergrow.studies.dial import Dial, choose, dialled
from evergrow.studies.findings import (
    Arms,
    Difference,
    Expected,
    Findings,
    Judged,
    Number,
    Settings,
    Values,
)

Measure = Callable[[Run], float | None]


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
    measures, ``notes`` are lines to read them by, ``scales`` are other sizes as overrides; ``dial``
    is what every arm chooses for itself first; ``conclude`` says in lines what follows from all
    numbers together.
    """

    question: str
    paper: str
    recipe: Settings
    arms: Callable[[Recipe], Arms]
    measures: Mapping[str, Measure]
    claims: Sequence[Claim]
    unit: str = "bits per byte"
    notes: Sequence[str] = ()
    scales: Mapping[str, Settings] = field(default_factory=dict)
    dial: Dial | None = None
    conclude: Callable[[Values, Sequence[Run]], list[str]] = lambda numbers, runs: []


def study_recipe(
    study: Study, num_seeds: int, overrides: Settings, scale: str | None = None
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
    sources = decode_recipe({**study.recipe}).sources
    settings: dict[str, object] = {"seeds": list(range(num_seeds))}
    for path, value in overrides.items():
        is_data = path.startswith("data.")
        settings |= _from_files(sources, path, str(value)) if is_data else {path: value}
    recipe = decode_recipe({**study.recipe}, settings)
    return decode_recipe({**recipe.to_data(), "arms": study.arms(recipe)})


def _from_files(sources: Collection[str], path: str, glob: str) -> Settings:
    """Overrides that read a source from files; what else is said of the source stays."""
    source = path.removeprefix("data.")
    if source not in sources:
        known = ", ".join(f"data.{name}" for name in sources)
        raise InputError(f"{path}: the study has no such source; it has {known}")
    files = str(Path.cwd() / Path(glob).expanduser())
    return {f"sources.{source}.installed": None, f"sources.{source}.files": [files]}


def carry_out_study(
    study: Study, recipe: Recipe, runs: Path, listener: Listener, fresh: bool = False
) -> Findings:
    """Train what is not trained yet, judge every claim, write ``study.json``; returns its content.

    Running again with more seeds adds theirs. Every seed finished in the folder counts, whatever
    is asked for now, so that seeds are never chosen after their results. Raises Stopped after a
    signal (the seeds finished so far are judged and written), and what carrying out raises.
    """
    from evergrow.flow.recipes import carry_out

    root, chosen = runs / recipe.name, {}
    if study.dial is not None:
        chosen = choose(recipe, study.dial, runs, listener, fresh)
        recipe = dialled(recipe, study.dial, chosen)
    if not fresh:
        listener.say(_remaining(root, recipe))
    try:
        carry_out(recipe, runs, Path.cwd(), listener, fresh)
    except Stopped:
        write_findings(study, recipe, root, "stopped", chosen)
        listener.say(_remaining(root, recipe))
        raise
    return write_findings(study, recipe, root, "done", chosen)


def _remaining(root: Path, recipe: Recipe) -> str:
    """How many Runs are done and how many to go."""
    folders = [root / unit.folder for unit in unfold(recipe)]
    num_done = sum(_is_done(folder) for folder in folders)
    return f"{recipe.name}: {num_done} of {len(folders)} runs done, {len(folders) - num_done} to go"


def _is_done(folder: Path) -> bool:
    return (folder / "manifest.json").exists() and Run(folder).manifest.status == "done"


def write_findings(
    study: Study,
    recipe: Recipe,
    root: Path,
    status: Literal["done", "stopped"],
    chosen: Mapping[str, float] | None = None,
) -> Findings:
    """Judge the claims by the finished Runs below ``root``; writes and returns ``study.json``."""
    done = [run for run in runs_below(root, list(recipe.arms)) if run.manifest.status == "done"]
    numbers = read_numbers(study.measures, done)
    findings = Findings(
        study=recipe.name,
        status=status,
        question=study.question,
        paper=study.paper,
        unit=study.unit,
        notes=[*study.notes, *study.conclude(numbers, done)],
        seeds=sorted({run.manifest.seed for run in done}),
        arms=recipe.arms,
        chosen=dict(chosen or {}),
        numbers=numbers,
        claims=judge(study.claims, numbers),
    )
    write_file(root / "study.json", findings.model_dump_json(indent=1) + "\n")
    return findings


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


def judge(claims: Sequence[Claim], numbers: Values) -> list[Judged]:
    """A record a claim: its paired difference, interval and verdict."""
    judged = [_judged(claim, numbers) for claim in claims]
    values = {
        i: found.difference.p_value
        for i, found in enumerate(judged)
        if found.difference is not None and found.expected != "equal"
    }
    for i, p in zip(values, holm(list(values.values())), strict=True):
        difference = judged[i].difference
        assert difference is not None
        corrected = difference.model_copy(update={"p_holm": p})
        judged[i] = judged[i].model_copy(update={"difference": corrected})
    return judged


def _judged(claim: Claim, numbers: Values) -> Judged:
    first, second = (numbers.get(a, {}).get(m, {}) for a, m in (claim.first, claim.second))
    seeds = sorted(first.keys() & second.keys())
    never, found = _never(claim, first, second, seeds), None
    if never is None and len(seeds) > 1:
        pairs = [first[seed] for seed in seeds], [second[seed] for seed in seeds]
        found = compare(*pairs, ", ".join(claim.first), ", ".join(claim.second))
    return Judged(
        claim=claim.text,
        first=claim.first,
        expected=claim.expected,
        second=claim.second,
        margin=claim.margin,
        seeds=seeds,
        never=never,
        difference=None if found is None else _difference(found),
        verdict="never reached" if never else verdict(claim, found),
    )


def _never(
    claim: Claim, first: dict[int, float], second: dict[int, float], seeds: list[int]
) -> str | None:
    """Which number is infinite on how many of ``seeds``; None when all are finite."""
    sides = ((claim.first[0], first), (claim.second[0], second))
    counts = [(arm, sum(found[s] == math.inf for s in seeds)) for arm, found in sides]
    return ", ".join(f"{arm} on {n} of {len(seeds)} seeds" for arm, n in counts if n) or None


def _difference(found: Comparison) -> Difference:
    return Difference(
        mean=found.mean_difference,
        interval=(found.interval.low, found.interval.high),
        p_value=found.p_value,
        detectable=found.detectable,
        comparison=found.verdict,
    )


def verdict(claim: Claim, found: Comparison | None) -> str:
    """What the 95 % interval of first - second says of the claim.

    "equal" needs the whole interval inside the margin: a difference that was not found is not
    equality. Three seeds suggest; six are the fewest that reproduce or contradict.
    """
    if found is None or found.num_pairs < SEEDS_FOR_THE_LOG:
        return "too few seeds"
    low, high, margin = found.interval.low, found.interval.high, claim.margin
    holds, opposite = {
        "below": (high < 0, low > 0),
        "above": (low > 0, high < 0),
        "equal": (-margin < low and high < margin, high < -margin or low > margin),
    }[claim.expected]
    if not holds and not opposite:
        return "not shown"
    if found.num_pairs < SEEDS_FOR_A_CLAIM:
        return "suggested" if holds else "opposite suggested"
    return "reproduced" if holds else "contradicted"
