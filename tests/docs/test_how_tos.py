"""Each how-to carried out as it is read, on less data."""

import json
import re
import webbrowser
from pathlib import Path

import pytest
from docs.walk import DOCS, ROOT, blocks, carry_out, smaller
from test_docs import write_text

pytestmark = pytest.mark.slow
# A study has sizes of its own.
TINY = {f"sources.{name}.max_bytes": "600k" for name in ("english", "python", "cpp")}
TINY |= {f"stages.{place}.tokens": "2k" for place in range(3)}
TINY |= {"held_out.tokens": "2k", "model.hidden": "32", "tokenizer.vocab_size": "512"}
TINY |= {"evaluate.every": "0", "workers": "1"}
STUDY = {
    r"evergrow study infinite --seeds 3": "evergrow study infinite --seeds 2 --runs studies "
    + " ".join(f"{key}={value}" for key, value in TINY.items()),
    r'evergrow.study\("infinite", seeds=3\)': f'evergrow.study("infinite", {TINY}, seeds=2, '
    'runs="studies")',
}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that the pages speak of, in the current folder; no browser opens."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(webbrowser, "open", lambda address: True)
    write_text(tmp_path / "notes", 30, ".md")
    write_text(tmp_path / "old", 8)
    write_text(tmp_path / "letters", 3)
    write_text(tmp_path / "mail", 31, ".jsonl")


def test_from_a_folder() -> None:
    def arrive(text: str) -> str:
        if "--new" in text:
            write_text(Path("notes/march"), 30, ".md")
        return text

    carry_out("how-to/folder.md", own=arrive)
    log = json.loads(Path("runs/notes/summary.json").read_text())
    assert log["streams"] == ["notes", "later"]


def test_the_tutorial() -> None:
    made = carry_out("tutorial.md")
    summary = json.loads(Path("runs/life/summary.json").read_text())
    assert summary["arms"].keys() == {"plain", "replay"}
    assert summary["arms"]["replay"]["streams"] == ["english", "python", "notes"]
    assert re.search(r"\d\.\d{3}", made["printed"])


def test_what_was_forgotten() -> None:
    made = carry_out("how-to/forgotten.md")
    assert re.search(r"^main \d\.\d+ \d\.\d+$", made["printed"], re.M)
    scores = re.findall(r"^(\w+) \d\.\d{3} \(\d\.\d{3} to", made["printed"], re.M)
    assert scores == ["english", "python", "letters", "mail"]
    extra = json.loads(Path("runs/notes/summary.json").read_text())["arms"]["main"]["extra"]
    assert list(extra) == ["old"]


def test_two_schedules_over_seeds() -> None:
    made = carry_out("how-to/schedules.md", STUDY)
    assert re.findall(r"^(\d) -?\d\.\d+$", made["printed"], re.M) == ["0", "1", "2"]
    assert made["findings"]["seeds"] == [0, 1]
    seeds = json.loads(Path("runs/schedules/summary.json").read_text())["seeds"]
    assert seeds == [0, 1, 2, 3]


def test_mid_training_in_several_orders() -> None:
    made = carry_out("how-to/midtrain.md")
    names = re.findall(r"^(mid-order-\d|average) \d\.\d+ ", made["printed"], re.M)
    assert names == ["mid-order-1", "mid-order-2", "mid-order-3", "average"]
    assert made["printed"].count(" chosen\n") == 1
    assert {"two", "better", "again"} <= {path.name for path in Path.cwd().iterdir()}


def test_replay_after_growing() -> None:
    life = smaller(blocks(DOCS / "how-to/forgotten.md")[0][1], {})
    Path("life.yaml").write_text(life, encoding="utf-8")
    from docs.walk import call

    call("evergrow run life.yaml")
    made = carry_out("how-to/replay-after-growing.md")
    assert made["printed"].startswith("exact ")
    fed = json.loads(Path("runs/larger/main/releases/python/evergrow.json").read_text())["fed"]
    assert fed["english"] > fed["python"]


def test_from_a_notebook() -> None:
    clean = next(text for language, text in blocks(DOCS / "corpora.md") if language == "yaml")
    Path("clean.yaml").write_text(clean.replace("1M", "200k"), encoding="utf-8")
    Path("notes/prose.md").write_bytes((ROOT / "LICENSE").read_bytes())
    made = carry_out("how-to/notebook.md")
    assert made["life"].summary.streams == ["english", "python", "notes"]
    assert "liff.yaml" in made["printed"]
    assert "finished: main notes" in made["printed"]
    assert made["model"].config.hidden_size == 32
