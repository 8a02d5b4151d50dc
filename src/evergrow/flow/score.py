"""Measure releases of a Run on what they were not measured on yet: any day, without training."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from evergrow.config import decode
from evergrow.listener import Listener
from evergrow.models.load import load_model
from evergrow.recipe import Recipe
from evergrow.run import Run
from evergrow.scores.measure import is_measured, measure_release
from evergrow.scores.opening import Opened
from evergrow.stage.work import set_up_process
from evergrow.train.loop import choose_device


@dataclass(frozen=True)
class Node:
    """A model of a Run that is measured: its key, what it is called, and how to load it."""

    key: str
    name: str
    first: bool
    load: Callable[[], nn.Module]


def score_run(root: Path, run: Run, listener: Listener) -> None:
    """Measure the start model and every release of ``run`` on every source of its recipe.

    What was measured stays as it is, so after a finished recipe this costs nothing.
    """
    recipe = decode(Recipe, run.manifest.recipe, "manifest.recipe")
    manifest = run.manifest
    opened = Opened.at(recipe, root, manifest.data, manifest.start.kind, manifest.seed)
    todo = [
        node
        for node in nodes(run, opened, listener)
        if not is_measured(opened, root, node.key, node.first)
    ]
    if not todo:
        return
    set_up_process(recipe.train)
    device = choose_device(recipe.train)
    for node in todo:
        listener.say(f"{manifest.arm}, {node.name}: measured on what is new")

        def load(node: Node = node) -> nn.Module:
            return node.load().to(device)

        measure_release(opened, root, node.key, load, node.first, listener.say)


def nodes(run: Run, opened: Opened, listener: Listener) -> Iterator[Node]:
    """The start model, the releases of finished stages, and branches made on request."""
    manifest = run.manifest

    def start() -> nn.Module:
        return opened.objective_at(0).first_model(listener.say)

    if any(stage.status == "done" and stage.begin.kind == "start" for stage in manifest.stages):
        yield Node(manifest.start.key, "start", True, start)
    released = [(s.key, s.name, s.release) for s in manifest.stages if s.status == "done"]
    released += [(b.key, b.name, b.release) for b in manifest.branches]
    for key, name, release in released:
        folder = run.folder / str(release)
        yield Node(key, name, False, lambda folder=folder: load_model(folder))
