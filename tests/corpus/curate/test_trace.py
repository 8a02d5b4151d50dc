"""Who holds a document, also when its corpus knows nothing of it, and what could not be asked."""

import json
import shutil
from pathlib import Path

import pytest
from corpus.curate.texts import make, write_texts

from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.find import find_documents
from evergrow.corpus.curate.trace import InRun, Looked
from evergrow.corpus.curate.why import why
from evergrow.corpus.document import document_id
from evergrow.errors import InputError


@pytest.fixture
def gone(tmp_path: Path) -> Corpus:
    """The corpus ``runs/b/corpora/web``, made again without ``notes/2.txt``; ``a`` still has it."""
    base = write_texts(tmp_path / "texts")
    make(tmp_path / "runs/a/corpora/old", base)
    make(tmp_path / "runs/b/corpora/web", base)
    (base / "notes/2.txt").unlink()
    return make(tmp_path / "runs/b/corpora/web", base)


def test_a_document_that_the_corpus_lost_is_traced_by_id_and_path(gone: Corpus) -> None:
    runs = gone.folder.parents[2]
    identity = document_id("notes", "notes/2.txt")
    for wanted in (identity, identity[:12], "notes/2.txt"):
        told = why(gone, wanted, runs)
        assert told.documents == []
        [document] = told.elsewhere
        assert (document.id, document.path) == (identity, "notes/2.txt")
        assert [(c.name, c.by) for c in document.corpora] == [("old", "id")]
    assert told.looked == Looked(str(runs), corpora=2, runs=0, unreadable=[])
    with pytest.raises(InputError, match=r"nor is it in 2 corpora and the data of 0 runs below"):
        why(gone, "notes/3000.txt", runs)


def test_its_own_corpus_is_asked_wherever_it_is(gone: Corpus, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    told = why(gone, "notes/3.txt", tmp_path / "empty")
    assert [c.name for c in told.documents[0].corpora] == ["web"]
    assert told.looked.corpora == 1
    with pytest.raises(InputError, match=r"nowhere: no such folder, so .*--runs"):
        why(gone, "notes/3.txt", tmp_path / "nowhere")


def test_what_is_damaged_is_named_and_the_rest_answers(gone: Corpus) -> None:
    runs = gone.folder.parents[2]
    old = runs / "a/corpora/old"
    shutil.copytree(old, runs / "c/corpora/cut")
    shutil.copytree(old, runs / "d/corpora/half")
    (runs / "c/corpora/cut/corpus.json").write_text("{")
    [shard, *_] = json.loads((old / "corpus.json").read_text())["shards"]
    (runs / "d/corpora/half" / shard["name"]).write_bytes(b"PAR1")
    (runs / "e/data/sea-0123456789ab/train").mkdir(parents=True)
    (runs / "e/data/sea-0123456789ab/train/documents.parquet").write_bytes(b"")
    (runs / "e/seed-0").mkdir()
    (runs / "e/seed-0/manifest.json").write_text("")
    told = why(gone, "notes/2.txt", runs)
    [document] = told.elsewhere
    folders = {c.folder for c in document.corpora}
    assert folders == {str(old), str(runs / "d/corpora/half")}
    bad = {one.path: one.reason for one in told.looked.unreadable}
    names = [
        "c/corpora/cut",
        f"d/corpora/half/{shard['name']}",
        "e/seed-0",
        "e/data/sea-0123456789ab",
    ]
    assert bad.keys() == {str(runs / name) for name in names}
    assert "damaged" in bad[str(runs / "c/corpora/cut")]


def test_data_that_no_run_names_is_told_of_all_the_same(gone: Corpus) -> None:
    runs = gone.folder.parents[2]
    old = Corpus.open(runs / "a/corpora/old")
    [place] = find_documents(old, "notes/2.txt")
    kept = old.folder / f"kept/{place.shard.name}.parquet"
    part = runs / "c/data/old-0123456789ab/train"
    part.mkdir(parents=True)
    shutil.copy(kept, part / "documents.parquet")
    (part.parent / "manifest.json").write_text(json.dumps({"source": "old"}))
    [document] = why(gone, "notes/2.txt", runs).elsewhere
    assert document.runs == [InRun(str(runs / "c"), "old", "train", stages=[], by="id")]
