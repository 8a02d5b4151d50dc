"""Shares of sources and replay add up to the stage."""

from collections.abc import Callable
from pathlib import Path

import pytest

from evergrow.report.figures_data import mixture, mixture_groups, shares
from evergrow.report.folder import read_run_folder

Make = Callable[..., Path]


def test_replay_takes_its_share_from_the_mixture(made: Make) -> None:
    arm = read_run_folder(made()).arms[2]
    first, second, _ = (shares(stage) for stage in arm.stages)
    assert first == {"english": 1.0}
    assert second == {"python": 0.75, None: 0.25}
    mixed = arm.stages[1].model_copy(update={"mixture": {"a": 3.0, "b": 1.0}})
    assert shares(mixed) == pytest.approx({"a": 0.5625, "b": 0.1875, None: 0.25})


def test_columns_are_as_wide_as_their_tokens_and_full(made: Make) -> None:
    folder = read_run_folder(made())
    groups = mixture_groups(folder)
    assert [[arm.name for arm in group] for group in groups] == [
        ["infinite", "cosine"], ["infinite-replay", "cosine-replay"]
    ]  # fmt: skip
    chart = mixture(folder, groups[1], 1)
    assert [bar.text for bar in chart.bars] == [
        "english 100%", "python 75%", "replay 25%", "cpp 75%", "replay 25%"
    ]  # fmt: skip
    assert {bar.end - bar.start for bar in chart.bars} == {179_200}
    assert [bar.top for bar in chart.bars] == [1.0, 0.75, 1.0, 0.75, 1.0]
    assert [bar.color is None for bar in chart.bars] == [False, False, True, False, True]
    assert chart.arms == (2, 3)
