"""The measures of a life in stages, on hand numbers."""

import math
from collections.abc import Callable

import pytest

from evergrow.errors import InputError
from evergrow.evals.loss_matrix import (
    Curve,
    Matrix,
    Measures,
    average,
    backward_transfer,
    forgetting,
    forward_transfer,
    measure,
    transient_peak,
)

STREAMS = ["english", "python", "cpp"]
BEFORE = [8.0, 8.1, 8.2]
# english is best after stage 2 (2.0), so that forgetting and backward transfer part
MATRIX = [[2.25, 3.5, 3.75], [2.0, 1.5, 3.0], [2.75, 1.625, 1.25]]
CURVES: list[Curve] = [
    [(0, {"english": 8.0}), (10, {"english": 9.0})],
    [
        (20, {"english": 2.5, "python": 3.5}),
        (30, {"english": 2.75, "python": 5.0}),
        (40, {"english": 2.5, "python": 2.0}),
    ],
    [
        (40, {"english": 2.5, "python": 2.0, "cpp": 3.0}),
        (50, {"english": 2.25, "python": 2.375, "cpp": 2.0}),
    ],
]


def test_measures_on_hand_numbers() -> None:
    found = measure(MATRIX, BEFORE, CURVES, STREAMS)
    assert found.average == pytest.approx((2.75 + 1.625 + 1.25) / 3)
    assert found.forgetting == pytest.approx(((2.75 - 2.0) + (1.625 - 1.5)) / 2)
    assert found.backward_transfer == pytest.approx(((2.25 - 2.75) + (1.5 - 1.625)) / 2)
    assert found.forward_transfer == pytest.approx(((8.1 - 3.5) + (8.2 - 3.0)) / 2)
    assert found.transient_peak == pytest.approx(0.375)  # python in the third stage


def test_a_stream_that_only_improved_was_forgotten_by_less_than_nothing() -> None:
    assert forgetting([[3.0, 4.0], [2.5, 2.0]]) == pytest.approx(-0.5)
    assert backward_transfer([[3.0, 4.0], [2.5, 2.0]]) == pytest.approx(0.5)


def test_a_stream_cannot_be_forgotten_before_it_was_learnt() -> None:
    # python stood at 1.0 before its own stage, which left it at 1.5
    assert forgetting([[3.0, 1.0, 4.0], [3.0, 1.5, 4.0], [3.0, 1.75, 2.0]]) == pytest.approx(0.125)


def test_a_single_stage_has_an_average_alone() -> None:
    assert measure([[2.5]], [8.0], CURVES[:1], ["english"]) == Measures(2.5, None, None, None, None)


def test_what_was_not_measured_is_none() -> None:
    found = measure(MATRIX, None, [], STREAMS)
    assert (found.forward_transfer, found.transient_peak) == (None, None)


def test_a_run_under_way_counts_the_stages_done() -> None:
    found = measure(MATRIX[:2], BEFORE, CURVES[:2], STREAMS)
    assert found == measure([[2.25, 3.5], [2.0, 1.5]], BEFORE[:2], CURVES[:2], STREAMS[:2])
    assert found.average == pytest.approx(1.75)
    assert found.transient_peak == pytest.approx(0.25)


def test_the_peak_is_over_the_stage_start_and_never_negative() -> None:
    falling: list[Curve] = [[], [(20, {"english": 2.5}), (30, {"english": 2.0})]]
    assert transient_peak(falling, ["english", "python"]) == 0.0
    assert transient_peak([[], []], ["english", "python"]) is None
    assert transient_peak([[], falling[1][:1]], ["english", "python"]) is None


def test_a_stream_that_comes_back_is_not_old_in_its_own_stage() -> None:
    back: list[Curve] = [[], [(0, {"a": 1.0}), (1, {"a": 9.0})]]
    assert transient_peak(back, ["a", "a"]) is None


def test_a_loss_that_is_no_number_stays_visible() -> None:
    matrix = [[2.0, 3.0], [math.nan, 1.0]]
    assert math.isnan(average(matrix))
    assert math.isnan(forgetting(matrix) or 0.0)
    curves: list[Curve] = [[], [(0, {"a": 1.0}), (1, {"a": 2.0}), (2, {"a": math.nan})]]
    assert math.isnan(transient_peak(curves, ["a", "b"]) or 0.0)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: average([]), "a loss matrix without a row"),
        (lambda: average([[1.0], [1.0, 2.0]]), "stage 1 has 1 losses for 2 streams"),
        (lambda: forward_transfer(MATRIX, [8.0]), "1 losses before stage 1 for 3 streams"),
        (
            lambda: transient_peak([[], [(5, {"python": 1.0})] * 2], STREAMS),
            "stage 2, step 5: no loss of 'english'; evaluate every earlier stream",
        ),
    ],
)
def test_measurements_with_holes_are_refused(call: Callable[[], Matrix], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        call()
