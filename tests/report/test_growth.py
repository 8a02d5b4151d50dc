"""A growth on the page: a mark in the tree, one in the loss, and a section with its verdicts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from report.test_page import written

from evergrow.report.figures_life import source_loss
from evergrow.report.folder import read_run_folder
from evergrow.report.lineage import BEND, LEFT, RIGHT, WIDTH, lineage

Make = Callable[..., Path]
GROWTH: dict[str, Any] = {
    "format": 1,
    "exactness": "exact",
    "axes": [
        {
            "axis": "hidden",
            "before": 64,
            "after": 128,
            "operator": "balanced copies",
            "exactness": "exact",
            "reason": "every coordinate has 2 copies",
        }
    ],
    "cost": {
        "source": {"num_parameters": 400_000, "flops_per_token": 2_000_000},
        "grown": {"num_parameters": 1_000_000, "flops_per_token": 5_000_000},
    },
    "verification": {
        "difference": {"maximum": 1.21e-5, "mean": 1e-6, "kl": 3e-11, "top1_agreement": 1.0},
        "noise": {"float32": {"maximum": 9.5e-6}, "bfloat16": {"maximum": 0.02}},
        "gradient_norm": {"source": 1.0, "grown": 1.5, "ratio": 1.5},
        "symmetry": [
            {
                "kind": "model.layers.*.mlp.up_proj.weight",
                "tensor": "model.layers.0.mlp.up_proj.weight",
                "shape": [384, 128],
                "duplicate_rows": 192,
                "duplicate_columns": 64,
                "locked_rows": 190,
                "locked_columns": 62,
            }
        ],
    },
    "loss": {"english": {"before": 2.75, "after": 2.752}},
}


@pytest.fixture
def grown(made: Make) -> Path:
    """Two arms; the second grew before its last stage."""
    path = made(arms=("infinite", "cosine"))
    folder = path / "cosine/growth/cpp"
    folder.mkdir(parents=True)
    (folder / "growth.json").write_text(json.dumps(GROWTH))
    return path


def test_a_triangle_where_the_larger_model_begins(grown: Path) -> None:
    tree = lineage(read_run_folder(grown))
    (mark,) = (node for node in tree.nodes if node.kind == "growth")
    start = LEFT + (WIDTH - LEFT - RIGHT) * 2 / 3
    assert (mark.x, mark.color, mark.label) == (pytest.approx(start + BEND), 1, "2.5x")
    assert mark.title == "grown before cpp: 400k to 1M parameters; hidden 64 to 128 (exact)"


def test_a_triangle_at_its_first_loss(grown: Path) -> None:
    folder = read_run_folder(grown)
    marks = [m for m in source_loss(folder, 0).marks if "grown" in m.name]
    assert [(m.x, m.y, m.symbol) for m in marks] == [((2 * 350 * 512,), (2.752,), "triangle")]
    assert not [m for m in source_loss(folder, 1).marks if "grown" in m.name]


def test_the_section_tells_sizes_verdicts_differences_and_copies(grown: Path) -> None:
    page = written(grown)
    section = page[page.index(">Growth</h2>") : page.index(">What went in</h2>")]
    assert "400k to 1M parameters, exact" in section
    assert "1.2e-05</data>, where the smaller model" in section
    assert "own rounding is 9.5e-06" in section
    assert "the same likeliest token at 100.0 % of positions" in section
    assert "gradient 1.5 times as long; 2.5 times the operations a token" in section
    assert "every coordinate has 2 copies" in section
    assert "english 2.750 to" in section and ">2.752<" in section
    assert "384 x 128" in section and "<td>192</td><td>64</td><td>190</td><td>62</td>" in section


def test_without_growth_there_is_no_section(made: Make) -> None:
    assert ">Growth</h2>" not in written(made(arms=("cosine",), streams=("english",)))
