import importlib.metadata
from pathlib import Path

import pytest

from evergrow.corpus.formats.licences import (
    CODE,
    LICENCE_FILE,
    RECOGNISED,
    licence_files,
    nearest_licence_files,
    own_licence,
    recognised_licence,
)

INSTALLED = {  # package: what it says of itself
    "numpy": None,  # several licences in one file
    "rich": "MIT",
    "jinja2": "BSD-3-Clause",
    "transformers": "Apache-2.0",
    "pygments": "BSD-2-Clause",
    "mpmath": "BSD-3-Clause",
    "pydantic": "MIT",
}


@pytest.mark.parametrize("package", INSTALLED)
def test_the_licences_of_installed_packages_are_recognised(package: str) -> None:
    files = importlib.metadata.files(package) or []
    found = [f for f in files if LICENCE_FILE.fullmatch(f.name) and ".dist-info" in str(f)]
    text = Path(str(found[0].locate())).read_text(encoding="utf-8")
    assert recognised_licence(text) == INSTALLED[package]


def test_our_own_licence_and_one_that_says_less_or_more() -> None:
    text = (Path(__file__).parents[3] / "LICENSE").read_text()
    assert recognised_licence(text) == "Apache-2.0"
    assert recognised_licence(text[: len(text) // 2]) is None
    assert recognised_licence(text + text) is None


def test_a_clause_of_another_licence_is_noticed() -> None:
    phrases, least, _ = RECOGNISED["MIT"]
    text = " ".join(phrases)
    text += " word" * (least - len(text.split()) + 5)
    assert recognised_licence(text) == "MIT"
    changed = text.replace(" word word word word", " shall be used for good", 1)
    assert recognised_licence(changed) is None


def test_a_files_own_line_and_the_nearest_folder() -> None:
    assert own_licence(b"# SPDX-License-Identifier: MIT OR Apache-2.0\n") == "MIT OR Apache-2.0"
    assert own_licence(b"no such line") is None
    assert own_licence(b"x" * 3000 + b"SPDX-License-Identifier: MIT") is None
    names = ["LICENSE", "a/b/COPYING.txt", "a/license.py", "c/LICENSE-MIT", "c/UNLICENSE", "d/x.c"]
    files = licence_files(names)
    assert files == {
        "": ["LICENSE"],
        "a/b": ["a/b/COPYING.txt"],
        "c": ["c/LICENSE-MIT", "c/UNLICENSE"],
    }
    assert nearest_licence_files("a/b/c/x.py", files) == ["a/b/COPYING.txt"]
    assert nearest_licence_files("a/x.py", files) == ["LICENSE"]
    assert nearest_licence_files("c/x.py", files) == ["c/LICENSE-MIT", "c/UNLICENSE"]
    assert nearest_licence_files("x.py", {}) == []
    assert ".py" in CODE
