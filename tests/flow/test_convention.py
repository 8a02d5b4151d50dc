"""BOS where a tokenizer puts it: in shards, in measured windows and before a prompt alike."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flow.tiny import carry, run_of, tiny
from tokenizers import Tokenizer, processors

from evergrow.flow import look
from evergrow.models.load import load_model
from evergrow.models.sample import generate
from evergrow.stream.shards import TokenSource
from evergrow.stream.tokenizer import load_tokenizer, tokenizer_hash

BOS = 5  # a token of the tiny vocabulary, given another meaning


@pytest.fixture(scope="module")
def with_bos(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release whose tokenizer begins texts with a token of its own."""
    folder = tmp_path_factory.mktemp("bos") / "model"
    shutil.copytree(whole / "releases" / "two", folder)
    (folder / "evergrow.json").unlink()  # what follows is on purpose
    rules = Tokenizer.from_file(str(folder / "tokenizer.json"))
    name = rules.id_to_token(BOS)
    rules.post_processor = processors.TemplateProcessing(  # pyright: ignore
        single=f"{name} $A", special_tokens=[(name, BOS)]
    )
    rules.save(str(folder / "tokenizer.json"))
    return folder


def first_tokens(model: Any) -> set[int]:
    """Collects what every row that ``model`` reads begins with."""
    seen: set[int] = set()
    table = model.get_input_embeddings()
    table.register_forward_pre_hook(lambda _, given: seen.update(given[0][:, 0].tolist()))
    return seen


def test_shards_begin_every_document_with_it(
    base: Path, with_bos: Path, tmp_path: Path, whole: Path
) -> None:
    recipe = tiny(tokenizer=None, model={"from": str(with_bos)})
    run = run_of(carry(recipe, tmp_path, base))
    for place in run.manifest.data.values():
        source = TokenSource.open(run.folder.parent / place)
        length = source.num_tokens - 1
        window, documents = source.window(0, length), source.window_documents(0, length)
        starts = np.flatnonzero(np.diff(documents, prepend=-1))
        assert len(starts) == source.num_documents > 10
        assert set(window[starts]) == {BOS}
        assert set(window[starts[1:] - 1]) == {source.eos}
        assert source.manifest["first"] == BOS
        assert all(document.tokens[0] != BOS for document in source.held_out())
    plain = json.loads(next((whole.parent / "data").glob("land-*/manifest.json")).read_text())
    assert "first" not in plain


def test_measured_windows_and_prompts_begin_with_it(
    base: Path, with_bos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(with_bos)
    seen = first_tokens(model)
    monkeypatch.setattr(look, "load_model", lambda folder: model)
    look.evaluate(with_bos, [str(base / "sky" / "*.txt")], 32)
    assert seen == {0, BOS}  # 0: one token to see whether the model can be taken apart
    seen.clear()
    with torch.no_grad():
        generate(model, load_tokenizer(with_bos), "tree root", 1, 0.0, 0)
    assert seen == {BOS}


def test_another_convention_is_another_tokenizer(with_bos: Path, whole: Path) -> None:
    one, other = (tokenizer_hash(load_tokenizer(f)) for f in (with_bos, whole / "releases" / "two"))
    assert one != other
