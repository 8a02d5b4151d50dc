import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from flow.tiny import assert_same, carry, tiny

from evergrow.errors import Stopped
from evergrow.flow import dispatch
from evergrow.flow.workers import Done, Job, Workers
from evergrow.listener import Listener

ARMS = {"a": {}, "b": {"replay.fraction": 0.5}, "c": {"schedule.peak_lr": 1e-3}}


def last_word(workers: Workers) -> Done:
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        for message in workers.receive(0.5):
            if isinstance(message, Done):
                return message
    raise AssertionError("the worker said nothing for a minute")


def test_a_worker_that_dies_is_an_error_and_gets_no_more_jobs(tmp_path: Path) -> None:
    workers = Workers(1, 1)
    job = Job(tmp_path / "no-run", 0)
    assert workers.start(job)
    assert not workers.start(job)
    os.kill(workers._processes[0].pid or 0, signal.SIGKILL)
    done = last_word(workers)
    assert done.job == job
    assert "died without a word (out of memory?); run the same command again" in str(done.error)
    assert workers.running == []
    assert not workers.start(job)
    workers.close()


@pytest.mark.slow
def test_a_signal_while_a_worker_still_starts_is_a_wish_to_stop(tmp_path: Path) -> None:
    workers = Workers(1, 1)
    workers.start(Job(tmp_path / "no-run", 0))
    workers.stop()
    done = last_word(workers)
    assert isinstance(done.error, Stopped) and done.error.exit_code == 143
    workers.close()


def test_no_more_processes_than_jobs(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(dispatch, "_in_turn", lambda *rest: asked.append(1))
    monkeypatch.setattr(dispatch, "_side_by_side", lambda root, num, *rest: asked.append(num))
    monkeypatch.setattr(dispatch, "score_run", lambda *rest: None)
    page = SimpleNamespace(report=tmp_path)
    monkeypatch.setattr(dispatch, "write_pages", lambda root, status: page)
    same = {"a": {}, "b": {}, "c": {"schedule.peak_lr": 1e-3}}  # b is a, linked
    for arms in ({}, ARMS, same):
        carry(tiny(arms=arms, workers=200), tmp_path / str(len(asked)), base)
    assert asked == [1, 3, 2]


@pytest.mark.slow
def test_side_by_side_gives_the_same_bytes_as_one_after_another(base: Path, tmp_path: Path) -> None:
    one = carry(tiny(arms=ARMS), tmp_path / "one", base)
    two = carry(tiny(arms=ARMS, workers=2), tmp_path / "two", base)
    for arm in ARMS:
        for name in ("metrics.jsonl", "evals.jsonl"):
            same = [(c.folder / arm / name).read_bytes() for c in (one, two)]
            assert same[0] == same[1]
        for path in (one.folder / arm).rglob("model.safetensors"):
            other = two.folder / arm / path.relative_to(one.folder / arm)
            assert other.read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_side_by_side_stopped_and_run_again(base: Path, tmp_path: Path) -> None:
    recipe = tiny(arms=ARMS, workers=2)
    whole = carry(recipe, tmp_path / "whole", base).folder
    listener = Listener()

    def stop(progress: object) -> None:
        listener.stop.signal = signal.SIGTERM

    listener.progress = stop
    with pytest.raises(Stopped) as stopped:
        carry(recipe, tmp_path / "stopped", base, listener)
    assert stopped.value.exit_code == 143
    again = carry(recipe, tmp_path / "stopped", base).folder
    for arm in ARMS:
        assert_same(again / arm, whole / arm)
