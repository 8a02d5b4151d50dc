"""Windows and chats as rows of one batch, and answers measured alone; all on real data folders."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import BuildModel
from torch import nn
from transformers import PreTrainedTokenizerFast

from evergrow.corpus.document import Document
from evergrow.errors import InputError
from evergrow.models.config import ModelConfig
from evergrow.objectives.causal import Causal, causal
from evergrow.objectives.config import CausalConfig, SftConfig, TrainConfig
from evergrow.objectives.objective import Given
from evergrow.objectives.sft import sft
from evergrow.objectives.text import example_row, fitting_items, kept_apart, refuse_leak
from evergrow.stream.batches import TokenBatch
from evergrow.stream.examples import Example, ExampleSource, Marked, write_examples
from evergrow.stream.plan import Sample
from evergrow.stream.shards import TokenSource
from evergrow.stream.tokenizer import train_tokenizer
from evergrow.stream.writer import write_shards

CPU = torch.device("cpu")
TEXTS = [f"leaf {i} of tree {7 * i}" for i in range(30)]
# Of each chat: its ids, and what they are (0 context, 1 an answer, 2 the last one).
TRAIN = [
    ([5, 6, 7, 8, 0], [0, 0, 1, 2, 2]),
    ([9] * 20, [0] * 19 + [2]),
    ([11, 12, 13], [0, 2, 2]),
]
HELD_OUT = [
    ([3, 4, 5, 6], [0, 0, 2, 2]),
    ([7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19], [0, 1, 1, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2]),
]
BYTES = [4, 12]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(TEXTS, 300)


@pytest.fixture
def text(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> TokenSource:
    folder = tmp_path / "text-1"
    folder.mkdir()
    documents = [Document.of(t, "text", f"{i}.txt") for i, t in enumerate(TEXTS)]
    write_shards(
        folder,
        [(d, i < 2) for i, d in enumerate(documents)],
        tokenizer,
        {"source": "text", "key": "t"},
    )
    return TokenSource.open(folder)


@pytest.fixture
def chats(tmp_path: Path) -> ExampleSource:
    folder = tmp_path / "chats-1"
    folder.mkdir()
    parts = {"train": examples(TRAIN, [1, 1, 1]), "held_out": examples(HELD_OUT, BYTES)}
    write_examples(folder, parts, 96, {"key": "c"})
    return ExampleSource.open(folder)


def examples(chats: Sequence[tuple[list[int], list[int]]], num_bytes: list[int]) -> list[Example]:
    return [
        Example([Marked(np.array(ids), np.array(marks))], f"h{n}", f"g{n}", f"{n}", num_bytes[n])
        for n, (ids, marks) in enumerate(chats)
    ]


@pytest.fixture
def given(text: TokenSource, chats: ExampleSource, tokenizer: PreTrainedTokenizerFast) -> Given:
    """A stage of chats of at most 12 inputs, behind one of windows of 8."""
    return Given(
        config=SftConfig(),
        train=TrainConfig(batch_size=2, sequence_length=12),
        lengths=[8, 12],
        stocks={"text": text, "chats": chats},
        learnt=["chats"],
        measured=["chats"],
        tokenizer=tokenizer,
        start=ModelConfig(preset="llama", hidden=16, layers=1),
        seed=0,
        part=1,
        sample_tokens=0,
    )


def batch_of(objective: Any, samples: Sequence[Sample]) -> TokenBatch:
    return objective.batch(samples, range(len(samples)))


@pytest.mark.parametrize(
    ("loss_on", "weights"),
    [("assistant", [0, 1, 1, 1]), ("last", [0, 0, 1, 1]), ("all", [1, 1, 1, 1])],
)
def test_the_loss_is_on_what_is_asked(
    loss_on: str, weights: list[int], chats: ExampleSource
) -> None:
    row = example_row(chats, 0, loss_on)
    assert row.inputs.tolist() == [5, 6, 7, 8]
    assert row.targets.tolist() == [6, 7, 8, 0]
    assert row.weights.tolist() == weights
    assert row.positions.tolist() == [0, 1, 2, 3]


def test_a_chat_that_is_too_long_is_left_out_and_counted(
    chats: ExampleSource, given: Given
) -> None:
    assert fitting_items(chats, 12).tolist() == [0, 2]
    assert fitting_items(chats, 19).tolist() == [0, 1, 2], "20 tokens are 19 inputs"
    assert fitting_items(chats, 18).tolist() == [0, 2]
    assert sft(given).num_items("chats") == 2


def test_chats_are_packed_with_replayed_windows_of_their_own_length(
    given: Given, text: TokenSource
) -> None:
    """Rows of 12: the window of 8 and the chat of 4 inputs, then the chat of 2 (item 1 of two)."""
    samples = [Sample("chats-1", 1, 1), Sample("chats-1", 0, 1), Sample("text-1", 3, 0)]
    batch = batch_of(sft(given), samples)
    window = text.window(3, 8)
    assert batch.inputs_BT.tolist() == [[*window[:-1], 5, 6, 7, 8], [11, 12, *[0] * 10]]
    assert batch.targets_BT[0].tolist() == [*window[1:], 6, 7, 8, 0]
    assert batch.weights_BT[0].tolist() == [1] * 8 + [0, 1, 1, 1]
    assert batch.positions_BT is not None
    assert batch.positions_BT[0].tolist() == [*range(8), *range(4)]
    assert (batch.weight, batch.passed) == (8 + 3 + 2, 8 + 4 + 2)
    apart = batch_of(sft(replace(given, config=SftConfig(pack=False))), samples)
    assert apart.positions_BT is None
    assert apart.lengths_B.tolist() == [2, 4, 8]
    assert (apart.weight, apart.passed) == (batch.weight, batch.passed)


def test_windows_go_on_with_replayed_chats_and_longer_windows_among_them(
    given: Given, text: TokenSource
) -> None:
    train = TrainConfig(batch_size=2, sequence_length=8)
    stage = replace(given, config=CausalConfig(), train=train, lengths=[12, 6, 8])
    windows = [Sample("text-1", 0, 2), Sample("text-1", 1, 2)]
    plain = batch_of(causal(stage), windows)
    assert plain.targets_BT.tolist() == [text.window(i, 8)[1:].tolist() for i in (0, 1)]
    assert plain.lengths_B.tolist() == [8, 8]
    mixed = batch_of(causal(stage), [windows[0], Sample("chats-1", 0, 0), Sample("text-1", 5, 1)])
    assert mixed.lengths_B.tolist() == [8, 4, 6]
    assert mixed.targets_BT[0].tolist() == text.window(0, 8)[1:].tolist()
    assert mixed.targets_BT[1, :4].tolist() == [6, 7, 8, 0]
    assert mixed.targets_BT[2, :6].tolist() == text.window(5, 6)[1:].tolist()
    assert (mixed.weight, mixed.passed) == (8 + 3 + 6, 18)
    assert mixed.positions_BT is None


class Blind(nn.Module):
    """A causal model that goes by no positions: all tokens of a row see what stands before."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner, self.config, self.device, self.calls = inner, inner.config, CPU, 0

    def forward(self, input_ids: torch.Tensor, use_cache: bool, **positions: torch.Tensor) -> Any:
        self.calls += "position_ids" in positions
        return self.inner(input_ids=input_ids, use_cache=use_cache)


@pytest.mark.parametrize("name", ["olmo2", "llama", "gpt2"])
def test_a_model_that_sees_over_a_joint_is_refused(name: str, build_model: BuildModel) -> None:
    model = build_model(name)
    refuse_leak(model, "train.objective.pack")
    assert model.training, "as it was"
    with pytest.raises(InputError) as caught:
        refuse_leak(Blind(model), "train.objective.pack")
    assert str(caught.value) == (
        "train.objective.pack: Blind sees earlier documents of a row though positions restart; "
        "set it to false"
    )


def test_a_model_is_looked_at_once_and_the_loss_is_the_same(build_model: BuildModel) -> None:
    class Sighted(Blind):
        def forward(self, input_ids: torch.Tensor, use_cache: bool, **positions: Any) -> Any:
            self.calls += 1
            return self.inner(input_ids=input_ids, use_cache=use_cache, **positions)

    model = Sighted(build_model("llama"))
    ids = np.arange(1, 9)[None]
    weights = np.ones((1, 7), np.float32)
    batch = TokenBatch(ids[:, :-1], ids[:, 1:], weights, np.array([7]), np.arange(7)[None])
    learn = kept_apart(Causal(0.01), "train.separate_documents")
    losses = []
    for calls in (3, 4, 5):  # two of them to look
        losses.append(learn(model, batch, CPU).total)
        assert model.calls == calls
    assert {loss.item() for loss in losses} == {Causal(0.01)(model, batch, CPU).total.item()}
    with pytest.raises(InputError, match=r"train.separate_documents: Blind sees earlier"):
        kept_apart(Causal(0.01), "train.separate_documents")(Blind(model.inner), batch, CPU)


def nats(model: nn.Module, chat: tuple[list[int], list[int]], length: int) -> float:
    """-log p of the answers' tokens, one forward pass a token."""
    ids, marks = torch.tensor(chat[0]), chat[1]
    with torch.no_grad():
        steps = [
            model(input_ids=ids[None, :n]).logits[0, -1].log_softmax(-1)[ids[n]]
            for n in range(1, min(len(ids), length + 1))
            if marks[n]
        ]
    return -float(sum(steps))


def test_answers_are_measured_alone_and_only_what_was_read_counts(
    given: Given, build_model: BuildModel
) -> None:
    """The second chat has 6 answered tokens, 5 of them in the first 12: 10 of its 12 bytes."""
    model = build_model("llama")
    short = replace(given, train=TrainConfig(batch_size=2, sequence_length=11), lengths=[8, 11])
    for stage, num_bytes in ((given, 4 + 12), (short, 4 + 10)):
        (found,) = sft(stage).measure(model, ["chats"], False)
        length = stage.train.sequence_length
        total = sum(nats(model, chat, length) for chat in HELD_OUT)
        assert found.loss == pytest.approx(total / (np.log(2) * num_bytes), rel=1e-5)
        assert found.counts == {"num_documents": 2, "num_bytes": num_bytes}
        assert found.low <= found.loss <= found.high
        assert (found.source, found.unit) == ("chats", "bits per byte")


def test_chats_without_an_answer_in_reach_are_refused(
    given: Given, build_model: BuildModel, tmp_path: Path
) -> None:
    folder = tmp_path / "late-1"
    folder.mkdir()
    parts = {"train": [], "held_out": examples([([9] * 20, [0] * 19 + [2])] * 2, [1, 1])}
    write_examples(folder, parts, 96, {"key": "l"})
    late = replace(given, stocks={"chats": ExampleSource.open(folder)})
    with pytest.raises(InputError) as caught:
        sft(late).measure(build_model("llama"), ["chats"], False)
    assert str(caught.value) == ("sources.chats: no held-out chat has an answer within 12 tokens")
