"""Several orders of a stage's data: what they are spread into, and what is refused."""

from typing import Any

import pytest
from recipe.recipes import of_stages, recipe, sentence

from evergrow.errors import InputError
from evergrow.recipe import Beginning, Recipe
from evergrow.recipe.orders import spread

LINEAR = {"kind": "linear"}
TWO = {"stages.1.orders": 2, "stages.1.schedule": LINEAR}


def spread_out(*stages: dict[str, Any], **overrides: Any) -> Recipe:
    return of_stages(*stages, **overrides).resolve("main")


def test_a_stage_for_every_order_stands_before_the_one_they_make() -> None:
    made = spread_out({}, {"orders": 2, "schedule": LINEAR}, {})
    assert [s.name for s in made.stages] == ["s0", "s1-order-1", "s1-order-2", "s1", "s2"]
    assert [(s.order, s.orders) for s in made.stages[1:4]] == [(1, None), (2, None), (1, 2)]
    assert [made.begin_of(i) for i in range(5)] == [
        Beginning("start"),
        Beginning("trunk", 0),
        Beginning("trunk", 0),
        Beginning("trunk", 0),
        Beginning("release", 3),  # what came to rest at rate zero has no trunk to go on
    ]
    assert [made.ingredients_of(i) for i in range(5)] == [[], [], [], [1, 2], []]
    assert [made.soup_of(i) for i in range(5)] == [None, 3, 3, None, None]
    assert spread(made.stages) == made.stages


def test_all_orders_begin_where_the_stage_says() -> None:
    first = spread_out({"orders": 2, "schedule": {"kind": "linear", "peak_lr": 1e-3}})
    assert {first.begin_of(i).kind for i in range(3)} == {"start"}
    peaked = {**LINEAR, "peak_lr": 1}
    tuned = spread_out({}, {}, {"from": "s0.release", "orders": 2, "schedule": peaked})
    assert [tuned.begin_of(i) for i in (2, 3, 4)] == [Beginning("release", 0)] * 3
    after = spread_out({}, {"orders": 2, "schedule": LINEAR}, {}, {"from": "s1"})
    assert after.begin_of(5) == Beginning("release", 3)


@pytest.mark.parametrize(
    "schedule",
    [
        {"kind": "cosine", "peak_lr": 1e-3, "floor": 0},
        {"kind": "wsd", "peak_lr": 1e-3, "floor": 0, "anneal": {"shape": "linear"}},
        {"kind": "infinite", "peak_lr": 1e-3, "floor": 0, "anneal": {"shape": "cosine"}},
    ],
)  # fmt: skip
def test_a_schedule_that_comes_to_rest_is_one_for_orders(schedule: dict[str, Any]) -> None:
    assert len(spread_out({"orders": 3, "schedule": schedule}).stages) == 4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stages.1.orders": 3}, "stage 'two' has orders 3, whose average needs a rate that ends "
         "at 0, and its schedule (infinite) ends at 0.1 of its peak; give the stage schedule: "
         "{kind: linear}, or a floor of 0"),
        ({"stages.1.orders": 3, "stages.1.schedule": {"kind": "constant"}},
         "its schedule (constant) ends at 1 of its peak"),
        ({"stages.1.orders": 1}, "orders: expected 2 or more, got 1; the average of one order is "
         "that order, so remove it"),
        ({"stages.1.orders": 3, "stages.1.order": 2}, "orders are all of 1 to 3, got order 2"),
        ({**TWO, "stages.1.grow": {"to": {"layers": 2}}},
         "a stage of several orders begins with one model for all of them, so it cannot grow"),
    ],
)  # fmt: skip
def test_orders_that_make_no_soup_are_one_sentence(changes: dict[str, Any], said: str) -> None:
    assert said in sentence(changes)


def test_a_stage_called_like_an_order_is_refused() -> None:
    changes = {"stages.0.name": "two-order-1", "stages.1.orders": 2, "stages.1.schedule": LINEAR}
    with pytest.raises(InputError, match="stage names must differ, got 'two-order-1' twice"):
        recipe(**{key.replace(".", "__"): value for key, value in changes.items()}).resolve("main")


def test_a_stage_after_orders_has_no_trunk_to_grow_from() -> None:
    with pytest.raises(InputError, match="begins at a release and has no trunk to grow from"):
        of_stages({}, {"orders": 2, "schedule": LINEAR}, {"grow": {"to": {"layers": 2}}})


def test_all_orders_draw_by_the_name_of_the_stage_they_make() -> None:
    made = spread_out({}, {"orders": 2, "schedule": LINEAR}, {})
    assert [made.keyed_name(i) for i in range(5)] == ["s0", "s1", "s1", "s1", "s2"]
