"""A page of docs/ carried out as it is read: files written, commands called, Python run."""

import io
import re
import shlex
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from evergrow.cli import app

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# Less of everything, so that a page takes seconds: (what the page says, what is run).
LESS = {
    r"\b(100|200|60|40)k\b": "8k",
    r"\b(20|10)k\b": "2k",
    r"(max_bytes: |\"max_bytes\": \")2M": r"\g<1>600k",
    r"(tokens: |\"tokens\": \")5k": r"\g<1>2k",
    r"(hidden\W+)128": r"\g<1>64",
    r"(hidden\W+)64(?=[^}]*layers)": r"\g<1>32",
    r"(heads\W+)4": r"\g<1>2",
    r"(heads: )2(?=})": r"\g<1>1",
}


def blocks(page: Path) -> list[tuple[str, str]]:
    """The fenced blocks of a page in order: language, text."""
    found = re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    return [(language, text) for language, text in found]


def smaller(text: str, more: Mapping[str, str]) -> str:
    """``text`` on less data; ``more`` are replacements of the page's own."""
    for pattern, other in {**more, **LESS}.items():
        text = re.sub(pattern, other, text)
    return text


def carry_out(
    page: str, more: Mapping[str, str] | None = None, own: Callable[[str], str] = str
) -> dict[str, Any]:
    """Do in the current folder what the page says; returns the names that its Python made.

    A block of YAML is a file, whose name its first line says. What Python prints is ``printed``.
    """
    names: dict[str, Any] = {"__name__": "__page__"}
    printed = io.StringIO()
    for language, text in blocks(DOCS / page):
        text = own(smaller(text, more or {}))
        if language == "yaml":
            name = re.match(r"# (\S+\.yaml)\n", text)
            assert name, f"{page}: a block of YAML whose first line names no file"
            Path(name[1]).write_text(text, encoding="utf-8")
        elif language == "sh":
            call(text)
        elif language == "python":
            with redirect_stdout(printed):
                exec(compile(text, page, "exec"), names)
    return {**names, "printed": printed.getvalue()}


def call(text: str) -> None:
    """Every evergrow command of a block, each of which must succeed."""
    for line in text.splitlines():
        if line.startswith("evergrow "):
            result = CliRunner().invoke(app, shlex.split(line)[1:])
            assert result.exit_code == 0, (line, result.output, result.exception)
