"""What makes a group of files be read again, and what does not hang on the grouping."""

import gzip
import json
import subprocess
from pathlib import Path

import pytest
from blake3 import blake3
from corpus.curate.texts import make, prose, steps

from evergrow.corpus import formats, hashes
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.curate import ingest
from evergrow.corpus.curate.ingest import Ingest, plan_ingest
from evergrow.corpus.globs import HIDDEN
from evergrow.corpus.records import FileRecord
from evergrow.errors import InputError


def keys(base: Path, config: SourceConfig, as_of: str | None = None) -> list[str]:
    return [task.key for task in plan_ingest(base / "made", "web", config, base, 2**20, as_of)]


def test_a_commit_is_read_again_although_no_file_changed(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code/a.py").write_text("a = 1\n")

    def git(*words: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a"]
        subprocess.run(["git", *who, *words], cwd=tmp_path / "code", check=True)

    git("init", "-q")
    git("add", ".")
    config = SourceConfig(trees=["code"])
    found = keys(tmp_path, config)
    for words in (["commit", "-qm", "one"], ["remote", "add", "origin", "https://a.org/b"]):
        git(*words)
        found += keys(tmp_path, config)
    assert len(set(found)) == 3
    assert keys(tmp_path, config) == found[-1:]


@pytest.mark.parametrize(("name", "changes"), [("a.html", True), ("a.txt", False)])
def test_another_extractor_reads_pages_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, changes: bool
) -> None:
    (tmp_path / name).write_text("<p>They grow.</p>")
    config = SourceConfig(files=[name])
    before = keys(tmp_path, config)
    monkeypatch.setattr(formats, "version", lambda package: "99")
    assert (keys(tmp_path, config) != before) is changes


def test_repeated_ids_do_not_hang_on_the_grouping(tmp_path: Path) -> None:
    for i in range(6):
        row = {"text": prose(i), "n": "one" if i < 2 else str(i)}
        (tmp_path / f"{i}.jsonl").write_text(json.dumps(row) + "\n")
    sources = {"news": SourceConfig(files=["*.jsonl"], id_field="n")}
    settings = {"sources": ["news"], "decontaminate": None}
    for number, shard_bytes in enumerate((200, 2**20)):
        folder = tmp_path / f"made-{number}"
        made = make(folder, tmp_path, of=sources, shard_bytes=shard_bytes, **settings)
        assert steps(made) == {"id.repeated": 1}
        assert made.manifest.sources["news"].quarantined == {}


def test_a_corpus_of_broken_files_only_is_refused(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"text": prose(i)}) + "\n" for i in range(2000))
    packed = gzip.compress(rows.encode())
    (tmp_path / "a.jsonl.gz").write_bytes(packed[:-9])
    sources = {"news": SourceConfig(files=["*.gz"])}
    with pytest.raises(InputError, match=r"damaged or breaks off in every file \(1\); fetch or"):
        make(tmp_path / "made", tmp_path, of=sources, sources=["news"], decontaminate=None)


def test_a_new_file_reads_its_own_group_again_and_no_other(tmp_path: Path) -> None:
    for i in range(60):
        (tmp_path / f"{i}.txt").write_text(prose(i))
    config = SourceConfig(files=["*.txt"])
    shard_bytes = 3 * len(prose(0))

    def units() -> dict[str, str]:
        planned = plan_ingest(tmp_path / "made", "web", config, tmp_path, shard_bytes, None)
        return {task.unit: task.key for task in planned}

    before = units()
    assert 20 <= len(before) <= 60
    for i in range(60, 66):
        (tmp_path / f"{i}.txt").write_text(prose(i))
        after = units()
        changed = [unit for unit in after if before.get(unit) != after[unit]]
        assert 1 <= len(changed) <= 3  # its own; or the parts that this falls into
        before = after


def test_a_shard_ends_with_so_many_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "MAX_ROWS", 4)
    rows = "".join(json.dumps({"text": f"row {i}"}) + "\n" for i in range(10))
    (tmp_path / "a.jsonl").write_text(rows)
    config = SourceConfig(files=["*.jsonl"])
    [task] = plan_ingest(tmp_path / "made", "web", config, tmp_path, 2**20, None)
    assert [file.rows for file in task.run().files if file.name.startswith("doc")] == [4, 4, 2]


def test_hidden_files_are_counted_and_cost_no_reading_again(tmp_path: Path) -> None:
    (tmp_path / "notes/.trash").mkdir(parents=True)
    (tmp_path / "notes/a.md").write_text(prose(0))
    (tmp_path / "notes/.trash/b.md").write_text(prose(1))
    sources = {"notes": SourceConfig(files=["notes/**/*.md"])}
    settings = {"sources": ["notes"], "decontaminate": None}
    made = make(tmp_path / "made", tmp_path, of=sources, **settings)
    assert made.manifest.sources["notes"].skipped == {HIDDEN: 1}
    assert made.manifest.sources["notes"].documents == 1
    before = {task.key for task in plan(tmp_path, sources["notes"])}
    (tmp_path / "notes/.trash/c.md").write_text(prose(2))
    assert len({task.key for task in plan(tmp_path, sources["notes"])} - before) == 1
    again = make(tmp_path / "made", tmp_path, of=sources, **settings)
    assert again.manifest.sources["notes"].skipped == {HIDDEN: 2}


def plan(base: Path, config: SourceConfig) -> list[Ingest]:
    return plan_ingest(base / "made", "notes", config, base, 2**20, None)


def test_files_are_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text(prose(0))
    monkeypatch.setattr(hashes, "SETTLED_NS", 0)
    config = SourceConfig(files=["*.txt"])
    first = [task.key for task in plan(tmp_path, config)]
    monkeypatch.setattr(hashes, "_checksum", None)
    assert [task.key for task in plan(tmp_path, config)] == first


def test_a_file_that_grows_after_planning_is_read_as_it_was_hashed(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"text": "one"}\n')
    config = SourceConfig(files=["*.jsonl"])
    [task] = plan(tmp_path, config)
    with path.open("a") as log:
        log.write('{"text": "two"}\n')
    done = task.run()
    assert done.counts.documents == 1
    digest = blake3(b'{"text": "one"}\n').hexdigest()
    assert done.counts.files == [FileRecord(path="log.jsonl", bytes=16, blake3=digest)]
    [later] = plan(tmp_path, config)
    assert later.key != task.key
    assert later.run().counts.documents == 2
