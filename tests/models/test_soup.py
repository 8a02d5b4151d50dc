"""The average of models: its numbers, what comes along, and what has no average."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.errors import InputError
from evergrow.models.config import ModelConfig
from evergrow.models.load import load_model
from evergrow.models.presets import from_scratch
from evergrow.models.save import save_release
from evergrow.models.soup import refuse_others, write_average

Model = Callable[..., Path]


@pytest.fixture
def model(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> Model:
    def make(seed: int, hidden: int = 16) -> Path:
        config = ModelConfig(preset="olmo2", hidden=hidden, layers=2, heads=2)
        folder = tmp_path / f"model-{seed}-{hidden}"
        save_release(folder, from_scratch(config, tokenizer, 24, seed), tokenizer, "card", {})
        return folder

    return make


def changed(folder: Path, **tensors: torch.Tensor) -> None:
    path = folder / "model.safetensors"
    save_file({**load_file(path), **tensors}, path, metadata={"format": "pt"})


def config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_every_tensor_is_the_mean_in_the_type_of_the_first(model: Model, tmp_path: Path) -> None:
    folders = [model(seed) for seed in (1, 2, 3)]
    write_average(folders, tmp_path / "soup")
    parts = [load_file(folder / "model.safetensors") for folder in folders]
    found = load_file(tmp_path / "soup" / "model.safetensors")
    assert found.keys() == parts[0].keys()
    for name, tensor in found.items():
        assert torch.equal(tensor, (sum(p[name].double() for p in parts) / 3).float())
    load_model(tmp_path / "soup")
    there = {path.name for path in (tmp_path / "soup").iterdir()}
    assert {"config.json", "tokenizer.json"} <= there
    assert not {"README.md", "evergrow.json"} & there


def test_a_sum_in_half_precision_is_not_rounded_on_the_way(model: Model, tmp_path: Path) -> None:
    """256 + 1 is 256 in bfloat16: only a sum in a wider type has the mean 86 of 256, 1 and 1."""
    name = "model.norm.weight"
    folders = [model(seed) for seed in (1, 2, 3)]
    for folder, value in zip(folders, (256.0, 1.0, 1.0), strict=True):
        changed(folder, **{name: torch.full((16,), value, dtype=torch.bfloat16)})
    write_average(folders, tmp_path / "soup")
    found = load_file(tmp_path / "soup" / "model.safetensors")[name]
    assert (found.dtype, float(found[0])) == (torch.bfloat16, 86.0)


def test_other_shapes_and_tensors_are_one_sentence(model: Model) -> None:
    one, wide, more = model(1), model(2, 32), model(3)
    with pytest.raises(InputError, match=r"hidden_size is 32 in its config.json and 16 in that of"):
        refuse_others([one, wide])
    shutil.copyfile(one / "config.json", wide / "config.json")
    said = (
        r"model-2-32: lm_head.weight is \(270, 32\), and \(270, 16\) in .*model-1-16; only models"
    )
    with pytest.raises(InputError, match=said):
        refuse_others([one, wide])
    changed(more, extra=torch.zeros(1))
    with pytest.raises(InputError, match=r"model-3-16: has the tensor extra, which .*model-1-16"):
        refuse_others([one, more])


def test_a_model_that_computes_otherwise_is_refused_and_a_version_is_not(model: Model) -> None:
    one, two = model(1), model(2)
    config(two, transformers_version="0")
    refuse_others([one, two])
    config(two, rms_norm_eps=1.0)
    with pytest.raises(InputError, match=r"rms_norm_eps is 1.0 in its config.json and 1e-06"):
        refuse_others([one, two])


def test_batch_norms_and_whole_numbers_have_no_mean(model: Model, tmp_path: Path) -> None:
    one, two = model(1), model(2)
    changed(one, steps=torch.tensor([1]))
    changed(two, steps=torch.tensor([2]))
    with pytest.raises(InputError, match="whole numbers that differ"):
        write_average([one, two], tmp_path / "soup")
    assert not (tmp_path / "soup").exists()
    changed(one, **{"norm.running_mean": torch.zeros(2)})
    with pytest.raises(InputError, match=r"has batch norms \(norm.running_mean\)"):
        refuse_others([one, two])
