"""Texts, and a corpus made of them without interruption, once for this room."""

import os
from pathlib import Path

import pytest
from corpus.curate.texts import make, write_texts

from evergrow.corpus.curate.corpus import Corpus


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the sources' paths start from."""
    return write_texts(tmp_path_factory.mktemp("texts"))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for the disk, since no test pulls the plug."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="session")
def whole(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The corpus, never interrupted; tests do not change it."""
    return make(tmp_path_factory.mktemp("runs") / "tiny" / "corpora" / "web", base)
