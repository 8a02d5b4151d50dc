"""The page of suites carried out: its files are read, its commands called, its numbers seen."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from docs.walk import DOCS, blocks
from typer.testing import CliRunner

from evergrow.cli import app
from evergrow.config import decode
from evergrow.evals.suites.config import AskedSuite
from evergrow.evals.suites.items import open_suite
from evergrow.models.config import ModelConfig
from evergrow.models.load import model_from_config
from evergrow.models.save import save_release
from evergrow.stream.tokenizer import train_tokenizer


def test_the_commands_of_the_page_of_suites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "150")
    tokenizer = train_tokenizer(["which of these has most water? the sea, 2 + 3 and ice"] * 9, 300)
    for seed, name in enumerate(("my-model", "other-model")):
        config = ModelConfig(preset="olmo2", hidden=32, layers=2)
        model = model_from_config(config, tokenizer, 256, seed=seed)
        save_release(tmp_path / name, model, tokenizer, "", {})
    found = blocks(DOCS / "suites.md")
    sums, quiz = (text for language, text in found if language == "json")
    Path("sums.jsonl").write_text(sums)
    Path("quiz.jsonl").write_text(quiz)
    assert [item.cluster for item in open_suite("sums.jsonl").items] == ["small", "large"]
    (recipe,) = (yaml.safe_load(text) for language, text in found if language == "yaml")
    assert {name: decode(AskedSuite, told, name).asked for name, told in recipe["suites"].items()}
    (commands,) = (text.splitlines() for language, text in found if language == "sh")
    printed = []
    for command in commands:
        result = CliRunner().invoke(app, shlex.split(command)[1:])
        assert result.exit_code == 0, (command, result.output, result.exception)
        printed.append(result.output)
    assert "quiz, 2 items, in %" in printed[0]
    assert "4 answers an item, temperature 0.8, top_p 1, at most 32 tokens, seed 0" in printed[1]
    assert "no difference shown" in printed[2]
    assert re.search(r"my-model +│ accuracy +│ 100.0 ", printed[3])
