"""What fingers are likely to mistype, each with the one sentence that it prints, without torch."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Refused
from models.test_find import run_with, stage

from evergrow import cli
from evergrow.run import write_manifest

RECIPE = """\
name: notes
sources: {notes: {files: notes}}
model: {preset: olmo2, hidden: 32, layers: 2}
train: {sequence_length: 64, batch_size: 4}
schedule: {kind: infinite, peak_lr: 5e-3}
stages:
  - {name: notes, data: notes, tokens: 1e4}
"""
MORE = "--data notes --tokens 1k --name more"
ABSENT = "matches no file under {here}; did you mean 'notes'?"
COUNT = "expected a count such as 20B, 500M or 4k"
# What is typed where runs/notes has one run, and notes.yaml and notes/ are there -> what is said.
MISTAKES = {
    "run quickstrt": "quickstrt: no such file; did you mean 'quickstart'?",
    "run notes.yml": "notes.yml: no such file; did you mean 'notes.yaml'?",
    "run notes": "notes: a folder; give a recipe's file, or write one: evergrow init notes",
    "run notes.yaml dry": "'dry': expected key=value, for example train.batch_size=8",
    "run notes.yaml stages.0.token=4k": "recipe.stages[0].token: unknown key; did you mean "
    "'tokens'?",
    "run notes.yaml stages.0.tokens='2 bn'": f"recipe.stages[0].tokens: {COUNT}, got '2 bn'",
    "run notes.yaml schedule.kind=cosin": "recipe.schedule.kind: expected one of infinite, cosine, "
    "wsd, linear, constant, got 'cosin'",
    "run notes.yaml sources.notes.files=nots": f"sources.notes.files: 'nots' {ABSENT}",
    f"continue runs/nots {MORE}": "runs/nots: no such file or folder; did you mean 'runs/notes'?",
    "continue runs/notes --tokens 1k --name more": "continue: give either --data with files, or "
    "--new for a run's own files",
    "continue runs/notes --data nots --tokens 1k --name more": f"--data: 'nots' {ABSENT}",
    f"continue runs/notes {MORE} --tokens 1,5k": f"--tokens: {COUNT}, got '1,5k'",
    f"continue runs/notes/main/releases/a {MORE}": "runs/notes/main/releases/a: give --peak-lr: a "
    "finished model does not say at which rate it was trained; 0.3 to 1 times its documented peak "
    "is a start, lower forgets less",
    "extend run/notes --tokens 1k": "run/notes: no such file or folder; did you mean 'runs/notes'?",
    f"continue runs/nots {MORE} --dry": "runs/nots: no such file or folder; did you mean "
    "'runs/notes'?",
    "rewarm runs/nots --data notes --evaluate old=notes": "runs/nots: no such file or folder; did "
    "you mean 'runs/notes'?",
    "rewarm runs/notes --data notes --evaluate notes": "--evaluate: expected name=files, such as "
    "old='mail/*.txt', got 'notes'",
    "anneal runs/notes/mian --tokens 1k": "runs/notes/mian: no such file or folder; did you mean "
    "'runs/notes/main'?",
    "soup runs/notes --out both": "soup: expected two models or more, got 1; name the others too, "
    "or copy the one as it is",
    "log notes.yaml": "notes.yaml: a file; name the run's folder, such as runs/notes",
    "log runs/notes/main/releases/a": "runs/notes/main/releases/a: no run here; it belongs to the "
    "run {here}/runs/notes/main; name that",
    "log runs": "runs: no run here; 'evergrow list' shows the runs there are",
    "eval runs/nots": "runs/nots: no such file or folder; did you mean 'runs/notes'?",
    "eval runs/notes --data nots": f"--data: 'nots' {ABSENT}",
    "eval runs/notes --add nots": "--add: expected name=files, such as old='mail/*.txt', got "
    "'nots'",
    "sample ./gpt2": "gpt2: no such file or folder; give a model folder, a run or a hub id",
    "sample notes": "notes: no model here (config.json is missing); give a model folder",
    "list --runs rnus": "rnus: no such file or folder; did you mean 'runs'?",
    "prune runs/nots": "runs/nots: no such file or folder; did you mean 'runs/notes'?",
    "report runs/nots": "runs/nots: no such file or folder; did you mean 'runs/notes'?",
    "grow plan run/notes --to hidden=64": "run/notes: no such file or folder; did you mean "
    "'runs/notes'?",
    "grow plan runs/notes --to hidden": "--to: expected sizes such as hidden=768,heads=12, got "
    "'hidden'",
    "curate notes.yaml": "notes.yaml: has no corpora to curate; add corpora: {{NAME: {{sources: "
    "...}}}}",
    "why runs/nots a.md": "runs/nots: no such file or folder; did you mean 'runs/notes'?",
    "open runs/nots": "runs/nots: no such file or folder; did you mean 'runs/notes'?",
    "compare runs/nots runs/notes": "runs/nots: no such file or folder; did you mean 'runs/notes'?",
    "study rewram": "rewram: no such study; did you mean rewarm?",
    "study growth badargument": "'badargument': expected key=value, for example train.batch_size=8",
    "study growth train.batch_siz=8": "recipe.train.batch_siz: unknown key; did you mean "
    "'batch_size'?",
    "study infinite data=notes": "data=notes: give --modality image for pictures, data.SOURCE=GLOB "
    "for text",
    "study rewarm --seeds 0": "a study compares paired seeds, got 0; give it 2 or more",
    "init nots": "nots: no such file or folder; did you mean 'notes'?",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with notes, their recipe, and its run with a release that only looks like one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("A note.")
    (tmp_path / "notes.yaml").write_text(RECIPE)
    run = tmp_path / "runs" / "notes" / "main"
    write_manifest(run, run_with([stage("a", "releases/a").model_copy(update={"status": "done"})]))
    (run / "releases" / "a").mkdir(parents=True)
    (run / "releases" / "a" / "config.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize("typed", MISTAKES)
def test_a_mistake_is_one_sentence_and_asks_nobody(
    typed: str, here: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(name: str, **settings: Any) -> None:
        raise AssertionError(f"the hub was asked for {name}")

    monkeypatch.setattr("huggingface_hub.snapshot_download", asked)
    assert refused(*shlex.split(typed)) == MISTAKES[typed].format(here=here)


def test_every_verb_has_a_mistake() -> None:
    assert {typed.split()[0] for typed in MISTAKES} == cli.COMMANDS.keys() - {"schema"}


def test_no_mistake_waits_for_torch(here: Path) -> None:
    lines = [["evergrow", *shlex.split(typed)] for typed in MISTAKES]
    code = (
        "import sys\nfrom contextlib import suppress\nfrom evergrow.cli import main\n"
        f"for sys.argv in {lines!r}:\n    with suppress(SystemExit):\n        main()\n"
        "    assert 'torch' not in sys.modules, sys.argv\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("error: ")) == (0, len(MISTAKES)), done.stderr
