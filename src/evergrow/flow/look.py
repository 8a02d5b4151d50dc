"""Looking at what there is: scores, samples, runs, the lineage, and the space it takes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evergrow.config import decode
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.reader import read_documents
from evergrow.disk import locked
from evergrow.errors import InputError
from evergrow.flow.find import find_root, find_run, last_done
from evergrow.lineage import FILE, Measured, read_node
from evergrow.models.describe import context_window
from evergrow.models.find import find_model
from evergrow.models.kind import OF_PICTURES, kind_of
from evergrow.models.load import load_model
from evergrow.models.sample import generate
from evergrow.objectives.text import HeldOut, measure_text
from evergrow.recipe import Recipe
from evergrow.run import Run, drop_checkpoint
from evergrow.scores.measure import measure_release
from evergrow.scores.opening import Opened
from evergrow.stage import checkpoints
from evergrow.stream.tokenizer import encode_documents, load_tokenizer

SEQUENCE_LENGTH = 512


def evaluate(path: str | Path, data: Sequence[str], sequence_length: int | None) -> list[Measured]:
    """The loss (bits per byte) of the model at ``path`` on the files that ``data`` globs match.

    Without ``data``, ``path`` must belong to a Run: it is measured on the sources of its recipe, of
    which what was measured before is taken as it is. Of a masked model it is the bits per byte of
    hidden tokens.
    """
    if sequence_length is not None and sequence_length < 2:
        raise InputError(f"--sequence-length: must be 2 or more, got {sequence_length}")
    folder = find_model(path)
    if not data:
        return _evaluate_release(run_of(folder), folder)
    return measure_files(folder, data, sequence_length)


def measure_files(
    folder: Path, data: Sequence[str], sequence_length: int | None = None
) -> list[Measured]:
    """The loss of a model on the files that each of the globs ``data`` matches.

    Raises InputError for a model of pictures.
    """
    model = load_model(folder)
    if kind_of(model) in OF_PICTURES:
        raise InputError(
            f"{folder}: reads pictures, which need labels and a split as well, so files alone "
            "cannot measure it; name them under evaluate.sources of a recipe"
        )
    tokenizer = load_tokenizer(folder)
    window = min(context_window(model) or SEQUENCE_LENGTH, sequence_length or SEQUENCE_LENGTH)
    documents = {pattern: _from_files(tokenizer, pattern) for pattern in data}
    return measure_text(model, documents, tokenizer, window)


def _evaluate_release(run: Run, folder: Path) -> list[Measured]:
    """The losses of a release on every source of its Run."""
    recipe, manifest = decode(Recipe, run.manifest.recipe, "manifest.recipe"), run.manifest
    root = find_root(run.folder)
    opened = Opened.at(recipe, root, manifest.data, manifest.start.kind, manifest.seed)
    node = read_node(folder)
    if node is None:
        raise InputError(
            f"{folder / FILE}: missing, or not of this evergrow's format; restore the folder from "
            "a copy, or say with --data on which files to measure"
        )
    return measure_release(
        opened, root, node.key, lambda: load_model(folder), False, lambda sentence: None
    )


def run_of(release: Path) -> Run:
    """The Run that released this folder; raises InputError where there is none."""
    folder = release.parent.parent
    if release.parent.name != "releases" or not (folder / "manifest.json").exists():
        raise InputError(f"{release}: belongs to no run; say with --data on which files to measure")
    return Run(folder)


def _from_files(tokenizer: Any, pattern: str) -> HeldOut:
    read = read_documents(SourceConfig(files=[pattern]), Path.cwd(), Quarantine(pattern))
    texts = [document.text for document in read]
    tokens = encode_documents(tokenizer, texts)
    return HeldOut(tokens, np.array([len(text.encode()) for text in texts]))


def sample(path: str | Path, prompt: str, num_tokens: int, temperature: float, seed: int) -> str:
    """The prompt's continuation by the model at ``path``; raises InputError for one of pictures."""
    folder = find_model(path)
    model = load_model(folder)
    if kind_of(model) in OF_PICTURES:
        raise InputError(f"{folder}: reads pictures and writes no text; its report shows them")
    return generate(model, load_tokenizer(folder), prompt, num_tokens, temperature, seed)


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
