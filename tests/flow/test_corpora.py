"""A recipe's corpora by the command line: made, explained, tried otherwise, stopped, traced."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from flow.tiny import SYLLABLES
from typer.testing import CliRunner

from evergrow.cli import app
from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.document import document_id
from evergrow.errors import InputError, Stopped
from evergrow.flow.corpora import curate, find_corpus
from evergrow.flow.recipes import empty_root
from evergrow.listener import Listener, Progress
from evergrow.recipe import decode_recipe, load_corpus_recipe

RECIPE: dict[str, Any] = {
    "name": "sets",
    "sources": {"land": {"files": ["land/*.txt"]}, "sea": {"files": ["sea/*.txt"]}},
    "corpora": {
        "first": {"sources": ["land"], "signals": ["language"], "shard_bytes": 4000},
        "second": {"sources": ["land", "sea"], "signals": [], "shard_bytes": 4000},
    },
}


def write_recipe(base: Path, folder: Path) -> Path:
    """The recipe in a folder whose sources are those of ``base``."""
    for name in SYLLABLES:
        (folder / name).symlink_to(base / name)
    path = folder / "sets.yaml"
    path.write_text(yaml.safe_dump(RECIPE, sort_keys=False), encoding="utf-8")
    return path


@pytest.fixture
def made(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``runs/sets``, made by the verb in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    write_recipe(base, tmp_path)
    result = CliRunner().invoke(app, ["curate", "sets.yaml"])
    assert result.exit_code == 0, result.output
    return Path("runs/sets")


def test_the_verb_makes_every_corpus_and_shows_its_waterfall(made: Path) -> None:
    again = CliRunner().invoke(app, ["curate", "sets.yaml"])
    assert "exact.earlier" in again.output
    assert "corpus: runs/sets/corpora/second" in again.output
    first, second = (Corpus.open(made / "corpora" / name) for name in ("first", "second"))
    assert {d.source for d in first.documents()} == {"land"}
    # What the first took the second does not take again.
    assert {d.source for d in second.documents()} == {"sea"}
    assert [(p.name, p.key) for p in second.parents] == [("first", first.key)]


def test_overrides_and_what_if(made: Path, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("rules: [{name: long, signal: shape.num_words, high: 1}]")
    command = ["curate", "sets.yaml", "--what-if", "other.yaml"]
    refused = CliRunner().invoke(app, command)
    assert isinstance(refused.exception, InputError)
    assert "looks at shape, which was not measured here" in str(refused.exception)
    more = ["corpora.first.signals=[shape]", "corpora.second.signals=[shape]"]
    assert CliRunner().invoke(app, ["curate", "sets.yaml", *more]).exit_code == 0
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0, shown.output
    [row] = [line.split() for line in shown.output.splitlines() if "own.long" in line][:1]
    kept = Corpus.open(made / "corpora/first").manifest.waterfall.kept.documents
    assert row[:5] == ["own.long", "not", "asked", "24", *row[4:5]]
    assert f"+{kept}" in row


def test_why_for_people_and_for_machines(made: Path) -> None:
    result = CliRunner().invoke(app, ["why", str(made / "corpora/second"), "land/03.txt"])
    assert result.exit_code == 0, result.output
    assert "dropped by exact.earlier" in result.output
    assert "in corpus first (runs/sets/corpora/first)" in result.output
    command = ["why", str(made / "corpora/first"), "land/03.txt", "--json"]
    told = json.loads(CliRunner().invoke(app, command).output)
    assert told["documents"][0]["id"] == document_id("land", "land/03.txt")
    assert told["documents"][0]["signals"]["language.language"]


def test_a_fresh_run_keeps_the_corpora(made: Path) -> None:
    (made / "summary.json").write_text("{}")
    empty_root(made)
    assert sorted(path.name for path in made.iterdir()) == [".lock", "corpora"]


@pytest.mark.usefixtures("with_pages")
def test_a_report_of_corpora_alone_can_be_written_again(made: Path) -> None:
    (made / "report.html").unlink()
    result = CliRunner().invoke(app, ["report", str(made)])
    assert result.exit_code == 0, result.output
    assert "exact.earlier" in (made / "report.html").read_text(encoding="utf-8")
    refused = CliRunner().invoke(app, ["report", str(made / "corpora")])
    assert "neither a recipe's folder nor a run in one" in str(refused.exception)


def test_how_often_it_may_be_read_changes_nothing_of_a_corpus(made: Path) -> None:
    before = (made / "corpora/first/corpus.json").read_bytes()
    command = ["curate", "sets.yaml", "corpora.first.max_epochs=9"]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert (made / "corpora/first/corpus.json").read_bytes() == before


def test_a_path_must_name_one_corpus(made: Path) -> None:
    with pytest.raises(InputError, match=r"holds several corpora \(first, second\); name one"):
        find_corpus(made)
    assert find_corpus(made / "corpora/second") == made / "corpora/second"
    with pytest.raises(InputError, match="no finished corpus here"):
        Corpus.open(find_corpus(made / "corpora"))


def test_runs_that_were_given_a_document_are_found(base: Path, whole: Path, tmp_path: Path) -> None:
    recipe = load_corpus_recipe(write_recipe(base, tmp_path))
    [first, _] = curate(recipe, tmp_path / "runs", base, Listener())
    command = ["why", str(first.folder), "land/03.txt", "--json"]
    command += ["--runs", str(whole.parents[1])]
    told = json.loads(CliRunner().invoke(app, command).output)["documents"][0]
    by_part = {run["part"]: run for run in told["runs"]}
    assert by_part["train"]["run"] == str(whole)
    assert by_part["train"]["source"] == "land"
    assert by_part["train"]["stages"] == ["one", "two"]  # replayed in the second
    assert by_part["train"]["by"] == "id"


def test_a_wish_to_stop_ends_it_and_it_goes_on(base: Path, tmp_path: Path) -> None:
    recipe = load_corpus_recipe(write_recipe(base, tmp_path))

    def stop(progress: Progress) -> None:
        if progress.stage == "measure" and progress.done == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped, match="everything up to the units finished so far is saved"):
        curate(recipe, tmp_path / "runs", base, Listener(stop))
    measured = list((tmp_path / "runs/sets/corpora/first").glob("signals/*/*.json"))
    assert measured
    again: list[tuple[str, int]] = []
    listener = Listener(lambda progress: again.append((progress.stage, progress.total)))
    curate(recipe, tmp_path / "runs", base, listener)
    assert "ingest" not in [stage for stage, _ in again[: again.index(("decide", 1))]]


@pytest.mark.slow
def test_a_killed_process_leaves_what_goes_on_to_the_same_bytes(base: Path, tmp_path: Path) -> None:
    contents = {}
    for name in ("whole", "killed"):
        folder = tmp_path / name
        folder.mkdir()
        write_recipe(base, folder)
        command = [sys.executable, "-c", "from evergrow.cli import main; main()"]
        command += ["curate", "sets.yaml", "workers=2"]
        if name == "killed":
            process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
            while not list(folder.glob("runs/sets/corpora/first/signals/*/*.json")):
                assert process.poll() is None
                time.sleep(0.005)
            process.kill()
            process.wait()
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        root = folder / "runs/sets/corpora"
        files = (p for p in sorted(root.rglob("*")) if p.is_file() and p.name[0] != ".")
        contents[name] = {p.relative_to(root).as_posix(): p.read_bytes() for p in files}
    assert contents["killed"] == contents["whole"]


def test_names_of_sources_and_corpora_are_checked() -> None:
    from flow.tiny import RECIPE as TRAINED

    corpora = {"web": {"sources": ["land"]}}
    recipe = decode_recipe({**TRAINED, "corpora": corpora}, {"stages.1.data": "web"})
    assert recipe.streams == ["land", "web"]
    with pytest.raises(InputError, match=r"a source and a corpus are both called 'sea'"):
        decode_recipe({**TRAINED, "corpora": {"sea": {"sources": ["land"]}}})
    with pytest.raises(InputError, match=r"made of 'lnd', which is no source; did you mean 'land'"):
        decode_recipe({**TRAINED, "corpora": {"web": {"sources": ["lnd"]}}})
    with pytest.raises(InputError, match=r"no source is called 'wbe'; did you mean 'web'"):
        decode_recipe({**TRAINED, "corpora": corpora}, {"stages.1.data": "wbe"})


def test_a_recipe_without_corpora_or_with_more_is_read(base: Path, tmp_path: Path) -> None:
    from flow.tiny import RECIPE as TRAINED

    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(TRAINED, sort_keys=False))
    with pytest.raises(InputError, match="has no corpora to curate"):
        load_corpus_recipe(path)
    path.write_text(yaml.safe_dump({**TRAINED, "corpora": RECIPE["corpora"]}, sort_keys=False))
    recipe = load_corpus_recipe(path, {"corpora.first.shard_bytes": "5k", "workers": 2})
    assert (recipe.corpora["first"].shard_bytes, recipe.workers) == (5000, 2)
