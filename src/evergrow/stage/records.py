"""The lines that a stage appends while it trains, as those who read them know them."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from evergrow.config import Record, damage
from evergrow.disk import checksum
from evergrow.errors import InputError
from evergrow.run import MEND, Manifest


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


def refuse_changed_records(folder: Path, manifest: Manifest) -> None:
    """Raise InputError for a Run's record that is not what it was when the last stage ended.

    Lines of a stage that is under way are not sealed yet.
    """
    ended = [stage for stage in manifest.stages if stage.status == "done" and stage.digests]
    for name, digest in ended[-1].digests.items() if ended else ():
        path = folder / f"{name}.jsonl"
        if not path.exists() or checksum(path, ended[-1].offsets[name]) != digest:
            raise InputError(
                f"{path}: damaged (its lines up to the end of {ended[-1].name} are not those that "
                f"were written); {MEND}"
            )


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
