"""A corpus answers as it was finished, or says that it does not; wherever its next making ended."""

from pathlib import Path

import pytest
from corpus.curate.tasks import Killed, killed_before
from corpus.curate.texts import SETTINGS, SHORT, contents, make, prose, write_texts

from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.find import Place, document_at, fate_at, find_documents
from evergrow.corpus.curate.what_if import what_if
from evergrow.corpus.curate.whole import is_whole
from evergrow.corpus.curate.why import why
from evergrow.errors import InputError

NOTHING = {"presets": ["gopher"], "thresholds": {"gopher.min_words": 5000}}
OTHER = SETTINGS["policy"] | {"thresholds": {"gopher.min_words": 30}}


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return write_texts(tmp_path / "texts")


def test_after_a_refusal_that_replaced_documents_there_is_no_finished_corpus(
    texts: Path, tmp_path: Path
) -> None:
    before = make(tmp_path / "web", texts)
    bytes_before = contents(tmp_path / "web")
    (texts / "news/01a.txt").write_text(prose(70))
    (texts / "news/01b.txt").write_bytes(b"\xff")
    with pytest.raises(InputError, match="cannot be read"):
        make(tmp_path / "web", texts)
    with pytest.raises(InputError, match=r"no finished corpus here but an unfinished one; run its"):
        Corpus.open(tmp_path / "web")
    with pytest.raises(InputError, match=r"the corpus changed since it was finished \(documents/"):
        why(before, "news/02.txt", tmp_path)
    for name in ("01a", "01b"):
        (texts / f"news/{name}.txt").unlink()
    make(tmp_path / "web", texts)
    assert contents(tmp_path / "web") == bytes_before


def test_after_a_refusal_that_replaced_nothing_the_corpus_answers_as_before(
    texts: Path, tmp_path: Path
) -> None:
    made = make(tmp_path / "web", texts)
    before = contents(tmp_path / "web")
    with pytest.raises(InputError, match=r"none of 18 documents is kept"):
        make(tmp_path / "web", texts, policy=NOTHING | {"edits": ["mask_emails"]})
    assert contents(tmp_path / "web") == before
    assert what_if(Corpus.open(tmp_path / "web"), made.config.policy).now.kept.documents == 13
    with pytest.raises(InputError, match=r"none of 18 documents is kept"):
        make(tmp_path / "web", texts, policy=NOTHING)  # facts of other edits are beside the old
    [told] = why(Corpus.open(tmp_path / "web"), "news/00.txt", tmp_path).documents
    assert told.decision.keep
    make(tmp_path / "web", texts)
    assert contents(tmp_path / "web") == before


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The corpus of changed texts under another policy, never interrupted."""
    folder = tmp_path_factory.mktemp("changed")
    texts = write_texts(folder / "texts")
    change(texts)
    return contents(make(folder / "web", texts, policy=OTHER, exact={"unit": "line"}).folder)


def change(texts: Path) -> None:
    (texts / "news/01a.txt").write_text(prose(70))
    (texts / "notes/2.txt").write_text(prose(71))


@pytest.mark.parametrize("number", [1, 2, 5, 9, 14, 20, 27, 30])
def test_killed_anywhere_it_is_as_it_was_finished_or_unfinished(
    number: int,
    changed: dict[str, bytes],
    texts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "web"
    make(folder, texts, exact={"unit": "line"})
    change(texts)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_before(number, patch)
        make(folder, texts, policy=OTHER, exact={"unit": "line"})
    if (folder / "corpus.json").exists():
        assert is_whole(folder, (folder / "corpus.json").read_bytes())
    make(folder, texts, policy=OTHER, exact={"unit": "line"})
    assert contents(folder) == changed


@pytest.mark.parametrize("kind", ["documents", "decisions", "signals", "decided"])
def test_a_file_of_another_making_is_not_answered_from(
    kind: str, texts: Path, tmp_path: Path
) -> None:
    made = make(tmp_path / "web", texts)
    (texts / "news/short.txt").write_text(SHORT[:-9] + "changed.\n")
    other = make(tmp_path / "other" / "web", texts, policy=OTHER)
    [place] = find_documents(made, "news/short.txt")
    for path in other.folder.rglob(
        f"{kind}.json" if kind == "decided" else place.shard.name + ".*"
    ):
        name = path.relative_to(other.folder)
        if name.parts[0].startswith(kind) and (kind != "signals" or path.suffix == ".parquet"):
            (made.folder / name).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match=r"the corpus changed since it was finished"):
        why(made, "news/short.txt", tmp_path)
    assert not is_whole(made.folder, (made.folder / "corpus.json").read_bytes())


def test_the_row_of_another_document_is_never_taken(whole: Corpus) -> None:
    [place] = find_documents(whole, "news/00.txt")
    wrong = Place(place.shard, place.row + 1, place.id, place.path)
    for look in (document_at, fate_at):
        with pytest.raises(InputError, match=r"the corpus changed since it was finished"):
            look(whole, wrong)


def test_a_manifest_that_is_damaged_says_so_and_is_written_anew(
    texts: Path, tmp_path: Path
) -> None:
    path = make(tmp_path / "web", texts).folder / "corpus.json"
    before = path.read_bytes()
    for text in (b"", before[:500], b"[]", b'{"format": 2}', b"\xff" + before):
        path.write_bytes(text)
        with pytest.raises(InputError, match=r"corpus.json: damaged .* run its 'evergrow curate'"):
            Corpus.open(tmp_path / "web")
        make(tmp_path / "web", texts)
        assert path.read_bytes() == before
    path.write_bytes(b'{"format": 1}')
    with pytest.raises(InputError, match=r"format 1 is older than this evergrow reads \(2\); run"):
        Corpus.open(tmp_path / "web")


def test_an_earlier_corpus_must_have_its_own_index(texts: Path, tmp_path: Path) -> None:
    first = make(tmp_path / "first", texts, sources=["news"])
    before = (first.folder / "index.parquet").read_bytes()
    other = make(tmp_path / "other" / "first", texts, sources=["news"], policy=OTHER)
    for data in (before[:-20], (other.folder / "index.parquet").read_bytes()):
        (first.folder / "index.parquet").write_bytes(data)
        with pytest.raises(InputError, match=r"index.parquet: not as it was when the corpus was"):
            make(tmp_path / "second", texts, earlier=[first.folder])
    make(tmp_path / "first", texts, sources=["news"])
    assert (first.folder / "index.parquet").read_bytes() == before


def test_an_earlier_corpus_that_was_killed_is_not_compared_with(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make(tmp_path / "first", texts, sources=["news"])
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("evergrow.corpus.curate.corpus.write_file", killed)
        make(tmp_path / "first", texts, sources=["news"], policy=OTHER)
    with pytest.raises(InputError, match=r"first: no finished corpus here but an unfinished one"):
        make(tmp_path / "second", texts, earlier=[first.folder])


def killed(path: Path, text: str) -> None:
    raise Killed
