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


_SIDE_OF_A_GPU = 4096
# A product of this side takes 0.3 ms on a core: beside other work some fall between two slices of
# time, which one of 768 never does, and one by two threads rarely. With ten processes on two cores
# the best of four of those said 31 GFLOP/s of a core that reaches 114, and MFU 148 % (measured).
_SIDE_OF_A_CORE = 256
_SECONDS = 0.1


def peak_flops(device: torch.device, dtype: torch.dtype) -> float:
    """The device's FLOP/s: a GPU's data sheet (bf16), else the best matrix product measured now.

    In ``dtype``. A CPU has what one core reaches times the threads that training will use.
    """
    if device.type == "cpu":
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return threads * _best_product(_SIDE_OF_A_CORE, device, dtype)
        finally:
            torch.set_num_threads(threads)
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        for key, flops in _PEAK_BF16.items():
            if key in name:
                return flops
    return _best_product(_SIDE_OF_A_GPU, device, dtype)


def _best_product(side: int, device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of the fastest of many products of two square matrices."""
    a = torch.randn(side, side, device=device, dtype=dtype)
    torch.mm(a, a)
    _wait(device)
    best, now = float("inf"), time.perf_counter()
    end = now + _SECONDS
    while now < end:
        started = now
        torch.mm(a, a)
        _wait(device)
        now = time.perf_counter()
        best = min(best, now - started)
    return 2 * side**3 / best


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
