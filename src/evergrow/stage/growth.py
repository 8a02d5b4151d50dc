"""The birth of a larger model between two stages: its weights, its optimiser, its first loss."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

from evergrow.disk import sealed, write_file
from evergrow.errors import EvergrowError
from evergrow.grow.check import check_growth
from evergrow.grow.cost import cost_of
from evergrow.grow.expand import grow_state, provenance
from evergrow.grow.moments import grow_moments
from evergrow.grow.plan import GrowthPlan
from evergrow.grow.record import FORMAT, plan_record
from evergrow.grow.stored import Stored
from evergrow.models.load import empty_model
from evergrow.models.skeleton import skeleton
from evergrow.models.weights import read_slots
from evergrow.run import load_checkpoint, read_checkpoint_state
from evergrow.scores.measure import measure_part
from evergrow.stage.architecture import architecture, growth_folder, plan_before, read_config
from evergrow.stage.checkpoints import Mark
from evergrow.stage.versions import package_version
from evergrow.stage.work import Work
from evergrow.train.loop import load_weights

FP32 = 4  # bytes


def grow(work: Work, parent: Mark) -> None:
    """Begin the stage with what the checkpoint ``parent`` becomes when its model grows.

    The same checkpoint gives the same bytes, so a kill before the stage's first own checkpoint
    costs no more than growing again. Writes growth.json. Raises EvergrowError when an operator
    that the plan calls exact changed the function, or the gradients exploded.
    """
    growth = work.recipe.stages[work.index].grow
    assert growth is not None
    plan = plan_before(work.run, work.recipe, work.index)
    folder = growth_folder(work.run.folder, work.recipe, work.index)
    tensors = load_checkpoint(work.run.checkpoints / parent.name)
    source = empty_model(architecture(work.run.folder, work.recipe, parent.index))
    load_weights(source, tensors["model"])
    moments, actions = grow_moments(plan, tensors["optimizer"], growth.optimizer_state)
    weights = grow_state(plan, tensors["model"])
    grown = {"model": weights, "optimizer": moments, "guard": tensors["guard"]}
    passed = read_checkpoint_state(work.run.checkpoints / parent.name).passed
    work.state.load(grown, parent.step, passed)
    with _on_disk(folder / ".weights", plan, weights) as large:
        checked = check_growth(_checkpoint(work, parent), large, plan)
    costs = [cost_of(skeleton(config), FP32) for config in (plan.source, plan.target)]
    record = {
        "format": FORMAT,
        "evergrow": package_version(),
        "source": _origin(work, parent),
        "grow": growth.model_dump(mode="json"),
        **plan_record(plan, *costs),
        "tensors": {name: provenance(plan, name).record() for name in weights},
        "optimizer": actions,
        "verification": checked.record(),
        "loss": _losses_at_birth(work, source),
    }
    text = json.dumps(sealed(record), indent=1, sort_keys=True, allow_nan=False)
    write_file(folder / "growth.json", text + "\n")
    if checked.problems:
        raise EvergrowError(
            f"{folder}: the model that {parent.name} grew into is not what was planned: "
            f"{'; '.join(checked.problems)}; choose another method, or report this with growth.json"
        )


def _checkpoint(work: Work, mark: Mark) -> Stored:
    """A checkpoint's weights as the grow room reads them."""
    folder = work.run.checkpoints / mark.name
    config = read_config(architecture(work.run.folder, work.recipe, mark.index))
    return Stored(folder, config, read_slots(folder))


@contextmanager
def _on_disk(folder: Path, plan: GrowthPlan, weights: Mapping[str, Tensor]) -> Iterator[Stored]:
    """The grown weights in a file, for as long as they are checked."""
    shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed here
    folder.mkdir(parents=True)
    save_file(dict(weights), folder / "model.safetensors", metadata={"format": "pt"})
    yield Stored(folder, plan.target, read_slots(folder))
    shutil.rmtree(folder)


def _origin(work: Work, mark: Mark) -> dict[str, Any]:
    files = read_checkpoint_state(work.run.checkpoints / mark.name).files
    hashes = {name: stored.blake3 for name, stored in files.items()}
    return {"path": f"checkpoints/{mark.name}", "blake3": hashes}


def _losses_at_birth(work: Work, source: nn.Module) -> dict[str, dict[str, float]]:
    """The loss on every stream's part, before and after: ``{source: {before, after}}``."""
    found = {
        when: measure_part(
            work.opened,
            model.to(work.state.device),
            work.recipe.measured,
            f"{work.run.folder}: {when} the growth before {work.record.name}",
        )
        for when, model in (("before", source), ("after", work.model))
    }
    return {
        line.source: {when: lines[i].loss for when, lines in found.items()}
        for i, line in enumerate(found["before"])
    }


def in_words(work: Work) -> str:
    """The growth before the stage: ``grown: hidden 96 to 192, heads 3 to 6 (exact)``."""
    plan = plan_before(work.run, work.recipe, work.index)
    axes = ", ".join(f"{v.axis} {v.before} to {v.after}" for v in plan.verdicts)
    return f"grown: {axes} ({plan.exactness})"
