"""Model FLOPs utilisation and peak memory."""

import ctypes
import platform
import resource
import sys
import time
from functools import cache

import torch

# Dense bf16 FLOP/s from the vendors' data sheets.
_PEAK_BF16 = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12}

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT_BLOCK = 32 << 20  # bytes, the most glibc takes; larger ones would leave holes in the heap


def peak_flops(device: torch.device) -> float:
    """The device's FLOP/s: a GPU's data sheet (bf16), else an fp32 matrix product measured now.

    The measurement takes about 0.1 s; it uses the threads that training will use.
    """
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        for key, flops in _PEAK_BF16.items():
            if key in name:
                return flops
    size = 768 if device.type == "cpu" else 4096
    a = torch.randn(size, size, device=device)
    best = float("inf")
    for _ in range(4):
        _wait(device)
        started = time.perf_counter()
        torch.mm(a, a)
        _wait(device)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def peak_memory_bytes(device: torch.device) -> int:
    """The largest memory held so far: on the GPU, or by this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


@cache
def keep_freed_memory() -> None:
    """Tell glibc to keep large blocks that are freed: each step asks for the same ones again.

    Handing them back and faulting them in anew costs 5 to 10 % of a step on a CPU (measured). Does
    nothing on a system without glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    library.mallopt(_M_MMAP_THRESHOLD, _KEPT_BLOCK)
    library.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
