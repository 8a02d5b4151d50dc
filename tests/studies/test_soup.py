from types import SimpleNamespace
from typing import Any

from stage_records import stage_record

from evergrow.lineage import AVERAGE, Candidate, Soup
from evergrow.run import Run, StageRecord
from evergrow.studies import STUDIES
from evergrow.studies.harness import study_recipe
from evergrow.studies.soup import ORDERS, losses_of

STUDY = STUDIES["soup"]


def _run(stage: StageRecord) -> Run:
    """A Run of which only its last stage is asked."""
    found: Any = SimpleNamespace(manifest=SimpleNamespace(stages=[stage]))
    return found


def test_one_long_order_has_the_compute_of_all_of_them() -> None:
    recipe = study_recipe(STUDY, 2, {})
    orders, long = recipe.resolve("orders"), recipe.resolve("long")
    assert [stage.name for stage in orders.stages[1:]] == [
        "mid-order-1", "mid-order-2", "mid-order-3", "mid"
    ]  # fmt: skip
    assert long.stages[-1].tokens == sum(stage.length for stage in orders.stages[1:4]) == 450_000
    assert ORDERS == 3
    longer = study_recipe(STUDY, 2, {"stages.1.tokens": "2k"})
    assert longer.resolve("long").stages[-1].tokens == 6_000


def test_the_average_is_told_from_its_orders() -> None:
    losses = {"a": 1.0, "b": 3.0, AVERAGE: 1.5}
    candidates = [Candidate(name=name, key=name, loss=loss) for name, loss in losses.items()]
    soup = Soup(chosen="a", shares={}, candidates=candidates, measured_on=["x"], unit="u")
    assert losses_of(soup) == ([1.0, 3.0], 1.5)
    read = {name: STUDY.measures[name] for name in ("average", "mean order", "best order")}
    stage = stage_record("mid").model_copy(update={"soup": soup})
    assert {name: of(_run(stage)) for name, of in read.items()} == {
        "average": 1.5, "mean order": 2.0, "best order": 1.0
    }  # fmt: skip
    assert STUDY.measures["average"](_run(stage_record("mid"))) is None
