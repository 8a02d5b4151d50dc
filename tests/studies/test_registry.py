"""What every study owes: a question, claims on numbers that exist, a test, a line in the help."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evergrow.cli import app
from evergrow.errors import InputError
from evergrow.studies import STUDIES, find_study
from evergrow.studies.harness import study_recipe


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_asks_a_question_and_claims_what_it_measures(name: str) -> None:
    study = STUDIES[name]
    recipe = study_recipe(study, 2, {})
    assert recipe.name == name
    assert study.question.endswith("?")
    assert study.claims
    for claim in study.claims:
        for arm, measure in (claim.first, claim.second):
            assert arm in recipe.arms, claim
            assert measure in study.measures, claim
        assert claim.first != claim.second
        assert (claim.margin > 0) == (claim.expected == "equal"), claim
    compared = {arm for claim in study.claims for arm, _ in (claim.first, claim.second)}
    assert compared == set(recipe.arms)  # no arm is trained for nothing


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_has_a_test_and_stands_in_the_help(name: str) -> None:
    assert Path(__file__).with_name(f"test_{name.replace('-', '_')}.py").exists()
    assert name in CliRunner().invoke(app, ["study", "--help"]).output


@pytest.mark.parametrize("name", STUDIES)
def test_the_page_and_the_help_say_what_every_study_asks_and_costs(name: str) -> None:
    page = (Path(__file__).parents[2] / "docs/studies.md").read_text(encoding="utf-8")
    study = STUDIES[name]
    line = re.search(rf"\| `{name}` \| (.*) \| (.*) \| (\d+) \|", page)
    assert line is not None
    assert line.groups()[:2] == (study.question, study.paper)
    shown = " ".join(CliRunner().invoke(app, ["study", "--help"]).output.split())
    assert f"{name} ({line[3]}" in shown


def test_a_misspelt_study_is_told_the_nearest() -> None:
    with pytest.raises(InputError, match=r"rewram: no such study; did you mean rewarm\?"):
        find_study("rewram")
    with pytest.raises(InputError, match="xyz: no such study; studies: infinite, decay, rewarm"):
        find_study("xyz")
