"""A pair of folders: whatever was changed after the growth is named."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from grow.folders import save, save_base
from safetensors.torch import load_file, save_file

from evergrow.errors import InputError
from evergrow.grow.config import GrowConfig
from evergrow.grow.folder import grow_folder
from evergrow.grow.verify import verify_folders


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pair")
    save(path / "source", "qwen3")
    to: Any = {"hidden": 72, "heads": 6, "kv_heads": 3, "ffn": 130, "layers": 4}
    grow_folder(path / "source", GrowConfig(to=to), path / "grown")
    return path


@pytest.fixture
def pair(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "moved")  # paths inside are relative
    return tmp_path / "moved"


def verify(pair: Path, **settings: Any) -> dict[str, Any]:
    return verify_folders(pair / "source", pair / "grown", **settings)


def test_an_untouched_pair_holds(pair: Path) -> None:
    found = verify(pair)
    assert found["problems"] == []
    assert found["exactness"] == "exact"
    assert [axis["axis"] for axis in found["axes"]] == [
        "hidden", "heads", "kv_heads", "ffn", "layers",
    ]  # fmt: skip
    assert found["config"]["hidden_size"] == [48, 72]
    assert found["cost"]["ratios"]["kv_cache_bytes_per_token"] == 2  # 2 x 3 to 3 x 4 heads
    kinds = {m["kind"]: m for m in found["verification"]["symmetry"]}
    free = kinds["model.layers.*.mlp.up_proj.weight"]
    assert free["shape"] == [130, 72]
    assert {
        free[f"{what}_{side}"] for what in ("duplicate", "locked") for side in ("rows", "columns")
    } == {0}


def change_weight(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        weights[name].view(-1)[5] += 1e-6
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    return change


def change_config(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"rms_norm_eps": 1e-5}))


@pytest.mark.parametrize(
    ("where", "change", "said"),
    [
        ("grown", change_weight("model.norm.weight"),
         ["weights are not what the source gives: model.norm.weight"]),
        ("source", change_weight("model.norm.weight"),
         ["the source's model.safetensors changed since the growth",
          "weights are not what the source gives: model.norm.weight"]),
        ("grown", change_config, ["config.json differs from the plan in rms_norm_eps"]),
    ],
)  # fmt: skip
def test_whatever_changed_is_named(
    where: str, change: Callable[[Path], None], said: list[str], pair: Path
) -> None:
    change(pair / where)
    assert verify(pair)["problems"][: len(said)] == said


def test_without_a_record_the_function_must_be_kept(pair: Path) -> None:
    (pair / "grown" / "growth.json").unlink()
    found = verify(pair)
    assert found["problems"] == []
    assert "axes" not in found
    assert found["config"]["num_hidden_layers"] == [3, 4]
    change_config(pair / "grown")
    assert "outputs differ by" in verify(pair)["problems"][0]


def test_an_encoder_without_a_record_has_no_common_features(tmp_path: Path) -> None:
    save_base(tmp_path / "source", "bert")
    to: Any = {"hidden": 96, "heads": 8}
    grow_folder(tmp_path / "source", GrowConfig(to=to), tmp_path / "grown")
    assert verify(tmp_path)["problems"] == []
    (tmp_path / "grown" / "growth.json").unlink()
    with pytest.raises(InputError, match="which says how its 96 hidden features stand for"):
        verify(tmp_path)


def test_a_lossy_growth_holds_what_it_says(tmp_path: Path) -> None:
    save(tmp_path / "source", "bert")
    to: Any = {"layers": 5}
    record = grow_folder(tmp_path / "source", GrowConfig(to=to), tmp_path / "grown")
    assert record["exactness"] == "lossy"
    assert record["verification"]["difference"]["kl"] > 0.01
    assert record["verification"]["limit"] is None
    assert verify(tmp_path)["problems"] == []
    assert "more than --tolerance" in verify(tmp_path, tolerance=0.1)["problems"][0]
