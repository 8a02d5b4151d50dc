"""A folder grown from a folder: it loads, computes the same, and is there whole or not at all."""

import errno
import json
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch
from grow.folders import load, save, save_base
from grow.table import double
from grow.tiny import TINY, inputs
from safetensors.torch import load_file

from evergrow.errors import EvergrowError, InputError
from evergrow.grow import folder
from evergrow.grow.config import GrowConfig
from evergrow.grow.expand import expand, needed
from evergrow.grow.folder import grow_folder, look_ahead

DOUBLE = GrowConfig(to={"hidden": 96, "heads": 8, "ffn": 224})
DEEPER = GrowConfig(to={"layers": 4})


@pytest.mark.parametrize("family", list(TINY))
def test_every_family_grows_as_a_folder_and_loads(family: str, tmp_path: Path) -> None:
    source = save(tmp_path / "source", family)
    to: Any = double(family)
    record = grow_folder(tmp_path / "source", GrowConfig(to=to), tmp_path / "grown")
    grown = load(tmp_path / "grown", type(source))
    given = {k: v.float() if v.is_floating_point() else v for k, v in inputs(source).items()}
    with torch.no_grad():
        apart = (grown(**given).logits - source(**given).logits).abs().max()
    assert record["exactness"] == "exact"
    assert apart < 3e-4  # float32; gemma's logits have a deviation of 9
    assert record["verification"]["difference"]["maximum"] < 3e-4
    assert 0.3 < record["verification"]["gradient_norm"]["ratio"] < 3
    assert sum(p.numel() for p in grown.parameters()) == record["cost"]["grown"]["num_parameters"]


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_an_encoder_without_a_head_is_compared_as_its_readers_see_it(
    family: str, tmp_path: Path
) -> None:
    source = save_base(tmp_path / "source", family)
    to = {"hidden": 96, "heads": 8} if family == "bert" else {"hidden": 72, "heads": 6}
    record = grow_folder(tmp_path / "source", GrowConfig(to=to), tmp_path / "grown")  # pyright: ignore
    assert record["verification"]["difference"]["maximum"] < 1e-4
    grown = load(tmp_path / "grown", type(source))
    with torch.no_grad():
        hidden = [model(**inputs(source)).last_hidden_state for model in (source, grown)]
    if family == "bert":  # equal counts: copies stand one after another
        assert (hidden[1][..., :48] - hidden[0]).abs().max() < 1e-4
        assert (hidden[1][..., 48:] - hidden[0]).abs().max() < 1e-4


def test_bf16_is_judged_before_rounding(tmp_path: Path) -> None:
    save(tmp_path / "source", "llama", torch.bfloat16)
    to: Any = {"hidden": 72, "heads": 6, "kv_heads": 3, "ffn": 150}
    checked = grow_folder(tmp_path / "source", GrowConfig(to=to), tmp_path / "grown")[
        "verification"
    ]
    assert checked["difference_before_rounding"]["maximum"] < 1e-4
    assert 1e-2 < checked["difference"]["maximum"] < 2 * checked["noise"]["bfloat16"]["maximum"]
    weights = load_file(tmp_path / "grown" / "model.safetensors")
    assert {w.dtype for w in weights.values()} == {torch.bfloat16}


def test_what_rounding_did_not_change_is_not_computed_again(tmp_path: Path) -> None:
    """A doubled bf16 model is exact as it is stored."""
    save(tmp_path / "source", "llama", torch.bfloat16)
    checked = grow_folder(tmp_path / "source", DOUBLE, tmp_path / "grown")["verification"]
    assert checked["difference_before_rounding"] is None
    assert checked["difference"]["maximum"] < 1e-4 < checked["noise"]["bfloat16"]["maximum"]


def test_shards_in_and_out_and_the_same_bytes_twice(tmp_path: Path) -> None:
    save(tmp_path / "source", "qwen2", shard="40KB")
    assert (tmp_path / "source" / "model.safetensors.index.json").exists()
    for name in ("a", "b"):
        grow_folder(tmp_path / "source", DOUBLE, tmp_path / name, shard_bytes=400_000)
    files = sorted(f.name for f in (tmp_path / "a").iterdir())
    assert "model-00001-of-00003.safetensors" in files
    assert files == sorted(f.name for f in (tmp_path / "b").iterdir())
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    load(tmp_path / "a", TINY["qwen2"][0])


def assert_nothing_left(tmp_path: Path) -> None:
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_two_tensors_are_in_memory_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "source", "llama")
    outlook = look_ahead(tmp_path / "source", DEEPER)
    order = []

    def watched(plan: Any, name: str, read: Any) -> torch.Tensor:
        file = tmp_path / "grown" / "model.safetensors"
        order.append((name, file.stat().st_size if file.exists() else 0))
        return expand(plan, name, read)

    monkeypatch.setattr(folder, "expand", watched)
    (tmp_path / "grown").mkdir()
    folder.write_grown(outlook, tmp_path / "grown")
    assert [name for name, _ in order] == list(outlook.shapes)
    written = [size for _, size in order]
    assert written[-1] > 90_000  # all but two were in the file before the last was made


def test_a_disk_that_fills_up_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "source", "llama")

    def full(plan: Any, name: str, read: Any) -> torch.Tensor:
        if name == "model.norm.weight":
            raise OSError(errno.ENOSPC, "No space left on device")
        return expand(plan, name, read)

    monkeypatch.setattr(folder, "expand", full)
    with pytest.raises(EvergrowError, match="no space left while writing"):
        grow_folder(tmp_path / "source", DOUBLE, tmp_path / "grown")
    assert_nothing_left(tmp_path)


def test_too_little_space_is_seen_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "source", "llama")
    usage = namedtuple("usage", "total used free")(10**9, 10**9, 10**5)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(
        EvergrowError, match=r"needs 0\.0 GB and 0\.0 GB are free; nothing was writ"
    ):
        grow_folder(tmp_path / "source", DOUBLE, tmp_path / "grown")
    assert_nothing_left(tmp_path)


def test_a_growth_that_breaks_its_promise_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "source", "llama")

    def undivided(plan: Any, name: str, read: Any) -> torch.Tensor:
        return expand(plan, name, read) * (2 if name.endswith("down_proj.weight") else 1)

    monkeypatch.setattr(folder, "expand", undivided)
    with pytest.raises(EvergrowError, match="not written, because the grown model is not what the"):
        grow_folder(tmp_path / "source", DOUBLE, tmp_path / "grown")
    assert_nothing_left(tmp_path)


def test_zeros_before_a_norm_are_caught_by_the_gradient(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OLMo 2's identity blocks by zero outputs keep the function and explode the gradient."""
    save(tmp_path / "source", "olmo2")

    def wrong_site(plan: Any, name: str, read: Any) -> torch.Tensor:
        if plan.family.zeroed(name):
            return read(needed(plan, name)[0])
        made = expand(plan, name, read)
        place = plan.family.block_of(name)
        silent = name.endswith(("o_proj.weight", "down_proj.weight"))
        return made * 0 if silent and place is not None and plan.blocks[place].identity else made

    monkeypatch.setattr(folder, "expand", wrong_site)
    with pytest.raises(EvergrowError, match=r"says: the gradient's norm is \d+.* times the source"):
        grow_folder(tmp_path / "source", DEEPER, tmp_path / "grown")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: (f / "config.json").unlink(), r"no model here \(config\.json is missing\)"),
        (lambda f: (f / "config.json").write_text("{"), "not readable as JSON"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\1\2\3"), "truncated or damaged"),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "only pickled"),
    ],
)
def test_a_broken_source_is_refused_in_one_sentence(spoil: Any, said: str, tmp_path: Path) -> None:
    save(tmp_path / "source", "llama")
    spoil(tmp_path / "source")
    with pytest.raises(InputError, match=said):
        grow_folder(tmp_path / "source", DOUBLE, tmp_path / "grown")
    assert_nothing_left(tmp_path)


def test_a_config_of_another_model_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "source", "llama")
    path = tmp_path / "source" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"intermediate_size": 111}))
    with pytest.raises(InputError, match="both must come from the same model"):
        look_ahead(tmp_path / "source", DOUBLE)


def test_an_existing_folder_is_never_touched(tmp_path: Path) -> None:
    save(tmp_path / "source", "llama")
    (tmp_path / "grown").mkdir()
    (tmp_path / "grown" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is there already; choose another folder or delete it"):
        grow_folder(tmp_path / "source", DOUBLE, tmp_path / "grown")
    assert [f.name for f in (tmp_path / "grown").iterdir()] == ["mine.txt"]
