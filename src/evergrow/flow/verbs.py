"""The verbs on a life that goes on: continue, extend, anneal."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evergrow.config import override
from evergrow.corpus.config import SourceConfig
from evergrow.disk import write_file
from evergrow.errors import InputError
from evergrow.flow.asked import refuse_no_rate
from evergrow.flow.before import refuse_early
from evergrow.flow.dispatch import train_units
from evergrow.flow.find import find_root, find_run, last_done, left_behind, unit_of
from evergrow.flow.pages import Carried, write_pages
from evergrow.flow.plan import epoch_limits
from evergrow.flow.recipes import carry_out, plan, remembered_base, with_own_stages
from evergrow.flow.score import score_run
from evergrow.flow.units import KEY_DIGITS, Unit, unfold
from evergrow.images.config import ImageSourceConfig
from evergrow.listener import Listener
from evergrow.made import Made, chosen
from evergrow.models.describe import context_window
from evergrow.models.find import find_model
from evergrow.models.kind import OF_PICTURES, kind_of
from evergrow.models.load import load_model
from evergrow.recipe import LENGTHS, Recipe, decode_recipe, load_recipe
from evergrow.run import Branch, Run, locked
from evergrow.schedules import AnnealShape, Segment, branch
from evergrow.stage import checkpoints
from evergrow.stage.architecture import read_config
from evergrow.stage.legs import carry_out_stage, measure, restore, train_branch
from evergrow.stage.release import node_of, round_to_release, write_release
from evergrow.stage.versions import VERSION
from evergrow.stage.work import open_work
from evergrow.stream.plan import SampleStream

# For a model that is continued without a recipe.
SEQUENCE_LENGTH = 512
BATCH_SIZE = 8
LOOKS_A_STAGE = 10  # measurements inside a stage, where the recipe asks for none


def continue_run(
    folder: Path,
    data: Sequence[str],
    tokens: int,
    stage: str,
    listener: Listener,
    settings: dict[str, Any] | None = None,
) -> Carried:
    """A new stage on the trunk of the Run in ``folder``, with the files that ``data`` globs match.

    Without ``data`` it learns what its sources have that no stage has read: new documents, and
    those that were edited. ``settings`` are dotted fields of the stage (replay.fraction, schedule,
    optimizer_state); the rest stays as the Run has it. The same once more goes on with a stage that
    was interrupted.
    Raises InputError when the stage's name is taken, and what carrying out refuses.
    """
    run = find_run(folder)
    root = find_root(run.folder)
    old = unit_of(run, root)
    before = old.recipe.to_data()
    last = run.manifest.stages[-1]
    if last.name == stage and last.status != "done" and len(before["stages"]) > 1:
        before = {**before, "stages": before["stages"][:-1]}
    elif stage in {*before["sources"], *(s["name"] for s in before["stages"])}:
        taken = ", ".join(s["name"] for s in before["stages"])
        raise InputError(f"{stage}: this run already has {taken}; give the new stage another name")
    source = _source(old.recipe, run, absolute(data)) if data else _again(old.recipe)
    word = "images" if old.recipe.of_pictures else "tokens"
    added: dict[str, Any] = {"name": stage, "data": stage, word: tokens}
    for path, value in (settings or {}).items():
        added = override(added, path, value)
    after = {
        **before,
        "sources": {**before["sources"], stage: source},
        "stages": [*before["stages"], added],
    }
    return _carry_on(root, old, decode_recipe(_watched(after, tokens)), listener)


def _watched(recipe: dict[str, Any], tokens: int) -> dict[str, Any]:
    """The recipe with LOOKS_A_STAGE looks into a stage of ``tokens``, unless it says how often."""
    asked = recipe["evaluate"]
    every = asked.get("every") or max(1, tokens // LOOKS_A_STAGE)
    return {**recipe, "evaluate": {**asked, "every": every}}


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
    if unfinished.status != "done":
        listener.say(f"{unfinished.name} goes on to the end it had; nothing is added to it")
        return _carry_on(root, old, old.recipe, listener)
    data = old.recipe.to_data()
    last = len(old.recipe.stages) - 1
    data["stages"][-1][LENGTHS[old.recipe.form_at(last)]] += tokens
    return _carry_on(root, old, decode_recipe(_watched(data, tokens)), listener)


def _refuse_unfinished(run: Run) -> None:
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


def continue_model(
    model: str,
    data: Sequence[str],
    tokens: int,
    name: str,
    runs: Path,
    listener: Listener,
    settings: dict[str, Any],
    evaluate: Sequence[str] = (),
) -> Carried:
    """A first stage for a model that has no Run: a folder or a hub id, with its own tokenizer.

    ``settings`` are dotted overrides of the recipe this makes; ``schedule.peak_lr`` must be among
    them, because a finished model does not say at which rate it was trained. ``evaluate`` globs
    are measured before and after, never trained on: the old skills.
    """
    refuse_no_rate(model, settings)
    folder = find_model(model)
    if said := left_behind(folder):
        listener.say(said)
    loaded = load_model(folder)
    if kind_of(loaded) in OF_PICTURES:
        raise InputError(
            f"{model}: a {type(loaded).__name__} reads pictures, --data names texts; write a "
            "recipe whose sources have images and whose model.from is this folder (docs/images.md)"
        )
    window = context_window(loaded) or SEQUENCE_LENGTH
    old = {"old": {"files": absolute(evaluate)}} if evaluate else {}
    recipe = {
        "name": name,
        "sources": {name: {"files": absolute(data)}, **old},
        "model": {"from": str(folder.resolve()) if Path(model).is_dir() else model},
        "train": {"sequence_length": min(window, SEQUENCE_LENGTH), "batch_size": BATCH_SIZE},
        "schedule": {"kind": "infinite"},
        "stages": [{"name": name, "data": name, "tokens": tokens}],
        "evaluate": {"sources": list(old)},
    }
    watched = _watched(recipe, tokens)
    asked = decode_recipe(watched, settings)
    _refuse_taken(runs / name, asked)
    return carry_out(asked, runs, Path.cwd(), listener)


def _refuse_taken(root: Path, asked: Recipe) -> None:
    """Raise InputError when another run has this folder; the same one, or a longer, goes on."""
    if not (root / "recipe.yaml").exists():
        return
    both = [asked.to_data(), load_recipe(root / "recipe.yaml").to_data()]
    for data in both:
        data["stages"] = [{**stage, "tokens": None} for stage in data["stages"]]
    if both[0] != both[1]:
        raise InputError(
            f"{root} exists, made of another model, other files or settings; give another --name, "
            f"or a new stage to the run that is there: evergrow continue {root} --data ..."
        )


def absolute(globs: Sequence[str]) -> list[str]:
    """Globs typed on the command line start where it was typed."""
    return [str(Path.cwd() / Path(glob).expanduser()) for glob in globs]


def anneal(folder: Path, tokens: int, shape: AnnealShape, floor: float, listener: Listener) -> Path:
    """A release on request: branch off the trunk's head, anneal to ``floor`` (of the peak rate).

    The branch reads the samples that the trunk would read next; the trunk is untouched. Returns
    the release's folder. Raises InputError when there is nothing to anneal.
    """
    run = find_run(folder)
    root = find_root(run.folder)
    with locked(root), listener.stop.listening():
        _refuse_unfinished(run)
        index, record = last_done(run)
        if checkpoints.reopen(run, index):
            carry_out_stage(run.folder, index, listener)
            run = Run(run.folder)
            record = run.manifest.stages[index]
        recipe = unit_of(run, root).recipe
        _refuse_frozen(recipe, index)
        head, per_step = record.last_step, record.per_step
        num_steps = max(1, tokens // per_step)
        _refuse_epochs(run, recipe, index, num_steps)
        peak = max(float(str(s["from_lr"])) for s in record.schedule)
        peak = max(peak, *(float(str(s["to_lr"])) for s in record.schedule))
        trunk = [Segment.model_validate(s) for s in record.schedule]
        segments = branch(trunk, record.clock_at(head), num_steps * per_step, floor * peak, shape)
        name = f"{record.name}-anneal-{num_steps * per_step}"
        release = run.folder / "releases" / name
        if any(made.name == name for made in run.manifest.branches):
            raise InputError(f"{release}: made before; choose another number of tokens")
        with locked(run.folder):
            _anneal(run, index, name, segments, head, num_steps, release, listener)
        write_pages(root, "done")
    return release


def _refuse_epochs(run: Run, recipe: Recipe, index: int, num_steps: int) -> None:
    """Raise InputError when the branch would read a source more often than it allows."""
    record = run.manifest.stages[index]
    more = num_steps * recipe.train_of(index).batch_size
    longer = record.ledger.model_copy(update={"num_samples": record.ledger.num_samples + more})
    ledgers = [run.manifest.stages[place].ledger for place in record.path[:-1]]
    folders = {name: Path(path).name for name, path in run.manifest.data.items()}
    stream = SampleStream([*ledgers, longer], run.manifest.seed)
    stream.refuse_too_many_epochs(epoch_limits(recipe, folders))


def _refuse_frozen(recipe: Recipe, index: int) -> None:
    """Raise InputError when at the end of stage ``index`` no layer is left that could anneal."""
    depth = recipe.stages[index].depth
    if depth is not None and depth.freeze is not None:
        raise InputError(
            f"stage {recipe.stages[index].name!r} freezes all layers up to its end (depth.freeze), "
            "so nothing is left to anneal; take its release, or continue with a new stage"
        )


def _anneal(
    run: Run,
    index: int,
    name: str,
    segments: Sequence[Segment],
    head: int,
    num_steps: int,
    release: Path,
    listener: Listener,
) -> None:
    record = run.manifest.stages[index]
    work = open_work(run.folder, index, listener, fresh=False)
    listener.say(
        f"{run.folder.name}, {name}: restored weights and optimiser at the end of {record.name}; "
        f"re-initialised nothing; rate {segments[0].from_lr:.3g} to {segments[-1].to_lr:.3g}"
    )
    planned: list[Any] = [s.model_dump() for s in segments]
    try:
        begun = checkpoints.newest_of_branch(run, index, "branch", planned)
        if begun is None:
            run.cut(record.offsets)
            restore(work, checkpoints.Mark(index, record.name, "trunk", head))
        else:
            restore(work, begun, cut=True)
        train_branch(work, "branch", planned, head, head + num_steps)
        made = Made(version=VERSION, settings={"schedule": planned}, inputs={"trunk": record.key})
        key = made.key[:KEY_DIGITS]
        round_to_release(work)
        scores = measure(work, key)
        node = node_of(work, key, "branch", name, [*record.schedule, *planned], scores)
        write_release(work, release, node)
    finally:
        work.writer.close()
    found = Branch(
        name=name,
        key=key,
        stage=record.name,
        from_step=head,
        tokens=num_steps * record.per_step,
        release=release.relative_to(run.folder).as_posix(),
    )
    checkpoints.drop_leg(work.run, index, "branch")
    stages = list(work.run.manifest.stages)
    stages[index] = record.model_copy(update={"offsets": work.run.offsets()})
    work.run.save(stages=stages, branches=[*work.run.manifest.branches, found])
