"""Questions of papers, each in a file: arms, paired seeds, and a verdict on every claim."""

import difflib
from typing import Any

from evergrow.errors import InputError
from evergrow.studies import (
    decay,
    growth,
    infinite,
    infinite_images,
    microanneal,
    rewarm,
    rewarm_probe,
    soup,
)
from evergrow.studies.harness import Study

STUDIES: dict[str, Study] = {
    "infinite": infinite.STUDY,
    "decay": decay.STUDY,
    "rewarm": rewarm.STUDY,
    "soup": soup.STUDY,
    "growth": growth.STUDY,
    "growth-bert": growth.STUDY_BERT,
    **microanneal.STUDIES,
    "rewarm-probe": rewarm_probe.STUDY,
}


def find_study(name: str, modality: str = "text", settings: dict[str, Any] | None = None) -> Study:
    """The study called ``name``; raises InputError that names the nearest one.

    ``modality`` "image" asks the question of pictures, with those that the glob ``data`` names.
    What a study is made of is taken out of ``settings``; the rest are overrides of its recipe.
    """
    settings = {} if settings is None else settings
    data = settings.pop("data", None)
    if modality == "image":
        if name != "infinite":
            raise InputError(f"{name}: is asked of text alone; --modality image is for infinite")
        return infinite_images.study_of(data)
    if modality != "text" or data is not None:
        wrong = f"data={data}" if modality == "text" else f"--modality {modality}"
        raise InputError(f"{wrong}: give --modality image for pictures, data.SOURCE=GLOB for text")
    if name not in STUDIES:
        nearest = difflib.get_close_matches(name, STUDIES, 1, 0.5)
        hint = f"did you mean {nearest[0]}?" if nearest else f"studies: {', '.join(STUDIES)}"
        raise InputError(f"{name}: no such study; {hint}")
    return microanneal.study_of(name, settings) if name in microanneal.NAMES else STUDIES[name]
