"""Which tier this machine has: each is begun for true, once, and the first that works is taken."""

from functools import cache

from evergrow.errors import EvergrowError
from evergrow.sandbox.limits import Limits
from evergrow.sandbox.pair import judged
from evergrow.sandbox.tiers import TIERS, UNSAFE, Tier, Unavailable

_TESTS = ("", "def check(candidate):\n    assert candidate(20) == 21\n")


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
        told = judged(TIERS[name], "def f(x): return x + 1", "f", _TESTS, Limits())
    except Unavailable as error:
        return str(error)
    if told.verdict == "passed":
        return None
    said = told.output.decode(errors="replace").strip().split("\n")[-1]
    return said or told.detail or told.verdict
