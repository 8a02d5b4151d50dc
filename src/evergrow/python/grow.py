"""Verbs on growth: grow_plan, grow_apply, grow_verify."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evergrow.cli.grow import show_growth, show_verification
from evergrow.config import decode
from evergrow.flow.grow_folders import apply, plan, verify
from evergrow.grow.config import GrowConfig
from evergrow.python.results import PathLike, Record
from evergrow.python.run import Files, Settings, globs_of


def grow_plan(
    source: PathLike,
    to: Mapping[str, int],
    settings: Settings | None = None,
    *,
    data: Files = (),
) -> Record:
    """What a growth ``to`` new sizes would do, axis by axis, and what it costs.

    ``settings`` are the other keys of ``grow``: method, depth, layers, noise, seed, tokenizer,
    experts (``{"number": 8}``); ``to`` may be empty then.
    Touches no weights, unless sizes are smaller: then the model reads ``data``, and what does least
    there goes. Raises InputError for what cannot be grown.
    """
    record = plan(os.fspath(source), _config(to, settings), globs_of(data))
    return Record(record, lambda: show_growth(record))


def grow_apply(
    source: PathLike,
    to: Mapping[str, int],
    out: PathLike,
    settings: Settings | None = None,
    *,
    data: Files = (),
) -> Record:
    """Write the grown model to ``out`` and verify it, on text of ``data`` too; its growth.json."""
    record = apply(os.fspath(source), _config(to, settings), Path(out), globs_of(data))
    return Record(record, lambda: _show(record))


def grow_verify(
    source: PathLike, grown: PathLike, *, data: Files = (), tolerance: float | None = None
) -> Record:
    """Compare a grown model with its source; ``problems`` is empty when it is what was planned."""
    record = verify(os.fspath(source), os.fspath(grown), globs_of(data), tolerance)
    return Record(record, lambda: _show(record))


def _config(to: Mapping[str, int], settings: Settings | None) -> GrowConfig:
    return decode(GrowConfig, {**(settings or {}), "to": dict(to)}, "grow")


def _show(record: dict[str, Any]) -> None:
    show_growth(record)
    show_verification(record)
