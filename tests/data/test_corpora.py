"""A source that stages read as it is: a corpus that no rule is asked about."""

import json
from pathlib import Path

import pytest
from corpus.plain import corpus_of

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.globs import HIDDEN
from evergrow.errors import InputError

LICENCE = "# Licensed under the terms that stand in the file LICENCE"


def write(folder: Path, *texts: str, suffix: str = "txt") -> Path:
    for number, text in enumerate(texts):
        (folder / f"{number}.{suffix}").write_text(text)
    return folder


def texts(corpus: Corpus) -> list[str]:
    return sorted(document.text for document in corpus.documents())


def dropped(corpus: Corpus) -> dict[str, int]:
    steps = corpus.manifest.waterfall.steps
    return {step.rule: step.documents for step in steps if step.documents}


def test_only_blank_text_and_exact_repeats_are_dropped(tmp_path: Path) -> None:
    write(tmp_path, "a", " \n", "b", "a", "a ", "buy now! buy now! buy now!")
    corpus = corpus_of(SourceConfig(files=["*.txt"]), tmp_path, tmp_path / "run")
    assert texts(corpus) == ["a", "a ", "b", "buy now! buy now! buy now!"]
    assert dropped(corpus) == {"text.blank": 1, "exact.document": 1}
    assert corpus.num_documents == 4


def test_a_long_line_of_prose_is_kept_where_it_comes_first(tmp_path: Path) -> None:
    base = write(tmp_path, f"{LICENCE}\nx\n", f"  {LICENCE} \ny\n", "x\nz\n", LICENCE)
    config = SourceConfig(files=["*.txt"], drop_repeated_lines=40)
    corpus = corpus_of(config, base, tmp_path / "run")
    read = {document.path: document for document in corpus.documents()}
    kept = [document.text for document in read.values()]
    assert sum(LICENCE in text for text in kept) == 1
    assert "x\nz\n" in kept and corpus.manifest.cut.pieces == 2
    assert all(
        (d.parent is not None) == (LICENCE not in d.text)
        for d in read.values()
        if d.path != "2.txt"
    )


def test_code_keeps_its_lines_and_loses_the_comments_it_begins_with(tmp_path: Path) -> None:
    function = "def read_all_of_the_files(paths, encoding):\n    return [read(p) for p in paths]\n"
    first, second = f"{LICENCE}\n{function}a = 1\n", f"{LICENCE}\n\n{function}b = 2\n"
    base = write(tmp_path, first, second, suffix="py")
    config = SourceConfig(files=["*.py"], drop_repeated_lines=40)
    corpus = corpus_of(config, base, tmp_path / "run")
    found = {document.path: document.text for document in corpus.documents()}
    assert sorted(LICENCE in text for text in found.values()) == [False, True]
    assert all(function in text for text in found.values())
    assert corpus.manifest.cut.code_documents == 2


def test_a_date_or_licence_field_that_no_document_has_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "x", "date": "2020"}))
    for field, what, wrong in (("date_field", "date", "dat"), ("license_field", "license", "l")):
        config = SourceConfig.model_validate({"files": ["a.jsonl"], field: wrong})
        with pytest.raises(InputError) as error:
            corpus_of(config, tmp_path, tmp_path / "run")
        assert str(error.value) == (
            f"sources.web.{field}: no document has a {what} in {wrong!r}; correct the name or "
            f"remove {field}"
        )
    config = SourceConfig(files=["a.jsonl"], date_field="date")
    [document] = corpus_of(config, tmp_path, tmp_path / "run").documents()
    assert document.date == "2020"


def test_too_many_bad_documents_are_refused_and_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{\n{"text": "0123456789"}\n')
    with pytest.raises(InputError) as error:
        corpus_of(SourceConfig(files=["a.jsonl"]), tmp_path, tmp_path / "run")
    assert str(error.value).startswith(
        "sources.web: 1 of 2 documents cannot be read, more than 0.1 %"
    )
    assert f"{tmp_path / 'run/corpora/web/quarantine/web-*.jsonl'}" in str(error.value)
    config = SourceConfig(files=["a.jsonl"], max_bad=0.5)
    assert texts(corpus_of(config, tmp_path, tmp_path / "run")) == ["0123456789"]


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    for name in ("a.txt", ".drafts/b.txt", ".c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "d.txt").write_bytes(bytes(100))
    corpus = corpus_of(SourceConfig(files=["**/*.txt"]), tmp_path, tmp_path / "run")
    assert texts(corpus) == ["a.txt"]
    skipped = corpus.manifest.sources["web"].skipped
    assert skipped == {HIDDEN: 2, "files of zeros": 1}


def test_no_document_at_all_is_refused_by_the_name_of_the_source(tmp_path: Path) -> None:
    write(tmp_path, " \n", "\n\n")
    with pytest.raises(InputError, match=r"^sources.web: none of 2 documents is kept"):
        corpus_of(SourceConfig(files=["*.txt"]), tmp_path, tmp_path / "run")
