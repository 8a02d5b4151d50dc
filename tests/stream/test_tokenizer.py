import json
from pathlib import Path

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from evergrow.config import decode
from evergrow.errors import EvergrowError, InputError
from evergrow.models.save_tokenizer import save_tokenizer
from evergrow.stream.config import TokenizerConfig
from evergrow.stream.tokenizer import (
    EOS,
    MASK,
    encode_documents,
    load_tokenizer,
    tokenizer_hash,
    train_tokenizer,
)

TEXTS = [f"the {word} and the {word}s of the {word}ing\n" for word in ("tree", "root", "leaf")] * 9


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(TEXTS, 280)


def test_the_size_is_2048_unless_a_folder_is_given() -> None:
    assert TokenizerConfig().vocab_size == 2048
    assert TokenizerConfig(folder="tok").vocab_size is None
    assert decode(TokenizerConfig, {"vocab_size": "32k"}, "tokenizer").vocab_size == 32_000
    with pytest.raises(InputError, match="remove vocab_size and sources, got folder 'tok'"):
        decode(TokenizerConfig, {"folder": "tok", "vocab_size": 300}, "tokenizer")
    with pytest.raises(InputError, match=r"tokenizer\.vocab_size: .*257"):
        decode(TokenizerConfig, {"vocab_size": 256}, "tokenizer")
    for config in (TokenizerConfig(), TokenizerConfig(folder="tok")):
        assert TokenizerConfig.model_validate(config.model_dump(mode="json")) == config


def test_training_fills_the_vocabulary_and_learns_what_repeats(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    assert len(tokenizer) == 280
    assert tokenizer.eos_token_id == 0
    (ids,) = encode_documents(tokenizer, ["the tree"])
    assert tokenizer.convert_ids_to_tokens(ids.tolist()) == ["the", "Ġtree"]


def test_a_mask_token_comes_second_and_takes_the_place_of_a_merge(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    save_tokenizer(train_tokenizer(TEXTS, 280, with_mask=True), tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert (len(loaded), loaded.eos_token_id, loaded.mask_token_id) == (280, 0, 1)
    assert tokenizer.mask_token_id is None
    (ids,) = encode_documents(loaded, [f"a{MASK}b"])
    assert 1 not in ids
    assert loaded.decode(ids.tolist()) == f"a{MASK}b"


def test_every_byte_survives(tokenizer: PreTrainedTokenizerFast) -> None:
    text = "".join(map(chr, range(300))) + "\r\n\t  ﬁ🌱 \u2028x "
    (ids,) = encode_documents(tokenizer, [text])
    assert ids.dtype == np.uint32
    assert tokenizer.decode(ids.tolist()) == text


def test_the_same_texts_give_the_same_folder(tmp_path: Path) -> None:
    for name in ("a", "b"):
        train_tokenizer(iter(TEXTS), 280).save_pretrained(tmp_path / name)
    files = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert "tokenizer.json" in files
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_saved_tokenizer_loads_as_the_same(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    save_tokenizer(tokenizer, tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert tokenizer_hash(loaded) == tokenizer_hash(tokenizer)
    assert (loaded.eos_token, loaded.eos_token_id) == (EOS, 0)
    assert tokenizer_hash(tokenizer) != tokenizer_hash(train_tokenizer(TEXTS, 281))


@pytest.mark.parametrize("eos", [EOS, "<eos>"])
def test_a_special_token_written_in_a_document_stays_text(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path, eos: str
) -> None:
    tokenizer.save_pretrained(tmp_path)
    text = (tmp_path / "tokenizer.json").read_text().replace(EOS, eos)
    (tmp_path / "tokenizer.json").write_text(text)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings | {"eos_token": eos}))
    loaded = load_tokenizer(tmp_path)
    assert loaded.eos_token_id == 0
    document = f"a{eos}b {eos}\n{EOS}<eos>"
    assert 0 in loaded.encode(document)  # what a plain call does
    (ids,) = encode_documents(loaded, [document])
    assert 0 not in ids
    assert loaded.decode(ids.tolist()) == document
    assert 0 in loaded.encode(document)  # and the tokenizer is left as it was


def test_no_token_is_added_and_nothing_is_cut(tokenizer: PreTrainedTokenizerFast) -> None:
    loaded = train_tokenizer(TEXTS, 280)
    loaded.backend_tokenizer.enable_truncation(2)
    loaded.backend_tokenizer.enable_padding(length=50)
    assert tokenizer_hash(loaded) == tokenizer_hash(tokenizer)
    short, long = encode_documents(loaded, ["the", "the tree and the root"])
    assert (len(short), len(long)) == (1, 5)


def test_a_folder_without_end_of_text_token_is_refused(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer).save_pretrained(tmp_path)
    with pytest.raises(InputError) as error:
        load_tokenizer(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: the tokenizer has no end-of-text token; "
        "set eos_token in tokenizer_config.json"
    )


def test_a_separator_ends_texts_where_nothing_else_does(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    as_bert = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, sep_token=EOS)
    as_bert.save_pretrained(tmp_path / "a")
    loaded = load_tokenizer(tmp_path / "a")
    assert (loaded.eos_token, loaded.eos_token_id) == (EOS, 0)
    save_tokenizer(loaded, tmp_path)
    assert load_tokenizer(tmp_path).eos_token_id == 0


def test_a_folder_that_is_missing_or_holds_no_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder; give a folder with"):
        load_tokenizer(tmp_path / "none")
    with pytest.raises(InputError, match="no tokenizer that loads without running its code"):
        load_tokenizer(tmp_path)


def test_remote_code_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("raise SystemExit('ran')")
    settings = {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", None]}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match="no tokenizer that loads without running its code"):
        load_tokenizer(tmp_path)


def test_an_ordinary_token_as_end_of_text_is_refused_when_a_document_holds_it(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    odd = train_tokenizer(TEXTS, 280)
    odd.eos_token_id = encode_documents(odd, ["the"])[0][0].item()
    with pytest.raises(EvergrowError, match="begins 'the tree' gives the end-of-text token"):
        encode_documents(odd, ["the tree"])
