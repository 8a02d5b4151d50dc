"""`evergrow grow` from the shell: tables, JSON for machines, exit codes for CI."""

import json
import sys
from pathlib import Path

import pytest
from grow.folders import save

from evergrow import cli

SIZES = "hidden=72,heads=6,kv_heads=3,ffn=130,layers=4"


def call(monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    """The exit code of ``evergrow args``."""
    monkeypatch.setattr(sys, "argv", ["evergrow", *args])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    code = caught.value.code
    assert isinstance(code, int)
    return code


def test_plan_apply_verify(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "small", "llama")
    before = {file.name for file in tmp_path.rglob("*")}
    assert call(monkeypatch, "grow", "plan", "small", "--to", SIZES, "--json") == 0
    planned = json.loads(capsys.readouterr().out)
    assert {axis["axis"]: axis["exactness"] for axis in planned["axes"]} == dict.fromkeys(
        ("hidden", "heads", "kv_heads", "ffn", "layers"), "exact"
    )
    assert {file.name for file in tmp_path.rglob("*")} == before

    assert call(monkeypatch, "grow", "apply", "small", "--to", SIZES, "--out", "large") == 0
    said = capsys.readouterr().out
    assert "grown: large" in said
    assert "gradient norm: " in said
    assert "without a warmup" in said

    assert call(monkeypatch, "grow", "verify", "small", "large", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == []
    assert found["cost"] == planned["cost"]

    limit = ["--tolerance", "1e-9"]
    assert call(monkeypatch, "grow", "verify", "small", "large", *limit) == 1
    said = capsys.readouterr()
    assert "source's own noise" in said.out
    assert said.err.startswith("error: large: outputs differ by ")
    assert said.err.count("\n") == 1


def test_goal_speed_stacks_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "small", "llama")
    words = ["grow", "plan", str(tmp_path / "small"), "--to", "layers=6", "--goal", "speed"]
    assert call(monkeypatch, *words) == 0
    said = capsys.readouterr().out
    assert "lossy" in said
    assert "stack" in said
    assert "num_hidden_layers 3 to 6" in said
