from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evergrow.errors import InputError
from evergrow.flow.recipes import carry_out
from evergrow.images.config import ImageSourceConfig
from evergrow.listener import Listener
from evergrow.objectives.lines import Probed
from evergrow.recipe import load_recipe
from evergrow.run import Run
from evergrow.studies import find_study
from evergrow.studies.harness import study_recipe

STUDY = find_study("infinite", "image")
RECIPE = Path(__file__).parents[2] / "recipes" / "images.yaml"


def test_the_study_is_the_recipe_of_images_over_seeds() -> None:
    recipe, study = load_recipe(RECIPE), study_recipe(STUDY, 2, {})
    for key in ("sources", "model", "train", "schedule", "stages", "held_out"):
        assert getattr(study, key) == getattr(recipe, key), key
    assert list(study.arms) == list(recipe.arms)
    for arm in recipe.arms:
        assert study.resolve(arm).schedule == recipe.resolve(arm).schedule
        assert study.resolve(arm).replay == recipe.resolve(arm).replay


def test_a_users_pictures_stand_between_the_halves_of_the_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = study_recipe(find_study("infinite", "image", {"data": "films/*.npz"}), 2, {})
    assert recipe.streams == ["digits-low", "own", "digits-high"]
    own = recipe.sources["own"]
    assert isinstance(own, ImageSourceConfig)
    assert own.images == [str(tmp_path / "films/*.npz")]
    assert {s.size for s in recipe.sources.values() if isinstance(s, ImageSourceConfig)} == {28}


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (("rewarm", "image"), "rewarm: is asked of text alone"),
        (("infinite", "text", {"data": "a.npz"}), "data=a.npz: give --modality image for pictures"),
        (("infinite", "video"), "--modality video: give --modality image"),
    ],
)
def test_another_modality_is_refused(asked: tuple[Any, ...], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        find_study(*asked)


def test_a_linear_probe_is_read_of_the_last_release_and_of_the_first_weights(
    tmp_path: Path, write_run: Callable[..., Run]
) -> None:
    def probed(source: str, accuracy: float, features: str = "model", probe: str = "linear") -> Any:
        line = {"source": source, "features": features, "probe": probe, "accuracy": accuracy}
        return Probed(**line, low=0.0, high=1.0)

    losses = {("zero-one", "release", 100): {"zero-one": 1.0, "eight-nine": 1.0}}
    probes = {
        None: [probed("zero-one", 0.25), probed("zero-one", 0.75, features="pixels")],
        "zero-one": [probed("zero-one", 0.125)],
        "eight-nine": [
            probed("zero-one", 0.5),
            probed("eight-nine", 0.75),
            probed("eight-nine", 1.0, probe="nearest"),
        ],
    }
    folder, stages = tmp_path / "infinite/seed-0", ("zero-one", "eight-nine")
    run = write_run(folder, losses, stages, probes)
    assert STUDY.measures["linear probe"](run) == 0.625
    assert STUDY.measures["linear probe of the first weights"](run) == 0.25


@pytest.mark.slow
def test_the_recipe_of_images_learns_all_its_tasks_and_replay_keeps_them(tmp_path: Path) -> None:
    """Below the floor of the mean picture on all five, seed 0."""
    recipe = load_recipe(
        RECIPE, {"arms": {"infinite": {}, "infinite-replay": {"replay.fraction": 0.25}}}
    )
    arms = carry_out(recipe, tmp_path, RECIPE.parent, Listener()).summary.arms
    assert arms["infinite"].not_learnt == []
    with_replay, without = arms["infinite-replay"].forgetting, arms["infinite"].forgetting
    assert with_replay is not None and without is not None
    assert with_replay < 0.7 * without
