"""Deciding over arrays made by hand."""

from dataclasses import replace
from typing import Any

import numpy as np

from evergrow.corpus.curate.columns import PASSED, SEVERAL, Columns, Judged, NearColumns
from evergrow.corpus.curate.config import CorpusConfig, NearConfig
from evergrow.corpus.curate.decide import KEPT, Decided, Reason, decide
from evergrow.corpus.curate.index import Index
from evergrow.corpus.curate.texts import Compared
from evergrow.corpus.curate.waterfall import duplicates, waterfall
from evergrow.corpus.document import Document
from evergrow.corpus.policies.rule import Rule

RULES = [Rule("text.blank", "facts.blank", "blank", high=0), Rule("a", "x.y", "low", low=1)]
NEAR = NearConfig(permutations=8, bands=1)
NOTHING = Index.room_for(0, NEAR)
SAME = Compared(lambda rows: ((row, Document.of("the same text", "s", "p")) for row in rows), 2)


def columns_of(
    hashes: list[int],
    bands: list[int],
    sizes: list[int] | None = None,
    contaminated: set[int] = frozenset(),  # pyright: ignore[reportArgumentType]
    sources: list[int] | None = None,
) -> Columns:
    """One shard; ids count up from the lowest, and their order is that of the rows."""
    num = len(hashes)
    ids = np.zeros((num, 2), np.uint64)
    ids[:, 0] = (np.arange(num, dtype=np.uint64) * np.uint64(2**64 // num)).byteswap()
    return Columns(
        shards=["one"],
        starts=np.array([0, num]),
        ids_D2=ids,
        hashes_D2=np.array([[h, h] for h in hashes], np.uint64),
        bytes_D=np.array(sizes or [10] * num),
        kept_bytes_D=np.array(sizes or [10] * num),
        source_D=np.array(sources or [0] * num, np.int16),
        near=NearColumns(
            np.array(bands, np.uint64)[:, None],
            np.zeros((num, 8), np.uint8),
            np.array(sizes or [10] * num),
        ),
        contaminated_DS=np.array([[d in contaminated] for d in range(num)]),
        suites=["quiz"],
        dates=None,
    )


def judged_of(first: list[int], only: list[int] | None = None) -> Judged:
    num = np.zeros(len(RULES), np.int64)
    return Judged(RULES, np.array(first, np.int16), np.array(only or first, np.int16), num, num)


def fates(decided: Decided) -> list[str]:
    return ["kept" if r == KEPT else decided.reasons[r].rule for r in decided.reason_D]


def config_of(**changes: Any) -> CorpusConfig:
    near = {"permutations": 8, "bands": 1}
    settings = {"sources": ["s", "t"], "near": near, **changes}
    return CorpusConfig.model_validate(settings)


NO_DOUBLES = np.zeros(5, bool)


def test_steps_are_asked_in_order_and_the_dropped_take_no_part() -> None:
    # 0 and 1 are one text; 0 fails a rule, so 1 stays. 2 and 3 are near; 2 is longer but leaked.
    columns = columns_of([1, 1, 2, 3, 4], [1, 1, 9, 9, 5], [10, 10, 30, 20, 10], {2})
    judged = judged_of([1, PASSED, PASSED, PASSED, PASSED])
    decided = decide(columns, judged, NO_DOUBLES, NOTHING, SAME, config_of())
    assert fates(decided) == ["a", "kept", "contamination.quiz", "kept", "kept"]


def test_repeats_keep_the_longest_and_name_it() -> None:
    columns = columns_of(
        [1, 1, 2, 3, 4], [1, 1, 9, 9, 9], [10, 10, 20, 30, 20], sources=[0, 1, 0, 1, 0]
    )
    decided = decide(columns, judged_of([PASSED] * 5), NO_DOUBLES, NOTHING, SAME, config_of())
    assert fates(decided) == ["kept", "exact.document", "near.document", "kept", "near.document"]
    assert decided.partner_D.tolist() == [-1, 0, 3, -1, 3]
    found = duplicates(columns, decided, ["s", "t"])
    assert found.exact == [[0, 0, 0], [1, 0, 0]]
    assert found.near == [[0, 2, 0], [0, 0, 0]]


def test_any_counts_are_those_of_a_rule_asked_first() -> None:
    columns = columns_of([1, 1, 2, 3, 4], [1, 1, 9, 9, 5])
    decided = decide(
        columns, judged_of([1, 1, PASSED, PASSED, PASSED]), NO_DOUBLES, NOTHING, SAME, config_of()
    )
    told = {s.rule: s for s in waterfall(columns, decided).steps}
    assert (told["exact.document"].documents, told["exact.document"].any_documents) == (0, 1)
    assert (told["near.document"].documents, told["near.document"].any_bytes) == (1, 20)


def test_without_a_rule_later_steps_are_asked_again() -> None:
    # 0 fails rule a alone, 1 fails both; 0 repeats 2.
    columns = columns_of([1, 2, 1, 3, 4], [1, 2, 1, 3, 4])
    judged = judged_of([1, 0, PASSED, PASSED, PASSED], [1, SEVERAL, PASSED, PASSED, PASSED])
    without = decide(
        columns, judged, NO_DOUBLES, NOTHING, SAME, config_of(), Reason("policy", "a"), False
    )
    assert [r == KEPT for r in without.reason_D] == [True, False, False, True, True]
    without = decide(
        columns,
        judged,
        NO_DOUBLES,
        NOTHING,
        SAME,
        config_of(),
        Reason("exact", "exact.document"),
        False,
    )
    assert fates(without) == ["a", "text.blank", "kept", "kept", "kept"]


def test_earlier_documents_are_kept_already() -> None:
    hashes = np.array([[7, 7], [8, 8]], np.uint64)
    none = np.zeros(2, np.int32)
    signatures = np.zeros((2, 8), np.uint8)
    bands = hashes[:, :1] * np.uint64(10)
    earlier = Index(hashes, hashes, bands, signatures, none, none, ["s"], ["k"])
    columns = columns_of([8, 1, 2, 3, 4], [1, 70, 2, 2, 4], [99, 99, 10, 20, 10])
    decided = decide(columns, judged_of([PASSED] * 5), NO_DOUBLES, earlier, SAME, config_of())
    assert fates(decided) == ["exact.earlier", "near.earlier", "near.document", "kept", "kept"]
    assert decided.partner_D.tolist() == [-3, -2, 3, -1, -1]
    assert duplicates(columns, decided, ["s", "t"]).near == [[1, 0, 1], [0, 0, 0]]


def test_selections_nest_and_respect_their_limits() -> None:
    columns = columns_of(
        [1, 2, 3, 4, 5], [1, 2, 3, 4, 5], [10, 10, 10, 10, 10], sources=[0, 0, 0, 1, 1]
    )
    judged = judged_of([PASSED] * 5)

    def kept(**select: Any) -> list[int]:
        decided = decide(columns, judged, NO_DOUBLES, NOTHING, SAME, config_of(select=select))
        return np.flatnonzero(decided.reason_D == KEPT).tolist()

    assert kept(fraction=0.5) == [0, 1, 2]
    assert kept(fraction=0.25) == [0, 1]
    assert kept(max_bytes=39) == [0, 1, 2]
    assert kept(source_bytes={"s": 20, "t": 15}) == [0, 1, 3]
    assert kept(source_bytes={"s": 20}, max_bytes=30) == [0, 1, 3]


def test_an_id_that_comes_twice_goes() -> None:
    columns = columns_of([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
    double_D = np.array([False, True, False, False, False])
    decided = decide(columns, judged_of([PASSED] * 5), double_D, NOTHING, SAME, config_of())
    assert fates(decided) == ["kept", "id.repeated", "kept", "kept", "kept"]


def test_the_newest_of_a_cluster_may_stay() -> None:
    columns = columns_of([1, 2, 3, 4, 5], [9, 9, 9, 4, 5], [30, 20, 10, 10, 10])
    dated = replace(columns, dates=["2020", "2024-02-01", None, None, None])
    config = config_of(near={"permutations": 8, "bands": 1, "keep": "newest"})
    decided = decide(dated, judged_of([PASSED] * 5), NO_DOUBLES, NOTHING, SAME, config)
    assert fates(decided) == ["near.document", "kept", "near.document", "kept", "kept"]
