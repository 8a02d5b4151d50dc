"""What data was made of stays: a run goes on with it, or refuses before it is made again."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from corpus.curate.texts import contents
from flow.tiny import RECIPE, write_texts

from evergrow.data.corpora import curated, make_corpora
from evergrow.errors import EvergrowError, InputError
from evergrow.flow import recipes
from evergrow.flow.corpora import curate
from evergrow.flow.dry import draw_plan
from evergrow.flow.recipes import plan
from evergrow.flow.units import unfold
from evergrow.listener import Listener
from evergrow.recipe import CorpusRecipe, Recipe, decode_recipe

CORPORA: dict[str, Any] = {
    "first": {"sources": ["land"], "signals": [], "shard_bytes": 4000},
    "web": {"sources": ["land", "sea"], "signals": [], "shard_bytes": 4000},
}


def recipe(**changes: Any) -> Recipe:
    """The tiny recipe, whose second stage reads the corpus ``web``."""
    settings = {"stages.0.data": "first", "stages.1.data": "web", "evaluate.sources": []}
    settings |= {"tokenizer.sources": ["web"]}
    corpora = {name: {**CORPORA[name], **changes.get(name, {})} for name in CORPORA}
    return decode_recipe({**RECIPE, "corpora": corpora}, settings)


def go(asked: Recipe, base: Path, runs: Path) -> list[str]:
    """All up to training, as if the stages of a run that is there had begun; what was said."""
    said: list[str] = []
    plan(unfold(asked), asked, runs / asked.name, base, Listener(say=said.append))
    return said


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return write_texts(tmp_path / "texts")


@pytest.fixture
def runs(texts: Path, tmp_path: Path) -> Path:
    """Runs with the data of the recipe, made of its corpora."""
    go(recipe(), texts, tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a stage had begun to read all there is."""
    monkeypatch.setattr(recipes, "begun_sources", lambda root: {"first", "web"})


def corpora_of(runs: Path) -> dict[str, bytes]:
    return contents(runs / RECIPE["name"] / "corpora")


def test_a_changed_source_is_said_and_what_was_read_stays(
    begun: None, texts: Path, runs: Path
) -> None:
    before = corpora_of(runs)
    file = texts / "land/03.txt"
    file.write_text(file.read_text() + "and more\n")
    words = "first: land/03.txt changed since it was made; what was read stays as it is"
    assert any(line.startswith(words) for line in go(recipe(), texts, runs))
    said: list[str] = []
    draw_plan(recipe(), texts, Listener(say=said.append), runs)
    assert any(line.startswith(words) for line in said)
    assert corpora_of(runs) == before


def test_what_no_stage_has_read_is_made_again(texts: Path, runs: Path) -> None:
    before = corpora_of(runs)
    (texts / "land/03.txt").write_text("other words\n" * 9)
    go(recipe(web={"near": None}), texts, runs)
    assert corpora_of(runs) != before
    assert corpora_of(runs) == corpora_of(made_anew(recipe(web={"near": None}), texts, runs))


def made_anew(asked: Recipe, base: Path, runs: Path) -> Path:
    go(asked, base, runs.parent / "anew")
    return runs.parent / "anew"


def test_other_settings_are_refused_unless_they_change_nothing_kept(
    begun: None, texts: Path, runs: Path
) -> None:
    before = corpora_of(runs)
    for changes, words in (
        (
            {"near": None},
            r"corpora.web: near was its default, and is null now, but a stage has read it",
        ),
        (
            {"sources": ["sea", "land"]},
            r"corpora.web: sources was \['land', 'sea'\], and is \['sea', 'land'\] now",
        ),
    ):
        with pytest.raises(InputError, match=words):
            go(recipe(web=changes), texts, runs)
    said = go(recipe(web={"signals": ["shape"], "shard_bytes": 9000}), texts, runs)
    words = "web: shard_bytes was 4000, and is 9000 now, which changes nothing that is kept; it st"
    assert any(line.startswith(words) for line in said)
    assert corpora_of(runs) == before


def test_it_goes_on_without_the_raw_files(begun: None, texts: Path, runs: Path) -> None:
    before = corpora_of(runs)
    for name in ("land", "sea"):
        (texts / name).rename(texts / f"no-{name}")
    said = go(recipe(), texts, runs)
    assert "web: its files are gone; its finished corpus is used" in said
    assert corpora_of(runs) == before
    # Nor does it need data that was made of it, but it must be whole.
    shutil.rmtree(runs / RECIPE["name"] / "data")
    assert "web: its files are gone; its finished corpus is used" in go(recipe(), texts, runs)
    shutil.rmtree(runs / RECIPE["name"] / "data")
    next((runs / RECIPE["name"] / "corpora/web/kept").glob("*.parquet")).unlink()
    with pytest.raises(EvergrowError, match=r"web/kept/.*parquet: damaged or gone"):
        go(recipe(), texts, runs)


def corpus_recipe(corpora: dict[str, Any]) -> CorpusRecipe:
    sources = {name: {"files": [f"{name}/*.txt"]} for name in ("land", "sea")}
    settings = {"name": "sets", "sources": sources, "corpora": corpora}
    return CorpusRecipe.model_validate(settings)


def test_a_corpus_that_the_recipe_has_no_more_is_left_over(texts: Path, tmp_path: Path) -> None:
    from evergrow.flow.corpora import find_corpus
    from evergrow.report.corpora import read_corpora

    curate(corpus_recipe({"old": CORPORA["first"]}), tmp_path, texts, Listener())
    said: list[str] = []
    renamed = corpus_recipe({"clean": CORPORA["first"]})
    curate(renamed, tmp_path, texts, Listener(say=said.append))
    [left] = [line for line in said if "left over" in line]
    assert left.startswith(f"left over in {tmp_path / 'sets/corpora'}: old, which the recipe")
    assert find_corpus(tmp_path / "sets") == tmp_path / "sets/corpora/clean"
    assert [card.name for card in read_corpora(tmp_path / "sets")] == ["clean"]


def test_a_corpus_is_not_compared_with_itself(texts: Path, tmp_path: Path) -> None:
    asked = corpus_recipe({"web": {**CORPORA["web"], "against": ["../sets/corpora/web"]}})
    with pytest.raises(InputError, match=r"corpora.web.against: '../sets.*' is the folder of this"):
        make_corpora(curated(asked.corpora, asked.sources), 1, tmp_path / "sets", texts, Listener())
