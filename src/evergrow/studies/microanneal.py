"""Which source is worth mid-training on? A branch off the trunk for each, half of it general text.

OLMo 2 (2501.00656, section 4.4.2) and OLMo 3's standard form (2512.13961): half candidate and half
web, the rate straight to zero from where the trunk is, no warm-up, its optimiser kept, beside as
many tokens of web alone. ``microanneal-full`` trains every arm LONGER times as long, too, and
asks whether the short branches rank the sources as the long ones do.
"""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from evergrow.errors import InputError
from evergrow.models.find import find_model
from evergrow.models.rates import recorded_rates
from evergrow.recipe import Recipe
from evergrow.run import Run
from evergrow.statistics import Interval, kendall, spearman, t_interval
from evergrow.studies.findings import Arms, Settings, Values
from evergrow.studies.harness import Claim, Study
from evergrow.studies.readings import released

WEB = "web"
TARGET = "target"  # the mean over the texts that candidates are to help
FULL = "-full"
LONGER = 6
SHARE = 0.5  # of the candidate
NAMES = ("microanneal", "microanneal-full")


def _of_packages(**globs: str) -> list[str]:
    """Globs below the folders of installed packages, none of which is imported."""
    specs = {name: importlib.util.find_spec(name) for name in globs}
    origins = {name: spec.origin for name, spec in specs.items() if spec and spec.origin}
    return [str(Path(origin).parent / globs[name]) for name, origin in origins.items()]


Sources = Mapping[str, Mapping[str, Any]]
CANDIDATES: Sources = {
    "python": {"installed": "python", "max_bytes": "1M", "drop_repeated_lines": 40},
    "cpp": {"installed": "cpp", "max_bytes": "1M", "drop_repeated_lines": 40},
    "arrow": {
        "files": _of_packages(pyarrow="include/**/*.h"),
        "max_bytes": "1M",
        "drop_repeated_lines": 40,
    },
    "stubs": {"files": _of_packages(numpy="**/*.pyi", torch="**/*.pyi"), "max_bytes": "1M"},
}
TARGETS: Sources = {
    "modules": {
        "files": _of_packages(markdown_it="**/*.py", pygments="*.py"),
        "max_bytes": "80k",
    },
    "headers": {"files": _of_packages(numpy="_core/include/**/*.h"), "max_bytes": "80k"},
}
# A recipe of its own trunk; of a constant rate, so that nothing is spent on a release of it.
TRUNK: Settings = {
    "workers": 2,
    "held_out": {"tokens": "10k"},
    "model": {"preset": "olmo2", "hidden": 96, "layers": 2},
    "train": {"sequence_length": 128, "batch_size": 4},
    "schedule": {"kind": "constant", "peak_lr": 3e-3, "warmup": 0.02},
}
WEB_TEXT = {"installed": "english", "max_bytes": "2M", "drop_repeated_lines": 40}
TRUNK_TOKENS, TOKENS = 200_000, 32_000


class Asked(NamedTuple):
    """What is compared: candidates, what they are to help, and the model they branch off."""

    candidates: Sources
    targets: Sources
    model: str | None = None


def asked_of(settings: dict[str, Any]) -> Asked:
    """Take ``data.NAME``, ``target.NAME`` and ``from`` out of a study's settings.

    ``data.web`` stays: it replaces the general text. Raises InputError for own candidates without
    a target, which each would be judged by its own kind of text.
    """
    own = _taken(settings, "data.", but=f"data.{WEB}")
    targets = _taken(settings, "target.")
    if own and not targets:
        raise InputError(
            "target.NAME=GLOB: missing; say which text the candidates are to help, since each is "
            "best on its own held-out part"
        )
    if both := {*own} & {*targets} | {*own, *targets} & {WEB, TARGET}:
        raise InputError(f"{min(both)}: is taken; give the source another name")
    model = settings.pop("from", None)
    return Asked(own or CANDIDATES, targets or TARGETS, None if model is None else str(model))


def _taken(settings: dict[str, Any], prefix: str, but: str = "") -> Sources:
    found = [key for key in settings if key.startswith(prefix) and key != but]
    return {
        key.removeprefix(prefix): {
            "files": [str(Path.cwd() / Path(str(settings.pop(key))).expanduser())]
        }
        for key in found
    }


def study_of(name: str, settings: dict[str, Any]) -> Study:
    """The study called ``name`` of what ``settings`` name, which are taken out of them.

    Raises InputError for names that are taken, and for a model whose rate nobody says.
    """
    asked = asked_of(settings)
    candidates, is_full = list(asked.candidates), name.endswith(FULL)
    return Study(
        question=QUESTIONS[name],
        paper="OLMo 2, arXiv 2501.00656, section 4.4.2",
        recipe=_recipe(name, asked, settings),
        arms=lambda recipe: _arms(recipe, candidates, is_full),
        measures={
            TARGET: _target(list(asked.targets)),
            **{source: released(source) for source in (*asked.targets, WEB, *candidates)},
        },
        claims=_claims(candidates, is_full),
        notes=[LEGEND],
        conclude=lambda numbers, runs: _conclude(numbers, runs, candidates, is_full),
    )


QUESTIONS = {
    "microanneal": "Which source helps a target most, mixed half and half into a short anneal?",
    "microanneal-full": (
        f"Do short anneals rank sources as those of {LONGER} times the tokens do?"
    ),
}
LEGEND = (
    "An arm ends at rate 0; a column is the loss on what is held out of a source, target the mean "
    "over the texts that no arm learns. Where an arm meets its own name it is best on its own kind."
)


def _recipe(name: str, asked: Asked, settings: Mapping[str, Any]) -> Settings:
    """A trunk on web and a branch of it; from a model that is there, the branch alone."""
    sources = {WEB: WEB_TEXT, **asked.candidates, **asked.targets}
    last = {"name": "anneal", "data": WEB, "tokens": TOKENS}
    recipe: dict[str, Any] = {
        **TRUNK,
        "name": name,
        "description": "Sources compared in short anneals off one trunk, after OLMo 2.",
        "sources": sources,
        "evaluate": {"sources": list(sources), "sample_tokens": 0},
    }
    if asked.model is None:
        learnt = [WEB, *asked.candidates]  # no source is cut into longer pieces for its absence
        recipe["tokenizer"] = {"vocab_size": 2048, "sources": learnt}
        trunk = {"name": "trunk", "data": WEB, "tokens": TRUNK_TOKENS}
        return {**recipe, "stages": [trunk, {**last, "schedule": {"kind": "linear"}}]}
    peak = settings.get("schedule.peak_lr") or _rate_of(asked.model)
    return {
        **recipe,
        "model": {"from": asked.model},
        "schedule": {"kind": "linear", "peak_lr": peak},
        "stages": [last],
    }


def _rate_of(model: str) -> float:
    """Where the rate of a model stopped, as it records it."""
    found = recorded_rates(find_model(model))
    if found is None or found.last == 0:
        what = "does not say its rate" if found is None else "ended at rate 0"
        raise InputError(
            f"from={model}: {what}; give schedule.peak_lr, the rate from which the anneals go down"
        )
    return found.last


def _arms(recipe: Recipe, candidates: Sequence[str], is_full: bool) -> Arms:
    """Web alone, and each candidate in half of the samples of the last stage."""
    last = f"stages.{len(recipe.stages) - 1}"
    mixtures = {
        name: {f"{last}.data": None, f"{last}.mixture": {name: SHARE, WEB: 1 - SHARE}}
        for name in candidates
    }
    short: dict[str, Settings] = {WEB: {}, **mixtures}
    if not is_full:
        return short
    more = {f"{last}.tokens": LONGER * recipe.stages[-1].length}
    return {**short, **{name + FULL: {**arm, **more} for name, arm in short.items()}}


def _target(targets: Sequence[str]) -> Callable[[Run], float | None]:
    """The mean of the losses on the targets."""

    def read(run: Run) -> float | None:
        found = [loss for name in targets if (loss := released(name)(run)) is not None]
        return mean(found) if len(found) == len(targets) else None

    return read


def _claims(candidates: Sequence[str], is_full: bool) -> list[Claim]:
    return [
        Claim(
            f"{name}{suffix} helps the target more than web alone",
            (name + suffix, TARGET),
            "below",
            (WEB + suffix, TARGET),
        )
        for suffix in ("", FULL)[: 1 + is_full]
        for name in candidates
    ]


Gains = dict[str, dict[int, float]]  # candidate -> seed -> by how much its arm lies below web's


def gains(numbers: Values, candidates: Sequence[str], measure: str, suffix: str = "") -> Gains:
    """By how many bits per byte of ``measure`` each candidate's arm ends below web alone."""
    alone = numbers.get(WEB + suffix, {}).get(measure, {})
    found = {name: numbers.get(name + suffix, {}).get(measure, {}) for name in candidates}
    return {
        name: {seed: alone[seed] - by_seed[seed] for seed in by_seed if seed in alone}
        for name, by_seed in found.items()
    }


def _conclude(
    numbers: Values, runs: Sequence[Run], candidates: Sequence[str], is_full: bool
) -> list[str]:
    """The sources in their order, what was read more than once, and how well two orders agree."""
    lines = _ranked(numbers, candidates, "")
    if is_full:
        lines += _ranked(numbers, candidates, FULL)
        lines += _agreement(
            gains(numbers, candidates, TARGET), gains(numbers, candidates, TARGET, FULL)
        )
    return [*lines, *_repeated(runs)]


def _ranked(numbers: Values, candidates: Sequence[str], suffix: str) -> list[str]:
    """A sentence a source, the most helpful first; none where there are too few seeds."""
    found = gains(numbers, candidates, TARGET, suffix)
    known = [name for name in candidates if len(found[name]) > 1]
    known.sort(key=lambda name: -mean(found[name].values()))
    lines = []
    for place, name in enumerate(known):
        gain, own, web = (
            mean(gains(numbers, [name], measure, suffix)[name].values())
            for measure in (TARGET, name, WEB)
        )
        interval = t_interval(list(found[name].values()))
        verb = "helps" if interval.low > 0 else "hurts" if interval.high < 0 else "may help"
        lines.append(
            f"{place + 1}. {name}{suffix} {verb} the target by {_said(gain, interval)} over web "
            f"alone; its own held-out part {own:+.3f}, web {web:+.3f}"
        )
    return lines


def _said(gain: float, interval: Interval) -> str:
    return f"{gain:.3f} bits per byte ({interval.low:.3f} to {interval.high:.3f})"


def _agreement(short: Gains, full: Gains) -> list[str]:
    """The rank correlations of two orders of the same sources, seed by seed and of the means."""
    seeds = sorted(
        set.intersection(*(set(by_seed) for g in (short, full) for by_seed in g.values()))
    )
    if not seeds or len(short) < 2:
        return []
    names = list(short)
    pairs = [([short[n][s] for n in names], [full[n][s] for n in names]) for s in seeds]
    means = [[mean(g[n][s] for s in seeds) for n in names] for g in (short, full)]
    lines = []
    for word, measure in (("Spearman", spearman), ("Kendall", kendall)):
        by_seed = [measure(*pair) for pair in pairs]
        lines.append(
            f"{word}'s rank correlation of short and {LONGER} times longer anneals: "
            f"{mean(by_seed):.2f}, by seed {', '.join(f'{value:.2f}' for value in by_seed)}; "
            f"of the means over seeds {measure(means[0], means[1]):.2f}"
        )
    best = sum(_best(names, first) == _best(names, second) for first, second in pairs)
    return [*lines, f"the best source is the same on {best} of {len(seeds)} seeds"]


def _best(names: Sequence[str], values: Sequence[float]) -> str:
    return max(zip(values, names, strict=True))[1]


def _repeated(runs: Sequence[Run]) -> list[str]:
    """Which sources an anneal read more than once, and how often."""
    found = {
        (run.manifest.arm, folder.rsplit("-", 1)[0]): seen.epochs
        for run in runs
        for folder, seen in run.manifest.stages[-1].seen.items()
        if seen.epochs > 1
    }
    return [f"{arm} read {name} {epochs:.1f} times" for (arm, name), epochs in found.items()]


STUDIES = {name: study_of(name, {}) for name in NAMES}
