import resource
import sys

import psutil
import pytest
import torch

from evergrow.train import speed
from evergrow.train.speed import peak_flops, peak_memory_bytes

CPU = torch.device("cpu")


def test_a_cpu_is_measured() -> None:
    # From a tenth of one old core to a full server: the unit is right.
    assert 1e8 < peak_flops(CPU, torch.float32) < 1e14


def test_the_peak_is_found_between_what_else_the_machine_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nine products in ten wait for other work; the clock stands for it."""
    now, calls = 0.0, 0

    def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        nonlocal now, calls
        calls += 1
        now += len(a) ** 3 * 2e-11 + (5e-3 if calls % 10 else 0)
        return a

    monkeypatch.setattr(torch, "mm", product)
    monkeypatch.setattr(speed.time, "perf_counter", lambda: now)
    assert peak_flops(CPU, torch.float32) == pytest.approx(1e11 * torch.get_num_threads())


def test_a_gpu_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100 80GB HBM3")
    assert peak_flops(torch.device("cuda"), torch.bfloat16) == 989e12


def test_peak_memory_is_in_bytes_and_never_falls() -> None:
    before = peak_memory_bytes(CPU)
    assert before >= 0.9 * psutil.Process().memory_info().rss
    assert 50e6 < before < psutil.virtual_memory().total
    block = torch.ones(before // 4 + 10**7)  # 40 MB more than the process ever had
    after = peak_memory_bytes(CPU)
    assert after - before > 30e6
    del block
    assert peak_memory_bytes(CPU) >= after


def test_macos_counts_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    monkeypatch.setattr(resource, "getrusage", lambda who: usage)
    for platform, unit in (("linux", 1024), ("darwin", 1)):
        monkeypatch.setattr(sys, "platform", platform)
        assert peak_memory_bytes(CPU) == usage.ru_maxrss * unit
