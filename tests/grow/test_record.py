"""growth.json: where every tensor comes from, the next rate, and formats that are refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from grow.folders import save

from evergrow.disk import checksum, sealed
from evergrow.errors import InputError
from evergrow.grow.config import GrowConfig
from evergrow.grow.folder import grow_folder
from evergrow.grow.record import next_rate, read_record
from evergrow.lineage import Node

TO: Any = {"hidden": 96, "heads": 8, "layers": 4}


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("record")
    save(path / "source", "gpt_neox")
    grow = GrowConfig(to=TO, noise=0.01, seed=3)
    returned = grow_folder(path / "source", grow, path / "deep" / "grown")
    written = json.loads((path / "deep" / "grown" / "growth.json").read_text())
    assert written == sealed(json.loads(json.dumps(returned)))
    read = read_record(path / "deep" / "grown")
    assert read is not None
    assert (read.grow, read.source.blake3) == (grow, written["source"]["blake3"])
    hashes = written["source"]["blake3"]
    assert written["source"]["path"] == "../../source"
    assert hashes["model.safetensors"] == checksum(path / "source" / "model.safetensors")
    assert hashes["config.json"] == checksum(path / "source" / "config.json")
    return written


def test_every_tensor_says_where_it_comes_from(record: dict[str, Any]) -> None:
    tensors = record["tensors"]
    new = "gpt_neox.layers.3.mlp.dense_4h_to_h.weight"
    assert tensors[new]["source"] == "gpt_neox.layers.2.mlp.dense_4h_to_h.weight"
    assert tensors[new]["zero"] == "identity block"
    assert tensors[new]["new_block"] is True
    table = tensors["gpt_neox.embed_in.weight"]
    assert table["dimensions"][1]["before"] == 48
    assert table["dimensions"][1]["after"] == 96
    read = tensors["gpt_neox.layers.0.attention.query_key_value.weight"]
    assert read["noise"]["times_rms"] == 0.01
    assert len(read["dimensions"][1]["index_blake2b"]) == 32


def test_no_optimiser_and_no_known_rate_are_said(record: dict[str, Any]) -> None:
    assert record["optimizer"].startswith("a model folder holds no optimiser state")
    assert record["learning_rate"]["next"] is None
    assert "without a warmup" in record["learning_rate"]["rule"]
    assert "The source records no rate" in record["learning_rate"]["rule"]


@pytest.mark.parametrize(
    ("segments", "rate"),
    [
        ([{"shape": "constant", "from_lr": 2e-3, "to_lr": 2e-3}], 2e-3),
        ([{"shape": "constant", "from_lr": 2e-3}, {"shape": "linear", "to_lr": 2e-4}], 2e-4),
        ([], None),
    ],
)
def test_the_next_rate_is_the_one_the_source_stopped_at(
    segments: list[dict[str, Any]], rate: float | None, tmp_path: Path
) -> None:
    details: dict[str, Any] = {"schedule": segments}
    node = Node(key="k", kind="stage", name="one", parents=[], details=details)
    (tmp_path / "evergrow.json").write_text(json.dumps(node.to_data()))
    found = next_rate(tmp_path, GrowConfig(to=TO, rho=2.0, warm_steps=7), pruned=False)
    assert (found.next, found.rho, found.warm_steps) == (rate, 2.0, 7)
    assert found.new_parameters == (None if rate is None else 2 * rate)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"format": 2}', "format 2 is newer than 1, the newest this version reads; upgrade"),
        ("{}", "expected a format number, got None; restore it from a copy"),
        ("[", "damaged .*; grow again"),
    ],
)
def test_a_strange_record_is_refused(text: str, said: str, tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    (tmp_path / "growth.json").write_text(text)
    with pytest.raises(InputError, match=said):
        read_record(tmp_path)
