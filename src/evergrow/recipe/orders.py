"""A stage of several data orders, spread into a stage for each of them before the one they make.

OLMo 2 (2501.00656, section 4.5): mid-training on one mix under several data orders, then their
average. What is averaged must have come to rest: the rate ends at zero.
"""

from collections.abc import Sequence

from evergrow.recipe.stages import StageConfig
from evergrow.schedules import Constant, ScheduleConfig


def name_of(stage: str, order: int) -> str:
    """What a stage's ingredient of this order is called."""
    return f"{stage}-order-{order}"


def ingredients(stages: Sequence[StageConfig], index: int) -> list[int]:
    """The places of the orders that stage ``index`` is made of; none for other stages, and before
    it is spread."""
    stage = stages[index]
    number = stage.orders or 0
    places = range(max(0, index - number), index)
    wanted = [name_of(stage.name, order) for order in range(1, number + 1)]
    return [*places] if [stages[place].name for place in places] == wanted else []


def spread(stages: Sequence[StageConfig]) -> list[StageConfig]:
    """``stages`` with an ingredient for each order before every stage that has several.

    All of them begin where that stage begins. What is spread already stays.
    """
    found: list[StageConfig] = []
    for index, stage in enumerate(stages):
        if stage.orders is not None and not ingredients(stages, index):
            begin = stage.from_ or ("start" if index == 0 else stages[index - 1].name)
            stage = stage.model_copy(update={"from_": begin})
            found += [_ingredient(stage, order) for order in range(1, int(stage.orders or 0) + 1)]
        found.append(stage)
    return found


def _ingredient(stage: StageConfig, order: int) -> StageConfig:
    changes = {"name": name_of(stage.name, order), "order": order, "orders": None}
    return stage.model_copy(update=changes)


def refuse_restless(stage: StageConfig, schedule: ScheduleConfig) -> None:
    """Raise ValueError when the releases of several orders would not end at rate zero.

    linear and cosine do with floor 0, infinite and wsd when their anneal goes to floor 0.
    """
    floor = 1.0 if isinstance(schedule, Constant) else schedule.floor
    if stage.orders is None or floor == 0:
        return
    raise ValueError(
        f"stage {stage.name!r} has orders {stage.orders}, whose average needs a rate that ends at "
        f"0, and its schedule ({schedule.kind}) ends at {floor:g} of its peak; give the stage "
        "schedule: {kind: linear}, or a floor of 0"
    )
