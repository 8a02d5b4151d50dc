"""Made-up run folders for the tests of the report."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from report.make_run import make_run


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Path]:
    """Makes ``runs/toy`` under a temporary folder; takes the settings of make_run."""

    def make(**settings: Any) -> Path:
        return make_run(tmp_path / "runs" / "toy", **settings)

    return make
