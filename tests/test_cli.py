"""The command line: its frozen set of options, its exit codes and its one-line errors."""

import json
import re
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from typer.core import TyperGroup
from typer.main import get_command

from evergrow import cli, grow_commands
from evergrow.errors import EvergrowError, InputError, Stopped
from evergrow.grow.config import Depth, GrowConfig, Method
from evergrow.schedules import AnnealShape

QUICKSTART = Path(__file__).parents[1] / "recipes" / "quickstart.yaml"

# An option enters here with the recipe, study or test that needs it, and leaves with it.
COMMANDS = {
    "anneal": ["run", "--floor", "--shape", "--tokens"],
    "continue": [
        "model",
        "--data",
        "--evaluate",
        "--name",
        "--peak-lr",
        "--replay",
        "--runs",
        "--set",
        "--tokens",
    ],
    "curate": ["recipe", "overrides", "--runs", "--what-if"],
    "eval": ["model", "--data", "--sequence-length"],
    "extend": ["run", "--tokens"],
    "grow apply": [
        "source",
        "--data",
        "--depth",
        "--goal",
        "--method",
        "--noise",
        "--out",
        "--seed",
        "--to",
    ],
    "grow plan": [
        "source",
        "--depth",
        "--goal",
        "--json",
        "--method",
        "--noise",
        "--seed",
        "--to",
    ],
    "grow verify": ["source", "grown", "--data", "--json", "--tolerance"],
    "list": ["--runs"],
    "log": ["run", "--seen"],
    "prune": ["run", "--dry"],
    "report": ["run"],
    "run": ["recipe", "overrides", "--dry", "--fresh", "--runs"],
    "sample": ["model", "--prompt", "--seed", "--temperature", "--tokens"],
    "schema": [],
    "study": ["name", "overrides", "--fresh", "--modality", "--runs", "--scale", "--seeds"],
    "why": ["corpus", "document", "--json", "--runs"],
}


def call(monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    """The exit code of ``evergrow args``."""
    monkeypatch.setattr(sys, "argv", ["evergrow", *args])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    code = caught.value.code
    assert isinstance(code, int)
    return code


def commands_of(group: Any, words: str = "") -> dict[str, Any]:
    """Every command by its words, such as "grow plan"."""
    found = {}
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            found |= commands_of(command, f"{words}{name} ")
        else:
            found[words + name] = command
    return found


def test_the_commands_and_their_options_are_frozen() -> None:
    found = {}
    for name, command in commands_of(get_command(cli.app)).items():
        arguments = [p.name for p in command.params if not p.opts[0].startswith("-")]
        options = sorted(o for p in command.params for o in p.opts if o.startswith("-"))
        found[name] = arguments + options
    assert found == COMMANDS


def test_every_command_and_option_says_what_it_is_for() -> None:
    for name, command in commands_of(get_command(cli.app)).items():
        assert command.help, name
        silent = [p.name for p in command.params if not p.help and p.name != "help"]
        assert silent == [], name


def test_choices_are_those_of_the_rooms() -> None:
    assert get_args(cli.Shape) == get_args(AnnealShape)
    assert get_args(grow_commands.Method) == get_args(Method)
    assert get_args(grow_commands.Depth) == get_args(Depth)
    assert get_args(grow_commands.Goal) == get_args(GrowConfig.model_fields["goal"].annotation)


def test_help_and_schema_end_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "--help") == 0
    assert "--debug" in capsys.readouterr().out
    assert call(monkeypatch, "schema") == 0


@pytest.mark.parametrize(
    "args",
    [["runn"], ["run"], ["list", "--run"], ["anneal", "r", "--tokens", "1", "--shape", "square"]],
)
def test_wrong_usage_ends_with_2(
    args: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, *args) == 2
    assert "Usage: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["run", "{tmp}/r.yaml"], "{tmp}/r.yaml: cannot be read (No such file or directory); "
         "give the path of a file"),
        (["run", "{tmp}/r.yaml", "dry"], "'dry': expected key=value, for example "
         "train.batch_size=8"),
        (["log", "{tmp}"], "{tmp}: no run here; 'evergrow list' shows the runs there are"),
        (["extend", "{tmp}", "--tokens", "2 billion"],
         "--tokens: expected a count such as 20B, 500M or 4k, got '2 billion'"),
        (["extend", "{tmp}", "--tokens", "0"], "--tokens: expected at least one token, got 0"),
        (["grow", "plan", "{tmp}", "--to", "hiden=64"],
         "grow.to.hiden: expected 'hidden', 'heads', 'kv_heads', 'head_dim', 'ffn', 'layers' or "
         "'vocab', got 'hiden'"),
        (["grow", "plan", "{tmp}", "--to", "hidden"],
         "--to: expected sizes such as hidden=768,heads=12, got 'hidden'"),
        (["grow", "plan", "{tmp}", "--to", "hidden=64"],
         "{tmp}: no model here (config.json is missing); give a model folder"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(
    args: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    args = [arg.format(tmp=tmp_path) for arg in args]
    assert call(monkeypatch, *args) == 2
    assert capsys.readouterr() == ("", f"error: {said.format(tmp=tmp_path)}\n")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (EvergrowError("it broke"), 1, "it broke"),
        (InputError("not so"), 2, "not so"),
        (PermissionError(13, "Permission denied", "runs"), 1,
         "[Errno 13] Permission denied: 'runs'"),
        (Stopped(2, "step 7"), 130, "stopped by signal 2; everything up to step 7 is saved"),
        (Stopped(15, "step 7"), 143, "stopped by signal 15; everything up to step 7 is saved"),
    ],
)  # fmt: skip
def test_errors_have_their_exit_codes(
    error: Exception,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    assert call(monkeypatch, "list") == code
    assert capsys.readouterr().err == f"error: {said}\n"


def test_debug_shows_where_it_happened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["evergrow", "log", str(tmp_path), "--debug"])
    with pytest.raises(InputError, match="no run here"):
        cli.main()


def accepts(schema: dict[str, Any], data: Any, root: dict[str, Any]) -> bool:
    """Whether a JSON schema of the words that pydantic writes accepts ``data``."""
    if "$ref" in schema:
        return accepts(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], data, root)
    if options := schema.get("anyOf", schema.get("oneOf")):
        return any(accepts(option, data, root) for option in options)
    if "const" in schema or "enum" in schema:
        return data in schema.get("enum", [schema.get("const")])
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
    kinds |= {"integer": int, "number": (int, float)}
    if "type" in schema and not isinstance(data, kinds[schema["type"]]):
        return False
    if isinstance(data, list):
        return all(accepts(schema.get("items", {}), item, root) for item in data)
    if isinstance(data, str):
        return bool(re.search(schema.get("pattern", ""), data))
    if not isinstance(data, dict):
        return True
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for key, value in data.items():
        below = (
            [known[key]] if key in known else [s for p, s in patterns.items() if re.match(p, key)]
        )
        others = schema.get("additionalProperties", True)
        if not below and isinstance(others, dict):
            below = [others]
        if not below and others is False:
            return False
        if not all(accepts(s, value, root) for s in below):
            return False
    return set(schema.get("required", [])) <= data.keys()


def test_the_schema_accepts_the_quickstart_and_no_misspelling(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "schema") == 0
    schema = json.loads(capsys.readouterr().out)
    recipe = yaml.safe_load(QUICKSTART.read_text())
    recipe["schedule"]["peak_lr"] = 5e-3  # a number to editors, which read YAML 1.2
    assert accepts(schema, recipe, schema)
    assert accepts(schema, {**recipe, "model": {"from": "hub/x"}}, schema)
    assert not accepts(schema, {**recipe, "stagse": []}, schema)
    assert not accepts(schema, {**recipe, "schedule": {"kind": "cosine", "peek_lr": 1}}, schema)
    assert not accepts(schema, {k: v for k, v in recipe.items() if k != "train"}, schema)
