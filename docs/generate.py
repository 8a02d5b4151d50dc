"""Writes docs/verbs.md from the commands' own --help, so that it cannot lie; a test compares.

`growth` writes the exactness table of docs/growth.md instead, from measurements (10 s).
"""

import os
import re
import sys
from pathlib import Path

from typer.core import TyperGroup
from typer.main import get_group
from typer.testing import CliRunner

from evergrow.cli import app

HEAD = """# Verbs

What every command says of itself. Exit codes: 0, 1 failed, 2 wrong input, 130 and 143 stopped with
everything saved. Before anything is restored, a verb prints what is restored, what is
re-initialised and which rate comes next. `evergrow --debug VERB ...` shows a traceback instead of
one sentence; `evergrow --version` says the version; `python -m evergrow` is the same command.
"""


def verbs_page() -> str:
    """The page, 96 characters wide."""
    os.environ["COLUMNS"] = "96"
    runner = CliRunner()
    parts = [HEAD]
    for words in _commands(get_group(app)):
        text = runner.invoke(app, [*words, "--help"]).output
        text = text.replace("Usage: root", "Usage: evergrow").strip()
        parts.append(f"## {' '.join(words)}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def _commands(group: TyperGroup) -> list[list[str]]:
    """The words of every command, such as ["grow", "plan"]."""
    found = []
    for name, command in group.commands.items():
        below = _commands(command) if isinstance(command, TyperGroup) else [[]]
        found += [[name, *words] for words in below]
    return found


def growth_page(page: str) -> str:
    """docs/growth.md with its table measured again."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from grow.table import measured_page

    marks = re.compile(r"(<!-- exactness -->\n).*(<!-- /exactness -->)", re.DOTALL)
    return marks.sub(lambda found: f"{found[1]}{measured_page()}\n{found[2]}", page)


if __name__ == "__main__" and "growth" in sys.argv:
    path = Path(__file__).with_name("growth.md")
    path.write_text(growth_page(path.read_text(encoding="utf-8")), encoding="utf-8")
elif __name__ == "__main__":
    Path(__file__).with_name("verbs.md").write_text(verbs_page(), encoding="utf-8")
