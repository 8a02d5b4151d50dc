"""The digest of metrics.jsonl: the same however it was extended, and anew after another end."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from evergrow.errors import InputError
from evergrow.stage import digest
from evergrow.stage.digest import MOST_BINS, read_digest


def line(step: int, **more: Any) -> dict[str, Any]:
    usual = {"stage": "one", "leg": "trunk", "step": step, "tokens": 8 * step, "loss": 1.0 * step}
    return {**usual, "lr": 0.1, "grad_norm": 1.0, "skipped": False, **more}


def add(folder: Path, lines: list[dict[str, Any]]) -> None:
    with (folder / "metrics.jsonl").open("a") as file:
        file.writelines(json.dumps(one) + "\n" for one in lines)


def test_a_short_run_is_kept_step_by_step(tmp_path: Path) -> None:
    add(tmp_path, [line(1), line(2, loss=None, skipped=True), line(3), line(4, leg="anneal")])
    found = read_digest(tmp_path)
    trunk = found.leg("one", "trunk")
    assert [(b.step, b.raw, b.mean) for b in trunk.bins] == [
        (1, 1.0, 1.0),
        (2, None, None),
        (3, 3.0, 3.0),
    ]
    assert [b.step for b in found.leg("one", "anneal").bins] == [4]
    assert [(s.step, s.loss) for s in found.skipped] == [(2, None)]
    assert (found.leg("two", "trunk").bins, found.num_skipped) == ([], 1)


def test_a_long_run_is_joined_two_by_two(tmp_path: Path) -> None:
    num_steps = 3 * MOST_BINS + 5
    add(tmp_path, [line(step) for step in range(1, num_steps + 1)])
    trunk = read_digest(tmp_path).leg("one", "trunk")
    assert (trunk.width, trunk.num_steps, len(trunk.bins)) == (4, num_steps, 1538)
    assert trunk.bins[0].mean == 2.5 and trunk.bins[0].raw == 1.0 and trunk.bins[0].step == 4
    assert sum(b.total for b in trunk.bins) == num_steps * (num_steps + 1) / 2
    assert trunk.bins[-1].step == num_steps


def test_reading_on_gives_what_reading_at_once_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(0)
    lines = [line(n, loss=draw.random(), grad_norm=draw.random()) for n in range(1, 5000)]
    lines[4000]["grad_norm"], lines[4100]["grad_norm"] = 99.0, None
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    add(one, lines)
    monkeypatch.setattr(digest, "CHUNK", 997)
    for start in range(0, len(lines), 700):
        add(two, lines[start : start + 700])
        read_digest(two)
    with (two / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "unfin')
    assert read_digest(two) == read_digest(one)
    assert read_digest(one).spike_score == pytest.approx(100 * 2 / (4999 - 128))
    read: list[int] = []
    monkeypatch.setattr(digest, "parse_lines", lambda *given: read.append(1) or [])
    read_digest(one)
    assert read == []  # nothing is new


def test_a_run_that_went_back_is_read_anew(tmp_path: Path) -> None:
    add(tmp_path, [line(n) for n in range(1, 50)])
    read_digest(tmp_path)
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:20]))
    assert read_digest(tmp_path).leg("one", "trunk").num_steps == 20
    add(tmp_path, [line(n, loss=0.5) for n in range(21, 60)])
    found = read_digest(tmp_path).leg("one", "trunk")
    assert (found.num_steps, found.bins[-1].mean) == (59, 0.5)
    (tmp_path / "digest.json").write_text("{")
    assert read_digest(tmp_path).leg("one", "trunk") == found


def test_the_spike_score_counts_far_values_among_those_judged(tmp_path: Path) -> None:
    calm: list[float | None] = [1.0 + 0.1 * (i % 2) for i in range(328)]
    wild = [*calm[:200], 1.05 + 0.05 * 8, None, *calm[202:]]
    for name, norms, score in (
        ("calm", calm, 0.0),
        ("wild", wild, 100 * 2 / 200),
        ("short", [1.0] * 100 + [9.0], 0.0),
    ):
        folder = tmp_path / name
        folder.mkdir()
        add(folder, [line(n + 1, grad_norm=norm) for n, norm in enumerate(norms)])
        assert read_digest(folder).spike_score == pytest.approx(score), name


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    add(tmp_path, [line(1)])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write("{broken}\n")
    with pytest.raises(InputError, match=r"metrics.jsonl: damaged"):
        read_digest(tmp_path)
