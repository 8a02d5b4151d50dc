"""Questions of papers, each in a file: arms, paired seeds, and a verdict on every claim."""

import difflib

from evergrow.errors import InputError
from evergrow.studies import growth, infinite, rewarm
from evergrow.studies.harness import Study

STUDIES: dict[str, Study] = {
    "infinite": infinite.STUDY,
    "rewarm": rewarm.STUDY,
    "growth": growth.STUDY,
    "growth-bert": growth.STUDY_BERT,
}


def find_study(name: str) -> Study:
    """The study called ``name``; raises InputError that names the nearest one."""
    if name not in STUDIES:
        nearest = difflib.get_close_matches(name, STUDIES, 1, 0.5)
        hint = f"did you mean {nearest[0]}?" if nearest else f"studies: {', '.join(STUDIES)}"
        raise InputError(f"{name}: no such study; {hint}")
    return STUDIES[name]
