"""A tiny recipe's texts, and what its run leaves, called from Python as a user would."""

import os
from pathlib import Path

import pytest
from flow.tiny import tiny, write_texts

import evergrow


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the recipe, with its texts."""
    folder = write_texts(tmp_path_factory.mktemp("texts"))
    (folder / "tiny.yaml").write_text(tiny().to_yaml(), encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for the disk."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="session")
def lived(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a recipe that was carried out."""
    runs = tmp_path_factory.mktemp("runs")
    return evergrow.run(base / "tiny.yaml", runs=runs, listener=evergrow.Listener()).folder
