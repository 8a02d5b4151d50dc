"""A release loads in transformers with the same logits, and has the same bytes every time."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.disk import checksum
from evergrow.errors import EvergrowError
from evergrow.models.load import load_model
from evergrow.models.save import save_release

FILES = {
    "README.md",
    "config.json",
    "evergrow.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
}


def digests(folder: Path) -> dict[str, str]:
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir()}


def test_transformers_loads_it_with_the_same_logits(
    tmp_path: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    folder = tmp_path / "releases" / "english"
    save_release(folder, model, tokenizer, "# A card\n", {"parent": None, "tokens": 7})
    assert {file.name for file in folder.iterdir()} == FILES
    assert [path.name for path in folder.parent.iterdir()] == ["english"]
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    ids = AutoTokenizer.from_pretrained(folder)("the sea and rain", return_tensors="pt").input_ids
    assert torch.equal(ids, tokenizer("the sea and rain", return_tensors="pt").input_ids)
    assert torch.equal(loaded(ids).logits, model(ids).logits)
    assert (folder / "README.md").read_text() == "# A card\n"
    record = json.loads((folder / "evergrow.json").read_text())
    assert record.items() >= {"parent": None, "tokens": 7}.items()
    assert record["files"].keys() == FILES - {"README.md", "evergrow.json"}
    assert record["files"]["config.json"] == checksum(folder / "config.json")
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_another_process_writes_the_same_bytes(
    tmp_path: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    save_release(tmp_path / "a", model, tokenizer, "card", {"b": 1, "a": 2})
    code = (
        "import sys; from pathlib import Path; from transformers import AutoTokenizer;"
        "from evergrow.models.load import load_model;"
        "from evergrow.models.save import save_release;"
        "a, b = map(Path, sys.argv[1:]); tokenizer = AutoTokenizer.from_pretrained(a);"
        "save_release(b, load_model(a), tokenizer, 'card', {'a': 2, 'b': 1})"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a"), str(tmp_path / "b")], check=True
    )
    first, second = digests(tmp_path / "a"), digests(tmp_path / "b")
    assert first == second


def test_saving_twice_over_gives_the_same_bytes_and_replaces(
    tmp_path: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    folder = tmp_path / "release"
    save_release(folder, model, tokenizer, "card", {})
    first = digests(folder)
    (folder / "stray.txt").write_text("from outside")
    save_release(folder, load_model(folder), tokenizer, "card", {})
    assert digests(folder) == first


def test_no_path_of_this_machine_is_written(
    tmp_path: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    save_release(tmp_path / "a", model, tokenizer, "card", {})
    again = AutoTokenizer.from_pretrained(tmp_path / "a")
    save_release(tmp_path / "b", load_model(tmp_path / "a"), again, "card", {})
    for file in (tmp_path / "b").iterdir():
        assert str(tmp_path).encode() not in file.read_bytes(), file.name


def test_a_full_disk_leaves_the_old_release(
    tmp_path: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "release"
    save_release(folder, model, tokenizer, "card", {})
    first = digests(folder)

    def full(*_: object, **__: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("transformers.modeling_utils.safe_save_file", full)
    with pytest.raises(EvergrowError, match="no space left while writing"):
        save_release(folder, model, tokenizer, "other card", {})
    assert digests(folder) == first
    assert list(tmp_path.iterdir()) == [folder]


def test_a_record_with_nan_is_refused_before_anything_is_written(
    tmp_path: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    with pytest.raises(ValueError, match="JSON"):
        save_release(tmp_path / "a", model, tokenizer, "card", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_printed(
    tmp_path: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    capfd: pytest.CaptureFixture[str],
) -> None:
    save_release(tmp_path / "a", model, tokenizer, "card", {})
    load_model(tmp_path / "a")
    assert capfd.readouterr() == ("", "")
