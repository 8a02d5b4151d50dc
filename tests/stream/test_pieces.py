"""Bytes and words of the three kinds of vocabulary, against the tokenizers' own account."""

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from evergrow.errors import InputError
from evergrow.stream.pieces import pieces_of
from evergrow.stream.tokenizer import encode_documents, train_tokenizer

TEXT = (
    "The trees' roots, 1234 of them -- naïve Ünder the sea;\n\n"
    "rooting ROOTS in 2x4 (beams)\tand más ﬁre 🌱🌱 -- hé!\n"
)
WORDS = ["tree", "root", "rooting", "beam", "sea", "under", "1234", "them", "the", "and"]


@pytest.fixture(scope="module")
def byte_level() -> PreTrainedTokenizerFast:
    return train_tokenizer([" ".join(WORDS)] * 3, 300, with_mask=True)


def word_piece() -> PreTrainedTokenizerFast:
    texts = ["[UNK]", "[SEP]", "[MASK]", "the", "beam", "root", "##s", ",", "(", ")"]
    bare = Tokenizer(models.WordPiece({t: i for i, t in enumerate(texts)}, unk_token="[UNK]"))
    bare.normalizer = normalizers.BertNormalizer()  # pyright: ignore
    bare.pre_tokenizer = pre_tokenizers.BertPreTokenizer()  # pyright: ignore
    return PreTrainedTokenizerFast(
        tokenizer_object=bare, unk_token="[UNK]", sep_token="[SEP]", mask_token="[MASK]"
    )


def sentence_piece() -> PreTrainedTokenizerFast:
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    letters = ["▁", *"abcdefghijklmnopqrstuvwxyz,"]
    merges = [("▁", "t"), ("▁t", "h"), ("▁th", "e"), ("o", "o"), ("oo", "t")]
    made = ["".join(pair) for pair in merges]
    vocabulary = {text: i for i, text in enumerate(["</s>", "<mask>", *bytes_, *letters, *made])}
    bare = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True, fuse_unk=True))
    bare.normalizer = normalizers.Sequence(  # pyright: ignore
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    bare.decoder = decoders.Sequence(  # pyright: ignore
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return PreTrainedTokenizerFast(tokenizer_object=bare, eos_token="</s>", mask_token="<mask>")


def words_of(tokenizer: PreTrainedTokenizerFast, text: str) -> list[list[str]]:
    """The words that the table finds, as lists of their pieces."""
    (ids,) = encode_documents(tokenizer, [text])
    starts = pieces_of(tokenizer).word_starts(ids[None].astype(np.int64))[0]
    words: list[list[str]] = []
    assert starts[0]
    for token, begins in zip(tokenizer.convert_ids_to_tokens(ids.tolist()), starts, strict=True):
        words += [[]] if begins else []
        words[-1].append(token)
    return words


def test_the_bytes_of_byte_level_tokens_are_those_of_the_text(
    byte_level: PreTrainedTokenizerFast,
) -> None:
    pieces = pieces_of(byte_level)
    for text in (TEXT, "".join(map(chr, range(300))) + "\r\n\t 🌱"):
        (ids,) = encode_documents(byte_level, [text])
        assert pieces.num_bytes_V[ids].sum() == len(text.encode())
    assert np.flatnonzero(pieces.special_V).tolist() == [0, 1]
    assert pieces.num_bytes_V[:2].tolist() == [0, 0]


def test_the_words_of_a_byte_level_vocabulary_are_those_it_splits_a_text_into(
    byte_level: PreTrainedTokenizerFast,
) -> None:
    encoded = byte_level.backend_tokenizer.encode(TEXT, add_special_tokens=False)
    own: list[list[str]] = []
    for number, token in zip(encoded.word_ids, encoded.tokens, strict=True):
        own += [[]] if number == len(own) else []
        own[-1].append(token)
    assert words_of(byte_level, TEXT) == own
    assert ["Ġroot", "s"] in own
    assert ["R", "O", "O", "T", "S"] in [word[1:] for word in own]


def test_a_special_token_and_a_window_cut_a_word(byte_level: PreTrainedTokenizerFast) -> None:
    s = byte_level.convert_tokens_to_ids("s")
    window = np.array([[s, s, 0, s, s]])
    assert pieces_of(byte_level).word_starts(window).tolist() == [[True, False, True, True, False]]


def test_word_piece_signs_say_what_goes_on() -> None:
    tokenizer = word_piece()
    assert words_of(tokenizer, "The Beams, (roots)") == [
        ["the"],
        ["beam", "##s"],
        [","],
        ["("],
        ["root", "##s"],
        [")"],
    ]
    pieces = pieces_of(tokenizer)
    (ids,) = encode_documents(tokenizer, ["the beams"])
    assert pieces.num_bytes_V[ids].tolist() == [3, 4, 1]


def test_sentence_piece_signs_are_spaces_and_bytes_are_bytes() -> None:
    tokenizer = sentence_piece()
    pieces = pieces_of(tokenizer)
    (ids,) = encode_documents(tokenizer, ["the root, é"])
    assert tokenizer.convert_ids_to_tokens(ids.tolist()) == [
        *("▁the", "▁", "r", "oot", ",", "▁", "<0xC3>", "<0xA9>")
    ]
    assert pieces.num_bytes_V[ids].sum() == len(" the root, é".encode())
    assert words_of(tokenizer, "the roots") == [["▁the"], ["▁", "r", "oot", "s"]]


def test_a_vocabulary_without_signs_is_refused() -> None:
    bare = Tokenizer(models.WordLevel({"a": 0, "</s>": 1}, unk_token="a"))
    bare.pre_tokenizer = pre_tokenizers.Whitespace()  # pyright: ignore
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bare, eos_token="</s>")
    with pytest.raises(InputError, match="tokenizer: a WordLevel vocabulary without byte-level"):
        pieces_of(tokenizer)
