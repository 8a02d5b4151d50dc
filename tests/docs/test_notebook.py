"""A how-to in a real kernel: what its cells show."""

import re
from pathlib import Path
from typing import Any

import pytest
from docs.walk import DOCS, blocks, smaller

pytestmark = pytest.mark.slow
CELLS = 4  # plan, run, load, rows: of the rest tests/docs/test_how_tos.py has the numbers


def test_cells_show_a_bar_and_tables(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="pip install -e '.[dev]'")
    nbclient = pytest.importorskip("nbclient", reason="pip install -e '.[dev]'")
    page = blocks(DOCS / "how-to/notebook.md")
    cells = [smaller(text, {}) for language, text in page if language == "python"][:CELLS]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    nbclient.NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    plan, run, loaded, rows = (cell.outputs for cell in notebook.cells)
    assert "nothing was written" in html_of(plan)
    assert re.search(r"<table>.*<td.*</td>", html_of(run), re.DOTALL)
    assert '<a href="runs/life/report.html" target="_blank">The whole report</a>' in html_of(run)
    assert "main, english: made weights" in said(run)
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert re.fullmatch(r"-?\d\.\d+", result_of(loaded)["text/plain"])
    assert "'arm': 'main'" in result_of(rows)["text/plain"]
    bar = next(output for output in run if output.output_type == "display_data")
    assert bar.data["text/html"] == ""  # gone at the end


def result_of(outputs: list[Any]) -> dict[str, str]:
    return next(o.data for o in outputs if o.output_type == "execute_result")


def html_of(outputs: list[Any]) -> str:
    return result_of(outputs)["text/html"]


def said(outputs: list[Any]) -> str:
    return "".join(o.text for o in outputs if o.output_type == "stream")
