"""The trail of a document: kept, dropped by each kind of rule, cut, or never read."""

import json
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from corpus.curate.texts import ITEM, make, prose, write_texts
from corpus.plain import corpus_of

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.dropped import Dropped, dropped_by
from evergrow.corpus.curate.partners import Repeat
from evergrow.corpus.curate.why import Told, _gone, why
from evergrow.corpus.document import document_id
from evergrow.errors import InputError


def told_of(corpus: Corpus, wanted: str) -> Told:
    answer = why(corpus, wanted, corpus.folder)  # there are no runs in it
    json.dumps(asdict(answer), allow_nan=False)
    [document] = answer.documents
    return document


def verdicts(document: Told) -> dict[str, str]:
    return {rule.rule: rule.verdict for rule in document.rules}


def test_a_kept_document_passes_every_rule(whole: Corpus) -> None:
    told = told_of(whole, "news/mail.txt")
    assert told.decision.keep
    assert set(verdicts(told).values()) <= {"passes", "silent"}
    assert len(verdicts(told)) > 15
    [mask] = told.edits
    start = len(prose(22) + "write to ")
    assert (mask.kind, mask.start, mask.replacement) == ("mask.email", start, "<EMAIL>")
    assert told.duplicate is None and told.contamination == [] and told.cut == []


def test_a_document_is_found_by_the_end_of_its_path_and_by_where_its_file_is(
    whole: Corpus, tmp_path: Path
) -> None:
    mail = told_of(whole, "news/mail.txt")
    assert told_of(whole, "mail.txt") == told_of(whole, str(tmp_path / "news/mail.txt")) == mail
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.txt").write_text(name)
    two = corpus_of(SourceConfig(files=["*/x.txt"]), tmp_path, tmp_path / "run")
    told = r"'x\.txt': is the end of 2 paths \(a/x.txt, b/x.txt ...\); give more of it"
    with pytest.raises(InputError, match=told):
        why(two, "x.txt", two.folder)
    with pytest.raises(InputError, match=r"no document has the id, key or path 'il\.txt'"):
        why(whole, "il.txt", whole.folder)


def test_a_failed_rule_is_told_with_value_and_threshold(whole: Corpus) -> None:
    told = told_of(whole, "news/short.txt")
    decision = told.decision
    assert (decision.rule, decision.value, decision.threshold) == (
        "gopher.min_words", 40, 50,
    )  # fmt: skip
    failed = [rule for rule, verdict in verdicts(told).items() if verdict == "fails"]
    assert failed == ["gopher.min_words"]
    [rule] = [rule for rule in told.rules if rule.rule == "gopher.min_words"]
    assert rule.reason == "fewer than 50 words"


def test_a_repeat_names_its_partner_and_the_partner_its_repeats(whole: Corpus) -> None:
    exact, near = told_of(whole, "notes/copy.txt"), told_of(whole, "news/03.txt")
    assert exact.duplicate.path == "news/01.txt"
    assert (exact.duplicate.similarity, exact.duplicate.kept) == (1.0, True)
    assert near.duplicate.path == "news/near.txt"
    assert near.duplicate.similarity == 116 / 122  # shingles of five words
    assert (near.decision.value, near.decision.threshold) == (116 / 122, 0.7)
    partner = told_of(whole, near.duplicate.id)
    assert partner.repeated_by == [Repeat(near.id, "near")]


def test_what_a_rule_dropped_is_listed(whole: Corpus, tmp_path: Path) -> None:
    told = dropped_by(whole, "near.document", 20)
    [one] = told.documents
    assert (told.num_documents, one.path, one.threshold) == (1, "news/03.txt", 0.7)
    assert one.partner == document_id("news", "news/near.txt")
    base = write_texts(tmp_path / "texts")
    for number in range(6):
        (base / f"notes/low{number}.txt").write_text(prose(70 + number, 40))
    made = make(tmp_path / "web", base)
    told = dropped_by(made, "gopher.min_words", 4)
    assert (told.num_documents, len(told.documents)) == (7, 4)
    assert {(one.value, one.threshold) for one in told.documents} == {(40, 50)}
    assert len({one.id for one in told.documents}) == 4
    assert dropped_by(made, "gopher.hashes", 4) == Dropped("gopher.hashes", 0, [])
    with pytest.raises(InputError, match=r"no rule .* 'gopher.min_word'; did you mean .*min_words"):
        dropped_by(made, "gopher.min_word", 4)


def test_an_item_of_a_test_is_named(whole: Corpus) -> None:
    [hit] = told_of(whole, "news/leaked.txt").contamination
    assert (hit.suite, hit.item, hit.part, hit.how) == (
        "items", "cubes", "prompt", "verbatim",
    )  # fmt: skip
    assert ITEM not in told_of(whole, "news/00.txt").excerpt


def test_documents_are_found_by_id_and_its_beginning(whole: Corpus) -> None:
    identity = document_id("notes", "notes/2.txt")
    assert told_of(whole, identity).path == "notes/2.txt"
    assert told_of(whole, identity[:12]).path == "notes/2.txt"
    with pytest.raises(InputError, match=r"no document has the id, key or path 'ffff0000'"):
        why(whole, "ffff0000", whole.folder)


def test_lines_that_were_cut_and_documents_that_were_not_read(tmp_path: Path) -> None:
    base = write_texts(tmp_path / "texts")
    (base / "notes/1.txt").write_text(prose(41) + "x " * 30 + "\n" + prose(0) + "y\n")
    (base / "news/latin.txt").write_bytes("Gr\xfc\xdfe".encode("latin-1"))
    exact = {"unit": "line"}
    made = make(tmp_path / "web", base, exact=exact, max_bad=0.2)
    assert told_of(made, "notes/1.txt").cut == [prose(0).rstrip("\n")]
    told = why(made, "news/latin.txt", tmp_path)
    assert told.documents == []
    [record] = told.quarantined
    assert (record.reason, record.offset) == ("bytes that are not UTF-8", 2)


def test_a_partner_in_an_earlier_corpus_is_looked_up_there(whole: Corpus, tmp_path: Path) -> None:
    base = write_texts(tmp_path / "texts")
    (base / "notes/like.txt").write_text(prose(42) + "and a line more\n")
    (base / "notes/fresh.txt").write_text(prose(77))
    later = make(tmp_path / "later", base, earlier=[whole.folder])
    partner = told_of(later, "notes/like.txt").duplicate
    assert partner.path == "notes/2.txt"
    assert (partner.corpus, partner.kept) == (whole.key, True)
    assert 0.8 < partner.similarity < 1
    assert abs(partner.estimate - partner.similarity) < 0.15
    assert told_of(later, "notes/0.txt").duplicate.estimate is None  # the same text


def test_separators_of_lines_in_what_was_not_read_end_no_record(tmp_path: Path) -> None:
    base = write_texts(tmp_path / "texts")
    head = "a\u2028b\u0085c"
    (base / "news/latin.txt").write_bytes(head.encode() + b"\xff")
    made = make(tmp_path / "web", base, max_bad=0.2)
    [record] = why(made, "news/latin.txt", tmp_path).quarantined
    assert record.head.startswith(head)
    assert told_of(made, "news/00.txt").decision.keep


def test_the_lines_that_were_cut_are_found_in_one_walk() -> None:
    before = [f"{i % 90}" for i in range(18_000)]
    started = time.process_time()
    assert list(_gone(before, before[:90])) == before[90:]
    assert time.process_time() - started < 1  # comparing every line with every other took 8 s
    # A paragraph goes with the indentation of the next one.
    assert list(_gone(["one", "", "  two", "three"], ["two", "three"])) == ["one"]


def test_where_it_went_is_told(whole: Corpus) -> None:
    runs = whole.folder.parents[2]
    told = why(whole, "notes/2.txt", runs).documents[0]
    assert [(c.name, c.by) for c in told.corpora] == [("web", "id")]
    copy = why(whole, "notes/copy.txt", runs).documents[0]
    assert [(c.name, c.by) for c in copy.corpora] == [("web", "text")]
    assert why(whole, "news/short.txt", runs).documents[0].corpora == []
