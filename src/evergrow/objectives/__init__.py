"""What a model can learn, an objective a file; their settings stand in ``config``."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evergrow.objectives.objective import Given, Make, Objective


# Imported when made: a recipe reads the settings without torch, and text needs no package of
# pictures.
def _causal(given: "Given") -> "Objective":
    from evergrow.objectives.causal import causal

    return causal(given)


def _masked(given: "Given") -> "Objective":
    from evergrow.objectives.masked import masked

    return masked(given)


def _masked_patches(given: "Given") -> "Objective":
    from evergrow.objectives.patches import masked_patches

    return masked_patches(given)


def _classification(given: "Given") -> "Objective":
    from evergrow.objectives.classes import classification

    return classification(given)


def _findings(given: "Given") -> "Objective":
    from evergrow.objectives.findings import findings

    return findings(given)


def _sft(given: "Given") -> "Objective":
    from evergrow.objectives.sft import sft

    return sft(given)


OBJECTIVES: "dict[str, Make]" = {
    "causal": _causal,
    "masked": _masked,
    "masked_patches": _masked_patches,
    "classification": _classification,
    "findings": _findings,
    "sft": _sft,
}
