"""Keys by content and by wish: defaults are left out, tags stay, and changes are said in words."""

from typing import Annotated, Literal

import pytest
from pydantic import Field

from evergrow.config import Config
from evergrow.made import Made, changes, chosen


class Cosine(Config):
    kind: Literal["cosine"] = "cosine"
    floor: float = 0.1


class Steps(Config):
    kind: Literal["steps"] = "steps"
    at: list[int] = [3]


Shape = Annotated[Cosine | Steps, Field(discriminator="kind")]


class Inner(Config):
    size: int = 8
    name: str | None = None


class Outer(Config):
    shape: Shape = Cosine()
    inner: Inner = Inner()
    many: dict[str, Inner] = {}
    listed: list[Shape] = []
    from_: str | None = Field(default=None, alias="from")
    order: Literal["seen", "reshuffled"] = "seen"
    needed: int


class Newer(Outer):
    """The same settings, and one that came later."""

    dropout: float = 0.0


def test_defaults_are_left_out_wherever_they_stand() -> None:
    assert chosen(Outer(needed=0)) == {"needed": 0}
    assert chosen(Outer(needed=1, inner=Inner(size=9))) == {"needed": 1, "inner": {"size": 9}}
    assert chosen(Outer(needed=1, inner=Inner(size=8), order="seen")) == {"needed": 1}
    many = {"a": Inner(), "b": Inner(name="x")}
    assert chosen(Outer(needed=1, many=many))["many"] == {"a": {}, "b": {"name": "x"}}


def test_a_setting_with_a_default_is_new_and_no_key_changes() -> None:
    old, new = (
        chosen(Outer(needed=1, order="reshuffled")),
        chosen(Newer(needed=1, order="reshuffled")),
    )
    assert old == new
    assert Made(version=1, settings=old).key == Made(version=1, settings=new).key
    assert chosen(Newer(needed=1, dropout=0.1)) == {"needed": 1, "dropout": 0.1}


def test_a_tag_stays_where_its_settings_do() -> None:
    assert chosen(Cosine()) == {"kind": "cosine"}
    assert chosen(Outer(needed=1, shape=Steps()))["shape"] == {"kind": "steps"}
    assert chosen(Outer(needed=1, shape=Cosine(floor=0.2)))["shape"] == {
        "kind": "cosine",
        "floor": 0.2,
    }
    listed = chosen(Outer(needed=1, listed=[Cosine(), Steps(at=[1, 2])]))["listed"]
    assert listed == [{"kind": "cosine"}, {"kind": "steps", "at": [1, 2]}]


def test_names_are_those_of_the_recipe_and_some_are_left_out() -> None:
    config = Outer.model_validate({"needed": 1, "from": "hub/x", "order": "reshuffled"})
    assert chosen(config) == {"needed": 1, "from": "hub/x", "order": "reshuffled"}
    assert chosen(config, {"from_", "needed"}) == {"order": "reshuffled"}
    nested = Outer(needed=1, inner=Inner(size=9))
    assert chosen(nested, {"size"})["inner"] == {"size": 9}, "at the top alone"


# Checked in: with another one every made thing would be made again.
KEY = "a5b03058e7a42c02ef6ca143e0cb048d0f882f5ddaca0902c80d0be54b4c55f2"
MADE = Made(version=2, settings={"a": 1, "b": {"c": 2}}, inputs={"data": "x", "start": "y"})


def test_a_key_is_of_all_of_it_and_of_no_order() -> None:
    assert len(MADE.key) == 64
    assert MADE.key == KEY
    inputs = {"start": "y", "data": "x"}
    assert Made(version=2, settings={"b": {"c": 2}, "a": 1}, inputs=inputs).key == MADE.key
    others = [
        MADE.model_copy(update=change)
        for change in (
            {"version": 3},
            {"settings": {"a": 1, "b": {"c": 3}}},
            {"settings": {"a": "1", "b": {"c": 2}}},
            {"inputs": {"data": "y", "start": "x"}},
            {"inputs": {"data": "x"}},
        )
    ]
    assert len({MADE.key, *(other.key for other in others)}) == 6
    assert Made.model_validate_json(MADE.model_dump_json()).key == MADE.key


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, []),
        ({"settings": {"a": 2, "b": {"c": 2}}}, ["a was 1, and is 2 now"]),
        ({"settings": {"b": {"c": "x"}}}, [
            "a was 1, and is its default now", "b.c was 2, and is 'x' now"]),
        ({"settings": {"a": 1, "b": {"c": 2}, "d": [3]}}, ["d was its default, and is [3] now"]),
        ({"settings": {"a": 1, "b": 5}}, ["b was {'c': 2}, and is 5 now"]),
        ({"inputs": {"data": "z", "text": "w"}}, [
            "data changed", "start is gone", "text is new"]),
        ({"version": 3}, ["evergrow makes it otherwise (version 3, was 2)"]),
        (
            {"version": 1, "inputs": {"data": "x", "start": "z"}, "settings": {"a": 1}},
            [
                "b was {'c': 2}, and is its default now",
                "start changed",
                "evergrow makes it otherwise (version 1, was 2)",
            ],
        ),
    ],
)  # fmt: skip
def test_changes_are_said_settings_first(changed: dict, said: list[str]) -> None:
    other = MADE.model_copy(update=changed)
    assert changes(MADE, other) == said
    assert (other.key == MADE.key) == (said == [])


def test_inputs_are_named_in_the_order_of_their_numbers() -> None:
    before = Made(version=1, settings={}, inputs={f"file {n}": "x" for n in (10, 9, 1)})
    assert changes(before, Made(version=1, settings={})) == [
        "file 1 is gone",
        "file 9 is gone",
        "file 10 is gone",
    ]
