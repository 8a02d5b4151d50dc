"""First recipes: they fit the files and the time, they run, and they take nothing's place."""

from pathlib import Path

import numpy as np
import pytest
from flow.tiny import write_texts

from evergrow.errors import InputError
from evergrow.flow import init, init_text
from evergrow.flow.init import Machine, write_recipe
from evergrow.flow.init_text import Text, text_recipe
from evergrow.flow.recipes import carry_out
from evergrow.listener import Listener
from evergrow.models.find import find_model
from evergrow.recipe import load_recipe

FEW = {"evaluate.every": 0, "evaluate.sample_tokens": 0}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, on a machine of a billion operations a second."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(init, "measured", lambda: Machine(2, 1e9))
    return tmp_path


def test_the_recipe_of_a_folder_runs_and_of_its_model_too(here: Path) -> None:
    write_texts(here / "my notes")
    path, said = write_recipe(Path("my notes"), None, None)
    assert path == Path("my-notes.yaml")
    assert said[0] == "my notes: 72 files of text (72 .txt), 0.1 MB"
    recipe = load_recipe(path, {**FEW, "stages.0.tokens": 4_096})
    assert recipe.to_data()["sources"]["my-notes"]["files"] == ["my notes"]
    carried = carry_out(recipe, Path("runs"), here, Listener())
    assert carried.summary.arms["main"].loss_matrix[0][0] is not None

    model = str(find_model("runs/my-notes"))
    path, _ = write_recipe(Path("my notes"), model, "more")
    more = load_recipe(path, {**FEW, "stages.0.tokens": 4_096, "train.sequence_length": 64})
    assert more.model.from_ == str(here / model)
    assert carry_out(more, Path("runs"), here, Listener()).summary.status == "done"
    with pytest.raises(InputError, match="is a run, whose trunk goes on without a recipe: evergr"):
        write_recipe(Path("my notes"), "runs/my-notes", "again")
    with pytest.raises(InputError, match=r"my-notes\.yaml: exists; give another --name"):
        write_recipe(Path("my notes"), None, None)
    Path("my-notes.yaml").unlink()
    with pytest.raises(InputError, match="runs/my-notes: exists; give another --name"):
        write_recipe(Path("my notes"), None, None)


@pytest.mark.parametrize("labelled", [True, False])
def test_the_recipe_of_pictures_runs(labelled: bool, here: Path) -> None:
    from PIL import Image

    draw = np.random.default_rng(0)
    for number in range(80):
        folder = here / "films" / (("dark", "light")[number % 2] if labelled else "all")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = draw.integers(0, 128, (17, 20 if number else 19), np.uint8) + number % 2 * 100
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    path, said = write_recipe(Path("films"), None, None)
    assert said[0].startswith("films: 80 pictures (.png)")
    assert ("2 folders, which are taken as labels" in said[0]) == labelled
    recipe = load_recipe(path, {"stages.0.images": 320, "model.layers": 1})
    source = recipe.to_data()["sources"]["films"]
    assert (source["size"], source["channels"]) == (16, 1)
    assert recipe.model.preset == ("vit" if labelled else "vit_mae")
    carried = carry_out(recipe, Path("runs"), here, Listener())
    assert carried.summary.counted == "pictures"


@pytest.mark.parametrize(
    ("megabytes", "speed", "hidden", "tokens"),
    [
        (0.1, 1e12, 64, 45_000),  # once through the text
        (100, 1e12, 128, 34_000_000),  # 20 tokens a parameter
        (100, 1e9, 64, 420_000),  # ten minutes
    ],
)
def test_sizes_follow_the_text_and_the_time(
    megabytes: float, speed: float, hidden: int, tokens: int
) -> None:
    text, seconds = text_recipe("n", Text(["n"], round(megabytes * 1e6), "said"), speed, None)
    assert f"hidden: {hidden}, " in text
    assert f"tokens: {tokens}}}" in text
    assert seconds <= init_text.SECONDS
    assert ("held_out" in text) == (megabytes < 1)


def test_what_is_no_folder_of_files_is_refused(here: Path) -> None:
    (here / "notes").mkdir()
    (here / "notes/a.txt").write_text("few words")
    for asked, said in (
        ("nots", "nots: no such file or folder; did you mean 'notes'?"),
        ("notes/a.txt", "notes/a.txt: a file; give the folder that it is in"),
        ("notes", "9 bytes of text are too few to learn and to measure, 5,000 are needed"),
    ):
        with pytest.raises(InputError) as refused:
            write_recipe(Path(asked), None, None)
        assert said in str(refused.value)
    assert not list(here.glob("*.yaml"))
