"""A GGUF file becomes the folder of the same model: weights, settings, tokenizer, its origin."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from models import gguf_files
from models.gguf_files import ARCHITECTURES, write_gguf
from models.zoo import tiny_config
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedTokenizerFast,
)
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.disk import checksum
from evergrow.errors import InputError
from evergrow.models.brought import stored_dtype
from evergrow.models.find import find_model
from evergrow.models.gguf import folder as unpacking
from evergrow.models.gguf.config import UNPACKED, _scale_scores
from evergrow.models.load import load_model
from evergrow.models.origin import Origin, read_origin

FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text", "phi3", "gpt2",
            "starcoder2", "stablelm", "qwen3_moe")  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("EVERGROW_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache" / "gguf"


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=torch.arange(2, 14)[None], use_cache=False).logits


def test_every_family_that_is_unpacked_is_read_back() -> None:
    assert {ARCHITECTURES.get(family, family) for family in FAMILIES} == {*UNPACKED}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_folder_computes_what_the_file_holds(
    family: str, tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    config: Any = tiny_config(family, False)
    if family == "mistral":
        config.sliding_window = None  # its file is one of Llama, which has none
    if family.startswith("gemma"):
        config.query_pre_attn_scalar = config.head_dim
    if family == "qwen3_moe":
        config.norm_topk_prob = True  # as llama.cpp computes it
    written = write_gguf(tmp_path / "tiny.gguf", config, tokenizer)
    folder = find_model(tmp_path / "tiny.gguf")
    torch.testing.assert_close(
        logits(AutoModelForCausalLM.from_pretrained(folder)), logits(written), rtol=0, atol=2e-5
    )
    load_model(folder)  # refuses what is not whole


def test_few_bits_unpack_to_bfloat16_and_say_so(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    path = tmp_path / "tiny.Q4_1.gguf"
    written = write_gguf(path, tiny_config("llama", False), tokenizer, kind="Q4_1")
    folder = find_model(path)
    assert stored_dtype(folder) == torch.bfloat16
    held = load_model(folder).state_dict()
    for name, tensor in written.state_dict().items():
        torch.testing.assert_close(held[name], tensor, rtol=2**-8, atol=0)
    digest = checksum(path)
    assert read_origin(folder) == Origin(
        file="tiny.Q4_1.gguf", blake3=digest, type="Q4_1", bits=4, name="Tiny", licence="apache-2.0"
    )
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\n")
    assert f"Derived from 4-bit weights (Q4_1): tiny.Q4_1.gguf of Tiny, blake3 {digest}." in card


@pytest.mark.parametrize(("kind", "dtype"), [("F16", torch.float16), ("BF16", torch.bfloat16)])
def test_halves_stay_halves(
    kind: str, dtype: torch.dtype, tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    write_gguf(tmp_path / "tiny.gguf", tiny_config("llama", False), tokenizer, kind=kind)
    folder = find_model(tmp_path / "tiny.gguf")
    origin = read_origin(folder)
    assert stored_dtype(folder) == dtype
    assert origin is not None and origin.bits is None
    assert origin.said.startswith(f"Derived from weights ({kind}): tiny.gguf of Tiny, blake3 ")


def test_texts_end_and_chats_go_as_the_file_says(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    write_gguf(tmp_path / "tiny.gguf", tiny_config("llama", False), tokenizer)
    folder = find_model(tmp_path / "tiny.gguf")
    assert GenerationConfig.from_pretrained(folder).eos_token_id == [0, 1]
    found = AutoTokenizer.from_pretrained(folder)
    assert found.eos_token == "<|end|>"
    chat = found.apply_chat_template([{"role": "user", "content": "sea"}], tokenize=False)
    assert chat == "<user>sea<|end|>"
    text = "the sea and 12 lands<|end|>"
    assert found.encode(text) == tokenizer.encode(text)


def test_a_file_is_unpacked_once_for_its_content(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    path = tmp_path / "tiny.gguf"
    write_gguf(path, tiny_config("llama", False), tokenizer)
    folder = find_model(path)
    assert folder.parent == cache
    other = tmp_path / "elsewhere" / "tiny.gguf"
    other.parent.mkdir()
    other.write_bytes(path.read_bytes())
    monkeypatch.setattr(unpacking, "_unpack", None)
    assert find_model(other) == find_model(path) == folder
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\0")
    with pytest.raises(TypeError):  # other bytes: it would be unpacked
        find_model(path)


def test_killed_half_way_leaves_nothing_and_the_next_one_makes_it(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, cache: Path
) -> None:
    path = tmp_path / "tiny.gguf"
    write_gguf(path, tiny_config("llama", False), tokenizer)
    dying = (
        "import os, sys\nfrom pathlib import Path\nfrom evergrow.models.gguf import folder\n"
        "folder.write_origin = lambda *a: os._exit(9)\nfolder.unpacked(Path(sys.argv[1]))\n"
    )
    assert subprocess.run([sys.executable, "-c", dying, path], check=False).returncode == 9
    (left,) = [entry for entry in cache.iterdir() if entry.name != ".lock"]
    assert ".writing-" in left.name
    load_model(find_model(path))
    assert sorted(entry.name[:5] for entry in cache.iterdir()) == [".lock", "tiny-"]


RULES = {  # what llama.cpp's llama-vocab.cpp cuts words by, one regular expression after another
    "gpt-2": [r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"],
    "smollm": [
        r"\p{N}",
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    ],
    "stablelm2": [
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    ],
    "llama-bpe": [
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ],
}
HARD = "In  2024\n\nthere   were 12345 things (½ of ²3), weren't THEY'RE?\t\tx =  10;\n  y\r\n 7"


@pytest.mark.parametrize("rule", RULES)
def test_words_are_cut_as_the_file_says(
    rule: str, tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    write_gguf(tmp_path / "tiny.gguf", tiny_config("llama", False), tokenizer, rule=rule)
    found: Any = AutoTokenizer.from_pretrained(find_model(tmp_path / "tiny.gguf"))
    cutter: Any = pre_tokenizers.Sequence(
        [
            *(pre_tokenizers.Split(Regex(one), "isolated") for one in RULES[rule]),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),  # pyright: ignore
        ]
    )
    own = found.backend_tokenizer
    assert own.pre_tokenizer.pre_tokenize_str(HARD) == cutter.pre_tokenize_str(HARD)
    assert own.model.ignore_merges == (rule == "llama-bpe")
    assert found.decode(found.encode(HARD)) == HARD


@pytest.mark.parametrize("prefix", [True, False])
def test_sentencepiece_reads_as_its_model_did(prefix: bool, tmp_path: Path) -> None:
    normal: list[Any] = [normalizers.Replace(" ", "\u2581")]
    bare: Any = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    bare.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581")] * prefix + normal)
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer: Any = trainers.BpeTrainer(vocab_size=330, special_tokens=special, show_progress=False)
    bare.train_from_iterator(["the sea and the land, the rain and the wind"] * 3, trainer)
    whole = json.loads(bare.to_str())
    whole["added_tokens"] = whole["added_tokens"][:3]
    bare = Tokenizer.from_str(json.dumps(whole))
    config = tiny_config("llama", False)
    config.vocab_size = bare.get_vocab_size()
    own = PreTrainedTokenizerFast(tokenizer_object=bare, eos_token="</s>", bos_token="<s>")
    write_gguf(tmp_path / "tiny.gguf", config, own, prefix=prefix)
    found = AutoTokenizer.from_pretrained(find_model(tmp_path / "tiny.gguf"))
    for text in ("the sea", "  the  land\n\n and 12 \u00c9", " wind</s>the rain", "\n"):
        ids = bare.encode(text, add_special_tokens=False).ids
        assert found.encode(text, add_special_tokens=False) == ids, text
        assert found.encode(text) == [1, *ids]
        assert found.decode(ids) == text.replace("</s>", "</s>" + " " * prefix)


@pytest.mark.parametrize(("rule", "first"), [("llama-bpe", [5]), ("qwen2", [])])
def test_llama_3_begins_with_bos_though_the_file_is_silent(
    rule: str, first: list[int], tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    more = {"tokenizer.ggml.bos_token_id": 5}
    write_gguf(tmp_path / "t.gguf", tiny_config("llama", False), tokenizer, rule=rule, more=more)
    found = AutoTokenizer.from_pretrained(find_model(tmp_path / "t.gguf"))
    assert found.encode("sea") == [*first, *found.encode("sea", add_special_tokens=False)]


def test_qwen_composes_letters_before_it_reads(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    write_gguf(tmp_path / "tiny.gguf", tiny_config("qwen2", False), tokenizer, rule="qwen2")
    found = AutoTokenizer.from_pretrained(find_model(tmp_path / "tiny.gguf"))
    assert found.encode("E\u0301") == found.encode("\u00c9")


def test_the_rotation_of_llama_3_is_read_from_its_factors(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    config: Any = tiny_config("llama", False)
    rope = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 32.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}  # fmt: skip
    config.head_dim, config.rope_parameters = 16, rope
    plain = 500000.0 ** (-np.arange(0, 16, 2) / 16)
    with torch.no_grad():
        slowed = AutoModelForCausalLM.from_config(config).model.rotary_emb.inv_freq.numpy()
    factors = {"rope_freqs.weight": (plain / slowed).astype(np.float32)}
    written = write_gguf(tmp_path / "tiny.gguf", config, tokenizer, extra=factors)
    folder = find_model(tmp_path / "tiny.gguf")
    found: Any = AutoModelForCausalLM.from_pretrained(folder)
    assert found.config.rope_parameters == rope
    torch.testing.assert_close(logits(found), logits(written), rtol=0, atol=2e-5)
    factors["rope_freqs.weight"][3] *= 1.1
    write_gguf(tmp_path / "other.gguf", config, tokenizer, extra=factors)
    with pytest.raises(InputError, match=r"scales its rotation \(rope_freqs.weight\), which"):
        find_model(tmp_path / "other.gguf")


BAD = {
    "rule": ({"rule": "deepseek-coder"}, "says by a name that is not known here (deepseek-coder)"),
    "no rule": ({"rule": None}, "does not say how its tokenizer cuts words"),
    "split": ({"more": {"split.count": 3}}, "one of 3 parts of a model; join them first"),
    "adapter": ({"more": {"general.type": "adapter"}}, "holds no model (type adapter, "),
    "scale": ({"more": {"llama.attention.scale": 3}}, "its head says attention.scale 3, which"),
    "scaling": ({"more": {"llama.rope.scaling.type": "yarn"}}, "scales its rotation (yarn), which"),
    "tensor": ({"extra": {"blk.0.attn_q.bias": np.zeros(32, np.float32)}}, "has no place for blk."),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_would_be_another_model_is_refused_in_a_sentence(
    name: str, tmp_path: Path, tokenizer: PreTrainedTokenizerBase, cache: Path
) -> None:
    settings, reason = BAD[name]
    path = tmp_path / "bad.gguf"
    write_gguf(path, tiny_config("llama", False), tokenizer, **settings)
    with pytest.raises(InputError) as refused:
        find_model(path)
    assert reason in str(refused.value)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)
    assert not list(cache.glob("bad*"))


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        (
            "partial_rotary_factor",
            0.5,
            "turns 4 dimensions of a head, transformers' stablelm would",
        ),
        (
            "rope_theta",
            5e5,
            "its rotation has base 500000, transformers' stablelm would take 10000",
        ),
    ],
)
def test_another_rotation_than_would_be_read_is_refused(
    setting: str, value: float, reason: str, tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    config: Any = tiny_config("stablelm", False)
    config.rope_parameters = {**config.rope_parameters, setting: value}
    write_gguf(tmp_path / "bad.gguf", config, tokenizer)
    with pytest.raises(InputError) as refused:
        find_model(tmp_path / "bad.gguf")
    assert reason in str(refused.value)


def test_a_file_without_a_vocabulary_is_refused(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf_files, "vocabulary", lambda *arguments: None)
    write_gguf(tmp_path / "bad.gguf", tiny_config("llama", False), tokenizer)
    with pytest.raises(InputError, match=r"its tokenizer \(none\) cannot be built from GGUF; give"):
        find_model(tmp_path / "bad.gguf")


def test_the_largest_gemma_2_divides_by_what_its_residual_gives_a_head() -> None:
    config: Any = tiny_config("gemma2", False)
    _scale_scores(config)
    assert config.query_pre_attn_scalar == config.head_dim
    config.num_hidden_layers, config.hidden_size, config.num_attention_heads = 46, 4608, 32
    _scale_scores(config)
    assert config.query_pre_attn_scalar == 144


def damaged(path: Path, how: str) -> None:
    """Spoil a whole file."""
    data = bytearray(path.read_bytes())
    if how == "no GGUF file (it begins with b'PK":
        data[:4] = b"PK\3\4"
    elif how == "truncated or damaged":
        data = data[: len(data) - 4000]
    elif how == "truncated or damaged (":
        data = data[:60]
    elif how == "version":
        data[4] = 9
    elif how == "holds weights of a type that is not known here (":
        tensor = GGUFReader(path).tensors[1]
        name = tensor.name.encode()
        place = data.index(name) + len(name) + 4 + 8 * len(tensor.shape)
        data[place : place + 4] = (99).to_bytes(4, "little")
    elif how == "architecture lama9 is none that is unpacked here":
        data = bytearray(bytes(data).replace(b"llama", b"lama9"))
    elif how == "holds infinity or NaN":
        data[-4:] = np.float32("nan").tobytes()
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    "how",
    [
        "no GGUF file (it begins with b'PK",
        "truncated or damaged",
        "truncated or damaged (",
        "version",
        "holds weights of a type that is not known here (",
        "architecture lama9 is none that is unpacked here",
        "holds infinity or NaN",
    ],
)
def test_a_damaged_file_is_refused_in_a_sentence(
    how: str, tmp_path: Path, tokenizer: PreTrainedTokenizerBase, cache: Path
) -> None:
    path = tmp_path / "bad.gguf"
    write_gguf(path, tiny_config("llama", False), tokenizer)
    damaged(path, how)
    with pytest.raises(InputError) as refused:
        find_model(path)
    assert how in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not list(cache.glob("bad*"))
    path.write_bytes(b"")
    with pytest.raises(InputError, match="no GGUF file"):
        find_model(path)


def test_without_the_package_the_way_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(InputError, match=r"needs the package gguf; install evergrow\[gguf\]"):
        find_model(tmp_path / "a.gguf")
