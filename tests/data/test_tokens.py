import random
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from transformers import PreTrainedTokenizerFast

from evergrow.config import decode
from evergrow.corpus.config import HeldOutConfig, SourceConfig
from evergrow.data import tokens
from evergrow.data.corpora import as_it_is, curated, make_corpora
from evergrow.data.prepared import Asked, Prepared
from evergrow.data.standing import standing_corpora
from evergrow.data.tokens import prepare_tokens
from evergrow.errors import EvergrowError, InputError
from evergrow.listener import Listener
from evergrow.recipe import CorpusRecipe
from evergrow.stream.config import TokenizerConfig
from evergrow.stream.shards import TokenSource
from evergrow.stream.tokenizer import tokenizer_hash, train_tokenizer

HELD_OUT = HeldOutConfig(fraction=0.1, tokens=100)  # 500 bytes
WEB = SourceConfig(files=["web/*.txt"])
CODE = SourceConfig(files=["code.jsonl"], drop_repeated_lines=40)


def words(seed: int, count: int) -> str:
    choose = random.Random(seed)
    return "".join(
        choose.choice(["tree ", "root ", "leaf ", "seed\n", "grow "]) for _ in range(count)
    )


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "recipe"
    (folder / "web").mkdir(parents=True)
    for i in range(30):
        (folder / "web" / f"{i}.txt").write_text(words(i, 40))
    rows = [f'{{"text": "{words(100 + i, 50)}"}}'.replace("\n", "\\n") for i in range(20)]
    (folder / "code.jsonl").write_text("\n".join(rows) + "\n")
    return folder


def make(run: Path, base: Path, **changes: Any) -> Prepared:
    settings: dict[str, Any] = {
        "sources": {"web": WEB, "code": CODE},
        "held_out": HELD_OUT,
        "tokenizer": TokenizerConfig(vocab_size=270),
        "tokenizer_sources": ["web"],
        "say": lambda sentence: None,
        "read": (),
    }
    given = settings | changes
    asked = Asked(run, base, given.pop("say"), (), given.pop("read"))
    wishes = [as_it_is(name, source) for name, source in given.pop("sources").items()]
    standing = standing_corpora(wishes, run, base, asked.say, asked.read)
    corpora = make_corpora(wishes, 1, run, base, Listener(say=asked.say), standing)
    return prepare_tokens(asked, corpora, **given)


def tokenising(told: list[str]) -> list[str]:
    """What was said of tokens, after the corpora were made."""
    return [sentence for sentence in told if sentence.endswith(("reading", "tokenising"))]


def made(run: Path) -> dict[str, bytes]:
    """All but the corpora, which have tests of their own."""
    return {name: held for name, held in contents(run).items() if not name.startswith("corpora/")}


def contents(folder: Path) -> dict[str, bytes]:
    """Every byte, by path; not the times at which raw files were hashed."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    told = [p for p in paths if not p.name.endswith(".hashes.json")]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in told}


def texts(prepared: Prepared, name: str, part: str) -> list[str]:
    """The training texts decoded from the shards (EOS dropped), or the held-out ones."""
    source = TokenSource.open(prepared.data[name])
    if part == "held_out":
        return [document.text for document in source.held_out()]
    tokenizer = PreTrainedTokenizerFast.from_pretrained(prepared.tokenizer)
    tokens = source.window(0, source.num_tokens - 1)
    return tokenizer.decode(tokens.tolist()).split("<|endoftext|>")[:-1]


def refusal(run: Path, base: Path, **changes: Any) -> str:
    with pytest.raises(InputError) as error:
        make(run, base, **changes)
    return str(error.value)


def test_every_byte_is_for_training_or_held_out(base: Path, tmp_path: Path) -> None:
    prepared = make(tmp_path / "run", base)
    whole = [p.read_text() for p in (base / "web").iterdir()]
    training, held_out = (texts(prepared, "web", part) for part in ("train", "held_out"))
    assert sorted("".join(training + held_out)) == sorted("".join(whole))
    assert not set(training) & set(held_out)
    manifest = prepared.manifests["web"]
    total = sum(map(len, whole))
    assert manifest["num_bytes"] + manifest["held_out"]["num_bytes"] == total
    assert manifest["held_out"]["num_bytes"] >= max(500, total // 10)
    assert re.fullmatch(r"web-[0-9a-f]{12}", prepared.data["web"].name)
    assert prepared.data["web"].name.endswith(manifest["key"][:12])
    assert manifest["created_from"]["corpus"]["name"] == "web"


def test_the_same_input_gives_the_same_bytes_anywhere(base: Path, tmp_path: Path) -> None:
    make(tmp_path / "run", base)
    moved = base.rename(tmp_path / "elsewhere")
    make(tmp_path / "again", moved)
    assert contents(tmp_path / "run") == contents(tmp_path / "again")
    assert not list((tmp_path / "run" / "data").glob(".*"))


def test_finished_data_is_used_again_and_a_new_source_only_adds(base: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = make(run, base, sources={"web": WEB})
    before = contents(run)
    stamps = {p: p.stat().st_mtime_ns for p in run.rglob("*")}
    told: list[str] = []
    second = make(run, base, say=told.append)
    assert tokenising(told) == ["code: reading", "code: tokenising"]
    changed = {name for name, held in before.items() if contents(run)[name] != held}
    assert changed == {"corpora/made.json"}
    stood = [path for path in stamps if path.is_file() and path.name != "made.json"]
    assert all(path.stat().st_mtime_ns == stamps[path] for path in stood)
    assert second.data["web"] == first.data["web"]
    make(tmp_path / "at once", base)
    assert contents(tmp_path / "at once") == contents(run)


def test_more_epochs_and_other_globs_for_the_same_files_change_nothing(
    base: Path, tmp_path: Path
) -> None:
    first = make(tmp_path / "run", base)
    same = SourceConfig(files=["web/?.txt", "web/??.txt"], max_epochs=9)
    assert make(tmp_path / "run", base, sources={"web": same, "code": CODE}) == first


def test_text_of_an_earlier_source_never_enters_a_later_one(base: Path, tmp_path: Path) -> None:
    (base / "more").mkdir()
    for i in range(30):  # long enough to be cut for the held-out part
        (base / "web" / f"{i}.txt").write_text(words(i, 120))
    for i in range(60):
        (base / "more" / f"m{i}.txt").write_text(words(i, 120))  # the first 30 stand in web too
    more = SourceConfig(files=["more/*.txt"])
    for run, steps in (("one", 1), ("two", 2)):
        if steps == 2:  # the earlier source is read from its finished folder
            make(tmp_path / run, base, sources={"web": WEB})
        prepared = make(tmp_path / run, base, sources={"web": WEB, "more": more})
        assert prepared.manifests["more"]["in_others"] == 30
        later = texts(prepared, "more", "train") + texts(prepared, "more", "held_out")
        assert sum(map(len, later)) == sum(len(words(i, 120)) for i in range(30, 60))
        assert not set(texts(prepared, "web", "held_out")) & set(later)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_the_tokenizer_learns_from_training_text_of_its_sources_alone(
    base: Path, tmp_path: Path
) -> None:
    rows = [f'{{"text": "{"qxqxqx " * 9}{i}"}}' for i in range(60)]
    (base / "code.jsonl").write_text("\n".join(rows))
    prepared = make(tmp_path / "run", base)
    vocabulary = (prepared.tokenizer / "tokenizer.json").read_text()
    assert "seed" in vocabulary
    assert "qx" not in vocabulary
    again = train_tokenizer(texts(prepared, "web", "train"), 270)
    assert tokenizer_hash(again) == prepared.manifests["web"]["tokenizer"]


def test_a_tokenizer_folder_is_taken_over(base: Path, tmp_path: Path) -> None:
    made = make(tmp_path / "run", base)
    given = TokenizerConfig(folder=str(made.tokenizer))
    prepared = make(tmp_path / "other", base, tokenizer=given, tokenizer_sources=[])
    assert prepared.manifests == made.manifests
    read = ["web"]
    assert "one from a folder" in refusal(tmp_path / "run", base, tokenizer=given, read=read)
    # It is known by what it holds: moved, and even gone, it is the same.
    assert made.tokenizer is not None
    moved = TokenizerConfig(folder=str(made.tokenizer.rename(tmp_path / "moved")))
    again = {"tokenizer": moved, "tokenizer_sources": [], "read": read}
    assert make(tmp_path / "other", base, **again) == prepared
    (tmp_path / "moved").rename(tmp_path / "gone")
    assert make(tmp_path / "other", base, **again) == prepared


def test_a_file_that_changed_after_it_was_read_is_said(base: Path, tmp_path: Path) -> None:
    run, said = tmp_path / "run", []
    make(run, base)
    before = contents(run)
    (base / "web" / "7.txt").write_text("something else")
    (base / "web" / "new.txt").write_text("one more")
    (base / "web" / "3.txt").unlink()
    make(run, base, say=said.append, read=["web"])
    assert contents(run) == before
    assert said == [
        "web: web/7.txt changed and 2 more since it was made; what was read stays as it is, "
        "what is new can be a stage of its own (evergrow continue RUN --new)"
    ]


@pytest.mark.parametrize("change", ["file", "setting", "held out", "tokenizer"])
def test_what_nothing_has_read_is_made_again(change: str, base: Path, tmp_path: Path) -> None:
    make(tmp_path / "run", base)
    changes: dict[str, Any] = {
        "file": {},
        "setting": {"sources": {"web": WEB, "code": SourceConfig(files=["code.jsonl"])}},
        "held out": {"held_out": HeldOutConfig(fraction=0.2, tokens=100)},
        "tokenizer": {"tokenizer": TokenizerConfig(vocab_size=280)},
    }[change]
    if change == "file":
        (base / "code.jsonl").write_text((base / "code.jsonl").read_text() + '{"text": "more"}\n')
    make(tmp_path / "run", base, **changes)
    make(tmp_path / "other", base, **changes)
    assert contents(tmp_path / "run") == contents(tmp_path / "other")


def test_other_settings_or_tokenizer_of_what_was_read_are_refused(
    base: Path, tmp_path: Path
) -> None:
    run, read = tmp_path / "run", ["web", "code"]
    make(run, base)
    other = SourceConfig(files=["code.jsonl"], drop_repeated_lines=50)
    assert refusal(run, base, sources={"web": WEB, "code": other}, read=read) == (
        "sources.code: exact.min_characters was its default, and is 50 now, but a stage has read "
        "it, and making it again would replace what was trained on; restore that, give the recipe "
        "a new name, or start over with --fresh"
    )
    held_out = HeldOutConfig(fraction=0.2, tokens=100)
    assert "held_out.fraction was 0.1, and is 0.2" in refusal(
        run, base, held_out=held_out, read=read
    )
    tokenizer = TokenizerConfig(vocab_size=280)
    assert refusal(run, base, tokenizer=tokenizer, read=read).startswith(
        f"tokenizer: the recipe asks for vocab_size 280, but {run / 'tokenizer'} was made with "
        "vocab_size 270 and never changes;"
    )


def test_a_new_source_may_come_first(base: Path, tmp_path: Path) -> None:
    """It lacks what finished ones hold, wherever it stands."""
    (base / "more").mkdir()
    for i in range(60):
        (base / "more" / f"m{i}.txt").write_text(words(i, 40))  # the first 30 stand in web too
    first = make(tmp_path / "run", base, sources={"web": WEB})
    more = SourceConfig(files=["more/*.txt"])
    both = make(tmp_path / "run", base, sources={"more": more, "web": WEB}, read=["web"])
    assert both.data["web"] == first.data["web"]
    assert both.manifests["more"]["in_others"] == 30


def test_raw_files_may_be_gone_when_their_data_is_finished(base: Path, tmp_path: Path) -> None:
    first = make(tmp_path / "run", base, sources={"web": WEB})
    for path in (base / "web").iterdir():
        path.unlink()
    told: list[str] = []
    second = make(tmp_path / "run", base, say=told.append)
    assert told[0] == "web: its files are gone; its finished corpus is used"
    assert second.manifests["web"] == first.manifests["web"]


def test_a_lost_tokenizer_is_not_made_again(base: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    make(run, base)
    (run / "tokenizer").rename(run / "away")
    with pytest.raises(EvergrowError, match=r"tokenizer is missing, but .*web-.* was made with it"):
        make(run, base)


def test_source_too_small_for_its_held_out_part(base: Path, tmp_path: Path) -> None:
    num_bytes = sum(p.stat().st_size for p in (base / "web").iterdir())
    assert refusal(tmp_path / "run", base, held_out=HeldOutConfig()) == (
        f"sources.web: {num_bytes:,} bytes of text are too few, 200,000 are needed to hold out "
        "20,000 tokens; give it more text or lower held_out.tokens"
    )
    assert made(tmp_path / "run") == {}


def test_held_out_tokens_are_counted_after_tokenising(base: Path, tmp_path: Path) -> None:
    for i in range(30):  # long words become one token, far longer than the five bytes assumed
        path = base / "web" / f"{i}.txt"
        path.write_text(words(i, 40).replace("t", "photosynthesis").replace("l", "photoperiodism"))
    message = refusal(
        tmp_path / "run",
        base,
        sources={"web": WEB},
        held_out=HeldOutConfig(fraction=0, tokens=100),
        tokenizer=TokenizerConfig(vocab_size=400),
    )
    assert re.fullmatch(
        r"sources\.web: its held-out [\d,]+ bytes are only \d+ tokens, fewer than 100; "
        r"lower held_out\.tokens or raise held_out\.fraction",
        message,
    )
    assert not list((tmp_path / "run" / "data").iterdir())


@contextmanager
def files_limited_from(moment: str) -> Iterator[Callable[[str], None]]:
    """A progress callback from whose sentence ``moment`` on no file may grow past 200 bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def on_progress(sentence: str) -> None:
        if sentence == moment:
            resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))

    try:
        yield on_progress
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("moment", "place"),
    [
        ("web: reading", r"data/\.documents/web"),
        ("tokenizer: training on web", "tokenizer"),
        ("web: tokenising", r"data/web-\w+"),
        ("code: tokenising", r"data/code-\w+"),
    ],
)
def test_full_disk_leaves_nothing_half_written(
    base: Path, tmp_path: Path, moment: str, place: str
) -> None:
    run = tmp_path / "run"
    with files_limited_from(moment) as on_progress, pytest.raises(EvergrowError) as error:
        make(run, base, say=on_progress)
    assert re.fullmatch(
        rf"{run}/{place}: no space left while writing; nothing was replaced and nothing "
        "half-written is left, so free some space and run the same command again",
        str(error.value),
    )
    whole = {"web"} if moment.startswith("code") else set()
    assert {p.name.split("-")[0] for p in (run / "data").iterdir()} == whole
    make(run, base)
    make(tmp_path / "other", base)
    assert contents(run) == contents(tmp_path / "other")


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import test_tokens
from evergrow.data import tokens as prepare

write = prepare.write_shards
def write_and_die(folder, documents, tokenizer, manifest):
    if manifest["source"] == "code":
        write(folder, documents, tokenizer, manifest)
        os.kill(os.getpid(), signal.SIGKILL)
    return write(folder, documents, tokenizer, manifest)

prepare.write_shards = write_and_die
test_tokens.make(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_killed_between_writing_and_renaming(base: Path, tmp_path: Path) -> None:
    run, here = tmp_path / "run", str(Path(__file__).parent)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(run), str(base), here], check=False)
    assert killed.returncode == -9
    left = {p.name.split("-")[0] for p in (run / "data").iterdir()}
    assert left == {"web", ".code", ".documents"}
    (run / "data" / ".removed.writing-7").mkdir()
    (run / "data" / ".removed.writing-7" / "half").touch()
    told: list[str] = []
    make(run, base, say=told.append)
    assert tokenising(told) == ["code: reading", "code: tokenising"]
    make(tmp_path / "other", base)
    assert contents(run) == contents(tmp_path / "other")


def test_killed_it_goes_on_although_the_tokenizer_learns_from_what_was_not_written(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, sources = tmp_path / "run", {"tokenizer_sources": ["web", "code"]}

    def written(folder: Path, documents: Any, tokenizer: Any, manifest: dict[str, Any]) -> Any:
        if manifest["source"] == "code":
            raise KeyboardInterrupt
        return write(folder, documents, tokenizer, manifest)

    write = tokens.write_shards
    with monkeypatch.context() as killing, pytest.raises(KeyboardInterrupt):
        killing.setattr(tokens, "write_shards", written)
        make(run, base, **sources)
    told: list[str] = []
    make(run, base, say=told.append, **sources)
    assert tokenising(told) == ["code: reading", "code: tokenising"]
    make(tmp_path / "other", base, **sources)
    assert contents(run) == contents(tmp_path / "other")
    (base / "code.jsonl").write_text((base / "code.jsonl").read_text() + '{"text": "more"}\n')
    make(run, base, **sources)  # nothing has read with it: it learns again
    make(tmp_path / "third", base, **sources)
    assert contents(run) == contents(tmp_path / "third")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda p: p.write_bytes(b"\xff\xff"), "because of bytes that are not UTF-8"),
        (lambda p: p.write_bytes(b""), "'web/0.txt' matches only empty files"),
        (lambda p: p.unlink(), "'web/0.txt' matches no file under"),
    ],
)
def test_bad_files_stop_before_anything_is_kept(
    base: Path, tmp_path: Path, damage: Callable[[Path], None], sentence: str
) -> None:
    damage(base / "web" / "0.txt")
    listed = SourceConfig(files=["web/0.txt", "web/*.txt"])
    assert sentence in refusal(tmp_path / "run", base, sources={"web": listed})
    assert made(tmp_path / "run") == {}


def test_truncated_shard_is_found_when_prepared_again(base: Path, tmp_path: Path) -> None:
    shard = make(tmp_path / "run", base).data["web"] / "train" / "shard-00000.bin"
    shard.write_bytes(shard.read_bytes()[:-2])
    with pytest.raises(EvergrowError, match=r"shard-00000\.bin: truncated"):
        make(tmp_path / "run", base)


def test_a_stage_reads_a_corpus_and_says_which_documents_and_suites(
    base: Path, tmp_path: Path
) -> None:
    """The corpus drops what the source still has; the data's manifest names both."""
    (base / "web" / "copy.txt").write_text((base / "web" / "0.txt").read_text())
    suite = base / "suite.jsonl"
    suite.write_text('{"id": "1", "prompt": "' + " ".join(f"w{i}" for i in range(20)) + '"}\n')
    data = {
        "name": "sets",
        "sources": {"web": {"files": ["web/*.txt"]}},
        "corpora": {
            "clean": {
                "sources": ["web"],
                "near": None,
                "signals": [],
                "decontaminate": {"suites": ["suite.jsonl"]},
            }
        },
    }
    asked = decode(CorpusRecipe, data, "recipe")
    corpora = make_corpora(curated(asked.corpora, asked.sources), 1, tmp_path, base, Listener())
    corpus = corpora["clean"]
    made = prepare_tokens(
        Asked(tmp_path, base, lambda sentence: None),
        corpora,
        HELD_OUT,
        TokenizerConfig(vocab_size=270),
        ["clean"],
    )
    manifest = made.manifests["clean"]
    assert manifest["made"]["settings"]["corpus"] == corpus.key
    kept = {d.id for d in corpus.documents()}
    stored = {
        row
        for part in ("train", "held_out")
        for row in pq.read_table(made.data["clean"] / part / "documents.parquet")["id"].to_pylist()
    }
    assert stored == kept and len(kept) == 30
    told = manifest["created_from"]["corpus"]
    assert [s["suite"] for s in told["checked_against"]] == ["suite"]
