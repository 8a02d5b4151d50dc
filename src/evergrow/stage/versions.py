"""What made a run: versions, commit, machine; and the number that separates incompatible bytes."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from pydantic import JsonValue

# Raised by hand when the same recipe would give other bytes than before; part of every stage key.
VERSION = 3


def package_version() -> str:
    """The installed version of evergrow."""
    return metadata.version("evergrow")


def commit() -> str | None:
    """The git commit of the source tree this package runs from; None when there is no tree."""
    folder = Path(__file__).resolve().parents[3]
    if not (folder / ".git").exists():
        return None
    found = subprocess.run(
        ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or None


def environment(threads: int, device: str) -> dict[str, JsonValue]:
    """What 'the same machine' means for the same bytes."""
    names = ("torch", "transformers", "tokenizers", "numpy", "safetensors")
    return {
        **{name: metadata.version(name) for name in names},
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "device": device,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()
