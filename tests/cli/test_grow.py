"""`evergrow grow` from the shell: tables, JSON for machines, exit codes for CI."""

import json
from pathlib import Path
from typing import get_args

import pytest
from cli.conftest import Call, Refused
from grow.folders import save

from evergrow.cli import grow
from evergrow.grow.config import Depth, GrowConfig, Method

SIZES = "hidden=72,heads=6,kv_heads=3,ffn=130,layers=4"


def test_choices_are_those_of_the_room() -> None:
    assert get_args(grow.Method) == get_args(Method)
    assert get_args(grow.Depth) == get_args(Depth)
    assert get_args(grow.Goal) == get_args(GrowConfig.model_fields["goal"].annotation)


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("hiden=64", "grow.to.hiden: expected 'hidden', 'heads', 'kv_heads', 'head_dim', 'ffn', "
         "'layers' or 'vocab', got 'hiden'"),
        ("hidden", "--to: expected sizes such as hidden=768,heads=12, got 'hidden'"),
        ("hidden=64", "{tmp}: no model here (config.json is missing); give a model folder"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(to: str, said: str, tmp_path: Path, refused: Refused) -> None:
    assert refused("grow", "plan", str(tmp_path), "--to", to) == said.format(tmp=tmp_path)


def test_plan_apply_verify(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: Call,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "small", "llama")
    before = {file.name for file in tmp_path.rglob("*")}
    assert call("grow", "plan", "small", "--to", SIZES, "--json") == 0
    planned = json.loads(capsys.readouterr().out)
    assert {axis["axis"]: axis["exactness"] for axis in planned["axes"]} == dict.fromkeys(
        ("hidden", "heads", "kv_heads", "ffn", "layers"), "exact"
    )
    assert {file.name for file in tmp_path.rglob("*")} == before

    assert call("grow", "apply", "small", "--to", SIZES, "--out", "large") == 0
    said = capsys.readouterr().out
    assert "grown: large" in said
    assert "gradient norm: " in said
    assert "without a warmup" in said

    assert call("grow", "verify", "small", "large", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == []
    assert found["cost"] == planned["cost"]

    limit = ["--tolerance", "1e-9"]
    assert call("grow", "verify", "small", "large", *limit) == 1
    said = capsys.readouterr()
    assert "source's own noise" in said.out
    assert said.err.startswith("error: large: outputs differ by ")
    assert said.err.count("\n") == 1


def test_goal_speed_stacks_layers(
    tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "small", "llama")
    words = ["grow", "plan", str(tmp_path / "small"), "--to", "layers=6", "--goal", "speed"]
    assert call(*words) == 0
    said = capsys.readouterr().out
    assert "lossy" in said
    assert "stack" in said
    assert "num_hidden_layers 3 to 6" in said


def test_a_list_of_blocks(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "small", "llama")
    words = ["grow", "apply", "small", "--layers", "0-2,1-2", "--out", "large"]
    assert call(*words) == 0
    said = capsys.readouterr().out
    assert "num_hidden_layers 3 to 5" in said
    assert call("grow", "verify", "small", "large") == 0
    assert call("grow", "plan", "small") == 2
    assert "name an axis and its size in to, or the blocks in layers" in capsys.readouterr().err


def test_a_shorter_list_of_blocks_says_that_something_is_lost(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "large", "llama")
    assert call("grow", "apply", "large", "--layers", "0,2", "--out", "small") == 0
    said = capsys.readouterr().out
    assert "none: pruned" in said
    assert "pruned: another function, and the numbers say how far" in said
    assert "pruned against" in said
    assert "free to part" not in said
    assert said.endswith("pruned: small\n")
    assert call("grow", "verify", "large", "small") == 0
    assert call("grow", "plan", "large", "--to", "ffn=60") == 2
    assert "what goes is what does least on your text: name some by --data" in (
        capsys.readouterr().err
    )


def test_the_influence_of_blocks_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    grow._show_influence({"blocks": "0,2", "influence": [0.25, 0.03125, 0.5]})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["1", "0.0312", "goes"] in lines
    assert ["2", "0.5000", "stays"] in lines
