"""A corpus end to end: fates, the same bytes however it was made, and only stale work done."""

import json
import resource
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from corpus.curate.tasks import Killed, killed_before
from corpus.curate.texts import (
    FATES,
    ITEM,
    SETTINGS,
    SHORT,
    contents,
    make,
    prose,
    steps,
    write_texts,
)

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.curate import units
from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.find import fate_at, find_documents
from evergrow.corpus.records import NearPairs, Unknown
from evergrow.corpus.table import stored_documents
from evergrow.errors import EvergrowError, InputError


def test_every_document_has_its_fate(whole: Corpus, base: Path) -> None:
    kept = {document.path: document for document in whole.documents()}
    files = {p.relative_to(base).as_posix() for n in ("news", "notes") for p in base.glob(f"{n}/*")}
    assert kept.keys() == files - FATES.keys()
    for path, rule in FATES.items():
        [place] = find_documents(whole, path)
        assert fate_at(whole, place).rule == rule, path
    assert kept["news/mail.txt"].text.endswith("write to <EMAIL> about it\n")
    assert kept["news/mail.txt"].parent is not None


def test_the_waterfall_counts_first_and_any_faults(whole: Corpus) -> None:
    told = whole.manifest.waterfall
    assert told.read.documents == 18
    assert told.kept.documents == 13
    assert steps(whole) == {rule: 1 for rule in FATES.values()}
    by_rule = {step.rule: step for step in told.steps}
    assert by_rule["gopher.min_words"].any_documents == 2  # the blank text has no words either
    assert by_rule["gopher.min_words"].bytes == len(SHORT)
    dropped = sum(step.bytes for step in told.steps)
    assert told.read.bytes - dropped == told.kept.bytes
    assert told.kept.bytes_after_edits < told.kept.bytes


def test_duplicates_are_told_by_source(whole: Corpus) -> None:
    found = whole.manifest.duplicates
    assert found.sources == ["news", "notes", "earlier"]
    assert found.exact == [[0, 0, 0], [1, 0, 0]]
    assert found.near == [[1, 0, 0], [0, 0, 0]]
    assert whole.manifest.near == NearPairs(
        similarity=0.7, pairs_found=1, pairs_compared=1, pairs_verified=1
    )


def test_prompts_of_one_template_are_no_repeats(tmp_path: Path) -> None:
    """They share more bands than two of them share shingles."""
    base = write_texts(tmp_path / "texts")
    template = prose(500, 100)
    for number in range(60):
        (base / f"notes/p{number}.txt").write_text(template + prose(600 + number, 30))
    settings = {"sources": ["notes"], "policy": {}, "decontaminate": None}
    made = make(tmp_path / "web", base, **settings)
    assert steps(made) == {"text.blank": 1}
    near = made.manifest.near
    assert near.pairs_found > near.pairs_compared > 100 * near.pairs_verified == 0
    bands_alone = make(tmp_path / "bands", base, near={"similarity": 0}, **settings)
    assert steps(bands_alone)["near.document"] > 10


def test_the_shorter_spelling_of_equals_stays(tmp_path: Path) -> None:
    base = write_texts(tmp_path / "texts")
    said = "Grüße von den Bären an die Frösche und die Käfer über den Hügeln. " * 3
    (base / "notes/a.txt").write_text(unicodedata.normalize("NFD", said), encoding="utf-8")
    (base / "notes/b.txt").write_text(said, encoding="utf-8")
    (base / "notes/c.txt").write_text(said.replace(" ", "\u200b "), encoding="utf-8")
    made = make(tmp_path / "web", base, sources=["notes"], policy={}, decontaminate=None)
    kept = {document.path for document in made.documents()}
    assert kept & {"notes/a.txt", "notes/b.txt", "notes/c.txt"} == {"notes/b.txt"}
    assert steps(made)["near.document"] == 2


def test_two_workers_make_the_same_bytes(whole: Corpus, base: Path, tmp_path: Path) -> None:
    assert len(whole.shards) > 3  # more than one unit for each worker
    make(tmp_path / "web", base, workers=2)
    assert contents(tmp_path / "web") == contents(whole.folder)


def count_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sidecars of the units that are carried out from now on."""
    done: list[str] = []

    def finish(folder: Path, sidecar: str, *rest: Any) -> units.Done:
        done.append(sidecar)
        return original(folder, sidecar, *rest)

    original = units.finish
    for module in ("ingest", "measure", "settle", "write", "lines"):
        monkeypatch.setattr(f"evergrow.corpus.curate.{module}.finish", finish)
    return done


@pytest.mark.parametrize("number", [2, 9, 14, 23, 34])
def test_killed_anywhere_it_goes_on_to_the_same_bytes(
    number: int, whole: Corpus, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "web"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_before(number, patch)
        make(folder, base)
    (folder / "documents").mkdir(exist_ok=True, parents=True)
    (folder / "documents" / ".half.parquet.writing-1").write_bytes(b"half")
    make(folder, base)
    assert contents(folder) == contents(whole.folder)


def test_what_is_done_is_not_done_again(
    whole: Corpus, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = count_calls(monkeypatch)
    assert make(whole.folder, base).manifest == whole.manifest
    assert done == []


def test_a_moved_threshold_measures_nothing_again(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "web", base)
    done = count_calls(monkeypatch)
    policy = SETTINGS["policy"] | {"thresholds": {"gopher.min_words": 30}}
    moved = make(tmp_path / "web", base, policy=policy)
    assert steps(moved).keys() == set(FATES.values()) - {"gopher.min_words"}
    [place] = find_documents(moved, "news/short.txt")
    # Only the shard whose decisions changed is written again.
    assert done == ["decided.json", f"kept/{place.shard.name}.json"]


def test_a_damaged_file_is_made_again(
    whole: Corpus, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "web"
    made = make(folder, base)
    [damaged, *_] = folder.glob("signals/minhash@*/*.parquet")
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    kept = folder / made.manifest.shards[0].name
    kept.unlink()
    with pytest.raises(EvergrowError, match="damaged or gone"):
        list(made.documents())
    done = count_calls(monkeypatch)
    make(folder, base)
    assert len(done) == 2
    assert contents(folder) == contents(whole.folder)


def test_a_changed_file_is_read_again_and_only_its_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = write_texts(tmp_path / "texts")
    before = make(tmp_path / "web", base)
    (base / "news/00.txt").write_text(prose(0).upper(), encoding="utf-8")
    done = count_calls(monkeypatch)
    after = make(tmp_path / "web", base)
    assert len([sidecar for sidecar in done if sidecar.startswith("documents/")]) == 1
    assert after.key != before.key


def test_a_full_disk_leaves_nothing_marked_done(whole: Corpus, base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "web"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_500, hard))
    try:
        with pytest.raises(EvergrowError, match="no space left while writing"):
            make(folder, base)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(folder.rglob(".*"))
    for sidecar in folder.glob("documents/*.json"):
        done = units.recorded(folder, sidecar.relative_to(folder).as_posix())
        assert done is not None and all(file.is_whole(folder) for file in done.files)
    make(folder, base)
    assert contents(folder) == contents(whole.folder)


def test_repeated_lines_are_cut_and_the_rest_measured(base: Path, tmp_path: Path) -> None:
    exact = {"unit": "line", "min_characters": 20}
    made = make(tmp_path / "web", base, exact=exact, near=None)
    fates = steps(made)
    assert fates["text.blank"] == 3  # the copy has no line of its own, nor has 03.txt
    assert fates["gopher.min_words"] == 1
    assert made.manifest.cut.pieces == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_a_line_stays_in_a_document_that_stays(tmp_path: Path, workers: int) -> None:
    base = write_texts(tmp_path / "texts")
    line = " ".join(f"word{i}" for i in range(12)) + " stays here\n"
    texts = {
        "news/00a.txt": line,  # too short for gopher
        "news/00b.txt": ITEM + "\n" + line + prose(70),  # holds an item of the suite
        "notes/9.txt": prose(71) + line,
        "notes/91.txt": line + prose(72),
        "notes/92.txt": "only in short documents this line stands, twice\n",
        "notes/93.txt": "only in short documents this line stands, twice\n",
    }
    for path, text in texts.items():
        (base / path).write_text(text, encoding="utf-8")
    made = make(tmp_path / "web", base, exact={"unit": "line"}, near=None, workers=workers)
    kept = {document.path: document.text for document in made.documents()}
    assert kept["notes/9.txt"] == texts["notes/9.txt"]
    assert kept["notes/91.txt"] == prose(72)
    cut = {d.path: d.text for s in made.shards for d in stored_documents(made.folder / s.text.name)}
    assert cut["news/00a.txt"] == "" and cut["news/00b.txt"] == ITEM + "\n" + prose(70)
    assert {cut["notes/92.txt"], cut["notes/93.txt"]} == {texts["notes/92.txt"], ""}


def test_code_is_cut_at_its_head_alone_and_counted(tmp_path: Path) -> None:
    base = write_texts(tmp_path / "texts")
    licence = "# Licensed under the terms that stand in the file LICENCE\n\n"
    loop = "for every_file in sorted(all_of_the_files_that_are_here):\n    read({})\n"
    for number in range(3):
        (base / f"notes/{number}.py").write_text(licence + loop.format(number), encoding="utf-8")
    policy = {"edits": ["c4_lines", "mask_emails"]}
    made = make(tmp_path / "web", base, exact={"unit": "line"}, near=None, policy=policy)
    kept = {document.path: document.text for document in made.documents()}
    texts = [kept[f"notes/{number}.py"] for number in range(3)]
    assert [text.removeprefix(licence) for text in texts] == [loop.format(n) for n in range(3)]
    assert "".join(texts).count(licence) == 1
    assert made.manifest.cut.code_documents == 3
    assert made.manifest.withheld == {"c4_lines": 3}


def template(seed: int) -> str:
    """Of any two .66 of the shingles are the same: their signatures often say .7."""
    return prose(300, num_words=200).strip() + " " + prose(seed, num_words=46)


def test_near_repeats_of_earlier_corpora_are_verified(tmp_path: Path) -> None:
    for name, seeds in (("one", range(500, 530)), ("two", range(600, 640))):
        (tmp_path / name / "notes").mkdir(parents=True)
        for seed in seeds:
            (tmp_path / name / "notes" / f"{seed}.txt").write_text(template(seed))
    same = template(505).replace(" the", " an", 1)
    (tmp_path / "two/notes/same.txt").write_text(same)
    settings: dict[str, Any] = {"sources": ["notes"], "decontaminate": None}
    one = make(tmp_path / "corpora/one", tmp_path / "one", **settings)
    two = make(tmp_path / "corpora/two", tmp_path / "two", earlier=[one.folder], **settings)
    assert two.manifest.near is not None and two.manifest.near.pairs_compared > 20
    kept = sorted(document.path for document in two.documents())
    assert kept == [f"notes/{seed}.txt" for seed in range(600, 640)]
    path = next((one.folder / "documents").glob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="damaged or gone; run its 'evergrow curate' again first"):
        make(tmp_path / "corpora/three", tmp_path / "two", earlier=[one.folder], **settings)


def test_later_corpora_take_nothing_again(whole: Corpus, base: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    texts = write_texts(tmp_path / "texts")
    for path in [*texts.glob("notes/*"), *texts.glob("news/0*")]:
        path.unlink()
    (texts / "notes/fresh.txt").write_text(prose(90), encoding="utf-8")
    (texts / "notes/like.txt").write_text(prose(42) + "and a line more\n", encoding="utf-8")
    later = make(tmp_path / "more" / "later", texts, earlier=[whole.folder])
    assert [document.path for document in later.documents()] == ["notes/fresh.txt"]
    fates = steps(later)
    assert fates["exact.earlier"] == 2  # mail.txt and near.txt are the same files
    assert fates["near.earlier"] == 1
    assert later.manifest.duplicates.near[1] == [0, 0, 1]
    [parent] = later.parents
    assert parent.key == whole.key
    assert Corpus.open(parent.folder).key == whole.key
    # The newest index is enough for the next one.
    again = write_texts(tmp_path / "again")
    (again / "notes/newest.txt").write_text(prose(95), encoding="utf-8")
    third = make(tmp_path / "more" / "third", again, earlier=[later.folder])
    assert [document.path for document in third.documents()] == ["notes/newest.txt"]
    assert steps(third)["exact.earlier"] == 14  # 13 kept ones and the copy


def test_other_bands_cannot_be_compared(whole: Corpus, base: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"made with bands 14, so .* with bands 7; give both"):
        make(tmp_path / "web", base, earlier=[whole.folder], near={"bands": 7})


def test_nothing_kept_names_the_rule_that_dropped_most(base: Path, tmp_path: Path) -> None:
    policy = {"presets": ["gopher"], "thresholds": {"gopher.min_words": 5000}}
    with pytest.raises(InputError, match=r"none of 18 .* \(17\) were dropped by gopher.min_words"):
        make(tmp_path / "web", base, policy=policy)
    assert not (tmp_path / "web" / "corpus.json").exists()


def test_too_many_unreadable_documents_stop_it(tmp_path: Path) -> None:
    base = write_texts(tmp_path / "texts")
    (base / "news/latin.txt").write_bytes("Gr\xfc\xdfe".encode("latin-1"))
    with pytest.raises(InputError, match=r"1 of 13 documents .* more than 0.1 %; most"):
        make(tmp_path / "web", base)
    made = make(tmp_path / "web", base, max_bad=0.1)
    assert made.manifest.sources["news"].quarantined == {"bytes that are not UTF-8": 1}


def test_dates_in_the_future_are_unknown_when_a_day_is_given(tmp_path: Path) -> None:
    base = write_texts(tmp_path / "texts")
    rows = [{"text": prose(80 + i), "date": date} for i, date in enumerate(DATES)]
    (base / "dated.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sources = {"dated": SourceConfig(files=["dated.jsonl"], date_field="date")}
    settings = {"sources": ["dated"], "near": {"keep": "newest"}, "decontaminate": None}
    made = make(tmp_path / "web", base, of=sources, as_of="2026-06-01", **settings)
    assert [document.date for document in made.documents()] == ["2024-05-01", None, None]
    [told] = made.manifest.sources.values()
    assert told.unknown == Unknown(date=2, license=3)
    assert sum(told.flagged.values()) == 1
    card = json.loads((made.folder / "card.json").read_text(encoding="utf-8"))
    assert {year: size["kept_documents"] for year, size in card["sizes"]["year"].items()} == {
        "2024": 1,
        "unknown": 2,
    }


DATES = ["2024-05-01", "2031-01-01", None]


def test_memory_of_deciding_is_stated(whole: Corpus) -> None:
    """The arrays hold what columns.py says, a document."""
    from evergrow.corpus.curate.known import learn

    suites = [suite.suite for suite in whole.manifest.suites]
    known = learn(whole.folder, whole.shards, whole.config, whole.manifest.signals, suites, [])
    columns, judged = known.columns, known.judged
    arrays = [
        getattr(columns, n) for n in columns.__dataclass_fields__ if n.endswith(("_D", "_D2"))
    ]
    near = columns.near
    assert near is not None
    arrays += [near.bands_DB, near.signatures_DP, near.characters_D]
    arrays += [columns.contaminated_DS, judged.first_D, judged.only_D]
    arrays += [known.double_D]
    per_document = sum(a.nbytes for a in arrays) / len(columns)
    decided = known.decide()
    per_document += (decided.reason_D.nbytes + decided.partner_D.nbytes) / len(columns)
    assert per_document == 65 + 1 + (8 + 8 * 14 + 112)
