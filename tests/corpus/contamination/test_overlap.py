import json
import pickle
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from evergrow.corpus.contamination import Item, Suite, checked, contamination, load_suite, unchecked
from evergrow.corpus.contamination.overlap import COMMON_ITEMS, LEAST_WORDS, parts
from evergrow.corpus.document import Document
from evergrow.corpus.signals import measure_documents
from evergrow.corpus.words import split_words
from evergrow.errors import InputError

LIBRARY = Path(sysconfig.get_paths()["stdlib"])


def words(first: int, num: int) -> str:
    return " ".join(f"word{i}" for i in range(first, first + num))


def found(text: str, *suites: Suite, n: int = 13, least_share: float = 0.3) -> list[dict]:
    group = contamination(suites, n, {"prompt": least_share, "solution": least_share})
    hits, _ = group.compute(Document.of(text, "s", "p"), split_words(text))
    return json.loads(hits)


QUIZ = Suite.of("quiz", [Item("a", words(0, 22), words(100, 11)), Item("b", words(200, 9), "")])


def test_share_is_that_of_the_distinct_ngrams_found() -> None:
    # 22 words have 10 13-grams; the first 17 words of them 5
    hit = {"suite": "quiz", "item": "a", "part": "prompt"}
    assert found("x " + words(0, 22) + " y", QUIZ) == [hit | {"share": 1.0, "how": "verbatim"}]
    assert found(words(0, 17), QUIZ) == [hit | {"share": 0.5, "how": "n-grams"}]
    assert found(words(0, 15) + " x " + words(0, 15), QUIZ) == [
        hit | {"share": 0.3, "how": "n-grams"}
    ]
    assert found(words(0, 14), QUIZ) == []


def test_all_ngrams_but_not_in_a_row_is_not_verbatim() -> None:
    (hit,) = found(words(9, 13) + " x " + words(0, 21), QUIZ)
    assert (hit["share"], hit["how"]) == (1.0, "n-grams")
    (hit,) = found(words(0, 20) + " x " + words(0, 22), QUIZ)
    assert hit["how"] == "verbatim"


def test_a_short_part_is_found_whole_or_not_and_a_shorter_one_not_compared() -> None:
    assert LEAST_WORDS == 10
    (hit,) = found("x " + words(100, 11) + " y", QUIZ)
    assert hit == {
        "suite": "quiz",
        "item": "a",
        "part": "solution",
        "share": 1.0,
        "how": "verbatim",
    }
    assert found(words(100, 10), QUIZ) == []
    assert found(words(200, 9), QUIZ) == []
    assert unchecked(QUIZ) == ["b"]


def test_the_share_below_the_threshold_is_told_too() -> None:
    group = contamination([QUIZ])
    columns = measure_documents([Document.of(words(0, 14), "s", "p")], [group])[group.name]
    assert columns.column_names == ["id", "hits", "share"]
    assert columns["share"].to_pylist() == [pytest.approx(0.2)]
    assert found(words(0, 14), QUIZ, least_share=0.2)[0]["share"] == 0.2


def test_less_of_a_prompt_than_of_a_solution_is_enough() -> None:
    suite = Suite.of("s", [Item("a", words(0, 22), words(100, 22))])
    group = contamination([suite])
    text = words(0, 14) + " x " + words(100, 14)
    hits, share = group.compute(Document.of(text, "s", "p"), split_words(text))
    assert [(h["part"], h["share"]) for h in json.loads(hits)] == [("prompt", 0.2)]
    assert share == 0.2
    text = words(0, 13) + " x " + words(100, 15)
    hits, _ = group.compute(Document.of(text, "s", "p"), split_words(text))
    assert [(h["part"], h["share"]) for h in json.loads(hits)] == [
        ("prompt", 0.1),
        ("solution", 0.3),
    ]


def test_the_form_of_a_test_is_no_item() -> None:
    form = words(900, 30)
    few = Suite.of("few", [Item(str(i), form + f" q{i}", "") for i in range(COMMON_ITEMS)])
    many = Suite.of("many", [Item(str(i), form + f" q{i}", "") for i in range(COMMON_ITEMS + 1)])
    same = Suite.of("same", [Item(str(i), form, "") for i in range(COMMON_ITEMS + 1)])
    assert len(found(form, few)) == COMMON_ITEMS
    assert found(form, many) == []
    (hit,) = found(form + " q3", many)
    assert (hit["item"], hit["how"]) == ("3", "verbatim")
    assert len(unchecked(same)) == COMMON_ITEMS + 1


def test_an_item_in_the_second_chunk_of_a_long_document(monkeypatch: pytest.MonkeyPatch) -> None:
    for room in ("duplicates.ngrams", "contamination.overlap"):
        monkeypatch.setattr(f"evergrow.corpus.{room}.CHUNK", 16)
    (hit,) = found(words(1000, 40) + " " + words(0, 22), QUIZ)
    assert hit["how"] == "verbatim"


@pytest.mark.parametrize("text", ["", "x", "\n", "word0 " * 200_000, "x" * 5_000_000])
def test_nothing_is_found_where_nothing_is(text: str) -> None:
    assert found(text, QUIZ) == []


def test_every_human_eval_item_is_found_in_other_case_and_white_space_too() -> None:
    suite = load_suite("humaneval")
    group = contamination([suite])
    context = (LIBRARY / "heapq.py").read_text()
    half = context.index("\n", len(context) // 2) + 1
    compared = {(part.item, part.kind) for part in parts(suite)}
    assert (len(compared), unchecked(suite)) == (2 * 164 - 19, [])
    for item in suite.items:
        for kind, text in (("prompt", item.prompt), ("solution", item.solution)):
            if (item.id, kind) not in compared:
                continue
            for planted in (text, " ".join(text.upper().split()), text.replace("\n", "\r\n\t ")):
                text = context[:half] + planted + "\n" + context[half:]
                hits, _ = group.compute(Document.of(text, "s", "p"), split_words(text))
                assert (item.id, kind) in {(h["item"], h["part"]) for h in json.loads(hits)}


def test_the_standard_library_holds_none_of_human_eval() -> None:
    group = contamination([load_suite("humaneval")])
    shares = []
    for path in sorted(LIBRARY.glob("*.py")):
        text = path.read_text()
        hits, share = group.compute(Document.of(text, "s", path.name), split_words(text))
        assert hits == "[]"
        shares.append(share)
    assert len(shares) > 100 and max(shares) < 0.1


def test_the_key_holds_the_items_and_the_group_can_go_to_a_worker() -> None:
    other = Suite.of("quiz", [Item("a", words(0, 22), words(100, 12))])
    stricter = contamination([QUIZ], 13, {"prompt": 0.1, "solution": 0.2})
    keys = {contamination([QUIZ]).key, contamination([other]).key, stricter.key}
    keys.add(contamination([QUIZ], 12).key)
    assert len(keys) == 4
    compute = pickle.loads(pickle.dumps(contamination([QUIZ]).compute))
    text = words(0, 22)
    assert len(json.loads(compute(Document.of(text, "s", "p"), split_words(text))[0])) == 1


def test_the_record_counts_items_and_documents() -> None:
    hit = {"suite": "quiz", "item": "a", "part": "prompt", "share": 1.0, "how": "verbatim"}
    column = [json.dumps([hit, hit | {"part": "solution"}]), "[]", None]
    column.append(json.dumps([hit | {"item": "b"}]))
    other = Suite.of("other", [Item("x", words(0, 20), "")])
    quiz, rest = checked([QUIZ, other], column)
    assert (quiz.suite, quiz.digest, quiz.num_items) == ("quiz", QUIZ.digest, 2)
    assert (quiz.num_unchecked, quiz.num_items_found, quiz.num_documents) == (1, 2, 2)
    assert (rest.num_unchecked, rest.num_items_found, rest.num_documents) == (0, 0, 0)


def test_what_cannot_be_asked() -> None:
    with pytest.raises(InputError, match="'quiz' is given twice"):
        contamination([QUIZ, QUIZ])
    with pytest.raises(InputError, match="n-grams of 9 words"):
        contamination([QUIZ], 9)


def test_ngrams_of_several_items_count_for_each() -> None:
    shared = words(0, 20)
    suite = Suite.of("s", [Item("a", shared + " a", ""), Item("b", shared + " b", "")])
    assert [(h["item"], h["share"]) for h in found(shared, suite)] == [
        ("a", pytest.approx(8 / 9, abs=1e-4)),
        ("b", pytest.approx(8 / 9, abs=1e-4)),
    ]
    assert np.isclose(1.0, max(h["share"] for h in found(shared + " b", suite)))
