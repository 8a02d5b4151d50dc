"""The main job: carry out a recipe, or go on where it stopped."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from evergrow.config import decode
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.curate.corpus import Corpus
from evergrow.disk import write_file
from evergrow.errors import InputError
from evergrow.flow import checkpoints
from evergrow.flow.corpora import make_corpora
from evergrow.flow.dispatch import Carried, train_units
from evergrow.flow.listener import Listener
from evergrow.flow.open_data import sizes_of
from evergrow.flow.origin import origins
from evergrow.flow.plan import plan_stages, refuse_edits
from evergrow.flow.prepare import Prepared, prepare
from evergrow.flow.standing import standing_corpora
from evergrow.flow.units import Unit, stage_keys, unfold
from evergrow.flow.versions import commit, package_version
from evergrow.images.config import ImageSourceConfig
from evergrow.models.load import find_model
from evergrow.recipe import AnySource, CorpusRecipe, Recipe, load_recipe
from evergrow.run import Manifest, Run, StageRecord, locked, write_manifest
from evergrow.stream.config import TokenizerConfig


def carry_out(
    recipe: Recipe, runs: Path, base: Path, listener: Listener, fresh: bool = False
) -> Carried:
    """Carry out ``recipe`` in ``runs/<name>``; ``base`` is where its relative paths start.

    Finished work is skipped, so running again goes on where it stopped. Raises InputError for an
    edited recipe or changed data, Stopped after a signal, EvergrowError when training failed.
    """
    root = runs / recipe.name
    with locked(root), listener.stop.listening():
        if base.resolve() == root.resolve():  # the resolved copy of the recipe
            base = remembered_base(root)
        if fresh:
            empty_root(root)
        units = with_own_stages(root, unfold(recipe))
        plan(units, recipe, root, base, listener)
        write_file(root / "recipe.yaml", recipe.to_yaml())
        write_file(root / ".base", f"{base.resolve()}\n")
        return train_units(root, recipe.workers, units, listener)


def remembered_base(root: Path) -> Path:
    """Where the relative paths of the recipe in ``root`` start, and the names of its files.

    An absolute path: the files are no part of the run, so they stay where they are when it moves.
    """
    remembered = root / ".base"
    return Path(remembered.read_text().strip()) if remembered.exists() else root


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
        made = _corpora(recipe, root, before or root, base, listener)
        prepared = prepare_units(units, recipe, root, base, listener, made)
        plan_units(root, units, prepared)


def with_own_stages(root: Path, units: list[Unit]) -> list[Unit]:
    """The units with what ``continue`` and ``extend`` gave their Runs since the recipe was read."""
    if not (root / "recipe.yaml").exists():
        return units
    asked = {unit.folder: unit.recipe for unit in unfold(load_recipe(root / "recipe.yaml"))}
    return [
        replace(unit, recipe=_with_own_stages(unit.recipe, asked[unit.folder], old))
        if unit.folder in asked and (old := _recorded(root / unit.folder))
        else unit
        for unit in units
    ]


def _recorded(folder: Path) -> Recipe | None:
    if not (folder / "manifest.json").exists():
        return None
    return decode(Recipe, Run(folder).manifest.recipe, "manifest.recipe")


def _with_own_stages(new: Recipe, asked: Recipe, old: Recipe) -> Recipe:
    """``new`` with the stages of ``old`` that come after it, and with its extensions.

    A stage whose tokens are still what the recipe ``asked`` for before keeps those of ``old``.
    """
    known = old.stages[: len(new.stages)]
    if [s.name for s in known] != [s.name for s in new.stages[: len(known)]]:
        return new  # edited: refused with the difference named
    stages = list(new.stages)
    for i, (stage, before) in enumerate(zip(known, asked.stages, strict=False)):
        if stages[i].tokens == before.tokens:
            stages[i] = stages[i].model_copy(update={"tokens": stage.tokens})
    changes = {
        "stages": [*stages, *old.stages[len(stages) :]],
        "sources": {
            **new.sources,
            **{k: s for k, s in old.sources.items() if k not in new.sources},
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
            sources = {name: own.sources[name] for name in used if name in own.sources}
            corpora = {name: made[name] for name in used if name in made}
            prepared[tuple(later)] = (
                _prepare_pictures(root, recipe, sources, base, listener, only_measured)
                if recipe.of_pictures
                else prepare(
                    root,
                    origins(_texts(sources), corpora, base),
                    recipe.held_out,
                    _tokenizer_config(recipe, root),
                    asked or list(recipe.stages[0].weights),
                    base,
                    listener.say,
                    only_measured,
                    recipe.hides_tokens,
                )
            )
        found.append(prepared[tuple(later)])
    return found


def _corpora(
    recipe: Recipe, root: Path, before: Path, base: Path, listener: Listener
) -> dict[str, Corpus]:
    """The recipe's corpora, made before anything reads them; what is done is skipped.

    Those ``before`` that data was made of stay as they are, or this is refused.
    """
    if not recipe.corpora:
        return {}
    settings = recipe.model_dump(include=set(CorpusRecipe.model_fields))
    asked = decode(CorpusRecipe, settings, "recipe")
    standing = standing_corpora(asked, before, base, listener.say)
    made = make_corpora(asked, root, base, listener, standing)
    return dict(zip(asked.corpora, made, strict=True))


def _prepare_pictures(
    root: Path,
    recipe: Recipe,
    sources: Mapping[str, AnySource],
    base: Path,
    listener: Listener,
    only_measured: list[str],
) -> Prepared:
    """Raises InputError when the packages that read pictures are not installed."""
    try:
        from evergrow.flow.prepare_pictures import prepare_pictures
    except ModuleNotFoundError as error:
        raise InputError(
            f"recipe.sources: pictures need the package {error.name}; install evergrow[vision]"
        ) from error
    asked = (recipe.held_out, base, listener.say, only_measured)
    return prepare_pictures(root, _pictures(sources), *asked)


def _texts(sources: Mapping[str, AnySource]) -> dict[str, SourceConfig]:
    return {name: s for name, s in sources.items() if isinstance(s, SourceConfig)}


def _pictures(sources: Mapping[str, AnySource]) -> dict[str, ImageSourceConfig]:
    return {name: s for name, s in sources.items() if isinstance(s, ImageSourceConfig)}


def _tokenizer_config(recipe: Recipe, root: Path) -> TokenizerConfig:
    """The recipe's tokenizer; that of a run or a hub id stands in the folder these mean first."""
    if recipe.tokenizer is not None or recipe.model.from_ is None:
        return recipe.tokenizer_config
    made = root / "tokenizer" / "evergrow_tokenizer.json"
    if made.exists():
        return TokenizerConfig(folder=json.loads(made.read_text())["folder"])
    return TokenizerConfig(folder=str(find_model(recipe.model.from_).resolve()))


def plan_units(root: Path, units: list[Unit], prepared: list[Prepared]) -> None:
    """Write or update the manifest of every unit; refuses edits of what was already trained."""
    manifests = [_planned(root, u, p) for u, p in zip(units, prepared, strict=True)]
    for unit, manifest in zip(units, manifests, strict=True):
        write_manifest(root / unit.folder, manifest)


def _planned(root: Path, unit: Unit, prepared: Prepared) -> Manifest:
    data = {name: folder.relative_to(root).as_posix() for name, folder in prepared.data.items()}
    tokenizer = next(iter(prepared.manifests.values()))["tokenizer"]
    recipe = unit.recipe
    keys = {name: Path(path).name for name, path in data.items()}
    sizes = sizes_of(recipe, prepared.data)
    folder = root / unit.folder
    recorded: list[StageRecord] = []
    known: Manifest | None = None
    if (folder / "manifest.json").exists():
        known = Run(folder).manifest
        recorded = known.stages
        data = {**known.data, **data}
        _refuse_edits(known, recipe, keys, tokenizer)
    stages = plan_stages(recipe, unit.seed, keys, sizes, tokenizer, recorded)
    for index, (before, stage) in enumerate(zip(recorded, stages, strict=False)):
        if before.key != stage.key:
            checkpoints.refuse_unreachable(Run(folder), index, stage)
    changes: dict[str, Any] = {
        "recipe": recipe.to_data(),
        "data": data,
        "stages": stages,
        "status": "running",
        "error": None,
    }
    if known is not None:
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


def _refuse_edits(known: Manifest, recipe: Recipe, keys: dict[str, str], tokenizer: str) -> None:
    old = decode(Recipe, known.recipe, "manifest.recipe")
    stages = [
        stage.model_copy(update={"tokens": old.stages[i].tokens}) if i < len(old.stages) else stage
        for i, stage in enumerate(recipe.stages)
    ]
    as_before = recipe.model_copy(update={"stages": stages})
    refuse_edits(known.stages, recipe, stage_keys(as_before, known.seed, keys, tokenizer), old)


_STAYS = {".lock", "corpora"}  # keys say whether a corpus is still the one asked for
_OWN = _STAYS | {"recipe.yaml", "summary.json", "study.json", "report.html", "tokenizer", "data"}


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
