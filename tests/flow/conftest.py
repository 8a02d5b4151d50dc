"""Texts, and what an uninterrupted run of the tiny recipe leaves, made once for this room."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from flow.tiny import carry, run_of, tiny, write_texts

from evergrow.flow import pages
from evergrow.models.config import ModelConfig
from evergrow.models.presets import from_scratch
from evergrow.models.save import save_release
from evergrow.stream.tokenizer import load_tokenizer


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the recipe, with its texts."""
    return write_texts(tmp_path_factory.mktemp("texts"))


@pytest.fixture(autouse=True)
def _quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for the disk, since no test pulls the plug; no report, which has its own tests."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    if "with_pages" not in request.fixturenames:
        monkeypatch.setattr(pages, "write_report", lambda root: root / "report.html")


@pytest.fixture
def with_pages() -> None:
    """Asked for by a test that wants the report written."""


@pytest.fixture(scope="session")
def whole(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Run of the tiny recipe, never interrupted."""
    return run_of(carry(tiny(), tmp_path_factory.mktemp("whole"), base)).folder


@pytest.fixture
def lived(whole: Path, tmp_path: Path) -> Path:
    """A copy of the finished recipe's folder, to be carried on."""
    return Path(shutil.copytree(whole.parent, tmp_path / "lived" / "tiny"))


@pytest.fixture
def model(whole: Path, tmp_path: Path) -> Path:
    """A finished model from elsewhere: a Hugging Face folder without a Run."""
    tokenizer: Any = load_tokenizer(whole.parent / "tokenizer")
    config = ModelConfig(preset="olmo2", hidden=16, layers=2, heads=2)
    folder = tmp_path / "model"
    save_release(folder, from_scratch(config, tokenizer, 32, seed=7), tokenizer, "card", {})
    return folder
