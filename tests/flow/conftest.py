"""Texts, and what an uninterrupted run of the tiny recipe leaves, made once for this room."""

import os
from pathlib import Path

import pytest
from flow.tiny import carry, run_of, tiny, write_texts

from evergrow.flow import pages


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
