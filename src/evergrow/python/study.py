"""The verb study: a question of a paper, its numbers and its claims."""

from pathlib import Path

from evergrow.cli.terminal import console
from evergrow.listener import Listener
from evergrow.python.bar import watched
from evergrow.python.results import PathLike, Record
from evergrow.python.run import Settings
from evergrow.studies import find_study
from evergrow.studies.findings import Findings
from evergrow.studies.harness import carry_out_study, study_recipe
from evergrow.studies.table import claims_table, numbers_table


def study(
    name: str,
    settings: Settings | None = None,
    *,
    seeds: int = 3,
    modality: str = "text",
    scale: str | None = None,
    runs: PathLike = "runs",
    fresh: bool = False,
    listener: Listener | None = None,
) -> Record:
    """One question of one paper over paired seeds; its numbers, and a verdict on each claim.

    ``settings`` override its recipe by dotted path; ``data.SOURCE`` is a glob of your own files,
    ``data`` one of pictures. Raises InputError for a study or setting that there is not.
    """
    changes = dict(settings or {})
    asked = find_study(name, modality, changes)
    recipe = study_recipe(asked, seeds, changes, scale)
    with watched(listener) as watch:
        findings = carry_out_study(asked, recipe, Path(runs), watch, fresh)
    return Record(findings, lambda: _show(findings))


def _show(findings: Findings) -> None:
    console.print(numbers_table(findings), claims_table(findings), sep="\n")
