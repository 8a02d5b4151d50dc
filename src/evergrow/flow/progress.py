"""How far a whole recipe is: the steps of every stage that is trained, each counted once."""

from dataclasses import replace
from pathlib import Path

from evergrow.listener import Listener, Progress
from evergrow.run import Run
from evergrow.stage import checkpoints


def saved_steps(run: Run, index: int) -> int:
    """The steps of a stage, of trunk and release together, that going on does not make again."""
    record = run.manifest.stages[index]
    if record.status == "done":
        return record.all_steps
    if record.fork_step is not None and (mark := checkpoints.newest(run, index, "anneal")):
        return record.trunk_end - record.first_step + mark.step - record.fork_step
    trunk = checkpoints.newest(run, index, "trunk")
    return 0 if trunk is None else trunk.step - record.first_step


class Whole:
    """The steps that are done of the stages in ``trained``, each a run's folder and a place."""

    def __init__(self, trained: list[tuple[Path, int]]) -> None:
        self._done: dict[tuple[Path, str], int] = {}
        self._total = 0
        for folder, index in trained:
            run = Run(folder)
            record = run.manifest.stages[index]
            self._done[folder, record.name] = saved_steps(run, index)
            self._total += record.all_steps

    def of(self, progress: Progress) -> Progress:
        """``progress``, with that of the whole."""
        place = (progress.folder, progress.stage)
        if place not in self._done:
            return progress
        self._done[place] = progress.done
        return replace(progress, whole=(sum(self._done.values()), self._total))


def counting(trained: list[tuple[Path, int]], listener: Listener) -> Listener:
    """``listener``, who is told of the whole as well."""
    whole = Whole(trained)
    return replace(listener, progress=lambda said: listener.progress(whole.of(said)))
