"""Which Python runs a contestant; the peers live in virtual environments of their own."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

VENVS = Path(__file__).parents[1] / ".venvs"


class InstallationError(Exception):
    """A peer's environment could not be made; the message ends with pip's own."""


@dataclass(frozen=True)
class Contestant:
    """A worker module and what it needs; without ``venv`` it runs in evergrow's environment."""

    module: str
    venv: str | None = None
    environment: dict[str, str] = field(default_factory=dict)


CONTESTANTS = {
    "evergrow": Contestant("contestants.evergrow_worker"),
    "bare": Contestant("contestants.bare_worker"),
    "trainer": Contestant("contestants.trainer_worker", "trainer"),
    # litgpt calls torch.compile on every model; the switch makes that call do nothing.
    "litgpt": Contestant("contestants.litgpt_worker", "litgpt", {"TORCH_COMPILE_DISABLE": "1"}),
    "litgpt-compiled": Contestant("contestants.litgpt_worker", "litgpt"),
}
PINS = {
    "trainer": ("torch==2.13.0", "transformers==5.23.0", "accelerate==1.15.0", "numpy==2.4.6"),
    "litgpt": ("torch==2.13.0", "litgpt==0.5.13", "lightning==2.6.6", "numpy==2.4.6"),
    # spaCy splits datatrove's English words; its extras do not name it.
    "datatrove": ("datatrove[processing]==0.10.1", "spacy==3.8.18", "numpy==2.4.6"),
}


def python_of(contestant: Contestant) -> str:
    """The interpreter of a contestant."""
    if contestant.venv is None:
        return sys.executable
    return str(VENVS / contestant.venv / "bin" / "python")


def is_ready(contestant: Contestant) -> bool:
    """Whether its environment exists with today's pins."""
    if contestant.venv is None:
        return True
    marker = VENVS / contestant.venv / "pins.txt"
    return marker.exists() and marker.read_text() == _pins_text(contestant.venv)


def prepare(contestant: Contestant) -> None:
    """Make its environment with pip; raises InstallationError."""
    name = contestant.venv
    if name is None or is_ready(contestant):
        return
    print(f"installing {', '.join(PINS[name])} into {VENVS / name}", flush=True)
    VENVS.mkdir(exist_ok=True)
    (VENVS / ".gitignore").write_text("*\n")
    _run(sys.executable, "-m", "venv", "--clear", str(VENVS / name))
    _run(python_of(contestant), "-m", "pip", "install", "-q", *PINS[name])
    (VENVS / name / "pins.txt").write_text(_pins_text(name))


def _run(*command: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    run = subprocess.run(command, capture_output=True, text=True, env=environment)
    if run.returncode:
        raise InstallationError(f"{' '.join(command)} failed:\n{run.stderr[-2000:]}")


def _pins_text(name: str) -> str:
    return "\n".join(PINS[name]) + "\n"
