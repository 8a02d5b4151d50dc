"""Looking at what there is: scores, samples, runs, the lineage, and the space it takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedModel

from evergrow.config import decode
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.reader import read_documents
from evergrow.errors import InputError
from evergrow.flow import checkpoints
from evergrow.flow.find import find_model, find_root, find_run, last_done
from evergrow.flow.measure import HeldOut, held_out, measure
from evergrow.flow.open_data import open_modality
from evergrow.models.describe import context_window
from evergrow.models.kind import OF_PICTURES, kind_of
from evergrow.models.load import load_model
from evergrow.models.sample import generate
from evergrow.recipe import Recipe
from evergrow.run import Run, drop_checkpoint, locked
from evergrow.stream.shards import TokenSource
from evergrow.stream.tokenizer import encode_documents, load_tokenizer

SEQUENCE_LENGTH = 512


def evaluate(path: Path, data: Sequence[str], sequence_length: int | None) -> list[dict[str, Any]]:
    """The loss (bits per byte) of the model at ``path`` on the files that ``data`` globs match.

    Without ``data``, ``path`` must belong to a Run: its held-out streams are measured. Of a masked
    model it is the bits per byte of hidden tokens.
    """
    folder = find_model(path)
    model = load_model(folder)
    if kind_of(model) in OF_PICTURES:
        return _evaluate_pictures(model, folder, data)
    tokenizer = load_tokenizer(folder)
    window = min(context_window(model) or SEQUENCE_LENGTH, sequence_length or SEQUENCE_LENGTH)
    if data:
        documents = {pattern: _from_files(tokenizer, pattern) for pattern in data}
    else:
        run = _run_of(folder)
        root = find_root(run.folder)
        sources = {name: TokenSource.open(root / p) for name, p in run.manifest.data.items()}
        documents = {name: held_out(source) for name, source in sources.items()}
    return measure(model, documents, tokenizer, window)


def _evaluate_pictures(
    model: PreTrainedModel, folder: Path, data: Sequence[str]
) -> list[dict[str, Any]]:
    """The losses on the held-out pictures of the Run that the release belongs to."""
    if data:
        raise InputError(
            "--data: pictures need labels and a split as well; name them under evaluate.sources of "
            "a recipe"
        )
    run = _run_of(folder)
    recipe = decode(Recipe, run.manifest.recipe, "manifest.recipe")
    opened = open_modality(recipe, find_root(run.folder), run.manifest)
    return opened.measure(model, recipe.measured, partial=False)


def _run_of(release: Path) -> Run:
    folder = release.parent.parent
    if release.parent.name != "releases" or not (folder / "manifest.json").exists():
        raise InputError(f"{release}: belongs to no run; say with --data on which files to measure")
    return Run(folder)


def _from_files(tokenizer: Any, pattern: str) -> HeldOut:
    read = read_documents(SourceConfig(files=[pattern]), Path.cwd(), Quarantine(pattern))
    texts = [document.text for document in read]
    tokens = encode_documents(tokenizer, texts)
    return HeldOut(tokens, np.array([len(text.encode()) for text in texts]))


def sample(path: Path, prompt: str, num_tokens: int, temperature: float, seed: int) -> str:
    """The prompt's continuation by the model at ``path``; raises InputError for one of pictures."""
    folder = find_model(path)
    model = load_model(folder)
    if kind_of(model) in OF_PICTURES:
        raise InputError(f"{folder}: reads pictures and writes no text; its report shows them")
    return generate(model, load_tokenizer(folder), prompt, num_tokens, temperature, seed)


@dataclass(frozen=True)
class Listed:
    """One Run in a list."""

    path: Path
    status: str
    stages: str
    tokens: int
    num_bytes: int


def list_runs(runs: Path) -> list[Listed]:
    """Every Run below ``runs``, by path."""
    found = sorted((*runs.glob("*/*/manifest.json"), *runs.glob("*/*/seed-*/manifest.json")))
    listed = []
    for run in (Run(path.parent) for path in found):
        stages = run.manifest.stages
        num_done = sum(stage.status == "done" for stage in stages)
        tokens = sum(stage.tokens for stage in stages[:num_done])
        listed.append(
            Listed(run.folder, run.manifest.status, f"{num_done}/{len(stages)}", tokens, _size(run))
        )
    return listed


def _size(run: Run) -> int:
    """Bytes below a Run's folder; a file linked into several runs counts in each."""
    return sum(path.stat().st_size for path in run.folder.rglob("*") if path.is_file())


def prune(path: Path, dry: bool) -> tuple[list[str], int]:
    """Delete the checkpoints that going on does not need; returns their names and their bytes.

    Kept are the trunk's head, from which to continue and anneal, and the fork before it: a stage
    made a little longer leaves its trunk between the two. What is lost is the way back to earlier
    stages. Releases and records stay.
    """
    run = find_run(path)
    with locked(run.folder):
        index, _ = last_done(run)
        if index < len(run.manifest.stages) - 1 or run.manifest.status == "running":
            raise InputError(f"{run.folder}: is not finished; prune it when its stages are done")
        dropped = [m for m in checkpoints.marks(run) if m.index < index]
        dropped += checkpoints.periodic(run, index)
        folders = [run.checkpoints / mark.name for mark in dropped]
        num_bytes = sum(f.stat().st_size for folder in folders for f in folder.iterdir())
        if not dry:
            for folder in folders:
                drop_checkpoint(folder)
    return [folder.name for folder in folders], num_bytes
