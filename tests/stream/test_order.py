import subprocess
import sys
from itertools import pairwise

import pytest

from evergrow.stream.order import key_of, permute

KEY = 5548779550007390481  # of ("order", 42, "web-3f9c", 0)
ORDER = [5, 6, 3, 2, 0, 8, 4, 1, 9, 7]
EDGES = sorted({1, 2, 3} | {2**k + d for k in range(2, 11) for d in (-1, 0, 1)} | {600, 777})


@pytest.mark.parametrize("size", EDGES)
def test_every_position_is_taken_once(size: int) -> None:
    for key in (0, 1, 2**64 - 1, key_of("order", size)):
        assert sorted(permute(i, size, key) for i in range(size)) == list(range(size))


def test_orders_of_other_keys_have_nothing_in_common() -> None:
    size, orders = 1000, []
    for epoch in range(20):
        key = key_of("order", 0, "web", epoch)
        orders.append([permute(i, size, key) for i in range(size)])
    in_place = [sum(i == place for i, place in enumerate(order)) for order in orders]
    matches = [
        sum(a == b for a, b in zip(orders[i], orders[j], strict=True))
        for i in range(20)
        for j in range(i)
    ]
    # Two random permutations agree in one place on average, in 10 with a probability of 1e-7.
    assert max(in_place) < 10
    assert max(matches) < 10
    assert 0.8 < sum(matches) / len(matches) < 1.2


def test_neighbours_are_spread_over_the_whole_source() -> None:
    size = 4096
    places = [permute(i, size, key_of("order", 0, "web", 0)) for i in range(size)]
    jumps = [abs(a - b) for a, b in pairwise(places)]
    assert sum(jumps) / len(jumps) == pytest.approx(size / 3, rel=0.05)


def test_a_position_outside_is_a_mistake_of_the_caller() -> None:
    for index in (-1, 5):
        with pytest.raises(AssertionError, match=rf"position {index} is outside \[0, 5\)"):
            permute(index, 5, 0)


def test_the_order_is_the_same_for_ever() -> None:
    assert key_of("order", 42, "web-3f9c", 0) == KEY
    assert [permute(i, 10, KEY) for i in range(10)] == ORDER


def test_keys_tell_their_parts_apart() -> None:
    keys = {key_of("ab", "c"), key_of("a", "bc"), key_of("abc"), key_of("c", "ab"), key_of("ab", 0)}
    assert len(keys) == 5
    assert all(0 <= key < 2**64 for key in keys)


def test_another_process_makes_the_same_key() -> None:
    code = "from evergrow.stream.order import key_of; print(key_of('order', 42, 'web-3f9c', 0))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env={"PYTHONHASHSEED": "7"}
    )
    assert int(found.stdout) == KEY
