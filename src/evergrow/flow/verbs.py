"""The verbs on a life that goes on: continue, extend, measure on more."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evergrow.config import override
from evergrow.corpus.config import SourceConfig
from evergrow.disk import locked, write_file
from evergrow.errors import InputError
from evergrow.flow.asked import Mix
from evergrow.flow.before import refuse_early
from evergrow.flow.dispatch import train_units
from evergrow.flow.find import find_root, find_run, remembered_base, unit_of
from evergrow.flow.first_stage import absolute, beside, mixed, watched
from evergrow.flow.pages import Carried, write_pages
from evergrow.flow.plan import refuse_longer_orders
from evergrow.flow.recipes import plan, with_own_stages
from evergrow.flow.score import score_run
from evergrow.flow.units import Unit, unfold
from evergrow.images.config import ImageSourceConfig
from evergrow.listener import Listener
from evergrow.made import chosen
from evergrow.recipe import LENGTHS, Recipe, decode_recipe, load_recipe
from evergrow.run import Run
from evergrow.stage.architecture import read_config


def continue_run(
    folder: Path,
    data: Sequence[str],
    tokens: int,
    stage: str,
    listener: Listener,
    settings: Mapping[str, Any] | None = None,
    mix: Mix | None = None,
) -> Carried:
    """A new stage on the trunk of the Run in ``folder``, with the files that ``data`` globs match.

    Without ``data`` it learns what its sources have that no stage has read: new documents, and
    those that were edited. ``settings`` are dotted fields of the stage (replay.fraction, schedule,
    optimizer_state); the rest stays as the Run has it. ``mix`` is learnt beside them. The same once
    more goes on with a stage that was interrupted, and leaves one that is done.
    Raises InputError when the stage's name is taken, and what carrying out refuses.
    """
    root, old, recipe = stage_after(folder, data, tokens, stage, settings or {}, mix)
    return _carry_on(root, old, recipe, listener)


def stage_after(
    folder: Path,
    data: Sequence[str],
    tokens: int,
    stage: str,
    settings: Mapping[str, Any],
    mix: Mix | None,
) -> tuple[Path, Unit, Recipe]:
    """The recipe's folder, the Run as it is, and its recipe with what ``continue_run`` adds."""
    run = find_run(folder)
    root = find_root(run.folder)
    old = unit_of(run, root)
    if old.recipe.of_pictures and mix is not None:
        raise InputError(
            "--mix is for text; give several sources of pictures a mixture in a recipe"
        )
    source = _source(old.recipe, run, absolute(data)) if data else _again(old.recipe)
    sources = {stage: source}
    others = old.recipe.sources.keys() - _sources_of(old.recipe, stage)
    general = beside("general", {stage, *others})
    if mix is not None:
        sources[general] = {"files": absolute(mix.globs)}
    word = "images" if old.recipe.of_pictures else "tokens"
    added: dict[str, Any] = {"name": stage, **mixed(stage, general, mix), word: tokens}
    for path, value in settings.items():
        added = override(added, path, value)
    return root, old, _with_stage(old.recipe, run, added, sources, tokens)


def _sources_of(recipe: Recipe, stage: str) -> set[str]:
    return {name for made in recipe.stages if made.name == stage for name in made.weights}


def _with_stage(
    recipe: Recipe, run: Run, added: dict[str, Any], sources: dict[str, dict[str, Any]], tokens: int
) -> Recipe:
    """``recipe`` with one more stage, or with its last one when that is the same or unfinished.

    Raises InputError when the stage's name is taken by something else.
    """
    before = recipe.to_data()
    last, name = run.manifest.stages[-1], added["name"]
    is_again = last.name == name and len(before["stages"]) > 1
    stages = before["stages"][:-1] if is_again else before["stages"]
    after = {**before, "sources": {**before["sources"], **sources}, "stages": [*stages, added]}
    after = watched(after, tokens)
    is_taken = name in {*before["sources"], *(s["name"] for s in before["stages"])}
    if (is_again and last.status != "done") or not is_taken:
        return decode_recipe(after)
    if is_again and (found := decode_recipe(after)) == recipe:
        return found
    taken = ", ".join(s["name"] for s in before["stages"])
    raise InputError(f"{name}: this run already has {taken}; give the new stage another name")


def _again(recipe: Recipe) -> dict[str, Any]:
    """The files of all sources of text as one more source: repeats of earlier ones are dropped.

    Raises InputError when they are read in different ways, or are no files.
    """
    learnt = [s for n, s in recipe.sources.items() if n in recipe.streams]
    texts = [s for s in learnt if isinstance(s, SourceConfig) and s.files]
    settings = [chosen(s, {"files", "max_epochs", "max_bad"}) for s in texts]
    if not texts or any(other != settings[0] for other in settings):
        raise InputError(
            "--new: the sources of this run are no files of text that are read in one way; name "
            "the new ones with --data"
        )
    files = list(dict.fromkeys(glob for s in texts for glob in s.files))
    return {**settings[0], "files": files}


def _source(recipe: Recipe, run: Run, globs: list[str]) -> dict[str, Any]:
    """Files as a new source: of text; or of pictures of the model's form, read like the last ones.

    Where earlier sources have files, their labels, modalities and repeats are dealt with alike.
    """
    if not recipe.of_pictures:
        return {"files": globs}
    form = read_config(run.folder / "model")
    earlier = [s for s in recipe.sources.values() if isinstance(s, ImageSourceConfig) and s.images]
    kept = {"label_from", "labels", "findings", "modalities", "duplicates", "max_bad"}
    settings = earlier[-1].model_dump(include=kept) if earlier else {}
    if earlier and earlier[-1].manifest is not None:
        raise InputError(
            f"{run.folder}: its pictures come with a manifest, which --data cannot name; add the "
            "source and a stage to the recipe and run it again"
        )
    return {
        **settings,
        "images": globs,
        "size": form["image_size"],
        "channels": form["num_channels"],
    }


def extend(folder: Path, tokens: int, listener: Listener) -> Carried:
    """``tokens`` more of the Run's last stage; its release is made anew at the new end.

    A stage that was stopped is finished first, as it was planned, and nothing is added: this may be
    the same command again. Raises InputError for a schedule that was planned to its end.
    """
    run = find_run(folder)
    root = find_root(run.folder)
    old = unit_of(run, root)
    unfinished = run.manifest.stages[-1]
    refuse_longer_orders(old.recipe, len(old.recipe.stages) - 1)
    if unfinished.status != "done":
        listener.say(f"{unfinished.name} goes on to the end it had; nothing is added to it")
        return _carry_on(root, old, old.recipe, listener)
    data = old.recipe.to_data()
    last = len(old.recipe.stages) - 1
    data["stages"][-1][LENGTHS[old.recipe.form_at(last)]] += tokens
    return _carry_on(root, old, decode_recipe(watched(data, tokens)), listener)


def refuse_unfinished(run: Run) -> None:
    """Raise InputError when the last stage of a Run is not finished."""
    last = run.manifest.stages[-1]
    if last.status != "done":
        raise InputError(
            f"{run.folder}: {last.name} is not finished; run the recipe again to finish it first"
        )


def _carry_on(root: Path, old: Unit, recipe: Recipe, listener: Listener) -> Carried:
    unit = Unit(old.arm, old.seed, old.folder, recipe)
    with locked(root), listener.stop.listening():
        whole = load_recipe(root / "recipe.yaml")
        refuse_early(root, [unit])
        plan([unit], whole, root, remembered_base(root), listener)
        return train_units(root, 1, [unit], listener)


def measure_also(path: Path, name: str, files: str, listener: Listener) -> Path:
    """Measure every release of the recipe at ``path`` on more files, called ``name``.

    They join the sources that are only measured; nothing is trained. Returns the report. Raises
    InputError for a name that is taken.
    """
    root = find_root(path)
    with locked(root), listener.stop.listening():
        recipe = load_recipe(root / "recipe.yaml")
        if recipe.of_pictures:
            raise InputError(
                "--add is for text, and this run's model sees pictures; give its recipe another "
                "source of images under evaluate.sources and run it again"
            )
        if name in recipe.sources or name in recipe.corpora:
            raise InputError(f"--add {name}: this recipe has a source of that name; choose another")
        data = recipe.to_data()
        data["sources"][name] = {"files": absolute([files])}
        data["evaluate"]["sources"] = [*recipe.evaluate.sources, name]
        more = decode_recipe(data)
        units = with_own_stages(root, unfold(more))
        plan(units, more, root, remembered_base(root), listener)
        write_file(root / "recipe.yaml", more.to_yaml())
        for unit in units:
            score_run(root, Run(root / unit.folder), listener)
        return write_pages(root, "done").report
