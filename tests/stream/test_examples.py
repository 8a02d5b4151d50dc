"""Examples come back from disk as they were written, token by token with their marks."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evergrow.disk import sealed
from evergrow.errors import EvergrowError
from evergrow.stream.examples import Example, ExampleSource, Marked, write_examples


def marked(ids: list[int], marks: list[int]) -> Marked:
    return Marked(np.array(ids), np.array(marks))


def example(name: str, *sequences: Marked, **known: Any) -> Example:
    return Example(sequences, f"hash-{name}", f"group-{name}", f"{name}.jsonl#1", 7, **known)


CHAT = example("chat", marked([5, 6, 7, 8, 0], [0, 0, 1, 2, 2]), prompt="Hi, what?")
PAIR = example(
    "pair", marked([1, 2], [0, 2]), marked([1, 3, 4], [0, 2, 2]), reference="42", label="b"
)
LONG = example("long", marked([9] * 40, [0] * 39 + [2]))
HELD = example("held", marked([300, 4], [0, 1]), label="a")
PARTS = {"train": [CHAT, PAIR, LONG], "held_out": [HELD]}


def written(folder: Path, vocab_size: int = 400, **parts: list[Example]) -> dict[str, Any]:
    folder.mkdir(parents=True)
    return write_examples(folder, {**PARTS, **parts}, vocab_size, {"key": "k", "source": "chats"})


@pytest.mark.parametrize(("vocab_size", "dtype"), [(65_536, "<u2"), (65_537, "<u4")])
def test_sequences_come_back_with_their_marks(tmp_path: Path, vocab_size: int, dtype: str) -> None:
    manifest = written(tmp_path / "s", vocab_size)
    source = ExampleSource.open(tmp_path / "s")
    assert (manifest["dtype"], source.key, len(source)) == (dtype, "k", 3)
    for part, examples in PARTS.items():
        expected = [sequence for each in examples for sequence in each.sequences]
        assert source.lengths(part).tolist() == [len(s.ids) for s in expected]
        for number, sequence in enumerate(expected):
            ids, marks = source.sequence(number, part)
            assert ids.tolist() == sequence.ids.tolist()
            assert marks.tolist() == sequence.marks.tolist()
            assert ids.dtype == np.int64


def test_what_is_known_of_an_example_stands_in_its_row(tmp_path: Path) -> None:
    written(tmp_path / "s")
    rows = ExampleSource.open(tmp_path / "s").rows("train")
    assert rows["content_hash"] == ["hash-chat", "hash-pair", "hash-long"]
    assert rows["group"] == ["group-chat", "group-pair", "group-long"]
    assert rows["path"] == ["chat.jsonl#1", "pair.jsonl#1", "long.jsonl#1"]
    assert rows["prompt"] == ["Hi, what?", "", ""]
    assert rows["reference"] == [None, "42", None]
    assert rows["label"] == [None, "b", None]
    assert rows["num_sequences"] == [1, 2, 1]
    assert rows["num_tokens"] == [5, 5, 40]
    assert rows["num_targets"] == [3, 3, 1]
    assert rows["num_bytes"] == [7, 7, 7]


def test_the_manifest_counts_both_parts_and_keeps_what_it_is_given(tmp_path: Path) -> None:
    manifest = written(tmp_path / "s")
    assert sealed(manifest) == json.loads((tmp_path / "s/manifest.json").read_text())
    assert (manifest["form"], manifest["source"]) == ("examples", "chats")
    assert manifest["train"] == {
        "num_examples": 3,
        "num_sequences": 4,
        "num_tokens": 50,
        "num_targets": 7,
        "num_bytes": 21,
    }
    assert manifest["held_out"] == {
        "num_examples": 1,
        "num_sequences": 1,
        "num_tokens": 2,
        "num_targets": 1,
        "num_bytes": 7,
    }
    assert len(manifest["files"]) == 8
    assert ExampleSource.open(tmp_path / "s").tokens_an_item(16) == pytest.approx(50 / 3)


def test_a_part_without_an_example_is_empty(tmp_path: Path) -> None:
    written(tmp_path / "s", train=[], held_out=[HELD])
    source = ExampleSource.open(tmp_path / "s")
    assert (len(source), source.lengths().tolist(), source.rows("train")["path"]) == (0, [], [])
    assert source.tokens_an_item(16) == 0
    assert source.sequence(0, "held_out")[0].tolist() == [300, 4]


def test_the_same_examples_are_the_same_bytes(tmp_path: Path) -> None:
    written(tmp_path / "one"), written(tmp_path / "two")
    for path in (p for p in (tmp_path / "one").rglob("*") if p.is_file()):
        twin = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == twin.read_bytes()


def test_a_truncated_or_missing_file_is_found_when_opened(tmp_path: Path) -> None:
    written(tmp_path / "s")
    path = tmp_path / "s/train/tokens.bin"
    os.truncate(path, 99)
    with pytest.raises(EvergrowError) as caught:
        ExampleSource.open(tmp_path / "s")
    assert str(caught.value) == (
        f"{path}: truncated, 99 bytes where the manifest says 100; restore the folder or delete it "
        "and prepare the data again"
    )
    path.unlink()
    with pytest.raises(EvergrowError, match=r"tokens.bin: truncated, 0 bytes where"):
        ExampleSource.open(tmp_path / "s")


def test_a_changed_file_is_found_when_opened(tmp_path: Path) -> None:
    written(tmp_path / "s")
    path = tmp_path / "s/held_out/marks.bin"
    path.write_bytes(bytes([2, 1]))
    with pytest.raises(EvergrowError, match=r"held_out/marks.bin: its bytes are not those"):
        ExampleSource.open(tmp_path / "s")
