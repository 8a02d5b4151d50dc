"""What a user types for a model: folders, runs, hub ids; a path never leaves the machine."""

from pathlib import Path
from typing import Any, NoReturn

import pytest
from huggingface_hub import snapshot_download
from stage_records import stage_record

from evergrow.errors import InputError
from evergrow.models.find import find_model, is_path
from evergrow.run import Manifest, StageRecord, Start, write_manifest


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder to stand in, from which nobody may ask the hub."""

    def asked(name: str, **settings: Any) -> NoReturn:
        raise AssertionError(f"the hub was asked for {name}")

    monkeypatch.setattr("huggingface_hub.snapshot_download", asked)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stage(name: str, release: str | None) -> StageRecord:
    return stage_record(
        name,
        key="k",
        release=release,
    )


def run_with(stages: list[StageRecord]) -> Manifest:
    return Manifest(
        evergrow="0.1.0",
        commit=None,
        name="n",
        arm="main",
        seed=0,
        recipe={},
        environment={},
        start=Start(source="s", kind="causal", key="k"),
        model={},
        data={},
        stages=stages,
    )


def test_a_run_stands_for_its_newest_release(tmp_path: Path) -> None:
    stages = [stage("a", "releases/a"), stage("b", "releases/b"), stage("c", None)]
    write_manifest(tmp_path, run_with(stages))
    assert find_model(tmp_path) == tmp_path / "." / "releases/b"
    write_manifest(tmp_path, run_with(stages[2:]))
    with pytest.raises(InputError, match="has no release yet; run its recipe again to finish"):
        find_model(tmp_path)


def test_a_recipe_with_one_run_stands_for_it_too(tmp_path: Path) -> None:
    write_manifest(tmp_path / "notes/main", run_with([stage("a", "releases/a")]))
    assert find_model(tmp_path / "notes") == tmp_path / "notes/main/releases/a"
    write_manifest(tmp_path / "notes/other/seed-0", run_with([stage("a", "releases/a")]))
    with pytest.raises(InputError, match=r"holds several runs \(main, other/seed-0\); name one"):
        find_model(tmp_path / "notes")


@pytest.mark.parametrize(
    "word",
    ["", "runs/nots", "./x", "../x", "/x", "~/x", "a/b/c", "data/", "own/mail", "x.yaml", "a\\b"],
)
def test_what_looks_like_a_path_never_leaves_the_machine(word: str, no_hub: Path) -> None:
    (no_hub / "own").mkdir()
    assert is_path(word)
    with pytest.raises(InputError, match="give a model folder, a run or a hub id"):
        find_model(word)


@pytest.mark.parametrize("word", ["gpt2", "someone/small", "Qwen/Qwen2.5-0.5B", "a/b.c"])
def test_a_hub_id_is_no_path(word: str, no_hub: Path) -> None:
    assert not is_path(word)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("runs/nots", "runs/notes"),
        ("run/notes", "runs/notes"),
        ("runs/notes/mian", "runs/notes/main"),
    ],
)
def test_a_path_that_is_not_there_names_the_nearest(word: str, meant: str, no_hub: Path) -> None:
    write_manifest(no_hub / "runs/notes/main", run_with([]))
    with pytest.raises(InputError) as refused:
        find_model(word)
    assert str(refused.value) == f"{word}: no such file or folder; did you mean '{meant}'?"


def test_a_name_that_the_hub_has_not_may_be_a_run(
    no_hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str, **settings: Any) -> NoReturn:
        raise OSError("nobody there.")

    monkeypatch.setattr("huggingface_hub.snapshot_download", missing)
    write_manifest(no_hub / "runs/notes/main", run_with([]))
    with pytest.raises(InputError, match=r"\(nobody there\); runs/notes is a run, if you mean"):
        find_model("notes")
    with pytest.raises(InputError, match=r"\(nobody there\); give the path of a folder"):
        find_model("other")


def test_a_hub_id_loads_from_the_cache_when_offline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cached = tmp_path / "cache" / "models--someone--small"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("0" * 40)
    (cached / "snapshots" / ("0" * 40)).mkdir(parents=True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def from_cache(name: str, **settings: Any) -> str:
        return snapshot_download(name, cache_dir=tmp_path / "cache", **settings)

    monkeypatch.setattr("huggingface_hub.snapshot_download", from_cache)
    assert find_model("someone/small").name == "0" * 40


def test_of_a_hub_id_all_is_fetched_but_what_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def fetched(name: str, **settings: Any) -> str:
        asked.append(settings)
        return name

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetched)
    find_model("someone/small")
    find_model("someone/small", without=("*.bin", "onnx/*"))
    assert asked[0]["ignore_patterns"] == ["*/*"]
    assert "*.bin" not in asked[0]["allow_patterns"]
    assert asked[1] == {"allow_patterns": None, "ignore_patterns": ["*.bin", "onnx/*"]}
