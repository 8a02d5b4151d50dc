"""A release on request: a branch off the trunk's head, whose rate goes to the floor."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from evergrow.disk import locked
from evergrow.errors import InputError
from evergrow.flow.find import find_root, find_run, last_done, unit_of
from evergrow.flow.pages import write_pages
from evergrow.flow.plan import epoch_limits
from evergrow.flow.units import KEY_DIGITS
from evergrow.flow.verbs import refuse_unfinished
from evergrow.listener import Listener
from evergrow.made import Made, Settings
from evergrow.recipe import Recipe
from evergrow.run import Branch, Run, StageRecord
from evergrow.schedules import AnnealShape, Segment, branch
from evergrow.stage import checkpoints
from evergrow.stage.legs import Schedule, carry_out_stage, measure, restore, train_branch
from evergrow.stage.release import node_of, round_to_release, write_release
from evergrow.stage.versions import VERSION
from evergrow.stage.work import Work, open_work
from evergrow.stream.plan import SampleStream


class _Planned(NamedTuple):
    """A branch to be made: where it leaves the trunk, how long it is, and its rates."""

    index: int
    name: str
    key: str
    segments: Sequence[Segment]
    head: int
    num_steps: int

    @property
    def schedule(self) -> Schedule:
        """The segments as checkpoints and the lineage hold them."""
        return [s.model_dump() for s in self.segments]


def anneal(folder: Path, tokens: int, shape: AnnealShape, floor: float, listener: Listener) -> Path:
    """A release on request: branch off the trunk's head, anneal to ``floor`` (of the peak rate).

    The branch reads the samples that the trunk would read next; the trunk is untouched. Returns
    the release's folder; one that was made so before stays. Raises InputError when there is
    nothing to anneal, or when the release of this name was made in another way.
    """
    run = find_run(folder)
    root = find_root(run.folder)
    with locked(root), listener.stop.listening():
        refuse_unfinished(run)
        index, record = last_done(run)
        _refuse_soup(record)
        if checkpoints.reopen(run, index):
            carry_out_stage(run.folder, index, listener)
            run = Run(run.folder)
            record = run.manifest.stages[index]
        recipe = unit_of(run, root).recipe
        _refuse_frozen(recipe, index)
        planned = _plan(index, record, max(1, tokens // record.per_step), shape, floor)
        release = run.folder / "releases" / planned.name
        if _is_made(run, planned, release):
            listener.say(f"{release}: done before; nothing was trained")
            return release
        _refuse_epochs(run, recipe, index, planned.num_steps)
        with locked(run.folder):
            _anneal(run, planned, release, listener)
        write_pages(root, "done")
    return release


def _plan(
    index: int, record: StageRecord, num_steps: int, shape: AnnealShape, floor: float
) -> _Planned:
    trunk = [Segment.model_validate(s) for s in record.schedule]
    peak = max(rate for segment in trunk for rate in (segment.from_lr, segment.to_lr))
    head, length = record.last_step, num_steps * record.per_step
    segments = branch(trunk, record.clock_at(head), length, floor * peak, shape)
    settings: Settings = {"schedule": [s.model_dump() for s in segments]}
    made = Made(version=VERSION, settings=settings, inputs={"trunk": record.key})
    name = f"{record.name}-anneal-{length}"
    return _Planned(index, name, made.key[:KEY_DIGITS], segments, head, num_steps)


def _is_made(run: Run, planned: _Planned, release: Path) -> bool:
    """Whether this release is there; raises InputError for another one of its name."""
    keys = [branch.key for branch in run.manifest.branches if branch.name == planned.name]
    if keys and keys[0] != planned.key:
        raise InputError(
            f"{release}: made before with another shape or floor, or before the stage was made "
            "longer; choose another number of tokens"
        )
    return bool(keys)


def _refuse_epochs(run: Run, recipe: Recipe, index: int, num_steps: int) -> None:
    """Raise InputError when the branch would read a source more often than it allows."""
    record = run.manifest.stages[index]
    more = num_steps * recipe.train_of(index).batch_size
    longer = record.ledger.model_copy(update={"num_samples": record.ledger.num_samples + more})
    ledgers = [run.manifest.stages[place].ledger for place in record.path[:-1]]
    folders = {name: Path(path).name for name, path in run.manifest.data.items()}
    stream = SampleStream([*ledgers, longer], run.manifest.seed)
    stream.refuse_too_many_epochs(epoch_limits(recipe, folders))


def _refuse_soup(record: StageRecord) -> None:
    """Raise InputError for a stage of several orders, which came to rest and has no trunk."""
    if record.ingredients:
        raise InputError(
            f"stage {record.name!r} was trained in {len(record.ingredients)} orders down to rate "
            "zero, so there is no trunk left to anneal; take its release, or continue with a new "
            "stage"
        )


def _refuse_frozen(recipe: Recipe, index: int) -> None:
    """Raise InputError when at the end of stage ``index`` no layer is left that could anneal."""
    depth = recipe.stages[index].depth
    if depth is not None and depth.freeze is not None:
        raise InputError(
            f"stage {recipe.stages[index].name!r} freezes all layers up to its end (depth.freeze), "
            "so nothing is left to anneal; take its release, or continue with a new stage"
        )


def _anneal(run: Run, planned: _Planned, release: Path, listener: Listener) -> None:
    record = run.manifest.stages[planned.index]
    work = open_work(run.folder, planned.index, listener, fresh=False)
    first, last = planned.segments[0].from_lr, planned.segments[-1].to_lr
    listener.say(
        f"{run.folder.name}, {planned.name}: restored weights and optimiser at the end of "
        f"{record.name}; re-initialised nothing; rate {first:.3g} to {last:.3g}"
    )
    try:
        _train(work, planned)
        round_to_release(work)
        scores = measure(work, planned.key)
        schedule = [*record.schedule, *planned.schedule]
        node = node_of(work, planned.key, "branch", planned.name, schedule, scores)
        write_release(work, release, node)
    finally:
        work.writer.close()
    found = Branch(
        name=planned.name,
        key=planned.key,
        stage=record.name,
        from_step=planned.head,
        tokens=planned.num_steps * record.per_step,
        release=release.relative_to(run.folder).as_posix(),
    )
    checkpoints.drop_leg(work.run, planned.index, "branch")
    stages = list(work.run.manifest.stages)
    ends = {"offsets": work.run.offsets(), "digests": work.run.digests()}
    stages[planned.index] = record.model_copy(update=ends)
    work.run.save(stages=stages, branches=[*work.run.manifest.branches, found])


def _train(work: Work, planned: _Planned) -> None:
    """Train the branch, from the trunk's head or where it was interrupted."""
    index, head = planned.index, planned.head
    begun = checkpoints.newest_of_branch(work.run, index, "branch", planned.schedule)
    if begun is None:
        work.run.cut(work.record.offsets)
        restore(work, checkpoints.Mark(index, work.record.name, "trunk", head))
    else:
        restore(work, begun, cut=True)
    train_branch(work, "branch", planned.schedule, head, head + planned.num_steps)
