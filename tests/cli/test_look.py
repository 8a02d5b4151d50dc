"""Looking from the shell: the schema for editors, tables of runs and scores, the lineage."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli.conftest import Call, Refused
from stage_records import stage_record

from evergrow.cli.look import show_lineage, show_runs, show_scores, show_seen
from evergrow.flow.listing import Listed
from evergrow.lineage import Measured
from evergrow.run import Begin, Branch, Manifest, Run, Seen, StageRecord, write_manifest

QUICKSTART = Path(__file__).parents[2] / "recipes" / "quickstart.yaml"


def cells(line: str, edge: str = "│") -> list[str]:
    """A table's line without its edges."""
    return [cell.strip() for cell in line.strip(edge).split(edge)]


def measured(source: str, unit: str, counts: dict[str, int]) -> Measured:
    return Measured(source=source, unit=unit, loss=2.63, low=2.5, high=2.75, counts=counts)


@pytest.fixture
def forest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Four stages of 10 steps: mail, film on its trunk, chat on mail's release, code from start."""
    monkeypatch.setenv("COLUMNS", "150")
    release = Begin(kind="release", stage=0)
    begins = {
        "mail": Begin(kind="start"),
        "film": Begin(kind="trunk", stage=0),
        "chat": release,
        "code": Begin(kind="start"),
    }
    stages: list[StageRecord] = []
    for place, (name, begin) in enumerate(begins.items()):
        parent = None if begin.stage is None else stages[begin.stage]
        stages.append(
            stage_record(
                name,
                begin=begin,
                path=[*(parent.path if parent else []), place],
                status="pending" if name == "code" else "done",
                first_step=parent.last_step if parent else 0,
                num_steps=10,
                fork_step=7 if name == "mail" else None,
                clock=parent.clock_at(parent.last_step) if parent else 0,
                per_step=200,
                objective="sft" if name == "chat" else "causal",
                seen={
                    name: Seen(first=0, last=1500, epochs=0.25, replayed=0, tokens=1600),
                    "old": Seen(first=4, last=4, epochs=0.0, replayed=500, tokens=400),
                },
                shared_with="../plain" if name == "mail" else None,
                release=None if name == "code" else f"releases/{name}",
            )
        )
    facts = {"evergrow": "0", "commit": None, "name": "woods", "arm": "main", "seed": 3}
    start: Any = {"source": "a preset", "kind": "causal", "key": "k"}
    branch = {"name": "b", "key": "b", "stage": "film", "from_step": 20, "tokens": 800}
    manifest = Manifest(
        **facts,
        recipe={},
        environment={},
        start=start,
        model={},
        data={},
        stages=stages,
        branches=[Branch(**branch, release="releases/b")],
    )
    write_manifest(tmp_path, manifest)
    return Run(tmp_path)


def test_the_log_draws_the_tree_of_stages(forest: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """What goes on with the trunk stays in its line; what begins at a release hangs below it."""
    show_lineage(forest)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "woods, main, seed 3: from a preset",
        "├── mail (causal, done, shared with ../plain): trunk to 2,000 tokens",
        "│   ├── release releases/mail, left the trunk at 1,400 tokens",
        "│   └── chat (sft, done, from the release): trunk to 4,000 tokens",
        "│       └── release releases/chat, left the trunk at 4,000 tokens",
        "├── film (causal, done): trunk to 4,000 tokens",
        "│   ├── release releases/film, left the trunk at 4,000 tokens",
        "│   └── release releases/b, 800 tokens from 4,000",
        "└── code (causal, pending): trunk to 2,000 tokens",
    ]


def test_what_was_read_is_a_row_for_each_stage_and_source(
    forest: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    show_seen(forest)
    lines = capsys.readouterr().out.splitlines()
    assert cells(lines[3]) == ["mail", "mail", "0 to 1,500", "0.25", "", "1,600 tokens"]
    assert cells(lines[4]) == ["mail", "old", "", "0.00", "500", "400 tokens"]
    assert len(lines) == 3 + 8 + 1


@pytest.mark.parametrize("given", ["mail/*.txt", "=mail/*.txt", "old="])
def test_what_is_added_has_a_name_and_files(given: str, tmp_path: Path, refused: Refused) -> None:
    said = f"--add: expected name=files, such as old='mail/*.txt', got {given!r}"
    assert refused("eval", str(tmp_path), "--add", given) == said


def test_log_names_the_folder_without_a_run(tmp_path: Path, refused: Refused) -> None:
    said = f"{tmp_path}: no run here; 'evergrow list' shows the runs there are"
    assert refused("log", str(tmp_path)) == said


def test_a_list_of_runs_is_a_row_each(capsys: pytest.CaptureFixture[str]) -> None:
    show_runs([Listed(Path("runs/a/main"), "stopped", "1/2", 20_000, 3_400_000)])
    row = capsys.readouterr().out.splitlines()[3]
    assert cells(row) == ["runs/a/main", "stopped", "1/2", "20,000", "3 MB"]


def test_scores_of_text_and_of_pictures_have_their_own_columns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = measured("mail", "bits per byte", {"num_documents": 1200, "num_bytes": 64_000})
    show_scores([text])
    lines = capsys.readouterr().out.splitlines()
    assert cells(lines[1], "┃") == [
        "source", "bits per byte", "95 % interval", "documents", "bytes"
    ]  # fmt: skip
    assert cells(lines[3]) == ["mail", "2.630", "2.500 to 2.750", "1,200", "64,000"]
    film = measured("film", "squared error", {"num_pictures": 30})
    show_scores([film.model_copy(update={"floor": 0.5})])
    lines = capsys.readouterr().out.splitlines()
    assert cells(lines[1], "┃") == [
        "source", "squared error", "95 % interval", "floor", "pictures"
    ]  # fmt: skip
    assert cells(lines[3]) == ["film", "2.630", "2.500 to 2.750", "0.500", "30"]


def test_scores_of_mixed_units_say_each_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose stages have several objectives: text, and pictures that are told apart."""
    monkeypatch.setenv("COLUMNS", "120")
    text = measured("mail", "bits per byte", {"num_bytes": 64_000})
    told = measured("film", "log loss", {"num_pictures": 30})
    show_scores([text, told.model_copy(update={"accuracy": 0.875, "floor": 0.69})])
    lines = capsys.readouterr().out.splitlines()
    assert cells(lines[1], "┃") == [
        "source",
        "loss",
        "95 % interval",
        "floor",
        "accuracy",
        "bytes",
        "pictures",
    ]
    between = "2.500 to 2.750"
    assert cells(lines[3]) == ["mail", "2.630 bits per byte", between, "", "", "64,000", ""]
    assert cells(lines[4]) == ["film", "2.630 log loss", between, "0.690", "0.875", "", "30"]


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
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("schema") == 0
    schema = json.loads(capsys.readouterr().out)
    recipe = yaml.safe_load(QUICKSTART.read_text())
    recipe["schedule"]["peak_lr"] = 5e-3  # a number to editors, which read YAML 1.2
    assert accepts(schema, recipe, schema)
    assert accepts(schema, {**recipe, "model": {"from": "hub/x"}}, schema)
    assert not accepts(schema, {**recipe, "stagse": []}, schema)
    assert not accepts(schema, {**recipe, "schedule": {"kind": "cosine", "peek_lr": 1}}, schema)
    assert not accepts(schema, {k: v for k, v in recipe.items() if k != "train"}, schema)
