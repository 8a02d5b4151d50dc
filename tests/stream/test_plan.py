"""The plan of three stages: stage 0 reads a and b, stage 1 a and the new c, stage 2 the new d."""

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Literal

import pytest

from evergrow.errors import InputError
from evergrow.run import Ledger
from evergrow.stream.order import key_of, permute
from evergrow.stream.plan import Sample, SampleStream

SIZES = {"a": 150, "b": 90, "c": 400, "d": 1000}
TOKENS = {"a": 16, "b": 16, "c": 2.5, "d": 7.25}
SEED = 3
SHARES = [{"a": 3, "b": 1}, {"a": 1, "c": 4}, {"d": 1}]
REPLAY = [(0, 1), (1, 3), (3, 7)]  # none, 25 %, 30 %
LENGTHS = [200, 320, 240]


def ledgers(
    lengths: Sequence[int] = LENGTHS,
    order: Literal["seen", "reshuffled"] = "seen",
    sizes: Mapping[str, int] = SIZES,
) -> list[Ledger]:
    return [
        Ledger(
            shares=shares,
            replay_shares=replay,
            replay_order=order,
            num_samples=length,
            sizes={source: sizes[source] for source in shares},
            tokens_an_item={source: TOKENS[source] for source in shares},
        )
        for shares, replay, length in zip(SHARES, REPLAY, lengths, strict=False)
    ]


def read(stream: SampleStream, first: int, last: int) -> list[Sample]:
    return [stream.sample(n) for n in range(first, last)]


def stages(stream: SampleStream) -> list[list[Sample]]:
    return [read(stream, 0, 200), read(stream, 200, 520), read(stream, 520, 760)]


@pytest.fixture
def stream() -> SampleStream:
    return SampleStream(ledgers(), SEED)


def fresh(samples: list[Sample], stage: int) -> list[Sample]:
    return [s for s in samples if s.origin == stage]


def order_of(source: str, epoch: int = 0) -> list[int]:
    key = key_of("order", SEED, source, epoch)
    return [permute(i, SIZES[source], key) for i in range(SIZES[source])]


def test_the_plan_has_no_memory(stream: SampleStream) -> None:
    forwards = read(stream, 0, 760)
    assert [stream.sample(n) for n in reversed(range(760))] == forwards[::-1]
    assert read(SampleStream(ledgers(), SEED), 0, 760) == forwards
    other = read(SampleStream(ledgers(), SEED + 1), 0, 760)
    assert [s.source for s in other] == [s.source for s in forwards]
    assert [s.item for s in other] != [s.item for s in forwards]


def test_any_number_of_ranks_reads_the_same_samples(stream: SampleStream) -> None:
    alone = read(stream, 0, 760)
    for world_size in (2, 3, 4, 8):
        ranks = [SampleStream(ledgers(), SEED) for _ in range(world_size)]
        together: dict[int, Sample] = {}
        for rank, its_stream in enumerate(ranks):
            together |= {n: its_stream.sample(n) for n in range(rank, 760, world_size)}
        assert [together[n] for n in range(760)] == alone


def test_every_prefix_of_a_stage_holds_its_shares_within_one_sample(stream: SampleStream) -> None:
    for index, samples in enumerate(stages(stream)):
        share = Fraction(REPLAY[index][0], sum(REPLAY[index]))
        total = sum(SHARES[index].values())
        replayed, own = 0, Counter()
        for n, sample in enumerate(samples, start=1):
            if sample.origin == index:
                own[sample.source] += 1
            else:
                replayed += 1
            assert abs(replayed - share * n) < 1
            for source, part in SHARES[index].items():
                assert abs(own[source] - Fraction(part * own.total(), total)) < 1


def test_what_is_replayed_is_an_ancestors_new_data_as_it_was_seen(stream: SampleStream) -> None:
    first, second, third = stages(stream)
    own = [first, fresh(second, 1), fresh(third, 2)]
    assert [len(samples) for samples in own] == [200, 240, 168]
    replayed = fresh(second, 0)
    assert len(replayed) == 80
    assert replayed == own[0][:80]
    again = {a: fresh(third, a) for a in (0, 1)}
    # The third stage goes on where the second one's replay stopped, and begins with its new data.
    assert again[0] == own[0][80 : 80 + len(again[0])]
    assert again[1] == own[1][: len(again[1])]


def test_ancestors_are_replayed_in_proportion_to_their_new_data(stream: SampleStream) -> None:
    third = stages(stream)[2]
    counts = Counter(s.origin for s in third)
    num_replayed = counts[0] + counts[1]
    assert num_replayed == 72
    assert abs(counts[0] - Fraction(num_replayed * 200, 440)) < 1
    seen = Counter()
    for sample in (s for s in third if s.origin < 2):
        seen[sample.origin] += 1
        assert abs(seen[0] - Fraction(seen.total() * 200, 440)) < 1


def test_replay_starts_over_when_the_ancestor_is_used_up() -> None:
    stream = SampleStream(ledgers([16, 320]), SEED)
    first, second = read(stream, 0, 16), read(stream, 16, 336)
    assert fresh(second, 0) == first * 5


def test_reshuffled_replay_is_the_same_samples_in_another_order() -> None:
    stream = SampleStream(ledgers([80, 640], "reshuffled"), SEED)
    first, replayed = read(stream, 0, 80), fresh(read(stream, 80, 720), 0)
    assert len(replayed) == 160
    turns = replayed[:80], replayed[80:]
    for turn in turns:
        assert sorted(turn) == sorted(first)
        assert turn != first
    assert turns[0] != turns[1]


def test_a_new_source_starts_at_its_own_beginning(stream: SampleStream) -> None:
    first, second, third = stages(stream)
    for source, samples in (
        ("a", first),
        ("b", first),
        ("c", fresh(second, 1)),
        ("d", fresh(third, 2)),
    ):
        items = [s.item for s in samples if s.source == source]
        assert items == order_of(source)[: len(items)]


def test_a_source_goes_on_in_a_later_stage_and_no_item_comes_twice_in_an_epoch() -> None:
    stream = SampleStream(ledgers([120, 800]), SEED)
    first, second = read(stream, 0, 120), fresh(read(stream, 120, 920), 1)
    items = [s.item for s in first + second if s.source == "a"]
    assert len(items) == 90 + 120
    assert items == order_of("a") + order_of("a", epoch=1)[:60]
    assert sorted(items[:150]) == list(range(150))
    assert items[150:] != items[:60]


def test_the_plan_goes_on_past_the_last_stage() -> None:
    short, long = (SampleStream(ledgers([200, n]), SEED) for n in (40, 320))
    assert read(short, 0, 520) == read(long, 0, 520)


def test_another_stage_leaves_the_earlier_ones_as_they_were(stream: SampleStream) -> None:
    assert read(SampleStream(ledgers()[:2], SEED), 0, 520) == read(stream, 0, 520)


def test_seen_is_what_counting_gives(stream: SampleStream) -> None:
    cursors = Counter()
    for index, samples in enumerate(stages(stream)):
        seen = stream.seen(index)
        own = Counter(s.source for s in fresh(samples, index))
        again = Counter(s.source for s in samples if s.origin != index)
        assert seen.keys() == own.keys() | again.keys()
        for source, range_ in seen.items():
            assert range_.last - range_.first == own[source]
            assert range_.replayed == again[source]
            tokens = [round(n[source] * TOKENS[source]) for n in (own, again)]
            assert range_.tokens == sum(tokens)
            if own[source]:
                assert range_.first == cursors[source]
                assert range_.epochs == pytest.approx(range_.last / SIZES[source])
        cursors += own


def test_more_epochs_than_allowed_are_refused(stream: SampleStream) -> None:
    # Stage 1 brings a to 150 + 48 = 198 of its 150 windows; replay does not count.
    stream.refuse_too_many_epochs({"a": 1.32, "b": 1})
    with pytest.raises(InputError) as error:
        stream.refuse_too_many_epochs({"a": 1.31})
    assert str(error.value) == (
        "stages[1] would read a 1.32 times (198 samples of 150), more than its max_epochs 1.31; "
        "give it more data, fewer tokens, or raise max_epochs"
    )
    assert error.value.exit_code == 2


def test_a_source_without_a_sample_is_refused() -> None:
    with pytest.raises(InputError, match="c: too short for one sample; give it more data"):
        SampleStream(ledgers(sizes=SIZES | {"c": 0}), SEED)


def cut(sizes: Sequence[int], tokens: Sequence[int], lengths: Sequence[int]) -> SampleStream:
    """Stages that all read source a, each cut into items of its own size; 1 in 4 replayed."""
    stages = zip(sizes, tokens, lengths, strict=True)
    return SampleStream(
        [
            Ledger(
                shares={"a": 1},
                replay_shares=(1, 3),
                replay_order="seen",
                num_samples=length,
                sizes={"a": size},
                tokens_an_item={"a": an_item},
            )
            for size, an_item, length in stages
        ],
        SEED,
    )


def test_a_source_cut_into_other_items_goes_on_at_the_share_that_was_read() -> None:
    """101 of 150 windows of 16, then windows of 32: from 50.5 of 75 on, so the 51st is the next."""
    stream = cut([150, 75, 150], [16, 32, 16], [101, 20, 8])
    first, second, third = read(stream, 0, 101), read(stream, 101, 121), read(stream, 121, 129)
    key = key_of("order", SEED, "a", 0)
    assert [s.item for s in first] == [permute(i, 150, key) for i in range(101)]
    assert [s.item for s in fresh(second, 1)] == [permute(i, 75, key) for i in range(51, 66)]
    # Each stage counts for itself: 101 of 150 and 15 of 75 are 101 + 30 of 150.
    assert [s.item for s in fresh(third, 2)] == [permute(i, 150, key) for i in range(131, 137)]
    seen = [stream.seen(i)["a"] for i in range(3)]
    assert [(s.first, s.last) for s in seen] == [(0, 101), (51, 66), (131, 137)]
    assert [s.epochs for s in seen] == pytest.approx([101 / 150, 66 / 75, 137 / 150])


def test_what_is_replayed_across_sizes_keeps_the_items_of_its_stage() -> None:
    stream = cut([150, 75], [16, 32], [101, 20])
    first, second = read(stream, 0, 101), read(stream, 101, 121)
    assert fresh(second, 0) == first[:5]
    assert max(s.item for s in fresh(second, 1)) < 75 <= max(s.item for s in first)
    seen = stream.seen(1)["a"]
    assert (seen.replayed, seen.tokens) == (5, 15 * 32 + 5 * 16)
    assert stream.seen(0)["a"].tokens == 101 * 16


def test_epochs_are_counted_in_the_items_of_their_stage() -> None:
    stream = cut([150, 75], [16, 32], [120, 40])
    assert [s.item for s in fresh(read(stream, 120, 160), 1)[15:]] == [
        permute(i, 75, key_of("order", SEED, "a", 1)) for i in range(15)
    ]
    stream.refuse_too_many_epochs({"a": 1.2})
    with pytest.raises(
        InputError, match=r"stages\[1\] would read a 1.20 times \(90 samples of 75\)"
    ):
        stream.refuse_too_many_epochs({"a": 1.19})
