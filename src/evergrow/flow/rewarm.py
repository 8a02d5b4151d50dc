"""``rewarm``: short probes off a finished model, a peak rate each, and which of them to take.

The model is read and never changed: every probe is an arm of a recipe of its own, trained as
``continue`` would train it, its rate brought down at the end.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from evergrow.errors import InputError
from evergrow.flow.find import runs_in
from evergrow.flow.first_stage import absolute, first_recipe
from evergrow.flow.rates import LOWEST, likely_rates
from evergrow.flow.recipes import carry_out
from evergrow.listener import Listener
from evergrow.models.find import find_model
from evergrow.models.rates import Rates
from evergrow.recipe import Recipe, decode_recipe, load_recipe
from evergrow.report.proposal import FACTORS, proposed, rule_of, why
from evergrow.report.rewarm import Probe, Rewarmed, write_rewarm
from evergrow.run import Run
from evergrow.scores.store import losses, read_scores

NEW, FLOOR = "new", "floor"
MEASURED_BYTES = 100_000  # of each old text: it is measured once a probe
HELD_OUT_TOKENS = 20_000
BYTES_A_TOKEN = 16  # more than any tokenizer makes of prose: what a probe needs is there


def rewarm(
    model: str,
    data: Sequence[str],
    evaluate: Mapping[str, Sequence[str]],
    tokens: int,
    runs: Path,
    listener: Listener,
    name: str | None = None,
    peak_lr: float | None = None,
    most_lost: float | None = None,
    settings: Mapping[str, object] | None = None,
) -> Rewarmed:
    """Train probes of ``tokens`` on ``data`` at rates around a peak; propose one of the rates.

    The peak is ``peak_lr``, else what is recorded of the model, else usual for its size;
    ``evaluate`` is old text, by names. Probes stand in ``runs / name`` and are never trained twice.
    Raises InputError for a folder of other probes, and what ``continue_model`` and carrying out
    refuse.
    """
    folder = find_model(model)
    rates = likely_rates(folder, peak_lr)
    recipe = probes_of(
        model, data, evaluate, tokens, name or name_of(folder), rates, listener, settings or {}
    )
    _refuse_others(runs / recipe.name, recipe)
    listener.say(
        f"{model}: {len(recipe.arms)} probes of {tokens:,} tokens at {FACTORS[0]:g} to "
        f"{FACTORS[-1]:g} of the peak {rates.peak:.3g} ({rates.source}); the model is not changed"
    )
    root = carry_out(recipe, runs, Path.cwd(), listener).folder
    found = _found(root, recipe, model, rates, most_lost)
    found = found.model_copy(update={"command": _command(model, data, evaluate, found.peak)})
    write_rewarm(root, found)
    return found


def name_of(folder: Path) -> str:
    """The run of a model's probes, unless a name is given."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", folder.resolve().name).strip("-_")
    return f"rewarm-{plain}"[:64]


def probes_of(
    model: str,
    data: Sequence[str],
    evaluate: Mapping[str, Sequence[str]],
    tokens: int,
    name: str,
    rates: Rates,
    listener: Listener,
    settings: Mapping[str, object],
) -> Recipe:
    """An arm for each rate of the grid, and one that stays at the floor."""
    if not evaluate or NEW in evaluate:
        raise InputError(
            f"--evaluate: give old text as name=files, of another name than {NEW}; without it "
            "nobody sees what a rate costs"
        )
    given = {"schedule.peak_lr": rates.peak, **settings}
    one = first_recipe(model, data, tokens, NEW, listener, given).to_data()
    one["name"] = name
    one["sources"][NEW]["max_bytes"] = BYTES_A_TOKEN * (tokens + HELD_OUT_TOKENS)
    for old, globs in evaluate.items():
        one["sources"][old] = {"files": absolute(globs), "max_bytes": MEASURED_BYTES}
    one["evaluate"] = {"sources": list(evaluate), "sample_tokens": 0}
    one["held_out"] = {**one["held_out"], "most_tokens": HELD_OUT_TOKENS}
    floor = rates.last or LOWEST * rates.peak
    one["arms"] = {
        **{arm_of(f * rates.peak): {"schedule.peak_lr": f * rates.peak} for f in FACTORS},
        FLOOR: {"schedule": {"kind": "constant", "peak_lr": floor}},
    }
    return decode_recipe(one)


def arm_of(peak: float) -> str:
    """The arm of a peak rate: ``peak-1_25e-3`` of 1.25e-3."""
    digits, power = f"{peak:.2e}".split("e")
    return f"peak-{digits.rstrip('0').rstrip('.').replace('.', '_')}e{int(power)}"


def _refuse_others(root: Path, asked: Recipe) -> None:
    """Raise InputError when ``root`` holds another run; other rates may join the ones there."""
    if not (root / "recipe.yaml").exists():
        return
    both = [asked.to_data(), load_recipe(root / "recipe.yaml").to_data()]
    for data in both:
        data["arms"] = data["schedule"] = None
    if both[0] != both[1]:
        raise InputError(
            f"{root} exists, made of another model, other files, settings or tokens; give another "
            "--name"
        )


def _found(
    root: Path, recipe: Recipe, model: str, rates: Rates, most_lost: float | None
) -> Rewarmed:
    """What the probes below ``root`` measured, and the rate to take."""
    runs = {run.manifest.arm: run for run in runs_in(root)}
    old = recipe.evaluate.sources
    before = _losses(root, next(iter(runs.values())), start=True)
    probes = {arm: _probe(root, runs[arm], before, old, recipe.resolve(arm)) for arm in recipe.arms}
    floor = probes.pop(FLOOR)
    grid = list(probes.values())
    best = proposed(grid, most_lost)
    return Rewarmed(
        model=model,
        tokens=recipe.stages[0].length,
        grid=f"{FACTORS[0]:g} to {FACTORS[-1]:g} of the peak {rates.peak:.3g} ({rates.source})",
        rule=rule_of(most_lost),
        before={name: before[name] for name in (NEW, *old)},
        probes=grid,
        floor=floor,
        peak=best.peak,
        why=why(best, grid, floor, most_lost),
        command="",
    )


def _losses(root: Path, run: Run, start: bool = False) -> dict[str, float]:
    """By source: of the model before training, or of a probe at its end."""
    key = run.manifest.start.key if start else run.manifest.stages[-1].key
    data = [Path(path).name for path in run.manifest.data.values()]
    return {name: one.loss for name, one in losses(read_scores(root, key, data)).items()}


def _probe(
    root: Path, run: Run, before: Mapping[str, float], old: Sequence[str], recipe: Recipe
) -> Probe:
    peak, after = recipe.schedule.peak_lr, _losses(root, run)
    assert peak is not None, "every arm says its rate"
    return Probe(
        name=run.manifest.arm,
        peak=peak,
        new=after[NEW],
        old={name: after[name] for name in old},
        gained=before[NEW] - after[NEW],
        lost=mean(after[name] - before[name] for name in old),
    )


def _command(
    model: str, data: Sequence[str], evaluate: Mapping[str, Sequence[str]], peak: float
) -> str:
    """How to go on with a rate; the length and the name are the user's."""
    old = [glob for globs in evaluate.values() for glob in globs]
    words = ["evergrow", "continue", model, "--data", *data, "--evaluate", *old]
    words += ["--peak-lr", f"{peak:.3g}"]
    return f"{shlex.join(words)} --tokens COUNT --name NAME"
