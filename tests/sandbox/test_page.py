import re
from pathlib import Path

import pytest

from evergrow.sandbox.limits import Limits
from evergrow.sandbox.probe import tier

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


def test_the_page_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    exec(block("python"), {})
    assert capsys.readouterr().out == block("text").replace("bubblewrap", tier().name)


def test_the_page_names_the_limits() -> None:
    bounds = Limits()
    said = " ".join(PAGE.split("## Limits")[1].split())
    for number in (
        f"{bounds.cpu_seconds} processor seconds",
        f"{bounds.wall_seconds} s of the wall",
        f"{bounds.memory_bytes >> 20} MiB of memory for each of at most {bounds.num_processes} ",
        f"{bounds.num_open_files} open files, files of {bounds.file_bytes >> 20} MiB",
        f"scratch folder of {bounds.scratch_bytes >> 20} MiB",
        f"{bounds.output_bytes >> 20} MiB of output",
        f"{bounds.message_bytes >> 20} MiB for an answer",
    ):
        assert number in said
