"""Which copies part and which stay alike for ever: by hand, and as training decides."""

from pathlib import Path
from typing import Any

import pytest
import torch
from grow.folders import load, save
from transformers import LlamaForCausalLM

from evergrow.grow.config import GrowConfig
from evergrow.grow.folder import grow_folder
from evergrow.grow.freedom import Watched, equal_rows, freedom_of, middle_of_each_kind
from evergrow.models.families import FAMILIES

WIDER: dict[str, int] = {"hidden": 96, "heads": 8, "kv_heads": 4, "ffn": 224}


def records(
    matrices: dict[str, tuple[torch.Tensor, torch.Tensor]], axes: Any
) -> dict[str, tuple[int, int, int, int]]:
    """By kind: repeated rows and columns, locked rows and columns."""
    shapes = {name: tuple(weight.shape) for name, (weight, _) in matrices.items()}
    watched = Watched(shapes, axes, lambda name: matrices[name][0])
    for name, (_, gradient) in matrices.items():
        watched(name, lambda gradient=gradient: gradient)
    sides = [f"{what}_{side}" for what in ("duplicate", "locked") for side in ("rows", "columns")]
    return {found.kind: tuple(getattr(found, side) for side in sides) for found in watched.locked()}


def alone(name: str) -> tuple[str, str]:
    return f"rows of {name}", f"columns of {name}"


def test_equal_rows_are_neighbours() -> None:
    matrix = torch.tensor([[1.0, 2.0], [0.5, 1.0], [1.0, 2.0], [-1.0, -2.0], [1.0, 2.0]])
    assert sorted(map(tuple, equal_rows(matrix).tolist())) == [(0, 2), (2, 4)]
    assert len(equal_rows(torch.eye(4))) == len(equal_rows(torch.ones(1, 4))) == 0
    assert len(equal_rows(torch.zeros(3, 2))) == 2
    found = freedom_of(matrix, matrix)
    assert found.weights[0].tolist() == found.moves[0].tolist() == [0, 1, 0, 3, 0]


WEIGHT = torch.tensor([[1.0, 2.0, 2.0], [1.0, 2.0, 2.0], [3.0, 4.0, 4.0]])
SAME = torch.tensor([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3], [0.3, 0.4, 0.4]])


def test_a_copy_is_locked_by_the_same_gradient_alone() -> None:
    other = SAME.clone()
    other[1] *= 1.01
    for gradient, locked in ((SAME, 1), (other, 0), (SAME * 0, 0)):  # 0 says nothing
        found = records({"h.0.w": (WEIGHT, gradient)}, alone)
        assert found == {"h.*.w": (1, 1, locked, 0)}  # columns get other gradients


def test_a_unit_is_locked_where_every_matrix_of_its_axis_holds_it_alike() -> None:
    reader = torch.tensor([[1.0, 1.0, 2.0], [5.0, 5.0, 6.0]])
    free = torch.tensor([[1.0, 1.1, 2.0], [5.0, 5.2, 6.0]])
    axes = {"h.0.up": ("ffn", "x"), "h.0.down": ("y", "ffn")}
    both = {"h.0.up": (WEIGHT, SAME), "h.0.down": (reader, reader)}
    assert records(both, axes.__getitem__)["h.*.up"][2] == 1
    assert records(both, axes.__getitem__)["h.*.down"][3] == 1
    both["h.0.down"] = (free, free)  # such a reader makes the next gradient of up's rows differ
    assert records(both, axes.__getitem__)["h.*.up"][2] == 0
    assert records(both, alone)["h.*.up"][2] == 1


def test_axes_have_one_name_for_all_views_of_the_residual() -> None:
    olmo2, gpt2 = FAMILIES["olmo2"], FAMILIES["gpt2"]
    assert olmo2.axes_of("model.layers.1.mlp.down_proj.weight") == ("hidden", "ffn")
    assert olmo2.axes_of("model.layers.1.self_attn.q_proj.weight") == ("heads*dim", "hidden")
    assert gpt2.axes_of("transformer.h.0.mlp.c_fc.weight") == ("hidden", "ffn")  # [in, out]
    name = "model.layers.0.mlp.gate.weight"
    assert FAMILIES["mixtral"].axes_of(name) == (f"rows of {name}", "hidden")
    assert olmo2.axes_of("made.up") == ("rows of made.up", "columns of made.up")


def test_long_rows_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(7, 5).repeat(2, 2)
    whole = records({"h.0.w": (matrix, matrix)}, alone)
    monkeypatch.setattr("evergrow.grow.freedom._ELEMENTS", 12)
    assert records({"h.0.w": (matrix, matrix)}, alone) == whole == {"h.*.w": (7, 5, 7, 5)}


@pytest.mark.parametrize(
    ("method", "to"),
    [
        ("fpi", WIDER),
        ("auto", WIDER),
        ("lemon", WIDER),
        ("zero", {"ffn": 224}),
        ("fpi", {"ffn": 224}),
        ("auto", {"ffn": 224}),
        ("auto", {"heads": 8, "kv_heads": 4}),
    ],
)
def test_training_decides_as_predicted(method: Any, to: Any, tmp_path: Path) -> None:
    """39 steps: what was called locked holds its copies still, and nothing else does."""
    save(tmp_path / "source", "llama")
    record = grow_folder(tmp_path / "source", GrowConfig(to=to, method=method), tmp_path / "grown")
    model = load(tmp_path / "grown", LlamaForCausalLM)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    ids = torch.randint(101, (4, 32), generator=torch.Generator().manual_seed(2))
    for _ in range(39):
        optimizer.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
    kinds = record["verification"]["symmetry"]
    assert len(kinds) == 7
    assert any(kind["duplicate_rows"] + kind["duplicate_columns"] for kind in kinds) or (
        method == "auto" and to == WIDER
    )
    for kind in kinds:
        trained = model.get_parameter(kind["tensor"]).detach()
        left = (len(equal_rows(trained)), len(equal_rows(trained.T)))
        assert left == (kind["locked_rows"], kind["locked_columns"]), kind
    locked = any(kind["locked_rows"] for kind in kinds)
    assert locked == (method == "fpi")


def test_one_matrix_of_each_kind() -> None:
    shapes = {f"layers.{i}.up.weight": (3, 2) for i in range(3)}
    assert middle_of_each_kind(
        {**shapes, "norm.weight": (2,), "cls": (1, 1, 2), "head.weight": (5, 2)}
    ) == {
        "layers.*.up.weight": "layers.1.up.weight",
        "head.weight": "head.weight",
    }
