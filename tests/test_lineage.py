"""The node of a release comes back equal; what is none, or of another time, is told apart."""

import json
from pathlib import Path
from typing import Any

import pytest

from evergrow.errors import InputError
from evergrow.lineage import (
    FILE,
    FORMAT,
    Measured,
    Node,
    numbers_beside,
    read_node,
    refuse_changed,
    write_node,
)

NODE = Node(
    key="0f" * 32,
    kind="anneal",
    name="after english",
    parents=["1a" * 32, "2b" * 32],
    of="quickstart, infinite, seed 0",
    evergrow="0.1.0",
    counted="pictures",
    fed={"xray": 12_000, "zwölf": 1},
    scores=[
        Measured(
            source="xray",
            unit="log loss",
            loss=0.25,
            low=0.2,
            high=float("inf"),
            accuracy=0.9,
            counts={"num_pictures": 80},
        )
    ],
    details={"schedule": [{"start": 0, "end": None}]},
)


def write(folder: Path, data: Any) -> None:
    (folder / FILE).write_text(json.dumps(data), encoding="utf-8")


def test_a_node_comes_back_equal(tmp_path: Path) -> None:
    write(tmp_path, NODE.to_data())
    assert FILE == "evergrow.json"
    assert read_node(tmp_path) == NODE
    assert NODE.to_data()["format"] == FORMAT == 2


@pytest.mark.parametrize(
    "data",
    [
        None,
        {"format": 1, "key": "k", "stages": []},
        {"format": 3, **{k: v for k, v in NODE.to_data().items() if k != "format"}},
        {"format": 2, "run": "of another room"},
    ],
    ids=["no file", "older", "newer", "no node"],
)
def test_a_folder_of_others_or_of_another_time_has_none(tmp_path: Path, data: Any) -> None:
    if data is not None:
        write(tmp_path, data)
    assert read_node(tmp_path) is None


def test_what_a_program_reads_is_sealed_and_what_is_for_people_is_not(tmp_path: Path) -> None:
    names = ("config.json", "model.safetensors", "merges.txt", "README.md", "LICENSE.txt", "x.py")
    for name in names:
        (tmp_path / name).write_text(name)
    bare = NODE.model_copy(update={"scores": []})  # one of them is infinite
    write_node(tmp_path, bare.to_data())
    node = read_node(tmp_path)
    assert node is not None and node == bare.model_copy(update={"files": node.files})
    assert sorted(node.files) == ["config.json", "merges.txt", "model.safetensors"]
    for name in names:
        path = tmp_path / name
        path.write_text("x")
        if name in node.files:
            with pytest.raises(InputError, match=f"{name}: damaged or changed .*copy the folder a"):
                refuse_changed(tmp_path)
            path.unlink()
            with pytest.raises(InputError, match=f"{name}: missing, and evergrow.json names it"):
                refuse_changed(tmp_path)
            path.write_text(name)
        refuse_changed(tmp_path)


def test_a_node_that_is_not_what_was_written_is_refused(tmp_path: Path) -> None:
    write_node(tmp_path, NODE.model_copy(update={"scores": []}).to_data())
    text = (tmp_path / FILE).read_text()
    (tmp_path / FILE).write_text(text.replace('"fed": {', '"fed": {"more": 1,'))
    with pytest.raises(InputError, match=r"evergrow.json: damaged \(it is not what was written\)"):
        read_node(tmp_path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"format": 2,')
    with pytest.raises(InputError) as caught:
        read_node(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / FILE}: damaged (Expecting property name enclosed in double quotes: "
        "line 1 column 14 (char 13)); copy the folder again"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"parent": []}, ".parent: unknown key; did you mean 'parents'?"),
        ({"kind": "stew"}, ".kind: expected 'stage', 'anneal', 'branch', 'growth', 'soup' or "
         "'adaptation', got 'stew'"),
    ],
)  # fmt: skip
def test_a_strange_node_names_what_is_strange(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    write(tmp_path, NODE.to_data() | change)
    with pytest.raises(InputError) as caught:
        read_node(tmp_path)
    assert str(caught.value) == f"{tmp_path / FILE}{said}"


def test_what_was_measured_with_a_loss_has_its_name() -> None:
    line = Measured(
        source="films", unit="log loss", loss=0.5, low=0.4, high=0.6, accuracy=0.875, floor=0.69,
        counts={"num_pictures": 40},
    )  # fmt: skip
    assert numbers_beside(line) == {"accuracy": 0.875, "floor": 0.69}
