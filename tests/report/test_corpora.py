import json
from pathlib import Path
from typing import Any

import pytest

from evergrow.corpus.records import StoredFile
from evergrow.errors import InputError
from evergrow.report import write_report
from evergrow.report.corpora import read_corpora

SIZE = {"read_documents": 5, "read_bytes": 50, "kept_documents": 3, "kept_bytes": 30}
CARD: dict[str, Any] = {
    "format": 1,
    "suites": [{"suite": "exam", "digest": "ab", "num_items": 7, "num_unchecked": 1,
                "num_items_found": 3, "num_documents": 2}],
    "waterfall": {
        "read": {"documents": 5, "bytes": 50},
        "steps": [
            {"stage": "policy", "rule": "gopher.min_words", "documents": 2, "bytes": 20,
             "any_documents": 4, "any_bytes": 40},
            {"stage": "policy", "rule": "gopher.never", "documents": 0, "bytes": 0,
             "any_documents": 0, "any_bytes": 0},
        ],
        "kept": {"documents": 3, "bytes": 30, "bytes_after_edits": 28},
    },
    "duplicates": {"sources": ["web", "earlier"], "exact": [[1, 0]], "near": [[0, 2]]},
    "near": None,
    "warnings": [],
    "sizes": {"language": {"en": SIZE}, "year": {"unknown": SIZE}},
    "lengths": [{"from_bytes": 8, "read": 5, "kept": 3}, {"from_bytes": 16, "read": 0, "kept": 0}],
    "examples": {"gopher.min_words": [{"id": "1", "path": "a.txt", "text": "<script>no</script>"}]},
}  # fmt: skip
FILE = {"name": "x.parquet", "rows": 5, "bytes": 50, "blake3": "ab"}
MANIFEST = {
    **{name: CARD[name] for name in ("suites", "waterfall", "duplicates", "near", "warnings")},
    "format": 2, "name": "clean", "key": "ab", "parents": [], "settings": {}, "signals": {},
    "cut": {"pieces": 0, "bytes": 0, "code_documents": 0}, "withheld": {},
    "sources": {
        "web": {
            "settings": {}, "documents": 5, "bytes": 50, "unknown": {"date": 0, "license": 0},
            "quarantined": {"bytes that are not UTF-8": 2}, "flagged": {},
            "skipped": {"no text in it": 3}, "files": [],
        }
    },
    "index": FILE, "card": FILE, "read": [], "documents": [], "shards": [],
}  # fmt: skip


def write_card(root: Path, **changes: Any) -> Path:
    folder = root / "corpora" / "clean"
    folder.mkdir(parents=True)
    (folder / "card.json").write_text(json.dumps(CARD | changes))
    card = StoredFile.at(folder, "card.json", 0).model_dump()
    (folder / "corpus.json").write_text(json.dumps(MANIFEST | {"card": card}))
    return root


def test_near_repeats_and_warnings_are_told(tmp_path: Path) -> None:
    near = {"similarity": 0.7, "pairs_found": 1234, "pairs_compared": 56, "pairs_verified": 7}
    warning = "no stop words are listed for fo (documents: 3); rules about them keep these texts"
    page = write_report(write_card(tmp_path, near=near, warnings=[warning])).read_text()
    assert "1,234 pairs may be alike, 56 were compared by their texts, 7 documents went" in page
    assert "No stop words are listed for fo (documents: 3)" in page


def test_a_folder_of_corpora_has_a_page_without_runs(tmp_path: Path) -> None:
    page = write_report(write_card(tmp_path)).read_text()
    assert "clean: 3 of 5 documents, 28 B of 50 B" in page
    assert '<data value="2">2</data> (4)' in page
    assert "gopher.never" not in page
    assert (
        "Searched for exam: num items 7, num unchecked 1, num items found 3, num documents 2."
        in page
    )
    assert "2 for bytes that are not UTF-8" in page and "3 for no text in it" in page
    assert "30 B of 50 B" in page
    assert "&lt;script&gt;no" in page and "<script>no" not in page


def test_bars_show_what_is_left_of_what_was_read(tmp_path: Path) -> None:
    page = write_report(write_card(tmp_path)).read_text()
    assert page.count('style="--part: 60.00%"') >= 2
    assert 'style="--part: 100.00%"' in page


def test_lengths_that_no_document_has_are_left_out(tmp_path: Path) -> None:
    (corpus,) = read_corpora(write_card(tmp_path))
    assert [length.from_bytes for length in corpus.lengths] == [8]
    assert corpus.unreadable == {"bytes that are not UTF-8": 2, "no text in it": 3}


def test_years_are_all_shown_and_of_many_licences_the_rest_is_one(tmp_path: Path) -> None:
    years = {str(year): SIZE for year in range(2000, 2030)}
    licences = {f"L{number}": SIZE for number in range(20)}
    (corpus,) = read_corpora(write_card(tmp_path, sizes={"year": years, "license": licences}))
    (_, by_year), (_, by_licence) = corpus.sizes
    assert [label for label, _ in by_year] == list(years)
    assert [label for label, _ in by_licence] == [*list(licences)[:11], "9 others"]
    assert (by_licence[-1][1].read_documents, by_licence[-1][1].kept_bytes) == (45, 270)


@pytest.mark.parametrize(
    ("changes", "sentence"), [({"format": 2}, "newer"), ({"waterfall": {}}, "damaged")]
)
def test_newer_and_damaged_cards_are_refused(changes: dict, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=sentence):
        write_report(write_card(tmp_path, **changes))


def test_another_number_on_a_card_is_found(tmp_path: Path) -> None:
    root = write_card(tmp_path)
    path = root / "corpora/clean/card.json"
    path.write_text(path.read_text().replace('"any_documents": 4', '"any_documents": 5'))
    with pytest.raises(InputError, match=r"card.json: damaged \(it is not what was written\)"):
        read_corpora(root)
