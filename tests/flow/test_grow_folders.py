"""Text for a comparison, as the model's own task asks for it; models found by run."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from flow.tiny import PER_STEP, losses_at, write_texts
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertForMaskedLM, BertModel, PreTrainedTokenizerFast

from evergrow.errors import InputError
from evergrow.flow import grow_folders
from evergrow.flow.first_stage import continue_model
from evergrow.flow.grow_folders import annealed, apply, plan, read_batches, verify
from evergrow.grow.config import GrowConfig
from evergrow.listener import Listener
from evergrow.models.config import ModelConfig
from evergrow.models.find import find_model
from evergrow.models.load import model_from_config
from evergrow.models.quiet import undisturbed
from evergrow.models.save import save_release
from evergrow.run import Run
from evergrow.stream.tokenizer import train_tokenizer


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_texts(tmp_path_factory.mktemp("texts"))


def causal(folder: Path, texts: Path, positions: int = 64) -> Path:
    tokenizer = train_tokenizer([p.read_text() for p in texts.glob("*/*.txt")], 280)
    config = ModelConfig(preset="olmo2", hidden=32, layers=1)
    save_release(folder, model_from_config(config, tokenizer, positions, 0), tokenizer, "", {})
    return folder


def masked(folder: Path, texts: Path, kind: Any = BertForMaskedLM) -> Path:
    words = sorted({word for p in texts.glob("*/*.txt") for word in p.read_text().split()})
    special = ["[PAD]", "[UNK]", "[SEP]", "[MASK]"]
    ids = {word: i for i, word in enumerate(special + words)}
    bare = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    bare.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # pyright: ignore
    sizes: dict[str, Any] = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1}
    config = BertConfig(**sizes, intermediate_size=24, vocab_size=len(ids), pad_token_id=0)
    with undisturbed():
        kind(config).save_pretrained(folder)
        PreTrainedTokenizerFast(
            tokenizer_object=bare, unk_token="[UNK]", pad_token="[PAD]", sep_token="[SEP]",
            mask_token="[MASK]",
        ).save_pretrained(folder)  # fmt: skip
    return folder


def test_windows_of_a_causal_model_follow_one_another(tmp_path: Path, texts: Path) -> None:
    folder = causal(tmp_path / "model", texts)
    batches = read_batches(folder, [f"{texts}/land/*.txt"])
    ids = torch.cat([batch.inputs["input_ids"] for batch in batches])
    targets = torch.cat([batch.targets for batch in batches if batch.targets is not None])
    assert ids.shape[1] == 62
    assert ids.numel() <= grow_folders.TEXT_TOKENS
    assert max(batch.inputs["input_ids"].numel() for batch in batches) <= 1024
    assert torch.equal(targets[:, :-1], ids[:, 1:])
    assert ids[0, 0] == 0  # the first document begins after the end of text
    assert (ids == 0).sum() > 1


def test_a_masked_model_is_asked_for_what_it_does_not_see(tmp_path: Path, texts: Path) -> None:
    folder = masked(tmp_path / "model", texts)
    batch = read_batches(folder, [f"{texts}/sea/*.txt"])[0]
    ids, targets = batch.inputs["input_ids"], batch.targets
    assert targets is not None
    asked = targets != -100
    assert torch.equal(ids == 3, asked)
    assert asked.float().mean() == pytest.approx(0.15, abs=0.03)
    assert (targets[asked] != 3).all()


def test_an_encoder_reads_and_is_asked_nothing(tmp_path: Path, texts: Path) -> None:
    folder = masked(tmp_path / "model", texts, BertModel)
    assert read_batches(folder, [f"{texts}/sea/*.txt"])[0].targets is None
    to: Any = {"hidden": 32, "heads": 4}
    record = apply(folder, GrowConfig(to=to), tmp_path / "grown", [f"{texts}/sea/*.txt"])
    assert record["verification"]["text"]["maximum"] < 1e-4
    assert (tmp_path / "grown" / "tokenizer.json").exists()


def test_too_little_text_is_refused(tmp_path: Path, texts: Path) -> None:
    folder = causal(tmp_path / "model", texts)
    (tmp_path / "short.txt").write_text("tree")
    with pytest.raises(InputError, match=r"--data: \d tokens are less than one window of 62"):
        read_batches(folder, [str(tmp_path / "short.txt")])


def test_a_runs_release_is_said_to_be_annealed(whole: Path, tmp_path: Path) -> None:
    said = annealed(whole)
    assert said is not None
    assert said.startswith(f"{whole}: its newest release, {find_model(whole)}, is grown, whose")
    assert f"evergrow continue {whole} --set grow.to.AXIS=SIZE" in said
    assert annealed(find_model(whole)) is None
    assert annealed("someone/model") is None


def test_a_runs_release_is_found_grown_and_verified(whole: Path, tmp_path: Path) -> None:
    to: Any = {"layers": 3}
    planned = plan(whole, GrowConfig(to=to))
    record = apply(whole, GrowConfig(to=to), tmp_path / "grown")
    assert planned["axes"] == record["axes"]
    assert record["exactness"] == "exact"
    release = json.loads((find_model(whole) / "evergrow.json").read_text())
    assert record["learning_rate"]["next"] == release["details"]["schedule"][-1]["to_lr"] > 0
    assert verify(whole, tmp_path / "grown")["problems"] == []


def test_a_release_shrinks_loses_and_wins_part_of_it_back(
    whole: Path, base: Path, tmp_path: Path
) -> None:
    """In depth and width; what stays goes on as a model of its own."""
    texts = [f"{base}/land/*.txt"]
    cut = GrowConfig(to={"layers": 1, "ffn": 20})
    planned = plan(whole, cut, texts)
    record = apply(whole, cut, tmp_path / "small", texts)
    assert planned["pruning"] == record["pruning"]
    before, after = (
        record["verification"]["text"][f"{which}_bits_per_byte"] for which in ("source", "grown")
    )
    assert after > before + 0.01
    assert verify(whole, tmp_path / "small", texts)["problems"] == []
    settings = {"train.sequence_length": 32, "train.batch_size": 4, "schedule.peak_lr": 3e-3}
    settings |= {"held_out.tokens": 500, "checkpoints.every": 5 * PER_STEP}
    carried = continue_model(
        str(tmp_path / "small"), texts, 20 * PER_STEP, "again", tmp_path / "runs", Listener(),
        settings, [],
    )  # fmt: skip
    run = Run(carried.folder / "main")
    first, last = (losses_at(run, stage)["again"].loss for stage in (None, "again"))
    assert last < first - 0.02


def test_text_that_a_growth_does_not_need_is_refused(whole: Path, base: Path) -> None:
    with pytest.raises(InputError, match="--data: a growth is planned without text; leave --data"):
        plan(whole, GrowConfig(to={"layers": 3}), [f"{base}/land/*.txt"])
