import numpy as np
import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Olmo2Config,
    Olmo2ForCausalLM,
    PreTrainedModel,
)

from evergrow.stream.batches import (
    Row,
    TokenBatch,
    document_positions,
    packed,
    repeated,
    row_batch,
    token_batch,
)
from evergrow.stream.plan import Sample

LENGTH = 12


class Tokens:
    """A source in memory: its tokens, and the lengths of its documents."""

    def __init__(self, tokens: np.ndarray, lengths: list[int]) -> None:
        self.tokens = tokens
        self.documents = np.repeat(np.arange(len(lengths)), lengths)

    def window(self, index: int, length: int) -> np.ndarray:
        return self.tokens[index * length : (index + 1) * length + 1].astype(np.int64)

    def window_documents(self, index: int, length: int) -> np.ndarray:
        return self.documents[index * length : (index + 1) * length + 1]


SOURCES = {
    "a": Tokens(np.arange(100, 149), [5, 4, 1, 1, 38]),
    "b": Tokens(np.arange(200, 249), [49]),
}
SAMPLES = [Sample("a", 0, 0), Sample("b", 3, 1), Sample("a", 2, 0)]


def batch_of(mask_repeats: bool = True, separate_documents: bool = False) -> TokenBatch:
    return token_batch(SAMPLES, SOURCES, LENGTH, mask_repeats, separate_documents)  # type: ignore


def test_targets_are_the_inputs_one_token_further() -> None:
    batch = batch_of()
    starts = np.array([[100], [236], [124]])
    np.testing.assert_array_equal(batch.inputs_BT, starts + np.arange(LENGTH))
    np.testing.assert_array_equal(batch.targets_BT, batch.inputs_BT + 1)
    assert batch.inputs_BT.dtype == np.int64
    np.testing.assert_array_equal(batch.weights_BT, np.ones((3, LENGTH), np.float32))
    assert batch.weights_BT.dtype == np.float32
    assert batch.lengths_B.tolist() == [LENGTH] * 3
    assert (batch.weight, batch.passed) == (36.0, 36)
    assert batch.positions_BT is None


def test_positions_restart_with_every_document() -> None:
    positions = batch_of(separate_documents=True).positions_BT
    assert positions is not None
    assert positions.tolist() == [
        [0, 1, 2, 3, 4, 0, 1, 2, 3, 0, 0, 0],
        list(range(12)),
        list(range(12)),  # the middle of a document: its first token here is position 0
    ]
    documents = np.array([[7, 7, 8, 9, 9, 9], [3, 3, 3, 3, 3, 4]])
    assert document_positions(documents).tolist() == [[0, 1, 0, 0, 1, 2], [0, 1, 2, 3, 4, 0]]


def repeats(window: list[int]) -> bool:
    """Whether an n-gram of 1 to 13 tokens stands 32 times in a row, by looking everywhere."""
    for period in range(1, 14):
        for start in range(len(window) - 32 * period + 1):
            stretch = window[start : start + 32 * period]
            if stretch == stretch[:period] * 32:
                return True
    return False


@pytest.mark.parametrize("period", range(1, 14))
def test_windows_with_an_ngram_32_times_in_a_row_are_found(period: int) -> None:
    draw = np.random.default_rng(period)
    length = 13 * 33 + 40
    windows, answers = [], []
    for times in (31, 32, 33):
        for place in (0, 17, length - times * period):
            window = draw.integers(1000, 60_000, length)
            window[place : place + times * period] = np.tile(np.arange(period), times)
            windows.append(window)
            answers.append(times >= 32)
            assert repeats(window.tolist()) == answers[-1]
    assert repeated(np.stack(windows)).tolist() == answers


def test_a_long_stretch_of_few_tokens_agrees_with_looking_everywhere() -> None:
    draw = np.random.default_rng(0)
    windows = (draw.random((60, 80)) < 0.06).astype(np.int64)
    answers = [repeats(window) for window in windows.tolist()]
    assert 5 < sum(answers) < 55
    assert repeated(windows).tolist() == answers


def test_an_ngram_of_14_tokens_is_no_repeat_and_short_windows_have_none() -> None:
    windows = np.tile(np.arange(14), 40)[None]
    assert repeated(windows).tolist() == [False]
    assert repeated(np.zeros((2, 31), np.int64)).tolist() == [False, False]
    assert repeated(np.zeros((2, 32), np.int64)).tolist() == [True, True]


def test_the_loss_of_such_windows_is_masked_only_when_asked() -> None:
    tokens = np.concatenate([np.full(40, 9), np.arange(100, 141)])
    source = {"a": Tokens(tokens, [81])}
    samples = [Sample("a", 0, 0), Sample("a", 1, 0)]
    for wanted, weights in ((True, [0, 1]), (False, [1, 1])):
        batch = token_batch(samples, source, 40, wanted, False)  # type: ignore
        assert batch.weights_BT.tolist() == [[weight] * 40 for weight in weights]
        assert (batch.weight, batch.passed) == (40 * sum(weights), 80), "read all the same"


def row_of(number: int, length: int) -> Row:
    """Tokens from 100 times the row's number on, of which the first two do not count."""
    ids = 100 * number + np.arange(length + 1)
    weights = np.ones(length, np.float32)
    weights[:2] = 0
    return Row(ids[:-1], ids[1:], weights, np.arange(length))


def rows_in(row: Row) -> list[int]:
    """The numbers of the rows that were joined, in order, each whole."""
    numbers = [int(n) for n in dict.fromkeys((row.inputs // 100).tolist())]
    parts = [ROWS[n] for n in numbers]
    for joined, column in zip(row, zip(*parts, strict=True), strict=True):
        np.testing.assert_array_equal(joined, np.concatenate(column))
    return numbers


ROWS = [row_of(n, length) for n, length in enumerate((3, 5, 2, 4, 5))]


def test_rows_go_into_the_first_that_has_room_the_longest_first() -> None:
    """Of 8: 5 and 5 and 4 open a row each, 3 fits the first one, 2 the second."""
    assert [rows_in(row) for row in packed(ROWS, 8)] == [[1, 0], [4, 2], [3]]
    assert [rows_in(row) for row in packed(ROWS, 19)] == [[1, 4, 3, 0, 2]]
    assert [rows_in(row) for row in packed(ROWS[::-1], 8)] == [[4, 0], [1, 2], [3]]


def test_a_row_that_is_too_long_stays_alone() -> None:
    assert [rows_in(row) for row in packed(ROWS, 4)] == [[1], [4], [3], [0], [2]]
    assert [rows_in(row) for row in packed(ROWS, 5)] == [[1], [4], [3], [0, 2]]


def test_no_target_crosses_a_joint_and_positions_restart() -> None:
    """A row's last target is its own last token, not the first one of the row behind it."""
    first, *_ = packed(ROWS, 8)
    assert first.inputs.tolist() == [100, 101, 102, 103, 104, 0, 1, 2]
    assert first.targets.tolist() == [101, 102, 103, 104, 105, 1, 2, 3]
    assert first.positions.tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert first.weights.tolist() == [0, 0, 1, 1, 1, 0, 0, 1]


def test_a_packed_batch_counts_what_its_rows_count_and_padding_nothing() -> None:
    batch = row_batch(ROWS, 8, padding=7)
    assert batch.inputs_BT.shape == (3, 8)
    assert batch.lengths_B.tolist() == [8, 7, 4]
    assert batch.passed == sum(len(row.weights) for row in ROWS) == 19
    assert batch.weight == sum(row.weights.sum() for row in ROWS) == 9
    for row, length in enumerate(batch.lengths_B):
        assert (batch.weights_BT[row, length:] == 0).all()
        assert (batch.inputs_BT[row, length:] == 7).all()
        assert (batch.targets_BT[row, length:] == 7).all()
    assert batch.positions_BT is not None
    assert batch.positions_BT[2].tolist() == [0, 1, 2, 3, 0, 1, 2, 3], "a document of its own"
    assert batch.inputs_BT.dtype == batch.targets_BT.dtype == np.int64
    assert batch.weights_BT.dtype == np.float32


def test_rows_that_are_not_packed_stay_in_their_order() -> None:
    batch = row_batch(ROWS, None, padding=7)
    assert batch.positions_BT is None
    assert batch.lengths_B.tolist() == [3, 5, 2, 4, 5]
    assert batch.inputs_BT.tolist()[2] == [200, 201, 7, 7, 7]
    assert batch.targets_BT.tolist()[2] == [201, 202, 7, 7, 7]
    assert batch.weights_BT.tolist() == [
        [0, 0, 1, 0, 0],
        [0, 0, 1, 1, 1],
        [0, 0, 0, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 1, 1, 1],
    ]
    assert (batch.weight, batch.passed) == (9, 19)


@pytest.mark.parametrize("pack_to", [None, 8])
def test_micro_batches_keep_all_of_their_rows(pack_to: int | None) -> None:
    batch = row_batch(ROWS, pack_to, padding=7)
    parts = batch.split(2)
    assert sum(part.passed for part in parts) == batch.passed
    assert sum(part.weight for part in parts) == batch.weight
    names = ["inputs_BT", "targets_BT", "weights_BT", "lengths_B"]
    for name in [*names, *(["positions_BT"] if pack_to else [])]:
        whole = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(whole, getattr(batch, name))
    assert pack_to or all(part.positions_BT is None for part in parts)


def olmo2() -> PreTrainedModel:
    return Olmo2ForCausalLM(
        Olmo2Config(
            vocab_size=300,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            pad_token_id=None,
        )
    )


def llama() -> PreTrainedModel:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=300,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
        )
    )


def gpt2() -> PreTrainedModel:
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=300,
            n_embd=16,
            n_layer=2,
            n_head=2,
            n_positions=64,
            bos_token_id=None,
            eos_token_id=None,
        )
    )


@pytest.mark.parametrize("build", [olmo2, llama, gpt2])
def test_documents_of_a_window_do_not_see_each_other(build) -> None:
    torch.manual_seed(0)
    model = build().eval()
    assert model.config._attn_implementation == "sdpa"
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.3)
    batch = batch_of(separate_documents=True)
    assert batch.positions_BT is not None
    inputs = torch.from_numpy(batch.inputs_BT)
    positions = torch.from_numpy(batch.positions_BT)
    with torch.no_grad():
        apart = model(input_ids=inputs, position_ids=positions, use_cache=False).logits
        together = model(input_ids=inputs, use_cache=False).logits
        for begin, end in ((0, 5), (5, 9), (9, 10), (10, 11), (11, 12)):
            alone = model(input_ids=inputs[:1, begin:end], use_cache=False).logits
            torch.testing.assert_close(apart[:1, begin:end], alone, atol=1e-5, rtol=0)
            assert begin == 0 or (together[:1, begin:end] - alone).abs().max() > 1e-2
        for row in (1, 2):  # windows of one document are whole
            torch.testing.assert_close(apart[row], together[row], atol=1e-5, rtol=0)
