"""What makes a group of files be read again, and what does not hang on the grouping."""

import gzip
import json
import subprocess
from pathlib import Path

import pytest
from corpus.curate.texts import make, prose, steps

from evergrow.corpus import formats
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.curate.ingest import plan_ingest
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
        assert made.manifest["sources"]["news"]["quarantined"] == {}


def test_a_corpus_of_broken_files_only_is_refused(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"text": prose(i)}) + "\n" for i in range(2000))
    packed = gzip.compress(rows.encode())
    (tmp_path / "a.jsonl.gz").write_bytes(packed[:-9])
    sources = {"news": SourceConfig(files=["*.gz"])}
    with pytest.raises(InputError, match=r"damaged or breaks off in every file \(1\); fetch or"):
        make(tmp_path / "made", tmp_path, of=sources, sources=["news"], decontaminate=None)
