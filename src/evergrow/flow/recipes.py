"""The main job: carry out a recipe, or go on where it stopped."""

import shutil
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from evergrow.config import decode
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.curate.corpus import Corpus
from evergrow.data.corpora import Wish, as_it_is, curated, make_corpora
from evergrow.data.prepare import prepare
from evergrow.data.prepared import WAYS_OUT, Asked, Prepared
from evergrow.data.standing import standing_corpora
from evergrow.disk import checksum, locked, write_file
from evergrow.errors import InputError
from evergrow.flow.before import refuse_early
from evergrow.flow.dispatch import train_units
from evergrow.flow.find import remembered_base, runs_in
from evergrow.flow.pages import Carried
from evergrow.flow.plan import Ground, plan_stages, refuse_edits
from evergrow.flow.skills import check_suites
from evergrow.flow.units import Unit, start_key, unfold
from evergrow.listener import Listener
from evergrow.made import Made
from evergrow.models.config import kind_of_preset
from evergrow.models.find import find_model
from evergrow.models.load import kind_in, model_key
from evergrow.recipe import Recipe, load_recipe
from evergrow.run import Begin, Manifest, Run, StageRecord, Start, write_manifest
from evergrow.scores.opening import Opened
from evergrow.stage import checkpoints
from evergrow.stage.architecture import refuse_changed
from evergrow.stage.versions import VERSION, commit, package_version
from evergrow.stream.config import TokenizerConfig
from evergrow.stream.tokenizer import load_tokenizer, tokenizer_hash
from evergrow.train.trainer import optimizer_key


def carry_out(
    recipe: Recipe, runs: Path, base: Path, listener: Listener, fresh: bool = False
) -> Carried:
    """Carry out ``recipe`` in ``runs/<name>``; ``base`` is where its relative paths start.

    Finished work is skipped, so running again goes on where it stopped. Raises InputError for an
    edited recipe or changed data, Stopped after a signal, EvergrowError when training failed.
    """
    root = runs / recipe.name
    with locked(root), listener.stop.listening():
        if (base / ".base").exists():  # the resolved copy of a recipe, perhaps by another name
            base = remembered_base(base)
        if fresh:
            empty_root(root)
        units = with_own_stages(root, unfold(recipe))
        refuse_early(root, units)
        if not (root / "recipe.yaml").exists():
            remember(root, recipe, base)  # killed while it prepares, it can go on from there
        check_suites(recipe, base, listener.say)
        plan(units, recipe, root, base, listener)
        remember(root, recipe, base)
        return train_units(root, recipe.workers or 1, units, listener)


def remember(root: Path, recipe: Recipe, base: Path) -> None:
    """Write down what a recipe's folder carries out, and where its relative paths start."""
    write_file(root / "recipe.yaml", recipe.to_yaml())
    write_file(root / ".base", f"{base.resolve()}\n")


def plan(
    units: list[Unit],
    recipe: Recipe,
    root: Path,
    base: Path,
    listener: Listener,
    before: Path | None = None,
) -> None:
    """Prepare the data and write the manifests; a signal ends this at once.

    ``before`` is the folder of what was made of the recipe before, when it is not ``root``.
    """
    with listener.stop.at_once("the sources finished so far"):
        read = begun_sources(before or root)
        wishes = _wishes(units, recipe)
        standing = standing_corpora(wishes, before or root, base, listener.say, read)
        made = make_corpora(wishes, recipe.workers, root, base, listener, standing)
        prepared = prepare_units(units, recipe, root, base, listener, made, read)
        plan_units(root, units, prepared)


def begun_sources(root: Path) -> set[str]:
    """The sources that a stage of any Run in ``root`` has begun to read, or is measured on."""
    found: set[str] = set()
    for run in runs_in(root):
        begun = checkpoints.begun_stages(run)
        if not begun:
            continue
        for stage in begun:
            found |= stage.mixture.keys()
        recipe = decode(Recipe, run.manifest.recipe, "manifest.recipe")
        pending = {s for stage in run.manifest.stages[len(begun) :] for s in stage.mixture}
        found |= set(recipe.evaluate.sources) - pending
    return found


def with_own_stages(root: Path, units: list[Unit]) -> list[Unit]:
    """The units with what ``continue`` and ``extend`` gave their Runs since the recipe was read."""
    if not (root / "recipe.yaml").exists():
        return units
    asked = {unit.folder: unit.recipe for unit in unfold(load_recipe(root / "recipe.yaml"))}
    found = []
    for unit in units:
        if unit.folder in asked and (root / unit.folder / "manifest.json").exists():
            run = Run(root / unit.folder)
            old = decode(Recipe, run.manifest.recipe, "manifest.recipe")
            begun = len(checkpoints.begun_stages(run))
            own = _with_own_stages(unit.recipe, asked[unit.folder], old, begun)
            unit = replace(unit, recipe=own)
        found.append(unit)
    return found


def _with_own_stages(new: Recipe, asked: Recipe, old: Recipe, num_begun: int) -> Recipe:
    """``new`` with the begun stages of ``old`` that come after it, and with its extensions.

    A stage that is still as long as the recipe ``asked`` for before keeps the length of ``old``.
    """
    known = old.stages[: len(new.stages)]
    if [s.name for s in known] != [s.name for s in new.stages[: len(known)]]:
        return new  # edited: refused with the difference named
    stages = list(new.stages)
    for i, (stage, before) in enumerate(zip(known, asked.stages, strict=False)):
        if stages[i].length == before.length:
            stages[i] = stages[i].as_long_as(stage)
    later = old.stages[len(stages) : num_begun]
    read = {source for stage in later for source in stage.weights}
    looks = new.evaluate.every or old.evaluate.every
    changes = {
        "stages": [*stages, *later],
        "evaluate": new.evaluate.model_copy(update={"every": looks}),
        "sources": {
            **new.sources,
            **{k: s for k, s in old.sources.items() if k not in new.sources and k in read},
        },
    }
    return new.model_copy(update=changes)


def prepare_units(
    units: list[Unit],
    recipe: Recipe,
    root: Path,
    base: Path,
    listener: Listener,
    made: Mapping[str, Corpus],
    read: Collection[str],
) -> list[Prepared]:
    """Documents, held-out split, tokenizer and shards of every source that a unit uses.

    Each unit's own later sources come after those of the whole ``recipe``: two arms that were
    continued apart know nothing of each other.
    """
    resolved = [unit.recipe for unit in unfold(recipe)]
    measured = {name for each in resolved for name in each.measured}
    learnt = {name for each in resolved for name in each.streams}
    shared = [name for name in (*recipe.sources, *recipe.corpora) if name in measured]
    asked = recipe.tokenizer.sources if recipe.tokenizer else None
    prepared: dict[tuple[str, ...], Prepared] = {}
    found = []
    for own in (unit.recipe for unit in units):
        later = [name for name in own.sources if name in own.measured and name not in shared]
        if tuple(later) not in prepared:
            used = [*shared, *later]
            only_measured = [n for n in used if n not in {*learnt, *own.streams}]
            used.sort(key=lambda name: name not in only_measured)  # what is measured wins
            prepared[tuple(later)] = prepare(
                Asked(root, base, listener.say, only_measured, read),
                {name: own.sources[name] for name in used if name in own.sources},
                {name: made[name] for name in used if name in made},
                recipe.held_out,
                _tokenizer_config(recipe, root),
                asked or list(recipe.stages[0].weights),
                recipe.hides_tokens,
            )
        found.append(prepared[tuple(later)])
    return found


def _wishes(units: list[Unit], recipe: Recipe) -> list[Wish]:
    """The recipe's corpora, and every source of text that a unit reads or measures as it is."""
    resolved = [*(unit.recipe for unit in unfold(recipe)), *(unit.recipe for unit in units)]
    plain = {
        name: source
        for each in resolved
        for name in each.measured
        if isinstance(source := each.sources.get(name), SourceConfig)
    }
    texts = {n: s for n, s in recipe.sources.items() if isinstance(s, SourceConfig)}
    asked = [as_it_is(name, source) for name, source in plain.items()]
    return [*asked, *curated(recipe.corpora, texts)]


def _tokenizer_config(recipe: Recipe, root: Path) -> TokenizerConfig:
    """The recipe's tokenizer, or that of the model it starts from, in its folder."""
    if recipe.tokenizer is not None or recipe.model.from_ is None or recipe.of_pictures:
        return recipe.tokenizer_config
    try:
        folder = find_model(recipe.model.from_).resolve()
    except InputError:
        if not (root / "tokenizer").exists():
            raise
        folder = root / "tokenizer"  # the model is gone; what a run began with is kept
    return TokenizerConfig(folder=str(folder))


def plan_units(root: Path, units: list[Unit], prepared: list[Prepared]) -> None:
    """Write or update the manifest of every unit; refuses edits of what was already trained."""
    manifests = [_planned(root, u, p) for u, p in zip(units, prepared, strict=True)]
    for unit, manifest in zip(units, manifests, strict=True):
        folder = root / unit.folder
        if (folder / "manifest.json").exists():
            checkpoints.forget_unbegun(Run(folder))
        write_manifest(folder, manifest)


def _planned(root: Path, unit: Unit, prepared: Prepared) -> Manifest:
    recipe, folder = unit.recipe, root / unit.folder
    data = {name: path.relative_to(root).as_posix() for name, path in prepared.data.items()}
    known = Run(folder).manifest if (folder / "manifest.json").exists() else None
    begun = checkpoints.begun_stages(Run(folder)) if known else []
    start = start_of(unit, prepared.digest, known if begun else None)
    opened = Opened.at(recipe, root, data, start.kind, unit.seed)
    stood = [stage.begin for stage in begun]
    begins = [_begin(recipe, i, prepared, stood[i : i + 1]) for i in range(len(recipe.stages))]
    ground = Ground(opened, start, begins)
    if known is not None and begun:
        _refuse_edits(known, begun, recipe, ground)
        data = {**known.data, **data}
    stages = plan_stages(recipe, ground, begun)
    for index, (before, stage) in enumerate(zip(begun, stages, strict=False)):
        if before.key != stage.key:
            checkpoints.refuse_unreachable(Run(folder), index, stage)
    if begun:
        refuse_changed(Run(folder))
        _refuse_model(opened, len(stages), folder / "model")
    changes: dict[str, Any] = {
        "recipe": recipe.to_data(),
        "start": start,
        "data": data,
        "stages": stages,
        "status": "running",
        "error": None,
    }
    if known is not None and begun:
        return known.model_copy(update=changes)
    return Manifest(
        evergrow=package_version(),
        commit=commit(),
        name=recipe.name,
        arm=unit.arm,
        seed=unit.seed,
        environment={},
        model={},
        **changes,
    )


def start_of(unit: Unit, tokenizer: str, known: Manifest | None) -> Start:
    """The model that a unit starts from; ``known`` is the manifest of a Run that has begun.

    Raises InputError when its weights are others than those the Run began with.
    """
    recipe = unit.recipe
    source = recipe.model.from_
    if source is None:
        assert recipe.model.preset is not None
        kind = kind_of_preset(recipe.model.preset)
        key = start_key(recipe, unit.seed, tokenizer, None)
        return Start(source=f"{recipe.model.preset}, from scratch", kind=kind, key=key)
    try:
        kind, loaded = model_facts(source, recipe.of_pictures, bool(recipe.model.optimizer))
    except InputError:
        if known is None or not _is_gone(source):
            raise
        return known.start  # and no stage needs it again
    start = Start(source=source, kind=kind, key=start_key(recipe, unit.seed, tokenizer, loaded))
    if known is not None and known.start.key != start.key and _same_model(known, recipe):
        raise InputError(
            f"model.from: weights, configuration, tokenizer or moments of {source} changed since "
            f"this run began with them; restore them, {WAYS_OUT}"
        )
    return start


def _is_gone(source: str) -> bool:
    try:
        find_model(source)
    except InputError:
        return True
    return False


def _same_model(known: Manifest, recipe: Recipe) -> bool:
    """Whether the recipe asks for the model in the words it did before."""
    return decode(Recipe, known.recipe, "manifest.recipe").model == recipe.model


def model_facts(source: str, of_pictures: bool, with_moments: bool = False) -> tuple[str, str]:
    """The kind of a model that is there, and a hash of what it computes, and of its moments."""
    if source.endswith(".safetensors"):
        path = Path(source).expanduser()
        if not path.exists():
            raise InputError(f"model.from: {source}: no such file; give a file of weights")
        return "classes", checksum(path)
    folder = find_model(source)
    kind, key = kind_in(folder, of_pictures), model_key(folder)
    if with_moments:
        inputs = {"model": key, "moments": optimizer_key(folder)}
        key = Made(version=VERSION, settings={}, inputs=inputs).key
    return kind, key


def _begin(recipe: Recipe, index: int, prepared: Prepared, stood: list[Begin]) -> Begin:
    """Where a stage begins; of a model outside also what it is by content.

    ``stood`` is where it began, once it has: that model may be gone. Raises InputError for one
    with another tokenizer than the run's.
    """
    found = recipe.begin_of(index)
    if found.kind != "model":
        return Begin(kind=found.kind, stage=found.of if isinstance(found.of, int) else None)
    source, name = str(found.of), recipe.stages[index].name
    try:
        folder = find_model(source)
    except InputError:
        if source not in {begin.model for begin in stood}:
            raise
        return stood[0]
    if prepared.tokenizer is not None:
        own = tokenizer_hash(load_tokenizer(folder))
        if own != prepared.digest:
            raise InputError(
                f"stages.{name}.from: {source} has another tokenizer than this run, whose data it "
                "could not read; start a run of its own from it"
            )
    return Begin(kind="model", model=source, key=model_key(folder))


def _refuse_model(opened: Opened, num_stages: int, folder: Path) -> None:
    """Raise InputError when the model of a Run that goes on cannot learn what is asked now."""
    if not (folder / "config.json").exists():
        return
    for index in range(num_stages):
        opened.objective_at(index).refuse(folder)


def _refuse_edits(
    known: Manifest, begun: list[StageRecord], recipe: Recipe, ground: Ground
) -> None:
    old = decode(Recipe, known.recipe, "manifest.recipe")
    stages = [
        stage.as_long_as(old.stages[i]) if i < len(begun) else stage
        for i, stage in enumerate(recipe.stages)
    ]
    as_before = recipe.model_copy(update={"stages": stages})
    refuse_edits(begun, recipe, ground.keys(as_before), old)


_STAYS = {".lock", "corpora"}  # keys say whether a corpus is still the one asked for
_OWN = _STAYS | {
    "recipe.yaml",
    "summary.json",
    "study.json",
    "report.html",
    "tokenizer",
    "data",
    "scores",
}


def empty_root(root: Path) -> None:
    """Delete what a recipe's folder holds; refuses one that holds something else."""
    for path in root.iterdir():
        is_run = (path / "manifest.json").exists() or any(path.glob("seed-*/manifest.json"))
        if path.name not in _OWN and not is_run and not path.name.startswith("."):
            raise InputError(
                f"{path}: no run of evergrow made this, so --fresh deletes nothing; move it away "
                "or give the recipe another name"
            )
    for path in root.iterdir():
        if path.name not in _STAYS:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
