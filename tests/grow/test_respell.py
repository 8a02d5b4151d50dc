"""A new tokenizer's rows: kept to the bit, means of the pieces that spell them, or refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from grow.folders import load, save
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaForCausalLM

from evergrow.errors import InputError
from evergrow.flow import grow_folders
from evergrow.grow.config import GrowConfig
from evergrow.grow.folder import grow_folder
from evergrow.grow.respell import read_pieces, spelling
from evergrow.grow.verify import verify_folders

LETTERS = [*"abcdefghijklmnopqrstuvwxyz", "Ġ", "."]
OLD_MERGES = [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("i", "n")]
NEW_MERGES = [*OLD_MERGES, ("in", "g"), ("Ġthe", "n"), ("q", "u")]
LLAMA: dict[str, Any] = {"eos_token_id": 0, "tie_word_embeddings": False}


def byte_level(merges: list[tuple[str, str]], specials: list[str]) -> Tokenizer:
    """Letters and merges as GPT-2 has them."""
    pieces = [*LETTERS, *("".join(pair) for pair in merges)]
    vocab = {piece: i for i, piece in enumerate([*specials, *pieces])}
    tokenizer = Tokenizer(models.BPE(vocab, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(specials)
    return tokenizer


def keep(tokenizer: Tokenizer, folder: Path, eos: str) -> Path:
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"eos_token": eos, "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    old = byte_level(OLD_MERGES, ["<end>"])
    save(tmp_path / "source", "llama", vocab_size=old.get_vocab_size(), **LLAMA)
    (tmp_path / "source/generation_config.json").write_text('{"eos_token_id": [0]}')
    return keep(old, tmp_path / "source", "<end>")


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """More pieces, at other ids; the end of a text is called otherwise and is not the first."""
    return keep(byte_level(NEW_MERGES, ["<pad>", "</s>"]), tmp_path / "new", "</s>")


def id_of(folder: Path, piece: str) -> int:
    found = Tokenizer.from_file(str(folder / "tokenizer.json")).token_to_id(piece)
    assert found is not None
    return found


def test_rows_are_kept_or_means_and_the_folder_is_verified(
    source: Path, new: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text("the king then sings the thing. " * 40)
    grow = GrowConfig(tokenizer=str(new), to={"hidden": 96, "heads": 8})
    data = [str(tmp_path / "text.txt")]
    record = grow_folders.apply(source, grow, tmp_path / "grown", data)
    before = load_file(source / "model.safetensors")
    after = load_file(tmp_path / "grown/model.safetensors")
    table, larger = (t["model.embed_tokens.weight"] for t in (before, after))
    both = torch.tensor([[id_of(f, p) for p in ("Ġthe", "q", "in")] for f in (source, new)])
    assert torch.equal(larger[both[1]], table[both[0]].repeat(1, 2))
    assert torch.equal(larger[id_of(new, "</s>")], table[0].repeat(2))  # by its role
    ing = table[[id_of(source, p) for p in ("in", "g")]].mean(0)
    assert torch.allclose(larger[id_of(new, "ing")], ing.repeat(2))
    assert torch.allclose(larger[id_of(new, "<pad>")], table.mean(0).repeat(2), atol=1e-6)
    head = before["lm_head.weight"]
    qu = head[[id_of(source, p) for p in ("q", "u")]].mean(0)
    halves = after["lm_head.weight"][id_of(new, "qu")].view(2, -1)
    assert torch.allclose(halves.sum(0), qu, atol=1e-5)
    assert record["exactness"] == "approximate"
    assert "the same text is cut otherwise" in record["axes"][-1]["reason"]
    checked = record["verification"]
    assert checked["difference"]["maximum"] <= checked["limit"]  # of the pieces that both have
    assert 0 < checked["difference"]["new_token_mass"] < 1
    text = checked["text"]
    assert 1000 < text["num_bytes"] <= 31 * 40
    assert text["source_bits_per_byte"] != text["grown_bits_per_byte"]
    config = json.loads((tmp_path / "grown/config.json").read_text())
    assert (config["vocab_size"], config["eos_token_id"]) == (len(NEW_MERGES) + 30, 1)
    generation = json.loads((tmp_path / "grown/generation_config.json").read_text())
    assert generation["eos_token_id"] == [1]
    assert load(tmp_path / "grown", LlamaForCausalLM).config.vocab_size == len(larger)
    assert (tmp_path / "grown/tokenizer.json").read_text() == (new / "tokenizer.json").read_text()
    assert record["left_behind"]["tokenizer.json"] == "of the tokenizer before"
    assert grow_folders.verify(source, tmp_path / "grown", data)["problems"] == []


def test_a_row_that_is_not_the_sources_is_found(source: Path, new: Path, tmp_path: Path) -> None:
    record = grow_folder(source, GrowConfig(tokenizer=str(new)), tmp_path / "grown")
    assert record["verification"]["difference"]["maximum"] == 0  # nothing else grew
    (new / "tokenizer.json").unlink()  # the grown folder has it
    assert verify_folders(source, tmp_path / "grown")["problems"] == []
    path = tmp_path / "grown/tokenizer.json"
    content = json.loads(path.read_text())
    vocab = content["model"]["vocab"]
    vocab["a"], vocab["b"] = vocab["b"], vocab["a"]
    path.write_text(json.dumps(content))
    problems = verify_folders(source, tmp_path / "grown")["problems"]
    assert any("weights are not what the source gives" in said for said in problems)
    assert any("outputs differ by" in said for said in problems)


def test_a_tied_head_follows(source: Path, new: Path, tmp_path: Path) -> None:
    path = tmp_path / "tied"
    save(path, "qwen2", vocab_size=33, eos_token_id=0)
    keep(byte_level(OLD_MERGES, ["<end>"]), path, "<end>")
    record = grow_folder(path, GrowConfig(tokenizer=str(new)), tmp_path / "grown")
    assert record["verification"]["difference"]["maximum"] == 0
    assert "lm_head.weight" not in load_file(tmp_path / "grown/model.safetensors")


def test_pieces_of_other_alphabets_are_the_same_by_what_they_stand_for(
    source: Path, tmp_path: Path
) -> None:
    vocab = {p: i for i, p in enumerate(["<s>", "▁the", "ing", "<0x0A>", "é", "▁"])}
    marked = Tokenizer(models.BPE(vocab, [], byte_fallback=True))
    marked.pre_tokenizer = pre_tokenizers.Metaspace()
    marked.add_special_tokens(["<s>"])
    found = spelling(source, keep(marked, tmp_path / "marked", "<s>"), 33)
    the = id_of(source, "Ġthe")
    assert found.parts[1] == (the,) and found.kept[1] == the
    assert found.parts[2] == (id_of(source, "in"), id_of(source, "g"))
    assert found.parts[3] == ()  # no piece for the byte of a new line
    assert found.special == {0: 0}
    words = Tokenizer(
        models.WordPiece({"[UNK]": 0, "the": 1, "##in": 2, "##g": 3}, unk_token="[UNK]")
    )
    pieces = read_pieces(keep(words, tmp_path / "words", "[UNK]"))
    assert pieces.spell(b" the") == (1,)
    assert pieces.spell(b"ing") == (2, 3)
    assert pieces.spell(b" ing") == ()


def test_what_cannot_be_is_refused(source: Path, tmp_path: Path) -> None:
    strange = Tokenizer(models.BPE({"<end>": 0, "▁Ω": 1}, []))
    strange.pre_tokenizer = pre_tokenizers.Metaspace()
    strange.add_special_tokens(["<end>"])
    with pytest.raises(InputError, match=r"its tokenizer shares no piece with that of"):
        spelling(source, keep(strange, tmp_path / "strange", "<end>"), 33)
    unended = byte_level(NEW_MERGES, ["<pad>"])
    folder = keep(unended, tmp_path / "unended", "<pad>")
    (folder / "tokenizer_config.json").write_text("{}")
    with pytest.raises(InputError, match=r"has no '<end>', a special token of the model's"):
        spelling(source, folder, 33)
    words = Tokenizer(models.WordLevel({"the": 0}, unk_token="the"))
    with pytest.raises(InputError, match=r"nobody knows what they spell"):
        read_pieces(keep(words, tmp_path / "level", "the"))
    with pytest.raises(InputError, match=r"holds no tokenizer\.json"):
        read_pieces(tmp_path / "nothing")
    with pytest.raises(ValueError, match=r"remove to\.vocab"):
        GrowConfig(tokenizer="x", to={"vocab": 40})
