import collections
import json
import math
from typing import Any

import pytest

from evergrow.sandbox.inside.plain import MOST_DEEP, NotPlain, dumps, loads

VALUES = [
    None,
    True,
    0,
    -7,
    2**61,
    2**62,
    -(3**9000),  # beyond the digits that Python reads
    1.0,
    -0.0,
    math.inf,
    "",
    "ä\ud800\n",
    b"\x00\xff",
    [],
    [1, [2, (3, "list")]],
    ("tuple", 1),
    {1: "a", "1": [None], (1, 2): {3}, None: True},
    {1, "2", (3,)},
    frozenset({1}),
    {"list": ["dict", 1]},
]


def same(a: Any, b: Any) -> bool:
    """Equal, and of the same types all the way down."""
    if type(a) is not type(b) or a != b:
        return False
    if isinstance(a, dict):
        return list(map(repr, a.items())) == list(map(repr, b.items()))
    return not isinstance(a, list | tuple) or all(map(same, a, b))


@pytest.mark.parametrize("value", VALUES, ids=lambda v: repr(v)[:20])
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    assert same(loads(dumps(value)), value)
    assert math.copysign(1, loads(dumps(-0.0))) == -1
    assert math.isnan(loads(dumps(math.nan)))


class Always:
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize("value", [Always(), Text("a"), [Always()], {Always(): 1}, 1j, len, int])
def test_an_object_of_a_class_of_its_own_does_not_cross(value: Any) -> None:
    with pytest.raises(NotPlain, match="no plain value"):
        dumps(value)


def test_the_dicts_of_the_standard_library_are_dicts() -> None:
    for made in (collections.Counter("aab"), collections.OrderedDict(a=2, b=1)):
        assert same(loads(dumps(made)), {"a": 2, "b": 1})


def test_what_nests_too_deep_is_refused_on_both_sides() -> None:
    value: list[Any] = []
    for _ in range(MOST_DEEP):
        value = [value]
    assert same(loads(dumps(value)), value)
    with pytest.raises(NotPlain, match="64 deep"):
        dumps([value])
    for depth in (MOST_DEEP + 1, 100_000):
        with pytest.raises(NotPlain):
            loads(b'["list",' * depth + b"1" + b"]" * depth)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"{}",
        b"[]",
        b"[1]",
        b'["int"]',
        b'["int",5]',
        b'["int","zz"]',
        b'["bytes","zz"]',
        b'["dict",1]',
        b'["dict",[1]]',
        b'["dict",[["list"],1]]',
        b'["set",["list"]]',
        b'["object","os.system"]',
        b'[["list"],1]',
        b"1" * 5000,
    ],
)
def test_what_no_one_wrote_is_refused(data: bytes) -> None:
    with pytest.raises(NotPlain):
        loads(data)


def test_the_bytes_are_json() -> None:
    assert json.loads(dumps([1, (2,)])) == ["list", 1, ["tuple", 2]]
