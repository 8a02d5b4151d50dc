"""Growth of model folders: find them, read text to compare on, and call the grow room."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.reader import read_documents
from evergrow.errors import InputError
from evergrow.grow.companions import NEVER_FETCHED
from evergrow.grow.config import GrowConfig
from evergrow.grow.folder import grow_folder, look_ahead
from evergrow.grow.passes import Batch, rows_at_once
from evergrow.grow.record import plan_record, read_record
from evergrow.grow.stored import open_folder
from evergrow.grow.verify import verify_folders
from evergrow.models.find import find_model
from evergrow.models.kind import Kind, kind_of_architecture
from evergrow.stream.tokenizer import encode_documents, load_tokenizer

TEXT_TOKENS = 8192  # enough for a loss to 0.02 nats, and a minute's work for a 1B model
TEXT_CHARACTERS = 16 * TEXT_TOKENS
BATCH_TOKENS = 1024
WINDOW = 256  # positions; less where the model has fewer
MASKED_SHARE = 0.15  # BERT, arXiv 1810.04805 section 3.1


def plan(source: str | Path, grow: GrowConfig, data: Sequence[str] = ()) -> dict[str, Any]:
    """The verdict on each axis, changed fields and costs; reads config.json and headers only.

    Where the model shrinks, ``data`` is text that it reads to choose what goes.
    """
    folder = find_model(source)
    outlook = look_ahead(folder, grow, read_batches(folder, data)[::2])
    if data and outlook.plan.pruning is None:
        raise InputError("--data: a growth is planned without text; leave --data out")
    return plan_record(outlook.plan, outlook.before, outlook.after)


def apply(
    source: str | Path, grow: GrowConfig, out: Path, data: Sequence[str] = ()
) -> dict[str, Any]:
    """Write the grown model to ``out`` and return its growth.json; see ``grow_folder``."""
    folder = find_model(source, without=NEVER_FETCHED)
    other = None if grow.tokenizer is None else Path(grow.tokenizer).expanduser()
    again = _again(folder, other, data)
    return grow_folder(folder, grow, out, read_batches(folder, data), again)


def annealed(source: str | Path) -> str | None:
    """What is to be known of a run that is grown as a folder; None for anything else."""
    folder = Path(source).expanduser()
    if not folder.is_dir() or (release := find_model(folder)) == folder:
        return None
    return (
        f"{source}: its newest release, {release}, is grown, whose rate was brought down to the "
        "end; to grow the trunk and go on training: "
        f"evergrow continue {source} --set grow.to.AXIS=SIZE"
    )


def verify(
    source: str | Path, out: str | Path, data: Sequence[str] = (), tolerance: float | None = None
) -> dict[str, Any]:
    """Compare a grown model with its source; see ``verify_folders``."""
    folder, grown = find_model(source), find_model(out)
    record = read_record(grown)
    other = None if record is None or record.grow.tokenizer is None else grown
    again = _again(folder, other, data)
    return verify_folders(folder, grown, read_batches(folder, data), tolerance, again)


def _again(folder: Path, tokenizer: Path | None, data: Sequence[str]) -> list[Batch]:
    """The text by the tokenizer that a model grows into, none where it keeps its own."""
    return [] if tokenizer is None else read_batches(folder, data, tokenizer)


def read_batches(
    folder: Path, data: Sequence[str], tokenizer_folder: Path | None = None
) -> list[Batch]:
    """The first windows of the files that the globs match, as the model's own task asks for them.

    A masked model sees 15 % of the tokens masked. ``tokenizer_folder`` holds the tokenizer if it is
    not the model's. Raises InputError for a model that reads no
    text, for globs that match none, and for less text than one window.
    """
    if not data:
        return []
    config = open_folder(folder).config
    if config.get("vocab_size") is None:
        raise InputError(f"--data: {folder} reads no text; leave --data out")
    tokenizer = load_tokenizer(tokenizer_folder or folder)
    texts = _some_texts(data)
    end = np.array([tokenizer.eos_token_id], dtype=np.uint32)
    pieces = [piece for ids in encode_documents(tokenizer, texts) for piece in (end, ids)]
    tokens = torch.from_numpy(np.concatenate(pieces)[:TEXT_TOKENS].astype(np.int64))
    positions = config.get("max_position_embeddings") or config.get("n_positions") or WINDOW
    window = min(WINDOW, positions - 2)  # RoBERTa's positions begin at 2
    if len(tokens) < window:
        raise InputError(
            f"--data: {len(tokens)} tokens are less than one window of {window}; give more text"
        )
    windows = tokens[: len(tokens) // window * window].reshape(-1, window)
    kind = kind_of_architecture((config.get("architectures") or [""])[0])
    rows = rows_at_once(config, max(1, BATCH_TOKENS // window))
    if tokenizer_folder is not None and kind != "causal":
        raise InputError(
            "--data: what a masked model loses depends on its pieces, so that two tokenizers "
            "cannot be compared; leave --data out"
        )
    batches = [_batch(ids, kind, tokenizer.mask_token_id) for ids in windows.split(rows)]
    parts = [
        tokenizer.batch_decode(b.inputs["input_ids"][:, 1:], skip_special_tokens=True)
        for b in batches
    ]
    sizes = [sum(len(text.encode()) for text in texts) for texts in parts]
    return [replace(batch, num_bytes=size) for batch, size in zip(batches, sizes, strict=True)]


def _some_texts(data: Sequence[str]) -> list[str]:
    """Documents from the beginning until there are surely more than TEXT_TOKENS tokens."""
    texts, size = [], 0
    config = SourceConfig(files=list(data))
    with closing(read_documents(config, Path.cwd(), Quarantine("data"))) as documents:
        for document in documents:
            texts.append(document.text)
            size += len(document.text)
            if size > TEXT_CHARACTERS:
                break
    return texts


def _batch(ids: torch.Tensor, kind: Kind | None, mask_id: Any) -> Batch:
    if kind is None:
        return Batch({"input_ids": ids})
    if kind == "causal":
        nothing = torch.full_like(ids[:, :1], -100)
        return Batch({"input_ids": ids}, torch.cat([ids[:, 1:], nothing], dim=1))
    if mask_id is None:
        raise InputError("--data: the tokenizer has no mask token, which a masked model needs")
    generator = torch.Generator().manual_seed(0)
    masked = torch.rand(ids.shape, generator=generator) < MASKED_SHARE
    masked[:, 0] = True  # a window has at least one
    targets = torch.where(masked, ids, -100)
    return Batch({"input_ids": torch.where(masked, mask_id, ids)}, targets)
