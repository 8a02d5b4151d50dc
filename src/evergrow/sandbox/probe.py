"""Which tier this machine has: each is begun for true, once, and the first that works is taken."""

import subprocess
from functools import cache

from evergrow.errors import EvergrowError
from evergrow.sandbox.limits import Limits
from evergrow.sandbox.pair import judged
from evergrow.sandbox.tiers import TIERS, UNSAFE, Tier, Unavailable

# The limit that a kernel quietly waives, for whoever is root outside.
_FORKS = """
def f(times):
    import os, signal
    for number in range(times):
        try:
            if os.fork() == 0:
                signal.pause()
        except OSError:
            return number
    return times
"""
_STARTS = ("", "def check(candidate):\n    assert candidate(0) == 0\n")
_BOUND = ("", "def check(candidate):\n    assert candidate(20) < 20\n")  # Limits: 8


def tier(allow_unsandboxed: bool = False) -> Tier:
    """The tightest tier that works here; without protection only where that is asked for.

    Raises EvergrowError with what each tier lacks.
    """
    reasons = []
    for name, found in TIERS.items():
        if name == UNSAFE and not allow_unsandboxed:
            continue
        if (reason := why_not(name)) is None:
            return found
        reasons.append(f"{name}: {reason}")
    raise EvergrowError(
        f"no sandbox works on this machine ({'; '.join(reasons)}); pip install "
        "'evergrow[sandbox]' where user namespaces are allowed, or carry programs out without "
        "protection by --allow-unsandboxed (allow_unsandboxed=True)"
    )


@cache
def why_not(name: str) -> str | None:
    """Why a tier does not work here, or None if it does."""
    try:
        if judged(TIERS[name], _FORKS, "f", _STARTS, Limits()).verdict != "passed":
            return _complaint(TIERS[name])
        if (
            name != UNSAFE
            and judged(TIERS[name], _FORKS, "f", _BOUND, Limits()).verdict != "passed"
        ):
            return "its programs may begin any number of processes, as this process may"
        return None
    except Unavailable as error:
        return str(error)


def _complaint(tier: Tier) -> str:
    """The last line that a tier's programs say of an interpreter that does nothing."""
    command = [*tier.command(0, Limits()), "-c", "pass"]
    done = subprocess.run(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd="/")
    said = done.stderr.decode(errors="replace").strip().split("\n")[-1]
    return said or f"it ended with exit code {done.returncode}"
