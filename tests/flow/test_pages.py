"""Pages that follow a run, made by a process that imports no torch and ends with its parent."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from flow.tiny import carry, tiny

from evergrow.disk import sealed
from evergrow.errors import InputError
from evergrow.flow import pages
from evergrow.flow.pages import Refreshed, write_pages_again
from evergrow.listener import Listener


def wait_for(path: Path, after: int) -> None:
    until = time.monotonic() + 30
    while path.stat().st_mtime_ns <= after:
        assert time.monotonic() < until, f"{path} was not written again"
        time.sleep(0.05)


def test_pages_are_made_beside_and_at_most_every_few_seconds(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "EVERY", 0.0)
    root = Path(shutil.copytree(whole.parent, tmp_path / "tiny"))
    page = root / "report.html"
    page.touch()
    before = page.stat().st_mtime_ns
    with Refreshed(root) as refreshed:
        refreshed.refresh()
        child = refreshed._process
        refreshed.refresh()  # it is busy: not asked twice
        wait_for(page, before)
    assert not child.is_alive()
    assert 'data-reload="10"' in page.read_text()


def test_nothing_is_made_of_a_short_run(whole: Path) -> None:
    with Refreshed(whole.parent) as refreshed:
        refreshed.refresh()
        assert refreshed._process is None


def test_a_page_stands_before_the_first_step_and_is_told_once(
    base: Path, tmp_path: Path, with_pages: None
) -> None:
    told: list[tuple[Path, bool]] = []

    def hear(path: Path) -> None:
        told.append((path, 'data-reload="10"' in path.read_text()))

    listener = Listener(page=hear)
    carried = carry(tiny(), tmp_path, base, listener)
    assert told == [(carried.report, True)]
    assert 'data-reload="0"' in carried.report.read_text()
    carry(tiny(), tmp_path, base, listener)
    assert len(told) == 1  # nothing is left to train


def test_a_page_written_again_has_the_scores_of_today(
    whole: Path, tmp_path: Path, with_pages: None
) -> None:
    root = Path(shutil.copytree(whole.parent, tmp_path / "tiny"))
    summary = root / "summary.json"
    before = json.loads(summary.read_text())
    for arm in before["arms"].values():
        arm["changes"] = []
    summary.write_text(json.dumps(sealed({**before, "status": "stopped"})))
    page = write_pages_again(root).read_text()
    assert "Learnt one" in page and 'class="status stopped"' in page
    summary.write_text(summary.read_text().replace('"num_tokens": ', '"num_tokens": 9', 1))
    with pytest.raises(InputError, match=r"summary.json: damaged .*run the recipe again"):
        write_pages_again(root)
    summary.unlink()
    page = write_pages_again(root).read_text()
    assert "Learnt one" in page and 'class="status done"' in page and summary.exists()


def test_what_makes_pages_imports_no_torch() -> None:
    code = "import evergrow.flow.pages, sys; print({'torch', 'transformers'} & {*sys.modules})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
