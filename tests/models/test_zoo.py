"""Every language model that transformers builds small lives a life here, or is refused at once.

`pytest -m slow tests/models/test_zoo.py -rP` prints which family does what.
"""

import copy
import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models.zoo import LENGTH, VOCABULARY, names, tiny_config
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.errors import InputError
from evergrow.models.brought import keep_brought, record_dtype
from evergrow.models.config import ModelConfig
from evergrow.models.kind import KINDS
from evergrow.models.load import empty_model, load_model, model_from_config
from evergrow.models.quiet import undisturbed
from evergrow.models.sample import generate
from evergrow.models.save import save_release
from evergrow.objectives.causal import Causal
from evergrow.objectives.masked import Masked
from evergrow.stream.batches import TokenBatch
from evergrow.stream.masks import MaskedBatch

# By what is known of transformers: it loads this one's padding row as zeros.
LOADS_OTHERWISE = {"youtu"}
FAST = (("llama", False), ("gemma2", False), ("mamba", False), ("gpt_oss", False), ("mpnet", True))


def windows(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(2, VOCABULARY, (2, LENGTH + 1))


def learn(model: Any, masked: bool, steps: int = 2) -> None:
    """A few steps of the objective's own loss."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    objective = Masked(0.0) if masked else Causal(0.0)
    for step in range(steps):
        ids = windows(step)
        batch: Any = TokenBatch(
            ids[:, :-1], ids[:, 1:], np.ones((2, LENGTH), np.float32), np.full(2, LENGTH), None
        )
        if masked:
            batch = MaskedBatch(
                ids[:, :-1], ids[:, :-1], np.arange(LENGTH)[None] % 4 == np.zeros((2, 1))
            )
        optimizer.zero_grad()
        loss = objective(model, batch, torch.device("cpu")).total
        loss.backward()
        optimizer.step()
        assert bool(torch.isfinite(loss))


def logits(model: Any, masked: bool) -> torch.Tensor:
    ids = torch.from_numpy(windows(9)[:, :-1])
    with torch.no_grad():
        return model.eval()(input_ids=ids, **({} if masked else {"use_cache": False})).logits


def digests(folder: Path) -> dict[str, str]:
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir()}


def build(model_type: str, masked: bool, folder: Path, tokenizer: Any) -> None:
    """A model of the family as a folder that stands for one from the hub."""
    with undisturbed():
        torch.manual_seed(0)
        auto = KINDS["masked" if masked else "causal"].auto_class
        config = tiny_config(model_type, masked)
        with torch.device("meta"):
            size = sum(p.numel() for p in auto.from_config(config).parameters())
        if size > 2_000_000:
            raise ValueError(f"not small: {size:,} parameters")
        auto.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def live(model_type: str, masked: bool, folder: Path, tokenizer: Any) -> str:
    """Continue a model, release it, load it again, and be killed before the release once more."""
    start, kept = folder / "start", folder / "kept"
    config = ModelConfig.model_validate({"from": str(start)})
    try:
        model = model_from_config(config, tokenizer, LENGTH, 0)
    except InputError as error:
        assert "\n" not in str(error)
        return f"refused: {error}"
    kept.mkdir()
    model.config.save_pretrained(kept)
    keep_brought(start, kept, own_tokenizer=True)
    record_dtype(kept, torch.float32)
    learn(model, masked)
    state = copy.deepcopy({name: tensor.detach() for name, tensor in model.state_dict().items()})
    save_release(folder / "release", model, tokenizer, "card", {}, kept)
    torch.testing.assert_close(
        logits(load_model(folder / "release"), masked), logits(model, masked), rtol=0, atol=1e-6
    )
    resumed = empty_model(kept)
    resumed.load_state_dict(state)
    save_release(folder / "again", resumed, tokenizer, "card", {}, kept)
    assert digests(folder / "again") == digests(folder / "release")
    if not masked:
        assert isinstance(generate(model, tokenizer, "the sea", 3, 0.0, 0), str)
    return "lived"


@pytest.mark.parametrize(("model_type", "masked"), FAST)
def test_a_model_lives(
    model_type: str, masked: bool, tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    build(model_type, masked, tmp_path / "start", tokenizer)
    assert live(model_type, masked, tmp_path, tokenizer) == "lived"


# What the table must say of the families that people bring, and how many of all live or are built.
LIVE = {
    "bert bloom codegen falcon gemma gemma2 gpt2 gpt_bigcode gpt_neo gpt_neox gpt_oss gptj granite",
    "llama mamba mamba2 mistral mixtral mpt olmo2 olmoe openai-gpt opt phi phi3 qwen2 qwen3",
    "qwen3_moe recurrent_gemma rwkv smollm3 stablelm deepseek_v3 modernbert-decoder xglm",
}
LIVE_MASKED = {
    "albert bert big_bird camembert deberta deberta-v2 distilbert electra longformer modernbert",
    "mpnet roberta xlm-roberta nomic_bert eurobert",
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("masked", "least"), [(False, 140), (True, 40)])
def test_table(
    masked: bool, least: int, tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    found: dict[str, str] = {}
    for model_type in names(masked):
        folder = tmp_path / model_type
        try:
            build(model_type, masked, folder / "start", tokenizer)
        except Exception as error:  # noqa: BLE001 - a configuration that cannot be small
            found[model_type] = f"not built: {str(error).strip().partition(chr(10))[0]}"
            continue
        if model_type not in LOADS_OTHERWISE:
            found[model_type] = live(model_type, masked, folder, tokenizer)
        shutil.rmtree(folder)
    for model_type, fate in found.items():
        print(f"{model_type:24} {fate}")  # noqa: T201 - what -rP is for
    expected = set(" ".join(LIVE_MASKED if masked else LIVE).split())
    assert {name for name in expected if found.get(name) != "lived"} == set()
    assert sum(fate == "lived" for fate in found.values()) >= least
