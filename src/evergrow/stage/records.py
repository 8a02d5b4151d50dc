"""The lines that a stage appends while it trains, as those who read them know them."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from evergrow.config import Record, damage
from evergrow.errors import InputError


class Step(Record):
    """One optimiser step of metrics.jsonl; ``tokens`` were read up to its end.

    ``loss`` is None for one that is no number; such a step is skipped.
    """

    stage: str
    leg: str
    step: int
    tokens: int
    loss: float | None
    lr: float
    grad_norm: float | None = None
    skipped: bool = False


class Evaluation(Record):
    """A quick look inside a stage (evals.jsonl): the loss on a part of one source."""

    stage: str
    leg: str
    step: int
    tokens: int
    source: str
    loss: float
    low: float | None = None
    high: float | None = None


class Timing(Record):
    """How long the steps since the last line took (timing.jsonl)."""

    stage: str
    leg: str
    step: int
    seconds: float
    tokens_per_second: float
    mfu: float
    peak_memory_bytes: int


LineType = TypeVar("LineType", bound=Record)


def parse_lines(text: str, kind: type[LineType], path: Path) -> list[LineType]:
    """Whole lines of a JSONL file; raises InputError, naming ``path``, for a damaged one."""
    try:
        rows: Any = TypeAdapter(list[kind])  # pyright: ignore[reportInvalidTypeForm]
        return rows.validate_json(f"[{','.join(text.split(chr(10))[:-1])}]")
    except ValidationError as error:
        raise InputError(f"{path}: {damage(error)}; run the recipe again") from error


def read_lines(path: Path, kind: type[LineType]) -> list[LineType]:
    """All lines of a file, none when it is absent; an unfinished last line is left out."""
    return parse_lines(path.read_text(encoding="utf-8"), kind, path) if path.is_file() else []
