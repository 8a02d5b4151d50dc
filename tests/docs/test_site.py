"""The site: every page in it, links and anchors that lead somewhere, pages made from the code."""

import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from docs.walk import DOCS, ROOT, blocks

import evergrow
from evergrow.recipe import Recipe

PAGES = sorted(DOCS.rglob("*.md"))
GENERATED = runpy.run_path(str(DOCS / "generate.py"))
URL = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]


def site() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def listed(nav: list[Any]) -> list[str]:
    """The pages of a navigation, sections unfolded."""
    found = []
    for entry in nav:
        (target,) = entry.values()
        found += listed(target) if isinstance(target, list) else [target]
    return found


def links(page: Path) -> list[str]:
    """Where the links and pictures of a page lead, code left out."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    found = re.findall(r"\]\(([^)\s]+)\)|^\[.+\]: (\S+)$", text, re.M)
    return [inline or below for inline, below in found]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return {GENERATED["_slug"](title) for title in re.findall(r"^#+ (.+)$", text, re.M)}


@pytest.mark.parametrize("name", GENERATED["PAGES"])
def test_generated_pages_are_what_the_code_says(name: str) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    assert GENERATED["PAGES"][name]() == page, "run docs/generate.py"


def test_every_page_stands_in_the_site_once() -> None:
    nav = listed(site()["nav"])
    assert sorted(nav) == [page.relative_to(DOCS).as_posix() for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_links_stay_in_the_site_and_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(DOCS), f"{link} leaves the site; give the whole address"
        assert target.exists(), f"{link} is not there"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


def test_links_of_the_readme_hold_wherever_it_is_shown() -> None:
    readme = ROOT / "README.md"
    for link in links(readme):
        assert link.startswith("https://"), f"{link}: the package index shows no files"
        if link.startswith(f"{URL}/") and (place := re.sub(r".*/(blob|raw)/main/", "", link)):
            assert (ROOT / place.partition("#")[0]).exists(), link


def test_the_project_has_one_address() -> None:
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    assert {url.startswith(URL) for url in urls.values()} == {True}
    assert site()["repo_url"] == URL
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["repository-code"] == URL


def test_every_public_name_is_called_in_a_page() -> None:
    text = "".join(
        code
        for page in [ROOT / "README.md", *PAGES]
        if page.name not in GENERATED["PAGES"]
        for language, code in blocks(page)
        if language == "python"
    )
    missing = [name for name in evergrow.__all__ if f"evergrow.{name}(" not in text]
    assert missing == []


def keys_of(schema: dict[str, Any]) -> int:
    return len(schema.get("properties", {}))


def test_every_key_of_a_recipe_is_said_and_explained() -> None:
    schema = Recipe.model_json_schema(by_alias=True)
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", GENERATED["keys_page"](), re.M)
    objects = [schema, *(each for each in schema["$defs"].values() if "properties" in each)]
    assert len(rows) == sum(map(keys_of, objects))
    assert [key for key, cells in rows if cells.endswith("| ")] == []
    assert len(rows) > 200


def test_every_description_that_is_needed_is_there() -> None:
    schema = Recipe.model_json_schema(by_alias=True)
    defs = schema["$defs"]
    for name, each in {"Recipe": schema, **defs}.items():
        for key, found in each.get("properties", {}).items():
            what = GENERATED["what_of"](found, defs)
            assert key == "kind" or what not in ("", "see there"), f"{name}.{key}"


def test_nothing_is_fetched_from_elsewhere_by_the_site() -> None:
    assert site()["theme"]["font"] is False
    assert not {"extra_css", "extra_javascript"} & site().keys()
