"""Writes docs/verbs.md from the commands' own --help, so that it cannot lie; a test compares."""

import os
from pathlib import Path

from typer.testing import CliRunner

from evergrow.cli import app

HEAD = """# Verbs

What every command says of itself. Exit codes: 0, 1 failed, 2 wrong input, 130 and 143 stopped with
everything saved. Before anything is restored, a verb prints what is restored, what is
re-initialised and which rate comes next. `evergrow --debug VERB ...` shows a traceback instead of
one sentence.
"""


def verbs_page() -> str:
    """The page, 96 characters wide."""
    os.environ["COLUMNS"] = "96"
    runner = CliRunner()
    parts = [HEAD]
    for command in app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__.rstrip("_")
        text = runner.invoke(app, [name, "--help"]).output.replace("Usage: root", "Usage: evergrow")
        parts.append(f"## {name}\n\n```text\n{text.strip()}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    Path(__file__).with_name("verbs.md").write_text(verbs_page(), encoding="utf-8")
