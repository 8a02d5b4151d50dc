"""What becomes of a stage's data orders: their average, or the best of them, is its release.

Never averaged blindly: every order and their average are measured, and the best is taken (OLMo 2,
2501.00656, Table 14: one mix in six falls from 60.5 to 43 when it is averaged).
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evergrow.lineage import AVERAGE, Candidate, Measured, Soup, read_node
from evergrow.listener import Listener
from evergrow.made import Made
from evergrow.models.load import load_model
from evergrow.models.soup import write_average
from evergrow.run import StageRecord
from evergrow.scores.measure import measure_release
from evergrow.scores.store import copy_scores
from evergrow.stage.counts import count
from evergrow.stage.release import node_of, write_release
from evergrow.stage.versions import VERSION
from evergrow.stage.work import Work, open_work
from evergrow.train.loop import load_weights, weights


def make_soup(folder: Path, index: int, listener: Listener) -> None:
    """Average the orders of stage ``index`` of the Run in ``folder``, and release the best.

    The Run is locked. Nothing is trained; killed anywhere, it is made again to the same bytes.
    """
    work = open_work(folder, index, listener, fresh=False)
    try:
        _make(work)
    finally:
        work.writer.close()


def _make(work: Work) -> None:
    run, record, model = work.run, work.record, work.model
    kind: Any = model
    parts = [run.manifest.stages[place] for place in record.ingredients]
    facts = {"model": count(work.recipe, work.index, kind), "adapters": parts[0].adapters}
    run.save_stage(work.index, status="training", **facts)
    folders = {part.name: run.folder / str(part.release) for part in parts}
    kept = run.folder / ".average"
    write_average([*folders.values()], kept)
    keys = {part.name: part.key for part in parts} | {AVERAGE: average_key(record)}
    folders |= {AVERAGE: kept}
    found = {name: _measured(work, keys[name], folders[name]) for name in keys}
    soup = choose(keys, found, [run.manifest.stages[place] for place in record.path])
    work.listener.say(f"{run.manifest.arm}, {record.name}: {in_words(soup)}")
    load_weights(model, weights(load_model(folders[soup.chosen])))
    shutil.rmtree(kept)  # before the stage is done, after which nobody would come by
    _release(work, soup, keys[soup.chosen], read_node(folders[parts[0].name]))


def average_key(record: StageRecord) -> str:
    """What stands for the average of a stage's orders, whether it is chosen or not."""
    made = Made(version=VERSION, settings={"soup": AVERAGE}, inputs={"orders": record.key})
    return made.key[: len(record.key)]


def _measured(work: Work, key: str, folder: Path) -> list[Measured]:
    """The losses of a model on every source of the Run, as of any release."""

    def load() -> Any:
        load_weights(work.model, weights(load_model(folder)))
        return work.model

    return measure_release(work.opened, work.root, key, load, False, work.listener.say)


def choose(
    keys: Mapping[str, str], found: Mapping[str, Sequence[Measured]], way: Sequence[StageRecord]
) -> Soup:
    """The best of several models by the mean of their losses on the stages on the ``way`` to them.

    A stage counts once, its sources by their weights in its mixture: what ``average`` in
    summary.json is of the stage. Sources that are only measured have no say.
    """
    told = {name: {line.source: line.loss for line in lines} for name, lines in found.items()}
    loss = {name: on_average(losses, way) for name, losses in told.items()}
    streams = list(dict.fromkeys(source for stage in way for source in stage.mixture))
    return best_of(keys, loss, streams, way[-1].unit)


def best_of(
    keys: Mapping[str, str], loss: Mapping[str, float], measured_on: list[str], unit: str
) -> Soup:
    """The model of the lowest loss; of equals the average is taken."""
    best = min(loss, key=lambda name: (loss[name], name != AVERAGE))
    parts = [name for name in keys if name != AVERAGE]
    share = {name: 1 / len(parts) if best == AVERAGE else float(name == best) for name in parts}
    return Soup(
        chosen=best,
        shares={keys[name]: share[name] for name in parts},
        candidates=[Candidate(name=name, key=keys[name], loss=loss[name]) for name in keys],
        measured_on=measured_on,
        unit=unit,
    )


def on_average(losses: Mapping[str, float], way: Sequence[StageRecord]) -> float:
    """The mean over stages of the losses on their sources, weighed as they were mixed."""
    mixed = [sum(w * losses[s] for s, w in stage.mixture.items()) for stage in way]
    return sum(mixed) / len(mixed)


def in_words(soup: Soup) -> str:
    """Which of them is the release, by which numbers, and what they are worth."""
    best = next(one for one in soup.candidates if one.name == soup.chosen)
    rest = sorted((c for c in soup.candidates if c is not best), key=lambda one: one.loss)
    others = ", ".join(f"{one.name} {one.loss:.4f}" for one in rest)
    verdict = "the release is the average of all" if soup.chosen == AVERAGE else (
        f"the release is {soup.chosen}, which is better than the average"
    )  # fmt: skip
    return (
        f"{verdict}: {best.loss:.4f} {soup.unit} against {others} (mean over the held-out parts of "
        f"{', '.join(soup.measured_on)}; the best of {len(soup.candidates)} on the text it is "
        "chosen on flatters it a little)"
    )


def _release(work: Work, soup: Soup, chosen: str, ingredient: Any) -> None:
    """Write the model as it is now as the stage's release, with the scores that it has."""
    run, record = work.run, work.record
    work.state.step, work.state.passed = record.last_step, ingredient.details["passed"]
    copy_scores(work.root, chosen, record.key)
    scores = measure_release(
        work.opened, work.root, record.key, lambda: work.model, False, work.listener.say
    )
    schedule = [*record.schedule, *(record.release_schedule or [])]
    node = node_of(work, record.key, "soup", record.name, schedule, scores)
    details = {**node.details, "soup": soup.model_dump(mode="json")}
    release = f"releases/{record.name}"
    write_release(work, run.folder / release, node.model_copy(update={"details": details}))
    ends = {"offsets": run.offsets(), "digests": run.digests()}
    run.save_stage(work.index, status="done", release=release, soup=soup, **ends)
